//! Label and field selectors, as query parameters carry them.

use crate::refusal::{Refusal, Reply};
use crate::store::Stored;

/// Everything that narrows a list or a watch.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selector {
    labels: Vec<LabelTerm>,
    fields: Vec<FieldTerm>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct LabelTerm {
    key: String,
    test: LabelTest,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum LabelTest {
    Exists,
    Absent,
    In(Vec<String>),
    NotIn(Vec<String>),
    Greater(i64),
    Less(i64),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct FieldTerm {
    field: Field,
    value: String,
    equal: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Field {
    Name,
    Namespace,
    /// Index into the table's selectable fields.
    At(usize),
}

impl Selector {
    /// Parses both parameters. `selectable` are the resource's own fields.
    pub fn parse(labels: &str, fields: &str, selectable: &[&str], api_version: &str) -> Reply<Self> {
        Ok(Self { labels: parse_labels(labels)?, fields: parse_fields(fields, selectable, api_version)? })
    }

    pub fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub fn matches(&self, object: &Stored) -> bool {
        self.labels.iter().all(|term| term.matches(object.label(&term.key)))
            && self.fields.iter().all(|term| term.matches(object))
    }
}

impl LabelTerm {
    fn matches(&self, value: Option<&str>) -> bool {
        match &self.test {
            LabelTest::Exists => value.is_some(),
            LabelTest::Absent => value.is_none(),
            LabelTest::In(set) => value.is_some_and(|value| set.iter().any(|one| one == value)),
            // As in Kubernetes, an object without the label is "not in".
            LabelTest::NotIn(set) => value.is_none_or(|value| !set.iter().any(|one| one == value)),
            LabelTest::Greater(than) => {
                value.and_then(|value| value.parse::<i64>().ok()).is_some_and(|value| value > *than)
            }
            LabelTest::Less(than) => {
                value.and_then(|value| value.parse::<i64>().ok()).is_some_and(|value| value < *than)
            }
        }
    }
}

impl FieldTerm {
    fn matches(&self, object: &Stored) -> bool {
        let actual = match self.field {
            Field::Name => object.key.name(),
            Field::Namespace => object.key.namespace(),
            Field::At(index) => object.field(index),
        };
        (actual == self.value) == self.equal
    }
}

fn parse_labels(text: &str) -> Reply<Vec<LabelTerm>> {
    let unreadable = || {
        // The real parser names the token it stumbled over; the second word is the usual one.
        match text.split_whitespace().nth(1) {
            Some("in" | "notin") if text.contains('(') && !text.contains(')') => {
                Refusal::bad_request("unable to parse requirement: found '', expected: ',' or ')'")
            }
            Some("in" | "notin") => Refusal::bad_request(format!(
                "unable to parse requirement: found '{}' expected: '('",
                text.split_whitespace().nth(2).unwrap_or_default()
            )),
            Some(word) => Refusal::bad_request(format!(
                "unable to parse requirement: found '{word}', expected: in, notin, =, ==, !=, gt, lt"
            )),
            None => Refusal::bad_request(format!(
                "unable to parse requirement: found '{}', expected: identifier",
                text.trim_start_matches(|c: char| c.is_ascii_alphanumeric())
                    .trim_start_matches('!')
                    .chars()
                    .next()
                    .map(String::from)
                    .unwrap_or_default()
            )),
        }
    };
    let mut terms = Vec::new();
    for piece in split_outside_parentheses(text) {
        let piece = piece.trim();
        if piece.is_empty() {
            continue;
        }
        terms.push(parse_label_term(piece).ok_or_else(unreadable)?);
    }
    Ok(terms)
}

fn parse_label_term(piece: &str) -> Option<LabelTerm> {
    if let Some(rest) = piece.strip_prefix('!') {
        return label_term(rest.trim(), LabelTest::Absent);
    }
    if let Some((head, tail)) = piece.split_once('(') {
        let values: Vec<String> =
            tail.trim().strip_suffix(')')?.split(',').map(|value| value.trim().to_owned()).collect();
        let mut words = head.split_whitespace();
        let (key, operator) = (words.next()?, words.next()?);
        return match (operator, words.next()) {
            ("in", None) => label_term(key, LabelTest::In(values)),
            ("notin", None) => label_term(key, LabelTest::NotIn(values)),
            _ => None,
        };
    }
    if let Some((key, value)) = piece.split_once("!=") {
        return label_term(key.trim(), LabelTest::NotIn(vec![value.trim().to_owned()]));
    }
    if let Some((key, value)) = piece.split_once("==").or_else(|| piece.split_once('=')) {
        return label_term(key.trim(), LabelTest::In(vec![value.trim().to_owned()]));
    }
    if let Some((key, value)) = piece.split_once('>') {
        return label_term(key.trim(), LabelTest::Greater(value.trim().parse().ok()?));
    }
    if let Some((key, value)) = piece.split_once('<') {
        return label_term(key.trim(), LabelTest::Less(value.trim().parse().ok()?));
    }
    label_term(piece, LabelTest::Exists)
}

fn label_term(key: &str, test: LabelTest) -> Option<LabelTerm> {
    let legal = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
    let values_legal = match &test {
        LabelTest::In(values) | LabelTest::NotIn(values) => values.iter().all(|value| legal(value)),
        _ => true,
    };
    (!key.is_empty() && legal(key) && values_legal).then(|| LabelTerm { key: key.to_owned(), test })
}

fn split_outside_parentheses(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut depth, mut start) = (0_u32, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                pieces.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    pieces.push(&text[start..]);
    pieces
}

fn parse_fields(text: &str, selectable: &[&str], api_version: &str) -> Reply<Vec<FieldTerm>> {
    let mut terms = Vec::new();
    for piece in text.split(',').filter(|piece| !piece.is_empty()) {
        let (path, value, equal) = if let Some((path, value)) = piece.split_once("!=") {
            (path, value, false)
        } else if let Some((path, value)) = piece.split_once("==").or_else(|| piece.split_once('=')) {
            (path, value, true)
        } else {
            return Err(Refusal::bad_request(format!(
                "invalid selector: '{text}'; can't understand '{piece}'"
            )));
        };
        if value.replace("\\=", "").contains('=') {
            let why = "invalid field selector: unescaped character in value: 61";
            return Err(Refusal::bad_request(why));
        }
        let field = match path {
            "metadata.name" => Field::Name,
            "metadata.namespace" => Field::Namespace,
            path => match selectable.iter().position(|one| *one == path) {
                Some(index) => Field::At(index),
                None => {
                    // Kinds with fields of their own have other words than those without.
                    let plain = selectable.is_empty() && is_builtin(api_version);
                    return Err(Refusal::bad_request(if plain {
                        format!(
                            "{path:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
                        )
                    } else {
                        format!("field label not supported: {path}")
                    }));
                }
            },
        };
        terms.push(FieldTerm { field, value: value.replace("\\,", ",").replace("\\=", "="), equal });
    }
    Ok(terms)
}

fn is_builtin(api_version: &str) -> bool {
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    crate::kinds::BUILT_IN.iter().any(|kind| kind.group == group)
}

/// Whether a `LabelSelector` (`matchLabels`, `matchExpressions`) selects these labels. A missing
/// selector selects nothing, an empty one everything.
pub(crate) fn label_selector_matches<'a>(
    selector: Option<&serde_json::Value>,
    labels: impl Iterator<Item = (&'a str, &'a str)> + Clone,
) -> bool {
    let Some(selector) = selector.filter(|selector| selector.is_object()) else { return false };
    let text = crate::scale::selector_text(Some(selector));
    let find = |key: &str| labels.clone().find(|(label, _)| *label == key).map(|(_, value)| value);
    parse_labels(&text).is_ok_and(|terms| terms.iter().all(|term| term.matches(find(&term.key))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn matches(labels: &str, object: serde_json::Value) -> bool {
        let stored = Stored::from_object(&json!({ "metadata": { "name": "a", "labels": object } }), 1, &[]);
        Selector::parse(labels, "", &[], "v1").unwrap().matches(&stored)
    }

    #[test]
    fn label_selectors_select_as_kubernetes_does() {
        let table = [
            ("", true),
            ("app=web", true),
            ("app==web,tier!=db", true),
            ("app in (web, api),tier notin (db)", true),
            ("app", true),
            ("!app", false),
            ("!tier", true),
            ("tier", false),
            ("n>3,n<5", true),
            ("n>4", false),
            ("app=", false),
        ];
        for (selector, expected) in table {
            assert_eq!(matches(selector, json!({ "app": "web", "n": "4" })), expected, "{selector}");
        }
        for wrong in ["app in web", "a b", "=x", "app in (", "app=(x)"] {
            assert!(Selector::parse(wrong, "", &[], "v1").is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_custom_resource_selects_on_name_and_namespace_only() {
        let refusal = Selector::parse("", "spec.x=1", &[], "argoproj.io/v1alpha1").unwrap_err();
        assert_eq!(refusal.code(), 400);
        assert!(refusal.to_string().contains("field label not supported: spec.x"), "{refusal}");
    }
}
