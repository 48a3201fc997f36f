//! What is looked at before work is entrusted to a server.

mod clock;
mod memory;
mod permissions;
mod persistence;
mod report;

use tidemill_shared::{Error, ErrorKind, Result};

use crate::link::Link;
use crate::options::Durability;
use report::Report;

/// Looks for settings under which tasks may be lost. Each finding is logged as a warning and returned;
/// version, role and credentials were looked at when the link was opened.
///
/// # Errors
///
/// [`Invalid`](ErrorKind::Invalid) for a server that throws keys away when it is full.
pub(crate) async fn examine(link: &Link) -> Result<Vec<String>> {
    let (allowed, report, skew) = tokio::join!(
        permissions::examine(link),
        Report::fetch(link),
        clock::skew(link)
    );
    allowed?;
    let mut findings = Vec::new();
    findings.extend(report.unreadable());
    findings.extend(
        memory::eviction(&report)
            .map_err(|message| Error::new(ErrorKind::Invalid, "connect", message))?,
    );
    findings.extend(memory::fullness(&report));
    findings.extend(persistence::weaknesses(&report));
    findings.extend(replicas(&report, link.options().durability));
    findings.extend(skew?);
    for finding in &findings {
        tracing::warn!(finding, "redis is not set up as it should be");
    }
    Ok(findings)
}

/// A write that waits for more replicas than there are never succeeds.
fn replicas(report: &Report, durability: Durability) -> Option<String> {
    let Durability::Wait { replicas, .. } = durability else {
        return None;
    };
    let connected: u32 = report.info("connected_slaves")?.parse().ok()?;
    if connected > replicas {
        return Some(format!(
            "durability=wait asks for {replicas} of {connected} replicas; what those have alone is lost when another is promoted: ask for {connected}"
        ));
    }
    (connected < replicas).then(|| {
        format!(
            "durability=wait asks for {replicas} replicas, but redis has {connected}; writes fail until it has more"
        )
    })
}
