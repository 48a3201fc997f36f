//! Who calls.

use tidemill_shared::Timestamp;

use super::role::{Role, Scope};
use crate::problem::Problem;
use crate::route::Need;

/// Who calls, and what they may do.
#[derive(Clone, Debug)]
pub(crate) struct Principal {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) scope: Scope,
    /// When what they came in with ends by itself, if ever.
    pub(crate) until: Option<Timestamp>,
}

impl Principal {
    /// Everybody on this machine, where no token is asked for.
    pub(crate) fn local() -> Self {
        Self {
            name: "local".into(),
            role: Role::Admin,
            scope: Scope::default(),
            until: None,
        }
    }

    /// Refuses what the role does not allow.
    pub(crate) fn must_have(&self, need: Need) -> Result<(), Problem> {
        match need {
            Need::Open => Ok(()),
            Need::Permission(resource, action) if self.role.may(resource, action) => Ok(()),
            Need::Permission(..) => Err(Problem::forbidden(format!(
                "the role {} does not allow this",
                self.role
            ))),
        }
    }
}
