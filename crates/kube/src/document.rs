//! Reads an object as the API server sends it, without `metadata.managedFields`: often half of the text, and of no
//! interest to any decision, so it is passed over instead of being built and thrown away.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

/// Reads an object.
///
/// # Errors
/// When the text is not a JSON object.
pub(crate) fn parse_document(text: &str) -> Result<Value, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let document = Members { without: None }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(document)
}

/// The members of an object: of the document itself, whose metadata is read by another one of these, or of the
/// metadata, from which one member is left out.
#[derive(Clone, Copy)]
struct Members {
    without: Option<&'static str>,
}

impl<'de> DeserializeSeed<'de> for Members {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if self.without == Some(name.as_str()) {
                members.next_value::<IgnoredAny>()?;
            } else if self.without.is_none() && name == "metadata" {
                map.insert(name, members.next_value_seed(Self { without: Some("managedFields") })?);
            } else {
                map.insert(name, members.next_value()?);
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_managed_fields_of_the_object_itself_are_left_out() {
        let text = json!({
            "kind": "Rollout",
            "metadata": {"name": "web", "managedFields": [{"manager": "kubectl"}], "labels": {"managedFields": "x"}},
            "spec": {"metadata": {"managedFields": 1}},
        });
        let expected = json!({
            "kind": "Rollout",
            "metadata": {"name": "web", "labels": {"managedFields": "x"}},
            "spec": {"metadata": {"managedFields": 1}},
        });
        assert_eq!(parse_document(&text.to_string()).unwrap(), expected);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for text in ["", "[]", "{", "{} {}", r#"{"metadata": 3}"#] {
            assert!(parse_document(text).is_err(), "{text}");
        }
    }
}
