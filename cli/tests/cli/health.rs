//! How roles say that they live, and whether they can work.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use serde_json::Value;

use crate::bench::{Bench, PATIENCE, Running};

/// Nobody listens on this port.
const NOWHERE: &str = "redis://127.0.0.1:1?timeout=300ms";

const ROLES: [&[&str]; 3] = [
    &["worker"],
    &["producer"],
    &["control", "--listen", "127.0.0.1:0"],
];

/// Starts a role, and finds the port of its metrics.
fn start(mut command: Command, role: &[&str]) -> (Running, String) {
    command.args(["--metrics", "127.0.0.1:0", "--log-format", "json"]);
    let mut running = Running::start(command.args(role));
    let line = running.line_with("serving /metrics", PATIENCE);
    let line: Value = serde_json::from_str(&line).unwrap();
    let address = line["address"].as_str().unwrap().to_owned();
    (running, address)
}

pub(crate) fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer)
}

#[test]
fn a_role_that_waits_for_its_store_lives_and_is_not_ready() {
    let bench = Bench::new();
    for role in ROLES {
        let mut command = bench.bare();
        command.env("TIDEMILL_BROKER", NOWHERE);
        let (running, address) = start(command, role);
        assert_eq!(get(&address, "/healthz").0, 200, "{role:?}");
        assert_eq!(get(&address, "/readyz").0, 503, "{role:?}");
        let (status, page) = get(&address, "/metrics");
        assert_eq!(status, 200, "{role:?}");
        assert!(page.contains("process_start_time_seconds"), "{page}");
        // So that `BrokerDown` is told also when all was started while the store was down.
        let down = r#"tidemill_broker_up{backend="redis"} 0.0"#;
        assert!(page.contains(down), "{role:?}: {page}");
        assert!(page.contains("tidemill_build_info{"), "{role:?}: {page}");
        let (status, lines) = running.stop();
        assert_eq!(status, 0, "{role:?}: {lines:#?}");
    }
}

#[test]
fn a_role_is_ready_when_its_store_answers() {
    let bench = Bench::new();
    for (role, sign) in ROLES.into_iter().zip(["sleep", "leads", "listens"]) {
        let (mut running, address) = start(bench.command(), role);
        running.line_with(sign, PATIENCE);
        let (status, answer) = get(&address, "/readyz");
        assert_eq!(status, 200, "{role:?}: {answer}");
        assert!(answer.ends_with(r#"{"status":"ok"}"#), "{answer}");
        let (_, page) = get(&address, "/metrics");
        let mut lines = page.lines();
        let told = lines.find(|line| line.starts_with("tidemill_broker_up{"));
        assert!(
            told.is_some_and(|up| up.ends_with(" 1.0")),
            "{role:?}: {page}"
        );
        let (status, lines) = running.stop();
        assert_eq!(status, 0, "{role:?}: {lines:#?}");
    }
}
