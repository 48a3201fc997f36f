//! Schedules as they are stored: a definition in JSON, and a state that scripts pack.

use redis::Value;
use tidemill_shared::ledger::ScheduleRecord;
use tidemill_shared::{Result, Timestamp};

use crate::head::nonsense;
use crate::packed::fields;
use crate::reply::Reply;

/// Rows of many, of which some may be gone.
#[derive(Debug)]
pub(super) struct Rows {
    definitions: Reply,
    states: Reply,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Row {
    definition: Vec<u8>,
    state: Vec<u8>,
}

/// One answer of the script that lists.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) next: Option<u64>,
    rows: Rows,
}

impl Rows {
    /// The next two lists of an answer.
    pub(super) fn read(answer: &mut Reply) -> Result<Self> {
        let (definitions, states) = (answer.sublist()?, answer.sublist()?);
        if definitions.len() != states.len() {
            return Err(nonsense("schedules"));
        }
        Ok(Self {
            definitions,
            states,
        })
    }

    /// The next; `None` where it is gone.
    pub(super) fn next(&mut self) -> Result<Option<Row>> {
        let both = (self.definitions.maybe_bytes()?, self.states.maybe_bytes()?);
        let (Some(definition), Some(state)) = both else {
            return Ok(None);
        };
        Ok(Some(Row { definition, state }))
    }
}

impl Row {
    /// The schedule; nothing, and a line in the log, where this build cannot read it: a newer build's must
    /// not hide the others.
    pub(super) fn record(&self) -> Option<ScheduleRecord> {
        let read = self.read();
        if let Err(error) = &read {
            tracing::error!(%error, "a stored schedule cannot be read");
        }
        read.ok()
    }

    fn read(&self) -> Result<ScheduleRecord> {
        let wrong = || nonsense("schedules");
        let schedule =
            serde_json::from_slice(&self.definition).map_err(|e| wrong().with_source(e))?;
        let (mut revision, mut source, mut updated, mut planned, mut fires) =
            (None, None, None, None, None);
        let (mut paused, mut reason) = (false, None);
        fields(&self.state, |name, value| match name {
            b"revision" => revision = value.number(),
            b"source" => source = value.text(),
            b"paused" => paused = value.truth(),
            b"reason" => reason = value.text(),
            b"updated" => updated = value.number(),
            b"planned" => planned = value.number(),
            b"fires" => fires = value.number(),
            _ => {}
        })
        .ok_or_else(wrong)?;
        Ok(ScheduleRecord {
            schedule,
            revision: revision.ok_or_else(wrong)?.unsigned_abs(),
            source: source.ok_or_else(wrong)?.to_owned(),
            paused,
            pause_reason: reason.map(str::to_owned),
            updated_at: Timestamp::from_micros(updated.ok_or_else(wrong)?),
            planned_until: Timestamp::from_micros(planned.ok_or_else(wrong)?),
            fire_count: fires.ok_or_else(wrong)?.unsigned_abs(),
        })
    }
}

impl Step {
    pub(super) fn read_from(answer: Value) -> Result<Self> {
        let mut answer = Reply::list("schedules", answer)?;
        Ok(Self {
            next: answer.maybe_number()?,
            rows: Rows::read(&mut answer)?,
        })
    }

    pub(super) fn size(&self) -> usize {
        self.rows.definitions.len()
    }

    /// Its schedules. On a thread of its own, as reading some hundreds of definitions takes milliseconds.
    pub(super) async fn read(self) -> Result<Vec<ScheduleRecord>> {
        let mut rows = self.rows;
        let read = tokio::task::spawn_blocking(move || {
            let mut records = Vec::with_capacity(rows.definitions.len());
            while !rows.definitions.is_done() {
                records.extend(rows.next()?.and_then(|row| row.record()));
            }
            Ok(records)
        });
        read.await
            .unwrap_or_else(|error| Err(nonsense("schedules").with_source(error)))
    }
}
