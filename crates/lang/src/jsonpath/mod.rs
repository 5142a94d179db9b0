//! JSONPath as kubectl speaks it: text with expressions in braces, not RFC 9535.
//!
//! Missing keys and indexes out of range are errors here, and they decide a measurement's phase.

mod evaluate;
mod parse;

use std::fmt;

use serde_json::Value;

use self::parse::Node;

/// Why a path has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JsonPathError {
    /// The path itself is malformed.
    Parse(String),
    /// The document does not have what the path asks for.
    Execute(String),
}

impl fmt::Display for JsonPathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parse(message) | Self::Execute(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for JsonPathError {}

/// A parsed path.
#[derive(Debug, Clone)]
pub struct JsonPath {
    nodes: Vec<Node>,
}

impl JsonPath {
    /// Parses a path: literal text and `{…}` expressions.
    ///
    /// # Errors
    /// When an expression is malformed; the words are kubectl's.
    pub fn parse(text: &str) -> Result<Self, JsonPathError> {
        parse::parse(text).map(|nodes| Self { nodes }).map_err(JsonPathError::Parse)
    }

    /// Everything the path finds: one list per segment of text or expression, in order.
    ///
    /// # Errors
    /// When a field or an index is missing, or values do not fit what is asked of them.
    pub fn find_all(&self, document: &Value) -> Result<Vec<Vec<Value>>, JsonPathError> {
        evaluate::find_all(&self.nodes, document).map_err(JsonPathError::Execute)
    }

    /// The first thing the path finds, which is all a web metric looks at.
    ///
    /// # Errors
    /// As [`JsonPath::find_all`].
    pub fn find_first(&self, document: &Value) -> Result<Option<Value>, JsonPathError> {
        Ok(self.find_all(document)?.into_iter().flatten().next())
    }

    /// What `kubectl -o jsonpath` prints: each segment's values with spaces between them.
    ///
    /// # Errors
    /// As [`JsonPath::find_all`].
    pub fn print(&self, document: &Value) -> Result<String, JsonPathError> {
        let segments = self.find_all(document)?;
        let printed: Vec<String> = segments
            .iter()
            .map(|values| values.iter().map(print_value).collect::<Vec<_>>().join(" "))
            .collect();
        Ok(printed.concat())
    }
}

fn print_value(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => {
            glidepath_gocompat::float::format_general(number.as_f64().unwrap_or_default())
        }
        other => glidepath_gocompat::json::to_string(other),
    }
}

/// Any text as a path over a small document: for fuzzing, where only panics count.
pub fn fuzz_jsonpath(text: &str) {
    if let Ok(path) = JsonPath::parse(text) {
        let document = serde_json::json!({"a": [{"b": 1}, {"b": "x"}, null, [1, 2]], "s": "é", "n": null});
        let _ = path.print(&document);
        let _ = path.find_first(&Value::Null);
    }
}
