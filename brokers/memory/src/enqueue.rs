//! Taking envelopes in.

use tidemill_shared::{Admission, Envelope, Result, Timestamp};

use crate::queue::Event;
use crate::row::{Passage, Seq};
use crate::state::State;

/// The largest payload that is taken: 1 MiB.
pub(crate) const MAX_PAYLOAD: usize = 1_048_576;

impl State {
    /// Takes envelopes in, each by itself. An envelope that no broker could keep refuses the batch,
    /// before any of it is taken in.
    pub(crate) fn enqueue(
        &mut self,
        batch: Vec<Envelope>,
        now: Timestamp,
    ) -> Result<Vec<Admission>> {
        for envelope in &batch {
            envelope.check(MAX_PAYLOAD)?;
        }
        let mut fires = Vec::new();
        let answers = batch.into_iter().map(|envelope| {
            let is_fire = envelope.origin.is_some();
            match self.admit(envelope, now) {
                Ok(seq) => {
                    if is_fire {
                        fires.push(seq);
                    }
                    Admission::Admitted
                }
                Err(refusal) => refusal,
            }
        });
        let answers = answers.collect();
        self.promote_at_once(fires, now);
        Ok(answers)
    }

    /// Takes one envelope in, or says why not and leaves nothing behind.
    pub(crate) fn admit(&mut self, envelope: Envelope, now: Timestamp) -> Result<Seq, Admission> {
        if self.ids.contains_key(&envelope.id) {
            return Err(Admission::IdConflict);
        }
        if let Some(key) = envelope.key_text()
            && let Some((_, task)) = self.key_holder(&envelope.queue, &envelope.kind, key, now)
        {
            return Err(Admission::Duplicate(task.clone()));
        }
        let queue = self.queue_mut(&envelope.queue);
        if let Some(limit) = queue.full() {
            return Err(Admission::QueueFull { limit });
        }
        queue.count(Event::Enqueued, now);
        if let Some(expires_at) = envelope.key_expires_at() {
            let seq = self.next_seq;
            self.claim_key(seq, &envelope, expires_at);
        }
        Ok(self.insert(envelope, now))
    }

    /// Sends those of these fires that are due already through the gate, the earliest due first.
    ///
    /// A fire that cancels its predecessor is held for a moment, and released when that has ended
    /// at once; the second look lets it through in the same step.
    pub(crate) fn promote_at_once(&mut self, mut fires: Vec<Seq>, now: Timestamp) {
        for _ in 0..2 {
            fires.retain(|seq| {
                self.tasks
                    .get(seq)
                    .is_some_and(|row| row.passage == Passage::Gated && row.record.due_at <= now)
            });
            fires.sort_by_key(|seq| (self.tasks.get(seq).map(|row| row.record.due_at), *seq));
            for seq in &fires {
                self.promote_one(*seq, now);
            }
        }
    }
}
