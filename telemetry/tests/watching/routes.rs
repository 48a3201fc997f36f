//! Who is told of which alert.

use std::process::Command;

use crate::documents::{list, path, string, yaml};

const FILE: &str = "dashboards/alertmanager/alertmanager.yml";

/// What Alertmanager's own tool says.
fn amtool(arguments: &[&str]) -> String {
    #[expect(
        clippy::disallowed_methods,
        reason = "`cargo xtask test` says where, as a test has no arguments"
    )]
    let program = std::env::var("TIDEMILL_TEST_AMTOOL").unwrap_or_else(|_| "amtool".into());
    let output = Command::new(&program).args(arguments).output();
    let output =
        output.unwrap_or_else(|error| panic!("{program}: {error}; run `cargo xtask test`"));
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn alertmanager_takes_its_configuration_and_every_severity_has_its_way() {
    let file = path(FILE);
    let file = file.to_str().unwrap();
    amtool(&["check-config", file]);
    let config = format!("--config.file={file}");
    for (severity, ways) in [("page", "webhook,page"), ("ticket", "webhook,mail")] {
        let labels = format!("severity={severity}");
        let told = amtool(&["config", "routes", "test", &config, &labels]);
        assert_eq!(told.trim(), ways, "{severity}");
    }
}

#[test]
fn what_one_alert_keeps_quiet_is_an_alert_that_there_is() {
    let alerts = yaml("dashboards/prometheus/alerts.yml").to_string();
    let rules = &yaml(FILE)["inhibit_rules"];
    assert!(list(rules).len() >= 3);
    for rule in list(rules) {
        for matchers in [&rule["source_matchers"], &rule["target_matchers"]] {
            let matchers = list(matchers).iter().map(string);
            for named in matchers.filter_map(|matcher| matcher.strip_prefix("alertname")) {
                let names = named.split(['"', '|', ' ', '=', '~']);
                for name in names.filter(|name| !name.is_empty()) {
                    assert!(alerts.contains(&format!("{name:?}")), "{name}");
                }
            }
        }
    }
}

/// The store that one process alone has lost says nothing about the workers of the others.
#[test]
fn only_a_store_that_nobody_reaches_keeps_other_alerts_quiet() {
    for rule in list(&yaml(FILE)["inhibit_rules"]) {
        let matchers: Vec<_> = list(&rule["source_matchers"]).iter().map(string).collect();
        if matchers
            .iter()
            .any(|matcher| matcher.contains("BrokerDown"))
        {
            assert!(matchers.contains(&r#"reach = "all""#), "{matchers:?}");
        }
    }
}
