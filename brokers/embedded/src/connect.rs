//! Connections to the file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};
use tidemill_shared::{Error, ErrorKind, Result};

use crate::SqliteOptions;
use crate::fault::{Sql, fault};
use crate::query::failure;
use crate::schema;
use crate::stopwatch::Stopwatch;

/// Where the file is and how it is treated: all that is needed to open it again.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub(crate) path: PathBuf,
    pub(crate) options: SqliteOptions,
}

impl Site {
    /// Opens the file for writing, makes it if it is not there, and brings it to this version.
    pub(crate) fn writer(&self) -> Result<Connection> {
        self.check_place()?;
        let mut conn = self
            .open(OpenFlags::SQLITE_OPEN_CREATE)
            .map_err(|error| self.at(fault("open", error)))?;
        schema::migrate(&mut conn).map_err(|error| self.at(error))?;
        self.check_size(&conn)?;
        Ok(conn)
    }

    /// Opens the file for reading only. It must be there.
    pub(crate) fn reader(&self) -> Result<Connection> {
        let open = || {
            let conn = self.open(OpenFlags::empty())?;
            conn.pragma_update(None, "query_only", true)?;
            Ok(conn)
        };
        open().map_err(|error| self.at(fault("open", error)))
    }

    /// Opens the file for checkpoints. It must be there.
    pub(crate) fn checkpointer(&self) -> Result<Connection> {
        self.open(OpenFlags::empty())
            .map_err(|error| self.at(fault("open", error)))
    }

    fn open(&self, how: OpenFlags) -> Sql<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | how;
        let mut conn = Connection::open_with_flags(&self.path, flags)?;
        #[cfg(test)]
        crate::tests::statements::count(&mut conn, &self.path)?;
        wait_when_busy(&mut conn, self.options.busy_timeout)?;
        conn.set_prepared_statement_cache_capacity(256);
        failure::register(&conn)?;
        write_ahead(&conn, self.options.busy_timeout)?;
        conn.pragma_update(None, "synchronous", self.options.synchronous.pragma())?;
        conn.pragma_update(None, "temp_store", "MEMORY")?;
        // 16 MiB: the indices of a backlog of some hundred thousand tasks.
        conn.pragma_update(None, "cache_size", -16_384)?;
        // 64 MiB: the checkpointer has mostly been there before; this starts the log anew.
        conn.pragma_update(None, "wal_autocheckpoint", 16_384)?;
        conn.pragma_update_and_check(None, "journal_size_limit", 67_108_864, |_| Ok(()))?;
        if let Some(pages) = self.options.page_limit() {
            limit_pages(&conn, pages)?;
        }
        Ok(conn)
    }

    /// Says what is wrong with the place, where SQLite would only say that it cannot open it.
    fn check_place(&self) -> Result<()> {
        let path = self.path.display();
        let refuse = |why: String| Err(Error::invalid("open", why));
        let folder = match self.path.parent() {
            Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
            Some(folder) => folder,
            None => return refuse(format!("{path} is not the path of a file")),
        };
        if !folder.is_dir() {
            return refuse(format!(
                "the folder {} does not exist; make it first",
                folder.display()
            ));
        }
        if self.path.is_dir() {
            return refuse(format!("{path} is a folder; expected a file"));
        }
        if let Ok(file) = self.path.metadata()
            && file.permissions().readonly()
        {
            return refuse(format!("{path} is read-only; expected it to be writable"));
        }
        Ok(())
    }

    /// Refuses a file that has lost its end. SQLite would notice when it needs what is missing.
    fn check_size(&self, conn: &Connection) -> Result<()> {
        let size = |path: &Path| path.metadata().map_or(0, |file| file.len());
        let mut log = self.path.as_os_str().to_owned();
        log.push("-wal");
        // Pages may still stand in the log alone.
        if size(Path::new(&log)) > 0 {
            return Ok(());
        }
        let number = |pragma| conn.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
        let (pages, page) = number("page_count")
            .and_then(|pages| Ok((pages, number("page_size")?)))
            .map_err(|error| self.at(fault("open", error)))?;
        let expected = pages.saturating_mul(page).unsigned_abs();
        let found = size(&self.path);
        // Another process may have written since the first look at the log.
        if found < expected && size(Path::new(&log)) == 0 {
            let message = format!(
                "its end is missing: it has {found} bytes of {expected}; restore it from a copy"
            );
            return Err(self.at(Error::new(ErrorKind::Corrupt, "open", message)));
        }
        Ok(())
    }

    /// Names the file in the message.
    fn at(&self, error: Error) -> Error {
        // A file that cannot be opened for writing does not mend itself.
        let kind = match error.kind() {
            ErrorKind::Unavailable if error.to_string().contains("read-only") => ErrorKind::Invalid,
            kind => kind,
        };
        Error::new(
            kind,
            "open",
            format!("the store {} cannot be used: {error}", self.path.display()),
        )
        .with_source(error)
    }
}

/// Turns the write-ahead log on. Two processes that do so at once on a new file each hold a shared
/// lock that the other waits for: SQLite breaks the tie by answering "busy" at once, without asking
/// the busy handler, so the waiting is done here.
fn write_ahead(conn: &Connection, limit: Duration) -> Sql<()> {
    let since = Stopwatch::start();
    loop {
        // Answers a row, therefore not `pragma_update`.
        let done = conn.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()));
        match done {
            Err(error) if is_busy(&error) && since.elapsed() < limit => {
                std::thread::park_timeout(Duration::from_millis(1));
            }
            other => return other,
        }
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

/// Limits the size of the file for this connection. A file that is larger already stays as it is.
pub(crate) fn limit_pages(conn: &Connection, pages: u32) -> Sql<()> {
    conn.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
}

/// Waits for other processes in small steps. SQLite's own handler sleeps up to 100 ms at a time,
/// which would show as lateness.
fn wait_when_busy(conn: &mut Connection, limit: Duration) -> Sql<()> {
    let mut since = Stopwatch::start();
    conn.busy_handler(Some(move |tries: i32| {
        if tries == 0 {
            since = Stopwatch::start();
        }
        if since.elapsed() >= limit {
            return false;
        }
        let pause = if tries < 20 { 100 } else { 1_000 };
        std::thread::park_timeout(Duration::from_micros(pause));
        true
    }))
}
