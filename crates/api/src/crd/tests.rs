//! Schemas against the recorded fields of the reference's definitions.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{all, render_files, rollout, table, type_schema};

/// One row per schema node, in the notation of `crd-fields.jsonl`.
fn rows(crd: &Value) -> BTreeMap<String, Value> {
    let mut rows = BTreeMap::new();
    let version = &crd["spec"]["versions"][0];
    let mut walk = vec![(String::new(), &version["schema"]["openAPIV3Schema"])];
    while let Some((path, schema)) = walk.pop() {
        let shown = if path.is_empty() { "." } else { &path };
        rows.insert(shown.to_owned(), row(schema));
        if let Some(Value::Object(fields)) = schema.get("properties") {
            walk.extend(fields.iter().map(|(name, field)| (format!("{path}.{name}"), field)));
        }
        walk.extend(schema.get("items").map(|item| (format!("{path}[]"), item)));
        walk.extend(schema.get("additionalProperties").map(|item| (format!("{path}{{}}"), item)));
    }
    rows.insert("#printer".into(), json!({"columns": version["additionalPrinterColumns"]}));
    rows.insert("#subresources".into(), json!({"value": version["subresources"]}));
    rows.insert("#names".into(), json!({"value": crd["spec"]["names"], "scope": crd["spec"]["scope"]}));
    rows
}

fn row(schema: &Value) -> Value {
    let mut row = Map::new();
    row.insert("type".into(), schema.get("type").cloned().unwrap_or_default());
    for (key, keyword) in [
        ("required", "required"),
        ("enum", "enum"),
        ("format", "format"),
        ("default", "default"),
        ("intOrString", "x-kubernetes-int-or-string"),
        ("preserve", "x-kubernetes-preserve-unknown-fields"),
        ("listType", "x-kubernetes-list-type"),
        ("mapType", "x-kubernetes-map-type"),
        ("cel", "x-kubernetes-validations"),
    ] {
        if let Some(value) = schema.get(keyword) {
            row.insert(key.into(), value.clone());
        }
    }
    Value::Object(row)
}

#[test]
fn corpus_crd_fields_match() {
    let Some(text) = glidepath_corpora::text("crd-fields.jsonl") else { return };
    let mut ours: BTreeMap<String, BTreeMap<String, Value>> = BTreeMap::new();
    for crd in all() {
        ours.insert(crd["spec"]["names"]["plural"].as_str().unwrap().to_owned(), rows(crd));
    }
    let mut differences = Vec::new();
    let mut recorded: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut opaque: BTreeSet<(String, String)> = BTreeSet::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let mut want: Map<String, Value> = serde_json::from_str(line).unwrap();
        let crd = want.remove("crd").unwrap().as_str().unwrap().to_owned();
        let path = want.remove("path").unwrap().as_str().unwrap().to_owned();
        // Two marks say that what lies below is a Kubernetes type and is not recorded.
        if want.remove("podSpec").is_some() || want.remove("k8s").is_some() {
            opaque.insert((crd.clone(), path.clone()));
        }
        let got = ours.get(&crd).and_then(|rows| rows.get(&path));
        let mut want = Value::Object(want);
        let mut got = got.cloned().unwrap_or_default();
        for row in [&mut want, &mut got] {
            if let Some(Value::Array(required)) = row.get_mut("required") {
                required.sort_by_key(ToString::to_string);
            }
        }
        if got != want {
            differences.push(format!("{crd}{path}: want {want}, got {got}"));
        }
        recorded.entry(crd).or_default().insert(path);
    }
    for (crd, rows) in &ours {
        for path in rows.keys() {
            let below = |(owner, top): &(String, String)| owner == crd && path.starts_with(top);
            let known = recorded.get(crd).is_some_and(|paths| paths.contains(path));
            if !known && !opaque.iter().any(below) {
                differences.push(format!("{crd}{path}: not recorded"));
            }
        }
    }
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}

#[test]
fn every_definition_fits_into_the_annotation_of_kubectl_apply() {
    for crd in all() {
        let size = crd.to_string().len();
        assert!(size < 256 * 1024, "{} has {size} bytes", crd["metadata"]["name"]);
    }
}

#[test]
fn every_type_of_the_tables_can_be_rendered() {
    let table = table::parse_tables(&[super::KINDS, super::POD_SCHEMA]).unwrap();
    for name in table.keys() {
        assert_eq!(type_schema(name)["type"], "object", "{name}");
    }
}

#[test]
fn lists_that_merge_by_key_require_or_default_their_keys() {
    // An API server refuses a definition that breaks this.
    for crd in all() {
        let mut walk = vec![&crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]];
        while let Some(schema) = walk.pop() {
            for key in schema["x-kubernetes-list-map-keys"].as_array().into_iter().flatten() {
                let item = &schema["items"];
                let required = item["required"].as_array().is_some_and(|names| names.contains(key));
                let default = item["properties"][key.as_str().unwrap()].get("default").is_some();
                assert!(required || default, "{key} of {item}");
            }
            walk.extend(schema["properties"].as_object().into_iter().flat_map(|fields| fields.values()));
            walk.extend(schema.get("items"));
        }
    }
}

#[test]
fn unknown_fields_are_kept_only_where_the_rows_say() {
    let kept: Vec<String> = rows(&rollout())
        .into_iter()
        .filter(|(_, row)| row.get("preserve").is_some())
        .map(|(path, _)| path)
        .collect();
    let mut want = vec![
        ".spec.strategy.canary.steps[].plugin.config".to_owned(),
        ".spec.strategy.canary.trafficRouting.plugins".to_owned(),
    ];
    for containers in ["containers", "ephemeralContainers", "initContainers"] {
        for kind in ["limits", "requests"] {
            want.push(format!(".spec.template.spec.{containers}[].resources.{kind}"));
        }
    }
    want.push(".spec.template.spec.volumes".to_owned());
    want.push(".status.canary.stepPluginStatuses[].status".to_owned());
    assert_eq!(kept, want, "R-006");
}

#[test]
fn the_committed_files_are_up_to_date() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/crds");
    for (name, text) in render_files() {
        let found = std::fs::read_to_string(format!("{folder}/{name}")).unwrap_or_default();
        assert!(found == text, "{name} differs: run `cargo xtask gen`");
    }
}

#[test]
fn the_definition_of_rollouts_says_what_clients_rely_on_r001_to_r005() {
    let crd = rollout();
    let version = &crd["spec"]["versions"][0];
    assert_eq!(crd["metadata"]["name"], "rollouts.argoproj.io", "R-001");
    assert_eq!(crd["spec"]["names"]["shortNames"], json!(["ro"]), "R-001");
    assert_eq!(version["name"], "v1alpha1", "R-001");
    assert_eq!(
        version["subresources"]["scale"],
        json!({"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.HPAReplicas",
            "labelSelectorPath": ".status.selector"}),
        "R-002; a VPA finds the pods this way too (R-805)"
    );
    let columns: Vec<(&str, &str)> = version["additionalPrinterColumns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| (column["name"].as_str().unwrap(), column["jsonPath"].as_str().unwrap()))
        .collect();
    let want = [
        ("Desired", ".spec.replicas"),
        ("Current", ".status.replicas"),
        ("Up-to-date", ".status.updatedReplicas"),
        ("Available", ".status.availableReplicas"),
        ("Age", ".metadata.creationTimestamp"),
    ];
    assert_eq!(columns, want, "R-003");
    let rows = rows(&crd);
    let canary = ".spec.strategy.canary";
    let antiaffinity = "antiAffinity.preferredDuringSchedulingIgnoredDuringExecution";
    for (path, required) in [
        (".".to_owned(), json!(["spec"])),
        (".spec.strategy.blueGreen".to_owned(), json!(["activeService"])),
        (format!("{canary}.{antiaffinity}"), json!(["weight"])),
        (format!("{canary}.pingPong"), json!(["pingService", "pongService"])),
        (format!("{canary}.replicaProgressThreshold"), json!(["type", "value"])),
        (format!("{canary}.steps[].experiment"), json!(["templates"])),
        (format!("{canary}.steps[].experiment.templates[]"), json!(["name", "specRef"])),
        (format!("{canary}.steps[].experiment.analyses[]"), json!(["name", "templateName"])),
        (format!("{canary}.steps[].analysis.args[]"), json!(["name"])),
        (format!("{canary}.steps[].setHeaderRoute.match[]"), json!(["headerName", "headerValue"])),
        (format!("{canary}.steps[].setMirrorRoute"), json!(["name"])),
        (format!("{canary}.steps[].plugin"), json!(["name"])),
        (format!("{canary}.trafficRouting.managedRoutes[]"), json!(["name"])),
        (".spec.template.spec".to_owned(), json!(["containers"])),
    ] {
        assert_eq!(rows[&path].get("required"), Some(&required), "R-004: {path}");
    }
    assert_eq!(rows[".spec"].get("required"), None, "R-004: selector and template may be absent");
    assert_eq!(
        rows[".spec.selector"]["cel"],
        json!([{"message": ".spec.selector is immutable", "rule": "self == oldSelf"}]),
        "R-005"
    );
}
