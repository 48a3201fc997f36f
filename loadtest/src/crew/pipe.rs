//! The output of a worker process: records of 24 bytes, one for each run that has ended.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use tidemill::Timestamp;

use crate::watch::Done;

/// The length of a record.
pub(super) const RECORD: usize = 24;
/// From so many bytes on, what waits is written.
const FULL: usize = 4_080;

/// When a record is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writing {
    /// Before the run has ended for the broker: nothing is forgotten when the process is killed.
    AtOnce,
    /// With others, within milliseconds.
    Together,
}

/// The writing end.
#[derive(Clone, Debug)]
pub(crate) struct Out {
    waiting: Arc<Mutex<Vec<u8>>>,
    writing: Writing,
}

impl Out {
    pub(super) fn new(writing: Writing) -> Self {
        Self {
            waiting: Arc::default(),
            writing,
        }
    }

    /// Writes a record down.
    pub(super) fn tell(&self, done: Done) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.extend(record(done));
        if self.writing == Writing::AtOnce || waiting.len() >= FULL {
            write(&mut waiting);
        }
    }

    /// Writes what waits.
    pub(super) fn flush(&self) {
        write(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Whoever reads counts; when it has gone, nobody does.
fn write(waiting: &mut Vec<u8>) {
    if !waiting.is_empty() {
        let mut out = std::io::stdout().lock();
        drop(out.write_all(waiting).and_then(|()| out.flush()));
        waiting.clear();
    }
}

fn record(done: Done) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    let (numbers, times) = record.split_at_mut(8);
    let (number, attempt) = numbers.split_at_mut(4);
    let (planned, started) = times.split_at_mut(8);
    number.copy_from_slice(&done.number.to_le_bytes());
    attempt.copy_from_slice(&done.attempt.to_le_bytes());
    planned.copy_from_slice(&done.planned.as_micros().to_le_bytes());
    started.copy_from_slice(&done.started.as_micros().to_le_bytes());
    record
}

/// Reads a record.
pub(super) fn read(record: [u8; RECORD]) -> Done {
    let [a, b, c, d, e, f, g, h, times @ ..] = record;
    let instant = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(times.get(at..at + 8).unwrap_or(&[0; 8]));
        Timestamp::from_micros(i64::from_le_bytes(bytes))
    };
    Done {
        number: u32::from_le_bytes([a, b, c, d]),
        attempt: u32::from_le_bytes([e, f, g, h]),
        planned: instant(0),
        started: instant(8),
    }
}

#[cfg(test)]
mod tests {
    use tidemill::Timestamp;

    use super::{read, record};
    use crate::watch::Done;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let done = Done {
            number: 70_000,
            attempt: 3,
            planned: Timestamp::from_micros(1_795_000_000_000_001),
            started: Timestamp::from_micros(1_795_000_000_002_002),
        };
        assert_eq!(read(record(done)), done);
    }
}
