//! How much one caller may ask.

use std::net::IpAddr;
use std::num::NonZeroU32;

use axum::http::{StatusCode, header};
use governor::clock::Clock as _;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::access::Principal;
use crate::problem::Problem;

/// How often a second one address may show a token that is not good.
const STRANGERS: NonZeroU32 = NonZeroU32::new(20).expect("it is not zero");
/// After how many callers their counts are tidied up.
const TIDY: usize = 10_000;

/// Counts of requests.
#[derive(Debug)]
pub(crate) struct Limits {
    callers: Option<DefaultKeyedRateLimiter<String>>,
    strangers: DefaultKeyedRateLimiter<IpAddr>,
}

impl Limits {
    pub(crate) fn new(rate: Option<u32>) -> Self {
        let rate = rate.and_then(NonZeroU32::new);
        Self {
            callers: rate.map(|rate| RateLimiter::keyed(Quota::per_second(rate))),
            strangers: RateLimiter::keyed(Quota::per_second(STRANGERS)),
        }
    }

    /// Refuses what is too much of one caller.
    pub(super) fn admit(&self, principal: &Principal) -> Result<(), Problem> {
        let Some(callers) = &self.callers else {
            return Ok(());
        };
        if callers.len() > TIDY {
            callers.retain_recent();
        }
        let checked = callers.check_key(&principal.name);
        checked.map_err(|early| too_many(early.wait_time_from(callers.clock().now())))
    }

    /// Counts a caller who is not known, and refuses an address from which too many come.
    pub(super) fn note_stranger(&self, from: IpAddr) -> Result<(), Problem> {
        if self.strangers.len() > TIDY {
            self.strangers.retain_recent();
        }
        let checked = self.strangers.check_key(&from);
        checked.map_err(|early| {
            tracing::warn!(target: "tidemill::audit", %from, "too many callers are not let in");
            too_many(early.wait_time_from(self.strangers.clock().now()))
        })
    }
}

fn too_many(wait: std::time::Duration) -> Problem {
    let title = "Too many requests";
    let detail = "the rate of this caller is used up";
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate", title, detail)
        .header(header::RETRY_AFTER, &(wait.as_secs() + 1).to_string())
}
