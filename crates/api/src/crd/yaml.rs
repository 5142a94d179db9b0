//! Writes a JSON value as block YAML, for files that people review.

use std::fmt::Write as _;

use serde_json::Value;

/// Renders a value as a YAML document with sorted keys, so that a build's map type does not show.
///
/// Text that YAML could read as something else is quoted the JSON way, which YAML shares.
#[must_use]
pub fn render_yaml(value: &Value) -> String {
    let mut out = String::new();
    render_into(&mut out, value, 0, false);
    out
}

/// Writes a value that begins on a line of its own, or after a list item's dash.
fn render_into(out: &mut String, value: &Value, indent: usize, after_dash: bool) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            for (index, (key, item)) in entries.into_iter().enumerate() {
                if index > 0 || !after_dash {
                    pad(out, indent);
                }
                out.push_str(&scalar(&Value::String(key.clone())));
                out.push(':');
                render_nested(out, item, indent);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                if index > 0 || !after_dash {
                    pad(out, indent);
                }
                out.push_str("- ");
                render_into(out, item, indent + 2, true);
            }
        }
        other => {
            if !after_dash {
                pad(out, indent);
            }
            out.push_str(&scalar(other));
            out.push('\n');
        }
    }
}

fn render_nested(out: &mut String, item: &Value, indent: usize) {
    match item {
        Value::Object(map) if !map.is_empty() => {
            out.push('\n');
            render_into(out, item, indent + 2, false);
        }
        Value::Array(items) if !items.is_empty() => {
            out.push('\n');
            render_into(out, item, indent, false);
        }
        other => {
            out.push(' ');
            out.push_str(&scalar(other));
            out.push('\n');
        }
    }
}

fn pad(out: &mut String, indent: usize) {
    let _ = write!(out, "{:indent$}", "");
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) if is_plain(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Whether YAML reads the bare text as that very text.
fn is_plain(text: &str) -> bool {
    const RESERVED: [&str; 10] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan"];
    let word = |c: char| c.is_ascii_alphanumeric() || "-_./ ()".contains(c);
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(word)
        && !text.ends_with(' ')
        && !RESERVED.contains(&text.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::render_yaml;

    #[test]
    fn nested_lists_and_maps_are_written_in_block_style() {
        let value = json!({
            "a": {"b": [{"c": 1, "d": ["x", []]}, {}], "e": null},
            "f": "yes", "g": "1", "h": "it's: odd", "i": "plain words (here)", "j": true, "k": "",
        });
        let want = "a:\n  b:\n  - c: 1\n    d:\n    - x\n    - []\n  - {}\n  e: null\nf: \"yes\"\ng: \"1\"\n\
                    h: \"it's: odd\"\ni: plain words (here)\nj: true\nk: \"\"\n";
        assert_eq!(render_yaml(&value), want);
    }
}
