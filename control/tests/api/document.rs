//! The OpenAPI document, held against what the server does.

use std::collections::BTreeSet;

use jsonschema::Validator;
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tidemill_control::{Gives, ROUTES, Role, Route, Takes};

use crate::stage::{Answer, Stage};

fn validator(document: &Value, schema: &Value) -> Validator {
    let mut root = schema.clone();
    root["components"] = document["components"].clone();
    jsonschema::draft202012::new(&root).unwrap()
}

#[track_caller]
fn check(document: &Value, route: &Route, answer: &Answer) {
    let method = route.method.as_str().to_lowercase();
    let responses = &document["paths"][route.path][&method]["responses"];
    let status = answer.status.as_u16().to_string();
    let response = &responses[&status];
    assert!(
        response.is_object(),
        "{route:?}: {status} is not in the document: {answer:?}"
    );
    let Some(contents) = response["content"].as_object() else {
        assert!(answer.text.is_empty(), "{route:?}: {answer:?}");
        return;
    };
    let media = answer.headers["content-type"].to_str().unwrap();
    let media = media.split(';').next().unwrap();
    let content = contents.get(media);
    let content = content.unwrap_or_else(|| panic!("{route:?}: {media} is in the document"));
    if media.ends_with("json") {
        let wrong = validator(document, &content["schema"]);
        let body = answer.json();
        let errors: Vec<_> = wrong.iter_errors(&body).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{route:?}: {errors:?} in {body}");
    }
}

/// Bodies that a route takes.
fn good(schema: &str) -> Value {
    match schema {
        "Enqueue" => json!({ "kind": "echo", "queue": "q", "payload": { "a": 1 }, "in": "1h" }),
        "EnqueueMany" => json!({ "tasks": [{ "kind": "echo" }, { "kind": "a:b" }] }),
        "Action" => json!({ "action": "run_now", "reason": "now" }),
        "Bulk" => json!({ "action": "cancel", "state": ["pending"], "filter": { "kind": "none" } }),
        "Reason" => json!({ "reason": "because" }),
        "ReplayOne" => json!({ "how": { "reset_attempts": true } }),
        "ReplayMany" => json!({ "all": true, "dry_run": true }),
        "Purge" => json!({ "all": true }),
        "QueueLimit" => json!({ "limit": 100_000 }),
        "ScheduleForm" => json!({ "id": "nightly", "kind": "echo", "cron": "0 3 * * *" }),
        "ScheduleSet" => json!({
            "source": "file:jobs.toml",
            "schedules": [{ "id": "weekly", "kind": "echo", "cron": "0 3 * * 1" }],
        }),
        "Backfill" => json!({ "from": "2026-01-01T00:00:00Z", "until": "2026-01-01T00:00:01Z" }),
        "TokenForm" => json!({ "name": "fresh", "role": "viewer" }),
        other => panic!("{other} needs an example"),
    }
}

/// Bodies that no route takes.
fn bad() -> Vec<Value> {
    vec![
        json!({ "surprise": 1 }),
        json!([]),
        json!(null),
        json!({ "kind": 7, "action": [], "all": "yes", "limit": -1, "from": 0, "name": {}, "tasks": {}, "how": 3, "reason": {} }),
    ]
}

async fn settle_in(stage: &Stage) -> Vec<(&'static str, String)> {
    stage.letters("q", 3).await;
    let task = stage
        .enqueue(json!({ "kind": "echo", "queue": "q", "in": "1h" }))
        .await;
    let schedule = json!({ "kind": "echo", "cron": "0 3 * * *" });
    stage
        .call("PUT", "/api/v1/schedules/nightly", Some(schedule))
        .await
        .is(201);
    let dead = stage.get("/api/v1/dead").await.is(200);
    let dead = dead["items"][0]["id"].as_str().unwrap().to_owned();
    let replay = stage
        .post("/api/v1/replays", json!({ "filter": { "kind": "none" } }))
        .await;
    let replay = replay.is(202)["id"].as_str().unwrap().to_owned();
    vec![
        ("/api/v1/tasks/", task),
        ("/api/v1/dead/", dead),
        ("/api/v1/replays/", replay),
        ("/api/v1/schedules/", "nightly".into()),
        ("/api/v1/queues/", "q".into()),
        ("/api/v1/tokens/", "fresh".into()),
    ]
}

fn path(route: &Route, known: &[(&str, String)]) -> String {
    let found = known
        .iter()
        .find(|(prefix, _)| route.path.starts_with(prefix));
    let name = found.map_or("x", |(_, name)| name.as_str());
    route.path.replace("{id}", name).replace("{name}", name)
}

/// What is read first, then what changes, then what removes.
fn in_order() -> Vec<&'static Route> {
    let mut all: Vec<_> = ROUTES.iter().collect();
    all.sort_by_key(|route| match route.method.as_str() {
        "GET" => 0,
        "DELETE" => 2,
        _ => 1,
    });
    all
}

#[tokio::test]
async fn the_server_does_what_its_document_says() {
    let stage = Stage::new().await;
    let document = stage.get("/api/v1/openapi.json").await.is(200);
    let known = settle_in(&stage).await;
    for route in in_order() {
        let path = path(route, &known);
        let method = route.method.as_str();
        if matches!(route.gives, Gives::Events) {
            // Streams are another test's; here the one of nothing.
            continue;
        }
        let bodies = match route.takes {
            Takes::Nothing => vec![None],
            Takes::Optional(schema) => vec![None, Some(good(schema))],
            Takes::Json(schema) => vec![Some(good(schema))],
        };
        let mut well = false;
        for body in bodies {
            let answer = stage.call(method, &path, body).await;
            check(&document, route, &answer);
            well |= answer.status.is_success() || [409, 428, 400].contains(&answer.status.as_u16());
        }
        assert!(well, "{route:?} is seen to work");
        if !matches!(route.takes, Takes::Nothing) {
            for body in bad() {
                let answer = stage.call(method, &path, Some(body.clone())).await;
                check(&document, route, &answer);
                assert!(
                    answer.status.is_client_error(),
                    "{route:?} {body}: {answer:?}"
                );
            }
        }
        for query in ["surprise=1", "limit=0", "cursor=%ff", "limit=1&limit=2"] {
            let answer = stage.call(method, &format!("{path}?{query}"), None).await;
            check(&document, route, &answer);
            assert!(
                answer.status.is_client_error(),
                "{route:?} {query}: {answer:?}"
            );
        }
    }
    stage.end().await;
}

/// Whoever asks wrongly, without a right, or for what is not there: each refusal is in the document.
#[tokio::test]
async fn every_refusal_is_in_the_document() {
    let stage = Stage::with(|settings| settings.max_body = 2_000).await;
    let document = stage.get("/api/v1/openapi.json").await.is(200);
    let known = settle_in(&stage).await;
    let viewer = stage.token("eye", Role::Viewer, &[]).await;
    let mut seen = BTreeSet::new();
    for route in in_order() {
        let (method, path) = (route.method.as_str(), path(route, &known));
        let elsewhere = route
            .path
            .replace("{id}", "nobody")
            .replace("{name}", "nobody");
        let body = match route.takes {
            Takes::Nothing => None,
            Takes::Optional(schema) | Takes::Json(schema) => Some(good(schema)),
        };
        let ask = |path: &str| stage.request(method, path);
        let json = |request: RequestBuilder, body: &Option<Value>| match body {
            Some(body) => request
                .header("content-type", "application/json")
                .body(body.to_string()),
            None => request,
        };
        let size = route.max_body.unwrap_or(2_000) + 1;
        let asking = || ask(&path).bearer_auth(&stage.admin);
        let mut asked = vec![
            ask(&path),
            ask(&path).bearer_auth("nobody"),
            asking().header("origin", "http://evil.example"),
            asking().header("host", "evil.example"),
            asking().header("content-type", "text/plain").body("text"),
            asking().header("content-encoding", "gzip").body("x"),
            asking()
                .header("content-type", "application/json")
                .body("x".repeat(size)),
        ];
        if !matches!(route.gives, Gives::Events) {
            asked.push(json(ask(&path).bearer_auth(&viewer), &body));
            asked.push(json(ask(&elsewhere).bearer_auth(&stage.admin), &body));
        }
        if route.is_change() {
            let keyed = || asking().header("idempotency-key", route.name);
            asked.push(json(keyed(), &body));
            asked.push(
                keyed()
                    .header("content-type", "application/json")
                    .body("{}"),
            );
        }
        for request in asked {
            // The server may close before it has read all.
            let Ok(response) = request.send().await else {
                continue;
            };
            let answer = Answer::of(response).await;
            if answer.status.is_client_error() || answer.status.is_server_error() {
                check(&document, route, &answer);
                seen.insert(answer.status.as_u16());
            }
        }
    }
    for status in [400, 401, 403, 404, 409, 413, 415, 421, 422, 428] {
        assert!(seen.contains(&status), "{status} was never seen: {seen:?}");
    }
    stage.end().await;
}

/// Values of every kind, some of which each field takes. Absent and null are the same to the service.
fn values() -> Vec<Value> {
    let long = "x".repeat(2_000);
    vec![
        json!(true),
        json!(-1),
        json!(0),
        json!(7),
        json!(1.5),
        json!(1e18),
        json!(""),
        json!("x"),
        json!("a:b"),
        json!("é"),
        json!(long),
        json!("5m"),
        json!("2030-01-01T00:00:00Z"),
        json!([]),
        json!([1]),
        json!(["x"]),
        json!({}),
        json!({ "x": 1 }),
    ]
}

/// Each field of each body with each value: what the document forbids is refused, and what it allows is
/// answered as it says, never with a fault.
#[tokio::test]
async fn each_field_takes_what_the_document_says() {
    let stage = Stage::new().await;
    let document = stage.get("/api/v1/openapi.json").await.is(200);
    let known = settle_in(&stage).await;
    let (mut forbidden, mut allowed) = (0, 0);
    for route in in_order() {
        let (Takes::Json(schema) | Takes::Optional(schema)) = route.takes else {
            continue;
        };
        let path = path(route, &known);
        let definition = &document["components"]["schemas"][schema];
        let rule = validator(&document, definition);
        let example = match schema {
            // The other one shows that one of many may be wrong.
            "EnqueueMany" => json!({ "tasks": [{ "kind": "echo" }] }),
            other => good(other),
        };
        assert!(rule.is_valid(&example), "{schema}");
        for field in definition["properties"].as_object().unwrap().keys() {
            for value in values() {
                let mut body = example.clone();
                body[field] = value;
                let answer = stage
                    .call(route.method.as_str(), &path, Some(body.clone()))
                    .await;
                check(&document, route, &answer);
                assert!(
                    !answer.status.is_server_error(),
                    "{route:?} {body}: {answer:?}"
                );
                if rule.is_valid(&body) {
                    allowed += 1;
                } else {
                    forbidden += 1;
                    // One of many that is wrong does not harm the others.
                    let one_of_many = answer.status == 202 && answer.text.contains(r#""error""#);
                    let refused = answer.status.is_client_error() || one_of_many;
                    assert!(refused, "{} {body}: {answer:?}", route.path);
                }
            }
        }
    }
    assert!(forbidden > 500 && allowed > 200, "{forbidden} {allowed}");
    stage.end().await;
}
