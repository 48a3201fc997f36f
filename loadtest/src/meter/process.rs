//! What Linux tells of a process; elsewhere nothing.

use std::fs;
use std::time::Duration;

/// Processor time of a process.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Times {
    /// The threads of the embedded store.
    pub(crate) store: Duration,
    /// All the others.
    pub(crate) others: Duration,
}

impl Times {
    /// Both in one.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            store: self.store + other.store,
            others: self.others + other.others,
        }
    }

    /// What came on top.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            store: self.store.saturating_sub(before.store),
            others: self.others.saturating_sub(before.others),
        }
    }
}

/// The names of the embedded store's threads, as far as Linux keeps them.
const STORE: [&str; 3] = ["tidemill-writer", "tidemill-reader", "tidemill-checkp"];

/// Processor time so far. Threads that have ended are counted among the others.
pub(crate) fn times(process: u32) -> Option<Times> {
    let mut times = Times {
        store: Duration::ZERO,
        others: total(process)?,
    };
    for thread in fs::read_dir(format!("/proc/{process}/task")).ok()? {
        let thread = thread.ok()?.path();
        let name = fs::read_to_string(thread.join("comm")).unwrap_or_default();
        if !STORE.contains(&name.trim_end()) {
            continue;
        }
        // Nanoseconds on a processor, in a queue for one, and how often.
        let used = fs::read_to_string(thread.join("schedstat")).unwrap_or_default();
        let nanos = used.split(' ').next().and_then(|text| text.parse().ok());
        let used = Duration::from_nanos(nanos.unwrap_or(0));
        times.store += used;
        times.others = times.others.saturating_sub(used);
    }
    Some(times)
}

/// In user mode and in the kernel, in steps of 10 ms.
fn total(process: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    let fields = after_name.split_whitespace().skip(11).take(2);
    let ticks: u64 = fields.filter_map(|text| text.parse::<u64>().ok()).sum();
    Some(Duration::from_millis(10 * ticks))
}

/// Resident memory, in bytes.
pub(crate) fn rss(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

/// Open descriptors, and how many of them are sockets.
pub(crate) fn descriptors(process: u32) -> Option<(u64, u64)> {
    let mut found = (0, 0);
    for descriptor in fs::read_dir(format!("/proc/{process}/fd")).ok()? {
        found.0 += 1;
        let target = fs::read_link(descriptor.ok()?.path()).unwrap_or_default();
        found.1 += u64::from(target.to_string_lossy().starts_with("socket:"));
    }
    Some(found)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::TcpListener;

    use super::{descriptors, rss, times};

    #[test]
    fn this_process_has_used_time_and_memory_and_opened_what_it_did() {
        let own = std::process::id();
        assert!(times(own).is_some() && rss(own).unwrap() > 100_000);
        let listeners: Vec<TcpListener> = (0..20)
            .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        let (all, sockets) = descriptors(own).unwrap();
        assert!(sockets >= 20 && all >= sockets, "{all}, {sockets}");
        drop(listeners);
    }
}
