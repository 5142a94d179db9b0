//! Objects as they come out of a cluster: pod templates, selectors, YAML, whole Rollouts.

use std::collections::BTreeMap;

use glidepath_api::{AnalysisTemplate, Experiment, LabelSelector, Rollout, validate_rollout};
use glidepath_gocompat::{pod_template, podhash, yaml};
use serde_json::{Value, json};

use crate::corpus;
use crate::shape;
use crate::target::Target;

const TEMPLATE_WORDS: &[&str] = &[
    "metadata",
    "labels",
    "annotations",
    "creationTimestamp",
    "spec",
    "containers",
    "initContainers",
    "name",
    "image",
    "resources",
    "limits",
    "requests",
    "cpu",
    "100m",
    "memory",
    "1Gi",
    "ports",
    "containerPort",
    "env",
    "valueFrom",
    "readinessProbe",
    "httpGet",
    "port",
    "volumes",
    "emptyDir",
    "sizeLimit",
    "tolerations",
    "affinity",
    "5m",
    "replicas",
    "steps",
    "setWeight",
    "pause",
    "duration",
    "analysis",
    "templates",
    "strategy",
    "canary",
    "blueGreen",
    "25%",
    "maxSurge",
    "trafficRouting",
    "managedRoutes",
    "selector",
    "matchLabels",
    "matchExpressions",
    "operator",
    "setHeaderRoute",
    "setMirrorRoute",
    "experiment",
    "plugin",
    "workloadRef",
    "minReadySeconds",
];

pub(super) fn pod_hashes() -> Target {
    let seeds = glidepath_corpora::rows("podhash.jsonl")
        .unwrap_or_default()
        .into_iter()
        .map(|row| row["template"].clone());
    let seeds: Vec<Value> =
        seeds.chain([json!({"spec": {"containers": [{"name": "a", "image": "b:1"}]}})]).collect();
    Target::json("podhash", TEMPLATE_WORDS, seeds, |template| {
        let hash = podhash::pod_template_hash(template, Some(i32::MIN));
        let _ = podhash::pod_template_hash_legacy(template, None);
        let _ = podhash::step_hash(template);
        let defaulted = pod_template::defaulted(template);
        assert!(pod_template::semantically_equal(template, template), "unlike itself: {template}");
        assert_eq!(pod_template::defaulted(&defaulted), defaulted, "defaulted twice: {template}");
        let _ = pod_template::matches_live(template, &defaulted, "rollouts-pod-template-hash");
        let length = pod_template::serialize(template).len();
        shape::of_all([shape::of_value(&defaulted), hash.len() as u64, length.min(64) as u64])
    })
}

pub(super) fn selectors() -> Target {
    const WORDS: &[&str] = &[
        "matchLabels",
        "matchExpressions",
        "key",
        "operator",
        "values",
        "In",
        "NotIn",
        "Exists",
        "DoesNotExist",
    ];
    let seeds = [
        json!({"matchLabels": {"app": "a"}}),
        json!({"matchExpressions": [{"key": "app", "operator": "In", "values": ["a", "b"]}]}),
        json!({"matchExpressions": [{"key": "x/y", "operator": "DoesNotExist"}], "matchLabels": {}}),
    ];
    Target::json("selectors", WORDS, seeds, |input| {
        let Ok(selector) = serde_json::from_value::<LabelSelector>(input.clone()) else { return 0 };
        let labels = BTreeMap::from([("app".to_owned(), "a".to_owned())]);
        let matches = selector.matches(&labels) || selector.is_empty();
        let text = selector.to_text().map_err(|error| error.0);
        shape::of_all([u64::from(matches), shape::of_result(&text, |text| shape::of_text(text))])
    })
}

/// Text is YAML or it is not; what it says survives being written and read again.
pub(super) fn yaml() -> Target {
    const WORDS: &[&str] = &[
        "- ",
        ": ",
        "? ",
        "|\n",
        ">-\n",
        "---\n",
        "...\n",
        "&a ",
        "*a",
        "<<: *a",
        "!!str ",
        "!!binary ",
        "#",
        "{",
        "}",
        "[",
        "]",
        ",",
        "\t",
        "  ",
        "~",
        "yes",
        "0o7",
        ".inf",
        "1e3",
        "'",
        "\"",
    ];
    let seeds = corpus::manifest_texts().into_iter().chain(["a: [1, {b: c}]\n".to_owned()]);
    Target::text("yaml", WORDS, seeds.collect::<Vec<_>>(), |input| {
        let documents = yaml::parse_documents(input);
        for document in documents.iter().flatten() {
            let written = yaml::render(document);
            let again = yaml::parse_document(&written);
            assert_eq!(again.as_ref(), Ok(document), "{written}");
        }
        shape::of_result(&documents, |documents| shape::of_all(documents.iter().map(shape::of_value)))
    })
}

/// Objects of our kinds are read, written and validated, whatever they hold.
pub(super) fn validation() -> Target {
    let seeds = corpus::manifests().into_iter().filter(|object| object["kind"] != "ConfigMap");
    let steps = json!([
        {"setWeight": 20}, {"pause": {"duration": "10m"}}, {"setCanaryScale": {"weight": 10}},
        {"setHeaderRoute": {"name": "h", "match": [{"headerName": "a", "headerValue": {"exact": "b"}}]}},
        {"experiment": {"templates": [{"name": "a", "specRef": "canary", "replicas": 1}], "duration": "1m"}},
    ]);
    let canary = json!({"steps": steps, "maxSurge": "25%", "maxUnavailable": 0, "canaryService": "c",
        "stableService": "s", "trafficRouting": {"managedRoutes": [{"name": "h"}], "istio": {"virtualService": {}}}});
    let template =
        json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "a", "image": "b"}]}});
    let full = json!({"kind": "Rollout", "metadata": {"name": "r"}, "spec": {"replicas": 3,
        "selector": {"matchLabels": {"a": "b"}}, "template": template, "strategy": {"canary": canary}}});
    let seeds: Vec<Value> = seeds.chain([full]).collect();
    Target::json("validation", TEMPLATE_WORDS, seeds, |object| {
        let _ = serde_json::from_value::<Experiment>(object.clone());
        let _ = serde_json::from_value::<AnalysisTemplate>(object.clone());
        let rollout = match serde_json::from_value::<Rollout>(object.clone()) {
            Ok(rollout) => rollout,
            Err(error) => return shape::of_text(&error.to_string()),
        };
        let written = serde_json::to_value(&rollout).unwrap_or_default();
        assert_eq!(serde_json::from_value::<Rollout>(written).ok().as_ref(), Some(&rollout), "read again");
        shape::of_result(&validate_rollout(&rollout), |()| 1)
    })
}
