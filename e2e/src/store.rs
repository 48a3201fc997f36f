//! The store under test: where it is, and how the test itself looks at it.

use std::path::Path;
use std::process::Command;

use tidemill::{Connect, Connection, Inspect, TaskId, TaskRecord, Timestamp};

use crate::Result;

/// Where a store is that one test has to itself.
#[derive(Clone, Debug)]
pub struct Place {
    url: String,
    namespace: String,
}

impl Place {
    /// A new one: a namespace of the store that `TIDEMILL_TEST_STORE` names, or else a file in this
    /// folder.
    #[must_use]
    pub fn fresh(folder: &Path) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "`cargo xtask test` says where, as a test has no arguments"
        )]
        let Ok(url) = std::env::var("TIDEMILL_TEST_STORE") else {
            return Self::file(&folder.join("tasks.db"));
        };
        // As unique as the folder.
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let namespace = name.trim_start_matches('.').to_owned();
        Self { url, namespace }
    }

    /// A file.
    #[must_use]
    pub fn file(path: &Path) -> Self {
        Self {
            url: format!("sqlite:{}", path.display()),
            namespace: "default".to_owned(),
        }
    }

    /// A namespace of any store.
    #[must_use]
    pub fn at(url: &str, namespace: &str) -> Self {
        Self {
            url: url.to_owned(),
            namespace: namespace.to_owned(),
        }
    }

    /// Tells a program of this workspace.
    pub(crate) fn tell(&self, command: &mut Command) {
        command
            .env("TIDEMILL_BROKER", &self.url)
            .env("TIDEMILL_NAMESPACE", &self.namespace);
    }
}

/// An open store.
#[derive(Debug)]
pub struct Store {
    /// The connection.
    pub connection: Connection,
}

impl Store {
    /// Opens it.
    pub async fn open(place: &Place) -> Result<Self> {
        let connect = Connect::to(&place.url).namespace(&place.namespace);
        Ok(Self {
            connection: connect.open().await?,
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
