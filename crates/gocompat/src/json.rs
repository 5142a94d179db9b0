//! Compact JSON as Go's `encoding/json` writes it: its escapes, its numbers, keys in byte order (R-233).

use serde_json::Value;

/// Appends `text` as a JSON string: besides the usual escapes also `<`, `>`, `&`, U+2028 and U+2029.
pub fn write_string(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{08}' => out.push_str("\\b"),
            '\u{0c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(character)));
            }
            _ => out.push(character),
        }
    }
    out.push('"');
}

/// Appends a JSON number; whole numbers stay whole, floats print as Go prints them.
pub fn write_number(out: &mut String, number: &serde_json::Number) {
    if number.is_f64() {
        let printed = number.as_f64().and_then(crate::float::format_json);
        out.push_str(printed.as_deref().unwrap_or("null"));
    } else {
        out.push_str(&number.to_string());
    }
}

/// Appends any JSON value, compact, with keys sorted bytewise.
pub fn write_value(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Number(number) => write_number(out, number),
        Value::String(text) => write_string(out, text),
        Value::Array(items) => write_list(out, items, write_value),
        Value::Object(entries) => {
            let mut keys: Vec<&String> = entries.keys().collect();
            keys.sort_unstable();
            out.push('{');
            for (index, key) in keys.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_string(out, key);
                out.push(':');
                write_value(out, &entries[key]);
            }
            out.push('}');
        }
    }
}

/// Appends `[…]` with every item written by `write_item`.
pub fn write_list<T>(out: &mut String, items: &[T], mut write_item: impl FnMut(&mut String, &T)) {
    out.push('[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_item(out, item);
    }
    out.push(']');
}

/// `json.Marshal` of an untyped value.
pub fn to_string(value: &Value) -> String {
    let mut out = String::new();
    write_value(&mut out, value);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn strings_are_escaped_as_in_go_r233() {
        let mut out = String::new();
        write_string(&mut out, "a<b>&\"\\\u{8}\u{c}\n\r\t\u{1}\u{7f}é\u{2028}\u{2029}");
        assert_eq!(out, "\"a\\u003cb\\u003e\\u0026\\\"\\\\\\b\\f\\n\\r\\t\\u0001\u{7f}é\\u2028\\u2029\"");
    }

    #[test]
    fn values_print_compact_with_sorted_keys() {
        let value = json!({"b": [1, 2.0, 1e21, null, true], "a": {"z": "x", "Z": 1e-7}});
        assert_eq!(to_string(&value), r#"{"a":{"Z":1e-7,"z":"x"},"b":[1,2,1e+21,null,true]}"#);
    }
}
