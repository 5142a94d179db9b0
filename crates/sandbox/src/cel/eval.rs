//! Evaluating an expression over JSON.

use serde_json::{Value, json};

use super::{Expr, Operator};

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// A member that is not there and was not asked about with `has`.
    NoSuchKey(String),
    /// A function, a type or a combination that is not known here.
    Unsupported,
}

type Outcome = Result<Value, Failure>;
type Names = Vec<(String, Value)>;

pub(super) fn evaluate(expr: &Expr, names: &mut Names) -> Outcome {
    match expr {
        Expr::Literal(value) => Ok(value.clone()),
        Expr::Ident(name) => {
            let found = names.iter().rev().find(|(one, _)| one == name);
            found.map(|(_, value)| value.clone()).ok_or(Failure::Unsupported)
        }
        Expr::List(items) => items.iter().map(|item| evaluate(item, names)).collect(),
        Expr::Member(of, name) => member(&evaluate(of, names)?, name),
        Expr::Index(of, index) => match (evaluate(of, names)?, evaluate(index, names)?) {
            (Value::Array(list), index) => {
                let at = index.as_u64().and_then(|at| usize::try_from(at).ok());
                at.and_then(|at| list.get(at).cloned()).ok_or_else(|| Failure::NoSuchKey(index.to_string()))
            }
            (map, Value::String(key)) => member(&map, &key),
            _ => Err(Failure::Unsupported),
        },
        Expr::Call(name, args) => call(name, args, names),
        Expr::Method(of, name, args) => method(of, name, args, names),
        Expr::Not(inner) => Ok(json!(!truth(&evaluate(inner, names)?)?)),
        Expr::Negative(inner) => match evaluate(inner, names)? {
            Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(whole), _) => whole.checked_neg().map(|whole| json!(whole)).ok_or(Failure::Unsupported),
                (None, Some(float)) => Ok(json!(-float)),
                _ => Err(Failure::Unsupported),
            },
            _ => Err(Failure::Unsupported),
        },
        Expr::Binary(operator @ (Operator::And | Operator::Or), left, right) => {
            logic(*operator == Operator::And, left, right, names)
        }
        Expr::Binary(operator, left, right) => {
            binary(*operator, &evaluate(left, names)?, &evaluate(right, names)?)
        }
        Expr::Conditional(condition, yes, no) => {
            let chosen = if truth(&evaluate(condition, names)?)? { yes } else { no };
            evaluate(chosen, names)
        }
    }
}

fn truth(value: &Value) -> Result<bool, Failure> {
    value.as_bool().ok_or(Failure::Unsupported)
}

fn member(of: &Value, name: &str) -> Outcome {
    match of {
        Value::Object(map) => map.get(name).cloned().ok_or_else(|| Failure::NoSuchKey(name.to_owned())),
        _ => Err(Failure::Unsupported),
    }
}

/// One side may decide alone, whatever is wrong with the other.
fn logic(and: bool, left: &Expr, right: &Expr, names: &mut Names) -> Outcome {
    let decides = |outcome: &Outcome| outcome.as_ref().ok().and_then(Value::as_bool) == Some(!and);
    let left = evaluate(left, names);
    if decides(&left) {
        return left;
    }
    let right = evaluate(right, names);
    if decides(&right) {
        return right;
    }
    truth(&left?)?;
    let right = right?;
    truth(&right)?;
    Ok(right)
}

fn binary(operator: Operator, left: &Value, right: &Value) -> Outcome {
    match operator {
        Operator::Equal => return Ok(json!(equal(left, right))),
        Operator::NotEqual => return Ok(json!(!equal(left, right))),
        Operator::In => {
            return match right {
                Value::Array(list) => Ok(json!(list.iter().any(|item| equal(item, left)))),
                Value::Object(map) => Ok(json!(left.as_str().is_some_and(|key| map.contains_key(key)))),
                _ => Err(Failure::Unsupported),
            };
        }
        _ => {}
    }
    match (left, right) {
        (Value::String(left), Value::String(right)) => match operator {
            Operator::Add => Ok(json!(format!("{left}{right}"))),
            operator => compare(operator, left.cmp(right)),
        },
        (Value::Array(left), Value::Array(right)) if operator == Operator::Add => {
            Ok(Value::Array(left.iter().chain(right).cloned().collect()))
        }
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => whole(operator, a, b),
            _ => float(operator, a.as_f64().unwrap_or_default(), b.as_f64().unwrap_or_default()),
        },
        _ => Err(Failure::Unsupported),
    }
}

fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        _ => left == right,
    }
}

fn compare(operator: Operator, order: std::cmp::Ordering) -> Outcome {
    Ok(json!(match operator {
        Operator::Less => order.is_lt(),
        Operator::LessOrEqual => order.is_le(),
        Operator::Greater => order.is_gt(),
        Operator::GreaterOrEqual => order.is_ge(),
        _ => return Err(Failure::Unsupported),
    }))
}

fn whole(operator: Operator, a: i64, b: i64) -> Outcome {
    let number = match operator {
        Operator::Add => a.checked_add(b),
        Operator::Subtract => a.checked_sub(b),
        Operator::Multiply => a.checked_mul(b),
        Operator::Divide => a.checked_div(b),
        Operator::Remainder => a.checked_rem(b),
        operator => return compare(operator, a.cmp(&b)),
    };
    number.map(|number| json!(number)).ok_or(Failure::Unsupported)
}

fn float(operator: Operator, a: f64, b: f64) -> Outcome {
    Ok(match operator {
        Operator::Add => json!(a + b),
        Operator::Subtract => json!(a - b),
        Operator::Multiply => json!(a * b),
        Operator::Divide => json!(a / b),
        operator => return compare(operator, a.partial_cmp(&b).ok_or(Failure::Unsupported)?),
    })
}

fn call(name: &str, args: &[Expr], names: &mut Names) -> Outcome {
    match (name, args) {
        ("has", [Expr::Member(of, field)]) => match evaluate(of, names)? {
            Value::Object(map) => Ok(json!(map.get(field).is_some_and(|value| !value.is_null()))),
            _ => Err(Failure::Unsupported),
        },
        ("size", [of]) => size(&evaluate(of, names)?),
        ("dyn", [of]) => evaluate(of, names),
        // Durations are only ever compared, so their nanoseconds will do.
        ("duration", [of]) => match evaluate(of, names)? {
            Value::String(text) => glidepath_gocompat::duration::parse(&text)
                .map(|nanoseconds| json!(nanoseconds))
                .map_err(|_| Failure::Unsupported),
            _ => Err(Failure::Unsupported),
        },
        ("isIP", [of]) => match evaluate(of, names)? {
            Value::String(text) => Ok(json!(text.parse::<std::net::IpAddr>().is_ok())),
            _ => Err(Failure::Unsupported),
        },
        ("int", [of]) => match evaluate(of, names)? {
            Value::String(text) => {
                text.parse::<i64>().map(|number| json!(number)).map_err(|_| Failure::Unsupported)
            }
            Value::Number(number) => number.as_i64().map(|number| json!(number)).ok_or(Failure::Unsupported),
            _ => Err(Failure::Unsupported),
        },
        ("double", [of]) => {
            evaluate(of, names)?.as_f64().map(|number| json!(number)).ok_or(Failure::Unsupported)
        }
        ("string", [of]) => match evaluate(of, names)? {
            Value::String(text) => Ok(json!(text)),
            value @ (Value::Number(_) | Value::Bool(_)) => Ok(json!(value.to_string())),
            _ => Err(Failure::Unsupported),
        },
        _ => Err(Failure::Unsupported),
    }
}

fn size(value: &Value) -> Outcome {
    match value {
        Value::String(text) => Ok(json!(text.chars().count())),
        Value::Array(list) => Ok(json!(list.len())),
        Value::Object(map) => Ok(json!(map.len())),
        _ => Err(Failure::Unsupported),
    }
}

fn method(of: &Expr, name: &str, args: &[Expr], names: &mut Names) -> Outcome {
    let value = evaluate(of, names)?;
    if let ("all" | "exists" | "exists_one" | "filter" | "map", [Expr::Ident(variable), body]) = (name, args)
    {
        return macro_over(&value, name, variable, body, names);
    }
    if let ("size", []) = (name, args) {
        return size(&value);
    }
    let args: Vec<Value> = args.iter().map(|arg| evaluate(arg, names)).collect::<Result<_, _>>()?;
    let texts: Vec<&str> = args.iter().filter_map(Value::as_str).collect();
    if let (Value::Array(list), "join", [by]) = (&value, name, texts.as_slice()) {
        let items: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
        return Ok(json!(items.join(by)));
    }
    let Value::String(text) = &value else { return Err(Failure::Unsupported) };
    if name == "substring" {
        return substring(text, &args);
    }
    match (name, texts.as_slice()) {
        ("startsWith", [other]) => Ok(json!(text.starts_with(other))),
        ("endsWith", [other]) => Ok(json!(text.ends_with(other))),
        ("contains", [other]) => Ok(json!(text.contains(other))),
        ("matches", [pattern]) => {
            let pattern = regex::Regex::new(pattern).map_err(|_| Failure::Unsupported)?;
            Ok(json!(pattern.is_match(text)))
        }
        ("lowerAscii", []) => Ok(json!(text.to_ascii_lowercase())),
        ("upperAscii", []) => Ok(json!(text.to_ascii_uppercase())),
        ("trim", []) => Ok(json!(text.trim())),
        ("split", [by]) => Ok(json!(text.split(by).collect::<Vec<_>>())),
        ("replace", [from, to]) => Ok(json!(text.replace(from, to))),
        _ => Err(Failure::Unsupported),
    }
}

/// The characters from one index up to another, or to the end.
fn substring(text: &str, args: &[Value]) -> Outcome {
    let index = |value: &Value| value.as_u64().and_then(|index| usize::try_from(index).ok());
    let count = text.chars().count();
    let (from, to) = match args {
        [from] => (index(from), Some(count)),
        [from, to] => (index(from), index(to)),
        _ => return Err(Failure::Unsupported),
    };
    match (from, to) {
        (Some(from), Some(to)) if from <= to && to <= count => {
            Ok(json!(text.chars().skip(from).take(to - from).collect::<String>()))
        }
        _ => Err(Failure::Unsupported),
    }
}

/// Evaluates `body` for every item of a list, or every key of a map.
fn macro_over(value: &Value, name: &str, variable: &str, body: &Expr, names: &mut Names) -> Outcome {
    let items: Vec<Value> = match value {
        Value::Array(list) => list.clone(),
        Value::Object(map) => map.keys().map(|key| json!(key)).collect(),
        _ => return Err(Failure::Unsupported),
    };
    let mut outcomes = Vec::with_capacity(items.len());
    for item in &items {
        names.push((variable.to_owned(), item.clone()));
        outcomes.push(evaluate(body, names));
        names.pop();
    }
    let is = |outcome: &Outcome, wanted: bool| outcome.as_ref().ok().and_then(Value::as_bool) == Some(wanted);
    match name {
        "all" | "exists" => {
            let decides = name == "exists";
            if outcomes.iter().any(|outcome| is(outcome, decides)) {
                return Ok(json!(decides));
            }
            for outcome in outcomes {
                truth(&outcome?)?;
            }
            Ok(json!(!decides))
        }
        "exists_one" => {
            let count = outcomes.iter().filter(|outcome| is(outcome, true)).count();
            for outcome in outcomes {
                truth(&outcome?)?;
            }
            Ok(json!(count == 1))
        }
        "filter" => {
            let mut kept = Vec::new();
            for (item, outcome) in items.into_iter().zip(outcomes) {
                if truth(&outcome?)? {
                    kept.push(item);
                }
            }
            Ok(Value::Array(kept))
        }
        _ => outcomes.into_iter().collect(),
    }
}
