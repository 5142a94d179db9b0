//! Go's regular expressions (RE2) on top of the `regex` crate: the same language but for a few spellings.

use regex::Regex;

/// The most bytes a compiled expression may take; a pattern is user input.
const SIZE_LIMIT: usize = 1 << 20;

/// Compiles a Go pattern.
///
/// # Errors
/// With a text in the form Go uses: ``error parsing regexp: …: `pattern` ``.
pub(crate) fn compile(pattern: &str) -> Result<Regex, String> {
    let translated = translate(pattern)?;
    regex::RegexBuilder::new(&translated)
        .size_limit(SIZE_LIMIT)
        .build()
        .map_err(|error| describe(&error, pattern))
}

fn describe(error: &regex::Error, pattern: &str) -> String {
    let text = error.to_string();
    let problem = if text.contains("unclosed character class") {
        let class = pattern.find('[').map_or(pattern, |start| &pattern[start..]);
        return format!("error parsing regexp: missing closing ]: `{class}`");
    } else if text.contains("unclosed group") {
        "missing closing )"
    } else if text.contains("unopened group") {
        "unexpected )"
    } else if text.contains("repetition operator missing expression") {
        "missing argument to repetition operator"
    } else if text.contains("escape") || text.contains("incomplete") {
        "invalid escape sequence"
    } else if text.contains("size limit") {
        "expression too large"
    } else {
        "invalid syntax"
    };
    format!("error parsing regexp: {problem}: `{pattern}`")
}

/// Rewrites what the two dialects spell differently.
fn translate(pattern: &str) -> Result<String, String> {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut rest = pattern;
    let mut in_class = false;
    let mut repetition = Repetition::None;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        if !in_class {
            repetition = repetition.after(c, after).ok_or_else(|| {
                format!("error parsing regexp: invalid nested repetition operator: `{rest}`")
            })?;
        }
        match c {
            '\\' => rest = escape(after, in_class, pattern, &mut out)?,
            '[' if !in_class => {
                in_class = true;
                rest = open_class(after, &mut out);
            }
            // `[:alpha:]` is the same in both; a lone bracket inside a class is a plain character to Go.
            '[' => match after.strip_prefix(':').and_then(|name| name.split_once(":]")) {
                Some((name, after)) => {
                    out.push_str(&format!("[:{name}:]"));
                    rest = after;
                }
                None => {
                    out.push_str("\\[");
                    rest = after;
                }
            },
            ']' if in_class => {
                in_class = false;
                out.push(']');
                rest = after;
            }
            '&' | '~' if in_class => {
                out.push('\\');
                out.push(c);
                rest = after;
            }
            '-' if in_class && after.starts_with('-') => {
                out.push_str("\\-");
                rest = after;
            }
            '{' if !in_class && !is_repetition(after) => {
                out.push_str("\\{");
                rest = after;
            }
            '(' if !in_class && after.starts_with('?') => {
                check_flags(&after[1..], pattern)?;
                out.push('(');
                rest = after;
            }
            _ => {
                out.push(c);
                rest = after;
            }
        }
    }
    Ok(out)
}

/// How far a repetition has come: Go allows `a*` and `a*?` but repeats no repetition.
#[derive(Clone, Copy, PartialEq)]
enum Repetition {
    None,
    Greedy,
    Lazy,
}

impl Repetition {
    fn after(self, c: char, rest: &str) -> Option<Self> {
        let repeats = matches!(c, '*' | '+' | '?') || c == '{' && is_repetition(rest);
        match (self, repeats) {
            // The rest of `{2,3}` is read character by character.
            (Self::Greedy, false) if matches!(c, '0'..='9' | ',' | '}') => Some(Self::Greedy),
            (_, false) => Some(Self::None),
            (Self::None, true) => Some(Self::Greedy),
            (Self::Greedy, true) if c == '?' => Some(Self::Lazy),
            _ => None,
        }
    }
}

/// The start of a class: a leading `]` is a plain character in it.
fn open_class<'a>(after: &'a str, out: &mut String) -> &'a str {
    out.push('[');
    let mut rest = after;
    if let Some(after) = rest.strip_prefix('^') {
        out.push('^');
        rest = after;
    }
    if let Some(after) = rest.strip_prefix(']') {
        out.push_str("\\]");
        rest = after;
    }
    rest
}

/// `{2}`, `{2,}` and `{2,3}` repeat; any other brace is a plain character.
fn is_repetition(after: &str) -> bool {
    after.split_once('}').is_some_and(|(body, _)| {
        let (low, high) = body.split_once(',').unwrap_or((body, ""));
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        !low.is_empty() && digits(low) && digits(high)
    })
}

/// Go knows the flags i, m, s and U only.
fn check_flags(after: &str, pattern: &str) -> Result<(), String> {
    let flags: String = after.chars().take_while(|c| c.is_ascii_alphabetic() || *c == '-').collect();
    let names_group = after.starts_with("P<") || after.starts_with('<');
    if names_group || flags.chars().all(|c| "imsU-".contains(c)) {
        return Ok(());
    }
    Err(format!("error parsing regexp: invalid or unsupported Perl syntax: `(?{flags}`: `{pattern}`"))
}

/// What follows a backslash; answers with the text after the escape.
fn escape<'a>(after: &'a str, in_class: bool, pattern: &str, out: &mut String) -> Result<&'a str, String> {
    let Some(c) = after.chars().next() else {
        return Err(format!("error parsing regexp: trailing backslash at end of expression: `{pattern}`"));
    };
    let rest = &after[c.len_utf8()..];
    // Go's shorthands and boundaries know ASCII only.
    let ascii = |inside: &str, outside: &str| if in_class { inside.to_owned() } else { outside.to_owned() };
    match c {
        'd' => out.push_str(&ascii("0-9", "[0-9]")),
        'w' => out.push_str(&ascii("0-9A-Za-z_", "[0-9A-Za-z_]")),
        's' => out.push_str(&ascii("\\t\\n\\x0c\\r ", "[\\t\\n\\x0c\\r ]")),
        'D' => out.push_str("[^0-9]"),
        'W' => out.push_str("[^0-9A-Za-z_]"),
        'S' => out.push_str("[^\\t\\n\\x0c\\r ]"),
        'b' if !in_class => out.push_str("(?-u:\\b)"),
        // Between two bytes of one character this matches in Go and nowhere else; characters are what users mean.
        'B' if !in_class => out.push_str("\\B"),
        'Q' if !in_class => {
            let (quoted, after) = rest.split_once("\\E").unwrap_or((rest, ""));
            out.push_str(&regex::escape(quoted));
            return Ok(after);
        }
        'A' | 'z' if !in_class => out.extend(['\\', c]),
        'a' | 'f' | 't' | 'n' | 'r' | 'v' | 'p' | 'P' | 'x' => out.extend(['\\', c]),
        '0'..='7' => {
            let digits: String = after.chars().take(3).take_while(|c| ('0'..='7').contains(c)).collect();
            // A single digit other than zero would refer back to a group, which RE2 does not do.
            if c != '0' && digits.len() < 2 {
                return Err(format!("error parsing regexp: invalid escape sequence: `\\{c}`"));
            }
            let code = u32::from_str_radix(&digits, 8).unwrap_or(0);
            out.push_str(&format!("\\x{{{code:x}}}"));
            return Ok(&after[digits.len()..]);
        }
        '<' | '>' => out.push(c),
        c if c.is_ascii_punctuation() => out.extend(['\\', c]),
        _ => return Err(format!("error parsing regexp: invalid escape sequence: `\\{c}`")),
    }
    Ok(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_go() {
        for (pattern, text, want) in [
            (r"^\d+$", "123", true),
            (r"^\d+$", "\u{663}", false),
            (r"\Qx.y\E", "x.y", true),
            (r"\Qx.y\E", "xzy", false),
            (r"\bfoo\b", "a foo b", true),
            (r"[\w.-]+@x", "a.b-c@x", true),
            (r"a{,2}", "a{,2}", true),
            (r"[[a]", "[", true),
            (r"[]a]", "]", true),
            (r"[a&&b]", "&", true),
            (r"\<a\>", "<a>", true),
            (r"(?i)ABC", "xabcx", true),
            (r"(?P<n>a)", "a", true),
            (r"\101", "A", true),
            (r"[\-\^]", "^", true),
            (r"[a\]b]", "]", true),
        ] {
            assert_eq!(compile(pattern).unwrap().is_match(text), want, "{pattern} on {text}");
        }
    }

    #[test]
    fn what_go_refuses_is_refused() {
        for pattern in ["[", "(", ")", "*", r"\1", r"\y", "(?x)a", "a**", "a*?+", r"\", "a{2,1}", r"(?=a)"] {
            assert!(compile(pattern).is_err(), "{pattern}");
        }
        assert_eq!(compile("[").unwrap_err(), "error parsing regexp: missing closing ]: `[`");
    }

    proptest::proptest! {
        #[test]
        fn no_pattern_panics(pattern in r"[\[\]\\(){}?*+^$|a-cQEdwsbB0-9:&~,.<>=!P-]{0,24}") {
            let _ = compile(&pattern).map(|regex| regex.is_match("abc"));
        }
    }
}
