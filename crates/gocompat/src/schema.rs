//! Typed JSON the way Go writes it: which fields a type has, in which order, and when each is left out.
//!
//! The types are data, read once from the `.schema` files beside this module. Values stay untyped JSON: what a field's
//! type does not fit counts as absent, as do null and unknown fields.

use serde_json::Value;

use crate::{intstr, json, quantity::Quantity, time};

/// What a field may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Type {
    Text,
    Int,
    Bool,
    Quantity,
    IntOrString,
    Time,
    /// Any JSON, written as it was given.
    Raw,
    /// A type of the same schema, by index.
    Struct(usize),
    /// Absent is different from empty.
    Optional(Box<Type>),
    List(Box<Type>),
    Map(Box<Type>),
}

#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) always: bool,
    pub(crate) ty: Type,
}

#[derive(Debug)]
pub(crate) struct Struct {
    pub(crate) name: &'static str,
    pub(crate) fields: Vec<Field>,
}

/// A set of types; the first one describes the whole document.
#[derive(Debug)]
pub(crate) struct Schema {
    pub(crate) structs: Vec<Struct>,
}

/// For whom a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// What a Go program of today hashes.
    Current,
    /// What was hashed before the Kubernetes 1.34 libraries: every metadata has a creation time, null if need be.
    WithCreationTimestamp,
    /// For comparing: quantities by amount, empty collections as if absent. Not meant for reading.
    Comparable,
}

impl Schema {
    /// Reads the notation of the `.schema` files. A line that does not follow it is a mistake in this crate, which the
    /// tests below find; it is skipped.
    pub(crate) fn parse(text: &'static str) -> Self {
        let lines: Vec<(&str, &str)> = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.trim_end().strip_suffix('}')?.split_once('{'))
            .collect();
        let index_of = |name: &str| lines.iter().position(|(known, _)| *known == name);
        let structs = lines
            .iter()
            .map(|(name, body)| Struct { name, fields: parse_fields(body, &lines, &index_of) })
            .collect();
        Self { structs }
    }

    pub(crate) fn root(&self) -> Type {
        Type::Struct(0)
    }

    /// Appends `value` as JSON of type `ty`; `None` and null stand for the type's zero value.
    pub(crate) fn write(&self, out: &mut String, ty: &Type, value: Option<&Value>, form: Form) {
        match ty {
            Type::Text => json::write_string(out, value.and_then(Value::as_str).unwrap_or_default()),
            Type::Int => out.push_str(&int_of(value).unwrap_or_default().to_string()),
            Type::Bool => {
                out.push_str(if value.and_then(Value::as_bool) == Some(true) { "true" } else { "false" });
            }
            Type::Quantity => write_quantity(out, value, form),
            Type::IntOrString => match value {
                Some(Value::String(text)) => json::write_string(out, text),
                _ => out.push_str(&int_of(value).unwrap_or_default().to_string()),
            },
            Type::Time => match time_of(value) {
                Some(time) => json::write_string(out, &time::format_rfc3339(time)),
                None => out.push_str("null"),
            },
            Type::Raw => match value {
                Some(value) => json::write_value(out, value),
                None => out.push_str("null"),
            },
            Type::Struct(index) => self.write_struct(out, &self.structs[*index], value, form),
            Type::Optional(inner) => match value.filter(|value| fits(inner, value)) {
                Some(value) => self.write(out, inner, Some(value), form),
                None => out.push_str("null"),
            },
            Type::List(inner) => match value.and_then(Value::as_array) {
                Some(items) if !(items.is_empty() && form == Form::Comparable) => {
                    json::write_list(out, items, |out, item| self.write(out, inner, Some(item), form));
                }
                _ => out.push_str("null"),
            },
            Type::Map(inner) => self.write_map(out, inner, value, form),
        }
    }

    fn write_map(&self, out: &mut String, inner: &Type, value: Option<&Value>, form: Form) {
        let Some(entries) = value.and_then(Value::as_object) else {
            out.push_str("null");
            return;
        };
        let mut entries: Vec<_> = entries.iter().collect();
        entries.sort_unstable_by_key(|(key, _)| *key);
        out.push('{');
        for (index, (key, value)) in entries.into_iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            json::write_string(out, key);
            out.push(':');
            self.write(out, inner, Some(value), form);
        }
        out.push('}');
    }

    fn write_struct(&self, out: &mut String, ty: &Struct, value: Option<&Value>, form: Form) {
        let object = value.and_then(Value::as_object);
        out.push('{');
        let mut first = true;
        for field in &ty.fields {
            let value = object.and_then(|object| object.get(field.name));
            let always = field.always
                || form == Form::WithCreationTimestamp
                    && ty.name == "ObjectMeta"
                    && field.name == "creationTimestamp";
            if !always && is_empty(&field.ty, value) {
                continue;
            }
            if !std::mem::take(&mut first) {
                out.push(',');
            }
            json::write_string(out, field.name);
            out.push(':');
            self.write(out, &field.ty, value, form);
        }
        out.push('}');
    }
}

fn parse_fields(
    body: &'static str,
    lines: &[(&'static str, &'static str)],
    index_of: &impl Fn(&str) -> Option<usize>,
) -> Vec<Field> {
    let mut fields = Vec::new();
    for word in body.split_whitespace() {
        let embedded = word.strip_prefix('<').and_then(|word| word.strip_suffix('>'));
        if let Some(index) = embedded.and_then(index_of) {
            fields.extend(parse_fields(lines[index].1, lines, index_of));
        } else if let Some((name, ty)) = word.split_once(':')
            && let Some(ty) = parse_type(ty, index_of)
        {
            let bare = name.trim_end_matches('!');
            fields.push(Field { name: bare, always: bare.len() != name.len(), ty });
        }
    }
    fields
}

fn parse_type(text: &str, index_of: &impl Fn(&str) -> Option<usize>) -> Option<Type> {
    let inner = |rest| parse_type(rest, index_of).map(Box::new);
    if let Some(rest) = text.strip_prefix('?') {
        return inner(rest).map(Type::Optional);
    }
    if let Some(rest) = text.strip_prefix("[]") {
        return inner(rest).map(Type::List);
    }
    if let Some(rest) = text.strip_prefix("{}") {
        return inner(rest).map(Type::Map);
    }
    Some(match text {
        "str" => Type::Text,
        "int" => Type::Int,
        "bool" => Type::Bool,
        "Quantity" => Type::Quantity,
        "IntOrString" => Type::IntOrString,
        "Time" => Type::Time,
        "Raw" => Type::Raw,
        name => Type::Struct(index_of(name)?),
    })
}

/// Whether a field holding `value` is left out when it need not be written.
fn is_empty(ty: &Type, value: Option<&Value>) -> bool {
    match ty {
        Type::Text => value.and_then(Value::as_str).is_none_or(str::is_empty),
        Type::Int => int_of(value).unwrap_or_default() == 0,
        Type::Bool => value.and_then(Value::as_bool) != Some(true),
        // Neither is ever left out: Go does not call a struct empty.
        Type::Quantity | Type::IntOrString | Type::Struct(_) => false,
        Type::Time => time_of(value).is_none(),
        Type::Raw => value.is_none(),
        Type::Optional(inner) => !value.is_some_and(|value| fits(inner, value)),
        Type::List(_) => value.and_then(Value::as_array).is_none_or(Vec::is_empty),
        Type::Map(_) => value.and_then(Value::as_object).is_none_or(serde_json::Map::is_empty),
    }
}

/// Whether `value` can be read as `ty`, so that an optional field holding it counts as present.
pub(crate) fn fits(ty: &Type, value: &Value) -> bool {
    match ty {
        Type::Text => value.is_string(),
        Type::Int => int_of(Some(value)).is_some(),
        Type::Bool => value.is_boolean(),
        Type::Quantity => quantity_of(value).is_some(),
        Type::IntOrString => value.is_string() || int_of(Some(value)).is_some(),
        Type::Time => time_of(Some(value)).is_some(),
        Type::Raw => !value.is_null(),
        Type::Struct(_) | Type::Map(_) => value.is_object(),
        Type::Optional(inner) => fits(inner, value),
        Type::List(_) => value.is_array(),
    }
}

fn int_of(value: Option<&Value>) -> Option<i64> {
    value.and_then(Value::as_number).and_then(intstr::whole_number)
}

fn time_of(value: Option<&Value>) -> Option<jiff::Timestamp> {
    value.and_then(Value::as_str).and_then(time::parse_rfc3339)
}

/// The quantity a value names; numbers count by the text they are written with.
pub(crate) fn quantity_of(value: &Value) -> Option<Quantity> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => {
            let mut text = String::new();
            json::write_number(&mut text, number);
            text
        }
        _ => return None,
    };
    Quantity::parse(&text).ok()
}

fn write_quantity(out: &mut String, value: Option<&Value>, form: Form) {
    let text = match value.and_then(quantity_of) {
        Some(quantity) if form == Form::Comparable => quantity.amount_key(),
        Some(quantity) => quantity.canonical(),
        None if form == Form::Comparable => "e0".to_owned(),
        None => "0".to_owned(),
    };
    out.push('"');
    out.push_str(&text);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_the_schema_files_is_understood() {
        for text in [include_str!("pod_template.schema"), include_str!("canary_steps.schema")] {
            let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
            let schema = Schema::parse(text);
            assert_eq!(schema.structs.len(), lines.len());
            let index_of = |name: &str| schema.structs.iter().position(|s| s.name == name);
            for line in lines {
                let body = line.split_once('{').unwrap().1.strip_suffix('}').unwrap();
                for word in body.split_whitespace() {
                    let understood = match word.split_once(':') {
                        Some((_, ty)) => parse_type(ty, &index_of).is_some(),
                        None => index_of(word.trim_matches(['<', '>'])).is_some(),
                    };
                    assert!(understood, "{word} in {line}");
                }
            }
        }
    }
}
