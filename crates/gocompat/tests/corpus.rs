//! Recorded answers of the original: every row must agree.

use glidepath_corpora::rows;
use glidepath_gocompat::{pod_template, podhash};
use proptest::prelude::*;
use serde_json::{Value, json};

#[test]
fn corpus_podhash_rows_all_agree_r232() {
    let Some(rows) = rows("podhash.jsonl") else { return };
    assert!(!rows.is_empty(), "no row could be read");
    let mut wrong = Vec::new();
    for row in &rows {
        let collisions = row["collisionCount"].as_i64().map(|count| count as i32);
        let hash = podhash::pod_template_hash(&row["template"], collisions);
        if hash != row["hash"] {
            wrong.push(format!(
                "{hash} instead of {}: {}",
                row["hash"],
                pod_template::serialize(&row["template"])
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

/// JSON of any shape, its keys often ones that mean something in a pod template.
fn any_json() -> impl Strategy<Value = Value> {
    let key = prop_oneof![
        Just("metadata".to_owned()),
        Just("spec".to_owned()),
        Just("containers".to_owned()),
        Just("resources".to_owned()),
        Just("limits".to_owned()),
        Just("volumes".to_owned()),
        Just("emptyDir".to_owned()),
        Just("sizeLimit".to_owned()),
        Just("creationTimestamp".to_owned()),
        Just("port".to_owned()),
        Just("httpGet".to_owned()),
        Just("livenessProbe".to_owned()),
        Just("image".to_owned()),
        Just("pause".to_owned()),
        Just("duration".to_owned()),
        ".{0,3}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        "[-+]?[0-9.]{0,6}[eEmKMGi]{0,2}[0-9]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 48, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key.clone(), inner, 0..5).prop_map(|map| json!(map)),
        ]
    })
}

proptest! {
    #[test]
    fn hashing_any_json_gives_a_safe_name(value in any_json(), collisions: Option<i32>) {
        for hash in [
            podhash::pod_template_hash(&value, collisions),
            podhash::pod_template_hash_legacy(&value, collisions),
            podhash::step_hash(&value),
        ] {
            prop_assert!((1..=10).contains(&hash.len()) && hash.bytes().all(|b| b"456789bcdf".contains(&b)));
        }
    }

    #[test]
    fn writing_a_written_template_changes_nothing(value in any_json()) {
        let once = pod_template::serialize(&value);
        let again = pod_template::serialize(&serde_json::from_str(&once).unwrap());
        prop_assert_eq!(once, again);
    }

    #[test]
    fn defaulting_settles_after_once(value in any_json()) {
        let once = pod_template::defaulted(&value);
        prop_assert!(pod_template::semantically_equal(&pod_template::defaulted(&once), &once));
    }
}
