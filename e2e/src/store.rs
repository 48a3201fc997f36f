//! How a test itself looks at the store under test.

use tidemill::{Connection, Inspect, TaskId, TaskRecord, Timestamp};

use crate::{Place, Result};

/// An open store.
#[derive(Debug)]
pub struct Store {
    /// The connection.
    pub connection: Connection,
}

impl Store {
    /// Opens it.
    pub async fn open(place: &Place) -> Result<Self> {
        Ok(Self {
            connection: place.connect().await?,
        })
    }

    /// The operator's view.
    pub fn inspect(&self) -> Result<&dyn Inspect> {
        self.connection
            .broker
            .inspect()
            .ok_or_else(|| "the store has no operator's view".into())
    }

    /// A task that has to be there.
    pub async fn task(&self, id: &TaskId) -> Result<TaskRecord> {
        let found = self.inspect()?.get(id).await?;
        found.ok_or_else(|| format!("the task {id} is not there").into())
    }

    /// The present instant by the store's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.connection.clock.now()
    }
}
