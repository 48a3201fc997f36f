//! What happens when the server is full.

use super::report::Report;

/// A server that evicts keys loses tasks, one that has no limit yet may do so later.
pub(super) fn eviction(report: &Report) -> Result<Option<String>, String> {
    let Some(policy) = report.info("maxmemory_policy") else {
        return Ok(None);
    };
    if policy == "noeviction" {
        return Ok(None);
    }
    let remedy = "CONFIG SET maxmemory-policy noeviction, and in redis.conf too";
    if report.info("maxmemory") == Some("0") {
        return Ok(Some(format!(
            "maxmemory-policy is {policy}: once a maxmemory is set, redis would throw tasks away when it is full; {remedy}"
        )));
    }
    Err(format!(
        "redis throws keys away when it is full (maxmemory-policy is {policy}), and tasks with them; {remedy}"
    ))
}

#[cfg(test)]
mod tests {
    use super::{Report, eviction};

    #[test]
    fn a_server_that_evicts_is_refused() {
        let report =
            |policy, limit| Report::of(&[("maxmemory_policy", policy), ("maxmemory", limit)], &[]);
        assert_eq!(eviction(&report("noeviction", "1000")), Ok(None));
        assert_eq!(eviction(&Report::default()), Ok(None));
        let finding = eviction(&report("allkeys-lru", "0")).unwrap().unwrap();
        assert!(finding.contains("allkeys-lru"), "{finding}");
        let refused = eviction(&report("volatile-ttl", "1000")).unwrap_err();
        assert!(refused.contains("noeviction"), "{refused}");
    }
}
