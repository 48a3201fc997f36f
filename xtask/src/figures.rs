//! The figures of docs/performance.md: every command is run, and what it says is written down.

use std::path::Path;
use std::process::Command;

use clap::Args;

use crate::interrupts::Interrupts;
use crate::services::{Measured, Source};
use crate::step::{Outcome, command, root, run};

const DOCUMENT: &str = "docs/performance.md";
const MARK: &str = "<!-- written by `cargo xtask figures` -->\n";
const LOADTEST: &str = "tidemill-loadtest";

struct Section {
    title: &'static str,
    about: &'static str,
    commands: &'static [&'static str],
}

const SECTIONS: &[Section] = &[
    Section {
        title: "Life cycle beside a bare loop",
        about: "Enqueue, lease and settle, batch by batch, against the same statements in a bare `rusqlite` loop on tables \
                copied from the store; the two alternate on fresh files, and the median turn of each counts. One caller, so \
                nothing is coalesced.",
        commands: &[
            "tidemill-loadtest compare --synchronous normal --batch 16 --batch 64 --batch 256",
            "tidemill-loadtest compare --synchronous full --batch 16 --batch 64 --batch 256",
        ],
    },
    Section {
        title: "Draining a backlog",
        about: "A real worker with a handler that does nothing, from its start until the store knows that every task has ended. \
                The batches of a worker are as large as its slots allow: 256 of them unless the command says otherwise.",
        commands: &[
            "tidemill-loadtest run --broker sqlite:load.db?synchronous=normal --scenario drain --tasks 300000",
            "tidemill-loadtest run --broker sqlite:load.db?synchronous=normal --scenario drain --tasks 300000 --concurrency 1024",
            "tidemill-loadtest run --broker sqlite:load.db?synchronous=full --scenario drain --tasks 300000",
        ],
    },
    Section {
        title: "Enqueuing",
        about: "Callers that await each answer. Concurrent callers share a commit.",
        commands: &[
            "tidemill-loadtest run --broker sqlite:load.db?synchronous=full --scenario enqueue --tasks 3000 --callers 1",
            "tidemill-loadtest run --broker sqlite:load.db?synchronous=full --scenario enqueue --tasks 50000 --callers 64",
            "tidemill-loadtest run --broker sqlite:load.db?synchronous=normal --scenario enqueue --tasks 100000 --callers 64",
            "tidemill-loadtest run --broker sqlite:load.db?synchronous=normal --scenario enqueue --tasks 200000 --batch 256",
        ],
    },
    Section {
        title: "From enqueue to the handler's start",
        about: "On an idle store, one task at a time, counted from the call of the enqueue, its commit included.",
        commands: &[
            "tidemill-loadtest run --broker sqlite:load.db?synchronous=normal --scenario latency --tasks 2000",
            "tidemill-loadtest run --broker sqlite:load.db?synchronous=full --scenario latency --tasks 2000",
            "tidemill-loadtest run --broker sqlite:load.db?synchronous=normal --scenario latency --tasks 2000 --across-processes",
            "tidemill-loadtest run --broker sqlite:load.db?synchronous=full --scenario latency --tasks 2000 --across-processes",
        ],
    },
    Section {
        title: "A steady rate",
        about: "Tasks come at their planned instants whatever the store does; counted from the planned instant to the handler's start.",
        commands: &[
            "tidemill-loadtest run --broker sqlite:load.db?synchronous=normal --scenario steady --rate 1000 --tasks 10000",
            "tidemill-loadtest run --broker sqlite:load.db?synchronous=normal --scenario steady --rate 10000 --tasks 100000",
        ],
    },
    Section {
        title: "Delayed tasks",
        about: "How late they start; a single early one fails the run.",
        commands: &[
            "tidemill-loadtest run --broker sqlite:load.db?synchronous=normal --scenario delayed --tasks 10000 --over 10s",
            "tidemill-loadtest run --broker sqlite:load.db?synchronous=normal --scenario burst --tasks 50000",
        ],
    },
    Section {
        title: "Redis: a worker beside a bare pipeline of its scripts",
        about: "The two alternate on one server; the median turn of each counts. The pipeline sends the quick scripts and reads the records, \
                from four loops on one connection; nothing decodes an envelope and nothing runs. `redis us` is the server's own processor time \
                for a task. Server, worker and pipeline share the machine's cores. The second server appends to a file, `appendfsync everysec`.",
        commands: &[
            "tidemill-loadtest pipeline --broker redis://127.0.0.1:6379",
            "tidemill-loadtest pipeline --broker redis://127.0.0.1:6380",
        ],
    },
    Section {
        title: "Redis: draining and enqueuing",
        about: "As above for SQLite: a real worker, and callers that await each answer.",
        commands: &[
            "tidemill-loadtest run --broker redis://127.0.0.1:6379 --scenario drain --tasks 300000",
            "tidemill-loadtest run --broker redis://127.0.0.1:6379 --scenario drain --tasks 300000 --concurrency 1024",
            "tidemill-loadtest run --broker redis://127.0.0.1:6379 --scenario drain --tasks 300000 --payload 1024",
            "tidemill-loadtest run --broker redis://127.0.0.1:6379 --scenario enqueue --tasks 50000 --callers 1",
            "tidemill-loadtest run --broker redis://127.0.0.1:6379 --scenario enqueue --tasks 300000 --callers 64",
            "tidemill-loadtest run --broker redis://127.0.0.1:6379 --scenario enqueue --tasks 400000 --batch 256",
            "tidemill-loadtest run --broker redis://127.0.0.1:6379 --scenario enqueue --tasks 400000 --batch 256 --callers 4",
        ],
    },
    Section {
        title: "Redis: losing a worker, losing the server",
        about: "A worker is killed with SIGKILL while it runs a thousand tasks; another, which was there before, has run the last of them \
                again after the lease and the time for them all. Then a server of the measurement's own, `appendfsync everysec`, is killed \
                and started again under a fixed rate; it is quiet again when the last task has started that started more than 100 ms late.",
        commands: &[
            "tidemill-loadtest run --broker redis://127.0.0.1:6379 --scenario crash --tasks 1000 --lease 10s",
            "tidemill-loadtest outage --rate 2000 --over 30s --away 1s",
        ],
    },
    Section {
        title: "Redis: latency",
        about: "On an idle store, one task at a time; then at fixed rates; then tasks with due instants, none of which may be early.",
        commands: &[
            "tidemill-loadtest run --broker redis://127.0.0.1:6379 --scenario latency --tasks 2000",
            "tidemill-loadtest run --broker redis://127.0.0.1:6379 --scenario latency --tasks 2000 --across-processes",
            "tidemill-loadtest run --broker redis://127.0.0.1:6379 --scenario steady --rate 1000 --tasks 10000",
            "tidemill-loadtest run --broker redis://127.0.0.1:6379 --scenario steady --rate 10000 --tasks 100000",
            "tidemill-loadtest run --broker redis://127.0.0.1:6379 --scenario steady --rate 50000 --tasks 250000",
            "tidemill-loadtest run --broker redis://127.0.0.1:6379 --scenario delayed --tasks 10000 --over 10s",
            "tidemill-loadtest run --broker redis://127.0.0.1:6379 --scenario burst --tasks 100000",
        ],
    },
    Section {
        title: "Fires of schedules",
        about: "Schedules that fire each second, and one producer. With a horizon longer than the time for which they fire it puts all of them \
                ahead as fast as it can. With a worker, lateness counts from the due instant of each fire to its handler's start; the jitter \
                spreads the fires over their second. Afterwards each instant has to be on record once, and to have run once.",
        commands: &[
            "tidemill-loadtest run --broker redis://127.0.0.1:6379 --scenario fires --rate 20000 --over 20s --horizon 60s",
            "tidemill-loadtest run --broker redis://127.0.0.1:6379 --scenario fires --rate 10000 --over 5s --horizon 5s --jitter 1s --workers 1",
            "tidemill-loadtest run --broker sqlite:load.db?synchronous=normal --scenario fires --rate 10000 --over 10s --horizon 60s",
        ],
    },
    Section {
        title: "The next fire of an expression",
        about: "Also for expressions that fire once in decades.",
        commands: &["cargo bench --quiet -p tidemill-shared --bench next_fire"],
    },
    Section {
        title: "A million schedules",
        about: "Time and memory for a scheduler to read them and to know what is due next.",
        commands: &["cargo bench --quiet -p tidemill-producer --bench million_schedules"],
    },
];

/// Which figures are taken.
#[derive(Args)]
pub(crate) struct Figures {
    /// Only the sections whose titles contain one of these words; the others stay as they are.
    words: Vec<String>,
    #[command(flatten)]
    source: Source,
}

impl Figures {
    fn are_wanted(&self, title: &str) -> bool {
        self.words.is_empty() || self.words.iter().any(|word| title.contains(word.as_str()))
    }

    /// Builds the load generator in release mode, runs every command in a fresh folder, and writes what
    /// stands below the mark.
    pub(crate) fn write(&self) -> Outcome {
        run(command("cargo", &["build", "--release", "-p", LOADTEST]))?;
        let path = root().join(DOCUMENT);
        let failed = |error: std::io::Error| vec![format!("{DOCUMENT}: {error}")];
        let written = std::fs::read_to_string(&path).map_err(failed)?;
        let Some((above, before)) = written.split_once(MARK) else {
            return Err(vec![format!("{DOCUMENT} has no line {MARK:?}")]);
        };
        let interrupts = Interrupts::listen()?;
        let servers = Measured::start(&self.source, &interrupts)?;
        let mut text = format!("{above}{MARK}\nMachine: {}.\n", machine());
        for section in SECTIONS {
            text.push_str(&if self.are_wanted(section.title) {
                section.measured(&servers)?
            } else {
                section.as_written(before)
            });
        }
        std::fs::write(&path, text).map_err(failed)
    }
}

impl Section {
    fn heading(&self) -> String {
        format!("\n## {}\n", self.title)
    }

    /// Runs the commands. What they say stands below each as it is shown.
    fn measured(&self, servers: &Measured<'_>) -> Result<String, Vec<String>> {
        println!("--- {}", self.title);
        let mut text = format!("{}\n{}\n", self.heading(), self.about);
        for shown in self.commands {
            let output = output(shown, servers)?;
            text.push_str(&format!("\n```console\n$ {shown}\n{output}```\n"));
        }
        Ok(text)
    }

    /// The section as it stands in the document, from its heading to the next one.
    fn as_written(&self, document: &str) -> String {
        let heading = self.heading();
        let Some((_, rest)) = document.split_once(&heading) else {
            return String::new();
        };
        let end = rest.find("\n## ").unwrap_or(rest.len());
        let (section, _) = rest.split_at(end);
        format!("{heading}{section}")
    }
}

/// Runs a command as it is shown, but on the servers that were started for it; the line for programs is
/// left out.
fn output(shown: &str, servers: &Measured<'_>) -> Result<String, Vec<String>> {
    let failed = |why: String| vec![format!("`{shown}`: {why}")];
    let meant = shown
        .replace("127.0.0.1:6379", &servers.memory)
        .replace("127.0.0.1:6380", &servers.appending);
    let mut words = meant.split(' ');
    let program = words.next().unwrap_or_default();
    let folder = std::env::temp_dir().join(format!("tidemill-figures-{}", std::process::id()));
    let (program, place) = if program == LOADTEST {
        std::fs::create_dir_all(&folder).map_err(|error| failed(error.to_string()))?;
        (root().join("target/release").join(LOADTEST), folder.clone())
    } else {
        (Path::new(program).to_path_buf(), root())
    };
    let output = Command::new(program)
        .args(words)
        .current_dir(place)
        .output()
        .map_err(|error| failed(error.to_string()))?;
    // A store of one measurement must not be there for the next.
    std::fs::remove_dir_all(&folder).or_else(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Ok(()),
        _ => Err(failed(error.to_string())),
    })?;
    servers.empty()?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let lines = text.lines().filter(|line| !line.starts_with('{'));
    Ok(lines.fold(String::new(), |all, line| all + line.trim_end() + "\n"))
}

/// What the figures were taken on.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let model = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("an unknown processor", |(_, name)| name);
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB"))
        .and_then(|kib| kib.parse::<u64>().ok())
        .map_or(0, |kib| kib >> 20);
    format!(
        "{cores} cores of {model}, {memory} GiB of memory, {}",
        std::env::consts::OS
    )
}
