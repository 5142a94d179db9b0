//! Go's `%q`: a string in double quotes with Go's escapes.

/// `strconv.Quote(text)`: printable characters stay as they are, others become `\n`, `\x01`, `\u00ad` or `\U000e0001`.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{07}' => out.push_str("\\a"),
            '\u{08}' => out.push_str("\\b"),
            '\u{0c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{0b}' => out.push_str("\\v"),
            printable if is_printable(printable) => out.push(printable),
            other => {
                let code = u32::from(other);
                out.push_str(&match code {
                    0..=0x1f | 0x7f => format!("\\x{code:02x}"),
                    0..=0xffff => format!("\\u{code:04x}"),
                    _ => format!("\\U{code:08x}"),
                });
            }
        }
    }
    out.push('"');
    out
}

/// Go's `unicode.IsPrint`: letters, marks, numbers, punctuation, symbols and the plain space.
pub fn is_printable(character: char) -> bool {
    // Rust's debug escaping draws the same line, except that it also escapes a combining mark with nothing before it.
    let text: String = ['a', character].iter().collect();
    matches!(character, '"' | '\\' | '\'') || text.escape_debug().count() == 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_quoted_as_in_go() {
        for (text, want) in [
            ("", r#""""#),
            ("abc", r#""abc""#),
            ("it's", r#""it's""#),
            ("a\"b\\c", r#""a\"b\\c""#),
            ("\u{7}\u{8}\u{c}\n\r\t\u{b}", r#""\a\b\f\n\r\t\v""#),
            ("\0\u{1b}\u{7f}", r#""\x00\x1b\x7f""#),
            ("ü☺\u{301}", "\"ü☺\u{301}\""),
            ("\u{a0}\u{ad}\u{feff}", r#""\u00a0\u00ad\ufeff""#),
            ("\u{e0001}", r#""\U000e0001""#),
        ] {
            assert_eq!(quote(text), want);
        }
    }
}
