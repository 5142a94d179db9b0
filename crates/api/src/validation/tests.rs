//! Rules against answers recorded from the reference: `testdata/validation.jsonl` holds, one per line, a change
//! to a valid rollout and the first error the reference reports for it.

use serde_json::{Value, json};

use super::validate_rollout;
use crate::rollout::Rollout;

fn valid(strategy: &str) -> Value {
    let strategy = match strategy {
        "canary" => json!({"canary": {}}),
        _ => json!({"blueGreen": {"activeService": "a", "previewService": "p"}}),
    };
    json!({
        "replicas": 3,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "nginx"}]},
        },
        "strategy": strategy,
    })
}

/// A JSON merge patch: null removes, objects merge, the rest replaces.
fn merge(target: &mut Value, change: &Value) {
    let Value::Object(change) = change else {
        *target = change.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in change {
        if value.is_null() {
            target.as_object_mut().unwrap().remove(key);
        } else {
            merge(&mut target[key], value);
        }
    }
}

fn verdict(base: &str, change: &Value) -> String {
    let mut spec = valid(base);
    merge(&mut spec, change);
    let rollout: Rollout = serde_json::from_value(json!({"spec": spec})).unwrap();
    validate_rollout(&rollout).map_or_else(|error| error.to_string(), |()| "ok".to_owned())
}

#[test]
fn the_first_error_is_the_one_the_reference_reports() {
    let recorded = include_str!("../../testdata/validation.jsonl");
    let mut wrong = Vec::new();
    for line in recorded.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let got = verdict(case["base"].as_str().unwrap(), &case["change"]);
        if case["want"] != got {
            wrong.push(format!("{} {}\n  want {}\n  got  {got}", case["row"], case["change"], case["want"]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_static_rule_has_a_recorded_case() {
    let recorded = include_str!("../../testdata/validation.jsonl");
    for rule in (205..=229).map(|number| format!("\"R-{number}")).chain(["\"B-18".to_owned()]) {
        assert!(recorded.contains(&rule), "{rule}");
    }
}

#[test]
fn annotations_have_a_limit_together() {
    let change = json!({"template": {"metadata": {"annotations": {"a": "x".repeat(256 * 1024)}}}});
    let want = "spec.template.annotations: Too long: may not be more than 262144 bytes";
    assert_eq!(verdict("canary", &change), want, "R-207");
}

#[test]
fn a_template_taken_from_a_workload_is_checked_like_an_own_one() {
    let mut spec = valid("canary");
    merge(&mut spec, &json!({"workloadRef": {"kind": "PodTemplate", "name": "p"}, "selector": null}));
    let mut rollout: Rollout = serde_json::from_value(json!({"spec": spec})).unwrap();
    rollout.spec.template_resolved_from_ref = true;
    let got = validate_rollout(&rollout).unwrap_err().to_string();
    let want = r#"spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`"#;
    assert_eq!(got, want, "R-570");
}

proptest::proptest! {
    #[test]
    fn no_text_makes_validation_panic(text in "\\PC{0,12}", number: i32) {
        let change = json!({
            "replicas": number,
            "selector": {"matchLabels": {(text.clone()): text}, "matchExpressions": [{"key": text, "operator": "In"}]},
            "template": {"metadata": {"labels": {(text.clone()): text}}, "spec": {"containers": [{"name": text}]}},
            "strategy": {"canary": {
                "maxSurge": text, "maxUnavailable": number,
                "steps": [{"pause": {"duration": text}}, {"setWeight": number}],
            }},
        });
        proptest::prop_assert!(!verdict("canary", &change).is_empty());
        let steps = json!({"strategy": {"canary": {"maxSurge": format!("{number}%"), "maxUnavailable": text,
            "steps": [{"pause": {"duration": text}}, {"analysis": {"args": [
                {"name": "a", "valueFrom": {"fieldRef": {"fieldPath": format!("metadata.labels['{text}']")}}}]}}]}}});
        proptest::prop_assert!(!verdict("canary", &steps).is_empty());
    }
}
