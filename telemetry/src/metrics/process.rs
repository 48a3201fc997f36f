//! What the operating system says about this process.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::atomic::AtomicU64;

use super::family::gauge;
use crate::catalogue::help;
use crate::names;

type Float = Gauge<f64, AtomicU64>;

/// Read from the system at a scrape. Zero where the system is not Linux.
#[derive(Debug)]
pub(super) struct ProcessMetrics {
    cpu: Counter<f64, AtomicU64>,
    open_fds: Float,
    max_fds: Float,
    resident: Float,
    virtual_: Float,
    started: Float,
    threads: Float,
}

impl ProcessMetrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let cpu = Counter::default();
        let name = names::PROCESS_CPU_SECONDS_TOTAL;
        let stem = name.strip_suffix("_total").unwrap_or(name);
        registry.register(stem, help(name), cpu.clone());
        Self {
            cpu,
            open_fds: gauge(registry, names::PROCESS_OPEN_FDS),
            max_fds: gauge(registry, names::PROCESS_MAX_FDS),
            resident: gauge(registry, names::PROCESS_RESIDENT_MEMORY_BYTES),
            virtual_: gauge(registry, names::PROCESS_VIRTUAL_MEMORY_BYTES),
            started: gauge(registry, names::PROCESS_START_TIME_SECONDS),
            threads: gauge(registry, names::PROCESS_THREADS),
        }
    }

    #[cfg(target_os = "linux")]
    pub(super) fn refresh(&self) {
        if let Err(error) = self.read() {
            tracing::debug!(%error, "the system says nothing about this process");
        }
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) const fn refresh(&self) {}

    #[cfg(target_os = "linux")]
    #[expect(
        clippy::cast_precision_loss,
        reason = "a metric is a float, and these are far below 2^53"
    )]
    fn read(&self) -> procfs::ProcResult<()> {
        use procfs::CurrentSI;
        use procfs::process::{LimitValue, Process};

        let process = Process::myself()?;
        let stat = process.stat()?;
        let ticks = procfs::ticks_per_second() as f64;
        let used = (stat.utime + stat.stime) as f64 / ticks;
        let before = self.cpu.get();
        if used > before {
            self.cpu.inc_by(used - before);
        }
        self.resident.set((stat.rss * procfs::page_size()) as f64);
        self.virtual_.set(stat.vsize as f64);
        self.threads.set(stat.num_threads as f64);
        let booted = procfs::KernelStats::current()?.btime as f64;
        self.started.set(booted + stat.starttime as f64 / ticks);
        self.open_fds.set(process.fd_count()? as f64);
        if let LimitValue::Value(most) = process.limits()?.max_open_files.soft_limit {
            self.max_fds.set(most as f64);
        }
        Ok(())
    }
}
