//! Where tests find the recorded answers of the original.
//!
//! They lie in `testdata/corpora`, or in the folder that `GLIDEPATH_CORPORA` names, so that other rows can be tried.
//! What is not there is skipped with a line that says so.

#![expect(clippy::print_stderr, reason = "a skipped file or row is said aloud")]

use std::path::PathBuf;

use serde_json::Value;

/// The folder of recorded answers.
#[must_use]
pub fn folder() -> PathBuf {
    std::env::var_os("GLIDEPATH_CORPORA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/corpora")),
        PathBuf::from,
    )
}

/// The text of a recorded file; `None`, and a line that says so, where it is absent.
#[must_use]
pub fn text(name: &str) -> Option<String> {
    let path = folder().join(name);
    let text = std::fs::read_to_string(&path).ok();
    if text.is_none() {
        eprintln!("skipped: {} is not there", path.display());
    }
    text
}

/// The rows of a file of JSON lines; `None` where the file is absent. What is no JSON is named and passed over.
#[must_use]
pub fn rows(name: &str) -> Option<Vec<Value>> {
    text(name).map(|text| parse_rows(&text))
}

/// A whole JSON file; `None` where it is absent.
///
/// # Panics
/// When the file is no JSON.
#[must_use]
#[expect(clippy::panic, reason = "only tests read recorded answers, and one that cannot read them must fail")]
pub fn document(name: &str) -> Option<Value> {
    text(name).map(|text| serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}")))
}

/// Only a newline ends a row: some hold U+2028, and the recording cut one short there.
fn parse_rows(text: &str) -> Vec<Value> {
    let lines = text.split('\n').filter(|line| !line.trim().is_empty());
    lines
        .filter_map(|line| {
            let row = serde_json::from_str(line);
            if row.is_err() {
                eprintln!("skipped a row that is no JSON: {line}");
            }
            row.ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::parse_rows;

    #[test]
    fn a_row_ends_at_a_newline_only_and_a_broken_one_spoils_no_other() {
        assert_eq!(parse_rows("{\"a\":\"x\u{2028}y\"}\n\n{\"a\n{}"), [json!({"a": "x\u{2028}y"}), json!({})]);
    }
}
