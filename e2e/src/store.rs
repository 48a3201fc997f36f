//! The store under test, as the test itself looks at it.

use std::path::Path;

use tidemill::{Connection, Inspect, TaskId, TaskRecord, Timestamp};

use crate::Result;

/// An open store.
#[derive(Debug)]
pub struct Store {
    /// The connection.
    pub connection: Connection,
}

impl Store {
    /// The URL of the store in a folder.
    #[must_use]
    pub fn url(folder: &Path) -> String {
        format!("sqlite:{}", folder.join("tasks.db").display())
    }

    /// Opens it.
    pub async fn open(url: &str) -> Result<Self> {
        Ok(Self {
            connection: tidemill::connect(url).await?,
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
