//! The HTTP API as a process, and its tokens.

use std::io::{Read, Write};
use std::net::TcpStream;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::bench::{Bench, PATIENCE, Running};

pub(crate) struct Service {
    running: Running,
    address: String,
}

impl Service {
    /// Starts the service on a free port.
    pub(crate) fn start(bench: &Bench, more: &[&str]) -> Self {
        let mut command = bench.command();
        command.args(["control", "--listen", "127.0.0.1:0", "--log-format", "json"]);
        let mut running = Running::start(command.args(more));
        let line = running.line_with("the control API listens", PATIENCE);
        let line: Value = serde_json::from_str(&line).unwrap();
        Self {
            running,
            address: line["address"].as_str().unwrap().to_owned(),
        }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// One request; answers the status and the body.
    pub(crate) fn ask(&self, request: &str, token: Option<&str>, body: &str) -> (u16, Value) {
        let (status, body) = self.exchange(request, token, body);
        (status, serde_json::from_str(&body).unwrap_or_default())
    }

    pub(crate) fn exchange(&self, request: &str, token: Option<&str>, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let token = token.map(|token| format!("Authorization: Bearer {token}\r\n"));
        let head = format!(
            "{request} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{}",
            self.address,
            token.unwrap_or_default()
        );
        let length = format!(
            "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream
            .write_all(format!("{head}{length}").as_bytes())
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        (status, body.to_owned())
    }

    pub(crate) fn stop(self) {
        let (status, lines) = self.running.stop();
        assert_eq!(status, 0, "{lines:#?}");
    }
}

/// S2.
#[test]
fn nobody_elses_address_is_listened_on_without_authentication() {
    let bench = Bench::new();
    for auth in ["auto", "required"] {
        let args = ["control", "--listen", "0.0.0.0:0", "--auth", auth];
        bench.run(args).refused(2, "token create");
    }
    let args = ["control", "--listen", "0.0.0.0:0", "--auth", "off"];
    bench.run(args).refused(2, "not a loopback address");
    bench.file("tidemill.toml", "[control]\nlissten = \"127.0.0.1:1\"\n");
    bench.say("control").refused(2, "listen");
}

/// S47.
#[test]
fn the_first_token_closes_the_door_behind_it() {
    let bench = Bench::new();
    let service = Service::start(&bench, &[]);
    assert_eq!(service.ask("GET /api/v1/queues", None, "").0, 200);
    let (status, task) = service.ask("POST /api/v1/tasks", None, r#"{"kind":"echo"}"#);
    assert_eq!(status, 202);
    assert_eq!(bench.task(task["id"].as_str().unwrap())["kind"], "echo");
    service.stop();

    let token = bench
        .say("token create ada --role operator --queue default")
        .good();
    let token = token.trim();
    let service = Service::start(&bench, &[]);
    assert_eq!(service.ask("GET /api/v1/queues", None, "").0, 401);
    assert_eq!(service.ask("GET /api/v1/queues", Some(token), "").0, 200);
    assert_eq!(service.ask("GET /api/v1/tokens", Some(token), "").0, 403);
    let listed = bench.say("token list").good();
    assert!(listed.contains("operator") && !listed.contains(token.rsplit('.').next().unwrap()));
    bench
        .say("token create ada --role viewer")
        .refused(1, "already");
    bench.say("token revoke ada --reason left").good();
    bench.say("token revoke nobody").refused(1, "no token");
    service.running.signal(Signal::SIGTERM);
    let (_, lines) = service.running.ended();
    assert!(!lines.concat().contains(token), "no log holds a token");
}

#[test]
fn requests_are_counted_by_the_name_of_their_route_never_by_their_path() {
    let bench = Bench::new();
    let service = Service::start(&bench, &[]);
    assert_eq!(service.ask("GET /api/v1/tasks/no-such", None, "").0, 404);
    assert_eq!(service.ask("GET /no/such/path", None, "").0, 404);
    assert_eq!(service.ask("GET /api/v1/queues", None, "").0, 200);
    let (status, page) = service.exchange("GET /metrics", None, "");
    assert_eq!(status, 200);
    for labels in [
        r#"route="get_task",code="4xx""#,
        r#"route="none",code="4xx""#,
        r#"route="list_queues",code="2xx""#,
    ] {
        let line = format!("tidemill_http_request_duration_seconds_count{{{labels}}} 1");
        assert!(page.contains(&line), "{line} is not in\n{page}");
    }
    assert!(page.contains(r#"role="control""#) && !page.contains("no-such"));
    service.stop();
}

#[test]
fn dev_serves_the_api() {
    let bench = Bench::new();
    let mut dev = bench.command();
    let mut dev = Running::start(dev.arg("dev"));
    let line = dev.line_with("The API is on", PATIENCE);
    let address = line.split("http://").nth(1).unwrap();
    let address = address.split('/').next().unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(dev.stop().0, 0);
}
