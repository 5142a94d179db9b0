//! Paths with the answers kubectl's library gave: every recorded row must agree.

use glidepath_corpora::rows;
use glidepath_lang::jsonpath::{JsonPath, JsonPathError, fuzz_jsonpath};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Numbers by value, and each segment's values in one order: maps have none in Go.
fn normal(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(normal).collect();
            items.sort_by_key(Value::to_string);
            Value::Array(items)
        }
        Value::Object(entries) => entries.iter().map(|(key, value)| (key.clone(), normal(value))).collect(),
        other => other.clone(),
    }
}

#[test]
fn corpus_jsonpath_rows_all_agree_a376_a377() {
    let Some(rows) = rows("jsonpath.jsonl") else { return };
    assert!(!rows.is_empty(), "no row could be read");
    let mut wrong = Vec::new();
    for row in &rows {
        let (Some(path), Some(want)) = (row["expr"].as_str(), row["want"].as_str()) else {
            continue;
        };
        let answer = JsonPath::parse(path).and_then(|path| path.find_all(&row["val"]));
        let got = match &answer {
            Ok(found) => json!(found).to_string(),
            Err(JsonPathError::Parse(message)) => format!("PERR {message}"),
            Err(JsonPathError::Execute(message)) => format!("XERR {message}"),
        };
        let agrees = match (&answer, serde_json::from_str::<Value>(want)) {
            (Ok(found), Ok(want)) if path.contains('*') || path.contains("..") => {
                normal(&json!(found)) == normal(&want)
            }
            (Ok(found), Ok(want)) => {
                let exact = |value: &Value| glidepath_gocompat::json::to_string(value);
                exact(&json!(found)) == exact(&want)
            }
            // Which element of a map fails first is up to chance in Go.
            (Err(_), Err(_)) if path.contains('*') || path.contains("..") => want[..4] == got[..4],
            (Err(_), Err(_)) => want == got,
            _ => false,
        };
        if !agrees {
            wrong.push(format!("{path}\n  got  {got}\n  want {want}"));
        }
    }
    eprintln!("jsonpath.jsonl: {} of {} agree", rows.len() - wrong.len(), rows.len());
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

fn print(path: &str) -> Result<String, String> {
    let document = json!({"a": [{"b": 1}, {"b": 2}], "f": 1.5, "m": {"k": "v"}, "n": null, "e": []});
    JsonPath::parse(path).and_then(|path| path.print(&document)).map_err(|error| error.to_string())
}

#[test]
fn ranges_run_over_what_they_find() {
    for (path, want) in [
        ("{range .a[*]}{.b},{end}!", "1,2,!"),
        ("{range .e[*]}x,{end}!", "!"),
        ("{range .a[*]}[{range .b}{@}{end}]{end}", "[1][2]"),
        ("x{.m}{.f} {.n}", "x{\"k\":\"v\"}1.5 null"),
        ("{.a[-1].b}{.a[0:2:2].b}", "21"),
        ("{\"a\\tb\"}", "a\tb"),
    ] {
        assert_eq!(print(path).as_deref(), Ok(want), "{path}");
    }
    // The segments still run once over nothing, which lets a field of it be missing.
    assert_eq!(print("{range .e[*]}{.b},{end}!").unwrap_err(), "b is not found");
    assert_eq!(print("{end}").unwrap_err(), "not in range, nothing to end");
}

#[test]
fn a_web_metric_takes_the_first_hit_a376() {
    let document = json!({"a": [1, 2], "x": null});
    let first = |path: &str| JsonPath::parse(path).unwrap().find_first(&document);
    assert_eq!(first("{$.a[*]}"), Ok(Some(json!(1))));
    assert_eq!(first("text {$.a}"), Ok(Some(json!("text "))));
    assert_eq!(first("{$.x}"), Ok(Some(Value::Null)));
    assert_eq!(first("{$.a[?(@.b)]}"), Ok(None));
    assert_eq!(JsonPath::parse("{$}").unwrap().find_first(&Value::Null), Ok(Some(Value::Null)));
}

#[test]
fn deeply_nested_paths_are_refused() {
    for path in ["{.a[?(".repeat(5_000), "{[".to_owned() + &"[".repeat(5_000), "{range .a[*]}".repeat(5_000)]
    {
        let found = JsonPath::parse(&path).and_then(|path| path.find_all(&json!({"a": [{"a": [1]}]})));
        assert!(found.is_err());
    }
}

proptest! {
    #[test]
    fn no_path_panics(text in ".{0,40}", likely in r#"[{}\[\].$@?()a-c*:,'"=<>!0-9\\ -]{0,40}"#) {
        fuzz_jsonpath(&text);
        fuzz_jsonpath(&likely);
        fuzz_jsonpath(&format!("{{.{likely}}}"));
    }
}
