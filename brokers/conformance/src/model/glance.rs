//! All that can be seen of a store, as lines of text.

use std::fmt::Debug;

use tidemill_shared::{Result, TaskFilter, TaskRecord};

use super::operation::{QUEUES, SCHEDULES, TASKS};
use super::side::Side;
use super::universe::bytes;
use crate::planning::schedule_id;
use crate::scene::{id, queue};
use crate::start;

/// The size of a page here: small, so that paging is exercised all the time.
const PAGE: usize = 3;

/// A task with the bytes that its debug form hides.
pub(super) fn task(record: &TaskRecord) -> String {
    let shown = |payload: &Option<tidemill_shared::Payload>| {
        payload.as_ref().map_or_else(String::new, bytes)
    };
    format!(
        "{record:?} payload={} result={} progress={}",
        bytes(&record.envelope.payload),
        shown(&record.result),
        shown(&record.progress),
    )
}

fn line<T: Debug>(what: &str, answer: Result<T>) -> String {
    match answer {
        Ok(answer) => format!("{what}: {answer:?}"),
        Err(error) => format!("{what}: error {}", error.kind().as_str()),
    }
}

impl Side {
    /// Everything: tasks with attempts and logs, queues, schedules, fires, leadership, markers.
    pub(super) async fn glance(&self) -> Vec<String> {
        let mut lines = self.list(&TaskFilter::default(), PAGE).await;
        let page = self
            .inspect()
            .list(&TaskFilter::default(), None, 1_000)
            .await;
        for record in page.map_or_else(|_| Vec::new(), |page| page.items) {
            let task = &record.envelope.id;
            let attempts = self.inspect().attempts(task).await;
            lines.push(line(&format!("attempts of {task}"), attempts));
            let log = self.ledger.read_log(task, None, 1_000).await;
            let log = log.map(|page| page.lines);
            lines.push(line(&format!("log of {task}"), log));
        }
        lines.push(line("queues", self.inspect().queues().await));
        lines.extend(match self.broker.stats(&[]).await {
            Ok(stats) => stats.iter().map(|queue| format!("{queue:?}")).collect(),
            Err(error) => vec![line::<()>("stats", Err(error))],
        });
        for number in 0..QUEUES {
            let name = queue(&format!("q{number}"));
            let history = self.inspect().history(&name, start()).await;
            let history = history.map(|mut points| {
                // A minute in which nothing happened may be told or left out.
                points.retain(|p| p.enqueued + p.succeeded + p.failed > 0);
                points
            });
            lines.push(line(&format!("history of {name}"), history));
        }
        self.glance_at_ledger(&mut lines).await;
        lines
    }

    async fn glance_at_ledger(&self, lines: &mut Vec<String>) {
        let schedules = self.ledger.schedules(None, 1_000).await;
        let schedules = schedules.map(|mut page| {
            page.items.sort_by(|a, b| a.schedule.id.cmp(&b.schedule.id));
            page.items
        });
        match schedules {
            Ok(records) => lines.extend(records.iter().map(|record| format!("{record:?}"))),
            Err(error) => lines.push(line::<()>("schedules", Err(error))),
        }
        for number in 0..SCHEDULES {
            let schedule = schedule_id(&format!("s{number}"));
            let mut cursor = None;
            loop {
                let page = self.ledger.fires(&schedule, cursor, PAGE).await;
                let next = page.as_ref().ok().and_then(|page| page.next);
                match page {
                    Ok(page) => lines.extend(page.items.iter().map(|fire| format!("{fire:?}"))),
                    Err(error) => lines.push(line::<()>("fires", Err(error))),
                }
                if next.is_none() {
                    break;
                }
                cursor = next;
            }
        }
        lines.push(line("leader", self.ledger.leader(0).await));
        for number in 0..TASKS {
            let task = id(&format!("t{number}"));
            let completed = self.ledger.is_completed(&task).await;
            lines.push(line(&format!("{task} completed"), completed));
        }
    }
}
