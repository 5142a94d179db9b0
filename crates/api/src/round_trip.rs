//! What is read and written again loses nothing.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::{AnalysisRun, AnalysisTemplate, ClusterAnalysisTemplate, Experiment, Rollout, crd};

fn again<T: DeserializeOwned + Serialize>(object: &Value) -> Value {
    serde_json::to_value(serde_json::from_value::<T>(object.clone()).unwrap()).unwrap()
}

/// Reads an object as its kind and writes it; `None` for a kind that is not ours.
fn read_and_write(object: &Value) -> Option<Value> {
    Some(match object["kind"].as_str()? {
        "Rollout" => again::<Rollout>(object),
        "Experiment" => again::<Experiment>(object),
        "AnalysisRun" => again::<AnalysisRun>(object),
        "AnalysisTemplate" => again::<AnalysisTemplate>(object),
        "ClusterAnalysisTemplate" => again::<ClusterAnalysisTemplate>(object),
        _ => return None,
    })
}

/// Paths of what the first value says and the second does not. Zero values may go: Go leaves them out too.
fn lost(before: &Value, after: &Value, path: &str) -> Vec<String> {
    match (before, after) {
        (Value::Object(fields), _) => fields
            .iter()
            .flat_map(|(key, value)| {
                lost(value, after.get(key).unwrap_or(&Value::Null), &format!("{path}.{key}"))
            })
            .collect(),
        (Value::Array(items), Value::Array(found)) if items.len() == found.len() => items
            .iter()
            .zip(found)
            .enumerate()
            .flat_map(|(index, (item, found))| lost(item, found, &format!("{path}[{index}]")))
            .collect(),
        _ if before == after || is_zero(before) => Vec::new(),
        _ => vec![path.to_owned()],
    }
}

fn is_zero(value: &Value) -> bool {
    *value == json!(null) || *value == json!(false) || *value == json!(0) || *value == json!("")
}

#[test]
fn corpus_published_manifests_are_read_and_valid() {
    let folder = glidepath_corpora::folder().join("manifests");
    let Ok(files) = std::fs::read_dir(&folder) else {
        println!("skipped: no {}", folder.display());
        return;
    };
    let mut objects = 0;
    for file in files {
        let file = file.unwrap().path();
        let text = std::fs::read_to_string(&file).unwrap();
        let documents = glidepath_gocompat::yaml::parse_documents(&text).unwrap();
        for document in documents {
            let Some(written) = read_and_write(&document) else { continue };
            objects += 1;
            assert_eq!(lost(&document, &written, ""), Vec::<String>::new(), "{}", file.display());
            if document["kind"] == "Rollout" {
                let rollout: Rollout = serde_json::from_value(document).unwrap();
                assert_eq!(crate::validate_rollout(&rollout), Ok(()), "{}", file.display());
            }
        }
    }
    assert!(objects > 0, "no object of ours in {}", folder.display());
}

/// A value that uses every field a schema knows, none of them zero.
fn populated(schema: &Value, key: &str) -> Value {
    let flag = |name: &str| schema.get(name).is_some();
    if let Some(words) = schema.get("enum") {
        return words[0].clone();
    }
    match schema["type"].as_str() {
        _ if flag("x-kubernetes-int-or-string") => json!("5%"),
        _ if flag("x-kubernetes-preserve-unknown-fields") => {
            json!({"free": {"text": "x", "list": [1, null]}})
        }
        Some("string") if schema["format"] == "date-time" => json!("2026-01-02T03:04:05Z"),
        // Some of these hold a phase, of which the known ones are kept.
        Some("string") if key == "phase" || key == "status" => json!("Running"),
        Some("string") => json!("x"),
        Some("integer") => json!(7),
        Some("boolean") => json!(true),
        Some("array") => json!([populated(&schema["items"], key), populated(&schema["items"], key)]),
        _ => {
            if let Some(item) = schema.get("additionalProperties") {
                return json!({"one": populated(item, key)});
            }
            let fields = schema["properties"].as_object().cloned().unwrap_or_default();
            let fields = fields.iter().map(|(name, field)| (name.clone(), populated(field, name)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
    }
}

fn metadata() -> Value {
    json!({
        "name": "n", "generateName": "g-", "namespace": "ns", "selfLink": "/x", "uid": "u", "resourceVersion": "9",
        "generation": 3, "creationTimestamp": "2026-01-02T03:04:05Z", "deletionTimestamp": "2026-01-02T03:04:06Z",
        "deletionGracePeriodSeconds": 0, "labels": {"a": "b"}, "annotations": {"c": "d"},
        "ownerReferences": [{"apiVersion": "v1", "kind": "K", "name": "o", "uid": "p", "controller": true,
            "blockOwnerDeletion": true}],
        "finalizers": ["f"], "managedFields": [{"manager": "m", "fieldsV1": {"f:spec": {}}}],
    })
}

#[test]
fn every_field_of_the_schemas_survives() {
    for kind in ["Rollout", "Experiment", "AnalysisRun", "AnalysisTemplate", "ClusterAnalysisTemplate"] {
        let mut object = populated(&crd::kind_schema(kind).unwrap(), "");
        object["kind"] = json!(kind);
        object["metadata"] = metadata();
        assert_eq!(read_and_write(&object).unwrap(), object, "{kind}");
    }
}

/// The part of a schema that a path leads to; `[]` stands for the items of a list.
fn field<'a>(schema: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(schema, |schema, name| {
        let (name, listed) = name.strip_suffix("[]").map_or((name, false), |name| (name, true));
        let found = schema.get("properties")?.get(name)?;
        if listed { found.get("items") } else { Some(found) }
    })
}

#[test]
fn every_field_of_the_rows_is_there_with_its_type_r020_to_r088() {
    let schema = crd::kind_schema("Rollout").unwrap();
    for (row, parent, fields) in [
        ("R-021 R-022 R-033", "spec", "selector:object template:object strategy:object workloadRef:object"),
        ("R-026 R-029", "spec", "paused:boolean restartAt:string"),
        ("R-032", "spec.analysis", "successfulRunHistoryLimit:integer unsuccessfulRunHistoryLimit:integer"),
        ("R-041 R-042", "spec.strategy.blueGreen", "previewService:string previewReplicaCount:integer"),
        ("R-045", "spec.strategy.blueGreen", "maxUnavailable:"),
        ("R-049", "spec.strategy.blueGreen", "prePromotionAnalysis:object postPromotionAnalysis:object"),
        ("R-050", "spec.strategy.blueGreen", "antiAffinity:object"),
        ("R-060", "spec.strategy.canary", "canaryService:string stableService:string"),
        ("R-062", "spec.strategy.canary.trafficRouting", "managedRoutes:array maxTrafficWeight:integer"),
        ("R-063 R-064 R-066", "spec.strategy.canary", "maxSurge: maxUnavailable: antiAffinity:object"),
        ("R-071 R-073", "spec.strategy.canary", "dynamicStableScale:boolean minPodsPerReplicaSet:integer"),
        ("R-072", "spec.strategy.canary.pingPong", "pingService:string pongService:string"),
        (
            "R-080",
            "spec.strategy.canary.analysis",
            "templates:array args:array dryRun:array measurementRetention:array analysisRunMetadata:object",
        ),
        ("R-080", "spec.strategy.canary.analysis.templates[]", "templateName:string clusterScope:boolean"),
        (
            "R-080",
            "spec.strategy.canary.analysis.args[].valueFrom",
            "podTemplateHashValue:string fieldRef:object",
        ),
        (
            "R-084",
            "spec.strategy.canary.steps[].experiment",
            "templates:array duration: analyses:array dryRun:array analysisRunMetadata:object \
             scaleDownDelaySeconds:integer",
        ),
        (
            "R-084",
            "spec.strategy.canary.steps[].experiment.templates[]",
            "name:string specRef:string replicas:integer weight:integer selector:object metadata:object service:object",
        ),
        ("R-085", "spec.strategy.canary.steps[].setHeaderRoute", "name:string match:array"),
        (
            "R-086",
            "spec.strategy.canary.steps[].setMirrorRoute",
            "name:string percentage:integer match:array",
        ),
        (
            "R-086",
            "spec.strategy.canary.steps[].setMirrorRoute.match[]",
            "method:object path:object headers:object",
        ),
        ("R-087", "spec.strategy.canary.steps[].plugin", "name:string config:"),
        (
            "R-088",
            "spec.strategy.canary.trafficRouting",
            "istio:object nginx:object alb:object smi:object ambassador:object appMesh:object traefik:object \
             apisix:object plugins:object",
        ),
    ] {
        let found = field(&schema, parent).unwrap_or_else(|| panic!("{row}: no {parent}"));
        for wanted in fields.split_whitespace() {
            let (name, kind) = wanted.split_once(':').unwrap();
            let field = &found["properties"][name];
            assert!(field.is_object(), "{row}: no {parent}.{name}");
            assert!(kind.is_empty() || field["type"] == kind, "{row}: {parent}.{name} is {}", field["type"]);
        }
    }
}

#[test]
fn unknown_words_are_kept() {
    let rollout = json!({
        "spec": {"strategy": {}},
        "status": {
            "phase": "Dreaming",
            "canary": {"stablePingPong": "pang"}, "blueGreen": {},
            "pauseConditions": [{"reason": "Moonlight", "startTime": "2026-01-02T03:04:05Z"}],
            "conditions": [{"type": "New", "status": "Maybe", "lastUpdateTime": "2026-01-02T03:04:05Z",
                "lastTransitionTime": null, "reason": "", "message": ""}],
        },
    });
    assert_eq!(lost(&rollout, &again::<Rollout>(&rollout), ""), Vec::<String>::new());
}

#[test]
fn a_phase_nobody_knows_counts_as_unset() {
    for (text, want) in [("", None), ("Dreaming", None), ("Error", Some(crate::AnalysisPhase::Error))] {
        let run: AnalysisRun =
            serde_json::from_value(json!({"spec": {}, "status": {"phase": text}})).unwrap();
        assert_eq!(run.status.phase, want);
    }
}

#[test]
fn steps_are_written_in_the_order_their_hash_is_taken_over() {
    let steps = json!([
        {"experiment": {"templates": [{"specRef": "canary", "name": "a"}]}},
        {"setWeight": 0},
        {"pause": {}},
        {"setHeaderRoute": {"match": [{"headerValue": {"exact": "x"}, "headerName": "h"}], "name": "r"}},
    ]);
    let steps: Vec<crate::CanaryStep> = serde_json::from_value(steps).unwrap();
    let want = concat!(
        r#"[{"experiment":{"templates":[{"name":"a","specRef":"canary","metadata":{}}],"analysisRunMetadata":{}}},"#,
        r#"{"setWeight":0},{"pause":{}},"#,
        r#"{"setHeaderRoute":{"name":"r","match":[{"headerName":"h","headerValue":{"exact":"x"}}]}}]"#,
    );
    assert_eq!(serde_json::to_string(&steps).unwrap(), want, "R-241, Appendix A");
}
