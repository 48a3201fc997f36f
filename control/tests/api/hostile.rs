//! Input of those who mean no good, and of those who do not know better.

use serde_json::json;
use tidemill_control::{ROUTES, Takes};

use crate::stage::{Answer, Stage};

async fn raw(stage: &Stage, body: impl Into<reqwest::Body>) -> Answer {
    let request = stage
        .request("POST", "/api/v1/tasks")
        .bearer_auth(&stage.admin)
        .header("content-type", "application/json")
        .body(body);
    Answer::of(request.send().await.unwrap()).await
}

/// S6.
#[tokio::test]
async fn what_a_task_becomes_is_not_the_callers_to_say() {
    let stage = Stage::new().await;
    for field in [
        "state",
        "attempt",
        "lease",
        "created_at",
        "enqueued_at",
        "result",
        "worker_id",
    ] {
        let body = json!({ "kind": "echo", field: 1 });
        stage.post("/api/v1/tasks", body).await.refused(400, field);
    }
    assert_eq!(stage.get("/api/v1/tasks").await.is(200)["items"], json!([]));
    stage.end().await;
}

/// S7.
#[tokio::test]
async fn a_page_of_another_site_changes_nothing() {
    let stage = Stage::with(|settings| settings.origins = vec!["https://ok.example".into()]).await;
    for media in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "",
    ] {
        let request = stage
            .request("POST", "/api/v1/tasks")
            .bearer_auth(&stage.admin)
            .header("content-type", media)
            .body(r#"{"kind":"echo"}"#);
        Answer::of(request.send().await.unwrap())
            .await
            .refused(415, "");
    }
    for (origin, good) in [
        ("https://evil.example", false),
        ("null", false),
        ("https://ok.example.evil", false),
        ("https://ok.example", true),
        (&stage.url(""), true),
    ] {
        for (method, path) in [
            ("POST", "/api/v1/queues/q/pause"),
            ("GET", "/api/v1/events"),
        ] {
            let request = stage.request(method, path).bearer_auth(&stage.admin);
            let response = request.header("origin", origin).send().await.unwrap();
            assert_eq!(
                response.status().as_u16(),
                if good { 200 } else { 403 },
                "{origin}"
            );
            let allowed = response.headers().get("access-control-allow-origin");
            let listed = origin == "https://ok.example";
            // S8.
            assert_eq!(allowed.is_some(), listed, "{origin}");
        }
    }
    stage.end().await;
}

/// S9.
#[tokio::test]
async fn another_host_is_not_answered() {
    let stage = Stage::with(|settings| settings.hosts = vec!["tasks.example".into()]).await;
    for (host, good) in [
        ("evil.example", false),
        ("127.0.0.1.evil.example", false),
        ("tasks.example.evil", false),
        ("", false),
        ("tasks.example", true),
        ("tasks.example:8080", true),
        ("localhost:9", true),
        ("127.0.0.1", true),
    ] {
        let request = stage.request("GET", "/healthz").header("host", host);
        let answer = Answer::of(request.send().await.unwrap()).await;
        assert_eq!(
            answer.status.as_u16(),
            if good { 200 } else { 421 },
            "{host:?}"
        );
    }
    stage.end().await;
}

/// S11.
#[tokio::test]
async fn every_answer_carries_what_keeps_browsers_from_harm() {
    let stage = Stage::new().await;
    for path in ["/healthz", "/nothing", "/api/v1/queues"] {
        let answer = stage.get(path).await;
        let header = |name: &str| answer.headers[name].to_str().unwrap().to_owned();
        assert!(header("content-security-policy").contains("frame-ancestors 'none'"));
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("referrer-policy"), "no-referrer");
        assert!(answer.headers.contains_key("x-request-id"));
    }
    stage.end().await;
}

/// S15.
#[tokio::test]
async fn paths_lead_nowhere_else() {
    let stage = Stage::new().await;
    for path in [
        "/..%2f..%2fetc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/api/v1/tasks/..%2f..",
        "/api/v1/tasks/%00",
        "/api/v1//tasks",
        "/api/v1/tasks%5c..",
    ] {
        stage.get(path).await.refused(404, "");
    }
    stage.end().await;
}

/// S16.
#[tokio::test]
async fn a_malformed_name_is_refused_everywhere() {
    let stage = Stage::new().await;
    let long = "x".repeat(129);
    for bad in [
        "",
        "a:b",
        "{x}",
        "*",
        "../",
        "a\r\nb",
        "a\0",
        "\u{202e}a",
        "😀",
        "-a",
        &long,
    ] {
        for field in ["kind", "queue", "id"] {
            let mut body = json!({ "kind": "echo" });
            body[field] = bad.into();
            stage.post("/api/v1/tasks", body).await.refused(400, "");
        }
    }
    stage.end().await;
}

/// S17.
#[tokio::test]
async fn a_payload_is_kept_as_it_was_sent() {
    let stage = Stage::new().await;
    let text = "\r\nFLUSHALL\r\n*1\r\n$8\r\nFLUSHALL\r\nreturn redis.call('FLUSHALL')\u{0}<script>";
    let id = stage
        .enqueue(json!({ "kind": "echo", "payload": text }))
        .await;
    let task = stage.get(&format!("/api/v1/tasks/{id}")).await.is(200);
    assert_eq!(task["payload"], text);
    stage.end().await;
}

/// S21.
#[tokio::test]
async fn an_endless_body_is_not_read_to_its_end() {
    let stage = Stage::with(|settings| settings.max_body = 1_000).await;
    raw(&stage, "x".repeat(1_001))
        .await
        .refused(413, "1000 bytes");
    let zipped = stage
        .request("POST", "/api/v1/tasks")
        .bearer_auth(&stage.admin)
        .header("content-type", "application/json")
        .header("content-encoding", "gzip")
        .body("x");
    Answer::of(zipped.send().await.unwrap())
        .await
        .refused(415, "Content-Encoding");
    stage.end().await;
}

/// S22.
#[tokio::test]
async fn json_is_read_strictly() {
    let stage = Stage::new().await;
    let deep = format!(r#"{{"kind":"echo","payload":{}"#, "[".repeat(100_000));
    let bad: Vec<Vec<u8>> = vec![
        deep.into_bytes(),
        br#"{"kind":"echo","kind":"echo"}"#.to_vec(),
        br#"{"kind":"echo","payload":{"a":1,"a":2}}"#.to_vec(),
        br#"{"kind":"echo","payload":NaN}"#.to_vec(),
        br#"{"kind":"echo","payload":1e999}"#.to_vec(),
        br#"{"kind":"echo","payload":"\ud800"}"#.to_vec(),
        b"\xef\xbb\xbf{\"kind\":\"echo\"}".to_vec(),
        b"\xff\xfe{\0".to_vec(),
        br#"{"kind":"echo"} x"#.to_vec(),
        b"{".to_vec(),
    ];
    for body in bad {
        let shown = String::from_utf8_lossy(&body)
            .chars()
            .take(60)
            .collect::<String>();
        let answer = raw(&stage, body).await;
        let detail = answer.refused(400, "")["detail"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(
            detail.contains("column") || detail.contains("line"),
            "{shown}: {detail}"
        );
    }
    // Numbers of any size come back with every digit.
    let big = r#"{"kind":"echo","payload":[9007199254740993,18446744073709551616]}"#;
    let id = raw(&stage, big).await.is(202)["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let task = stage.get(&format!("/api/v1/tasks/{id}")).await;
    assert!(
        task.text
            .contains("[9007199254740993,18446744073709551616]"),
        "{}",
        task.text
    );
    stage.end().await;
}

/// S26.
#[tokio::test]
async fn another_method_is_told_which_ones_there_are() {
    let stage = Stage::new().await;
    for method in ["TRACE", "PATCH", "BREW", "OPTIONS", "HEAD"] {
        let answer = stage.call(method, "/api/v1/queues/q/pause", None).await;
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.headers["allow"], "POST");
    }
    for route in ROUTES.iter().filter(|route| route.is_change()) {
        let path = route.path.replace("{id}", "x").replace("{name}", "x");
        let readable = ROUTES
            .iter()
            .any(|r| r.path == route.path && *r.method == "GET");
        if !readable {
            assert_eq!(
                stage.call("HEAD", &path, None).await.status.as_u16(),
                405,
                "{path}"
            );
        }
    }
    stage.end().await;
}

/// S27, S34, S35.
#[tokio::test]
async fn numbers_and_instants_have_bounds() {
    let stage = Stage::new().await;
    for query in [
        "limit=0",
        "limit=-1",
        "limit=1000000000",
        "limit=x",
        "cursor=00000000000000070000",
        "cursor=../../etc",
        "since=99999999999999999999d",
        "state=alive",
    ] {
        stage
            .get(&format!("/api/v1/tasks?{query}"))
            .await
            .refused(400, "");
    }
    stage.enqueue(json!({ "kind": "echo", "queue": "q" })).await;
    stage
        .get("/api/v1/queues/q/history?since=9999-99-99")
        .await
        .refused(400, "");
    for (field, value) in [
        ("at", json!("2026-01-01T00:00:00")),
        ("at", json!("-1")),
        ("at", json!("2026-01-01T00:00:61Z")),
        ("at", json!(9_223_372_036_854_775_807_i64)),
        ("in", json!("18446744073709551615s")),
        ("in", json!("-1s")),
        ("max_attempts", json!(-1)),
        ("max_attempts", json!(4_294_967_296_i64)),
        ("max_attempts", json!(0)),
        ("timeout", json!("0s")),
        ("timeout", json!(1e18)),
        ("priority", json!(256)),
        ("priority", json!(-1)),
    ] {
        let mut body = json!({ "kind": "echo" });
        body[field] = value.clone();
        let answer = stage.post("/api/v1/tasks", body).await;
        assert_eq!(answer.status, 400, "{field} {value}: {answer:?}");
    }
    stage.end().await;
}

/// S36, S37, S38, S39, S41.
#[tokio::test]
async fn a_schedule_that_makes_no_sense_is_refused() {
    let stage = Stage::new().await;
    let long = "*".repeat(100_000);
    for cron in [
        "0 0 30 2 *",
        "*/0",
        "*/61 * * * *",
        "60 * * * *",
        "5-1 * * * *",
        "1,,2 * * * *",
        "H H * * *",
        "@every 0s",
        "0 0 * *\0 *",
        &long,
    ] {
        let body = json!({ "kind": "echo", "cron": cron });
        stage
            .call("PUT", "/api/v1/schedules/x", Some(body))
            .await
            .refused(400, "");
    }
    for zone in [
        "../../etc/passwd",
        "US/Eastern\0",
        "Local",
        "EST5EDT,M3.2.0",
    ] {
        let body = json!({ "kind": "echo", "cron": "0 3 * * *", "time_zone": zone });
        stage
            .call("PUT", "/api/v1/schedules/x", Some(body))
            .await
            .refused(400, "");
    }
    stage.end().await;
}

/// S29.
#[tokio::test]
async fn much_is_removed_only_when_its_count_is_named() {
    let stage = Stage::new().await;
    stage.letters("mail", 4).await;
    stage.letters("other", 1).await;
    stage
        .post("/api/v1/dead/purge", json!({}))
        .await
        .refused(400, "filter");
    let mail = json!({ "filter": { "queue": "mail" } });
    let asked = stage
        .post("/api/v1/dead/purge", mail.clone())
        .await
        .refused(428, "confirm=4");
    assert_eq!(asked["count"], 4);
    stage
        .post("/api/v1/dead/purge?confirm=3", mail.clone())
        .await
        .refused(428, "4");
    let purged = stage
        .post("/api/v1/dead/purge?confirm=4", mail)
        .await
        .is(200);
    assert_eq!(purged["removed"], 4);
    assert_eq!(
        stage.get("/api/v1/dead").await.is(200)["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let many: Vec<_> = (0..10_001).map(|_| json!({ "kind": "echo" })).collect();
    stage
        .post("/api/v1/tasks/batch", json!({ "tasks": many }))
        .await
        .refused(400, "10000");
    stage.end().await;
}

/// S33.
#[tokio::test]
async fn a_pattern_takes_time_by_the_text_alone() {
    let stage = Stage::new().await;
    stage.letters("q", 1).await;
    stage.enqueue(json!({ "kind": "echo", "queue": "q" })).await;
    stage.bury("q", &format!("{}!", "a".repeat(100_000))).await;
    let count = |found: serde_json::Value| found["items"].as_array().unwrap().len();
    for (pattern, expected) in [
        ("(a%2B)%2B$", 0),
        ("(a%2B)%2B!?", 2),
        ("NO+relay$", 1),
        ("%5Erejected:+no", 1),
    ] {
        let path = format!("/api/v1/dead?error={pattern}");
        assert_eq!(count(stage.get(&path).await.is(200)), expected, "{pattern}");
    }
    let huge = "a%7B1000%7D%7B1000%7D%7B1000%7D";
    for wrong in ["(", huge, &"x".repeat(1_001)] {
        let path = format!("/api/v1/dead?error={wrong}");
        stage.get(&path).await.refused(400, "error");
    }
    stage.end().await;
}

/// A route that takes JSON takes nothing else.
#[tokio::test]
async fn no_route_takes_a_body_that_it_does_not_name() {
    let stage = Stage::new().await;
    for route in ROUTES {
        if !matches!(route.takes, Takes::Nothing) || !route.is_change() {
            continue;
        }
        let path = route.path.replace("{id}", "x").replace("{name}", "x");
        let answer = stage
            .call(route.method.as_str(), &path, Some(json!({})))
            .await;
        answer.refused(400, "no body");
    }
    stage.end().await;
}

/// S45.
#[tokio::test]
async fn a_trace_goes_on_and_what_is_none_does_no_harm() {
    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let stage = Stage::new().await;
    let (version, zeros) = (
        GOOD.replacen("00", "ff", 1),
        format!("00-{:032}-{:016}-01", 0, 0),
    );
    let upper = GOOD.to_uppercase();
    for (parent, goes_on) in [
        (GOOD, true),
        (&version, false),
        (&zeros, false),
        (&upper, false),
    ] {
        let request = stage
            .request("POST", "/api/v1/tasks")
            .bearer_auth(&stage.admin)
            .header("content-type", "application/json")
            .header("traceparent", parent)
            .header("tracestate", "k=v,".repeat(500))
            .header("baggage", vec!["a=b"; 200].join(","))
            .body(json!({ "kind": "echo" }).to_string());
        // The same as headers of the task itself.
        let own = json!({ "kind": "echo", "headers": {
            "traceparent": parent,
            "tracestate": "k=v,".repeat(500),
            "baggage": vec!["a=b"; 200].join(","),
        }});
        for answer in [
            Answer::of(request.send().await.unwrap()).await.is(202),
            stage.post("/api/v1/tasks", own).await.is(202),
        ] {
            let path = format!("/api/v1/tasks/{}", answer["id"].as_str().unwrap());
            let task = stage.get(&path).await.is(200);
            assert_eq!(task["trace_id"].is_string(), goes_on, "{parent}: {task}");
            let headers = &task["headers"];
            assert!(
                headers["tracestate"].is_null() && headers["baggage"].is_null(),
                "{task}"
            );
        }
    }
    stage.end().await;
}
