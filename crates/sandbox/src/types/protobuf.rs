//! Request bodies in protobuf, which `kubectl create`'s generators and typed Go clients send: read by
//! the same table of types into the JSON that everything else works on.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::{Field, Shape, Type, named, of_kind};

const MAGIC: &[u8] = b"k8s\0";

/// A body whose content cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Reads an enveloped object. `None` in the type's place means that its kind is not known.
pub(crate) fn decode(body: &[u8]) -> Result<Value, Malformed> {
    let envelope = body.strip_prefix(MAGIC).ok_or(Malformed)?;
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    for entry in Entries(envelope) {
        match entry? {
            (1, Wire::Bytes(meta)) => {
                for entry in Entries(meta) {
                    match entry? {
                        (1, Wire::Bytes(text)) => api_version = utf8(text)?,
                        (2, Wire::Bytes(text)) => kind = utf8(text)?,
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let found = match kind.as_str() {
        "DeleteOptions" => named("meta.v1.DeleteOptions"),
        kind => of_kind(&api_version, kind),
    };
    let mut object = message(found.ok_or(Malformed)?, raw, "")?;
    object.insert("apiVersion".into(), json!(api_version));
    object.insert("kind".into(), json!(kind));
    Ok(Value::Object(object))
}

/// A value as the wire has it.
#[derive(Clone, Copy, Debug)]
enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(&'a [u8]),
}

/// The numbered values of a message.
struct Entries<'a>(&'a [u8]);

impl<'a> Iterator for Entries<'a> {
    type Item = Result<(u64, Wire<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let entry = self.read();
        if entry.is_err() {
            self.0 = &[];
        }
        Some(entry)
    }
}

impl<'a> Entries<'a> {
    fn read(&mut self) -> Result<(u64, Wire<'a>), Malformed> {
        let tag = self.varint()?;
        let wire = match tag & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => Wire::Fixed64(u64::from_le_bytes(self.chunk::<8>()?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
                let (bytes, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
                self.0 = rest;
                Wire::Bytes(bytes)
            }
            5 => Wire::Fixed32(u32::from_le_bytes(self.chunk::<4>()?)),
            _ => return Err(Malformed),
        };
        Ok((tag >> 3, wire))
    }

    fn chunk<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (bytes, rest) = self.0.split_first_chunk::<N>().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*bytes)
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(Malformed)?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed)
    }
}

/// A message of that type. `prefix` names the embedded message it is, `2.` for the one at field 2.
fn message(kind: &'static Type, bytes: &[u8], prefix: &str) -> Result<Map<String, Value>, Malformed> {
    let mut object = Map::new();
    for entry in Entries(bytes) {
        let (number, wire) = entry?;
        let own = format!("{prefix}{number}");
        if let Some(field) = kind.fields.iter().find(|field| field.number == Some(own.as_str())) {
            put(field, wire, &mut object)?;
            continue;
        }
        let inner = format!("{own}.");
        let embedded =
            kind.fields.iter().any(|field| field.number.is_some_and(|number| number.starts_with(&inner)));
        if let (true, Wire::Bytes(bytes)) = (embedded, wire) {
            object.extend(message(kind, bytes, &inner)?);
        }
    }
    Ok(object)
}

fn put(field: &'static Field, wire: Wire<'_>, object: &mut Map<String, Value>) -> Result<(), Malformed> {
    match &field.shape {
        Shape::List(item) => {
            let value = scalar_or_message(item, wire)?;
            let list = object.entry(field.name).or_insert_with(|| json!([]));
            if let Value::Array(list) = list {
                list.push(value);
            }
        }
        Shape::Map(inner) => {
            let Wire::Bytes(bytes) = wire else { return Err(Malformed) };
            let (mut key, mut value) = (String::new(), None);
            for entry in Entries(bytes) {
                match entry? {
                    (1, Wire::Bytes(text)) => key = utf8(text)?,
                    (2, wire) => value = Some(scalar_or_message(inner, wire)?),
                    _ => {}
                }
            }
            let value = value.unwrap_or(if **inner == Shape::String { json!("") } else { json!({}) });
            let map = object.entry(field.name).or_insert_with(|| json!({}));
            crate::document::as_map(map).insert(key, value);
        }
        shape => {
            object.insert(field.name.to_owned(), scalar_or_message(shape, wire)?);
        }
    }
    Ok(())
}

fn scalar_or_message(shape: &Shape, wire: Wire<'_>) -> Result<Value, Malformed> {
    Ok(match (shape, wire) {
        (Shape::String, Wire::Bytes(text)) => json!(utf8(text)?),
        (Shape::Bytes, Wire::Bytes(bytes)) => json!(STANDARD.encode(bytes)),
        (Shape::Bool, Wire::Varint(flag)) => json!(flag != 0),
        #[expect(clippy::cast_possible_wrap, reason = "protobuf sends negative integers as two's complement")]
        (Shape::Int32 | Shape::Int64, Wire::Varint(number)) => json!(number as i64),
        (Shape::Double, Wire::Fixed64(bits)) => json!(f64::from_bits(bits)),
        (Shape::Double, Wire::Fixed32(bits)) => json!(f32::from_bits(bits)),
        (Shape::Time | Shape::MicroTime, Wire::Bytes(bytes)) => time(bytes)?,
        (Shape::Quantity, Wire::Bytes(bytes)) => json!(utf8(first_bytes(bytes)?)?),
        (Shape::IntOrString, Wire::Bytes(bytes)) => int_or_string(bytes)?,
        (Shape::Any, Wire::Bytes(bytes)) => {
            serde_json::from_slice(first_bytes(bytes)?).unwrap_or(Value::Null)
        }
        (Shape::Type(name), Wire::Bytes(bytes)) => match named(name) {
            Some(kind) => Value::Object(message(kind, bytes, "")?),
            None => return Err(Malformed),
        },
        _ => return Err(Malformed),
    })
}

fn utf8(bytes: &[u8]) -> Result<String, Malformed> {
    String::from_utf8(bytes.to_vec()).map_err(|_| Malformed)
}

/// Field 1 of a message that wraps nothing else.
fn first_bytes(bytes: &[u8]) -> Result<&[u8], Malformed> {
    for entry in Entries(bytes) {
        if let (1, Wire::Bytes(inner)) = entry? {
            return Ok(inner);
        }
    }
    Ok(&[])
}

fn time(bytes: &[u8]) -> Result<Value, Malformed> {
    let (mut seconds, mut nanos) = (0_i64, 0_i32);
    for entry in Entries(bytes) {
        #[expect(
            clippy::cast_possible_wrap,
            clippy::cast_possible_truncation,
            reason = "two's complement again"
        )]
        match entry? {
            (1, Wire::Varint(number)) => seconds = number as i64,
            (2, Wire::Varint(number)) => nanos = number as i32,
            _ => {}
        }
    }
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    let at = jiff::Timestamp::new(seconds, nanos).map_err(|_| Malformed)?;
    Ok(json!(at.to_string()))
}

fn int_or_string(bytes: &[u8]) -> Result<Value, Malformed> {
    let (mut is_text, mut number, mut text) = (false, 0_i64, String::new());
    for entry in Entries(bytes) {
        match entry? {
            (1, Wire::Varint(kind)) => is_text = kind == 1,
            #[expect(clippy::cast_possible_wrap, reason = "two's complement again")]
            (2, Wire::Varint(value)) => number = value as i64,
            (3, Wire::Bytes(value)) => text = utf8(value)?,
            _ => {}
        }
    }
    Ok(if is_text { json!(text) } else { json!(number) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A length-delimited field.
    fn bytes(number: u8, content: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2, u8::try_from(content.len()).unwrap()];
        out.extend_from_slice(content);
        out
    }

    fn enveloped(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
        let meta = [bytes(1, api_version.as_bytes()), bytes(2, kind.as_bytes())].concat();
        [MAGIC.to_vec(), bytes(1, &meta), bytes(2, raw)].concat()
    }

    #[test]
    fn a_config_map_reads_as_its_json() {
        let metadata = bytes(1, b"c");
        let entry = [bytes(1, b"a"), bytes(2, b"b")].concat();
        let raw = [bytes(1, &metadata), bytes(2, &entry)].concat();
        assert_eq!(
            decode(&enveloped("v1", "ConfigMap", &raw)).unwrap(),
            json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "c" }, "data": { "a": "b" } })
        );
    }

    #[test]
    fn embedded_messages_are_part_of_the_object_around_them() {
        let empty_dir = bytes(2, &[]);
        let volume = [bytes(1, b"v"), bytes(2, &empty_dir)].concat();
        let pod = bytes(2, &bytes(1, &volume));
        assert_eq!(
            decode(&enveloped("v1", "Pod", &pod)).unwrap()["spec"]["volumes"],
            json!([{ "name": "v", "emptyDir": {} }])
        );
    }

    #[test]
    fn cut_or_foreign_bytes_are_malformed() {
        let whole = enveloped("v1", "ConfigMap", &bytes(1, &bytes(1, b"c")));
        for cut in 0..whole.len() {
            // Nothing panics; a cut between fields may still read.
            let _ = decode(&whole[..cut]);
        }
        assert_eq!(decode(b"{}"), Err(Malformed));
        assert_eq!(decode(&enveloped("v9", "Nothing", &[])), Err(Malformed));
        assert_eq!(decode(&[MAGIC, &[0xff; 12]].concat()), Err(Malformed));
    }
}
