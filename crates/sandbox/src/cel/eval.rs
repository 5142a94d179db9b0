//! Evaluating an expression, and counting what it costs.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::library;
use super::value::{MapKey, Val, equal};
use super::{Expr, Macro, Node};

/// Why an expression has no value, in the API server's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// For instance `no such key: x`.
    Error(String),
    /// It cost more than one evaluation may.
    TooCostly,
}

impl Failure {
    pub fn no_overload() -> Self {
        Self::Error("no such overload".into())
    }

    pub fn no_such_key(key: &str) -> Self {
        Self::Error(format!("no such key: {key}"))
    }
}

/// Counts what an evaluation costs, and ends it at a limit.
#[derive(Debug)]
pub(super) struct Meter {
    spent: u64,
    limit: u64,
}

impl Meter {
    pub fn new(limit: u64) -> Self {
        Self { spent: 0, limit }
    }

    pub fn spent(&self) -> u64 {
        self.spent
    }

    fn spend(&mut self, cost: u64) -> Result<(), Failure> {
        self.spent = self.spent.saturating_add(cost);
        if self.spent > self.limit { Err(Failure::TooCostly) } else { Ok(()) }
    }
}

pub(super) type Outcome = Result<Val, Failure>;
type Names = Vec<(String, Val)>;

pub(super) fn evaluate(node: &Node, names: &mut Names, meter: &mut Meter) -> Outcome {
    match &node.expr {
        Expr::Literal(value) => Ok(value.clone()),
        Expr::Ident(name) => {
            meter.spend(1)?;
            if let Some((_, value)) = names.iter().rev().find(|(one, _)| one == name) {
                return Ok(value.clone());
            }
            library::type_named(name)
                .map(Val::Type)
                .ok_or_else(|| Failure::Error(format!("no such attribute(s): {name}")))
        }
        Expr::List(items) => {
            meter.spend(10)?;
            let items = items.iter().map(|item| evaluate(item, names, meter));
            Ok(Val::list(items.collect::<Result<_, _>>()?))
        }
        Expr::Map(entries) => {
            meter.spend(30)?;
            let mut map = BTreeMap::new();
            for (key, value) in entries {
                let key = evaluate(key, names, meter)?.key().ok_or_else(Failure::no_overload)?;
                map.insert(key, evaluate(value, names, meter)?);
            }
            Ok(Val::Map(Arc::new(map)))
        }
        Expr::Select(of, field) => {
            let of = evaluate(of, names, meter)?;
            meter.spend(1)?;
            select(&of, field)
        }
        Expr::Has(of, field) => has(&evaluate(of, names, meter)?, field),
        Expr::MaybeSelect(of, field) => {
            let of = evaluate(of, names, meter)?;
            meter.spend(1)?;
            maybe(&of, &MapKey::Text(field.clone()))
        }
        Expr::Call { name, target, args } => call(name, target.as_deref(), args, names, meter),
        Expr::Over { kind, range, variable, parts } => {
            let range = evaluate(range, names, meter)?;
            over(*kind, &range, variable, parts, names, meter)
        }
    }
}

fn select(of: &Val, field: &str) -> Outcome {
    match of {
        Val::Map(map) => {
            map.get(&MapKey::Text(field.to_owned())).cloned().ok_or_else(|| Failure::no_such_key(field))
        }
        Val::Optional(inner) => match inner {
            Some(inner) => maybe(inner, &MapKey::Text(field.to_owned())),
            None => Ok(Val::Optional(None)),
        },
        _ => Err(Failure::no_overload()),
    }
}

fn has(of: &Val, field: &str) -> Outcome {
    match of {
        Val::Map(map) => Ok(Val::Bool(
            map.get(&MapKey::Text(field.to_owned())).is_some_and(|value| !matches!(value, Val::Null)),
        )),
        Val::Optional(Some(inner)) => has(inner, field),
        Val::Optional(None) => Ok(Val::Bool(false)),
        _ => Err(Failure::no_overload()),
    }
}

/// A member that may be missing.
fn maybe(of: &Val, key: &MapKey) -> Outcome {
    match of {
        Val::Map(map) => Ok(Val::Optional(map.get(key).cloned().map(Arc::new))),
        Val::Optional(Some(inner)) => maybe(inner, key),
        Val::Optional(None) => Ok(Val::Optional(None)),
        _ => Err(Failure::no_overload()),
    }
}

fn truth(value: &Val) -> Result<bool, Failure> {
    match value {
        Val::Bool(flag) => Ok(*flag),
        _ => Err(Failure::no_overload()),
    }
}

fn call(name: &str, target: Option<&Node>, args: &[Node], names: &mut Names, meter: &mut Meter) -> Outcome {
    match (name, args) {
        ("_&&_", [left, right]) => return logic(true, left, right, names, meter),
        ("_||_", [left, right]) => return logic(false, left, right, names, meter),
        ("_?_:_", [condition, yes, no]) => {
            let chosen = if truth(&evaluate(condition, names, meter)?)? { yes } else { no };
            return evaluate(chosen, names, meter);
        }
        _ => {}
    }
    if let Some(Node { expr: Expr::Ident(space), .. }) = target
        && !names.iter().any(|(one, _)| one == space)
    {
        return call(&format!("{space}.{name}"), None, args, names, meter);
    }
    let mut values = Vec::with_capacity(args.len() + 1);
    if let Some(target) = target {
        values.push(evaluate(target, names, meter)?);
    }
    for arg in args {
        values.push(evaluate(arg, names, meter)?);
    }
    // What is too large to look at is not looked at.
    meter.spend(cost(name, &values))?;
    let value = apply(name, &values)?;
    if name == "join" {
        meter.spend(tenths(2 * value.size()))?;
    }
    Ok(value)
}

fn tenths(length: u64) -> u64 {
    length.div_ceil(10)
}

/// What a call costs, by its arguments.
fn cost(name: &str, values: &[Val]) -> u64 {
    let size = |index: usize| values.get(index).map_or(0, Val::size);
    let text = |index: usize| matches!(values.get(index), Some(Val::Text(_) | Val::Bytes(_)));
    match name {
        "startsWith" | "endsWith" => tenths(size(0)),
        "@in" if matches!(values.get(1), Some(Val::List(_))) => size(1),
        "_==_" | "_!=_" => match &values[0] {
            Val::Quantity(_) | Val::Ip(_) | Val::Cidr(..) | Val::Url(_) => 1,
            _ => tenths(size(0).min(size(1))),
        },
        "_<_" | "_<=_" | "_>_" | "_>=_" if text(0) => tenths(size(0).min(size(1))),
        "_+_" if text(0) => tenths(size(0) + size(1)),
        "matches" | "find" | "findAll" => tenths(1 + size(0)) * size(1).div_ceil(4),
        "contains" => tenths(size(0)) * tenths(size(1)),
        "replace" | "split" | "ip.isCanonical" => tenths(2 * size(0)),
        "url" | "lowerAscii" | "upperAscii" | "substring" | "trim" | "format" | "quantity" | "isQuantity"
        | "cidr" | "isIP" | "isCIDR" | "strings.quote" => tenths(size(0)),
        "ip" | "string" | "bytes" if text(0) => tenths(size(0)),
        "isSorted" | "sum" | "min" | "max" | "indexOf" | "lastIndexOf" => match &values[0] {
            Val::List(list) => list
                .items
                .iter()
                .map(|item| if matches!(item, Val::Text(_)) { item.size() / 10 } else { 1 })
                .sum(),
            other => other.size() / 10,
        },
        "validate" => tenths(1 + size(1)) * super::formats::pattern_size(&values[0]).div_ceil(4),
        "containsIP" => 4,
        "containsCIDR" => 7,
        // Counted once the result is known.
        "join" => 0,
        _ => 1,
    }
}

fn apply(name: &str, values: &[Val]) -> Outcome {
    match (name, values) {
        ("_==_", [a, b]) => Ok(Val::Bool(equal(a, b))),
        ("_!=_", [a, b]) => Ok(Val::Bool(!equal(a, b))),
        ("!_", [value]) => Ok(Val::Bool(!truth(value)?)),
        ("@in", [value, Val::List(list)]) => Ok(Val::Bool(list.items.iter().any(|item| equal(item, value)))),
        ("@in", [value, Val::Map(map)]) => {
            Ok(Val::Bool(value.key().is_some_and(|key| map.contains_key(&key))))
        }
        ("_[_]", [of, index]) => index_of(of, index),
        ("_[?_]", [of, index]) => match of {
            Val::Map(_) | Val::Optional(_) => {
                index.key().map_or_else(|| Err(Failure::no_overload()), |key| maybe(of, &key))
            }
            _ => Ok(Val::Optional(index_of(of, index).ok().map(Arc::new))),
        },
        ("dyn", [value]) => Ok(value.clone()),
        ("type", [value]) => Ok(Val::Type(value.type_name())),
        _ => library::apply(name, values),
    }
}

fn index_of(of: &Val, index: &Val) -> Outcome {
    match of {
        Val::List(list) => {
            let at = match index.key() {
                Some(MapKey::Int(at)) => usize::try_from(at).ok(),
                _ => return Err(Failure::no_overload()),
            };
            let found = at.and_then(|at| list.items.get(at));
            found.cloned().ok_or_else(|| Failure::Error(format!("index out of bounds: {index}")))
        }
        Val::Map(map) => {
            let key = index.key().ok_or_else(Failure::no_overload)?;
            map.get(&key).cloned().ok_or_else(|| Failure::no_such_key(&index.to_string()))
        }
        _ => Err(Failure::no_overload()),
    }
}

/// One side may decide alone, whatever is wrong with the other.
fn logic(and: bool, left: &Node, right: &Node, names: &mut Names, meter: &mut Meter) -> Outcome {
    let decides = |outcome: &Outcome| matches!(outcome, Ok(Val::Bool(flag)) if *flag != and);
    let left = evaluate(left, names, meter);
    if decides(&left) || matches!(left, Err(Failure::TooCostly)) {
        return left;
    }
    let right = evaluate(right, names, meter);
    if decides(&right) || matches!(right, Err(Failure::TooCostly)) {
        return right;
    }
    truth(&left?)?;
    Ok(Val::Bool(truth(&right?)?))
}

/// Evaluates `parts` for every item of a list, or every key of a map.
fn over(
    kind: Macro,
    range: &Val,
    variable: &str,
    parts: &[Node],
    names: &mut Names,
    meter: &mut Meter,
) -> Outcome {
    let items: Vec<Val> = match range {
        Val::List(list) => list.items.clone(),
        Val::Map(map) => map.keys().map(MapKey::value).collect(),
        _ => return Err(Failure::no_overload()),
    };
    let (mut kept, mut count, mut undecided) = (Vec::new(), 0_u64, None);
    let is_list = matches!(kind, Macro::Filter | Macro::Map);
    meter.spend(if is_list { 11 } else { u64::from(kind == Macro::ExistsOne) + 1 })?;
    for item in items {
        meter.spend(match kind {
            Macro::All => 3,
            Macro::Exists => 4,
            _ => 1,
        })?;
        names.push((variable.to_owned(), item.clone()));
        let mut outcomes = parts.iter().map(|part| evaluate(part, names, meter));
        let first = outcomes.next().unwrap_or_else(|| Err(Failure::no_overload()));
        let asked = match (kind, parts.len()) {
            (Macro::Map, 1) => Ok(true),
            _ => first.clone().and_then(|value| truth(&value)),
        };
        let mapped = match (kind, parts.len(), &asked) {
            (Macro::Map, 1, _) => Some(first),
            (Macro::Map, _, Ok(true)) => outcomes.next(),
            _ => None,
        };
        drop(outcomes);
        names.pop();
        match (kind, asked) {
            (_, Err(Failure::TooCostly)) => return Err(Failure::TooCostly),
            (Macro::All, Ok(false)) => return Ok(Val::Bool(false)),
            (Macro::Exists, Ok(true)) => return Ok(Val::Bool(true)),
            (Macro::All | Macro::Exists, Ok(_)) => {}
            // Another item may still decide.
            (Macro::All | Macro::Exists, Err(failure)) => undecided = Some(failure),
            (_, Err(failure)) => return Err(failure),
            (Macro::ExistsOne, Ok(yes)) => {
                meter.spend(u64::from(yes))?;
                count += u64::from(yes);
            }
            (Macro::Filter, Ok(true)) => {
                meter.spend(12)?;
                kept.push(item);
            }
            (Macro::Map, Ok(true)) => {
                meter.spend(11)?;
                kept.push(mapped.unwrap_or_else(|| Err(Failure::no_overload()))?);
            }
            (Macro::Filter | Macro::Map, Ok(false)) => {}
        }
    }
    match (kind, undecided) {
        (_, Some(failure)) => Err(failure),
        (Macro::All, None) => Ok(Val::Bool(true)),
        (Macro::Exists, None) => Ok(Val::Bool(false)),
        (Macro::ExistsOne, None) => Ok(Val::Bool(count == 1)),
        (Macro::Filter | Macro::Map, None) => Ok(Val::list(kept)),
    }
}
