//! The programs that watch: Prometheus and its Alertmanager, each with its tool, and what tells of Redis.

use std::path::PathBuf;

use super::install::{Need, install};
use super::programs::on_path;

/// A program, under the names that it may have, with the package of Debian that it is in.
struct Watcher {
    variable: &'static str,
    names: &'static [&'static str],
    package: &'static str,
}

const WATCHERS: [Watcher; 5] = [
    Watcher {
        variable: "TIDEMILL_TEST_PROMETHEUS",
        names: &["prometheus"],
        package: "prometheus",
    },
    Watcher {
        variable: "TIDEMILL_TEST_PROMTOOL",
        names: &["promtool"],
        package: "prometheus",
    },
    Watcher {
        variable: "TIDEMILL_TEST_ALERTMANAGER",
        names: &["alertmanager", "prometheus-alertmanager"],
        package: "prometheus-alertmanager",
    },
    Watcher {
        variable: "TIDEMILL_TEST_AMTOOL",
        names: &["amtool"],
        package: "prometheus-alertmanager",
    },
    Watcher {
        variable: "TIDEMILL_TEST_REDIS_EXPORTER",
        names: &["redis_exporter", "prometheus-redis-exporter"],
        package: "prometheus-redis-exporter",
    },
];

/// Where each of them is, by the variable that tests read; those that are not on PATH are installed.
pub(super) fn find_or_install() -> Result<Vec<(&'static str, String)>, Vec<String>> {
    let mut packages: Vec<_> = WATCHERS
        .iter()
        .filter(|watcher| watcher.path().is_none())
        .map(|watcher| watcher.package)
        .collect();
    packages.dedup();
    if !packages.is_empty() {
        install(&Need {
            what: "Prometheus, Alertmanager and redis_exporter",
            packages: &packages,
            otherwise: "put prometheus, promtool, alertmanager, amtool and redis_exporter on PATH",
        })?;
    }
    WATCHERS.iter().map(Watcher::found).collect()
}

impl Watcher {
    fn path(&self) -> Option<PathBuf> {
        self.names.iter().find_map(|name| on_path(name))
    }

    fn found(&self) -> Result<(&'static str, String), Vec<String>> {
        let path = self.path().ok_or_else(|| {
            vec![format!(
                "{} was installed, but {} is not on PATH; add its folder to PATH and run this again",
                self.package,
                self.names.join(" or ")
            )]
        })?;
        Ok((self.variable, path.display().to_string()))
    }
}
