//! The way of lines to standard error. A process that runs for long must not wait for whoever reads
//! its log: its lines go through a bounded line to a thread, and are dropped, and counted, when that
//! does not keep up.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

/// The most lines that wait: some megabytes.
const ROOM: usize = 8_192;

/// The most bytes that are written at once.
const AT_ONCE: usize = 64 * 1024;

/// How long the end of the process waits for the last lines to be read.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// How many lines have been dropped so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct LostLines(Arc<AtomicU64>);

impl LostLines {
    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Where lines go.
pub(super) enum Writer {
    /// At once, for a command that ends soon.
    Direct,
    /// Through a thread.
    Queued(SyncSender<Message>, LostLines),
}

pub(super) enum Message {
    Line(String),
    /// Everything before this has been written when the answer comes.
    Flush(SyncSender<()>),
}

impl Writer {
    /// Starts the thread. `told` makes the line about lines that were dropped.
    pub(super) fn queued(told: impl Fn(u64) -> String + Send + 'static) -> io::Result<Self> {
        let (sender, lines) = sync_channel(ROOM);
        let lost = LostLines::default();
        let counted = lost.clone();
        // It ends with the process: nobody would be left to write a line for.
        thread::Builder::new()
            .name("tidemill-log".into())
            .spawn(move || write(&lines, &counted, told, &mut io::stderr()))?;
        Ok(Self::Queued(sender, lost))
    }

    pub(super) fn line(&self, line: String) {
        match self {
            // A log that nobody can read any more must not stop the work.
            Self::Direct => drop(io::stderr().write_all(line.as_bytes())),
            Self::Queued(sender, lost) => {
                if let Err(TrySendError::Full(_)) = sender.try_send(Message::Line(line)) {
                    lost.0.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }
}

/// Sees the last lines off when it is dropped.
#[derive(Debug)]
pub(crate) struct Flush(pub(super) Option<SyncSender<Message>>);

impl Drop for Flush {
    fn drop(&mut self) {
        let Some(sender) = &self.0 else { return };
        let (tell, told) = sync_channel(1);
        // No room means that nobody reads.
        if sender.try_send(Message::Flush(tell)).is_ok() {
            // Nor does a reader that takes longer than that.
            told.recv_timeout(LAST_WAIT).ok();
        }
    }
}

/// Writes what comes, as much at once as there is.
fn write(
    lines: &Receiver<Message>,
    lost: &LostLines,
    told: impl Fn(u64) -> String,
    out: &mut impl Write,
) {
    let mut known = 0;
    let mut text = String::new();
    while let Ok(message) = lines.recv() {
        let mut flushed = None;
        let mut next = Some(message);
        while let Some(message) = next.take() {
            match message {
                Message::Line(line) => text.push_str(&line),
                Message::Flush(tell) => flushed = Some(tell),
            }
            if flushed.is_none() && text.len() < AT_ONCE {
                next = lines.try_recv().ok();
            }
        }
        // A log that nobody can read any more must not stop the work.
        drop(out.write_all(text.as_bytes()));
        text.clear();
        let count = lost.count();
        if count > known {
            drop(out.write_all(told(count - known).as_bytes()));
            known = count;
        }
        if let Some(tell) = flushed {
            tell.try_send(()).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
    use std::thread;
    use std::time::Duration;

    use super::{AT_ONCE, Flush, LostLines, Message, ROOM, Writer, write};

    /// A reader that takes a text when it is told to.
    struct Pipe(Receiver<()>, SyncSender<String>);

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.recv().ok();
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            self.1.send(text).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// F57.
    #[test]
    fn a_reader_that_stands_still_holds_nobody_up_and_is_told_what_was_dropped() {
        let (sender, lines) = sync_channel(ROOM);
        let lost = LostLines::default();
        let (tell, told) = sync_channel(4);
        let (read, texts) = sync_channel(10);
        let counted = lost.clone();
        let told_of = |count| format!("{count} lost\n");
        let thread = thread::spawn(move || write(&lines, &counted, told_of, &mut Pipe(told, read)));
        let writer = Writer::Queued(sender.clone(), lost.clone());
        // Enough to fill the text that is being written, the line behind it, and more.
        for _ in 0..AT_ONCE + 3 * ROOM {
            writer.line("x\n".into());
        }
        let dropped = lost.count();
        assert!(usize::try_from(dropped).unwrap() >= ROOM, "{dropped}");
        drop(Flush(Some(sender)));
        drop((writer, tell));
        thread.join().unwrap();
        let all: String = texts.try_iter().collect();
        assert!(all.contains(&format!("{dropped} lost\n")), "{dropped}");
    }

    #[test]
    fn what_was_written_before_the_end_is_there() {
        let (sender, lines) = sync_channel(ROOM);
        let (read, texts) = sync_channel(10);
        let (_, never) = sync_channel(0);
        let pipe = move || {
            let mut pipe = Pipe(never, read);
            write(&lines, &LostLines::default(), |_| String::new(), &mut pipe);
        };
        let thread = thread::spawn(pipe);
        sender.send(Message::Line("last\n".into())).unwrap();
        drop(Flush(Some(sender)));
        assert_eq!(
            texts.recv_timeout(Duration::from_secs(10)).unwrap(),
            "last\n"
        );
        thread.join().unwrap();
    }
}
