//! Who is alive.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use tidemill_shared::ledger::{Presence, PresenceRecord, Role};
use tidemill_shared::{Result, Timestamp, WorkerId};

use crate::store::MemoryStore;

/// What each process said last, and until when that counts.
#[derive(Debug, Default)]
pub(crate) struct PresenceTable(BTreeMap<WorkerId, (Timestamp, PresenceRecord)>);

impl PresenceTable {
    fn present(&self, role: Role, now: Timestamp) -> Vec<PresenceRecord> {
        let alive = self.0.values().filter(|(until, _)| *until > now);
        let mut found: Vec<_> = alive
            .filter(|(_, record)| record.role == role)
            .map(|(_, record)| record.clone())
            .collect();
        found.sort_by(|a, b| (a.started_at, &a.id).cmp(&(b.started_at, &b.id)));
        found
    }

    /// Forgets who has not been heard of in time.
    pub(crate) fn prune(&mut self, now: Timestamp) {
        self.0.retain(|_, (until, _)| *until > now);
    }
}

#[async_trait]
impl Presence for MemoryStore {
    async fn announce(&self, record: &PresenceRecord, ttl: Duration) -> Result<()> {
        self.step(|state, now| {
            let entry = (now + ttl, record.clone());
            state.presence.0.insert(record.id.clone(), entry);
        });
        Ok(())
    }

    async fn depart(&self, id: &WorkerId) -> Result<()> {
        self.step(|state, _| state.presence.0.remove(id));
        Ok(())
    }

    async fn present(&self, role: Role) -> Result<Vec<PresenceRecord>> {
        Ok(self.step(|state, now| state.presence.present(role, now)))
    }
}
