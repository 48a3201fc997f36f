//! How the service is set up.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Who is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Authentication {
    /// Whoever has a token. On a loopback address nobody needs one before the first is made, or JWT is
    /// set up; tokens that have ended count too.
    #[default]
    Auto,
    /// Whoever has a token.
    Required,
    /// Anybody who reaches it, with every right; refused elsewhere than on a loopback address.
    Off,
}

/// Where the keys come from by which JSON Web Tokens are checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JwtKeys {
    /// A JWKS file, read again when a key is not found in it.
    File(PathBuf),
    /// A JWKS address, asked again when a key is not found there, once a minute at most.
    Url(String),
}

/// Which JSON Web Tokens are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtSettings {
    /// Who has to have issued them.
    pub issuer: String,
    /// For whom they have to be.
    pub audience: String,
    /// By which keys they are checked.
    pub keys: JwtKeys,
    /// The claim that holds the role. Default `role`.
    pub role_claim: String,
}

/// How the service is set up. The defaults are those of `tidemill control`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Where it listens. Default `127.0.0.1:8080`.
    pub listen: SocketAddr,
    /// Who is let in.
    pub authentication: Authentication,
    /// Which JSON Web Tokens are accepted, beside Tidemill's own tokens. Default none.
    pub jwt: Option<JwtSettings>,
    /// The names in `Host` that are answered besides the address itself and, on loopback,
    /// `localhost`.
    pub hosts: Vec<String>,
    /// The origins whose pages may call it (CORS). Default none.
    pub origins: Vec<String>,
    /// Whether every change is refused.
    pub read_only: bool,
    /// How many requests a second each token may make, in the long run and at once. Default none.
    pub rate: Option<u32>,
    /// Whether triggers need an `X-Nonce` and an `X-Timestamp`, so that none can be replayed.
    pub one_time: bool,
    /// The largest body. Default 1 MiB; a batch may have 16 times as much.
    pub max_body: usize,
    /// The longest that a request may take. Default 30 s.
    pub timeout: Duration,
    /// How many connections are served at once. Default 1,024.
    pub max_connections: usize,
    /// How many event streams are served at once. Default 256.
    pub max_streams: usize,
    /// How long a reader of a stream may leave it unread before it is let go. Default 15 s.
    pub patience: Duration,
}

impl Settings {
    /// The defaults, at this address.
    #[must_use]
    pub const fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            authentication: Authentication::Auto,
            jwt: None,
            hosts: Vec::new(),
            origins: Vec::new(),
            read_only: false,
            rate: None,
            one_time: false,
            max_body: 1 << 20,
            timeout: Duration::from_secs(30),
            max_connections: 1_024,
            max_streams: 256,
            patience: Duration::from_secs(15),
        }
    }
}
