//! YAML as kubectl reads it, and YAML that every reader takes for what it is.
//!
//! Text becomes a JSON value first and a type of ours only then: read straight into a type, a field's type would
//! decide what `1.10` or `"5"` mean, which kubectl does not let it do. Scalars follow YAML 1.1, as in Go: `yes` and
//! `on` are booleans and `0644` is 420. Of a key that is there twice the last one counts.

mod load;
mod scalar;

use std::fmt;

use serde_json::{Map, Value};

/// Text that is not YAML; it says where and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct YamlError(String);

impl fmt::Display for YamlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for YamlError {}

/// Reads one document.
///
/// # Errors
/// When the text is not YAML, or holds more than one document.
pub fn parse_document(text: &str) -> Result<Value, YamlError> {
    let mut found = load::load(text)?;
    if found.len() > 1 {
        return Err(YamlError("there is more than one document".to_owned()));
    }
    Ok(found.pop().unwrap_or_default())
}

/// Reads a stream of documents; empty ones and such that hold only comments are left out, as kubectl does.
///
/// # Errors
/// When a document is not YAML.
pub fn parse_documents(text: &str) -> Result<Vec<Value>, YamlError> {
    Ok(load::load(text)?.into_iter().filter(|document| !document.is_null()).collect())
}

/// Writes a value as a document in block style with sorted keys. Text that some reader would take for something
/// else is quoted.
#[must_use]
pub fn render(value: &Value) -> String {
    // Writing a JSON value into a String has no way to fail; JSON is YAML, so even then the text is right.
    serde_saphyr::to_string(&sorted(value)).unwrap_or_else(|_| format!("{value}\n"))
}

/// The value with its keys in order, whatever order this build's maps keep.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut entries: Vec<_> = fields.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            Value::Object(
                entries.into_iter().map(|(key, item)| (key.clone(), sorted(item))).collect::<Map<_, _>>(),
            )
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn scalars_are_read_as_yaml_1_1() {
        let read = parse_document("a: yes\nb: 0644\nc: 1_000\nd: '0644'\ne: 1.10\n").unwrap();
        assert_eq!(read, json!({"a": true, "b": 420, "c": 1000, "d": "0644", "e": 1.1}));
    }

    #[test]
    fn of_a_key_that_is_there_twice_the_last_one_counts() {
        assert_eq!(parse_document("a: 1\na: 2\n").unwrap(), json!({"a": 2}));
    }

    #[test]
    fn documents_without_content_are_skipped() {
        let text = "---\n# nothing\n---\na: 1\n---\n---\nb: 2\n";
        assert_eq!(parse_documents(text).unwrap(), [json!({"a": 1}), json!({"b": 2})]);
    }

    #[test]
    fn what_is_not_yaml_is_an_error_on_one_line() {
        let said = parse_document("a: b: c\n").unwrap_err().to_string();
        assert!(!said.contains('\n') && said.contains("line 1"), "{said}");
        assert!(parse_document("v: .nan\n").is_err());
    }

    #[test]
    fn nested_lists_and_maps_are_written_in_block_style_with_sorted_keys() {
        let value = json!({
            "f": "yes", "g": "1", "a": {"e": null, "b": [{"c": 1, "d": ["x", []]}, {}]},
            "h": "it's: odd", "i": "plain words (here)", "j": true, "k": "",
        });
        let want = "a:\n  b:\n  - c: 1\n    d:\n    - x\n    - []\n  - {}\n  e: null\nf: \"yes\"\ng: \"1\"\n\
                    h: \"it's: odd\"\ni: plain words (here)\nj: true\nk: \"\"\n";
        assert_eq!(render(&value), want);
    }
}
