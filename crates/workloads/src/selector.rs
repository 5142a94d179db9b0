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

    /// A selector in its text form, as `scale` shows it (`app=web,tier!=x,zone in (a,b),!old`); `None` if it
    /// is empty or malformed.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let mut requirements = Vec::new();
        for part in split_outside_parentheses(text) {
            requirements.push(parse_text_requirement(part.trim())?);
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

fn split_outside_parentheses(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if start < text.len() {
        parts.push(&text[start..]);
    }
    parts
}

fn parse_text_requirement(part: &str) -> Option<Requirement> {
    let requirement = |key: &str, test: Test| Some(Requirement { key: key.trim().to_owned(), test });
    let one = |value: &str| vec![value.trim().to_owned()];
    if let Some((key, value)) = part.split_once("!=") {
        return requirement(key, Test::NotIn(one(value)));
    }
    if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return requirement(key, Test::In(one(value)));
    }
    for (word, excluding) in [(" notin ", true), (" in ", false)] {
        if let Some((key, values)) = part.split_once(word) {
            let values = values.trim().strip_prefix('(')?.strip_suffix(')')?;
            let values = values.split(',').map(|value| value.trim().to_owned()).collect();
            return requirement(key, if excluding { Test::NotIn(values) } else { Test::In(values) });
        }
    }
    match part.strip_prefix('!') {
        Some(key) => requirement(key, Test::Absent),
        None if part.is_empty() || part.contains(' ') => None,
        None => requirement(part, Test::Exists),
    }
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
    fn the_text_form_reads_as_the_structured_one() {
        let labels = json!({"app": "web", "tier": "front"});
        let table = [
            ("app=web", Some(true)),
            ("app==web,tier!=back", Some(true)),
            ("app in (api, web),tier notin (back)", Some(true)),
            ("app,!zone", Some(true)),
            ("zone", Some(false)),
            ("app=api", Some(false)),
            ("", None),
            ("app in web", None),
        ];
        for (text, expected) in table {
            assert_eq!(
                Selector::from_text(text).map(|selector| selector.matches(labels.as_object())),
                expected,
                "{text}"
            );
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
