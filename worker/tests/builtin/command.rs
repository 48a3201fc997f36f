//! `command`.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tidemill_shared::ledger::LogStream;
use tidemill_shared::{BuryReason, Change, State, TaskId};
use tidemill_worker::Worker;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::stage::{PATIENCE, Stage, failure, result};

#[tokio::test]
async fn output_is_streamed_into_the_log_and_summed_up_in_the_result() {
    let stage = Stage::new();
    let task = stage
        .command(&["sh", "-c", "echo one; echo two >&2; printf three"])
        .await;
    assert_eq!(task.state, State::Completed);
    let id = &task.envelope.id;
    assert_eq!(stage.lines(id, LogStream::Stdout).await, ["one", "three"]);
    assert_eq!(stage.lines(id, LogStream::Stderr).await, ["two"]);
    let expected = json!({
        "exit_code": 0, "stdout_lines": 2, "stderr_lines": 1, "dropped_bytes": 0, "last_line": "three"
    });
    assert_eq!(result(&task), expected);
}

#[tokio::test]
async fn another_status_than_0_is_a_failure_with_the_last_line_of_standard_error() {
    let stage = Stage::new();
    let task = stage.command(&["sh", "-c", "echo why >&2; exit 3"]).await;
    assert_eq!((task.state, task.failures), (State::Dead, 3));
    assert_eq!(failure(&task), ("exit", "status 3: why"));

    let stage = Stage::new();
    let task = stage.command(&["sh", "-c", "kill -9 $$"]).await;
    assert_eq!(failure(&task), ("exit", "killed by signal 9"));
}

#[tokio::test]
async fn the_program_is_told_about_its_task_and_its_fire() {
    let stage = Stage::new();
    let script = r#"echo "$TIDEMILL_TASK_ID $TIDEMILL_ATTEMPT $TIDEMILL_IDEMPOTENCY_TOKEN"
        echo "$TIDEMILL_SCHEDULE_ID $TIDEMILL_SCHEDULED_AT $TRACEPARENT $MINE"; cat; pwd"#;
    let payload = json!({
        "argv": ["sh", "-c", script], "env": { "MINE": "x y" }, "cwd": "/", "stdin": "in\n"
    });
    let mut envelope = stage.fire("command", &payload);
    envelope.headers.insert(
        "traceparent".into(),
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
    );
    let task = stage.run(envelope).await;
    let lines = stage.lines(&task.envelope.id, LogStream::Stdout).await;
    let at = task.envelope.enqueued_at;
    let expected = [
        "command-1 1 command-1".to_owned(),
        format!("nightly {at} 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 x y"),
        "in".to_owned(),
        "/".to_owned(),
    ];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn output_over_the_limit_is_counted_and_never_cut_in_silence() {
    let stage = Stage::new();
    let payload = json!({
        "argv": ["sh", "-c", "for i in 1 2 3 4 5 6 7 8 9; do echo 123456789; done"], "max_output": 30
    });
    let task = stage.run(stage.envelope("command", &payload)).await;
    assert_eq!(task.state, State::Completed);
    let id = &task.envelope.id;
    assert_eq!(stage.lines(id, LogStream::Stdout).await.len(), 3);
    let notes = stage.lines(id, LogStream::System).await;
    assert_eq!(notes, ["… 6 lines (60 bytes) dropped: max_output is 30"]);
    assert_eq!(result(&task)["dropped_bytes"], 60);
}

#[tokio::test]
async fn a_flood_without_line_ends_neither_stalls_nor_grows() {
    let stage = Stage::new();
    let script = "head -c 20000000 /dev/zero | tr '\\0' x";
    let task = stage.command(&["sh", "-c", script]).await;
    assert_eq!(task.state, State::Completed);
    let lines = stage.lines(&task.envelope.id, LogStream::Stdout).await;
    assert!(lines.iter().all(|line| line.len() == 8_192));
    assert_eq!(lines.len(), 1_000_000 / 8_192);
}

/// Runs a script that writes so many bytes, and sees to it that each of them is either in the log or
/// in the count of its last line. Answers the bytes that are in the log and why others are not.
async fn account(script: &str, max_output: Option<u64>, produced: u64) -> (u64, String) {
    let stage = Stage::new();
    let mut payload = json!({ "argv": ["sh", "-c", script] });
    if let Some(limit) = max_output {
        payload["max_output"] = limit.into();
    }
    let task = stage.run(stage.envelope("command", &payload)).await;
    assert_eq!(task.state, State::Completed);
    let mut log = stage.log(&task.envelope.id).await;
    let last = log.pop().unwrap();
    assert_eq!(last.stream, LogStream::System);
    assert!(log.iter().all(|line| line.stream != LogStream::System));

    let (count, why) = last.text.split_once(" dropped: ").unwrap();
    let digits = |text: &str| text.replace(|c: char| !c.is_ascii_digit(), "");
    let (lines, bytes) = count.split_once('(').unwrap();
    let dropped_lines: u64 = digits(lines).parse().unwrap();
    let dropped_bytes: u64 = digits(bytes).parse().unwrap();

    let result = result(&task);
    let number = |name: &str| result[name].as_u64().unwrap();
    assert_eq!(number("dropped_bytes"), dropped_bytes);
    let written = number("stdout_lines") + number("stderr_lines");
    assert_eq!(log.len() as u64 + dropped_lines, written);
    // The parts of a line that was split have no line ends.
    let size = |text: &str| text.len() + usize::from(text.len() < 8_192);
    let kept = log.iter().map(|line| size(&line.text) as u64).sum();
    assert_eq!(kept + dropped_bytes, produced);
    (kept, why.to_owned())
}

#[tokio::test]
async fn the_log_keeps_max_output_bytes_and_tells_the_rest() {
    let default = "max_output is 1000000";
    // Both bytes and lines come near their limits.
    let (kept, why) = account("seq 1 300000", None, 1_988_895).await;
    assert!((999_990..=1_000_000).contains(&kept), "{kept}");
    assert_eq!(why, default);

    let (kept, why) = account("seq 1 300000", Some(100_000), 1_988_895).await;
    assert!((99_990..=100_000).contains(&kept), "{kept}");
    assert_eq!(why, "max_output is 100000");

    let endless = "head -c 5000000 /dev/zero | tr '\\0' x";
    let (kept, why) = account(endless, None, 5_000_000).await;
    assert_eq!((kept, why.as_str()), (1_000_000 / 8_192 * 8_192, default));

    let both = "seq 1 100000 & seq 1 100000 >&2; wait";
    let (kept, why) = account(both, None, 2 * 588_895).await;
    assert!((999_980..=1_000_000).contains(&kept), "{kept}");
    assert_eq!(why, default);
}

#[tokio::test]
async fn the_limits_of_an_attempt_are_told_in_the_same_line() {
    let lines = "the limit is 200000 lines an attempt";
    let (kept, why) = account("yes '' | head -n 500000", None, 500_000).await;
    assert_eq!((kept, why.as_str()), (200_000, lines));

    let (kept, why) = account("seq 1 300000", Some(10_000_000), 1_988_895).await;
    assert!((1_048_566..=1_048_576).contains(&kept), "{kept}");
    assert_eq!(why, "the limit is 1048576 bytes an attempt");

    let script = "yes '' | head -n 200002; echo 123456789";
    let (kept, why) = account(script, Some(200_005), 200_012).await;
    assert_eq!(kept, 200_000);
    assert_eq!(why, format!("max_output is 200005, {lines}"));
}

#[tokio::test]
async fn what_tidemill_says_of_a_run_is_kept_in_a_full_log() {
    let stage = Stage::new();
    let script = "echo 123456789; echo 123456789; exec sleep 30";
    let mut envelope = stage.envelope("command", &json!({ "argv": ["sh", "-c", script] }));
    envelope.timeout = Duration::from_millis(300);
    envelope.retry.max_attempts = 1;
    let id = stage.enqueue(envelope).await;
    let worker = stage.worker().log_limit(10).build().unwrap();
    tokio::time::timeout(PATIENCE, worker.drain())
        .await
        .expect("it ends")
        .unwrap();
    assert_eq!(
        stage.lines(&id, LogStream::System).await,
        [
            "told to stop (timeout): SIGTERM sent",
            "… 1 lines (10 bytes) dropped: the limit is 10 bytes an attempt"
        ]
    );
}

#[tokio::test]
async fn what_can_never_run_is_rejected_with_the_reason() {
    for (payload, reason) in [
        (json!({ "argv": [] }), "argv is empty"),
        (json!({ "argv": ["/no/such/program"] }), "/no/such/program"),
        (json!({ "argv": ["/etc/passwd"] }), "/etc/passwd"),
        (
            json!({ "argv": ["true"], "cwd": "/no/such/folder" }),
            "/no/such/folder",
        ),
        (json!({ "argv": ["true", "a\0b"] }), "NUL"),
        (json!({ "argv": ["true"], "env": { "A=B": "x" } }), "A=B"),
        (
            json!({ "argv": ["true"], "kill_after": "2m" }),
            "kill_after",
        ),
        (json!({ "argv": ["true", "x".repeat(200_000)] }), "true"),
    ] {
        let stage = Stage::new();
        let task = stage.run(stage.envelope("command", &payload)).await;
        assert_eq!(task.bury_reason, Some(BuryReason::Rejected), "{reason}");
        assert!(failure(&task).1.contains(reason), "{}", failure(&task).1);
    }
}

/// A worker at work.
struct Running {
    stop: CancellationToken,
    at_once: CancellationToken,
    worker: JoinSet<()>,
}

impl Running {
    fn start(worker: Worker) -> Self {
        let (stop, at_once) = (CancellationToken::new(), CancellationToken::new());
        let (first, second) = (stop.clone(), at_once.clone());
        let mut set = JoinSet::new();
        set.spawn(async move { worker.run_until_or(first, second).await.unwrap() });
        let worker = set;
        Self {
            stop,
            at_once,
            worker,
        }
    }

    async fn ended(&mut self) {
        let ended = tokio::time::timeout(PATIENCE, self.worker.join_next()).await;
        ended.expect("the worker ends").unwrap().unwrap();
    }
}

/// Waits until a task's log has this many lines, and answers their texts.
async fn log_of(stage: &Stage, id: &TaskId, count: usize) -> Vec<String> {
    let wait = async {
        loop {
            let log = stage.log(id).await;
            if log.len() >= count {
                return log.into_iter().map(|line| line.text).collect();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .expect("the lines come")
}

/// Waits until a process is gone; one that is only waiting to be buried counts as gone.
async fn gone(pid: &str) {
    let wait = async {
        let stat = Path::new("/proc").join(pid).join("stat");
        while std::fs::read_to_string(&stat).is_ok_and(|text| !text.contains(") Z ")) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .expect("the process ends");
}

/// A program with a grandchild; both ignore SIGTERM, and both tell their ids.
fn stubborn() -> Value {
    let script = "trap '' TERM; (trap '' TERM; echo $BASHPID; while :; do sleep 1; done) & echo $$; wait; while :; do sleep 1; done";
    json!({ "argv": ["bash", "-c", script], "kill_after": "100ms" })
}

#[tokio::test]
async fn at_its_timeout_the_whole_group_gets_sigterm_and_then_sigkill() {
    let stage = Stage::new();
    let mut envelope = stage.envelope("command", &stubborn());
    envelope.timeout = Duration::from_millis(500);
    envelope.retry.max_attempts = 1;
    let task = stage.run(envelope).await;
    assert_eq!(failure(&task).0, "timeout");
    let id = &task.envelope.id;
    let pids = stage.lines(id, LogStream::Stdout).await;
    assert_eq!(pids.len(), 2);
    for pid in &pids {
        gone(pid).await;
    }
    let notes = stage.lines(id, LogStream::System).await.join("\n");
    assert!(
        notes.contains("SIGTERM") && notes.contains("SIGKILL"),
        "{notes}"
    );
}

#[tokio::test]
async fn a_program_that_heeds_sigterm_is_not_killed() {
    let stage = Stage::new();
    let script = "trap 'echo bye; exit 0' TERM; while :; do sleep 0.01; done";
    let mut envelope = stage.envelope("command", &json!({ "argv": ["sh", "-c", script] }));
    envelope.timeout = Duration::from_millis(300);
    envelope.retry.max_attempts = 1;
    let task = stage.run(envelope).await;
    assert_eq!(failure(&task).0, "timeout");
    assert_eq!(
        stage.lines(&task.envelope.id, LogStream::Stdout).await,
        ["bye"]
    );
    assert_eq!(
        stage
            .lines(&task.envelope.id, LogStream::System)
            .await
            .len(),
        1
    );
}

#[tokio::test]
async fn a_cancelled_task_takes_its_whole_group_with_it() {
    let stage = Stage::new();
    let id = stage.enqueue(stage.envelope("command", &stubborn())).await;
    let mut running = Running::start(stage.worker().build().unwrap());
    let pids = log_of(&stage, &id, 2).await;
    let inspect = stage.connection.broker.inspect().unwrap();
    inspect.change(&id, &Change::Cancel).await.unwrap();
    for pid in &pids {
        gone(pid).await;
    }
    running.stop.cancel();
    running.ended().await;
    assert_eq!(stage.task(&id).await.state, State::Cancelled);
}

#[tokio::test]
async fn a_worker_that_ends_at_once_leaves_no_process_behind() {
    let stage = Stage::new();
    let id = stage.enqueue(stage.envelope("command", &stubborn())).await;
    let mut running = Running::start(stage.worker().build().unwrap());
    let pids = log_of(&stage, &id, 2).await;
    running.stop.cancel();
    running.at_once.cancel();
    running.ended().await;
    for pid in &pids {
        gone(pid).await;
    }
    assert_eq!(stage.task(&id).await.state, State::Pending);
}

#[tokio::test]
async fn a_grandchild_that_holds_the_output_does_not_hold_the_run() {
    let stage = Stage::new();
    let script = "sleep 30 & echo $!; printf end";
    let task = stage.command(&["sh", "-c", script]).await;
    assert_eq!(task.state, State::Completed);
    let id = &task.envelope.id;
    let notes = stage.lines(id, LogStream::System).await;
    assert!(
        notes.concat().contains("still holds its output"),
        "{notes:?}"
    );
    let lines = stage.lines(id, LogStream::Stdout).await;
    assert_eq!(lines.get(1).map(String::as_str), Some("end"));
    let pid: i32 = lines[0].parse().unwrap();
    let pid = nix::unistd::Pid::from_raw(pid);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
}
