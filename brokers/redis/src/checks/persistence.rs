//! What a restart of the server would leave.

use super::report::Report;

/// Settings under which a restart or a power cut loses what was acknowledged.
pub(super) fn weaknesses(report: &Report) -> Vec<String> {
    let mut found = Vec::new();
    match report.info("aof_enabled") {
        Some("1") => found.extend(fsync(report)),
        Some(_) => found.push(snapshots(report)),
        None => {}
    }
    for (name, what) in [
        ("aof_last_write_status", "append-only file"),
        ("rdb_last_bgsave_status", "snapshot"),
    ] {
        if report.info(name).is_some_and(|status| status != "ok") {
            found.push(format!(
                "redis could not write its last {what}; see its log and its disk"
            ));
        }
    }
    found
}

fn fsync(report: &Report) -> Option<String> {
    (report.config("appendfsync") == Some("no")).then(|| {
        "appendfsync is no: a power cut loses what the system has not written yet; set it to everysec or always".to_owned()
    })
}

fn snapshots(report: &Report) -> String {
    let remedy = "CONFIG SET appendonly yes, and in redis.conf too";
    match report.config("save") {
        Some("") => format!("persistence is off: a restart of redis loses every task; {remedy}"),
        Some(_) => format!(
            "the append-only file is off: a restart of redis loses what came after its last snapshot; {remedy}"
        ),
        None => format!(
            "the append-only file is off: a restart of redis loses what came after its last snapshot, or everything; {remedy}"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::{Report, weaknesses};

    #[test]
    fn what_a_restart_would_lose_is_named() {
        for (aof, config, part) in [
            ("0", ("save", ""), "every task"),
            ("0", ("save", "3600 1"), "last snapshot;"),
            ("0", ("other", ""), "or everything"),
            ("1", ("appendfsync", "no"), "power cut"),
        ] {
            let found = weaknesses(&Report::of(&[("aof_enabled", aof)], &[config]));
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].contains(part), "{found:?}");
        }
        let sound = Report::of(&[("aof_enabled", "1")], &[("appendfsync", "everysec")]);
        assert!(weaknesses(&sound).is_empty());
        let full_disk = Report::of(&[("aof_last_write_status", "err")], &[]);
        assert!(weaknesses(&full_disk)[0].contains("disk"));
    }
}
