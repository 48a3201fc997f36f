//! Load on RabbitMQ, and the bare loops beside it. `cargo xtask test` names the servers.

use lapin::options::QueueDeleteOptions;
use lapin::{Connection, ConnectionProperties};

use crate::program::{self, errors, last_line, loadtest, number};

fn told(name: &str) -> String {
    program::told(name).expect("`cargo xtask test` sets it")
}

/// Each uses the same queue of one node, so it is one test.
#[test]
fn scenarios_and_their_floors_come_out_on_a_node_that_is_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let ledger = folder.path().join("ledger.db");
    let ledger = format!("sqlite:{}?synchronous=normal", ledger.display());
    for queue_type in ["quorum", "classic"] {
        let node = told("TIDEMILL_TEST_RABBITMQ");
        // The queues of one type are not those of the other.
        let url = format!("{node}?queue_type={queue_type}");
        let to = ["--broker", &url, "--ledger", &ledger];
        let compare = ["compare", "--turns", "1", "--scenario"];
        for (scenario, flags) in [
            (
                "enqueue",
                &["--tasks", "300", "--producers", "4", "--batch", "16"][..],
            ),
            ("drain", &["--tasks", "5000"]),
            ("lifecycle", &["--tasks", "300", "--batch", "64"]),
            ("delayed", &["--tasks", "50", "--duration", "500ms"]),
        ] {
            let call = [&compare[..], &[scenario], &to, &["--"], flags].concat();
            let found = last_line(&loadtest(&call));
            let ratio = number(&found, "figures.tasks_per_second.ratio.median");
            assert!(ratio > 0.0, "{found}");
            let has_lateness = found["figures"].get("lateness_ms_p50").is_some();
            assert_eq!(has_lateness, scenario == "delayed", "{found}");
        }
        let run = ["run", "--scenario"];
        for flags in [
            &["drain", "--tasks", "200", "--workers", "1"][..],
            &["latency", "--tasks", "20"],
            &["takeover", "--tasks", "5", "--lease", "1s"],
        ] {
            last_line(&loadtest(&[&run[..], flags, &to].concat()));
        }
        remove(&node);
    }
}

/// Removes the queues, which the next type has by the same names.
fn remove(node: &str) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let connection = Connection::connect(node, ConnectionProperties::default()).await;
        let channel = connection.expect("it is there").create_channel().await;
        let channel = channel.expect("it has channels");
        for queue in ["line/loadtest", "set-aside"] {
            let queue = format!("tidemill/default/{queue}");
            let options = QueueDeleteOptions::default();
            let removed = channel.queue_delete(queue.as_str().into(), options).await;
            removed.expect("it is removed");
        }
    });
}

#[test]
fn on_a_node_of_its_own_the_broker_and_the_ledger_are_metered_apart() {
    let servers = (
        told("TIDEMILL_TEST_RABBITMQ_SERVER"),
        told("TIDEMILL_TEST_REDIS_SERVER"),
    );
    let to = [
        "run",
        "--broker",
        "rabbitmq",
        "--rabbitmq-server",
        &servers.0,
    ];
    let what = ["--server", &servers.1, "--scenario", "lifecycle"];
    let size = ["--tasks", "6400", "--batch", "64"];
    let found = last_line(&loadtest(&[&to[..], &what, &size].concat()));
    assert!(number(&found, "broker_cpu_us_per_task") > 0.0, "{found}");
    assert!(number(&found, "ledger_cpu_us_per_task") >= 0.0, "{found}");
    let versions = found["versions"]["broker"].as_str().expect("versions");
    assert!(
        versions.starts_with("rabbitmq 3.") || versions.starts_with("rabbitmq 4."),
        "{found}"
    );
    assert!(versions.contains("beside redis "), "{found}");
    // A task that ends well is not the ledger's: it is asked for each batch, and not for each task.
    assert!(number(&found, "commands_per_task") < 0.5, "{found}");
}

#[test]
fn without_a_ledger_it_is_a_wrong_call() {
    let to = [
        "run",
        "--broker",
        "amqp://:s3cret@127.0.0.1:1",
        "--scenario",
    ];
    let said = errors(&loadtest(&[&to[..], &["drain"]].concat()), 2);
    assert!(
        said.contains("ledger") && !said.contains("s3cret"),
        "{said}"
    );
}
