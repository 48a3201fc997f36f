//! How TLS is spoken.

use std::path::PathBuf;

/// Whom to trust, and who we are. The files are read at each connect, so that renewed ones are used.
#[derive(Clone, Debug, Default)]
pub(crate) struct TlsOptions {
    pub(crate) ca: Option<PathBuf>,
    /// The client's certificate and its key.
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
    pub(crate) verification: Verification,
}

/// Whether the server has to prove who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Verification {
    #[default]
    Full,
    None,
}
