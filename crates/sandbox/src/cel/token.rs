//! From text to tokens.

use serde_json::{Value, json};

/// A token.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Literal(Value),
    Ident(String),
    /// An operator or a bracket.
    Sign(&'static str),
}

const SIGNS: &[&str] = &[
    "||", "&&", "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "%", "!", "?", ":", "(", ")", "[", "]",
    ".", ",",
];

/// All tokens; `None` when a character fits nowhere.
pub(super) fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, after) = if first.is_ascii_digit() {
            number(rest)?
        } else if matches!(first, '"' | '\'') {
            quoted(rest, first, false)?
        } else if first == 'r' && rest[1..].starts_with(['"', '\'']) {
            quoted(&rest[1..], rest[1..].chars().next()?, true)?
        } else if first.is_ascii_alphabetic() || first == '_' {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            (word(&rest[..end]), &rest[end..])
        } else {
            let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign))?;
            (Token::Sign(sign), &rest[sign.len()..])
        };
        found.push(token);
        rest = after.trim_start();
    }
    Some(found)
}

fn word(text: &str) -> Token {
    match text {
        "true" => Token::Literal(json!(true)),
        "false" => Token::Literal(json!(false)),
        "null" => Token::Literal(Value::Null),
        // Fields named like keywords are escaped: `__namespace__`.
        text => {
            let plain = text.strip_prefix("__").and_then(|text| text.strip_suffix("__"));
            Token::Ident(plain.unwrap_or(text).to_owned())
        }
    }
}

fn number(text: &str) -> Option<(Token, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    let value = if digits.contains('.') {
        json!(digits.parse::<f64>().ok()?)
    } else {
        json!(digits.parse::<i64>().ok()?)
    };
    Some((Token::Literal(value), rest.strip_prefix('u').unwrap_or(rest)))
}

fn quoted(text: &str, quote: char, raw: bool) -> Option<(Token, &str)> {
    let triple = [quote; 3].iter().collect::<String>();
    if let Some(inner) = text.strip_prefix(&triple) {
        // Between three quotes anything may stand; escapes are only known in raw form.
        let end = inner.find(&triple).filter(|end| raw || !inner[..*end].contains('\\'))?;
        return Some((Token::Literal(json!(&inner[..end])), &inner[end + triple.len()..]));
    }
    let mut out = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            c if c == quote => return Some((Token::Literal(json!(out)), &text[at + 1..])),
            '\\' if !raw => out.push(match chars.next()?.1 {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                c @ ('\\' | '\'' | '"' | '`' | '?') => c,
                _ => return None,
            }),
            c => out.push(c),
        }
    }
    None
}
