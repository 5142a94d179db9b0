//! Label selectors: matching, writing as text, and what makes one invalid.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Which labels an object must have. An empty selector matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LabelSelector {
    /// Labels with exactly these values.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    /// Further requirements.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub match_expressions: Vec<LabelSelectorRequirement>,
}

/// One requirement of a selector.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LabelSelectorRequirement {
    /// The label.
    pub key: String,
    /// `In`, `NotIn`, `Exists` or `DoesNotExist`.
    pub operator: String,
    /// The values; none for the last two operators.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

/// What a malformed selector says about itself, in the words of Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidSelector(pub String);

impl std::fmt::Display for InvalidSelector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidSelector {}

impl LabelSelector {
    /// A selector that asks for exactly these labels.
    pub fn from_labels<K: Into<String>, V: Into<String>>(labels: impl IntoIterator<Item = (K, V)>) -> Self {
        Self {
            match_labels: labels.into_iter().map(|(key, value)| (key.into(), value.into())).collect(),
            match_expressions: Vec::new(),
        }
    }

    /// Whether nothing is asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.match_labels.is_empty() && self.match_expressions.is_empty()
    }

    /// Whether an object with these labels is selected. A requirement with an unknown operator matches nothing.
    #[must_use]
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
            && self.match_expressions.iter().all(|requirement| requirement.matches(labels))
    }

    /// The selector as request parameters and status fields carry it: requirements sorted by key, `a=b,c in (d,e)`.
    ///
    /// # Errors
    /// When an operator is unknown, or has values it must not have or lacks those it needs.
    pub fn to_text(&self) -> Result<String, InvalidSelector> {
        let mut parts: Vec<(&str, String)> =
            self.match_labels.iter().map(|(key, value)| (key.as_str(), format!("{key}={value}"))).collect();
        for requirement in &self.match_expressions {
            parts.push((&requirement.key, requirement.to_text()?));
        }
        parts.sort_by(|left, right| left.0.cmp(right.0));
        Ok(parts.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(","))
    }
}

impl LabelSelectorRequirement {
    /// Whether these labels meet the requirement.
    #[must_use]
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        match self.operator.as_str() {
            "In" => value.is_some_and(|value| self.values.contains(value)),
            "NotIn" => value.is_none_or(|value| !self.values.contains(value)),
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            _ => false,
        }
    }

    fn to_text(&self) -> Result<String, InvalidSelector> {
        let key = &self.key;
        let mut values = self.values.clone();
        values.sort();
        let listed = values.join(",");
        match self.operator.as_str() {
            "In" | "NotIn" if values.is_empty() => Err(InvalidSelector(
                "values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty"
                    .to_owned(),
            )),
            "Exists" | "DoesNotExist" if !values.is_empty() => Err(InvalidSelector(format!(
                "values: Invalid value: [{}]: values set must be empty for exists and does not exist",
                self.values.iter().map(|value| format!("{value:?}")).collect::<Vec<_>>().join(",")
            ))),
            "In" => Ok(format!("{key} in ({listed})")),
            "NotIn" => Ok(format!("{key} notin ({listed})")),
            "Exists" => Ok(key.clone()),
            "DoesNotExist" => Ok(format!("!{key}")),
            other => Err(InvalidSelector(format!("{other:?} is not a valid label selector operator"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::LabelSelector;

    fn labels(text: &str) -> BTreeMap<String, String> {
        let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn selectors_match_and_print_as_kubernetes_does() {
        for (selector, text, matching, other) in [
            (json!({}), "", "a=b", None),
            (json!({"matchLabels": {"b": "2", "a": "1"}}), "a=1,b=2", "a=1,b=2,c=3", Some("a=1")),
            (expression("a", "In", &["y", "x"]), "a in (x,y)", "a=x", Some("b=x")),
            (expression("a", "NotIn", &["x"]), "a notin (x)", "b=x", Some("a=x")),
            (expression("a", "Exists", &[]), "a", "a=", Some("b=")),
            (expression("a", "DoesNotExist", &[]), "!a", "b=", Some("a=")),
        ] {
            let selector: LabelSelector = serde_json::from_value(selector).unwrap();
            assert_eq!(selector.to_text().as_deref(), Ok(text));
            assert!(selector.matches(&labels(matching)), "{text} should match {matching}");
            assert!(!other.is_some_and(|other| selector.matches(&labels(other))), "{text} matches {other:?}");
        }
    }

    #[test]
    fn malformed_requirements_do_not_print() {
        for selector in
            [expression("a", "Near", &["x"]), expression("a", "In", &[]), expression("a", "Exists", &["x"])]
        {
            let selector: LabelSelector = serde_json::from_value(selector).unwrap();
            assert!(selector.to_text().is_err());
        }
    }

    fn expression(key: &str, operator: &str, values: &[&str]) -> serde_json::Value {
        json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]})
    }
}
