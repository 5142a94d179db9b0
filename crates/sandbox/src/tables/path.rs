//! The JSONPath of printer columns: fields, positions, `*`, and filters that compare one field.

use serde_json::Value;

/// Everything the path leads to. A path that is not understood leads nowhere.
pub(super) fn find<'a>(object: &'a Value, path: &str) -> Vec<&'a Value> {
    let mut found = vec![object];
    let mut rest = path.trim().trim_start_matches('$');
    while !rest.is_empty() && !found.is_empty() {
        let (step, after) = if let Some(inner) = rest.strip_prefix('[') {
            let Some(end) = closing(inner) else { return Vec::new() };
            (bracketed(&inner[..end]), &inner[end + 1..])
        } else {
            let (name, after) = field(rest.trim_start_matches('.'));
            (if name == "*" { Step::All } else { Step::Field(name) }, after)
        };
        found = found.into_iter().flat_map(|value| step.follow(value)).collect();
        rest = after;
    }
    found
}

enum Step {
    Field(String),
    Position(i64),
    All,
    /// Items whose value at a path equals (or not) a text.
    Where {
        path: String,
        equal: bool,
        value: String,
    },
}

impl Step {
    fn follow<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        let items = || -> Vec<&'a Value> {
            match value {
                Value::Array(list) => list.iter().collect(),
                Value::Object(map) => map.values().collect(),
                _ => Vec::new(),
            }
        };
        match self {
            Self::Field(name) => value.get(name).into_iter().collect(),
            Self::Position(at) => {
                let list = value.as_array().map_or(&[][..], Vec::as_slice);
                let length = i64::try_from(list.len()).unwrap_or(i64::MAX);
                let at = if *at < 0 { length + at } else { *at };
                usize::try_from(at).ok().and_then(|at| list.get(at)).into_iter().collect()
            }
            Self::All => items(),
            Self::Where { path, equal, value: wanted } => items()
                .into_iter()
                .filter(|item| {
                    let found = find(item, path);
                    let same = found.first().is_some_and(|found| match found {
                        Value::String(text) => text == wanted,
                        other => other.to_string() == *wanted,
                    });
                    same == *equal && (!found.is_empty() || !equal)
                })
                .collect(),
        }
    }
}

/// The end of a bracket, quotes considered.
fn closing(text: &str) -> Option<usize> {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (None, ']') => return Some(at),
            _ => {}
        }
    }
    None
}

/// A field name up to the next `.` or `[`; a backslash takes the next character as it is.
fn field(text: &str) -> (String, &str) {
    let mut name = String::new();
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            '\\' if !escaped => escaped = true,
            '.' | '[' if !escaped => return (name, &text[at..]),
            c => {
                name.push(c);
                escaped = false;
            }
        }
    }
    (name, "")
}

fn bracketed(inner: &str) -> Step {
    let inner = inner.trim();
    if inner == "*" {
        return Step::All;
    }
    if let Ok(at) = inner.parse() {
        return Step::Position(at);
    }
    if let Some(filter) = inner.strip_prefix("?(").and_then(|filter| filter.strip_suffix(')')) {
        let (equal, parts) = match filter.split_once("==") {
            Some(parts) => (true, Some(parts)),
            None => (false, filter.split_once("!=")),
        };
        if let Some((path, value)) = parts {
            let path = path.trim().trim_start_matches('@').to_owned();
            return Step::Where { path, equal, value: unquoted(value).to_owned() };
        }
    }
    Step::Field(unquoted(inner).to_owned())
}

fn unquoted(text: &str) -> &str {
    text.trim().trim_matches(['\'', '"'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_find_their_values() {
        let object = json!({ "spec": { "replicas": 3, "list": ["a", "b"] }, "metadata": { "labels": { "x.y/z": "l" } },
            "status": { "conditions": [{ "type": "A", "status": "True" }, { "type": "B", "status": "False" }] } });
        let table = [
            (".spec.replicas", vec![json!(3)]),
            (".spec.list[1]", vec![json!("b")]),
            (".spec.list[-1]", vec![json!("b")]),
            (".spec.list[*]", vec![json!("a"), json!("b")]),
            (".status.conditions[?(@.type==\"B\")].status", vec![json!("False")]),
            (".status.conditions[?(@.type=='A')].status", vec![json!("True")]),
            (".metadata.labels.x\\.y/z", vec![json!("l")]),
            (".metadata.labels['x.y/z']", vec![json!("l")]),
            (".nothing.here", vec![]),
            ("[", vec![]),
        ];
        for (path, expected) in table {
            let found: Vec<Value> = find(&object, path).into_iter().cloned().collect();
            assert_eq!(found, expected, "{path}");
        }
    }
}
