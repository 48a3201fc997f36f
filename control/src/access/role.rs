//! Roles and scopes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tidemill_shared::{Error, QueueName, Result};

use crate::route::{Action, Resource};

/// What somebody may do. Each role may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Looks.
    Viewer,
    /// Enqueues, and changes what can be changed back: retries, pauses, replays, schedules.
    Operator,
    /// Removes for good, reloads, hands out tokens, reads the audit records.
    Admin,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    /// The name on the surface.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// Whether it has a permission.
    #[must_use]
    pub fn may(self, resource: Resource, action: Action) -> bool {
        let least = match (resource, action) {
            (Resource::Access, _) | (_, Action::Own) => Self::Admin,
            (_, Action::Change) => Self::Operator,
            (_, Action::Read) => Self::Viewer,
        };
        self >= least
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|role| role.as_str() == text)
            .ok_or_else(|| Error::invalid("role", "expected one of viewer, operator, admin"))
    }
}

/// Where somebody may do it: in the namespace of the service, and in these queues.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scope {
    /// The queues; empty means all.
    pub queues: Vec<QueueName>,
}

impl Scope {
    /// Whether a queue is within it. What lies outside looks as if it were not there.
    #[must_use]
    pub fn has(&self, queue: &QueueName) -> bool {
        self.is_whole() || self.queues.contains(queue)
    }

    /// Whether it is every queue.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.queues.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::{Role, Scope};
    use crate::route::{Action, Resource};

    #[test]
    fn each_role_may_do_what_those_before_it_may() {
        let all = [
            Resource::Tasks,
            Resource::Queues,
            Resource::Schedules,
            Resource::Processes,
            Resource::Access,
        ];
        for resource in all {
            for action in [Action::Read, Action::Change, Action::Own] {
                let may = Role::ALL.map(|role| role.may(resource, action));
                assert!(may.is_sorted(), "{resource:?} {action:?}");
                assert!(may[2]);
            }
        }
        assert!(!Role::Viewer.may(Resource::Tasks, Action::Change));
        assert!(!Role::Operator.may(Resource::Tasks, Action::Own));
        assert!(!Role::Operator.may(Resource::Access, Action::Read));
    }

    /// S51.
    #[test]
    fn a_scope_is_exact() {
        let name = |text| tidemill_shared::QueueName::new(text).unwrap();
        let scope = Scope {
            queues: vec![name("mail")],
        };
        assert!(scope.has(&name("mail")));
        for other in ["mail.evil", "mai", "Mail", "x.mail"] {
            assert!(!scope.has(&name(other)), "{other}");
        }
    }
}
