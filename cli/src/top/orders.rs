//! What the keys do to the store.

use std::time::Duration;

use tidemill::ledger::Schedules;
use tidemill::{
    Change, Changed, QueueName, Replay, ScheduleId, State, TaskFilter, TaskId, TaskRecord,
    fill_page,
};
use tokio::time::Instant;

use super::page::Page;
use crate::audit::{self, ReasonArgs};
use crate::context::Context;
use crate::problem::Problem;
use crate::task::queue_full;

/// How many tasks of a queue are shown.
const TASKS: usize = 200;
/// How long they are looked for.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a key asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Order {
    PauseQueue(QueueName),
    ResumeQueue(QueueName),
    PauseSchedule(ScheduleId),
    ResumeSchedule(ScheduleId),
    Fire(ScheduleId),
    Retry(TaskId),
    /// Shows one task.
    LookAt(TaskId),
    /// Shows the tasks of a queue.
    List(QueueName),
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Done {
    /// Something has changed: in words.
    Changed(String),
    /// One task.
    Task(Page),
    /// The tasks of a queue.
    Tasks(QueueName, Vec<TaskRecord>),
}

impl Order {
    /// What is asked before it is carried out; `None` when nothing changes.
    pub(super) fn question(&self) -> Option<String> {
        Some(match self {
            Self::PauseQueue(name) => format!("pause queue {name}?"),
            Self::ResumeQueue(name) => format!("resume queue {name}?"),
            Self::PauseSchedule(id) => format!("pause schedule {id}?"),
            Self::ResumeSchedule(id) => format!("resume schedule {id}?"),
            Self::Fire(id) => format!("fire schedule {id} now?"),
            Self::Retry(id) => format!("put task {id} back in line now?"),
            Self::LookAt(_) | Self::List(_) => return None,
        })
    }

    /// Does it.
    pub(super) async fn carry_out(self, context: &Context) -> Result<Done, Problem> {
        let ledger = context.ledger();
        let mut more = String::new();
        let (past, subject) = match &self {
            Self::PauseQueue(name) => {
                context.inspect()?.pause(name, None).await?;
                ("paused", format!("queue {name}"))
            }
            Self::ResumeQueue(name) => {
                context.inspect()?.resume(name).await?;
                ("resumed", format!("queue {name}"))
            }
            Self::PauseSchedule(id) => {
                there(Schedules::pause_schedule(ledger, id, None).await?, id)?;
                ("paused", format!("schedule {id}"))
            }
            Self::ResumeSchedule(id) => {
                there(Schedules::resume_schedule(ledger, id).await?, id)?;
                ("resumed", format!("schedule {id}"))
            }
            Self::Fire(id) => {
                let task = context.fire(id).await?;
                more = format!(" as task {task}");
                ("fired", format!("schedule {id}"))
            }
            Self::Retry(id) => {
                retry(id, context).await?;
                ("retried", format!("task {id}"))
            }
            Self::LookAt(id) => return Page::read(id, context).await.map(Done::Task),
            Self::List(name) => return list(name, context).await,
        };
        audit::keep(context, past, &subject, &ReasonArgs::default()).await;
        Ok(Done::Changed(format!("{subject} {past}{more}")))
    }
}

fn there(found: bool, id: &ScheduleId) -> Result<(), Problem> {
    match found {
        true => Ok(()),
        false => Err(Problem::failed(format!("there is no schedule {id}"))),
    }
}

async fn retry(id: &TaskId, context: &Context) -> Result<(), Problem> {
    let gone = || Problem::failed(format!("there is no task {id}"));
    let inspect = context.inspect()?;
    let task = inspect.get(id).await?.ok_or_else(gone)?;
    let change = match task.state.is_final() {
        true => Change::Replay(Replay::default()),
        false => Change::RunNow,
    };
    match inspect.change(id, &change).await? {
        Changed::Done { .. } => Ok(()),
        Changed::Refused(state) => Err(Problem::failed(format!(
            "task {id} is {state}, where a retry makes no sense"
        ))),
        Changed::KeyTaken => Err(Problem::failed(format!(
            "the key of task {id} is held by another task"
        ))),
        Changed::QueueFull { limit } => {
            Err(Problem::failed(format!("task {id} {}", queue_full(limit))))
        }
        Changed::NotFound => Err(gone()),
    }
}

/// What a queue holds, but for what has ended.
async fn list(queue: &QueueName, context: &Context) -> Result<Done, Problem> {
    let filter = TaskFilter {
        states: vec![
            State::Active,
            State::Pending,
            State::Retry,
            State::Scheduled,
            State::Dead,
        ],
        queue: Some(queue.clone()),
        ..TaskFilter::default()
    };
    let begun = Instant::now();
    let is_enough = || begun.elapsed() >= PATIENCE;
    let page = fill_page(context.inspect()?, &filter, None, TASKS, is_enough).await?;
    Ok(Done::Tasks(queue.clone(), page.items))
}
