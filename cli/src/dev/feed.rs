//! The live log: what starts, how it ends, what it said first.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tidemill::ledger::{LogStream, Logs};
use tidemill::{
    Connection, Event, RunContext, RunStatus, SchedulerEvent, TaskId, Timestamp, Verdict,
};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio_util::sync::CancellationToken;

use crate::clean;
use crate::output::{Out, span};
use crate::problem::Problem;
use crate::producer::Missed;

/// How many lines may wait to be shown. What is beyond is counted: the work never waits for them.
const WAITING: usize = 1_024;

/// How much of a text is shown.
const MAX_TEXT: usize = 100;

/// One line, not yet complete.
#[derive(Debug)]
struct Note {
    at: Timestamp,
    word: &'static str,
    tone: Tone,
    name: String,
    task: Option<TaskId>,
    took: Option<Duration>,
    text: Text,
}

#[derive(Debug)]
enum Text {
    Plain(String),
    /// The first line that this attempt of the note's task wrote.
    FirstLine(u32),
}

#[derive(Clone, Copy, Debug)]
enum Tone {
    Faint,
    Good,
    Doubtful,
    Bad,
}

impl Tone {
    const fn code(self) -> &'static str {
        match self {
            Self::Faint => "\x1b[2m",
            Self::Good => "\x1b[32m",
            Self::Doubtful => "\x1b[33m",
            Self::Bad => "\x1b[31m",
        }
    }
}

/// Where the notes come from.
#[derive(Clone, Debug)]
pub(super) struct Events {
    notes: Sender<Note>,
    missed: Arc<AtomicU64>,
}

/// Where the notes go to.
#[derive(Debug)]
pub(super) struct Feed {
    notes: Receiver<Note>,
    missed: Arc<AtomicU64>,
}

/// Both ends.
pub(super) fn channel() -> (Feed, Events) {
    let (sender, receiver) = mpsc::channel(WAITING);
    let missed = Arc::new(AtomicU64::new(0));
    let feed = Feed {
        notes: receiver,
        missed: Arc::clone(&missed),
    };
    let notes = sender;
    (feed, Events { notes, missed })
}

impl Events {
    /// Watches a worker.
    pub(super) fn worker(&self) -> impl Fn(&Event<'_>) + Send + Sync + use<> {
        let events = self.clone();
        move |event| events.offer(of_worker(event))
    }

    /// Watches a scheduler.
    pub(super) fn scheduler(&self) -> impl Fn(&SchedulerEvent) + Send + Sync + use<> {
        let events = self.clone();
        move |event| events.offer(of_scheduler(event))
    }

    /// Shows what a schedule missed in one catch-up.
    pub(super) fn missed(&self, missed: &Missed) {
        let name = match &missed.schedule {
            Some(schedule) => schedule.to_string(),
            None => "others".to_owned(),
        };
        let text = format!("{}: {}", missed.count, missed.reason);
        self.offer(Some(doubtful("missed", name, text)));
    }

    fn offer(&self, note: Option<Note>) {
        if let Some(note) = note
            && self.notes.try_send(note).is_err()
        {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn now() -> Timestamp {
    tidemill::Clock::now(&tidemill::SystemClock)
}

fn name_of(run: &RunContext) -> String {
    match run.schedule_id() {
        Some(schedule) => schedule.to_string(),
        None => run.kind().to_string(),
    }
}

fn of_worker(event: &Event<'_>) -> Option<Note> {
    let note = |word, tone, name: String, text| Note {
        at: now(),
        word,
        tone,
        name,
        task: None,
        took: None,
        text: Text::Plain(text),
    };
    match event {
        Event::Started { run } => {
            let attempt = match run.attempt() {
                1 => String::new(),
                attempt => format!("attempt {attempt}"),
            };
            let mut note = note("start", Tone::Faint, name_of(run), attempt);
            note.task = Some(run.task_id().clone());
            Some(note)
        }
        Event::Finished {
            run,
            status,
            verdict,
            took,
        } => Some(Note {
            at: now(),
            word: status.as_str(),
            tone: tone(*status),
            name: name_of(run),
            task: Some(run.task_id().clone()),
            took: Some(*took),
            text: match verdict {
                Verdict::Retry { failure, .. } | Verdict::Bury { failure, .. } => {
                    Text::Plain(failure.to_string())
                }
                Verdict::Ack { .. } | Verdict::Release { .. } => Text::FirstLine(run.attempt()),
            },
        }),
        Event::Reclaimed(task) => {
            let text = "its worker died; it runs again".to_owned();
            let mut note = note("reclaim", Tone::Doubtful, task.kind.to_string(), text);
            note.task = Some(task.task.clone());
            Some(note)
        }
        Event::UnknownKind { task, kind, .. } => {
            let text = "no handler here for this kind; put back for another worker".to_owned();
            let mut note = note("unknown", Tone::Doubtful, kind.to_string(), text);
            note.task = Some((*task).clone());
            Some(note)
        }
        Event::Trouble { agent, error, .. } => Some(note(
            "trouble",
            Tone::Bad,
            (*agent).to_owned(),
            error.to_string(),
        )),
        Event::StuckHandler { run, .. } => {
            let text = "does not end; its slot stays taken".to_owned();
            Some(note("stuck", Tone::Bad, name_of(run), text))
        }
        // What follows from a lost lease is told by the end of its run.
        _ => None,
    }
}

const fn tone(status: RunStatus) -> Tone {
    match status {
        RunStatus::Completed => Tone::Good,
        RunStatus::Dead => Tone::Bad,
        _ => Tone::Doubtful,
    }
}

fn of_scheduler(event: &SchedulerEvent) -> Option<Note> {
    let (word, name, text) = match event {
        SchedulerEvent::Failed {
            operation, error, ..
        } => ("trouble", (*operation).to_owned(), error.clone()),
        SchedulerEvent::SetBack { shard } => (
            "trouble",
            format!("shard {shard}"),
            "the store has lost what was recorded last".to_owned(),
        ),
        SchedulerEvent::Stuck { schedule, error } => ("stuck", schedule.to_string(), error.clone()),
        // Missed fires are told together: `Events::missed`.
        _ => return None,
    };
    Some(doubtful(word, name, text))
}

fn doubtful(word: &'static str, name: String, text: String) -> Note {
    Note {
        at: now(),
        word,
        tone: Tone::Doubtful,
        name,
        task: None,
        took: None,
        text: Text::Plain(text),
    }
}

impl Feed {
    /// Shows notes until the end of the work, and then what is left.
    pub(super) async fn show(
        mut self,
        connection: &Connection,
        out: &mut Out,
        ended: &CancellationToken,
    ) -> Result<(), Problem> {
        let colours = out.is_terminal();
        loop {
            let note = tokio::select! {
                biased;
                note = self.notes.recv() => note,
                () = ended.cancelled() => self.notes.try_recv().ok(),
            };
            let Some(note) = note else {
                return out.flush();
            };
            let missed = self.missed.swap(0, Ordering::Relaxed);
            if missed > 0 {
                out.line(&format!(
                    "… {missed} lines were not shown: too much at once"
                ))?;
            }
            out.line(&line(&note, connection, colours).await)?;
            if self.notes.is_empty() {
                out.flush()?;
            }
        }
    }
}

async fn line(note: &Note, connection: &Connection, colours: bool) -> String {
    let text = match &note.text {
        Text::Plain(text) => text.clone(),
        Text::FirstLine(attempt) => first_line(note, *attempt, connection).await,
    };
    let (on, off) = match colours {
        true => (note.tone.code(), "\x1b[0m"),
        false => ("", ""),
    };
    let at = note.at.to_jiff().strftime("%H:%M:%S%.3f").to_string();
    let took = note.took.map(span).unwrap_or_default();
    let task = note.task.as_ref().map(TaskId::as_str).unwrap_or_default();
    let name = clean::cell(&note.name, 24);
    let text = clean::cell(&text, MAX_TEXT);
    let line = format!(
        "{at} {on}{:<9}{off} {name:<14} {task:<36} {took:>8}  {text}",
        note.word
    );
    line.trim_end().to_owned()
}

/// The first line that an attempt wrote; nothing when there is none, or it is gone already.
async fn first_line(note: &Note, attempt: u32, connection: &Connection) -> String {
    let Some(task) = &note.task else {
        return String::new();
    };
    let page = Logs::read_log(&*connection.ledger, task, None, 50).await;
    let lines = page.map(|page| page.lines).unwrap_or_default();
    let first = lines
        .into_iter()
        .find(|line| line.attempt == attempt && line.stream != LogStream::System);
    first.map(|line| line.text).unwrap_or_default()
}
