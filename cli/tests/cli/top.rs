//! `tidemill top` in a real terminal: tmux shows it, and presses the keys.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::bench::{Bench, PATIENCE};

/// A terminal in which something runs. It goes with its end.
struct Terminal {
    socket: PathBuf,
}

impl Terminal {
    /// Runs the program there, and leaves its exit status on the screen.
    fn start(bench: &Bench, words: &str) -> Self {
        let socket = bench.path("tmux");
        let program = env!("CARGO_BIN_EXE_tidemill");
        let script = format!("{program} {words}; echo ended:$?; read -r _");
        let size = ["-x", "140", "-y", "30"];
        let mut tmux = bench.command();
        // The variables of the bench, for another program.
        let variables: Vec<_> = tmux
            .get_envs()
            .map(|(name, value)| (name.to_owned(), value.map(ToOwned::to_owned)))
            .collect();
        tmux = Command::new("tmux");
        for (name, value) in variables {
            match value {
                Some(value) => tmux.env(name, value),
                None => tmux.env_remove(name),
            };
        }
        tmux.current_dir(bench.path(".")).env("LC_ALL", "C.UTF-8");
        tmux.arg("-S").arg(&socket).args(["-f", "/dev/null", "-u"]);
        tmux.args(["new-session", "-d"]).args(size).arg(script);
        let status = tmux.stdin(Stdio::null()).status();
        let status = status.expect("these tests need tmux; `cargo xtask test` installs it");
        assert!(status.success());
        Self { socket }
    }

    fn tmux(&self, words: &[&str]) -> String {
        let mut tmux = Command::new("tmux");
        let output = tmux.arg("-S").arg(&self.socket).args(words).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    }

    fn press(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    /// Waits until the screen shows what is looked for. Each look is a process, so this does not spin.
    #[track_caller]
    fn until(&self, what: &str, holds: impl Fn(&str) -> bool) -> String {
        #[expect(clippy::disallowed_methods, reason = "a deadline for other processes")]
        let start = Instant::now();
        loop {
            let screen = self.tmux(&["capture-pane", "-p"]);
            if holds(&screen) {
                return screen;
            }
            assert!(start.elapsed() < PATIENCE, "{what} is not shown:\n{screen}");
        }
    }

    #[track_caller]
    fn shows(&self, text: &str) -> String {
        self.until(text, |screen| screen.contains(text))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

#[test]
fn queues_workers_schedules_and_failures_are_seen_and_changed_by_keys() {
    let bench = Bench::new();
    let definition = "[[schedule]]\nid = \"yearly\"\ncron = \"0 0 1 1 *\"\nkind = \"echo\"\n";
    bench.file("jobs.toml", definition);
    bench.say("schedule apply jobs.toml").good();
    let payload = r#"{"message":"relay is away","reject":true}"#;
    let id = bench.enqueue(&["fail", "--payload", payload]);
    let worker = bench.worker();
    bench.ended(&id);

    let top = Terminal::start(&bench, "top");
    let screen = top.until("the queue with its dead letter", |screen| {
        screen.contains("dead 1") && screen.contains("workers 1 ") && screen.contains("default")
    });
    assert!(screen.contains("running"), "{screen}");

    top.press(&["2"]);
    top.shows("working");

    top.press(&["4"]);
    top.shows("relay is away");
    top.press(&["Enter"]);
    let screen = top.shows(&format!("task {id}"));
    assert!(
        screen.contains("rejected") && screen.contains("run 1 buried"),
        "{screen}"
    );
    top.press(&["Escape"]);
    top.shows("Enter look");
    top.press(&["r"]);
    top.shows(&format!("put task {id} back in line now?"));
    top.press(&["n"]);
    top.shows("Enter look");
    assert_eq!(bench.task(&id)["attempt"], 1, "no is no");
    top.press(&["r"]);
    top.shows("back in line now?");
    top.press(&["y"]);
    top.shows(&format!("task {id} retried"));
    bench.ended(&id);
    assert_eq!(bench.task(&id)["attempt"], 2);

    top.press(&["3"]);
    top.shows("yearly");
    top.press(&["p"]);
    top.shows("pause schedule yearly?");
    top.press(&["y"]);
    top.until("the paused schedule", |screen| {
        screen
            .lines()
            .any(|line| line.starts_with("yearly") && line.contains("paused"))
    });
    top.press(&["p", "y"]);
    top.shows("schedule yearly resumed");
    top.press(&["r", "y"]);
    top.shows("schedule yearly fired");

    top.press(&["1"]);
    top.shows("Enter tasks");
    top.press(&["p", "y"]);
    top.shows("queue default paused");
    assert_eq!(
        bench.say("queue stats default -o json").json()[0]["paused"],
        true
    );
    top.press(&["Enter"]);
    top.shows("queue default:");
    top.press(&["q"]);
    top.shows("Enter tasks");
    top.press(&["?"]);
    top.shows("choose a table");
    top.press(&["q"]);
    top.shows("Enter tasks");
    top.press(&["q"]);
    top.shows("ended:0");
    drop(top);
    worker.stop();
}

/// What is shown comes from strangers too. S19.
#[test]
fn a_failure_cannot_drive_the_terminal() {
    let bench = Bench::new();
    let evil = "\u{1b}]2;owned\u{7}\u{1b}[2J\u{202e}evil";
    let payload = serde_json::json!({ "message": evil, "reject": true }).to_string();
    let id = bench.enqueue(&["fail", "--payload", &payload]);
    let worker = bench.worker();
    bench.ended(&id);
    worker.stop();
    let top = Terminal::start(&bench, "top");
    top.shows("dead 1");
    top.press(&["4"]);
    let screen = top.shows("rejected: ");
    assert!(screen.contains("\\u{1b}]2;owned"), "{screen}");
    assert!(screen.contains("tidemill top"), "{screen}");
    top.press(&["C-c"]);
    top.shows("ended:0");
}

#[test]
fn without_a_terminal_it_says_what_shows_the_same() {
    let bench = Bench::new();
    bench.enqueue(&["echo"]);
    bench.say("top").refused(2, "queue list");
    bench.say("top --every 1ms").refused(2, "1s to 1h");
}
