//! From a YAML stream to JSON values, as `sigs.k8s.io/yaml` makes them: text first, types only then.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, StrInput};
use serde_json::{Map, Value};

use super::YamlError;
use super::scalar;

/// How deeply collections may stand in one another; Kubernetes itself stops long before.
const DEEPEST: usize = 250;
/// How many nodes a stream may have, those behind aliases counted each time, so that a few lines cannot fill memory.
const LARGEST: usize = 4_000_000;

/// Reads every document of a stream, empty ones as null.
pub(super) fn load(text: &str) -> Result<Vec<Value>, YamlError> {
    let mut loader = Loader { events: Parser::new_from_str(text), anchors: HashMap::new(), nodes: 0 };
    let mut documents = Vec::new();
    loop {
        match loader.next()? {
            Event::StreamEnd => return Ok(documents),
            Event::DocumentStart(..) => {
                loader.anchors.clear();
                let first = loader.next()?;
                documents.push(loader.node(first, 0)?.value);
            }
            _ => {}
        }
    }
}

struct Loader<'a> {
    events: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Value>,
    nodes: usize,
}

/// A value, and whether it was written plainly, as a merge key must be.
struct Node {
    value: Value,
    is_merge_key: bool,
}

impl From<Value> for Node {
    fn from(value: Value) -> Self {
        Self { value, is_merge_key: false }
    }
}

impl<'a> Loader<'a> {
    fn next(&mut self) -> Result<Event<'a>, YamlError> {
        loop {
            match self.events.next_event() {
                Some(Ok((Event::Comment(..), _))) => {}
                Some(Ok((event, _))) => return Ok(event),
                Some(Err(error)) => return Err(YamlError(error.to_string())),
                None => return Ok(Event::StreamEnd),
            }
        }
    }

    fn node(&mut self, event: Event<'a>, depth: usize) -> Result<Node, YamlError> {
        if depth > DEEPEST {
            return Err(YamlError(format!("collections stand more than {DEEPEST} deep")));
        }
        self.count(1)?;
        let (anchor, node) = match event {
            Event::Alias(anchor) => return self.alias(anchor).map(Node::from),
            Event::Scalar(text, style, anchor, tag) => {
                let tag = tag.as_ref().map(|tag| format!("{}{}", tag.handle(), tag.suffix()));
                (anchor, scalar_node(&text, style, tag.as_deref())?)
            }
            Event::SequenceStart(_, anchor, _) => (anchor, self.sequence(depth)?.into()),
            Event::MappingStart(_, anchor, _) => (anchor, self.mapping(depth)?.into()),
            _ => (0, Value::Null.into()),
        };
        if anchor != 0 {
            self.anchors.insert(anchor, node.value.clone());
        }
        Ok(node)
    }

    fn count(&mut self, nodes: usize) -> Result<(), YamlError> {
        self.nodes += nodes;
        if self.nodes > LARGEST {
            return Err(YamlError("document contains excessive aliasing".to_owned()));
        }
        Ok(())
    }

    fn alias(&mut self, anchor: usize) -> Result<Value, YamlError> {
        // A collection is known once it is complete: what is not there yet contains its alias.
        let Some(found) = self.anchors.get(&anchor).cloned() else {
            return Err(YamlError("an anchored value contains itself".to_owned()));
        };
        self.count(size(&found))?;
        Ok(found)
    }

    fn sequence(&mut self, depth: usize) -> Result<Value, YamlError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                Event::SequenceEnd => return Ok(Value::Array(items)),
                event => items.push(self.node(event, depth + 1)?.value),
            }
        }
    }

    /// Of a key that is there twice the last one counts.
    fn mapping(&mut self, depth: usize) -> Result<Value, YamlError> {
        let mut members = Map::new();
        loop {
            let event = self.next()?;
            if matches!(event, Event::MappingEnd) {
                return Ok(Value::Object(members));
            }
            let key = self.node(event, depth + 1)?;
            let event = self.next()?;
            let value = self.node(event, depth + 1)?.value;
            if key.is_merge_key {
                merge(&mut members, value)?;
            } else {
                members.insert(key_text(key.value, &value)?, value);
            }
        }
    }
}

fn scalar_node(text: &str, style: ScalarStyle, tag: Option<&str>) -> Result<Node, YamlError> {
    let is_plain = style == ScalarStyle::Plain;
    if is_plain && tag.is_none() && text == "<<" {
        return Ok(Node { value: Value::from(text), is_merge_key: true });
    }
    let tag = tag.map(|tag| tag.strip_prefix("tag:yaml.org,2002:").unwrap_or("!"));
    if !is_plain && tag.is_none() {
        return Ok(Value::from(text).into());
    }
    scalar::resolve(tag, text).map(Node::from).map_err(YamlError)
}

/// Puts the members of one mapping, or of each of a list of them, in place; of a list the first has the last word.
fn merge(members: &mut Map<String, Value>, value: Value) -> Result<(), YamlError> {
    let sources = match value {
        Value::Array(items) => items.into_iter().rev().collect(),
        other => vec![other],
    };
    for source in sources {
        let Value::Object(source) = source else {
            return Err(YamlError("map merge requires map or sequence of maps as the value".to_owned()));
        };
        members.extend(source);
    }
    Ok(())
}

fn key_text(key: Value, value: &Value) -> Result<String, YamlError> {
    match key {
        Value::String(text) => Ok(text),
        Value::Bool(word) => Ok(word.to_string()),
        Value::Number(number) => Ok(number.to_string()),
        other => Err(YamlError(format!("unsupported map key: {other}, value: {value}"))),
    }
}

/// How many nodes a value has.
fn size(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Object(members) => 1 + members.values().map(size).sum::<usize>(),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn one(text: &str) -> Result<Value, YamlError> {
        load(text).map(|mut documents| documents.pop().unwrap_or_default())
    }

    #[test]
    fn aliases_and_merges_are_written_out() {
        let text =
            "base: &b {a: 1, b: 2}\nfirst: *b\nsecond: {<<: *b, b: 3}\nthird: {<<: [{a: 5}, *b], c: 4}\n";
        assert_eq!(
            one(text),
            Ok(json!({
                "base": {"a": 1, "b": 2}, "first": {"a": 1, "b": 2},
                "second": {"a": 1, "b": 3}, "third": {"a": 5, "b": 2, "c": 4},
            }))
        );
        assert!(one("{<<: 3}").is_err());
        assert_eq!(one("'<<': 3"), Ok(json!({"<<": 3})));
    }

    #[test]
    fn a_value_that_contains_itself_is_refused() {
        assert!(one("a: &a [*a]").is_err());
    }

    #[test]
    fn a_few_lines_cannot_fill_memory() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
            text += &format!("a{level}: &a{level} [{aliases}]\n");
        }
        assert_eq!(one(&text), Err(YamlError("document contains excessive aliasing".to_owned())));
        assert!(one(&"[".repeat(10_000)).is_err());
    }

    #[test]
    fn keys_become_text_and_null_is_none() {
        assert_eq!(one("{80: a, true: b, 1.5: c}"), Ok(json!({"80": "a", "true": "b", "1.5": "c"})));
        assert!(one("{null: x}").is_err());
        assert!(one("{[a]: x}").is_err());
    }
}
