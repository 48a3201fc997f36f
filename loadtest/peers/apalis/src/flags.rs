//! The flags of the protocol.

use std::process::exit;

/// What `run` is told.
#[derive(Clone, Debug)]
pub struct Flags {
    pub broker: String,
    pub scenario: String,
    pub tasks: usize,
    pub payload: usize,
    pub concurrency: usize,
    pub batch: usize,
    pub producers: usize,
    pub rate: u32,
}

impl Flags {
    /// Ends with 2 when they are wrong.
    pub fn parse() -> Self {
        let mut flags = Self {
            broker: String::new(),
            scenario: String::new(),
            tasks: 10_000,
            payload: 100,
            concurrency: 256,
            batch: 1,
            producers: 1,
            rate: 200,
        };
        let mut words = std::env::args().skip(1);
        while let Some(name) = words.next() {
            let value = words.next().unwrap_or_default();
            let number = || value.parse().unwrap_or_else(|_| wrong(&name, &value));
            match name.as_str() {
                "--broker" => flags.broker = value,
                "--scenario" => flags.scenario = value,
                "--tasks" => flags.tasks = number(),
                "--payload" => flags.payload = number(),
                "--concurrency" => flags.concurrency = number(),
                "--batch" => flags.batch = number(),
                "--producers" => flags.producers = number(),
                "--rate" => flags.rate = value.parse().unwrap_or_else(|_| wrong(&name, &value)),
                "-o" => {}
                _ => wrong(&name, &value),
            }
        }
        flags
    }
}

fn wrong<T>(name: &str, value: &str) -> T {
    eprintln!("unexpected argument {name} {value}");
    exit(2)
}

/// Says that this is not to be had here.
pub fn skip(why: &str) -> ! {
    eprintln!("{why}");
    exit(77)
}
