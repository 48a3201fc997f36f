//! The second pass: what operators see and do, on RabbitMQ with a ledger beside it.

/// The command line, and the HTTP API.
pub(super) const TARGETS: &[&str] = &["--test=cli", "--test=api"];

/// Looking, changing one and many, dead letters, replays, processes, audit records.
pub(super) const MODULES: &[&str] = &[
    "--",
    "audit::",
    "bulk::",
    "dead::",
    "health::",
    "keys::",
    "operating::",
    "queue::",
    "replays::",
    "roles::",
    "task::",
    // Or it would be among those of `queue`.
    "--skip",
    "enqueue::",
];
