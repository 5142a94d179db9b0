//! From text to tokens, each with the place it stands at.

use super::value::Val;

/// A token.
#[derive(Clone, Debug)]
pub(super) enum Token {
    Literal(Val),
    Ident(String),
    /// An operator or a bracket.
    Sign(&'static str),
}

/// A token and the byte it begins at.
pub(super) type Placed = (usize, Token);

const SIGNS: &[&str] = &[
    "||", "&&", "==", "!=", "<=", ">=", ".?", "[?", "<", ">", "+", "-", "*", "/", "%", "!", "?", ":", "(",
    ")", "[", "]", "{", "}", ".", ",",
];

/// All tokens, or the byte at which none can be read.
pub(super) fn tokens(text: &str) -> Result<Vec<Placed>, usize> {
    let mut found = Vec::new();
    let mut at = 0;
    loop {
        let rest = &text[at..];
        at += rest.len() - rest.trim_start().len();
        let rest = &text[at..];
        if let Some(comment) = rest.strip_prefix("//") {
            at += 2 + comment.find('\n').unwrap_or(comment.len());
            continue;
        }
        let Some(first) = rest.chars().next() else { return Ok(found) };
        let (token, length) = read_one(rest, first).ok_or(at)?;
        found.push((at, token));
        at += length;
    }
}

fn read_one(rest: &str, first: char) -> Option<(Token, usize)> {
    if first.is_ascii_digit() || first == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit()) {
        return number(rest);
    }
    let prefix = rest.bytes().take(2).take_while(|byte| b"rRbB".contains(byte)).count();
    if rest[prefix..].starts_with(['"', '\'']) {
        let letters = rest[..prefix].to_ascii_lowercase();
        let (token, length) = quoted(&rest[prefix..], letters.contains('r'), letters.contains('b'))?;
        return Some((token, prefix + length));
    }
    if first.is_ascii_alphabetic() || first == '_' {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        return Some((word(&rest[..end]), end));
    }
    let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign))?;
    Some((Token::Sign(sign), sign.len()))
}

fn word(text: &str) -> Token {
    match text {
        "true" => Token::Literal(Val::Bool(true)),
        "false" => Token::Literal(Val::Bool(false)),
        "null" => Token::Literal(Val::Null),
        "in" => Token::Sign("in"),
        text => Token::Ident(text.to_owned()),
    }
}

fn number(text: &str) -> Option<(Token, usize)> {
    let unsigned = |length: usize| text[length..].starts_with(['u', 'U']);
    if let Some(hex) = text.strip_prefix("0x") {
        let digits = hex.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(hex.len());
        let length = 2 + digits;
        return if unsigned(length) {
            Some((Token::Literal(Val::Uint(u64::from_str_radix(&hex[..digits], 16).ok()?)), length + 1))
        } else {
            Some((Token::Literal(Val::Int(i64::from_str_radix(&hex[..digits], 16).ok()?)), length))
        };
    }
    let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let whole = digits(text);
    let mut length = whole;
    if text[length..].starts_with('.') && text[length + 1..].starts_with(|c: char| c.is_ascii_digit()) {
        length += 1 + digits(&text[length + 1..]);
    }
    if let Some(exponent) = text[length..].strip_prefix(['e', 'E']) {
        let sign = usize::from(exponent.starts_with(['+', '-']));
        let count = digits(&exponent[sign..]);
        if count > 0 {
            length += 1 + sign + count;
        }
    }
    if length > whole {
        return Some((Token::Literal(Val::Double(text[..length].parse().ok()?)), length));
    }
    if unsigned(length) {
        return Some((Token::Literal(Val::Uint(text[..length].parse().ok()?)), length + 1));
    }
    // The largest negative number is one further from zero than the largest positive one.
    let number: u64 = text[..length].parse().ok()?;
    match i64::try_from(number) {
        Ok(number) => Some((Token::Literal(Val::Int(number)), length)),
        Err(_) => None,
    }
}

/// A literal between one or three quotes; the length includes them.
fn quoted(text: &str, raw: bool, bytes: bool) -> Option<(Token, usize)> {
    let quote = text.chars().next()?;
    let triple: String = [quote; 3].iter().collect();
    let end = if text.starts_with(&triple) { triple } else { quote.to_string() };
    let mut out: Vec<u8> = Vec::new();
    let mut at = end.len();
    loop {
        let rest = &text[at..];
        if rest.starts_with(&end) {
            break;
        }
        let c = rest.chars().next()?;
        if c == '\n' && end.len() == 1 {
            return None;
        }
        at += c.len_utf8();
        if c == '\\' && !raw {
            at += escape(&text[at..], bytes, &mut out)?;
        } else {
            out.extend(c.to_string().as_bytes());
        }
    }
    let value = if bytes { Val::Bytes(out) } else { Val::Text(String::from_utf8(out).ok()?) };
    Some((Token::Literal(value), at + end.len()))
}

/// What stands after a backslash; says how long it is.
fn escape(text: &str, bytes: bool, out: &mut Vec<u8>) -> Option<usize> {
    let c = text.chars().next()?;
    let plain = match c {
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0c,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        '\\' | '\'' | '"' | '`' | '?' => u8::try_from(c).ok()?,
        'x' | 'X' | 'u' | 'U' | '0'..='3' => {
            let (from, count, radix) = match c {
                'x' | 'X' => (1, 2, 16),
                'u' => (1, 4, 16),
                'U' => (1, 8, 16),
                _ => (0, 3, 8),
            };
            let code = u32::from_str_radix(text.get(from..from + count)?, radix).ok()?;
            if bytes && !matches!(c, 'u' | 'U') {
                out.push(u8::try_from(code).ok()?);
            } else {
                out.extend(char::from_u32(code)?.to_string().as_bytes());
            }
            return Some(from + count);
        }
        _ => return None,
    };
    out.push(plain);
    Some(1)
}
