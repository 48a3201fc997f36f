//! Reading schedule files, whatever has become of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tokio::sync::oneshot;

use crate::problem::Problem;
use crate::settings::{ScheduleSource, Stamp, named_files, read_sources, stamp};

/// The versions of the files that are watched.
pub(super) type Stamps = BTreeMap<PathBuf, Stamp>;

/// What a look at the files found.
pub(super) struct Reading {
    /// Taken first: what changes while they are read counts as changed since.
    pub(super) stamps: Stamps,
    pub(super) sources: Result<Vec<ScheduleSource>, Problem>,
}

impl Reading {
    pub(super) fn of(file: &Path) -> Self {
        let stamps = stamps(named_files(file));
        // One that may never end, such as a pipe, would never be read to its end.
        let is_odd = |path: &&PathBuf| path.metadata().is_ok_and(|found| !found.is_file());
        let sources = match stamps.keys().find(is_odd) {
            Some(odd) => Err(Problem::usage(format!(
                "{} is no regular file",
                odd.display()
            ))),
            None => read_sources(file),
        };
        Self { stamps, sources }
    }
}

/// The present versions of files.
pub(super) fn stamps(paths: impl IntoIterator<Item = PathBuf>) -> Stamps {
    let paths = paths.into_iter();
    paths.map(|path| (path.clone(), stamp(&path))).collect()
}

/// Does what may take long, or for ever where a file is on a share that does not answer, on a thread of its own. It
/// holds up neither the runtime nor the end of the process.
pub(super) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (tell, told) = oneshot::channel();
    std::thread::spawn(move || tell.send(work()).ok());
    match told.await {
        Ok(done) => done,
        // It has panicked, which has been told.
        Err(_) => std::future::pending().await,
    }
}
