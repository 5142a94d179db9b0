//! Merge patches between what is stored and what is wanted.

use serde_json::{Map, Value};

/// The smallest merge patch that makes `wanted` of `stored`; `None` when nothing differs. Lists are replaced whole.
#[must_use]
pub fn merge_patch(stored: &Value, wanted: &Value) -> Option<Value> {
    if stored == wanted {
        return None;
    }
    let (Value::Object(stored), Value::Object(wanted)) = (stored, wanted) else {
        return Some(wanted.clone());
    };
    let gone = stored.keys().filter(|key| !wanted.contains_key(*key)).map(|key| (key.clone(), Value::Null));
    let changed = wanted.iter().filter_map(|(key, wanted)| {
        let patch =
            stored.get(key).map_or_else(|| Some(wanted.clone()), |stored| merge_patch(stored, wanted))?;
        Some((key.clone(), patch))
    });
    Some(Value::Object(gone.chain(changed).collect::<Map<_, _>>()))
}

/// The patch of a status: `{"status": …}`.
#[must_use]
pub fn status_patch<T: serde::Serialize>(stored: &T, wanted: &T) -> Option<Value> {
    let patch = merge_patch(&serde_json::to_value(stored).ok()?, &serde_json::to_value(wanted).ok()?)?;
    Some(serde_json::json!({ "status": patch }))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::merge_patch;

    #[test]
    fn a_patch_holds_what_differs_and_nothing_else() {
        for (stored, wanted, patch) in [
            (json!({"a": 1}), json!({"a": 1}), Value::Null),
            (
                json!({"a": 1, "b": {"c": 2, "d": 3}}),
                json!({"a": 1, "b": {"c": 2, "d": 4}}),
                json!({"b": {"d": 4}}),
            ),
            (json!({"a": 1, "b": 2}), json!({"a": 1}), json!({"b": null})),
            (json!({"l": [1, 2]}), json!({"l": [1]}), json!({"l": [1]})),
            (json!({}), json!({"o": {"x": 1}}), json!({"o": {"x": 1}})),
        ] {
            assert_eq!(merge_patch(&stored, &wanted).unwrap_or_default(), patch);
        }
    }
}
