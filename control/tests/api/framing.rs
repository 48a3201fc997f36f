//! Requests that are not well framed, slow or many.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::stage::{PATIENCE, Stage};

/// What comes back for these bytes, until the server closes.
async fn say(stage: &Stage, text: &str) -> String {
    let mut stream = TcpStream::connect(stage.address).await.unwrap();
    // The server may close before it has read all.
    stream.write_all(text.as_bytes()).await.ok();
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    tokio::time::timeout(PATIENCE, read).await.unwrap().ok();
    String::from_utf8_lossy(&answer).into_owned()
}

/// S25.
#[tokio::test]
async fn what_a_proxy_might_read_otherwise_is_refused_and_closed() {
    let stage = Stage::new().await;
    let smuggled = "0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    let post = "POST /api/v1/tasks HTTP/1.1\r\nHost: 127.0.0.1\r\n";
    let both = [
        format!("{post}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n{smuggled}"),
        format!("{post}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n{smuggled}"),
        format!("{post}X: a\nTransfer-Encoding: chunked\r\n\r\n{smuggled}"),
    ];
    for text in both {
        let answer = say(&stage, &text).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{text:?}: {answer:?}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer:?}");
    }
    let cases = [
        "POST /api/v1/tasks HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Folded: a\r\n b\r\nConnection: close\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost : 127.0.0.1\r\nConnection: close\r\n\r\n",
        "GET /healthz\r\n\r\n",
        "GET /healthz HTTP/1.1\nHost: 127.0.0.1\n\n",
        "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: b\nX-C: d\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: b\rX-C: d\r\n\r\n",
        "\0\0\0\r\n\r\n",
    ];
    for case in cases {
        let answer = say(&stage, case).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{case:?}: {answer:?}");
    }
    let absolute =
        "GET http://evil.example/healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
    let answer = say(&stage, absolute).await;
    assert!(answer.starts_with("HTTP/1.1 421"), "{answer:?}");
    stage.end().await;
}

/// S24. HTTP/2 is not spoken; heads have a size.
#[tokio::test]
async fn a_head_has_a_size_and_a_version() {
    let stage = Stage::new().await;
    let head = "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n";
    let many: String = (0..1_000).map(|n| format!("X-{n}: 1\r\n")).collect();
    let long = format!("X-Long: {}\r\n", "x".repeat(64 * 1_024));
    for more in [many, long] {
        let answer = say(&stage, &format!("{head}{more}\r\n")).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
            "{answer:?}"
        );
    }
    let answer = say(&stage, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert!(!answer.contains(" 200 "), "{answer:?}");
    stage.end().await;
}

/// S21.
#[tokio::test]
async fn a_chunked_body_without_end_is_cut_off() {
    let stage = Stage::with(|settings| settings.max_body = 10_000).await;
    let mut text = format!(
        "POST /api/v1/tasks HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
        stage.admin
    );
    for _ in 0..20 {
        text.push_str(&format!("400\r\n{}\r\n", "x".repeat(1_024)));
    }
    let answer = say(&stage, &text).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer:?}");
    stage.end().await;
}

/// S23.
#[tokio::test]
async fn idle_and_slow_connections_do_not_keep_others_out() {
    let stage = Stage::with(|settings| settings.timeout = Duration::from_millis(300)).await;
    let mut idle = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(stage.address).await.unwrap();
        stream.write_all(b"GET /healthz HTT").await.unwrap();
        idle.push(stream);
    }
    let asked = stage.request("GET", "/healthz").send();
    let answer = tokio::time::timeout(PATIENCE, asked)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(answer.status(), 200);
    // A body that does not come ends with the time of the request.
    let slow = format!(
        "POST /api/v1/tasks HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{",
        stage.admin
    );
    let answer = say(&stage, &slow).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer:?}");
    drop(idle);
    stage.end().await;
}

/// A stream of events that is open: a connection that is busy.
async fn busy(stage: &Stage) -> TcpStream {
    let mut stream = TcpStream::connect(stage.address).await.unwrap();
    let ask = format!(
        "GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {}\r\n\r\n",
        stage.admin
    );
    stream.write_all(ask.as_bytes()).await.unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    stream
}

/// S23.
#[tokio::test]
async fn no_more_connections_are_served_than_was_said() {
    let stage = Stage::with(|settings| settings.max_connections = 4).await;
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(busy(&stage).await);
    }
    let mut fifth = TcpStream::connect(stage.address).await.unwrap();
    let ask = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    fifth.write_all(ask).await.unwrap();
    let mut first = [0; 12];
    let early =
        tokio::time::timeout(Duration::from_millis(200), fifth.read_exact(&mut first)).await;
    assert!(early.is_err(), "it waits until one of the four has gone");
    held.pop();
    let served = tokio::time::timeout(PATIENCE, fifth.read_exact(&mut first)).await;
    served.unwrap().unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    drop((held, fifth));
    stage.end().await;
}

/// S23. Ten thousand connections that say nothing, or never end their heads, and among them somebody
/// who has a stream open, and somebody who asks how the service is.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_idle_connections_keep_nobody_out() {
    let limit = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE);
    let (soft, hard) = limit.unwrap();
    nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    // Each has a descriptor here, and those that are served one more.
    let many = usize::try_from(hard)
        .unwrap_or(usize::MAX)
        .saturating_sub(3_000);
    let many = many.min(10_000);
    assert!(many > 1_000, "descriptors: {soft} of {hard}");
    let stage = Stage::new().await;
    let mut events = busy(&stage).await;
    let mut idle = Vec::with_capacity(many);
    let mut slowest = Duration::ZERO;
    for number in 0..many {
        let mut stream = TcpStream::connect(stage.address).await.unwrap();
        if number % 2 == 0 {
            stream.write_all(b"GET /healthz HTT").await.ok();
        }
        idle.push(stream);
        if number % 500 == 499 {
            let before = tokio::time::Instant::now();
            // A connection of its own each time, as a probe of health has.
            let answer = say(
                &stage,
                "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
            );
            assert!(answer.await.starts_with("HTTP/1.1 200"));
            slowest = slowest.max(before.elapsed());
        }
    }
    // A few milliseconds on a machine that does nothing else.
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    stage
        .enqueue(serde_json::json!({ "kind": "echo", "queue": "seen" }))
        .await;
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("seen") {
        let read = events.read_buf(&mut seen);
        let read = tokio::time::timeout(PATIENCE, read).await.unwrap().unwrap();
        assert!(read > 0, "the stream was not the one to give way");
    }
    drop((idle, events));
    stage.end().await;
}
