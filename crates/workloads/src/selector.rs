//! Label selectors: equality maps (Services) and `matchLabels`/`matchExpressions` (ReplicaSets, Jobs).

use serde_json::{Map, Value};

use crate::object::text;

/// A label selector over a JSON map of labels.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Selector {
    requirements: Vec<Requirement>,
}

#[derive(Clone, Debug, PartialEq)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Clone, Debug, PartialEq)]
enum Test {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
}

impl Selector {
    /// A selector from a plain map of labels; `None` if the map is absent or empty, which selects nothing.
    #[must_use]
    pub fn from_map(map: Option<&Value>) -> Option<Self> {
        let map = map?.as_object().filter(|map| !map.is_empty())?;
        Some(Self { requirements: equalities(map).collect() })
    }

    /// A selector from a `LabelSelector` document; `None` if it is absent, empty or malformed, because a
    /// controller must never own everything by accident.
    #[must_use]
    pub fn from_label_selector(selector: Option<&Value>) -> Option<Self> {
        let selector = selector?;
        let mut requirements = Vec::new();
        if let Some(map) = selector.get("matchLabels").and_then(Value::as_object) {
            requirements.extend(equalities(map));
        }
        for expression in selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten() {
            requirements.push(parse_requirement(expression)?);
        }
        (!requirements.is_empty()).then_some(Self { requirements })
    }

    /// One requirement of a node selector term (`matchExpressions` of node affinity); `None` if malformed.
    #[must_use]
    pub fn from_expressions(expressions: &[Value]) -> Option<Self> {
        let requirements = expressions.iter().map(parse_requirement).collect::<Option<Vec<_>>>()?;
        Some(Self { requirements })
    }

    /// Whether a map of labels satisfies every requirement.
    #[must_use]
    pub fn matches(&self, labels: Option<&Map<String, Value>>) -> bool {
        self.requirements.iter().all(|requirement| {
            let value = labels.and_then(|labels| labels.get(&requirement.key)).and_then(Value::as_str);
            match (&requirement.test, value) {
                (Test::In(values), Some(value)) => values.iter().any(|wanted| wanted == value),
                (Test::NotIn(values), Some(value)) => values.iter().all(|unwanted| unwanted != value),
                (Test::Exists, Some(_)) | (Test::NotIn(_) | Test::Absent, None) => true,
                (Test::In(_) | Test::Exists, None) | (Test::Absent, Some(_)) => false,
            }
        })
    }
}

fn equalities(map: &Map<String, Value>) -> impl Iterator<Item = Requirement> {
    map.iter().map(|(key, value)| Requirement {
        key: key.clone(),
        test: Test::In(vec![value.as_str().unwrap_or_default().to_owned()]),
    })
}

fn parse_requirement(expression: &Value) -> Option<Requirement> {
    let values = || {
        expression
            .get("values")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    };
    let test = match text(expression, "operator") {
        "In" => Test::In(values()),
        "NotIn" => Test::NotIn(values()),
        "Exists" => Test::Exists,
        "DoesNotExist" => Test::Absent,
        _ => return None,
    };
    Some(Requirement { key: text(expression, "key").to_owned(), test })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_label_selector_matches_when_every_requirement_does() {
        let labels = json!({"app": "web", "tier": "front"});
        let table = [
            (json!({"matchLabels": {"app": "web"}}), true),
            (json!({"matchLabels": {"app": "api"}}), false),
            (json!({"matchExpressions": [{"key": "app", "operator": "In", "values": ["api", "web"]}]}), true),
            (json!({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}), false),
            (json!({"matchExpressions": [{"key": "zone", "operator": "NotIn", "values": ["a"]}]}), true),
            (json!({"matchExpressions": [{"key": "zone", "operator": "Exists"}]}), false),
            (
                json!({"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "zone", "operator": "DoesNotExist"}]}),
                true,
            ),
        ];
        for (selector, expected) in table {
            let parsed = Selector::from_label_selector(Some(&selector)).unwrap();
            assert_eq!(parsed.matches(labels.as_object()), expected, "{selector}");
        }
    }

    #[test]
    fn an_empty_or_malformed_selector_selects_nothing() {
        for selector in [json!({}), json!({"matchExpressions": [{"key": "a", "operator": "Like"}]})] {
            assert_eq!(Selector::from_label_selector(Some(&selector)), None);
        }
        assert_eq!(Selector::from_label_selector(None), None);
        assert_eq!(Selector::from_map(Some(&json!({}))), None);
    }
}
