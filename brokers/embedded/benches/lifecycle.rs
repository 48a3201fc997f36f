//! The store against a bare loop of the same statements, in one run.
//!
//! `cargo bench -p tidemill-embedded --bench lifecycle` prints a table; `-- 256` behind it one batch
//! size of it. Each figure is tasks per second, the median of several turns in which the store and the
//! loop alternate; the ratio is store / loop. `FULL` syncs each commit. The loop is what SQLite can do
//! on this machine: no encoding, no threads, no contract.

#[path = "lifecycle/bare.rs"]
mod bare;
#[path = "lifecycle/clock.rs"]
mod clock;
#[path = "lifecycle/store.rs"]
mod store;

use std::io::Write;
use std::time::Duration;

use tidemill_embedded::Synchronous;

/// How long one turn takes: the life cycle of all tasks, and of that the drain alone; and how much
/// processor time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    whole: Duration,
    drain: Duration,
    processor: Duration,
}

/// The rates of one contestant, in tasks per second.
struct Rates {
    whole: f64,
    drain: f64,
    /// Microseconds of processor time for one task.
    processor: f64,
}

fn main() {
    let mut out = std::io::stdout().lock();
    let head = "sync    batch  callers |  life cycle/s: loop     store  ratio |  drain/s: loop     store  ratio |  µs: loop  store";
    writeln!(out, "{head}").expect("standard output is open");
    let cases = [
        (Synchronous::Normal, 1, 4_000),
        (Synchronous::Normal, 16, 30_000),
        (Synchronous::Normal, 64, 60_000),
        (Synchronous::Normal, 256, 100_000),
        (Synchronous::Full, 1, 400),
        (Synchronous::Full, 16, 6_000),
        (Synchronous::Full, 64, 20_000),
        (Synchronous::Full, 256, 60_000),
    ];
    // A number among the arguments asks for that batch size alone.
    let only = std::env::args().find_map(|argument| argument.parse::<u32>().ok());
    let wanted = |batch| only.is_none_or(|only| only == batch);
    for (synchronous, batch, tasks) in cases.into_iter().filter(|case| wanted(case.1)) {
        for callers in [1, 8] {
            let (mut loops, mut stores) = (Vec::new(), Vec::new());
            for _ in 0..5 {
                loops.push(bare::turn(synchronous, batch, tasks));
                stores.push(store::turn(synchronous, batch, callers, tasks));
            }
            let (bare, store) = (rates(&loops, tasks), rates(&stores, tasks));
            writeln!(
                out,
                "{:<7} {batch:>5} {callers:>8} | {:>19.0} {:>9.0} {:>6.2} | {:>14.0} {:>9.0} {:>6.2} | {:>9.1} {:>6.1}",
                format!("{synchronous:?}"),
                bare.whole,
                store.whole,
                store.whole / bare.whole,
                bare.drain,
                store.drain,
                store.drain / bare.drain,
                bare.processor,
                store.processor,
            )
            .expect("standard output is open");
        }
    }
}

fn rates(turns: &[Turn], tasks: u32) -> Rates {
    let median = |pick: fn(&Turn) -> Duration| {
        let mut times: Vec<Duration> = turns.iter().map(pick).collect();
        times.sort_unstable();
        times[times.len() / 2].as_secs_f64()
    };
    let rate = |pick| f64::from(tasks) / median(pick);
    Rates {
        whole: rate(|turn| turn.whole),
        drain: rate(|turn| turn.drain),
        processor: median(|turn| turn.processor) * 1e6 / f64::from(tasks),
    }
}
