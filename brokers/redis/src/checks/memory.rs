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

/// A server without room takes nothing in.
pub(super) fn fullness(report: &Report) -> Option<String> {
    let bytes = |name: &str| report.info(name)?.parse::<u64>().ok();
    let (used, most) = (bytes("used_memory")?, bytes("maxmemory")?);
    (most > 0 && used >= most).then(|| {
        format!(
            "redis is full: it uses {used} bytes of maxmemory {most}, and refuses enqueues until tasks end; CONFIG SET maxmemory gives it more"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::{Report, eviction, fullness};

    #[test]
    fn a_server_without_room_is_told_of() {
        let report = |used, most| Report::of(&[("used_memory", used), ("maxmemory", most)], &[]);
        assert_eq!(fullness(&report("10", "0")), None);
        assert_eq!(fullness(&report("10", "11")), None);
        let finding = fullness(&report("11", "11")).unwrap();
        assert!(finding.contains("is full"), "{finding}");
    }

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
