//! Every case by name, what it needs, and how it is run.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tidemill_shared::Capabilities;

use crate::cases;
use crate::scene::Scene;
use crate::{Fixture, Harness};

/// How long a case may take before it is said to hang.
const CASE_LIMIT: Duration = Duration::from_secs(60);

/// What a case needs of a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Need {
    /// Uniqueness keys.
    Keys,
    /// Priorities within a queue.
    Priorities,
    /// Leases can be renewed.
    Renew,
    /// Tasks can be looked at and changed.
    Inspect,
    /// Delays are exact to the millisecond.
    ExactDelay,
    /// Several processes may share the store.
    MultiProcess,
    /// A settlement and the end of its task are one step.
    ExactSettle,
    /// What was acknowledged survives the death of the process; also whatever concerns the stored
    /// form.
    Persistent,
}

impl Need {
    const fn is_met(self, capabilities: &Capabilities) -> bool {
        match self {
            Self::Keys => capabilities.keys,
            Self::Priorities => capabilities.priorities,
            Self::Renew => capabilities.renew,
            Self::Inspect => capabilities.inspect,
            Self::ExactDelay => capabilities.exact_delay,
            Self::MultiProcess => capabilities.multi_process,
            Self::ExactSettle => capabilities.exact_settle,
            Self::Persistent => capabilities.persistent,
        }
    }

    const fn why(self) -> &'static str {
        match self {
            Self::Keys => "the broker has no uniqueness keys",
            Self::Priorities => "the broker has no priorities",
            Self::Renew => "leases cannot be renewed",
            Self::Inspect => "tasks cannot be looked at",
            Self::ExactDelay => "delays are not exact",
            Self::MultiProcess => "only one process can use the store",
            Self::ExactSettle => "a settlement and the end of its task are two steps",
            Self::Persistent => "the store does not outlive its process",
        }
    }
}

type Run = for<'a> fn(&'a mut Scene) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

/// One case.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// What it claims, as a name; unique.
    pub name: &'static str,
    /// Which concern it belongs to.
    pub concern: &'static str,
    /// What it needs of a broker.
    pub needs: &'static [Need],
    run: Run,
}

impl Case {
    fn unmet(&self, capabilities: &Capabilities) -> Option<Need> {
        let mut needs = self.needs.iter().copied();
        needs.find(|need| !need.is_met(capabilities))
    }
}

/// The cases that a broker with these capabilities does not run, each with the reason.
#[must_use]
pub fn excluded(capabilities: &Capabilities) -> Vec<(&'static str, &'static str)> {
    CASES
        .iter()
        .filter_map(|case| Some((case.name, case.unmet(capabilities)?.why())))
        .collect()
}

/// Runs one case against a fresh store. Panics when the store breaks the contract, or when the case
/// has not ended within a minute.
///
/// `conformance!` makes a test of this for each case.
pub fn check(name: &str, harness: &dyn Harness) {
    let case = CASES.iter().find(|case| case.name == name);
    let case = case.expect("the case is in the catalogue");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime can be built");
    runtime.block_on(async {
        let fixture: Box<dyn Fixture> = harness.fresh().await;
        let capabilities = fixture.connection().broker.capabilities();
        if case.unmet(&capabilities).is_some() {
            return;
        }
        let mut scene = Scene::new(fixture);
        let run = tokio::time::timeout(CASE_LIMIT, (case.run)(&mut scene));
        run.await.expect("the case ends within a minute");
    });
}

/// The same, unless the case is among these, each with the reason. Panics when one of them is no case.
pub fn check_unless(name: &str, harness: &dyn Harness, except: &[(&str, &str)]) {
    for (unknown, _) in except {
        let is_known = CASES.iter().any(|case| case.name == *unknown);
        assert!(is_known, "{unknown} is in the catalogue");
    }
    if !except.iter().any(|(excepted, _)| *excepted == name) {
        check(name, harness);
    }
}

crate::__cases! { table }
