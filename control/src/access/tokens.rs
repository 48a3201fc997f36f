//! Tidemill's own tokens: random, kept as a hash, with a name, a role, an end.
//!
//! A token is `tidemill_NAME.SECRET`. The secret has 256 random bits, so that a plain SHA-256 of it
//! is as good as a slow hash: there is nothing to guess.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::RngExt;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tidemill_shared::ledger::{Book, NoteOrder, Notes, Precondition};
use tidemill_shared::{Connection, Error, ErrorKind, NoteName, Result, Timestamp};

use super::principal::Principal;
use super::role::{Role, Scope};

/// How long a token that was looked up is good without looking again: a revocation counts after that.
const FRESH: Duration = Duration::from_secs(1);
/// How many are remembered.
const MAX_REMEMBERED: usize = 1_024;
const PREFIX: &str = "tidemill_";

/// What is known about a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// Its name, which stands in the audit records.
    pub name: NoteName,
    /// What its holder may do.
    pub role: Role,
    /// In which queues; empty means all.
    pub queues: Scope,
    /// When it was made.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
    /// When it ends, if ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
}

impl TokenRecord {
    /// Whether it is good now.
    #[must_use]
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| end > now)
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Kept {
    #[serde(flatten)]
    record: TokenRecord,
    hash: String,
}

/// A token that was just made: the only time that its text is known.
#[derive(Clone, Debug)]
pub struct Issued {
    /// What is known about it.
    pub record: TokenRecord,
    /// What its holder sends.
    pub text: String,
}

/// Tokens that were looked up, and when.
type Seen = HashMap<NoteName, (Timestamp, Option<Kept>)>;

/// The tokens of a namespace.
#[derive(Clone, Debug)]
pub struct Tokens {
    connection: Connection,
    seen: Arc<Mutex<Seen>>,
}

impl Tokens {
    /// Those that are kept in this store.
    #[must_use]
    pub fn new(connection: &Connection) -> Self {
        Self {
            connection: connection.clone(),
            seen: Arc::default(),
        }
    }

    fn ledger(&self) -> &dyn Notes {
        &*self.connection.ledger
    }

    /// Makes a token. Fails with [`ErrorKind::Conflict`] when the name is taken, also by one that was
    /// revoked: names stand in audit records.
    pub async fn issue(
        &self,
        name: NoteName,
        role: Role,
        queues: Scope,
        expires_at: Option<Timestamp>,
        by: &str,
    ) -> Result<Issued> {
        let mut secret = [0_u8; 32];
        rand::rng().fill(&mut secret);
        let secret = hex(&secret);
        let record = TokenRecord {
            name: name.clone(),
            role,
            queues,
            created_at: self.connection.clock.now(),
            created_by: by.to_owned(),
            expires_at,
            revoked_at: None,
        };
        if !record.is_good(record.created_at) {
            return Err(Error::invalid("token", "the end of the token has passed"));
        }
        let kept = Kept {
            record: record.clone(),
            hash: hash(&secret),
        };
        let text = write(&kept)?;
        let only_if = Precondition::Absent;
        let put = self
            .ledger()
            .put_note(Book::Tokens, &name, &text, only_if, None);
        if put.await?.is_none() {
            return Err(Error::new(
                ErrorKind::Conflict,
                "issue token",
                format!("there is a token {name} already; choose another name"),
            ));
        }
        Ok(Issued {
            record,
            text: format!("{PREFIX}{name}.{secret}"),
        })
    }

    /// Every token, good or not, by name.
    pub async fn list(&self) -> Result<Vec<TokenRecord>> {
        let mut all = Vec::new();
        let mut after = None;
        loop {
            let order = NoteOrder::Forward;
            let page = self
                .ledger()
                .notes(Book::Tokens, order, after.as_ref(), 1_000);
            let page = page.await?;
            let Some(last) = page.last() else {
                return Ok(all);
            };
            after = Some(last.name.clone());
            for note in &page {
                all.push(read(&note.text)?.record);
            }
        }
    }

    /// Ends a token; its name stays taken. `false` when there is none.
    pub async fn revoke(&self, name: &NoteName) -> Result<bool> {
        loop {
            let Some(note) = self.ledger().note(Book::Tokens, name).await? else {
                return Ok(false);
            };
            let mut kept = read(&note.text)?;
            if kept.record.revoked_at.is_some() {
                return Ok(true);
            }
            kept.record.revoked_at = Some(self.connection.clock.now());
            let only_if = Precondition::Version(note.version);
            let text = write(&kept)?;
            let put = self
                .ledger()
                .put_note(Book::Tokens, name, &text, only_if, None);
            if put.await?.is_some() {
                self.seen().remove(name);
                return Ok(true);
            }
        }
    }

    /// Whether there has ever been one, good or not: none is forgotten.
    pub async fn any(&self) -> Result<bool> {
        let ledger = self.ledger();
        let found = ledger.notes(Book::Tokens, NoteOrder::Forward, None, 1);
        Ok(!found.await?.is_empty())
    }

    /// Whether any token is good now.
    pub async fn any_good(&self) -> Result<bool> {
        let now = self.connection.clock.now();
        Ok(self.list().await?.iter().any(|token| token.is_good(now)))
    }

    /// Whose token this is.
    pub(crate) async fn holder(&self, presented: &str) -> Result<Option<Principal>> {
        let Some((name, secret)) = split(presented) else {
            return Ok(None);
        };
        let found = self.find(&name).await?;
        // Hashed and compared also when there is none, so that time tells nothing.
        let known = found.as_ref().map_or("", |kept| kept.hash.as_str());
        let same: bool = hash(secret).as_bytes().ct_eq(known.as_bytes()).into();
        let now = self.connection.clock.now();
        Ok(found
            .filter(|kept| same && kept.record.is_good(now))
            .map(|kept| Principal {
                name: kept.record.name.to_string(),
                role: kept.record.role,
                scope: kept.record.queues,
                until: kept.record.expires_at,
            }))
    }

    async fn find(&self, name: &NoteName) -> Result<Option<Kept>> {
        let now = self.connection.clock.now();
        if let Some((at, kept)) = self.seen().get(name)
            && *at + FRESH > now
            && *at <= now
        {
            return Ok(kept.clone());
        }
        let note = self.ledger().note(Book::Tokens, name).await?;
        let kept = note.map(|note| read(&note.text)).transpose()?;
        let mut seen = self.seen();
        if seen.len() >= MAX_REMEMBERED {
            seen.clear();
        }
        seen.insert(name.clone(), (now, kept.clone()));
        Ok(kept)
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name and the secret of a token, if it has the form of one.
fn split(presented: &str) -> Option<(NoteName, &str)> {
    if presented.len() > 512 {
        return None;
    }
    let (name, secret) = presented.strip_prefix(PREFIX)?.rsplit_once('.')?;
    Some((NoteName::new(name).ok()?, secret))
}

fn hash(secret: &str) -> String {
    hex(&Sha256::digest(secret.as_bytes()))
}

/// Bytes in hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn write(kept: &Kept) -> Result<String> {
    serde_json::to_string(kept)
        .map_err(|e| Error::invalid("token", "the record cannot be written").with_source(e))
}

fn read(text: &str) -> Result<Kept> {
    serde_json::from_str(text).map_err(|e| {
        Error::new(ErrorKind::Corrupt, "token", "a stored token cannot be read").with_source(e)
    })
}
