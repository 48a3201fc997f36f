//! `docker-compose.yml` keeps its rules. There is no Docker where tests run, so nothing here starts a container.

use clap::Parser as _;
use serde_json::Value;

use super::root;
use crate::grammar::Cli;

/// Keys of a service that the file may use: what is mistyped is not among them.
const KEYS: [&str; 20] = [
    "build",
    "image",
    "restart",
    "depends_on",
    "volumes",
    "read_only",
    "tmpfs",
    "cap_drop",
    "security_opt",
    "environment",
    "command",
    "healthcheck",
    "ports",
    "profiles",
    "hostname",
    "deploy",
    "stop_grace_period",
    "user",
    "entrypoint",
    "working_dir",
];

/// Images with no program in them that could look after the health of their own.
const WITHOUT_A_SHELL: [&str; 1] = ["otel-collector"];

fn file() -> (Value, String) {
    let text = std::fs::read_to_string(root().join("docker-compose.yml")).unwrap();
    (serde_saphyr::from_str(&text).unwrap(), text)
}

fn services() -> Vec<(String, Value)> {
    let (mut file, _) = file();
    let Value::Object(services) = file["services"].take() else {
        panic!("no services");
    };
    services.into_iter().collect()
}

fn texts(value: &Value) -> Vec<&str> {
    let list = value.as_array().into_iter().flatten();
    list.map(|one| one.as_str().unwrap()).collect()
}

#[test]
fn everything_that_was_promised_is_in_it() {
    let services = services();
    let names: Vec<_> = services.iter().map(|(name, _)| name.as_str()).collect();
    for name in [
        "redis",
        "rabbitmq",
        "producer",
        "worker",
        "control",
        "prometheus",
        "alertmanager",
        "grafana",
        "otel-collector",
        "tempo",
        "loki",
    ] {
        assert!(names.contains(&name), "{name}");
    }
    for (name, service) in &services {
        for key in service.as_object().unwrap().keys() {
            assert!(KEYS.contains(&key.as_str()), "{name}: {key}");
        }
        let has_health = !texts(&service["healthcheck"]["test"]).is_empty();
        let is_mute = WITHOUT_A_SHELL.contains(&name.as_str());
        assert!(has_health != is_mute, "{name}: health");
        assert!(service["restart"] == "unless-stopped", "{name}: restart");
    }
    let producer = services
        .iter()
        .find(|(name, _)| name == "producer")
        .unwrap();
    assert_eq!(producer.1["deploy"]["replicas"], 2);
    // What has a name or a port of its own cannot be scaled.
    let worker = services.iter().find(|(name, _)| name == "worker").unwrap();
    assert!(worker.1.get("container_name").is_none() && worker.1.get("ports").is_none());
}

#[test]
fn images_are_pinned_ports_are_local_and_no_secret_has_a_default() {
    for (name, service) in services() {
        let image = service["image"].as_str().unwrap();
        let tag = image.rsplit_once(':').unwrap().1;
        let is_pinned = tag.matches('.').count() >= 2;
        assert!(is_pinned || service["build"].is_string(), "{name}: {image}");
        for port in texts(&service["ports"]) {
            assert!(port.starts_with("127.0.0.1:"), "{name}: {port}");
        }
    }
    let (_, text) = file();
    let variables: Vec<_> = text.split("${").skip(1).collect();
    assert!(variables.len() >= 4);
    for variable in variables {
        let inside = variable.split('}').next().unwrap();
        assert!(inside.contains(":?"), "{inside} may be left out");
        let name = inside.split(':').next().unwrap();
        let example = std::fs::read_to_string(root().join(".env.example")).unwrap();
        assert!(
            example.contains(&format!("\n{name}=\n")),
            "{name} is in no example"
        );
    }
    for secret in ["PASSWORD: ", "PASS: ", "REDISCLI_AUTH: "] {
        for line in text.lines().filter(|line| line.contains(secret)) {
            assert!(line.contains("${"), "{line}");
        }
    }
}

#[test]
fn what_it_mounts_is_there_and_volumes_are_declared() {
    let (file, _) = file();
    for (name, service) in services() {
        for mount in texts(&service["volumes"]) {
            let source = mount.split(':').next().unwrap();
            match source.strip_prefix("./") {
                Some(path) => assert!(root().join(path).exists(), "{name}: {source}"),
                None if source.starts_with('/') => assert!(mount.ends_with(":ro"), "{mount}"),
                None => assert!(file["volumes"].get(source).is_some(), "{name}: {source}"),
            }
        }
        for needed in service["depends_on"].as_object().into_iter().flatten() {
            assert!(
                file["services"].get(needed.0).is_some(),
                "{name}: {needed:?}"
            );
        }
    }
}

#[test]
fn the_commands_of_its_roles_are_understood_and_its_settings_known() {
    let known = crate::grammar::known_variables();
    let mut roles = 0;
    for (name, service) in services() {
        if service["image"] != "tidemill:local" {
            continue;
        }
        roles += 1;
        let words = [vec!["tidemill"], texts(&service["command"])].concat();
        let parsed = Cli::try_parse_from(&words);
        assert!(parsed.is_ok(), "{name}: {parsed:?}");
        for (variable, value) in service["environment"].as_object().unwrap() {
            let is_known = known.contains(variable) || variable.starts_with("OTEL_");
            assert!(is_known, "{name}: {variable}");
            if variable == "TIDEMILL_METRICS" {
                let flag = ["tidemill", "--metrics", value.as_str().unwrap(), "check"];
                assert!(Cli::try_parse_from(flag).is_ok(), "{name}: {value}");
            }
        }
        // The worker's own grace must end before the container's does.
        if name == "worker" {
            assert_eq!(service["stop_grace_period"], "40s");
            assert!(words.windows(2).any(|pair| pair == ["--grace", "30s"]));
        }
    }
    assert_eq!(roles, 3);
}

#[test]
fn the_configurations_that_it_mounts_are_yaml_and_hang_together() {
    let read = |path: &str| -> Value {
        let text = std::fs::read_to_string(root().join(path)).unwrap();
        serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    let collector = read("dashboards/collector/otel-collector.yml");
    for (name, pipeline) in collector["service"]["pipelines"].as_object().unwrap() {
        for part in ["receivers", "processors", "exporters"] {
            for used in texts(&pipeline[part]) {
                assert!(collector[part].get(used).is_some(), "{name}: {used}");
            }
        }
    }
    let datasources = read("dashboards/grafana/provisioning/datasources/tidemill.yml");
    let datasources = datasources["datasources"].as_array().unwrap();
    let services = services();
    for datasource in datasources {
        let url = datasource["url"]
            .as_str()
            .unwrap()
            .strip_prefix("http://")
            .unwrap();
        let host = url.split(':').next().unwrap();
        assert!(services.iter().any(|(name, _)| name == host), "{url}");
    }
    let uids: Vec<_> = datasources.iter().map(|one| &one["uid"]).collect();
    for (from, way) in [
        (
            "prometheus",
            "/jsonData/exemplarTraceIdDestinations/0/datasourceUid",
        ),
        ("tempo", "/jsonData/tracesToLogsV2/datasourceUid"),
        ("tempo", "/jsonData/tracesToMetrics/datasourceUid"),
        ("loki", "/jsonData/derivedFields/0/datasourceUid"),
    ] {
        let datasource = datasources.iter().find(|one| one["uid"] == from).unwrap();
        assert!(
            uids.contains(&datasource.pointer(way).unwrap()),
            "{from}: {way}"
        );
    }
    for path in [
        "dashboards/grafana/provisioning/dashboards/tidemill.yml",
        "dashboards/tempo/tempo.yml",
        "dashboards/loki/loki.yml",
        "docker/prometheus.yml",
    ] {
        assert!(read(path).is_object(), "{path}");
    }
}
