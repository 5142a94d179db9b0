//! Walking a document.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::Value;

use super::parse::{Node, Parameter};

/// How many values a path may hold at once; recursive steps multiply.
const MAX_VALUES: usize = 200_000;

/// Something a path found. Numbers in the document are floats to Go; literals in the path keep their own kind, and
/// the two do not compare.
#[derive(Debug, Clone)]
enum Hit<'a> {
    Document(&'a Value),
    Text(&'a str),
    Int(i64),
    Float(f64),
    Bool(bool),
    /// One byte of a string.
    Byte(u8),
    /// There is not even a null: the input of a range that ran over nothing.
    Nothing,
}

/// A failed step: what it had, which an existence test still counts, and why.
struct Failed<'a> {
    values: Vec<Hit<'a>>,
    message: String,
}

type Walked<'a> = Result<Vec<Hit<'a>>, Failed<'a>>;

/// Runs a whole path.
pub(super) fn find_all(nodes: &[Node], document: &Value) -> Result<Vec<Vec<Value>>, String> {
    let mut walker = Walker { nodes, begin_range: 0, in_range: 0, end_range: 0, last_end: None };
    let found = walker.find(0, Hit::Document(document))?;
    Ok(found
        .into_iter()
        .map(|hits| hits.into_iter().map(|hit| hit.to_json().into_owned()).collect())
        .collect())
}

struct Walker<'a> {
    nodes: &'a [Node],
    begin_range: usize,
    in_range: usize,
    end_range: usize,
    last_end: Option<usize>,
}

impl<'a> Walker<'a> {
    /// Runs the segments from `start` on, over one value.
    fn find(&mut self, start: usize, data: Hit<'a>) -> Result<Vec<Vec<Hit<'a>>>, String> {
        if self.in_range > 16 {
            return Err("ranges are nested too deeply".to_owned());
        }
        let mut all = Vec::new();
        let current = vec![data];
        let mut index = start;
        while index < self.nodes.len() {
            let results = self.walk(current.clone(), &self.nodes[index]).map_err(|failed| failed.message)?;
            if self.end_range > 0 && self.end_range <= self.in_range {
                self.end_range -= 1;
                self.last_end = Some(index);
                break;
            }
            if self.begin_range > 0 {
                self.begin_range -= 1;
                self.in_range += 1;
                // Over nothing the segments still run once, so that the end of the range is found.
                let empty = results.is_empty();
                let rounds = if empty { vec![Hit::Nothing] } else { results };
                for value in rounds {
                    let found = self.find(index + 1, value)?;
                    if !empty {
                        all.extend(found);
                    }
                    if all.len() > MAX_VALUES {
                        return Err("path finds too many values".to_owned());
                    }
                }
                self.in_range -= 1;
                if let Some(end) = self.last_end.filter(|end| *end > index) {
                    index = end;
                }
                index += 1;
                continue;
            }
            all.push(results);
            index += 1;
        }
        Ok(all)
    }

    fn walk(&mut self, input: Vec<Hit<'a>>, node: &'a Node) -> Walked<'a> {
        if input.len() > MAX_VALUES {
            return Err(Failed { values: Vec::new(), message: "path finds too many values".to_owned() });
        }
        match node {
            Node::List(steps) => self.walk_list(input, steps),
            Node::Text(text) => Ok(vec![Hit::Text(text)]),
            Node::Int(number) => Ok(vec![Hit::Int(*number); input.len()]),
            Node::Float(number) => Ok(vec![Hit::Float(*number); input.len()]),
            Node::Bool(flag) => Ok(vec![Hit::Bool(*flag); input.len()]),
            Node::Field(name) => field(&input, name),
            Node::Array(parameters) => array(input, parameters),
            Node::Filter { left, operator, right } => self.filter(input, left, operator, right),
            Node::Wildcard => Ok(input.iter().flat_map(children).collect()),
            Node::Recursive => {
                let mut found = Vec::new();
                descend(&input, &mut found);
                Ok(found)
            }
            Node::Union(parts) => {
                let mut found = Vec::new();
                for part in parts {
                    match self.walk_list(input.clone(), part) {
                        Ok(hits) => found.extend(hits),
                        Err(failed) => return Err(Failed { values: input, message: failed.message }),
                    }
                }
                Ok(found)
            }
            Node::Identifier(word) => self.identifier(input, word),
        }
    }

    fn walk_list(&mut self, input: Vec<Hit<'a>>, steps: &'a [Node]) -> Walked<'a> {
        let mut current = input;
        for step in steps {
            current = self.walk(current, step)?;
        }
        Ok(current)
    }

    fn identifier(&mut self, input: Vec<Hit<'a>>, word: &str) -> Walked<'a> {
        match word {
            "range" => {
                self.begin_range += 1;
                Ok(input)
            }
            "end" if self.in_range > 0 => {
                self.end_range += 1;
                Ok(Vec::new())
            }
            "end" => Err(Failed { values: Vec::new(), message: "not in range, nothing to end".to_owned() }),
            other => Err(Failed { values: input, message: format!("unrecognized identifier {other}") }),
        }
    }

    fn filter(
        &mut self,
        input: Vec<Hit<'a>>,
        left: &'a [Node],
        operator: &str,
        right: &'a [Node],
    ) -> Walked<'a> {
        let mut kept = Vec::new();
        for value in &input {
            let Hit::Document(Value::Array(items)) = value else {
                let shown = value.print();
                let message = format!("{shown} is not array or slice and cannot be filtered");
                return Err(Failed { values: input, message });
            };
            for item in items {
                let item = Hit::Document(item);
                let lefts = self.walk_list(vec![item.clone()], left);
                if operator == "exists" {
                    let found = lefts.unwrap_or_else(|failed| failed.values);
                    if !found.is_empty() {
                        kept.push(item);
                    }
                    continue;
                }
                let one = |side: Walked<'a>| match side {
                    Err(failed) => Err(failed.message),
                    Ok(hits) if hits.len() > 1 => Err("can only compare one element at a time".to_owned()),
                    Ok(hits) => Ok(hits.into_iter().next()),
                };
                let compared = one(lefts).and_then(|l| {
                    let Some(l) = l else { return Ok(false) };
                    let rights = self.walk_list(vec![item.clone()], right);
                    one(rights)?.map_or(Ok(false), |r| compare(operator, &l, &r))
                });
                match compared {
                    Ok(true) => kept.push(item),
                    Ok(false) => {}
                    Err(message) => return Err(Failed { values: input, message }),
                }
            }
        }
        Ok(kept)
    }
}

impl<'a> Hit<'a> {
    fn to_json(&self) -> Cow<'a, Value> {
        match self {
            Self::Document(value) => Cow::Borrowed(value),
            Self::Text(text) => Cow::Owned(Value::from(*text)),
            Self::Int(number) => Cow::Owned(Value::from(*number)),
            Self::Float(number) => Cow::Owned(Value::from(*number)),
            Self::Bool(flag) => Cow::Owned(Value::from(*flag)),
            Self::Byte(byte) => Cow::Owned(Value::from(*byte)),
            Self::Nothing => Cow::Owned(Value::Null),
        }
    }

    /// Nothing to look into: a null of the document.
    fn is_null(&self) -> bool {
        matches!(self, Self::Document(Value::Null))
    }

    fn print(&self) -> String {
        match self.to_json().as_ref() {
            Value::Null if matches!(self, Self::Nothing) => "<invalid reflect.Value>".to_owned(),
            other => crate::expr::Value::from_json(other).to_go_string(),
        }
    }

    fn type_name(&self) -> &'static str {
        match self {
            Self::Document(Value::Object(_)) => "map[string]interface {}",
            Self::Document(Value::Array(_)) => "[]interface {}",
            Self::Document(Value::String(_)) | Self::Text(_) => "string",
            Self::Document(Value::Bool(_)) | Self::Bool(_) => "bool",
            Self::Document(Value::Number(_)) | Self::Float(_) => "float64",
            Self::Int(_) => "int",
            Self::Byte(_) => "uint8",
            Self::Document(Value::Null) | Self::Nothing => "invalid",
        }
    }
}

fn field<'a>(input: &[Hit<'a>], name: &str) -> Walked<'a> {
    if input.is_empty() {
        return Ok(Vec::new());
    }
    let found: Vec<Hit<'a>> = input
        .iter()
        .filter_map(|value| match value {
            Hit::Document(Value::Object(entries)) => entries.get(name).map(Hit::Document),
            _ => None,
        })
        .collect();
    if found.is_empty() {
        return Err(Failed { values: found, message: format!("{name} is not found") });
    }
    Ok(found)
}

fn array<'a>(input: Vec<Hit<'a>>, parameters: &[Parameter; 3]) -> Walked<'a> {
    let mut found = Vec::new();
    for value in &input {
        if value.is_null() {
            continue;
        }
        let Hit::Document(Value::Array(items)) = value else {
            let message = format!("{} is not array or slice", value.type_name());
            return Err(Failed { values: input, message });
        };
        match bounds(parameters, items.len()) {
            // Zero elements asked for end the step, whatever other values there are.
            Ok(None) => return Ok(found),
            Ok(Some((from, to, step))) => {
                found.extend(items[from..to].iter().step_by(step).map(Hit::Document));
            }
            Err(message) => return Err(Failed { values: input, message }),
        }
    }
    Ok(found)
}

/// Where a slice begins and ends among `length` elements, and its step; `None` where it asks for nothing.
fn bounds(parameters: &[Parameter; 3], length: usize) -> Result<Option<(usize, usize, usize)>, String> {
    let [from, to, step] = parameters;
    let count = i64::try_from(length).unwrap_or(i64::MAX);
    let mut start = if from.known { from.value } else { 0 };
    if start < 0 {
        start = start.saturating_add(count);
    }
    let mut end = if to.known { to.value } else { count };
    if end < 0 || end == 0 && to.derived {
        end = end.saturating_add(count);
    }
    if start == end {
        return Ok(None);
    }
    let out_of_bounds = |index: i64| format!("array index out of bounds: index {index}, length {length}");
    if start >= count || start < 0 {
        return Err(out_of_bounds(start));
    }
    if end > count || end < 0 {
        return Err(out_of_bounds(end.saturating_sub(1)));
    }
    if start > end {
        return Err(format!("starting index {start} is greater than ending index {end}"));
    }
    if step.known && step.value <= 0 {
        return Err("step must be > 0".to_owned());
    }
    let step = if step.known { step.value } else { 1 };
    Ok(Some((start as usize, end as usize, usize::try_from(step).unwrap_or(1))))
}

/// The values of a map, the elements of a list, the bytes of a string.
fn children<'a>(value: &Hit<'a>) -> Vec<Hit<'a>> {
    match value {
        Hit::Document(Value::Object(entries)) => entries.values().map(Hit::Document).collect(),
        Hit::Document(Value::Array(items)) => items.iter().map(Hit::Document).collect(),
        Hit::Document(Value::String(text)) => text.bytes().map(Hit::Byte).collect(),
        Hit::Text(text) => text.bytes().map(Hit::Byte).collect(),
        _ => Vec::new(),
    }
}

/// Everything that has something in it, outermost first.
fn descend<'a>(input: &[Hit<'a>], found: &mut Vec<Hit<'a>>) {
    for value in input {
        let inside = children(value);
        if !inside.is_empty() {
            found.push(value.clone());
            descend(&inside, found);
        }
    }
}

/// A value as the comparison functions of Go's templates see it.
enum Basic {
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Text(String),
}

fn basic(hit: &Hit<'_>) -> Result<Basic, String> {
    match hit {
        Hit::Int(number) => return Ok(Basic::Int(*number)),
        Hit::Byte(byte) => return Ok(Basic::Uint(u64::from(*byte))),
        _ => {}
    }
    match hit.to_json().as_ref() {
        Value::Bool(flag) => Ok(Basic::Bool(*flag)),
        Value::Number(number) => Ok(Basic::Float(number.as_f64().unwrap_or(f64::NAN))),
        Value::String(text) => Ok(Basic::Text(text.clone())),
        _ => Err("invalid type for comparison".to_owned()),
    }
}

fn compare(operator: &str, left: &Hit<'_>, right: &Hit<'_>) -> Result<bool, String> {
    if !matches!(operator, "<" | ">" | "==" | "!=" | "<=" | ">=") {
        return Err(format!("unrecognized filter operator {operator}"));
    }
    let orders = !matches!(operator, "==" | "!=");
    let ordering = match (basic(left)?, basic(right)?) {
        (Basic::Bool(_), Basic::Bool(_)) if orders => return Err("invalid type for comparison".to_owned()),
        (Basic::Bool(a), Basic::Bool(b)) => Some(a.cmp(&b)),
        (Basic::Int(a), Basic::Int(b)) => Some(a.cmp(&b)),
        (Basic::Uint(a), Basic::Uint(b)) => Some(a.cmp(&b)),
        (Basic::Float(a), Basic::Float(b)) => a.partial_cmp(&b),
        (Basic::Text(a), Basic::Text(b)) => Some(a.cmp(&b)),
        _ => return Err("incompatible types for comparison".to_owned()),
    };
    let at_most = matches!(ordering, Some(Ordering::Less | Ordering::Equal));
    Ok(match operator {
        "<" => ordering == Some(Ordering::Less),
        "<=" => at_most,
        ">" => !at_most,
        ">=" => ordering != Some(Ordering::Less),
        "==" => ordering == Some(Ordering::Equal),
        _ => ordering != Some(Ordering::Equal),
    })
}
