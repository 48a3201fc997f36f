//! Calls one path so many times: `tidemill-hot-paths NAME TIMES`. Without arguments it says which there
//! are. For `cargo xtask guard`, which counts the instructions.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that reports"
)]

use std::process::ExitCode;

use tidemill_hot_paths::{HotPath, PATHS};

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let Some(name) = words.next() else {
        for path in PATHS {
            println!("{}", path.name);
        }
        return ExitCode::SUCCESS;
    };
    let times: Option<u32> = words.next().and_then(|times| times.parse().ok());
    let call = HotPath::named(&name).map(HotPath::prepare);
    let (Some(times), Some(Ok(mut call))) = (times, call) else {
        eprintln!(
            "error: expected the name of a path and how often it is called, such as {name} 100"
        );
        return ExitCode::from(2);
    };
    for _ in 0..times {
        call();
    }
    ExitCode::SUCCESS
}
