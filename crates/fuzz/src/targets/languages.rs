//! The languages of manifests: conditions, JSONPath, placeholders.

use glidepath_lang::expr::{Value as Result_, decide_outcome, evaluate_condition, fuzz_condition};
use glidepath_lang::jsonpath::{JsonPath, fuzz_jsonpath};
use glidepath_lang::placeholder::{resolve_args, resolve_args_text, resolve_experiment_text};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::shape;
use crate::target::{SEPARATOR, Target, parts};

const CONDITION_WORDS: &[&str] = &[
    "result",
    "result[0]",
    "not ",
    " and ",
    " or ",
    " in ",
    " contains ",
    " matches ",
    "??",
    "?.",
    "?:",
    "..",
    "|",
    "filter(",
    "map(",
    "reduce(",
    "sortBy(",
    "groupBy(",
    "all(",
    "{.a}",
    "#",
    "#acc",
    "let x = ",
    ";",
    "if ",
    "else ",
    "asFloat(",
    "asInt(",
    "default(",
    "now()",
    "date(",
    "duration(",
    "fromJSON(",
    "toJSON(",
    "split(",
    "repeat(",
    "indexOf(",
    "take(",
    "**",
    "%",
    "<",
    "==",
    "1..1e9",
    "nil",
    "true",
    "0x1",
    "1_0",
    "\"\\u00e9\"",
    "[1:]",
    "{a: 1}",
];

/// `expression SEPARATOR result`, the result as JSON.
pub(super) fn conditions() -> Target {
    let seeds = glidepath_corpora::rows("expr.jsonl")
        .unwrap_or_default()
        .into_iter()
        .map(|row| format!("{}{SEPARATOR}{}", row["expr"].as_str().unwrap_or_default(), row["val"]));
    let seeds: Vec<String> = seeds.chain(["result[0] < 0.01".to_owned()]).collect();
    Target::text("conditions", CONDITION_WORDS, seeds, |input| {
        let (expression, result) = parts(input);
        fuzz_condition(expression);
        let json: Value = serde_json::from_str(result).unwrap_or_default();
        let result = match &json {
            Value::Array(items) if items.iter().all(Value::is_number) => {
                Result_::floats(items.iter().filter_map(Value::as_f64).collect())
            }
            _ => Result_::from_json(&json),
        };
        let answer = evaluate_condition(expression, &result, Timestamp::UNIX_EPOCH);
        let _ = decide_outcome(expression, "result > 1", &result, Timestamp::UNIX_EPOCH);
        shape::of_result(&answer, |verdict| u64::from(*verdict))
    })
}

/// `path SEPARATOR document`.
pub(super) fn jsonpath() -> Target {
    const WORDS: &[&str] = &[
        "{", "}", "{range ", "{end}", "@", "$", "..", "*", "[?(@.a==", ")]", "[0]", "[-1:]", "[::2]",
        "['a.b']", "\\.", "&&", "\"", "[0,1]", "{.", "=~", "<=",
    ];
    let seeds: Vec<String> = glidepath_corpora::rows("jsonpath.jsonl")
        .unwrap_or_default()
        .into_iter()
        .map(|row| format!("{}{SEPARATOR}{}", row["expr"].as_str().unwrap_or_default(), row["val"]))
        .chain(["{range .a[*]}{.b}{end}".to_owned()])
        .collect();
    Target::text("jsonpath", WORDS, seeds, |input| {
        let (path, document) = parts(input);
        fuzz_jsonpath(path);
        let document: Value = serde_json::from_str(document).unwrap_or_else(|_| json!({"a": [1, {"b": 2}]}));
        let printed = JsonPath::parse(path).and_then(|path| path.print(&document));
        shape::of_result(&printed, |text| text.len().min(32) as u64)
    })
}

/// `text SEPARATOR arguments`, the arguments as a JSON object.
pub(super) fn placeholders() -> Target {
    const WORDS: &[&str] = &[
        "{{",
        "}}",
        "{{args.a}}",
        "{{ args.b }}",
        "{{templates.a.podTemplateHash}}",
        "{{experiment.availableAt}}",
        "{{inputs.x}}",
        "args.",
        "\"",
        "\\",
    ];
    let seeds = [
        format!("rate({{{{args.a}}}}) / {{{{ args.b }}}}{SEPARATOR}{}", json!({"a": "x\"y", "b": "1"})),
        format!("{{{{templates.one.replicaset.name}}}}{SEPARATOR}{{}}"),
    ];
    Target::text("placeholders", WORDS, seeds, |input| {
        let (text, arguments) = parts(input);
        let arguments: Value =
            serde_json::from_str(arguments).unwrap_or_else(|_| json!({"a": "1", "b": null}));
        let pairs: Vec<(&str, Option<&str>)> = arguments
            .as_object()
            .map(|fields| fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect())
            .unwrap_or_default();
        let resolved = resolve_args_text(text, pairs.iter().copied());
        let tree = resolve_args(&json!({ text: [text, 1] }), pairs.iter().copied());
        let _ = resolve_experiment_text(text, &[], Some("2026-01-01T00:00:00Z"), None);
        shape::of_all([
            shape::of_result(&resolved, |text| text.len().min(32) as u64),
            shape::of_result(&tree, shape::of_value),
        ])
    })
}
