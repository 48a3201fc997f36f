//! Where settings come from, and what happens when they are wrong.

use crate::bench::{Bench, call};

#[test]
fn without_a_broker_the_call_is_wrong_and_the_remedy_is_named() {
    let bench = Bench::new();
    let answer = call(bench.bare().args(["task", "list"]), b"");
    answer
        .refused(2, "no broker is named")
        .refused(2, "sqlite:PATH or redis://HOST");
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file() {
    let bench = Bench::new();
    bench.file(
        "tidemill.toml",
        "broker = \"sqlite:file.db\"\nnamespace = \"from-file\"",
    );
    let namespace = |env: Option<&str>, flag: Option<&str>| {
        let mut command = bench.bare();
        command.args([
            "enqueue",
            "echo",
            "--reason",
            "x",
            "--log",
            "info",
            "--log-format",
            "json",
        ]);
        if let Some(name) = env {
            command.env("TIDEMILL_NAMESPACE", name);
        }
        if let Some(name) = flag {
            command.args(["--namespace", name]);
        }
        let answer = call(&mut command, b"");
        let audit: serde_json::Value = serde_json::from_str(answer.stderr.trim()).unwrap();
        audit["namespace"].as_str().unwrap().to_owned()
    };
    assert_eq!(namespace(None, None), "from-file");
    assert_eq!(namespace(Some("from-env"), None), "from-env");
    assert_eq!(namespace(Some("from-env"), Some("from-flag")), "from-flag");
    assert!(bench.path("file.db").exists());
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_the_nearest_known_key() {
    let bench = Bench::new();
    bench.file(
        "tidemill.toml",
        "namespace = \"x\"\n\nbrokr = \"memory:\"\n",
    );
    bench
        .say("task list")
        .refused(2, "tidemill.toml:3: unknown field `brokr`")
        .refused(2, "did you mean `broker`?");
    bench.file("other.toml", "[worker]\nconcurency = 3\n");
    bench
        .say("worker --config other.toml")
        .refused(2, "other.toml:2: unknown field `concurency`")
        .refused(2, "did you mean `concurrency`?");
}

#[test]
fn a_wrong_value_is_refused_with_its_line() {
    let bench = Bench::new();
    for (text, line, reason) in [
        ("broker = 3\n", 1, "expected a string"),
        ("\nbroker = \n", 2, ""),
        ("[worker]\nlease = \"5\"\n", 2, "the unit is missing"),
        ("[worker]\nqueues = [\"mail=0\"]\n", 2, "1 to 1000"),
        ("log_format = \"xml\"\n", 1, "unknown variant `xml`"),
        ("namespace = \"a:b\"\n", 1, "contains ':'"),
    ] {
        bench.file("tidemill.toml", text);
        bench
            .say("check")
            .refused(2, &format!("tidemill.toml:{line}: "))
            .refused(2, reason);
    }
    bench.file("tidemill.toml", b"broker = \"\xff\"");
    bench.say("check").refused(2, "is not UTF-8");
}

#[test]
fn a_configuration_that_does_not_exist_is_refused() {
    let bench = Bench::new();
    bench
        .say("task list --config nowhere.toml")
        .refused(2, "nowhere.toml cannot be read");
    bench
        .run(["task", "list", "--config", ""])
        .refused(2, "a value is required for '--config");
}

#[test]
fn a_wrong_schedule_is_refused_with_file_line_id_and_reason() {
    let bench = Bench::new();
    let good = "[[schedule]]\nid = \"good\"\nevery = \"5s\"\nkind = \"echo\"\n";
    for (entry, line, reason) in [
        (
            "id = \"x\"\nkind = \"echo\"\ncron = \"60 * * * *\"\n",
            8,
            "60 * * * *",
        ),
        (
            "id = \"x\"\nkind = \"echo\"\nevery = \"5\"\n",
            8,
            "the unit is missing",
        ),
        (
            "id = \"x\"\nkind = \"echo\"\ncron = \"0 0 30 2 *\"\n",
            8,
            "never fires",
        ),
        (
            "id = \"x\"\nkind = \"echo\"\nevery = \"1s\"\nmisfires = \"skip\"\n",
            9,
            "did you mean `misfire`?",
        ),
        (
            "id = \"x\"\nkind = \"echo\"\nevery = \"1s\"\nretry = { max_atempts = 1 }\n",
            9,
            "did you mean `max_attempts`?",
        ),
        (
            "id = \"x\"\nkind = \"echo\"\nevery = \"1s\"\noverlap = \"skipp\"\n",
            9,
            "did you mean `skip`?",
        ),
        (
            "id = \"x\"\nkind = \"a b\"\nevery = \"1s\"\n",
            7,
            "contains ' '",
        ),
        (
            "id = \"x\"\nkind = \"echo\"\n",
            5,
            "one of cron, every and at",
        ),
        (
            "id = \"x\"\nkind = \"echo\"\ncron = \"* * * * *\"\ntime_zone = \"Local\"\n",
            9,
            "time zone",
        ),
        (
            "id = \"good\"\nkind = \"echo\"\nevery = \"1s\"\n",
            0,
            "stands twice",
        ),
    ] {
        bench.file("jobs.toml", format!("{good}[[schedule]]\n{entry}"));
        let answer = bench.say("schedule apply jobs.toml").refused(2, reason);
        if line > 0 {
            let place = format!("jobs.toml:{line}: ");
            assert!(
                answer.stderr.contains(&place),
                "{place} is not in {answer:?}"
            );
        }
        assert!(
            !bench.path("test.db").exists(),
            "a wrong file makes no store"
        );
    }
}

#[test]
fn check_says_what_is_right_and_what_to_look_at() {
    let bench = Bench::new();
    bench.enqueue(&["echo"]);
    bench.say("queue pause default").good();
    bench.file(
        "tidemill.toml",
        "[[schedule]]\nid = \"a\"\nevery = \"1h\"\nkind = \"echo\"\n",
    );
    let mut command = bench.command();
    command.env("TIDEMILL_NAMESPCE", "x");
    let answer = call(command.arg("check"), b"").good();
    let broker = format!("ok    broker {}", Bench::store_as_shown());
    for line in [
        "ok    configuration tidemill.toml",
        "ok    1 schedule in 1 file",
        &broker,
        "look  the environment variable TIDEMILL_NAMESPCE means nothing",
        "look  queue default is paused",
        "look  no worker is alive",
        "ok    the broker takes writes",
        "it works; 3 things to look at",
    ] {
        assert!(answer.contains(line), "{line} is not in {answer}");
    }
}

#[test]
fn a_broker_that_lacks_its_ledger_is_a_wrong_call_and_no_password_is_told() {
    let bench = Bench::new();
    let mut command = bench.bare();
    command.args(["task", "list", "--broker", "amqp://:s3cret@localhost"]);
    let answer = call(&mut command, b"").refused(2, "name a ledger beside it");
    assert!(!answer.stderr.contains("s3cret"), "{answer:?}");
    let mut help = bench.bare();
    help.env("TIDEMILL_BROKER", "amqp://:s3cret@localhost")
        .arg("--help");
    assert!(!call(&mut help, b"").good().contains("s3cret"));
}

#[test]
fn a_store_that_nobody_else_sees_is_refused_by_commands_that_end_at_once() {
    let bench = Bench::new();
    bench
        .say("enqueue echo --broker memory:")
        .refused(2, "seen by one process alone");
}

#[test]
fn a_word_that_is_no_log_level_is_refused() {
    let bench = Bench::new();
    bench
        .say("enqueue echo --log verbose")
        .refused(2, "\"verbose\" is not a level");
}

#[test]
fn completions_are_written_for_each_shell() {
    let bench = Bench::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = bench.run(["completions", shell]).good();
        assert!(
            script.contains("tidemill") && script.contains("replay"),
            "{shell}"
        );
    }
}

const SPENT: &str = "[worker]\nqueues = [\"default\"]\n[[schedule]]\nid = \"new-year\"\ncron = \"0 0 0 1 1 ? 2020\"\nkind = \"echo\"\n\
    [[schedule]]\nid = \"once\"\nat = 2020-01-01T00:00:00Z\nkind = \"echo\"\n\
    [[schedule]]\nid = \"lost\"\nevery = \"1h\"\nkind = \"echo\"\nqueue = \"mail\"\n";

#[test]
fn a_schedule_without_instants_or_worker_is_warned_of_and_applied_all_the_same() {
    let bench = Bench::new();
    bench.file("tidemill.toml", SPENT);
    for words in [
        "schedule plan tidemill.toml",
        "schedule apply tidemill.toml",
    ] {
        let answer = bench.say(words);
        for warning in [
            "warning: tidemill.toml:4: schedule new-year never fires again",
            "warning: tidemill.toml:8: schedule once never fires again",
        ] {
            assert!(answer.stderr.contains(warning), "{answer:?}");
        }
        answer.good();
    }
    assert_eq!(bench.say("schedule list -o json").json().len(), 3);
    let checked = bench.say("check").good();
    for doubt in [
        "look  tidemill.toml:4: schedule new-year never fires again",
        "look  tidemill.toml:8: schedule once never fires again",
        "look  tidemill.toml:12: schedule lost goes to queue mail, which no worker here serves",
    ] {
        assert!(checked.contains(doubt), "{doubt} is not in {checked}");
    }
    let mut dev = crate::bench::Running::start(bench.command().arg("dev"));
    let line = dev.line_with("goes to queue mail", crate::bench::PATIENCE);
    assert!(line.contains("schedule lost"), "{line}");
    dev.stop();
}

#[test]
fn a_mistake_in_a_file_is_told_with_its_line_and_a_remedy() {
    let bench = Bench::new();
    let entry = "[[schedule]]\nid = \"x\"\nevery = \"1s\"\nkind = \"echo\"\n";
    for (text, place, remedy) in [
        (
            "[schedule]\nid = \"x\"\n".to_owned(),
            "tidemill.toml:1: ",
            "write [[schedule]]",
        ),
        (
            format!("{entry}\npayload = {{ a = [1, inf] }}\n"),
            "tidemill.toml:6: ",
            "expected a finite number",
        ),
        (
            format!("{entry}{entry}"),
            "tidemill.toml:6: the schedule id x stands twice",
            "it stands in tidemill.toml:2 too",
        ),
        (
            "\nlog = \"zzz\"\n".into(),
            "tidemill.toml:2: log",
            "expected error, warn",
        ),
        (
            "[worker]\nconcurrency = \"x\"\n".into(),
            "tidemill.toml:2: ",
            "expected a whole number",
        ),
        (
            "[control]\nrate = 0\n".into(),
            "tidemill.toml:2: ",
            "expected how many requests a second, from 1",
        ),
        (
            "[control]\nrate = -1\n".into(),
            "tidemill.toml:2: ",
            "expected how many requests a second, from 1",
        ),
        (
            "log_format = 3\n".into(),
            "tidemill.toml:1: ",
            "expected a string",
        ),
        (
            "\nschedules = [\"gone.toml\"]\n".into(),
            "gone.toml cannot be read",
            "tidemill.toml:2 lists it",
        ),
    ] {
        bench.file("tidemill.toml", text);
        bench.say("check").refused(2, place).refused(2, remedy);
    }
}
