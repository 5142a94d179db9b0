//! Makes new inputs of old ones: as bytes, or as JSON trees.

use fastrand::Rng;
use serde_json::{Map, Value};

/// Inputs grow no longer than this.
pub const LENGTH_LIMIT: usize = 16 * 1024;

/// Text that breaks things wherever it appears.
const AWKWARD: [&str; 26] = [
    "",
    "0",
    "-1",
    "1e999",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551616",
    "2147483648",
    "0.1",
    "NaN",
    "é",
    "\u{0}",
    "\u{feff}",
    "💥",
    "\u{202e}",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "\"",
    "'",
    "\\",
    "\n",
    "%",
];

/// A source of mutated inputs; the same seed gives the same inputs.
pub struct Mutator {
    random: Rng,
    dictionary: &'static [&'static str],
}

impl Mutator {
    /// A mutator whose insertions come from `dictionary`.
    #[must_use]
    pub fn new(seed: u64, dictionary: &'static [&'static str]) -> Self {
        Self { random: Rng::with_seed(seed), dictionary }
    }

    /// A new input from one of `pool`, which must not be empty for anything to come out.
    pub fn next(&mut self, pool: &[Vec<u8>], json: bool) -> Vec<u8> {
        let Some(chosen) = self.random.choice(pool) else { return Vec::new() };
        let mut input = chosen.clone();
        if json
            && self.random.u8(..) > 40
            && let Ok(mut tree) = serde_json::from_slice::<Value>(&input)
        {
            for _ in 0..self.random.usize(1..5) {
                let donor = self.random.choice(pool).and_then(|bytes| serde_json::from_slice(bytes).ok());
                self.mutate_tree(&mut tree, donor.as_ref());
            }
            input = tree.to_string().into_bytes();
        } else {
            for _ in 0..1 << self.random.u8(0..4) {
                self.mutate_bytes(&mut input, pool);
            }
        }
        input.truncate(LENGTH_LIMIT);
        input
    }

    fn piece(&mut self) -> &'static str {
        let from_dictionary = !self.dictionary.is_empty() && self.random.u8(..) > 70;
        let words = if from_dictionary { self.dictionary } else { &AWKWARD[..] };
        self.random.choice(words).copied().unwrap_or_default()
    }

    /// A range of `length`, mostly short.
    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let from = self.random.usize(0..=length);
        let most = if self.random.bool() { 8 } else { length };
        let to = length.min(from + self.random.usize(0..=most));
        from..to
    }

    fn mutate_bytes(&mut self, input: &mut Vec<u8>, pool: &[Vec<u8>]) {
        let range = self.range(input.len());
        match self.random.u8(0..7) {
            0 => {
                if let Some(byte) = input.get_mut(range.start) {
                    *byte ^= 1 << self.random.u8(0..8);
                }
            }
            1 => drop(input.drain(range)),
            2 | 3 => {
                let piece = self.piece();
                let keep = if self.random.bool() { range.start..range.start } else { range };
                input.splice(keep, piece.bytes());
            }
            4 => {
                let Some(other) = self.random.choice(pool) else { return };
                let part = self.range(other.len());
                input.splice(range, other[part].iter().copied());
            }
            5 => {
                // Repeating is how nesting gets deep.
                let part = input[range.clone()].to_vec();
                let times = 1usize << self.random.u8(0..9);
                let times = times.min(LENGTH_LIMIT / part.len().max(1));
                input.splice(range.start..range.start, part.repeat(times));
            }
            _ => {
                if let Some(byte) = input.get_mut(range.start) {
                    *byte = self.random.u8(..);
                }
            }
        }
        input.truncate(LENGTH_LIMIT);
    }

    fn mutate_tree(&mut self, tree: &mut Value, donor: Option<&Value>) {
        let at = self.random.usize(0..count(tree));
        let replacement = self.replacement(donor);
        let choice = self.random.u8(0..8);
        let word = self.piece().to_owned();
        let index = self.random.usize(0..8);
        let Some(node) = nth(tree, at) else { return };
        match (choice, node) {
            (0, Value::Object(fields)) => {
                let key = fields.keys().nth(index % fields.len().max(1)).cloned();
                key.and_then(|key| fields.remove(&key));
            }
            (1, Value::Object(fields)) => drop(fields.insert(word, replacement)),
            (2, Value::Object(fields)) => {
                if let Some(key) = fields.keys().nth(index % fields.len().max(1)).cloned() {
                    fields.insert(key, replacement);
                }
            }
            (0, Value::Array(items)) if !items.is_empty() => drop(items.remove(index % items.len())),
            (1, Value::Array(items)) if !items.is_empty() => items.push(items[index % items.len()].clone()),
            (2, Value::Array(items)) => items.insert(index % (items.len() + 1), replacement),
            (3, node) => *node = Value::Array(vec![node.take(), replacement]),
            (4, node) => *node = Value::Object(Map::from_iter([(word, node.take())])),
            (5, Value::String(text)) => {
                let at = text.char_indices().nth(index).map_or(text.len(), |(at, _)| at);
                text.insert_str(at, &word);
            }
            (_, node) => *node = replacement,
        }
    }

    /// A scalar that breaks things, a word, or a part of another input.
    fn replacement(&mut self, donor: Option<&Value>) -> Value {
        const NUMBERS: [i64; 10] =
            [0, 1, -1, 100, 101, i64::MAX, i64::MIN, i32::MAX as i64, i32::MIN as i64, 4_294_967_296];
        match self.random.u8(0..8) {
            0 => Value::Null,
            1 => Value::Bool(self.random.bool()),
            2 | 3 => self.random.choice(NUMBERS).into(),
            4 => serde_json::json!(self.random.f64() * 1e30),
            5 => Value::String(self.piece().to_owned()),
            6 => Value::Array(Vec::new()),
            _ => {
                let Some(donor) = donor else { return Value::Object(Map::new()) };
                let at = self.random.usize(0..count(donor));
                nth_ref(donor, at).cloned().unwrap_or_default()
            }
        }
    }
}

/// How many values a tree consists of, itself included.
fn count(tree: &Value) -> usize {
    1 + match tree {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum(),
        _ => 0,
    }
}

/// The `at`-th value of a tree, the tree itself being the first.
fn nth_ref(tree: &Value, mut at: usize) -> Option<&Value> {
    let mut open = vec![tree];
    while let Some(value) = open.pop() {
        if at == 0 {
            return Some(value);
        }
        at -= 1;
        match value {
            Value::Array(items) => open.extend(items.iter()),
            Value::Object(fields) => open.extend(fields.values()),
            _ => {}
        }
    }
    None
}

fn nth(tree: &mut Value, mut at: usize) -> Option<&mut Value> {
    let mut open = vec![tree];
    while let Some(value) = open.pop() {
        if at == 0 {
            return Some(value);
        }
        at -= 1;
        match value {
            Value::Array(items) => open.extend(items.iter_mut()),
            Value::Object(fields) => open.extend(fields.values_mut()),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_inputs() {
        let pool = vec![br#"{"a":[1,{"b":"c"}]}"#.to_vec(), b"[2]".to_vec()];
        let run = |seed| {
            let mut mutator = Mutator::new(seed, &["x", "yy"]);
            (0..200).map(|_| mutator.next(&pool, true)).collect::<Vec<_>>()
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
        let different: std::collections::BTreeSet<_> = run(1).into_iter().collect();
        assert!(different.len() > 100, "only {} different inputs of 200", different.len());
    }
}
