//! Expressions with the answers Go gave: every recorded row must agree.

#![expect(clippy::unwrap_used, reason = "a corpus row that is not what it says fails the test")]

use std::collections::BTreeMap;
use std::sync::Arc;

use glidepath_corpora::rows;
use glidepath_lang::expr::{
    ErrorKind, EvalError, GoType, Struct, StructType, Value, evaluate_condition, evaluate_time,
    evaluate_trigger,
};
use jiff::Timestamp;
use serde_json::Value as Json;

fn float(json: &Json) -> f64 {
    match json {
        Json::String(text) => glidepath_gocompat::float::parse(text).unwrap(),
        other => other.as_f64().unwrap(),
    }
}

/// The result a row hands in, with the Go type its `kind` stands for.
fn result(row: &Json) -> Value {
    let json = &row["val"];
    let floats = || json.as_array().unwrap().iter().map(float).collect::<Vec<_>>();
    match row["kind"].as_str().unwrap() {
        "f64" => Value::Float(float(json)),
        "f64s" => Value::floats(floats()),
        "nilf64" => Value::Nil,
        "int" => Value::Int(json.as_i64().unwrap()),
        "cw" => {
            let list = |element: GoType| GoType::List(Box::new(element));
            let fields = [
                ("Id", GoType::Text),
                ("Label", GoType::Text),
                ("StatusCode", GoType::Text),
                ("Timestamps", list(GoType::Time)),
                ("Values", list(GoType::Float)),
            ];
            let ty = Arc::new(StructType {
                name: "types.MetricDataResult".to_owned(),
                fields: fields.into_iter().map(|(name, ty)| (name.to_owned(), ty)).collect(),
            });
            let values = vec![
                Value::text("rate"),
                Value::text("rate"),
                Value::text("Complete"),
                Value::typed_list(GoType::Time, Vec::new()),
                Value::floats(floats()),
            ];
            let item = Value::Struct(Arc::new(Struct { ty: ty.clone(), fields: values }));
            Value::typed_list(GoType::Struct(ty), vec![item])
        }
        _ => Value::from_json(json),
    }
}

/// An answer in the corpus's form, its message left out: only the class is compared.
fn class(error: &EvalError) -> &'static str {
    match error.kind {
        ErrorKind::Compile => "CERR",
        ErrorKind::Runtime => "RERR",
        ErrorKind::Type => "TERR",
    }
}

fn answer(row: &Json) -> Result<String, EvalError> {
    let (expression, now) = (row["expr"].as_str().unwrap(), Timestamp::from_second(1_750_000_000).unwrap());
    match row["mode"].as_str().unwrap() {
        "cond" => evaluate_condition(expression, &result(row), now).map(|answer| answer.to_string()),
        "trig" => {
            let environment: BTreeMap<String, Value> = row["val"]
                .as_object()
                .unwrap()
                .iter()
                .map(|(name, value)| (name.clone(), Value::from_json(value)))
                .collect();
            evaluate_trigger(expression, &environment, now).map(|answer| answer.to_string())
        }
        _ => evaluate_time(expression, now).map(|time| {
            glidepath_gocompat::time_layout::format(&time, glidepath_gocompat::time_layout::RFC3339)
        }),
    }
}

#[test]
fn corpus_expr_rows_all_agree() {
    let Some(rows) = rows("expr.jsonl") else { return };
    assert!(!rows.is_empty(), "no row could be read");
    let (mut wrong, mut same_text) = (Vec::new(), 0);
    for row in &rows {
        let want = row["want"].as_str().unwrap();
        let (agrees, got) = match answer(row) {
            Ok(value) => (value == want, value),
            Err(error) => {
                let got = format!("{} {}", class(&error), error.message);
                same_text += usize::from(got == want);
                (want.split(' ').next() == Some(class(&error)), got)
            }
        };
        if !agrees {
            wrong.push(format!("{}\n  got  {got}\n  want {want}\n  on   {}", row["expr"], row["val"]));
        } else if std::env::var_os("GLIDEPATH_CORPORA_TEXTS").is_some() && got != want {
            eprintln!("{}\n  got  {got}\n  want {want}", row["expr"]);
        }
    }
    eprintln!(
        "expr.jsonl: {} of {} agree; {same_text} error texts are the same",
        rows.len() - wrong.len(),
        rows.len()
    );
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}
