//! Conditions as analysis.md describes them, row by row, and the bounds that keep evaluation safe.

use glidepath_lang::expr::{
    Outcome, Value, decide_outcome, evaluate_condition, evaluate_time, fuzz_condition,
};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::json;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;
const NO_DATA: &str = "metric result is nil or empty: no data returned from the metric provider";

fn floats(values: &[f64]) -> Value {
    Value::floats(values.to_vec())
}

#[test]
fn two_conditions_decide_the_outcome_a240_to_a247() {
    let (yes, no, bad) = ("result > 0", "result < 0", "foo > 1");
    for (row, success, failure, want) in [
        ("A-240", "", "", Some(Outcome::Successful)),
        ("A-241", yes, "", Some(Outcome::Successful)),
        ("A-241", no, "", Some(Outcome::Failed)),
        ("A-242", "", yes, Some(Outcome::Failed)),
        ("A-242", "", no, Some(Outcome::Successful)),
        ("A-243", yes, yes, Some(Outcome::Failed)),
        ("A-244", yes, no, Some(Outcome::Successful)),
        ("A-245", no, yes, Some(Outcome::Failed)),
        ("A-246", no, no, Some(Outcome::Inconclusive)),
        ("A-247", yes, bad, None),
        ("A-247", bad, yes, None),
        ("A-247", " ", "", None),
    ] {
        let outcome = decide_outcome(success, failure, &Value::Float(5.0), NOW);
        match want {
            Some(want) => assert_eq!(outcome, want, "{row}: {success:?} / {failure:?}"),
            None => assert!(matches!(outcome, Outcome::Error(_)), "{row}: {outcome:?}"),
        }
    }
}

#[test]
fn error_texts_name_the_condition_and_the_cause_a248_a249() {
    for (success, failure, result, want) in [
        (
            "result > '1'",
            "",
            Value::Float(5.0),
            r#"could not evaluate successCondition "result > '1'": invalid operation: > (mismatched types float64 and string)"#
                .to_owned(),
        ),
        (
            "result > 1",
            "result",
            Value::Float(5.0),
            r#"could not evaluate failureCondition "result": expected bool, but got float64"#.to_owned(),
        ),
        (
            "result[0] > 1",
            "",
            floats(&[]),
            format!(r#"could not evaluate successCondition "result[0] > 1": {NO_DATA}"#),
        ),
        ("foo", "", Value::Nil, format!(r#"could not evaluate successCondition "foo": {NO_DATA}"#)),
    ] {
        assert_eq!(decide_outcome(success, failure, &result, NOW), Outcome::Error(want));
    }
}

#[test]
fn worked_conditions_give_their_documented_outcome() {
    let float = Value::Float;
    let json = |value: serde_json::Value| Value::from_json(&value);
    // `Ok` is what the condition says, `Err` a part of the error's text.
    let rows: Vec<(&str, Value, &str, Result<bool, &str>)> = vec![
        ("E-01", floats(&[0.97]), "result[0] >= 0.95", Ok(true)),
        ("E-02", floats(&[0.97]), "result >= 0.95", Err("mismatched types []float64 and float64")),
        ("E-04", floats(&[]), "len(result) == 0 || result[0] >= 0.95", Ok(true)),
        ("E-05", floats(&[]), "len(result) > 0 && result[0] >= 0.95", Ok(false)),
        ("E-06", floats(&[]), "all(result, # < 1000) && none(result, # > 1)", Ok(true)),
        ("E-07", floats(&[]), "any(result, # > 1) || one(result, # > 1)", Ok(false)),
        ("E-08", floats(&[]), "isNil(result)", Ok(false)),
        ("E-11", floats(&[]), "(first(result) ?? 1) > 0 && (get(result, 0) ?? 1) > 0", Ok(true)),
        ("E-13", floats(&[]), "sum(result) == 0 && mean(result) < 1 && median(result) < 1", Ok(true)),
        ("E-14", floats(&[0.9]), "result && result[0] > 0.5", Err("mismatched types []float64 and bool")),
        ("E-15", floats(&[1.0, 2.0]), "result[-1] == 2", Ok(true)),
        ("E-16", floats(&[1.0]), "result[1] > 0", Err("index out of range: 1 (array length is 1)")),
        (
            "E-17",
            floats(&[1.0, 3.0, 2.0]),
            "max(result) == 3 && mean(result) == 2 && sum(result) == 6",
            Ok(true),
        ),
        ("E-18", floats(&[1.0, 3.0, 2.0]), "reduce(result, #acc + #, 0) == 6", Ok(true)),
        ("E-19", floats(&[1.0, 3.0, 2.0]), "result | filter(# > 1) | len() == 2", Ok(true)),
        ("E-20", floats(&[1.0, 5.0]), "filter(result, #index > 0)", Err("unknown pointer #index")),
        ("E-21", floats(&[f64::NAN]), "result[0] >= 0.95", Ok(false)),
        ("E-24", floats(&[f64::NAN]), "isNaN(result[0]) || result[0] >= 0.95", Ok(true)),
        (
            "E-25",
            floats(&[f64::NAN]),
            "isNaN(result)",
            Err("cannot use []float64 as argument (type float64) to call isNaN"),
        ),
        ("E-26", floats(&[1.0, f64::NAN]), "max(result) == 1", Ok(true)),
        ("E-26", floats(&[f64::NAN, 1.0]), "max(result) == 1", Ok(false)),
        ("E-28", float(f64::INFINITY), "result >= 0.95 && isInf(result)", Ok(true)),
        ("E-29", float(5.0), "1 < result < 10 && result in 1..10 && result == 5", Ok(true)),
        ("E-30", float(5.0), "result % 2 == 1", Err("mismatched types float64 and int")),
        ("E-31", float(7.9), "asInt(result) % 2 == 1", Ok(true)),
        ("E-32", float(0.57), "result * 100 == 57", Ok(false)),
        ("E-33", float(5.0), "true || result == 'a'", Err("mismatched types float64 and string")),
        ("E-35", float(5.0), "results[0] > 1", Err("unknown name results")),
        ("E-36", float(5.0), "nil", Err("expected bool, but got <nil>")),
        ("E-37", float(5.0), "result = 1", Err("unexpected token Operator(\"=\")")),
        ("E-37", float(5.0), "result >", Err("unexpected token EOF")),
        ("E-40", float(5.0), "let x = result * 100; x > 90", Ok(true)),
        ("E-42", Value::Nil, "default(result, 0) < 0.05 && (result ?? 0) < 0.05", Ok(true)),
        ("E-43", Value::Nil, "isNil(result) || result > 1", Err("mismatched types")),
        ("E-44", Value::Nil, "isNil(result) || asFloat(result) > 1", Ok(true)),
        ("E-45", Value::Nil, "result == nil && result != 0", Ok(true)),
        ("E-47", Value::Nil, "result?.foo == nil", Err("type nil has no field foo")),
        ("E-49", json(json!({"a": null, "b": 1})), "default(result.a, 0) == 0", Ok(false)),
        ("E-50", json(json!({"a": null})), "!isNil(result.a) && result.a == nil", Ok(true)),
        ("E-51", json(json!({"ok": true})), "result.missing", Err("expected bool, but got <nil>")),
        ("E-52", json(json!({"ok": true})), "result.missing > 1", Err("<nil> > int")),
        (
            "E-54",
            json(json!({"ok": true})),
            "result.missing.deep == nil",
            Err("cannot fetch deep from <nil>"),
        ),
        ("E-55", json(json!({"ok": true})), "!result.missing", Err("interface {} is nil, not bool")),
        ("E-58", json(json!({"ok": "yes"})), "result.ok && true", Err("expected bool, but got string")),
        ("E-59", json(json!({"a": "5"})), "result.a > 1", Err("string > int")),
        ("E-60", json(json!({"average.duration": 1.5})), "result['average.duration'] < 2", Ok(true)),
        ("E-61", json(json!({"a": 1})), "all(result, # > 0)", Err("builtin all takes only array")),
        ("E-62", json(json!({"a": [1, 2]})), "result.a.b == 2", Err("int(string)")),
        (
            "E-64",
            json(json!("5.5")),
            "asInt(result) > 1",
            Err("strconv.ParseInt: parsing \"5.5\": invalid syntax"),
        ),
        ("E-65", json(json!("5\n")), "asFloat(trim(result)) > 1", Ok(true)),
        ("E-67", json(json!(true)), "asInt(result) == 1", Err("asInt() not supported on bool true")),
        ("E-69", json(json!("abc")), "result[0] == 'a'", Err("type string[int] is undefined")),
        (
            "E-71",
            json(json!([[1, 2], [3, 4]])),
            "all(result, {all(#, {# > 0})}) && max(flatten(result)) == 4",
            Ok(true),
        ),
        ("E-73", json(json!([{"n": "b", "v": 2}])), "find(result, .n == 'b').v == 2", Ok(true)),
        ("E-74", json(json!([1, "a"])), "max(result) == 1", Err("invalid argument for max (type string)")),
        ("E-85", float(5.0), "(nil ?? 1 + 1) == 2", Err("cannot be mixed")),
    ];
    for (row, result, condition, want) in rows {
        match (evaluate_condition(condition, &result, NOW), want) {
            (Ok(got), Ok(want)) => assert_eq!(got, want, "{row}: {condition}"),
            (Err(error), Err(want)) => {
                assert!(error.message.contains(want), "{row}: {condition}: {}", error.message);
            }
            (got, want) => panic!("{row}: {condition}: {got:?} instead of {want:?}"),
        }
    }
}

#[test]
fn query_times_are_times_a261_e83_e84() {
    let now: Timestamp = "2024-05-06T07:08:09Z".parse().unwrap();
    let time = |text: &str| evaluate_time(text, now).map(|time| time.timestamp().to_string());
    assert_eq!(time("now() - duration(\"1h\")").as_deref(), Ok("2024-05-06T06:08:09Z"));
    assert_eq!(time("date(\"2023-08-14\")").as_deref(), Ok("2023-08-14T00:00:00Z"));
    let zoned = "date(\"2023-08-14 00:00:00\", \"2006-01-02 15:04:05\", \"Europe/Zurich\")";
    assert_eq!(time(zoned).as_deref(), Ok("2023-08-13T22:00:00Z"));
    assert_eq!(time("now(timezone('Asia/Tokyo'))").as_deref(), Ok("2024-05-06T07:08:09Z"));
    for (text, want) in [
        ("", "unexpected token EOF"),
        ("timezone('Nowhere/None').String() == '' ? now() : now()", "unknown time zone Nowhere/None"),
        ("duration(\"1h\")", "expected time.Time, but got time.Duration"),
        ("now() - \"1h\"", "invalid operation: - (mismatched types time.Time and string)"),
        ("result", "unknown name result"),
    ] {
        assert_eq!(time(text).unwrap_err().message, want, "{text}");
    }
}

#[test]
fn hostile_expressions_are_stopped_a273() {
    let deep = |open: &str, close: &str| format!("{}1{}", open.repeat(5_000), close.repeat(5_000));
    for expression in [
        deep("(", ")"),
        deep("[", "]"),
        deep("-", ""),
        deep("not ", ""),
        deep("{a:", "}"),
        deep("len(", ")"),
        deep("1 + (", ")"),
        deep("true ? 1 : ", ""),
        "1 + ".repeat(5_000) + "1",
        "if true { ".repeat(3_000) + "1",
        "a?.".repeat(3_000) + "b",
        "let x = 1; ".repeat(3_000) + "true",
        "1..2000000".to_owned(),
        "all(1..900, all(1..900, all(1..900, true)))".to_owned(),
        "reduce(1..60, #acc + #acc, 'aaaaaaaaaaaaaaaaaaaa') == ''".to_owned(),
        "repeat('a', 100000000) == ''".to_owned(),
        "[1,2,3] | map(repeat('a', 999999)) | len() == 3".to_owned(),
        "1 < ".repeat(2_000) + "2",
    ] {
        let shown: String = expression.chars().take(30).collect();
        assert!(evaluate_condition(&expression, &Value::Nil, NOW).is_err(), "{shown}");
    }
    // The checker tries every overload of a builtin; nested ones must not multiply (2^60 attempts would never end).
    let sorted = format!("[3, 1, 2]{} | len() == 3", " | sort()".repeat(60));
    assert_eq!(evaluate_condition(&sorted, &Value::Nil, NOW), Ok(true));
    // What people write fits easily.
    let long = vec!["result > 0"; 100].join(" && ");
    assert_eq!(evaluate_condition(&long, &Value::Float(1.0), NOW), Ok(true));
}

proptest! {
    #[test]
    fn no_text_makes_evaluation_panic(expression in ".{0,40}") {
        fuzz_condition(&expression);
    }

    #[test]
    fn no_mixture_of_known_words_makes_evaluation_panic(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "result", "[0]", ".a", "?.b", "(", ")", "[", "]", "{", "}", "#", "#acc", "==", "<", "&&", "??", "?", ":",
                "not", "in", "matches", "'['", "'a'", "1", "-1", "1.5", "..", "**", "%", "len(", "all(", "map(", "reduce(",
                "sortBy(", "groupBy(", "max(", "date(", "duration(", "'1h'", "let x =", ";", "x", "if", "else", ",", "|",
                "nil", "true", "asInt(", "isNaN(", "split(", "take(", "get(", "[1:]", ".Year()", "b'a'", "`",
            ]),
            0..12,
        )
    ) {
        fuzz_condition(&words.join(" "));
    }
}
