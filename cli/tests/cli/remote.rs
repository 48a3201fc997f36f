//! The same words through the HTTP API: what a command says and does is the same as at the store.

use std::process::Command;

use serde_json::Value;

use crate::bench::{Answer, Bench, call};
use crate::control::Service;

/// A service on the store of a bench, and a token for it.
struct Far {
    bench: Bench,
    service: Service,
    token: String,
}

impl Far {
    fn new() -> Self {
        Self::with(&[])
    }

    /// The same with more words for the service.
    fn with(more: &[&str]) -> Self {
        let bench = Bench::new();
        let token = bench.say("token create far --role admin").good();
        Self {
            service: Service::start(&bench, more),
            token: token.trim().to_owned(),
            bench,
        }
    }

    /// The binary, which knows the API alone.
    fn command(&self) -> Command {
        let mut command = self.bench.bare();
        command.env("TIDEMILL_API", format!("http://{}", self.service.address()));
        command.env("TIDEMILL_TOKEN", &self.token);
        command
    }

    #[track_caller]
    fn run(&self, words: &[&str]) -> Answer {
        call(self.command().args(words), b"")
    }

    #[track_caller]
    fn say(&self, words: &str) -> Answer {
        self.run(&words.split_whitespace().collect::<Vec<_>>())
    }

    /// Expects the same answer at the store and through the API.
    #[track_caller]
    fn same(&self, words: &str) -> String {
        let (near, far) = (self.bench.say(words), self.say(words));
        let seen = (near.status, &near.stdout, &near.stderr);
        assert_eq!(seen, (far.status, &far.stdout, &far.stderr), "{words}");
        far.stdout
    }
}

/// Text that hardly stands in a header or a query as it is.
const ODD: &str = "relay & co = 100 % \"away\" – größer #1?";

#[test]
fn what_is_looked_at_looks_the_same() {
    let far = Far::new();
    let bench = &far.bench;
    let definition = "[[schedule]]\nid = \"yearly\"\ncron = \"0 0 1 1 *\"\nkind = \"echo\"\noverlap = \"skip\"\n";
    bench.file("jobs.toml", definition);
    bench.say("schedule apply jobs.toml").good();
    bench.say("schedule run-now yearly").good();
    let payload = serde_json::json!({ "message": ODD, "reject": true }).to_string();
    let dead = bench.enqueue(&["fail", "--payload", &payload, "--key", ODD]);
    let done = bench.enqueue(&[
        "command",
        "--payload",
        r#"{"argv":["sh","-c","echo one; echo two"]}"#,
    ]);
    let worker = bench.worker();
    bench.ended(&dead);
    bench.ended(&done);
    worker.stop();
    let waits = bench.enqueue(&["echo", "--queue", "mail", "--in", "1h", "--timeout", "7s"]);
    bench
        .run(["queue", "pause", "mail", "--reason", ODD])
        .good();

    for words in [
        format!("task get {dead}"),
        format!("task get {done} -o json"),
        format!("task get {waits}"),
        "task get nobody".into(),
        format!("task why {dead} -o json"),
        format!("task logs {done}"),
        format!("task logs -t {done} -o json"),
        "task logs nobody".into(),
        "task list".into(),
        "task list -o json".into(),
        "task list --limit 1".into(),
        "task list --state dead,scheduled --all".into(),
        "task list --queue nowhere".into(),
        "task cancel --queue mail --dry-run".into(),
        format!("dead show {dead} -o json"),
        format!("dead show {waits}"),
        "dead list".into(),
        "dead list --buried-for rejected -o json".into(),
        "dead replay --all --dry-run".into(),
        "dead replay --kind nothing --dry-run -o json".into(),
        "dead replays".into(),
        "dead undo nobody".into(),
        "dead export".into(),
        "queue list".into(),
        "queue list -o json".into(),
        "queue history mail --since 24h -o json".into(),
        "queue remove nowhere".into(),
        "queue remove mail".into(),
        "queue drain nowhere".into(),
        "schedule list".into(),
        "schedule list -o json".into(),
        "schedule show yearly".into(),
        "schedule show nobody".into(),
        "schedule fires yearly -o json".into(),
        "schedule pause nobody".into(),
        "schedule plan jobs.toml".into(),
        "schedule apply jobs.toml --dry-run".into(),
        "workers -o json".into(),
        "producers".into(),
        "token list".into(),
        "token revoke nobody".into(),
    ] {
        far.same(&words);
    }
    let key = far
        .run(&["task", "list", "--key", ODD, "-o", "json"])
        .json();
    assert_eq!(key.len(), 1);
    let error = far
        .run(&["task", "list", "--error", "größer #1?", "-o", "json"])
        .json();
    assert_eq!(error[0]["id"], dead.as_str());
    far.service.stop();
}

#[test]
fn a_service_that_takes_each_change_once_takes_those_of_the_command_line() {
    let far = Far::with(&["--one-time"]);
    for words in [
        "queue pause mail",
        "queue resume mail",
        "queue pause mail",
        "enqueue echo",
        "token create ada --role viewer",
        "token revoke ada",
    ] {
        far.say(words).good();
    }
    assert_eq!(far.bench.say("queue list -o json").json().len(), 2);
    far.service.stop();
}

#[test]
fn what_is_changed_is_changed_and_recorded_once() {
    let far = Far::new();
    let bench = &far.bench;
    let id = far
        .run(&[
            "enqueue",
            "echo",
            "--key",
            "k",
            "--priority",
            "9",
            "--max-attempts",
            "3",
            "--header",
            "a=b",
        ])
        .good();
    let id = id.trim();
    let task = bench.task(id);
    assert_eq!(
        (&task["key"], &task["priority"], &task["max_attempts"]),
        (&"k".into(), &9.into(), &3.into())
    );
    far.say("enqueue echo --key k").good();
    far.say(&format!("enqueue echo --id {id}"))
        .refused(1, "is taken");
    far.say("enqueue a:b").refused(2, "kind");
    far.run(&["task", "reschedule", id, "--in", "1h", "--reason", ODD])
        .good();
    assert_eq!(bench.task(id)["state"], "scheduled");
    assert!(bench.say(&format!("task logs {id}")).good().contains(ODD));
    far.say(&format!("task retry {id}")).good();
    assert_eq!(bench.task(id)["state"], "pending");
    far.say(&format!("task bury {id}")).good();
    far.say(&format!("task bury {id}"))
        .refused(1, "makes no sense");
    let told = far
        .run(&[
            "dead",
            "replay",
            id,
            "--edit",
            r#"{"x":1}"#,
            "--to-queue",
            "other",
        ])
        .good();
    assert!(told.contains("dead -> pending"), "{told}");
    assert_eq!(bench.task(id)["queue"], "other");
    far.say(&format!("task cancel {id} --dry-run")).good();
    far.say("task cancel --queue other --yes").good();
    assert_eq!(bench.task(id)["state"], "cancelled");
    far.say(&format!("task delete {id} nobody"))
        .refused(1, "does not exist");
    bench.say(&format!("task get {id}")).refused(1, "no task");

    far.say("queue limit mail 1").good();
    far.say("enqueue echo --queue mail").good();
    far.say("enqueue echo --queue mail")
        .refused(1, "its limit is 1");
    far.say("queue drain mail").good();
    far.say("enqueue echo --queue mail").refused(1, "full");
    far.say("queue resume mail").good();
    far.say("enqueue echo --queue mail").good();
    far.say("queue remove mail").refused(1, "holds 2 tasks");
    far.say("queue remove mail --force").good();
    bench.say("queue remove mail").refused(1, "no queue");

    let definition = "[[schedule]]\nid = \"hourly\"\ncron = \"0 * * * *\"\nkind = \"echo\"\n";
    bench.file("jobs.toml", definition);
    let told = far.say("schedule apply jobs.toml").good();
    assert!(told.contains("1 added"), "{told}");
    far.run(&["schedule", "pause", "hourly", "--reason", "wait"])
        .good();
    let shown = bench
        .run(["schedule", "show", "hourly", "-o", "json"])
        .json();
    assert_eq!(shown[0]["pause_reason"], "wait");
    far.say("schedule resume hourly").good();
    let task = far.say("schedule run-now hourly").good();
    assert_eq!(bench.task(task.trim())["schedule_id"], "hourly");
    let planned = far
        .say("schedule backfill hourly --from 3h --until 1m --dry-run")
        .good();
    assert!(planned.contains("3 fires to enqueue"), "{planned}");
    far.say("schedule backfill hourly --from 3h --until 1m --limit 2")
        .good();
    far.say("schedule delete hourly").good();

    let token = far
        .say("token create eye --role viewer --queue mail")
        .good();
    let mut eye = far.command();
    eye.env("TIDEMILL_TOKEN", token.trim());
    call(eye.args(["queue", "pause", "mail"]), b"").refused(1, "403");
    far.say("token revoke eye").good();
    let (_, audit) = far
        .service
        .ask("GET /api/v1/audit?limit=1000", Some(&far.token), "");
    let records = audit["items"].as_array().unwrap();
    let of = |action: &str| {
        records
            .iter()
            .filter(|record| record["action"] == action)
            .count()
    };
    assert_eq!(
        (
            of("apply_schedules"),
            of("trigger_schedule"),
            of("revoke_token")
        ),
        (1, 1, 1),
        "{records:#?}"
    );
    let moved = records.iter().find(|record| record["reason"] == ODD);
    assert_eq!(moved.unwrap()["actor"], "far");
    far.service.stop();
}

/// Behaviour 74.
#[test]
fn a_change_of_many_is_one_request_and_leaves_its_reason_with_each_task() {
    let far = Far::new();
    let bench = &far.bench;
    for number in 0..30 {
        let queue = if number < 20 { "many" } else { "few" };
        bench.enqueue(&["echo", "--id", &format!("t{number}"), "--queue", queue]);
    }
    far.same("task cancel --queue many --dry-run -o json");
    let told = far
        .run(&[
            "task", "cancel", "--queue", "many", "--yes", "--reason", ODD,
        ])
        .good();
    assert_eq!(told, "20 tasks cancelled\n");
    assert!(bench.say("task logs t7").good().contains(ODD));
    let told = far.say("task delete --queue many --yes --limit 15").good();
    assert_eq!(told, "15 tasks deleted\n");
    let told = far.say("task delete --queue many --yes").good();
    assert_eq!(told, "5 tasks deleted\n");
    far.say("task cancel --all --yes --rate 1000/s").good();
    let (_, page) = far.service.exchange("GET /metrics", Some(&far.token), "");
    let count = |route: &str, code: &str| {
        let name = format!(
            "tidemill_http_request_duration_seconds_count{{route=\"{route}\",code=\"{code}\"}} "
        );
        let line = page.lines().find_map(|line| line.strip_prefix(&name));
        line.map(|count| count.parse::<u64>().unwrap())
    };
    // Two removals, each of which asks for the count first.
    assert_eq!(count("change_many", "4xx"), Some(2), "{page}");
    assert_eq!(count("change_many", "2xx"), Some(4), "{page}");
    assert_eq!(
        (count("act", "2xx"), count("delete_task", "2xx")),
        (None, None)
    );
    far.service.stop();
}

#[test]
fn an_imported_letter_keeps_its_rules() {
    let far = Far::new();
    let bench = &far.bench;
    bench.file(
        "jobs.toml",
        "[[schedule]]\nid = \"s\"\nat = 2099-01-01T00:00:00Z\nkind = \"fail\"\n\
         payload = { reject = true, sum = 0.10 }\n\
         retry = { max_attempts = 4, initial = \"7s\", multiplier = 3, jitter = \"none\", crash_limit = 9 }\n",
    );
    bench.say("schedule apply jobs.toml").good();
    let id = bench.say("schedule run-now s").good();
    let id = id.trim();
    let worker = bench.worker();
    bench.ended(id);
    worker.stop();
    let path = format!("GET /api/v1/tasks/{id}?full=true");
    let envelope = || {
        let (_, task) = far.service.ask(&path, Some(&far.token), "");
        task["record"]["envelope"].clone()
    };
    let before = envelope();
    assert_eq!(before["retry"]["initial"], "7s", "{before}");
    bench.say("dead export --file letters.jsonl").good();
    far.say("dead purge --all --yes").good();
    far.say("dead import letters.jsonl").good();
    let after = envelope();
    for field in ["retry", "payload", "timeout", "retention", "queue", "kind"] {
        assert_eq!(before[field], after[field], "{field}");
    }
    far.service.stop();
}

#[test]
fn an_imported_letter_keeps_bytes_that_are_not_json() {
    let far = Far::new();
    let bench = &far.bench;
    let id = bench.enqueue(&["echo"]);
    bench.say(&format!("task bury {id}")).good();
    bench.say("dead export --file letters.jsonl").good();
    far.say("dead purge --all --yes").good();
    let file = std::fs::read_to_string(bench.path("letters.jsonl")).unwrap();
    let mut line: serde_json::Value = serde_json::from_str(&file).unwrap();
    let envelope = line["envelope"].as_object_mut().unwrap();
    envelope.remove("payload");
    envelope.insert("payload_base64".into(), "AP9waWN0dXJl".into());
    envelope.insert("content_type".into(), "image/x-tide".into());
    bench.file("bytes.jsonl", format!("{line}\n"));
    far.say("dead import bytes.jsonl").good();
    let path = format!("GET /api/v1/tasks/{id}?full=true");
    let (_, task) = far.service.ask(&path, Some(&far.token), "");
    let there = &task["record"]["envelope"];
    assert_eq!(there["payload_base64"], "AP9waWN0dXJl", "{there}");
    assert_eq!(there["content_type"], "image/x-tide");
    far.service.stop();
}

#[test]
fn a_replay_runs_there_and_is_watched_here() {
    let far = Far::new();
    let bench = &far.bench;
    for _ in 0..20 {
        let id = bench.enqueue(&["echo", "--queue", "mail"]);
        bench.say(&format!("task bury {id}")).good();
    }
    let answer = far
        .run(&[
            "dead", "replay", "--queue", "mail", "--rate", "100/s", "-o", "json",
        ])
        .json();
    assert_eq!(answer[0]["changed"], 20);
    let replay = answer[0]["replay"].as_str().unwrap();
    far.same("dead replays -o json");
    far.say(&format!("dead resume {replay}")).good();
    let told = far
        .say(&format!("dead undo {replay} --reason early"))
        .good();
    assert!(told.contains("20 taken back"), "{told}");
    far.service.stop();
}

/// Profiles name environments; who is not let in hears why, and no token is ever shown.
#[test]
fn environments_are_named_in_the_file() {
    let far = Far::new();
    let address = far.service.address();
    far.bench.file("secret", format!("{}\n", far.token));
    far.bench.file(
        "tidemill.toml",
        format!(
            "broker = \"sqlite:near.db\"\ndefault_profile = \"near\"\n\
             [profile.near]\nnamespace = \"here\"\n\
             [profile.far]\napi = \"http://{address}\"\ntoken_file = \"secret\"\n\
             [profile.stranger]\napi = \"http://{address}\"\n\
             [profile.gone]\napi = \"http://127.0.0.1:1\"\n"
        ),
    );
    let say = |words: &str| call(far.bench.bare().args(words.split_whitespace()), b"");
    say("enqueue echo --queue near").good();
    let far_id = say("enqueue echo --queue far --profile far").good();
    let found = say(&format!("task get {} --profile far -o json", far_id.trim())).json();
    assert_eq!(found[0]["queue"], "far");
    let queues = |words: &str| -> Vec<Value> {
        say(words)
            .json()
            .iter()
            .map(|one| one["queue"].clone())
            .collect()
    };
    assert_eq!(queues("queue list -o json"), ["near"]);
    assert_eq!(queues("queue list -o json --profile far"), ["far"]);
    assert_eq!(
        queues("queue list -o json --profile far --broker sqlite:near.db --namespace here"),
        ["near"]
    );
    say("queue list --profile stranger").refused(2, "TIDEMILL_TOKEN");
    say("queue list --profile gone").refused(1, "cannot be reached");
    say("queue list --profile fra").refused(2, "there are far, gone, near, stranger");
    say("check --profile far").refused(2, "at the broker");
    say("worker --profile far").refused(2, "at the broker");
    let mut wrong = far.command();
    wrong.env("TIDEMILL_TOKEN", "tidemill_far.wr0ng");
    let answer = call(wrong.args(["queue", "list", "--log", "trace"]), b"").refused(2, "401");
    assert!(!answer.stderr.contains("wr0ng"), "{answer:?}");
    far.say("queue list --broker sqlite:near.db")
        .refused(2, "both");
    let answer = far
        .say("queue list --api ftp://x")
        .refused(2, "http://HOST");
    assert!(!answer.stderr.contains(&far.token));
    far.service.stop();
}
