//! Who is let in, and what they may do. The cases are made of the table of routes.

use std::collections::HashSet;
use std::time::Duration;

use futures::future::join_all;
use serde_json::json;
use tidemill_control::{Action, Authentication, Need, ROUTES, Role, Route, Settings};

use crate::stage::{Answer, Stage};

fn path(route: &Route) -> String {
    route.path.replace("{id}", "x").replace("{name}", "x")
}

async fn plain(stage: &Stage, route: &Route, token: Option<&str>) -> Answer {
    let mut request = stage.request(route.method.as_str(), &path(route));
    if let Some(token) = token {
        request = request.header("authorization", token);
    }
    Answer::of(request.send().await.unwrap()).await
}

/// S1.
#[tokio::test]
async fn no_route_but_health_answers_without_a_token() {
    let stage = Stage::new().await;
    let mut bodies = HashSet::new();
    for route in ROUTES {
        let mut answer = plain(&stage, route, None).await;
        while answer.status == 429 {
            // Strangers are counted.
            tokio::time::sleep(Duration::from_millis(50)).await;
            answer = plain(&stage, route, None).await;
        }
        match route.need {
            Need::Open => assert!(["/healthz", "/readyz"].contains(&route.path), "{route:?}"),
            Need::Permission(..) => {
                answer.refused(401, "token");
                assert!(answer.headers.contains_key("www-authenticate"), "{route:?}");
                bodies.insert(answer.text);
            }
        }
    }
    assert_eq!(bodies.len(), 1);
    stage.end().await;
}

/// S3.
#[tokio::test]
async fn a_token_that_is_not_one_is_refused() {
    let stage = Stage::new().await;
    let good = stage.admin.clone();
    let longer = format!("{good}0");
    let huge = "x".repeat(20_000);
    let upper = good.to_uppercase();
    let cases = [
        String::new(),
        "Bearer".into(),
        "Bearer ".into(),
        format!("Bearer {upper}"),
        format!("Bearer {longer}"),
        format!("Bearer  {good}"),
        format!("Bearer {huge}"),
        format!("Basic {good}"),
        good.clone(),
        "Bearer tidemill_root.".into(),
        "Bearer tidemill_nobody.00".into(),
    ];
    for case in cases {
        let request = stage
            .request("GET", "/api/v1/queues")
            .header("authorization", &case);
        let answer = Answer::of(request.send().await.unwrap()).await;
        answer.refused(401, "token");
    }
    stage
        .call_as(&good, "GET", "/api/v1/queues", None)
        .await
        .is(200);
    stage.end().await;
}

/// S4.
#[tokio::test]
async fn a_viewer_changes_nothing() {
    let stage = Stage::new().await;
    let viewer = format!("Bearer {}", stage.token("eye", Role::Viewer, &[]).await);
    let operator = format!("Bearer {}", stage.token("hand", Role::Operator, &[]).await);
    for route in ROUTES {
        let Need::Permission(resource, action) = route.need else {
            continue;
        };
        for (role, token) in [(Role::Viewer, &viewer), (Role::Operator, &operator)] {
            let answer = plain_overridden(&stage, route, token).await;
            match role.may(resource, action) {
                true => assert_ne!(answer.status, 403, "{route:?} {role}"),
                false => drop(answer.refused(403, "role")),
            }
        }
        let of_viewer = Role::Viewer.may(resource, action);
        assert!(!route.is_change() || !of_viewer, "{route:?}");
        assert!(
            *route.method != "DELETE" || action == Action::Own,
            "{route:?}"
        );
    }
    stage.end().await;
}

/// A header that asks for another method changes nothing about that.
async fn plain_overridden(stage: &Stage, route: &Route, token: &str) -> Answer {
    let request = stage
        .request(route.method.as_str(), &path(route))
        .header("authorization", token)
        .header("x-http-method-override", "GET");
    // Streams have no end: their head says enough.
    let response = request.send().await.unwrap();
    let media = response.headers().get("content-type").cloned();
    if media.is_some_and(|media| media == "text/event-stream") {
        return Answer {
            status: response.status(),
            headers: response.headers().clone(),
            text: String::new(),
        };
    }
    Answer::of(response).await
}

/// S5.
#[tokio::test]
async fn what_lies_outside_a_scope_looks_as_if_it_were_not_there() {
    let stage = Stage::new().await;
    let mail = stage.token("mailer", Role::Admin, &["mail"]).await;
    let id = stage
        .enqueue(json!({ "kind": "echo", "queue": "pay" }))
        .await;
    let own = stage
        .enqueue(json!({ "kind": "echo", "queue": "mail" }))
        .await;
    let nobody = stage
        .call_as(&mail, "GET", "/api/v1/tasks/nobody", None)
        .await;
    let nobody = nobody.refused(404, "");
    for (method, path) in [
        ("GET", ""),
        ("DELETE", ""),
        ("GET", "/attempts"),
        ("GET", "/logs"),
        ("GET", "/why"),
        ("GET", "/events"),
        ("GET", "/logs/events"),
    ] {
        let path = format!("/api/v1/tasks/{id}{path}");
        let answer = stage.call_as(&mail, method, &path, None).await;
        assert_eq!(answer.refused(404, ""), nobody, "{method} {path}");
    }
    let act = json!({ "action": "cancel" });
    let path = format!("/api/v1/tasks/{id}/action");
    stage
        .call_as(&mail, "POST", &path, Some(act))
        .await
        .refused(404, "");
    let pay = json!({ "kind": "echo", "queue": "pay" });
    stage
        .call_as(&mail, "POST", "/api/v1/tasks", Some(pay))
        .await
        .refused(404, "");
    for path in [
        "/api/v1/queues/pay",
        "/api/v1/tasks?queue=pay",
        "/api/v1/dead?queue=pay",
    ] {
        stage
            .call_as(&mail, "GET", path, None)
            .await
            .refused(404, "");
    }
    let bulk = json!({ "action": "cancel", "filter": { "queue": "pay" } });
    stage
        .call_as(&mail, "POST", "/api/v1/tasks/bulk", Some(bulk))
        .await
        .refused(404, "");
    let all = json!({ "all": true, "filter": { "queue": "pay" } });
    for path in ["/api/v1/replays", "/api/v1/dead/purge"] {
        let answer = stage.call_as(&mail, "POST", path, Some(all.clone())).await;
        answer.refused(404, "");
    }
    let list = stage
        .call_as(&mail, "GET", "/api/v1/tasks", None)
        .await
        .is(200);
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    assert_eq!(list["items"][0]["id"], own);
    let queues = stage
        .call_as(&mail, "GET", "/api/v1/queues", None)
        .await
        .is(200);
    assert_eq!(queues["items"][0]["queue"], "mail");
    assert_eq!(queues["items"].as_array().unwrap().len(), 1);
    stage.end().await;
}

/// Metrics tell of every queue.
#[tokio::test]
async fn metrics_are_for_those_who_see_every_queue() {
    let stage = Stage::new().await;
    let mail = stage.token("mailer", Role::Admin, &["mail"]).await;
    let eye = stage.token("eye", Role::Viewer, &[]).await;
    stage
        .call_as(&mail, "GET", "/metrics", None)
        .await
        .refused(403, "every queue");
    let answer = stage.call_as(&eye, "GET", "/metrics", None).await;
    assert_eq!(
        (answer.status.as_u16(), &*answer.text),
        (200, "tidemill_up 1\n")
    );
    stage.end().await;
}

/// Ids are one room for all queues; that one is taken is all that is told.
#[tokio::test]
async fn an_id_that_is_taken_elsewhere_is_refused_in_the_same_words() {
    let stage = Stage::new().await;
    let mail = stage.token("mailer", Role::Operator, &["mail"]).await;
    for queue in ["pay", "mail"] {
        stage
            .enqueue(json!({ "kind": "echo", "queue": queue, "id": format!("of-{queue}") }))
            .await;
    }
    let mut told = HashSet::new();
    for queue in ["pay", "mail"] {
        let id = format!("of-{queue}");
        let task = json!({ "kind": "echo", "queue": "mail", "id": id });
        let answer = stage
            .call_as(&mail, "POST", "/api/v1/tasks", Some(task))
            .await;
        answer.refused(409, "there is a task with the id");
        told.insert(answer.text.replace(&id, "ID"));
    }
    assert_eq!(told.len(), 1, "{told:?}");
    stage.end().await;
}

/// S47: a token that has ended keeps the door shut.
#[tokio::test]
async fn who_has_had_a_token_is_not_open_to_everybody_when_it_ends() {
    let folder = tempfile::TempDir::new().unwrap();
    let connection = crate::stage::store(&folder).await;
    let nobody = String::new();
    let stage = Stage::on(connection.clone(), folder, nobody, |_| {}).await;
    let form = || json!({ "name": "mallory", "role": "admin" }).to_string();
    let ask = async |stage: &Stage| {
        let request = stage
            .request("POST", "/api/v1/tokens")
            .header("content-type", "application/json")
            .body(form());
        Answer::of(request.send().await.unwrap()).await
    };
    let look = async |stage: &Stage| {
        let request = stage.request("GET", "/api/v1/queues");
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(look(&stage).await, 200);
    let ada = stage.token("ada", Role::Admin, &[]).await;
    // Within a second of the first token, without a new start.
    let deadline = tokio::time::Instant::now() + crate::stage::PATIENCE;
    while look(&stage).await == 200 {
        assert!(tokio::time::Instant::now() < deadline, "it shuts in time");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stage
        .call_as(&ada, "GET", "/api/v1/queues", None)
        .await
        .is(200);
    stage
        .call_as(&ada, "DELETE", "/api/v1/tokens/ada", None)
        .await
        .is(204);
    ask(&stage).await.refused(401, "token");
    let folder = stage.end_and_keep().await;
    let again = Stage::on(connection.clone(), folder, String::new(), |_| {}).await;
    ask(&again).await.refused(401, "token");
    let folder = again.end_and_keep().await;
    // On purpose.
    let open = |settings: &mut Settings| settings.authentication = Authentication::Off;
    let open = Stage::on(connection, folder, String::new(), open).await;
    ask(&open).await.is(201);
    open.end().await;
}

#[tokio::test]
async fn a_token_is_shown_once_and_ends_when_it_is_revoked() {
    let stage = Stage::new().await;
    let form = json!({ "name": "ci", "role": "viewer", "expires_in": "1h" });
    let issued = stage.post("/api/v1/tokens", form.clone()).await.is(201);
    let token = issued["token"].as_str().unwrap();
    stage
        .call_as(token, "GET", "/api/v1/queues", None)
        .await
        .is(200);
    stage
        .post("/api/v1/tokens", form)
        .await
        .refused(409, "already");
    let list = stage.get("/api/v1/tokens").await;
    assert!(!list.text.contains(token.rsplit_once('.').unwrap().1));
    assert!(!list.text.contains("hash"));
    stage
        .call("DELETE", "/api/v1/tokens/ci", None)
        .await
        .is(204);
    let deadline = tokio::time::Instant::now() + crate::stage::PATIENCE;
    while stage
        .call_as(token, "GET", "/api/v1/queues", None)
        .await
        .status
        != 401
    {
        assert!(
            tokio::time::Instant::now() < deadline,
            "the token is refused in time"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stage
        .call("DELETE", "/api/v1/tokens/nobody", None)
        .await
        .refused(404, "");
    stage.end().await;
}

#[tokio::test]
async fn a_read_only_service_changes_nothing() {
    let stage = Stage::with(|settings| settings.read_only = true).await;
    for route in ROUTES.iter().filter(|route| route.is_change()) {
        let answer = plain(&stage, route, Some(&format!("Bearer {}", stage.admin))).await;
        answer.refused(403, "read-only");
    }
    stage.get("/api/v1/queues").await.is(200);
    stage.end().await;
}

#[tokio::test]
async fn a_caller_has_a_rate_of_its_own() {
    let stage = Stage::with(|settings| settings.rate = Some(5)).await;
    let other = stage.token("other", Role::Viewer, &[]).await;
    // All at once: one behind the other they might be slow enough.
    let calls = (0..100).map(|_| stage.get("/api/v1/leader"));
    let mut answers = join_all(calls).await.into_iter();
    let refused = answers.find(|answer| answer.status == 429);
    let refused = refused.expect("100 calls at once are more than 5 a second");
    assert!(refused.headers.contains_key("retry-after"));
    stage
        .call_as(&other, "GET", "/api/v1/leader", None)
        .await
        .is(200);
    stage.end().await;
}

/// S50, S49.
#[tokio::test]
async fn strangers_are_counted_wherever_they_say_they_come_from() {
    let stage = Stage::new().await;
    // All at once: one behind the other they might be slow enough.
    let calls = (0..200).map(|n| {
        let request = stage
            .request("GET", "/api/v1/queues")
            .header("x-forwarded-for", format!("127.0.0.{n}"))
            .header("forwarded", "for=127.0.0.1");
        request.send()
    });
    let answers = join_all(calls).await.into_iter();
    let answers: HashSet<_> = answers.map(|one| one.unwrap().status().as_u16()).collect();
    assert_eq!(answers, HashSet::from([401, 429]));
    // Whoever is known is let in all the same.
    stage.get("/api/v1/queues").await.is(200);
    stage.end().await;
}

#[tokio::test]
async fn a_change_counts_once_where_that_is_asked_for() {
    let stage = Stage::with(|settings| settings.one_time = true).await;
    let now = stage.connection.clock.now();
    let send = |nonce: &'static str, at: String| {
        let request = stage
            .request("POST", "/api/v1/queues/mail/pause")
            .bearer_auth(&stage.admin)
            .header("x-nonce", nonce)
            .header("x-timestamp", at);
        async move { Answer::of(request.send().await.unwrap()).await }
    };
    stage
        .call("POST", "/api/v1/queues/mail/pause", None)
        .await
        .refused(401, "X-Nonce");
    send("short", now.to_string()).await.refused(401, "");
    let old = now - Duration::from_secs(3_600);
    send("0123456789abcdef", old.to_string())
        .await
        .refused(401, "");
    send("0123456789abcdef", now.to_string()).await.is(200);
    send("0123456789abcdef", now.to_string())
        .await
        .refused(401, "");
    let seconds = (now.as_micros() / 1_000_000).to_string();
    send("0123456789abcdeg", seconds).await.is(200);
    stage.get("/api/v1/queues").await.is(200);
    stage.end().await;
}

/// S55.
#[tokio::test]
async fn each_change_leaves_a_record() {
    let stage = Stage::new().await;
    let operator = stage.token("ada", Role::Operator, &[]).await;
    let why = json!({ "reason": "the relay is down" });
    let path = "/api/v1/queues/mail/pause";
    stage
        .call_as(&operator, "POST", path, Some(why))
        .await
        .is(200);
    let path = "/api/v1/tasks/nobody/action";
    let act = json!({ "action": "cancel" });
    stage
        .call_as(&operator, "POST", path, Some(act))
        .await
        .refused(404, "");
    let records = stage.get("/api/v1/audit").await.is(200);
    let (second, first) = (&records["items"][0], &records["items"][1]);
    assert_eq!(first["actor"], "ada");
    assert_eq!(first["action"], "pause_queue");
    assert_eq!(first["subject"], "mail");
    assert_eq!(first["reason"], "the relay is down");
    assert_eq!(first["from"], "127.0.0.1");
    assert_eq!(first["outcome"], "done");
    assert_eq!(second["action"], "act_on_task");
    assert!(second["outcome"].as_str().unwrap().starts_with("404"));
    stage
        .call_as(&operator, "GET", "/api/v1/audit", None)
        .await
        .refused(403, "role");
    stage.end().await;
}
