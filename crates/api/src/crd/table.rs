//! Reads the field tables (`kinds.txt`, `pod_schema.txt`), whose notation the first one explains.

use std::collections::BTreeMap;

use serde_json::Value;

/// Types by name.
pub(super) type Table = BTreeMap<String, Type>;

/// An object type.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Type {
    /// Patches replace the whole object.
    pub(super) atomic: bool,
    /// Types whose fields this one has too.
    pub(super) includes: Vec<String>,
    /// Its own fields.
    pub(super) fields: Vec<Field>,
}

/// A field of an object type.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) required: bool,
    /// The type's name with its `[]` and `{}`.
    pub(super) type_name: String,
    pub(super) default: Option<Value>,
    pub(super) allowed: Vec<String>,
    pub(super) merge: Merge,
    pub(super) immutable: bool,
}

/// How patches merge a list or a map.
#[derive(Debug, Default, PartialEq)]
pub(super) enum Merge {
    #[default]
    Unstated,
    Atomic,
    Set,
    /// By the values of these keys.
    ByKey(Vec<String>),
}

/// Parses tables; a type may be used before it is described, and in another table.
///
/// # Errors
/// Names the first line that does not follow the notation.
pub(super) fn parse_tables(texts: &[&str]) -> Result<Table, String> {
    let mut table = Table::new();
    for text in texts {
        let mut current: Option<String> = None;
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                [] => {}
                [first, ..] if first.starts_with('#') => {}
                // A field may be called `type`, so a description is told by its indent.
                ["type", name, rest @ ..] if !line.starts_with(' ') => {
                    let atomic = match rest {
                        [] => false,
                        ["atomic"] => true,
                        _ => return Err(line.to_owned()),
                    };
                    let described = Type { atomic, ..Type::default() };
                    if table.insert((*name).to_owned(), described).is_some() {
                        return Err(format!("described twice: {line}"));
                    }
                    current = Some((*name).to_owned());
                }
                field => {
                    let described = current.as_ref().and_then(|name| table.get_mut(name));
                    let described = described.ok_or_else(|| line.to_owned())?;
                    match field {
                        ["...", included] => described.includes.push((*included).to_owned()),
                        [name, type_name, options @ ..] => {
                            let field =
                                parse_field(name, type_name, options).ok_or_else(|| line.to_owned())?;
                            described.fields.push(field);
                        }
                        _ => return Err(line.to_owned()),
                    }
                }
            }
        }
    }
    Ok(table)
}

fn parse_field(name: &str, type_name: &str, options: &[&str]) -> Option<Field> {
    let mut field = Field {
        name: name.trim_end_matches('!').to_owned(),
        required: name.ends_with('!'),
        type_name: type_name.to_owned(),
        ..Field::default()
    };
    let list = |text: &str| text.split(',').map(str::to_owned).collect();
    for option in options {
        match option.split_once('=') {
            Some(("default", json)) => field.default = Some(serde_json::from_str(json).ok()?),
            Some(("enum", words)) => field.allowed = list(words),
            Some(("map", keys)) => field.merge = Merge::ByKey(list(keys)),
            None if *option == "atomic" => field.merge = Merge::Atomic,
            None if *option == "set" => field.merge = Merge::Set,
            None if *option == "immutable" => field.immutable = true,
            _ => return None,
        }
    }
    Some(field)
}

#[cfg(test)]
mod tests {
    use super::parse_tables;

    #[test]
    fn lines_outside_the_notation_are_named() {
        for (text, line) in [
            ("name string", "name string"),
            ("type A b", "type A b"),
            ("type A\n  type", "  type"),
            ("type A\n  b", "  b"),
            ("type A\n  b string c", "  b string c"),
            ("type A\n  b string default=x", "  b string default=x"),
            ("type A\ntype A", "described twice: type A"),
        ] {
            assert_eq!(parse_tables(&[text]), Err(line.to_owned()));
        }
    }
}
