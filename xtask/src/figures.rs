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
                copied from the store; the two alternate on fresh files. One caller, so nothing is coalesced.",
        commands: &[
            "tidemill-loadtest compare --broker sqlite?synchronous=normal --scenario lifecycle -- --tasks 20000 --batch 16",
            "tidemill-loadtest compare --broker sqlite?synchronous=normal --scenario lifecycle -- --tasks 20000 --batch 256",
            "tidemill-loadtest compare --broker sqlite?synchronous=full --scenario lifecycle -- --tasks 20000 --batch 64",
        ],
    },
    Section {
        title: "SQLite: draining and enqueuing",
        about: "A real worker with a handler that does nothing, from its start until the store knows that every task has ended. \
                Its batches are as large as its slots allow: 64 of them by default. Callers of an enqueue await each answer; those \
                that call at once share a commit.",
        commands: &[
            "tidemill-loadtest run --broker sqlite?synchronous=normal --scenario drain --tasks 300000 --concurrency 64 --turns 5",
            "tidemill-loadtest run --broker sqlite?synchronous=normal --scenario drain --tasks 300000 --concurrency 256 --turns 5",
            "tidemill-loadtest run --broker sqlite?synchronous=full --scenario drain --tasks 300000 --concurrency 256 --turns 5",
            "tidemill-loadtest run --broker sqlite?synchronous=full --scenario enqueue --tasks 3000 --producers 1 --turns 5",
            "tidemill-loadtest run --broker sqlite?synchronous=full --scenario enqueue --tasks 50000 --producers 64 --turns 5",
            "tidemill-loadtest run --broker sqlite?synchronous=normal --scenario enqueue --tasks 100000 --producers 64 --turns 5",
            "tidemill-loadtest run --broker sqlite?synchronous=normal --scenario enqueue --tasks 200000 --batch 256 --turns 5",
        ],
    },
    Section {
        title: "SQLite: latency",
        about: "On an idle store, 200 tasks a second, counted from the planned instant of the enqueue, its commit included; \
                `--workers 1` is a worker in a process of its own. Then at a higher rate, whatever the answers take; then tasks \
                with due instants: how late they start. A single early one fails the run.",
        commands: &[
            "tidemill-loadtest run --broker sqlite?synchronous=normal --scenario latency --tasks 1000 --turns 5",
            "tidemill-loadtest run --broker sqlite?synchronous=full --scenario latency --tasks 1000 --turns 5",
            "tidemill-loadtest run --broker sqlite?synchronous=normal --scenario latency --tasks 1000 --workers 1 --turns 5",
            "tidemill-loadtest run --broker sqlite?synchronous=normal --scenario steady --rate 10000 --tasks 50000 --turns 5",
            "tidemill-loadtest run --broker sqlite?synchronous=normal --scenario delayed --tasks 10000 --duration 10s",
            "tidemill-loadtest run --broker sqlite?synchronous=normal --scenario burst --tasks 50000 --turns 5",
        ],
    },
    Section {
        title: "Redis: a worker beside a bare pipeline of its scripts",
        about: "The two alternate on fresh servers. The pipeline sends the quick scripts and reads the records, \
                from four loops on one connection; nothing decodes an envelope and nothing runs. \
                Server, worker and pipeline share the machine's cores. The last server appends to a file, `appendfsync everysec`.",
        commands: &[
            "tidemill-loadtest compare --broker redis --scenario drain -- --tasks 300000 --concurrency 64",
            "tidemill-loadtest compare --broker redis --scenario drain -- --tasks 300000 --concurrency 256",
            "tidemill-loadtest compare --broker redis://127.0.0.1:6380 --scenario drain -- --tasks 300000 --concurrency 256",
        ],
    },
    Section {
        title: "Redis: draining and enqueuing",
        about: "As above for SQLite: a real worker, and callers that await each answer.",
        commands: &[
            "tidemill-loadtest run --broker redis --scenario drain --tasks 300000 --concurrency 64 --turns 5",
            "tidemill-loadtest run --broker redis --scenario drain --tasks 300000 --concurrency 256 --turns 5",
            "tidemill-loadtest run --broker redis --scenario drain --tasks 300000 --concurrency 1024 --turns 5",
            "tidemill-loadtest run --broker redis://127.0.0.1:6380 --scenario drain --tasks 300000 --concurrency 256 --turns 5",
            "tidemill-loadtest run --broker redis --scenario drain --tasks 300000 --payload 1024 --turns 5",
            "tidemill-loadtest run --broker redis --scenario enqueue --tasks 50000 --producers 1 --turns 5",
            "tidemill-loadtest run --broker redis --scenario enqueue --tasks 300000 --producers 64 --turns 5",
            "tidemill-loadtest run --broker redis --scenario enqueue --tasks 400000 --batch 256 --turns 5",
            "tidemill-loadtest run --broker redis --scenario enqueue --tasks 400000 --batch 256 --producers 4 --turns 5",
            "tidemill-loadtest run --broker redis --scenario enqueue --tasks 400000 --batch 1000 --turns 5",
        ],
    },
    Section {
        title: "Redis: losing a worker, losing the server",
        about: "A worker is killed with SIGKILL while it runs a thousand tasks; another, which was there before, has run the last of them \
                again after the lease and the time for them all. Then a server of the measurement's own, `appendfsync everysec`, is killed \
                and started again under a fixed rate; it is quiet again when the last task has started that started more than 100 ms late.",
        commands: &[
            "tidemill-loadtest run --broker redis --scenario takeover --tasks 1000 --lease 10s",
            "tidemill-loadtest outage --rate 2000 --over 30s --away 1s",
        ],
    },
    Section {
        title: "Redis: latency",
        about: "On an idle store, 200 tasks a second; then at higher rates; then tasks with due instants, none of which may be early.",
        commands: &[
            "tidemill-loadtest run --broker redis --scenario latency --tasks 1000 --turns 5",
            "tidemill-loadtest run --broker redis --scenario latency --tasks 1000 --workers 1 --turns 5",
            "tidemill-loadtest run --broker redis --scenario steady --rate 10000 --tasks 50000 --turns 5",
            "tidemill-loadtest run --broker redis --scenario steady --rate 50000 --tasks 250000 --turns 5",
            "tidemill-loadtest run --broker redis --scenario steady --rate 80000 --tasks 400000 --turns 5",
            "tidemill-loadtest run --broker redis --scenario delayed --tasks 10000 --duration 10s",
            "tidemill-loadtest run --broker redis --scenario burst --tasks 100000 --turns 5",
        ],
    },
    Section {
        title: "RabbitMQ beside a bare loop of lapin",
        about: "Publishing with confirms, draining, and full cycles, beside a loop that does the same with the same guarantees and nothing \
                else: persistent, mandatory, confirmed, prefetched, acknowledged in batches. The ledger is a Redis. The two alternate on \
                fresh nodes, of which each has the two cores of the machine for itself and the client. Delayed tasks beside what RabbitMQ itself has \
                for that: a queue whose messages have a time to live in the order in which they are due, and go to another one when it is over.",
        commands: &[
            "tidemill-loadtest compare --broker rabbitmq --turns 3 --scenario enqueue -- --tasks 100000 --producers 8 --batch 256",
            "tidemill-loadtest compare --broker rabbitmq --turns 3 --scenario drain -- --tasks 100000",
            "tidemill-loadtest compare --broker rabbitmq --turns 3 --scenario lifecycle -- --tasks 50000 --batch 256",
            "tidemill-loadtest compare --broker rabbitmq?queue_type=classic --turns 3 --scenario enqueue -- --tasks 100000 --producers 8 --batch 256",
            "tidemill-loadtest compare --broker rabbitmq?queue_type=classic --turns 3 --scenario drain -- --tasks 100000",
            "tidemill-loadtest compare --broker rabbitmq?queue_type=classic --turns 3 --scenario lifecycle -- --tasks 50000 --batch 256",
            "tidemill-loadtest compare --broker rabbitmq --turns 3 --scenario delayed -- --tasks 5000 --duration 10s",
            "tidemill-loadtest compare --broker rabbitmq?queue_type=classic --turns 3 --scenario delayed -- --tasks 5000 --duration 10s",
        ],
    },
    Section {
        title: "How costs grow",
        about: "Life cycles among so many other tasks that wait in the same queue; then a backlog in so many queues, and run down by so \
                many worker processes, on the same two cores.",
        commands: &[
            "tidemill-loadtest run --broker redis --scenario lifecycle --tasks 50000 --batch 64 --pending 1000 --turns 3",
            "tidemill-loadtest run --broker redis --scenario lifecycle --tasks 50000 --batch 64 --pending 100000 --turns 3",
            "tidemill-loadtest run --broker redis --scenario lifecycle --tasks 50000 --batch 64 --pending 2000000 --turns 3",
            "tidemill-loadtest run --broker redis --scenario drain --tasks 200000 --queues 10 --turns 3",
            "tidemill-loadtest run --broker redis --scenario drain --tasks 200000 --queues 100 --turns 3",
            "tidemill-loadtest run --broker redis --scenario drain --tasks 200000 --workers 1 --turns 3",
            "tidemill-loadtest run --broker redis --scenario drain --tasks 200000 --workers 4 --turns 3",
            "tidemill-loadtest run --broker redis --scenario drain --tasks 200000 --workers 8 --turns 3",
            "tidemill-loadtest run --broker sqlite?synchronous=normal --scenario lifecycle --tasks 50000 --batch 64 --pending 1000 --turns 3",
            "tidemill-loadtest run --broker sqlite?synchronous=normal --scenario lifecycle --tasks 50000 --batch 64 --pending 2000000 --turns 3",
            "tidemill-loadtest run --broker sqlite?synchronous=normal --scenario drain --tasks 200000 --queues 10 --turns 3",
            "tidemill-loadtest run --broker sqlite?synchronous=normal --scenario drain --tasks 200000 --queues 100 --turns 3",
            "tidemill-loadtest run --broker sqlite?synchronous=normal --scenario drain --tasks 200000 --workers 1 --turns 3",
            "tidemill-loadtest run --broker sqlite?synchronous=normal --scenario drain --tasks 200000 --workers 4 --turns 3",
            "tidemill-loadtest run --broker sqlite?synchronous=normal --scenario drain --tasks 200000 --workers 8 --turns 3",
        ],
    },
    Section {
        title: "What telemetry costs",
        about: "The drain with metrics that are read once a second; with metrics and the spans of one trace in ten, or of every task, sent to a \
                collector in the same process; and that beset: the collector takes connections and nothing else, and metrics are read 100 \
                times a second.",
        commands: &[
            "tidemill-loadtest compare --broker redis --scenario drain --b 'this --telemetry off' --a 'this --telemetry metrics' -- --tasks 300000",
            "tidemill-loadtest compare --broker redis --scenario drain --b 'this --telemetry off' --a 'this --telemetry tenth' -- --tasks 300000",
            "tidemill-loadtest compare --broker redis --scenario drain --b 'this --telemetry off' --a 'this --telemetry all' -- --tasks 300000",
            "tidemill-loadtest compare --broker redis --scenario drain --b 'this --telemetry all' --a 'this --telemetry beset' -- --tasks 300000",
        ],
    },
    Section {
        title: "The HTTP API",
        about: "A `tidemill control` of its own: one task in a request at a fixed rate, from the planned instant to the answer, with workers \
                that run them; a thousand in a request; pages of listings among a million tasks.",
        commands: &[
            "tidemill-loadtest api --broker redis --part enqueue --rate 2000 --duration 30s",
            "tidemill-loadtest api --broker sqlite?synchronous=normal --part enqueue --rate 2000 --duration 30s",
            "tidemill-loadtest api --broker redis --part batch --tasks 500000 --batch 1000 --workers 0",
            "tidemill-loadtest api --broker sqlite?synchronous=normal --part batch --tasks 500000 --batch 1000 --workers 0",
            "tidemill-loadtest api --broker redis --part pages --tasks 1000000",
            "tidemill-loadtest api --broker sqlite?synchronous=normal --part pages --tasks 1000000",
        ],
    },
    Section {
        title: "Fires of schedules",
        about: "Schedules that fire each second, and one producer. With a horizon longer than the time for which they fire it puts all of them \
                ahead as fast as it can. With a worker, lateness counts from the due instant of each fire to its handler's start; the jitter \
                spreads the fires over their second. Afterwards each instant has to be on record once, and to have run once.",
        commands: &[
            "tidemill-loadtest run --broker redis --scenario fires --rate 50000 --duration 20s --horizon 60s",
            "tidemill-loadtest run --broker redis --scenario fires --rate 20000 --duration 20s --horizon 60s --jitter 1s --workers 1",
            "tidemill-loadtest run --broker redis --scenario fires --rate 10000 --duration 20s --horizon 5s --jitter 1s --workers 1",
            "tidemill-loadtest run --broker sqlite?synchronous=normal --scenario fires --rate 10000 --duration 20s --horizon 60s",
            "tidemill-loadtest run --broker sqlite?synchronous=normal --scenario fires --rate 10000 --duration 20s --horizon 5s --jitter 1s --workers 1",
        ],
    },
    Section {
        title: "The next fire of an expression",
        about: "Also for expressions that fire once in decades.",
        commands: &["cargo bench --quiet -p tidemill-shared --bench next_fire"],
    },
    Section {
        title: "A million schedules",
        about: "Time and memory for a scheduler to read them and to know what is due next; half are cron expressions, half intervals.",
        commands: &[
            "cargo bench --quiet -p tidemill --bench million_schedules",
            "cargo bench --quiet -p tidemill --bench million_schedules -- 1000000 sqlite",
            "cargo bench --quiet -p tidemill --bench million_schedules -- 1000000 redis://127.0.0.1:6379",
        ],
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

    /// Builds the programs in release mode, runs every command in a fresh folder, and writes what stands below
    /// the mark, section by section.
    pub(crate) fn write(&self) -> Outcome {
        let programs = ["-p", LOADTEST, "-p", "tidemill-cli"];
        run(command(
            "cargo",
            &[&["build", "--release"][..], &programs].concat(),
        ))?;
        let path = root().join(DOCUMENT);
        let failed = |error: std::io::Error| vec![format!("{DOCUMENT}: {error}")];
        let mut written = std::fs::read_to_string(&path).map_err(failed)?;
        let interrupts = Interrupts::listen()?;
        let servers = Measured::start(&self.source, &interrupts)?;
        // One after the other, so that one that fails takes none of the others with it.
        for section in SECTIONS {
            if self.are_wanted(section.title) {
                written = section.placed(&section.measured(&servers)?, &written)?;
                std::fs::write(&path, &written).map_err(failed)?;
            }
        }
        Ok(())
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

    /// The document with this in the place of the section, and the machine of today.
    fn placed(&self, measured: &str, document: &str) -> Result<String, Vec<String>> {
        let Some((above, before)) = document.split_once(MARK) else {
            return Err(vec![format!("{DOCUMENT} has no line {MARK:?}")]);
        };
        let mut text = format!("{above}{MARK}\nMachine: {}.\n", machine());
        for section in SECTIONS {
            text.push_str(&if section.title == self.title {
                measured.to_owned()
            } else {
                section.as_written(before)
            });
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
    let mut words = words(&meant).into_iter();
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

/// The words of a command, of which those in single quotes are one.
fn words(command: &str) -> Vec<&str> {
    let parts = command.split('\'').enumerate();
    parts
        .flat_map(|(n, part)| match n % 2 {
            0 => part.split_whitespace().collect(),
            _ => vec![part],
        })
        .collect()
}

/// What the figures were taken on.
pub(crate) fn machine() -> String {
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

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn what_is_quoted_is_one_word() {
        let found = words("compare --a 'this --telemetry all' -- --tasks 5");
        let expected = [
            "compare",
            "--a",
            "this --telemetry all",
            "--",
            "--tasks",
            "5",
        ];
        assert_eq!(found, expected);
    }
}
