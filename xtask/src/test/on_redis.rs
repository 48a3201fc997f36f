//! The first pass: tests of behaviours on Redis. The second one is everything, with files.

/// Tells these tests to use a namespace of this store, one for each test, instead of files and memory.
pub(super) const STORE: &str = "TIDEMILL_TEST_STORE";

/// The tests that look at behaviours from outside, whatever the store. Those of `dev` in e2e are not
/// among them, as they are about `dev` in an empty folder, where it makes its own file.
pub(super) const TARGETS: &[&str] = &[
    // The command line.
    "--test=cli",
    // Real processes, signals and kills.
    "--test=enqueue_kills",
    "--test=fair_shares",
    "--test=producers",
    "--test=replays",
    "--test=signals",
    "--test=worker_kills",
    // The worker.
    "--test=behaviours",
    // The HTTP API.
    "--test=api",
    // The producer.
    "--test=client",
    "--test=scheduler",
];

/// A test in a module `file` is about a SQLite file itself: its path, its permissions, what is in it when
/// it is none; or it is the case of that store where all others have one too.
pub(super) const BUT: &[&str] = &["--", "--skip", "file::"];
