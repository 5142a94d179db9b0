//! Objects by key, the lately used ones as documents, the others as text.
//!
//! A parsed pod takes about ten times the room of its text, because every small map is a tree node with room for
//! eleven entries. Few pods of a large plane are ever looked at twice in a row, so most of them rest as text.

use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeBounds;

use crate::object::{Key, Object};

/// The most objects kept as documents. Below that nothing is ever packed, so small planes pay nothing.
const DOCUMENTS: usize = 1024;

enum Kept {
    /// A document, and the number of the write that put it here.
    Document(Object, u64),
    Text(Box<[u8]>),
}

impl Kept {
    fn object(&self) -> Object {
        match self {
            Self::Document(object, _) => object.clone(),
            Self::Text(text) => unpack(text),
        }
    }
}

/// The objects of one cache.
#[derive(Default)]
pub(crate) struct Shelf {
    objects: BTreeMap<Key, Kept>,
    /// The latest writes, oldest first. A key is here once for each of its writes; only the last one counts.
    recent: VecDeque<(u64, Key)>,
    writes: u64,
}

impl Shelf {
    /// One object.
    pub fn get(&self, key: &Key) -> Option<Object> {
        self.objects.get(key).map(Kept::object)
    }

    /// Every object in key order.
    pub fn values(&self) -> impl Iterator<Item = Object> {
        self.objects.values().map(Kept::object)
    }

    /// Every key in order.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.objects.keys()
    }

    /// The keys and objects of a range of keys, in order.
    pub fn range(&self, keys: impl RangeBounds<Key>) -> impl Iterator<Item = (&Key, Object)> {
        self.objects.range(keys).map(|(key, kept)| (key, kept.object()))
    }

    /// Keeps an object; returns the one it replaces.
    pub fn insert(&mut self, key: Key, object: Object) -> Option<Object> {
        self.writes += 1;
        self.recent.push_back((self.writes, key.clone()));
        let old = self.objects.insert(key, Kept::Document(object, self.writes));
        while self.recent.len() > DOCUMENTS {
            self.pack_oldest();
        }
        old.map(|old| old.object())
    }

    /// Forgets an object; returns it.
    pub fn remove(&mut self, key: &Key) -> Option<Object> {
        self.objects.remove(key).map(|old| old.object())
    }

    fn pack_oldest(&mut self) {
        let Some((write, key)) = self.recent.pop_front() else { return };
        if let Some(kept) = self.objects.get_mut(&key)
            && let Kept::Document(object, written) = kept
            && *written == write
        {
            *kept = Kept::Text(object.value().to_string().into_bytes().into_boxed_slice());
        }
    }
}

#[expect(clippy::expect_used, reason = "the text was written from a document")]
fn unpack(text: &[u8]) -> Object {
    let value: serde_json::Value =
        serde_json::from_slice(text).expect("what was written as JSON is read as JSON");
    value.into()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn key(number: usize) -> Key {
        Key::new("n", format!("pod-{number:05}"))
    }

    fn pod(number: usize, version: u64) -> Value {
        json!({"metadata": {"name": format!("pod-{number:05}"), "resourceVersion": version.to_string()},
            "spec": {"weight": 0.1, "large": u64::MAX, "text": "\u{1f600}\n"}})
    }

    fn documents(shelf: &Shelf) -> usize {
        shelf.objects.values().filter(|kept| matches!(kept, Kept::Document(..))).count()
    }

    #[test]
    fn what_was_packed_reads_as_what_was_put() {
        let mut shelf = Shelf::default();
        for number in 0..2 * DOCUMENTS {
            assert_eq!(shelf.insert(key(number), pod(number, 1).into()), None);
        }
        assert_eq!(documents(&shelf), DOCUMENTS);
        assert!(shelf.values().zip(0..).all(|(object, number)| *object.value() == pod(number, 1)));
        assert_eq!(shelf.remove(&key(0)), Some(pod(0, 1).into()));
        assert_eq!(shelf.get(&key(0)), None);
    }

    #[test]
    fn an_object_that_keeps_changing_stays_a_document() {
        let mut shelf = Shelf::default();
        for number in 0..4 * DOCUMENTS {
            shelf.insert(key(number), pod(number, 1).into());
            shelf.insert(Key::new("n", "busy"), pod(0, number as u64).into());
        }
        assert!(matches!(shelf.objects[&Key::new("n", "busy")], Kept::Document(..)));
        assert!(documents(&shelf) <= DOCUMENTS);
        assert_eq!(shelf.insert(key(0), pod(0, 2).into()), Some(pod(0, 1).into()));
    }

    #[test]
    fn few_objects_are_never_packed() {
        let mut shelf = Shelf::default();
        for number in 0..DOCUMENTS {
            shelf.insert(key(number), pod(number, 1).into());
        }
        assert_eq!(documents(&shelf), DOCUMENTS);
    }
}
