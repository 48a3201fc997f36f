//! A call that cannot be carried out as it stands.

use std::error::Error;
use std::fmt;

/// What is wrong with the call, what was expected, and what to do: exit status 2.
#[derive(Debug)]
pub(crate) struct WrongCall(pub(crate) String);

impl fmt::Display for WrongCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for WrongCall {}

/// Whether whoever called has to change something, rather than try again.
pub(crate) fn is_the_callers(error: &(dyn Error + 'static)) -> bool {
    if error.is::<WrongCall>() {
        return true;
    }
    matches!(
        error
            .downcast_ref::<tidemill::Error>()
            .map(tidemill::Error::kind),
        Some(tidemill::ErrorKind::Invalid | tidemill::ErrorKind::Unsupported)
    )
}

#[cfg(test)]
mod tests {
    use super::{WrongCall, is_the_callers};

    #[tokio::test]
    async fn a_url_that_names_no_store_is_the_callers_fault_and_a_server_that_is_away_is_not() {
        assert!(is_the_callers(&WrongCall(String::new())));
        let error = tidemill::connect("nonsense:").await.unwrap_err();
        assert!(is_the_callers(&error), "{error}");
        let error = tidemill::connect("redis://127.0.0.1:1?timeout=100ms").await;
        assert!(!is_the_callers(&error.unwrap_err()));
    }
}
