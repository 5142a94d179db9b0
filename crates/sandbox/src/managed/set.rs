//! A set of field paths, in the shape that `fieldsV1` has on the wire.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// A tree of path elements: `f:name`, `k:{…}` for items of keyed lists, `v:…` for items of sets.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct FieldSet {
    /// The path that ends here is in the set.
    pub own: bool,
    children: BTreeMap<String, FieldSet>,
}

impl FieldSet {
    /// From `fieldsV1`: a leaf is in the set, and so is what has a `.`.
    pub fn parse(value: &Value) -> Self {
        let mut set = Self::parse_node(value);
        set.own = false;
        set
    }

    fn parse_node(value: &Value) -> Self {
        let Some(map) = value.as_object() else { return Self::default() };
        let children: BTreeMap<String, Self> = map
            .iter()
            .filter(|(key, _)| *key != ".")
            .map(|(key, value)| (key.clone(), Self::parse_node(value)))
            .collect();
        Self { own: map.contains_key(".") || children.is_empty(), children }
    }

    /// To `fieldsV1`.
    pub fn to_value(&self) -> Value {
        let mut map = Map::new();
        for (key, child) in &self.children {
            let mut value = child.to_value();
            if let (true, Value::Object(value)) = (child.own && !child.children.is_empty(), &mut value) {
                value.insert(".".to_owned(), Value::Object(Map::new()));
            }
            map.insert(key.clone(), value);
        }
        Value::Object(map)
    }

    pub fn is_empty(&self) -> bool {
        !self.own && self.children.values().all(Self::is_empty)
    }

    pub fn child(&self, element: &str) -> Option<&Self> {
        self.children.get(element)
    }

    pub fn child_mut(&mut self, element: &str) -> Option<&mut Self> {
        self.children.get_mut(element)
    }

    pub fn children(&self) -> impl Iterator<Item = (&str, &Self)> {
        self.children.iter().map(|(element, child)| (element.as_str(), child))
    }

    /// The child, created when it is missing.
    pub fn enter(&mut self, element: String) -> &mut Self {
        self.children.entry(element).or_default()
    }

    pub fn take(&mut self, element: &str) {
        self.children.remove(element);
    }

    /// Drops branches that hold nothing.
    pub fn drop_empty(&mut self) {
        for child in self.children.values_mut() {
            child.drop_empty();
        }
        self.children.retain(|_, child| !child.is_empty());
    }

    /// Union.
    pub fn add(&mut self, other: &Self) {
        self.own |= other.own;
        for (element, child) in &other.children {
            self.enter(element.clone()).add(child);
        }
    }

    /// Difference.
    pub fn subtract(&mut self, other: &Self) {
        if other.own {
            self.own = false;
        }
        for (element, child) in &other.children {
            if let Some(own) = self.children.get_mut(element) {
                own.subtract(child);
            }
        }
        self.drop_empty();
    }

    /// What is in both.
    pub fn intersection(&self, other: &Self) -> Self {
        let mut both = Self { own: self.own && other.own, children: BTreeMap::new() };
        for (element, child) in &self.children {
            if let Some(theirs) = other.children.get(element) {
                both.children.insert(element.clone(), child.intersection(theirs));
            }
        }
        both.drop_empty();
        both
    }

    /// Every path in the set, as messages show it: `.spec.containers[name="a"].image`.
    pub fn paths(&self) -> Vec<String> {
        let mut found = Vec::new();
        self.collect_paths("", &mut found);
        found
    }

    fn collect_paths(&self, at: &str, found: &mut Vec<String>) {
        // The server names the members of a level before it goes deeper.
        for (element, _) in self.children.iter().filter(|(_, child)| child.own) {
            found.push(format!("{at}{}", shown(element)));
        }
        for (element, child) in &self.children {
            child.collect_paths(&format!("{at}{}", shown(element)), found);
        }
    }
}

fn shown(element: &str) -> String {
    match element.split_at_checked(2) {
        Some(("f:", name)) => format!(".{name}"),
        Some(("k:", keys)) => {
            let keys: Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
            let keys: Vec<String> = keys.iter().map(|(key, value)| format!("{key}={value}")).collect();
            format!("[{}]", keys.join(","))
        }
        Some(("v:", value)) => format!("[={value}]"),
        _ => element.to_owned(),
    }
}
