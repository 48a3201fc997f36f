//! The manifests for Kubernetes are YAML of the kinds that they say, and ask for what there is.

use clap::Parser as _;
use serde_json::Value;

use super::root;
use crate::grammar::Cli;

fn manifests() -> Vec<(String, Value)> {
    let entries = std::fs::read_dir(root().join("deploy/kubernetes")).unwrap();
    let manifests = entries.map(|entry| {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let manifest = serde_saphyr::from_str(&text);
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let manifest = manifest.unwrap_or_else(|error| panic!("{name}: {error}"));
        (name, manifest)
    });
    manifests.collect()
}

#[test]
fn manifests_scale_the_worker_that_there_is() {
    let manifests = manifests();
    let deployment = manifests
        .iter()
        .find(|(_, one)| one["kind"] == "Deployment");
    let (_, deployment) = deployment.unwrap();
    for (name, manifest) in &manifests {
        assert!(manifest["apiVersion"].is_string(), "{name}");
        let target = &manifest["spec"]["scaleTargetRef"]["name"];
        if manifest["kind"] != "Deployment" && manifest["kind"] != "ConfigMap" {
            assert_eq!(*target, deployment["metadata"]["name"], "{name}");
        }
    }
    assert_eq!(manifests.len(), 5);
}

fn manifest(file: &str) -> Value {
    let (_, manifest) = manifests()
        .into_iter()
        .find(|(name, _)| name == file)
        .unwrap();
    manifest
}

#[test]
fn the_adapter_offers_what_the_autoscaler_asks_for() {
    let config = manifest("prometheus-adapter.yml");
    let config = config["data"]["config.yaml"].as_str().unwrap();
    let config: Value = serde_saphyr::from_str(config).unwrap();
    let hpa = manifest("hpa.yml");
    assert_eq!(
        config["externalRules"][0]["name"]["as"],
        hpa["spec"]["metrics"][0]["external"]["metric"]["name"]
    );
}

#[test]
fn workers_are_taken_away_one_a_minute_after_five_calm_ones() {
    for file in ["hpa.yml", "keda-tasks.yml", "keda-rabbitmq.yml"] {
        let spec = &manifest(file)["spec"];
        let keda = &spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"];
        let behavior = if file == "hpa.yml" {
            &spec["behavior"]
        } else {
            keda
        };
        let down = &behavior["scaleDown"];
        assert_eq!(down["stabilizationWindowSeconds"], 300, "{file}");
        let one = serde_json::json!([{ "type": "Pods", "value": 1, "periodSeconds": 60 }]);
        assert_eq!(down["policies"], one, "{file}");
    }
}

#[test]
fn a_pod_is_ready_while_its_store_answers_and_lives_without() {
    let deployment = manifest("worker.yml");
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let path = |probe: &str| container[probe]["httpGet"]["path"].clone();
    assert_eq!(path("readinessProbe"), "/readyz");
    assert_eq!(path("livenessProbe"), "/healthz");
}

#[test]
fn a_pod_has_longer_to_end_than_its_worker() {
    let (_, deployment) = manifests()
        .into_iter()
        .find(|(_, one)| one["kind"] == "Deployment")
        .unwrap();
    let pod = &deployment["spec"]["template"]["spec"];
    let args = pod["containers"][0]["args"].as_array().unwrap();
    let args: Vec<_> = args.iter().map(|word| word.as_str().unwrap()).collect();
    let words = [vec!["tidemill"], args.clone()].concat();
    assert!(Cli::try_parse_from(&words).is_ok(), "{words:?}");
    let grace = args.windows(2).find(|pair| pair[0] == "--grace").unwrap()[1];
    let grace: u64 = grace.strip_suffix('s').unwrap().parse().unwrap();
    assert!(pod["terminationGracePeriodSeconds"].as_u64().unwrap() > grace);
}
