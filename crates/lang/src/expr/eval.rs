//! Running the tree.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use regex::Regex;

use super::ast::{BinaryOperator as Op, Member, Node, NodeKind, UnaryOperator};
use super::error::EvalError;
use super::functions;
use super::operators::{self, budget_exceeded, to_integer};
use super::times;
use super::types::GoType;
use super::value::{Map, Value};
use crate::re2;

/// Elements a run may make before it is stopped.
const MEMORY_BUDGET: u64 = 1_000_000;
/// Nodes a run may visit. Go has no such bound; nested predicates could otherwise run for hours.
const MAX_STEPS: u64 = 20_000_000;

/// Why evaluation stopped.
pub(crate) enum Stop {
    Failed(EvalError),
    /// An optional member met nil: the chain around it is nil.
    Skipped,
}

pub(crate) type Evaluated = Result<Value, Stop>;

/// An open predicate.
struct Scope {
    item: Value,
    index: usize,
    accumulator: Value,
}

/// One run over a tree.
pub(crate) struct Evaluator<'a> {
    /// The environment: what a name stands for, nil for unknown ones.
    lookup: &'a dyn Fn(&str) -> Value,
    /// The whole result, which `isNil` and `default` look at whatever they are given.
    result: &'a Value,
    pub(crate) now: Timestamp,
    variables: Vec<(&'a str, Value)>,
    scopes: Vec<Scope>,
    patterns: HashMap<String, Arc<Regex>>,
    memory: u64,
    steps: u64,
}

/// What a value is called in Go's type assertion errors.
pub(crate) fn conversion_error(value: &Value, wanted: &str) -> String {
    let got = match value {
        Value::Nil => "nil".to_owned(),
        other => other.type_name(),
    };
    format!("interface conversion: interface {{}} is {got}, not {wanted}")
}

fn as_bool(value: &Value, at: usize) -> Result<bool, Stop> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        other => Err(failed(at, conversion_error(other, "bool"))),
    }
}

fn failed(at: usize, message: impl Into<String>) -> Stop {
    Stop::Failed(EvalError::runtime_at(at, message))
}

impl<'a> Evaluator<'a> {
    pub(crate) fn new(lookup: &'a dyn Fn(&str) -> Value, result: &'a Value, now: Timestamp) -> Self {
        Self {
            lookup,
            result,
            now,
            variables: Vec::new(),
            scopes: Vec::new(),
            patterns: HashMap::new(),
            memory: 0,
            steps: 0,
        }
    }

    /// Runs the whole tree.
    pub(crate) fn run(&mut self, node: &'a Node) -> Result<Value, EvalError> {
        match self.eval(node) {
            Ok(value) => Ok(value),
            Err(Stop::Failed(error)) => Err(error),
            // Every optional member lies inside a chain; without one it would be a plain member.
            Err(Stop::Skipped) => Ok(Value::Nil),
        }
    }

    pub(crate) fn grow(&mut self, elements: usize) -> Result<(), String> {
        self.memory = self.memory.saturating_add(elements as u64);
        if self.memory >= MEMORY_BUDGET { Err(budget_exceeded()) } else { Ok(()) }
    }

    fn eval(&mut self, node: &'a Node) -> Evaluated {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return Err(failed(node.at, "evaluation takes too many steps"));
        }
        match &node.kind {
            NodeKind::Nil => Ok(Value::Nil),
            NodeKind::Bool(flag) => Ok(Value::Bool(*flag)),
            NodeKind::Int(number) => Ok(Value::Int(*number)),
            NodeKind::Float(number) => Ok(Value::Float(*number)),
            NodeKind::Text(text) => Ok(Value::Text(text.clone())),
            NodeKind::Bytes(bytes) => Ok(Value::Bytes(bytes.clone())),
            // Only ever the right side of `in`, which does not come here.
            NodeKind::TextSet(_) => Ok(Value::Nil),
            NodeKind::Identifier(name) => Ok(self.identifier(name)),
            NodeKind::Pointer(name) => Ok(self.pointer(name)),
            NodeKind::Unary(operator, operand) => self.unary(*operator, operand, node.at),
            NodeKind::Binary(operator, left, right) => self.binary(*operator, left, right, node.at),
            NodeKind::Chain(inner) => match self.eval(inner) {
                Err(Stop::Skipped) => Ok(Value::Nil),
                other => other,
            },
            NodeKind::Predicate(inner) => self.eval(inner),
            NodeKind::Member(member) => self.member(member, node.at),
            NodeKind::Slice { base, from, to } => self.slice(base, from.as_deref(), to.as_deref(), node.at),
            NodeKind::Call { callee, arguments } => self.call(callee, arguments, node.at),
            NodeKind::Builtin { name, arguments } => self.builtin(name, arguments, node.at),
            NodeKind::Let { name, value, body } => {
                let value = self.eval(value)?;
                self.variables.push((name, value));
                let result = self.eval(body);
                self.variables.pop();
                result
            }
            NodeKind::Sequence(nodes) => {
                let mut last = Value::Nil;
                for node in nodes {
                    last = self.eval(node)?;
                }
                Ok(last)
            }
            NodeKind::Conditional { condition, then, otherwise } => {
                let chosen = self.eval(condition)?;
                self.eval(if as_bool(&chosen, condition.at)? { then } else { otherwise })
            }
            NodeKind::List(nodes) => self.list(nodes, node.at),
            NodeKind::Map(pairs) => self.map(pairs, node.at),
        }
    }

    fn identifier(&self, name: &str) -> Value {
        match self.variables.iter().rev().find(|(known, _)| *known == name) {
            Some((_, value)) => value.clone(),
            None => (self.lookup)(name),
        }
    }

    fn pointer(&self, name: &str) -> Value {
        let Some(scope) = self.scopes.last() else {
            return Value::Nil;
        };
        match name {
            "index" => Value::Int(scope.index as i64),
            "acc" => scope.accumulator.clone(),
            _ => scope.item.clone(),
        }
    }

    fn unary(&mut self, operator: UnaryOperator, operand: &'a Node, at: usize) -> Evaluated {
        let value = self.eval(operand)?;
        match operator {
            UnaryOperator::Not => Ok(Value::Bool(!as_bool(&value, at)?)),
            UnaryOperator::Plus => Ok(value),
            UnaryOperator::Minus => match value {
                Value::Int(number) => Ok(Value::Int(number.wrapping_neg())),
                Value::Int64(number) => Ok(Value::Int64(number.wrapping_neg())),
                Value::Uint64(number) => Ok(Value::Uint64(number.wrapping_neg())),
                Value::Float(number) => Ok(Value::Float(-number)),
                other => Err(failed(at, format!("invalid operation: - {}", other.type_name()))),
            },
        }
    }

    fn binary(&mut self, operator: Op, left: &'a Node, right: &'a Node, at: usize) -> Evaluated {
        let a = self.eval(left)?;
        match operator {
            Op::Or | Op::And => {
                // The right side is handed on as it is; whether it is a bool shows later.
                let decided = as_bool(&a, at)? == (operator == Op::Or);
                return if decided { Ok(a) } else { self.eval(right) };
            }
            Op::Coalesce => return if matches!(a, Value::Nil) { self.eval(right) } else { Ok(a) },
            Op::In => {
                if let NodeKind::TextSet(set) = &right.kind {
                    let found = operators::in_text_set(&a, set);
                    return found.map(Value::Bool).map_err(|problem| failed(at, problem));
                }
            }
            _ => {}
        }
        let b = self.eval(right)?;
        self.apply(operator, &a, &b).map_err(|problem| failed(at, problem))
    }

    fn apply(&mut self, operator: Op, a: &Value, b: &Value) -> Result<Value, String> {
        match operator {
            Op::StrictEqual => strictly_equal(a, b).map(Value::Bool),
            Op::StrictNotEqual => strictly_equal(a, b).map(|equal| Value::Bool(!equal)),
            Op::Equal => Ok(Value::Bool(operators::equal(a, b))),
            Op::NotEqual => Ok(Value::Bool(!operators::equal(a, b))),
            Op::In => operators::contains(a, b).map(Value::Bool),
            Op::Less | Op::Greater | Op::LessOrEqual | Op::GreaterOrEqual => {
                operators::compare(operator, a, b).map(Value::Bool)
            }
            Op::Matches | Op::Contains | Op::StartsWith | Op::EndsWith => self.text_test(operator, a, b),
            Op::Range => self.range(a, b),
            _ => operators::arithmetic(operator, a, b),
        }
    }

    fn text_test(&mut self, operator: Op, a: &Value, b: &Value) -> Result<Value, String> {
        // Nil on either side decides before the other side's type is looked at.
        if matches!(a, Value::Nil) || matches!(b, Value::Nil) {
            return Ok(Value::Bool(false));
        }
        let lossy;
        let text = match a {
            Value::Text(text) => &**text,
            Value::Bytes(bytes) if operator == Op::Matches => {
                lossy = String::from_utf8_lossy(bytes).into_owned();
                &lossy
            }
            other if operator == Op::Matches && matches!(b, Value::Text(_)) => {
                return Err(conversion_error(other, "[]uint8"));
            }
            _ if operator == Op::Matches => return Err(conversion_error(b, "string")),
            other => return Err(conversion_error(other, "string")),
        };
        let other = match b {
            Value::Text(other) => &**other,
            wrong => return Err(conversion_error(wrong, "string")),
        };
        Ok(Value::Bool(match operator {
            Op::Contains => text.contains(other),
            Op::StartsWith => text.starts_with(other),
            Op::EndsWith => text.ends_with(other),
            _ => self.pattern(other)?.is_match(text),
        }))
    }

    fn pattern(&mut self, pattern: &str) -> Result<Arc<Regex>, String> {
        if let Some(known) = self.patterns.get(pattern) {
            return Ok(known.clone());
        }
        let compiled = Arc::new(re2::compile(pattern)?);
        self.patterns.insert(pattern.to_owned(), compiled.clone());
        Ok(compiled)
    }

    fn range(&mut self, a: &Value, b: &Value) -> Result<Value, String> {
        let (low, high) = (to_integer(a)?, to_integer(b)?);
        let size = high.saturating_sub(low).saturating_add(1).max(0);
        self.grow(usize::try_from(size).unwrap_or(usize::MAX))?;
        let items = (0..size).map(|offset| Value::Int(low.wrapping_add(offset))).collect();
        Ok(Value::typed_list(GoType::Int, items))
    }

    fn list(&mut self, nodes: &'a [Node], at: usize) -> Evaluated {
        let mut items = Vec::with_capacity(nodes.len());
        for node in nodes {
            items.push(self.eval(node)?);
        }
        self.grow(items.len()).map_err(|problem| failed(at, problem))?;
        Ok(Value::list(items))
    }

    fn map(&mut self, pairs: &'a [(Node, Node)], at: usize) -> Evaluated {
        self.grow(pairs.len()).map_err(|problem| failed(at, problem))?;
        let mut evaluated = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            evaluated.push((self.eval(key)?, self.eval(value)?));
        }
        let mut entries = BTreeMap::new();
        // The original fills the map from the back, so the first of two equal keys wins.
        for (key, value) in evaluated.into_iter().rev() {
            match key {
                Value::Text(key) => entries.insert(key, value),
                other => return Err(failed(at, conversion_error(&other, "string"))),
            };
        }
        Ok(Value::map(entries))
    }

    fn member(&mut self, member: &'a Member, at: usize) -> Evaluated {
        if matches!(&member.base.kind, NodeKind::Identifier(name) if name == "$env")
            && let Some(name) = member.property.as_text()
        {
            return Ok((self.lookup)(name));
        }
        let base = self.eval(&member.base)?;
        if member.optional && matches!(base, Value::Nil) {
            return Err(Stop::Skipped);
        }
        let property = self.eval(&member.property)?;
        fetch(&base, &property).map_err(|problem| failed(at, problem))
    }

    fn slice(
        &mut self,
        base: &'a Node,
        from: Option<&'a Node>,
        to: Option<&'a Node>,
        at: usize,
    ) -> Evaluated {
        let base = self.eval(base)?;
        let to = to.map(|node| self.eval(node)).transpose()?;
        let from = from.map(|node| self.eval(node)).transpose()?.unwrap_or(Value::Int(0));
        slice(&base, &from, to.as_ref()).map_err(|problem| failed(at, problem))
    }

    fn call(&mut self, callee: &'a Node, arguments: &'a [Node], at: usize) -> Evaluated {
        let mut values = Vec::with_capacity(arguments.len());
        for argument in arguments {
            values.push(self.eval(argument)?);
        }
        let result = match self.eval(callee)? {
            Value::Function(function) => functions::call(function, &values, self.result),
            Value::Method(method) => times::call_method(&method.0, &method.1, &values),
            Value::Nil => Err("invalid operation: cannot call nil".to_owned()),
            other => {
                Err(format!("invalid operation: cannot call non-function of type {}", other.type_name()))
            }
        };
        result.map_err(|problem| failed(at, problem))
    }

    fn builtin(&mut self, name: &'static str, arguments: &'a [Node], at: usize) -> Evaluated {
        let takes_predicate =
            super::builtin::find(name).is_some_and(|known| known.shape != super::builtin::Shape::Plain);
        if let [collection, rest @ ..] = arguments
            && takes_predicate
        {
            return self.with_predicate(name, collection, rest, at);
        }
        let mut values = Vec::with_capacity(arguments.len());
        for argument in arguments {
            values.push(self.eval(argument)?);
        }
        functions::call_builtin(self, name, &values).map_err(|problem| failed(at, problem))
    }

    /// Evaluates a predicate on one element.
    fn test(&mut self, predicate: &'a Node, item: &Value, index: usize, accumulator: &Value) -> Evaluated {
        self.scopes.push(Scope { item: item.clone(), index, accumulator: accumulator.clone() });
        let result = self.eval(predicate);
        self.scopes.pop();
        result
    }

    fn holds(&mut self, predicate: &'a Node, item: &Value, index: usize) -> Result<bool, Stop> {
        let value = self.test(predicate, item, index, &Value::Nil)?;
        as_bool(&value, predicate.at)
    }

    fn with_predicate(&mut self, name: &str, collection: &'a Node, rest: &'a [Node], at: usize) -> Evaluated {
        let value = self.eval(collection)?;
        let items = elements(&value).map_err(|problem| failed(at, problem))?;
        let Some(predicate) = rest.first() else {
            return self.without_predicate(name, &items, at);
        };
        match name {
            "all" | "none" | "any" => self.quantify(name, &items, predicate),
            "one" | "count" => {
                let mut count = 0;
                for (index, item) in items.iter().enumerate() {
                    count += i64::from(self.holds(predicate, item, index)?);
                }
                Ok(if name == "one" { Value::Bool(count == 1) } else { Value::Int(count) })
            }
            "filter" => {
                let mut kept = Vec::new();
                for (index, item) in items.iter().enumerate() {
                    if self.holds(predicate, item, index)? {
                        kept.push(item.clone());
                    }
                }
                self.grow(kept.len()).map_err(|problem| failed(at, problem))?;
                Ok(Value::list(kept))
            }
            "map" => {
                let mut mapped = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    mapped.push(self.test(predicate, item, index, &Value::Nil)?);
                }
                self.grow(mapped.len()).map_err(|problem| failed(at, problem))?;
                Ok(Value::list(mapped))
            }
            "find" | "findIndex" | "findLast" | "findLastIndex" => self.find(name, &items, predicate),
            "sum" => {
                let mut sum = Value::Int(0);
                for (index, item) in items.iter().enumerate() {
                    let value = self.test(predicate, item, index, &Value::Nil)?;
                    sum = self.apply(Op::Add, &value, &sum).map_err(|problem| failed(at, problem))?;
                }
                Ok(sum)
            }
            "groupBy" => self.group_by(&items, predicate, at),
            "sortBy" => self.sort_by(&items, predicate, rest.get(1), at),
            _ => self.reduce(&items, predicate, rest.get(1), at),
        }
    }

    fn without_predicate(&mut self, name: &str, items: &[Value], at: usize) -> Evaluated {
        let mut result = Value::Int(0);
        for item in items {
            let addend =
                if name == "count" { Value::Int(i64::from(as_bool(item, at)?)) } else { item.clone() };
            result = self.apply(Op::Add, &addend, &result).map_err(|problem| failed(at, problem))?;
        }
        Ok(result)
    }

    fn quantify(&mut self, name: &str, items: &[Value], predicate: &'a Node) -> Evaluated {
        let stops_at = name != "all";
        for (index, item) in items.iter().enumerate() {
            if self.holds(predicate, item, index)? == stops_at {
                return Ok(Value::Bool(name == "any"));
            }
        }
        Ok(Value::Bool(name != "any"))
    }

    fn find(&mut self, name: &str, items: &[Value], predicate: &'a Node) -> Evaluated {
        let backwards = name.starts_with("findLast");
        for step in 0..items.len() {
            let index = if backwards { items.len() - 1 - step } else { step };
            if self.holds(predicate, &items[index], index)? {
                let wants_index = name.ends_with("Index");
                return Ok(if wants_index { Value::Int(index as i64) } else { items[index].clone() });
            }
        }
        Ok(Value::Nil)
    }

    fn group_by(&mut self, items: &[Value], predicate: &'a Node, at: usize) -> Evaluated {
        let mut groups: Vec<(Value, Vec<Value>)> = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let key = self.test(predicate, item, index, &Value::Nil)?;
            if matches!(key, Value::List(_) | Value::Map(_) | Value::Bytes(_)) {
                return Err(failed(
                    at,
                    format!("runtime error: hash of unhashable type {}", key.type_name()),
                ));
            }
            match groups.iter_mut().find(|(known, _)| operators::identical(known, &key)) {
                Some((_, members)) => members.push(item.clone()),
                None => groups.push((key, vec![item.clone()])),
            }
        }
        let entries = groups.into_iter().map(|(key, members)| (key, Value::list(members))).collect();
        Ok(Value::Map(Arc::new(Map::Any { entries, grouped: true })))
    }

    fn sort_by(
        &mut self,
        items: &[Value],
        predicate: &'a Node,
        order: Option<&'a Node>,
        at: usize,
    ) -> Evaluated {
        let order = order.map(|node| self.eval(node)).transpose()?;
        let descending = match &order {
            None => false,
            Some(Value::Text(word)) if matches!(&**word, "asc" | "desc") => &**word == "desc",
            Some(Value::Text(_)) => return Err(failed(at, "unknown order, use asc or desc")),
            Some(_) => return Err(failed(at, "sortBy order argument must be a string")),
        };
        let mut keyed = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            keyed.push((self.test(predicate, item, index, &Value::Nil)?, item.clone()));
        }
        self.grow(items.len()).map_err(|problem| failed(at, problem))?;
        let sorted =
            functions::sort(keyed, descending, |(key, _)| key).map_err(|problem| failed(at, problem))?;
        Ok(Value::list(sorted.into_iter().map(|(_, item)| item).collect()))
    }

    fn reduce(
        &mut self,
        items: &[Value],
        predicate: &'a Node,
        initial: Option<&'a Node>,
        at: usize,
    ) -> Evaluated {
        let (mut accumulator, start) = match (initial, items.first()) {
            (Some(node), _) => (self.eval(node)?, 0),
            (None, Some(first)) => (first.clone(), 1),
            (None, None) => return Err(failed(at, "reduce of empty array with no initial value")),
        };
        for (index, item) in items.iter().enumerate().skip(start) {
            accumulator = self.test(predicate, item, index, &accumulator)?;
        }
        Ok(accumulator)
    }
}

/// `==` where both sides are known to be ints or to be strings, nil or not.
fn strictly_equal(a: &Value, b: &Value) -> Result<bool, String> {
    let wanted = if matches!(a, Value::Text(_)) || matches!(b, Value::Text(_)) { "string" } else { "int" };
    match (a, b) {
        (Value::Int(x), Value::Int(y)) => Ok(x == y),
        (Value::Text(x), Value::Text(y)) => Ok(x == y),
        (Value::Int(_) | Value::Text(_), wrong) | (wrong, _) => Err(conversion_error(wrong, wanted)),
    }
}

/// What a predicate runs over.
fn elements(value: &Value) -> Result<Vec<Value>, String> {
    let bytes = |bytes: &[u8]| bytes.iter().map(|byte| Value::Int(i64::from(*byte))).collect();
    match value {
        Value::List(list) => Ok(list.items.clone()),
        Value::Text(text) => Ok(bytes(text.as_bytes())),
        Value::Bytes(raw) => Ok(bytes(raw)),
        // Its length is taken first; only an element that is asked for fails.
        Value::Map(map) if map.len() == 0 => Ok(Vec::new()),
        Value::Map(_) => Err("reflect: call of reflect.Value.Index on map Value".to_owned()),
        Value::Nil => Err("reflect: call of reflect.Value.Len on zero Value".to_owned()),
        other => Err(format!("reflect: call of reflect.Value.Len on {} Value", other.type_name())),
    }
}

/// `base[property]` and `base.property`.
pub(crate) fn fetch(base: &Value, property: &Value) -> Result<Value, String> {
    let missing = || format!("cannot fetch {} from {}", property.to_go_string(), base.type_name());
    if let (Some(ty), Value::Text(name)) = (base.go_type(), property)
        && super::builtin::method(&ty, name).is_some()
    {
        return Ok(Value::Method(Arc::new((base.clone(), name.to_string()))));
    }
    match base {
        Value::List(list) => {
            let index = position(property, list.items.len())?;
            Ok(list.items[index].clone())
        }
        Value::Text(text) => {
            let index = position(property, text.len())?;
            Ok(Value::Int(i64::from(text.as_bytes()[index])))
        }
        Value::Bytes(bytes) => {
            let index = position(property, bytes.len())?;
            Ok(Value::Int(i64::from(bytes[index])))
        }
        Value::Map(map) => Ok(operators::lookup(map, property)?.unwrap_or(Value::Nil)),
        Value::Struct(value) => match property {
            Value::Text(name) => value.field(name).cloned().ok_or_else(missing),
            other => Err(conversion_error(other, "string")),
        },
        _ => Err(missing()),
    }
}

/// An index into `length` elements; negative ones count from the end.
fn position(index: &Value, length: usize) -> Result<usize, String> {
    let asked = to_integer(index)?;
    let counted = if asked < 0 { (length as i64).wrapping_add(asked) } else { asked };
    usize::try_from(counted)
        .ok()
        .filter(|index| *index < length)
        .ok_or_else(|| format!("index out of range: {counted} (array length is {length})"))
}

fn slice(base: &Value, from: &Value, to: Option<&Value>) -> Result<Value, String> {
    let length = match base {
        Value::List(list) => list.items.len(),
        Value::Text(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::Map(_) => return Err(format!("cannot slice {}", from.to_go_string())),
        other if to.is_none() => {
            return Err(format!("invalid argument for len (type {})", other.type_name()));
        }
        _ => return Err(format!("cannot slice {}", from.to_go_string())),
    };
    let bound = |value: &Value| {
        let asked = to_integer(value)?;
        let counted = if asked < 0 { (length as i64).saturating_add(asked) } else { asked };
        Ok::<usize, String>(usize::try_from(counted.max(0)).unwrap_or(usize::MAX))
    };
    let to = to.map_or(Ok(length), bound)?.min(length);
    let from = bound(from)?.min(to);
    Ok(match base {
        Value::List(list) => Value::typed_list(list.element.clone(), list.items[from..to].to_vec()),
        Value::Bytes(bytes) => Value::Bytes(bytes[from..to].into()),
        Value::Text(text) => Value::Text(String::from_utf8_lossy(&text.as_bytes()[from..to]).into()),
        _ => Value::Nil,
    })
}
