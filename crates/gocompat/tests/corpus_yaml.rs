//! YAML scalars as kubectl read them, and awkward text that must come back as it was.

#![allow(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

use glidepath_corpora::document;
use glidepath_gocompat::yaml::{parse_document, render};
use serde_json::Value;

/// Equal as JSON numbers are to JavaScript and Go: 1000 and 1000.0 are one number.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64() == right.as_f64(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, item)| right.get(key).is_some_and(|found| same(item, found)))
        }
        _ => left == right,
    }
}

#[test]
fn corpus_yaml_read_scalars_mean_what_they_mean_to_kubectl() {
    let Some(corpus) = document("yaml-read.json") else { return };
    let mut different = Vec::new();
    let rows = corpus.as_array().unwrap();
    for row in rows {
        let text = |field: &str| row[field].as_str().unwrap();
        let found = parse_document(text("doc")).map(|document| document["weird"]["v"].clone());
        let agrees = match (text("go"), &found) {
            (refused, Err(_)) => refused.starts_with("ERR"),
            (refused, Ok(_)) if refused.starts_with("ERR") => false,
            (json, Ok(found)) => same(&serde_json::from_str(json).unwrap(), found),
        };
        if !agrees {
            different.push(format!("{:?}: kubectl {}, here {found:?}", text("s"), text("go")));
        }
    }
    assert!(rows.len() > 20, "too few rows");
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn corpus_yaml_write_awkward_text_comes_back_as_it_was() {
    let Some(document) = document("yaml-write.json") else { return };
    let written = render(&document);
    let found = parse_document(&written).unwrap();
    assert!(same(&document, &found), "{written}");
    // A whole float has become an integer by now, as in Go; from here on the text stays as it is.
    let written = render(&found);
    assert_eq!(render(&parse_document(&written).unwrap()), written, "written twice, it is the same text");
}

/// What kubectl takes for a boolean, null or number is never written bare when it is text.
#[test]
fn text_that_looks_like_something_else_is_quoted() {
    for word in
        ["yes", "No", "on", "OFF", "y", "n", "~", "null", "True", "0644", "1_000", "0x1F", "1e3", "-.inf"]
    {
        let written = render(&serde_json::json!({ "k": word }));
        assert_ne!(written, format!("k: {word}\n"));
        assert_eq!(parse_document(&written).unwrap()["k"], word);
    }
}
