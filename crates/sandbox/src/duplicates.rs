//! Keys that stand twice in one JSON object. The parser keeps the last of them; the client is told.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The paths of the keys that stand more than once, in order. Text that is no JSON has none.
pub(crate) fn duplicate_fields(body: &[u8]) -> Vec<String> {
    let found = RefCell::new(Vec::new());
    let mut reader = serde_json::Deserializer::from_slice(body);
    // What is wrong with the text is said by whoever parses it for its meaning.
    let _ = Walk { at: String::new(), found: &found }.deserialize(&mut reader);
    found.into_inner()
}

struct Walk<'a> {
    at: String,
    found: &'a RefCell<Vec<String>>,
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut keys = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            let at = if self.at.is_empty() { key.clone() } else { format!("{}.{key}", self.at) };
            if keys.insert(key) {
                map.next_value_seed(Walk { at, found: self.found })?;
            } else {
                self.found.borrow_mut().push(at);
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let mut index = 0;
        while list
            .next_element_seed(Walk { at: format!("{}[{index}]", self.at), found: self.found })?
            .is_some()
        {
            index += 1;
        }
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::duplicate_fields;

    #[test]
    fn keys_that_stand_twice_are_named_by_their_path() {
        let table = [
            (r#"{"a":1,"b":{"c":1,"c":2},"a":3}"#, vec!["b.c", "a"]),
            (r#"{"a":[{"b":null},{"b":true,"b":"x"}]}"#, vec!["a[1].b"]),
            (r#"{"a":{"b":1},"c":{"b":1}}"#, vec![]),
            ("not json", vec![]),
        ];
        for (text, expected) in table {
            assert_eq!(duplicate_fields(text.as_bytes()), expected, "{text}");
        }
    }
}
