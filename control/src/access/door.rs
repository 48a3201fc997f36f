//! Whether whoever has no token is let in.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidemill_shared::{Result, Timestamp};

use super::tokens::Tokens;

/// How long it is good that there was no token yet.
const FRESH: Duration = Duration::from_secs(1);

/// Whether whoever has no token is let in.
#[derive(Debug)]
pub(crate) enum Door {
    /// Never.
    Shut,
    /// Always: that is asked for.
    Open,
    /// Until the first token is made.
    Ajar(Ajar),
}

/// When it was looked last that there is no token yet; `None` once there has been one, for good.
#[derive(Debug)]
pub(crate) struct Ajar(Mutex<Option<Timestamp>>);

impl Door {
    /// Open until the first token is made: there was none just now.
    pub(crate) const fn ajar(now: Timestamp) -> Self {
        Self::Ajar(Ajar(Mutex::new(Some(now))))
    }

    /// Whether it is open, as far as is known without a look.
    pub(crate) fn is_open(&self) -> bool {
        match self {
            Self::Shut => false,
            Self::Open => true,
            Self::Ajar(ajar) => ajar.looked().is_some(),
        }
    }

    /// Whether it is open now. It shuts within a second of the first token, whoever made that.
    pub(crate) async fn admits(&self, tokens: &Tokens, now: Timestamp) -> Result<bool> {
        let Self::Ajar(ajar) = self else {
            return Ok(self.is_open());
        };
        let Some(looked) = *ajar.looked() else {
            return Ok(false);
        };
        if looked <= now && looked + FRESH > now {
            return Ok(true);
        }
        if !tokens.any().await? {
            // Another look may have found one meanwhile.
            return Ok(match &mut *ajar.looked() {
                Some(looked) => {
                    *looked = now;
                    true
                }
                None => false,
            });
        }
        if ajar.looked().take().is_some() {
            tracing::info!("there is a token now: whoever has none is not let in any more");
        }
        Ok(false)
    }
}

impl Ajar {
    fn looked(&self) -> MutexGuard<'_, Option<Timestamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
