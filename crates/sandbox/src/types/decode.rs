//! Reads an object as its type says, the way Go's decoder and encoder would leave it: unknown fields
//! gone and named, nulls and zero values left out or written as the type wants them.

use serde_json::{Map, Number, Value, json};

use super::{Field, Shape, Type, named, quantity};

/// What reading found besides the object.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Decoded {
    /// Full paths of fields the type does not have.
    pub unknown: Vec<String>,
}

/// Reads `object` as `kind`, in place.
///
/// # Errors
/// The decoder's words for the first value of a wrong type.
pub(crate) fn decode(kind: &'static Type, object: &mut Value, at: &str) -> Result<Decoded, String> {
    let mut reader = Reader { decoded: Decoded::default(), bare: false };
    let found = std::mem::take(object);
    *object = reader.object(kind, found, at, "")?;
    Ok(reader.decoded)
}

/// Reads `object` without filling in or leaving out zero values: only what is there changes its form.
///
/// # Errors
/// As [`decode`].
pub(crate) fn decode_bare(kind: &'static Type, object: &mut Value) -> Result<Decoded, String> {
    let mut reader = Reader { decoded: Decoded::default(), bare: true };
    let found = std::mem::take(object);
    *object = reader.object(kind, found, "", "")?;
    Ok(reader.decoded)
}

struct Reader {
    decoded: Decoded,
    bare: bool,
}

impl Reader {
    fn object(&mut self, kind: &'static Type, value: Value, at: &str, owner: &str) -> Result<Value, String> {
        let map = match value {
            Value::Object(map) => map,
            Value::Null => Map::new(),
            other => {
                return Err(mismatch(
                    &other,
                    owner,
                    at,
                    &format!("{}.{}", version_of(kind.name), kind.go_name()),
                ));
            }
        };
        let mut out = Map::new();
        for (key, value) in map {
            let path = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
            let Some(field) = kind.field(&key) else {
                self.decoded.unknown.push(path);
                continue;
            };
            if let Some(value) = self.value(&field.shape, value, &path, kind.go_name())?
                && !(field.dropped_when_zero && !self.bare && is_zero(&field.shape, &value))
            {
                out.insert(key, value);
            }
        }
        let bare = self.bare;
        for field in kind.fields.iter().filter(|field| field.always_there && !bare) {
            if !out.contains_key(field.name) {
                let zero = self.zero(field, at, kind)?;
                out.insert(field.name.to_owned(), zero);
            }
        }
        Ok(Value::Object(out))
    }

    /// What Go prints for a field that was never set.
    fn zero(&mut self, field: &Field, at: &str, kind: &'static Type) -> Result<Value, String> {
        Ok(match &field.shape {
            Shape::String => json!(""),
            Shape::Int32 | Shape::Int64 | Shape::Double => json!(0),
            Shape::Bool => json!(false),
            Shape::Quantity => json!("0"),
            Shape::IntOrString => json!(0),
            Shape::Type(name) => match named(name) {
                Some(inner) => self.object(inner, Value::Null, at, kind.go_name())?,
                None => json!({}),
            },
            _ => Value::Null,
        })
    }

    fn value(&mut self, shape: &Shape, value: Value, at: &str, owner: &str) -> Result<Option<Value>, String> {
        if value.is_null() && !matches!(shape, Shape::Any) {
            return Ok(None);
        }
        let wrong = |value: &Value, wanted: &str| Err(mismatch(value, owner, at, wanted));
        let read = match (shape, value) {
            (Shape::Any, value) => value,
            (Shape::Bytes, Value::String(text)) => match illegal_base64(&text) {
                Some(at) => return Err(format!("illegal base64 data at input byte {at}")),
                None => Value::String(text),
            },
            (Shape::String, Value::String(text)) => Value::String(text),
            (Shape::Time, Value::String(text)) => match text.parse::<jiff::Timestamp>() {
                Ok(at) => json!(crate::plane::format_seconds(at)),
                Err(_) => {
                    return Err(format!(
                        "parsing time {text:?} as \"2006-01-02T15:04:05Z07:00\": cannot parse {text:?} as \"2006\""
                    ));
                }
            },
            (Shape::MicroTime, Value::String(text)) => match text.parse::<jiff::Timestamp>() {
                Ok(at) => json!(at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()),
                Err(_) => {
                    return Err(format!(
                        "parsing time {text:?} as \"2006-01-02T15:04:05.000000Z07:00\": cannot parse {text:?} as \"2006\""
                    ));
                }
            },
            (Shape::Bool, Value::Bool(flag)) => Value::Bool(flag),
            (Shape::Int32, Value::Number(number)) => match whole(&number) {
                Some(whole) if i32::try_from(whole).is_ok() => json!(whole),
                _ => return Err(number_mismatch(&number, owner, at, "int32")),
            },
            (Shape::Int64, Value::Number(number)) => match whole(&number) {
                Some(whole) => json!(whole),
                None => return Err(number_mismatch(&number, owner, at, "int64")),
            },
            (Shape::Double, Value::Number(number)) => Value::Number(number),
            (Shape::IntOrString, Value::Number(number)) => match whole(&number) {
                Some(whole) if i32::try_from(whole).is_ok() => json!(whole),
                _ => return Err(number_mismatch(&number, owner, at, "int32")),
            },
            (Shape::IntOrString, Value::String(text)) => Value::String(text),
            (Shape::Quantity, Value::String(text)) => read_quantity(&text)?,
            (Shape::Quantity, Value::Number(number)) => read_quantity(&number.to_string())?,
            (Shape::Quantity, _) => read_quantity("?")?,
            (Shape::List(item), Value::Array(items)) => {
                let mut out = Vec::with_capacity(items.len());
                for (index, value) in items.into_iter().enumerate() {
                    let path = format!("{at}[{index}]");
                    let value = match (&**item, value) {
                        (Shape::Type(_), Value::Null) => json!({}),
                        (Shape::String, Value::Null) => json!(""),
                        (_, value) => value,
                    };
                    out.push(self.value(item, value, &path, owner)?.unwrap_or(Value::Null));
                }
                Value::Array(out)
            }
            (Shape::Map(inner), Value::Object(map)) => {
                let mut out = Map::new();
                for (key, value) in map {
                    // Go's messages do not name the key.
                    let path =
                        if matches!(**inner, Shape::Type(_)) { format!("{at}.{key}") } else { at.to_owned() };
                    // Go keeps the key of a null and gives it the zero value.
                    let value = match self.value(inner, value, &path, owner)? {
                        Some(value) => value,
                        None if **inner == Shape::String => json!(""),
                        None => Value::Null,
                    };
                    out.insert(key, value);
                }
                Value::Object(out)
            }
            (Shape::Type(name), value) => match named(name) {
                Some(kind) => self.object(kind, value, at, owner)?,
                None => value,
            },
            (shape, value) => return wrong(&value, &go_type(shape)),
        };
        Ok(Some(read))
    }
}

fn read_quantity(text: &str) -> Result<Value, String> {
    quantity::canonical(text).map(Value::String).ok_or_else(|| {
        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
            .to_owned()
    })
}

/// The number as an integer; `3.0` counts, `3.5` does not.
fn whole(number: &Number) -> Option<i64> {
    number.as_i64().or_else(|| {
        let float = number.as_f64()?;
        #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and small")]
        (float.fract() == 0.0 && float.abs() < 9e15).then_some(float as i64)
    })
}

fn is_zero(shape: &Shape, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty() && matches!(shape, Shape::Map(_) | Shape::Type(_)),
    }
}

fn version_of(name: &str) -> &str {
    name.split('.').nth(1).unwrap_or("v1")
}

fn go_type(shape: &Shape) -> String {
    match shape {
        Shape::String => "string".into(),
        Shape::Int32 => "int32".into(),
        Shape::Int64 => "int64".into(),
        Shape::Double => "float64".into(),
        Shape::Bool => "bool".into(),
        Shape::Bytes => "[]uint8".into(),
        Shape::Time => "v1.Time".into(),
        Shape::MicroTime => "v1.MicroTime".into(),
        Shape::Quantity => "resource.Quantity".into(),
        Shape::IntOrString => "intstr.IntOrString".into(),
        Shape::Any => "interface {}".into(),
        Shape::List(inner) => format!("[]{}", go_type(inner)),
        Shape::Map(inner) => format!("map[string]{}", go_type(inner)),
        Shape::Type(name) => format!("{}.{}", version_of(name), name.rsplit('.').next().unwrap_or(name)),
    }
}

fn number_mismatch(number: &Number, owner: &str, at: &str, wanted: &str) -> String {
    format!(
        "json: cannot unmarshal number {number} into Go struct field {owner}.{} of type {wanted}",
        without_indices(at)
    )
}

fn mismatch(value: &Value, owner: &str, at: &str, wanted: &str) -> String {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if at.is_empty() {
        return format!("json: cannot unmarshal {found} into Go value of type {wanted}");
    }
    let wanted = if wanted == "intstr.IntOrString" { "int32" } else { wanted };
    format!(
        "json: cannot unmarshal {found} into Go struct field {owner}.{} of type {wanted}",
        with_embedded(&without_indices(at))
    )
}

/// Go's messages name the types that are embedded in others, where JSON does not.
fn with_embedded(path: &str) -> String {
    let mut path = path.replace(".rules.http", ".rules.IngressRuleValue.http");
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        for action in ["exec", "grpc", "httpGet", "tcpSocket"] {
            path = path.replace(&format!("{probe}.{action}"), &format!("{probe}.ProbeHandler.{action}"));
        }
    }
    path
}

/// Go's messages name fields without list positions.
fn without_indices(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut inside = false;
    for c in path.chars() {
        match c {
            '[' => inside = true,
            ']' => inside = false,
            c if !inside => out.push(c),
            _ => {}
        }
    }
    out
}

/// Where text stops being base64.
fn illegal_base64(text: &str) -> Option<usize> {
    use base64::Engine as _;
    let plain: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    base64::engine::general_purpose::STANDARD.decode(&plain).err()?;
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
    Some(text.chars().position(|c| !legal(c)).unwrap_or(plain.len() / 4 * 4))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::of_kind;

    fn read(kind: &str, mut object: Value) -> Result<(Value, Vec<String>), String> {
        let kind = of_kind("apps/v1", kind).unwrap();
        let decoded = decode(kind, &mut object, "")?;
        Ok((object, decoded.unknown))
    }

    #[test]
    fn unknown_fields_are_named_by_their_full_path() {
        let (object, unknown) = read(
            "Deployment",
            json!({ "spec": { "replica": 1, "template": { "spec": { "containers": [{ "name": "a", "imag": "x" }] } } } }),
        )
        .unwrap();
        assert_eq!(unknown, ["spec.replica", "spec.template.spec.containers[0].imag"]);
        assert!(object["spec"].get("replica").is_none());
    }

    #[test]
    fn values_of_a_wrong_type_get_the_words_of_go() {
        let table = [
            (
                json!({ "spec": { "replicas": "three" } }),
                "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
            ),
            (
                json!({ "spec": { "template": { "spec": { "containers": [{ "name": 3 }] } } } }),
                "json: cannot unmarshal number into Go struct field Container.spec.template.spec.containers.name of type string",
            ),
            (
                json!({ "spec": [] }),
                "json: cannot unmarshal array into Go struct field Deployment.spec of type v1.DeploymentSpec",
            ),
        ];
        for (object, expected) in table {
            assert_eq!(read("Deployment", object).unwrap_err(), expected);
        }
    }

    #[test]
    fn zero_values_are_left_out_or_printed_as_go_does() {
        let (object, _) = read(
            "Deployment",
            json!({ "metadata": { "labels": {} }, "spec": { "paused": false, "minReadySeconds": 0, "replicas": 0,
                "template": { "spec": { "containers": [{ "name": "a", "resources": { "limits": { "cpu": 0.5 } }, "command": null }] } } } }),
        )
        .unwrap();
        assert_eq!(
            object,
            json!({ "metadata": {}, "spec": { "replicas": 0, "strategy": {}, "template": { "metadata": {},
                "spec": { "containers": [{ "name": "a", "resources": { "limits": { "cpu": "500m" } } }] } } }, "status": {} })
        );
    }
}
