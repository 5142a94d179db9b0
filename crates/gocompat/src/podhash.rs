//! The hashes that name a Rollout's ReplicaSets and remember its steps (R-232, R-237, R-241).

use std::sync::LazyLock;

use serde_json::Value;

use crate::fnv::{fnv1a_32, fnv1a_32_from, safe_encode};
use crate::pod_template;
use crate::schema::{Form, Schema, Type};

static STEPS: LazyLock<Schema> = LazyLock::new(|| Schema::parse(include_str!("canary_steps.schema")));

/// The hash of a pod template (R-232). The collision count takes part only when there is one, zero included.
pub fn pod_template_hash(template: &Value, collision_count: Option<i32>) -> String {
    hash(&pod_template::serialize(template), collision_count)
}

/// The hash releases up to 1.8 gave the same template; ReplicaSets of a running cluster may carry it (R-237).
pub fn pod_template_hash_legacy(template: &Value, collision_count: Option<i32>) -> String {
    hash(&pod_template::serialize_legacy(template), collision_count)
}

/// The hash of `spec.strategy.canary.steps`; null and absent steps are both `null` here (R-241).
pub fn step_hash(steps: &Value) -> String {
    hash(&serialize_steps(steps), None)
}

/// The steps as the JSON that is hashed.
pub fn serialize_steps(steps: &Value) -> String {
    let mut out = String::new();
    STEPS.write(&mut out, &Type::List(Box::new(STEPS.root())), Some(steps), Form::Current);
    out
}

fn hash(serialized: &str, collision_count: Option<i32>) -> String {
    let mut checksum = fnv1a_32(serialized.as_bytes());
    if let Some(count) = collision_count {
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&count.to_le_bytes());
        checksum = fnv1a_32_from(checksum, &bytes);
    }
    safe_encode(&checksum.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The vectors of rollout.md §5.1: serialized template, current hash, hash of releases up to 1.8.
    const VECTORS: [(&str, &str, Option<&str>); 4] = [
        (
            r#"{"metadata":{"labels":{"app":"canary-scaledowndelay"}},"spec":{"containers":[{"name":"canary-scaledowndelay","image":"nginx:1.19-alpine","ports":[{"name":"http","containerPort":80,"protocol":"TCP"}],"resources":{"requests":{"cpu":"5m","memory":"16Mi"}}}]}}"#,
            "674d8cf959",
            Some("66597877b7"),
        ),
        (
            r#"{"metadata":{"labels":{"app":"dynamic-stable-scale"}},"spec":{"containers":[{"name":"dynamic-stable-scale","image":"nginx:1.19-alpine","ports":[{"name":"http","containerPort":80,"protocol":"TCP"}],"resources":{"requests":{"cpu":"5m","memory":"16Mi"}}}],"readinessGates":[{"conditionType":"argoproj.io/e2e-readiness"}]}}"#,
            "6b56c8cdb4",
            Some("868d98995b"),
        ),
        (
            r#"{"metadata":{"labels":{"app":"guestbook"}},"spec":{"containers":[{"name":"guestbook","image":"argoproj/rollouts-demo:blue","resources":{}}]}}"#,
            "65cb8f49c9",
            Some("697d5b9cbc"),
        ),
        (
            r#"{"metadata":{"labels":{"app":"web","tier":"x"},"annotations":{"b":"2","c":"3"}},"spec":{"containers":[{"name":"web","image":"nginx","args":["a \u0026\u0026 b \u003e c"],"resources":{"limits":{"cpu":"100m","memory":"1Gi"}},"securityContext":{}}]}}"#,
            "54749b8f5f",
            None,
        ),
    ];

    #[test]
    fn template_hashes_match_the_recorded_ones_r232_r237() {
        for (text, current, legacy) in VECTORS {
            let template: Value = serde_json::from_str(text).unwrap();
            assert_eq!(pod_template::serialize(&template), text);
            assert_eq!(pod_template_hash(&template, None), current);
            if let Some(legacy) = legacy {
                assert_eq!(pod_template_hash_legacy(&template, None), legacy);
            }
        }
    }

    #[test]
    fn the_collision_count_changes_the_hash_even_when_zero_r232() {
        let template: Value = serde_json::from_str(VECTORS[2].0).unwrap();
        assert_eq!(pod_template_hash(&template, Some(0)), "7d9db9f55f");
        assert_eq!(pod_template_hash(&template, Some(1)), "66f5ffbbdb");
    }

    #[test]
    fn step_hashes_match_the_recorded_ones_r241() {
        for (steps, want) in [
            (json!(null), "5ffbfbbd64"),
            (json!([{"pause": {}}]), "6b9b86fbd5"),
            (json!([{"pause": {}}, {"pause": {}}]), "79c9b9f6bf"),
            (
                json!([{"setWeight": 20}, {"pause": {"duration": "1h"}}, {"setWeight": 50}, {"pause": {"duration": 10}}]),
                "785745c854",
            ),
            (
                json!([{"setWeight": 20}, {"pause": {}}, {"analysis": {"templates": [{"templateName": "success-rate"}]}}]),
                "798cb584c5",
            ),
        ] {
            assert_eq!(step_hash(&steps), want, "{steps}");
        }
    }

    #[test]
    fn steps_of_every_kind_keep_their_field_order_r241() {
        let steps = json!([
            {"setCanaryScale": {"matchTrafficWeight": true, "replicas": 0}},
            {"setHeaderRoute": {"match": [{"headerName": "a"}], "name": "h"}},
            {"setMirrorRoute": {"percentage": 5, "name": "m", "match": [{"headers": {"b": {"regex": "."}}}]}},
            {"plugin": {"config": {"b": "<", "a": 1}, "name": "p"}},
            {"experiment": {"templates": [{"name": "n", "specRef": "canary", "weight": 0}]}},
        ]);
        assert_eq!(
            serialize_steps(&steps),
            concat!(
                r#"[{"setCanaryScale":{"replicas":0,"matchTrafficWeight":true}},"#,
                r#"{"setHeaderRoute":{"name":"h","match":[{"headerName":"a","headerValue":null}]}},"#,
                r#"{"setMirrorRoute":{"name":"m","match":[{"headers":{"b":{"regex":"."}}}],"percentage":5}},"#,
                r#"{"plugin":{"name":"p","config":{"a":1,"b":"\u003c"}}},"#,
                r#"{"experiment":{"templates":[{"name":"n","specRef":"canary","metadata":{},"weight":0}],"analysisRunMetadata":{}}}]"#,
            )
        );
    }
}
