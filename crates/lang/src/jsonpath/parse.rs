//! Path text to nodes.

/// How deep filters and unions may nest.
const MAX_NESTING: usize = 32;

/// One step of a path, or literal text.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// The steps inside one pair of braces.
    List(Vec<Node>),
    Text(String),
    Field(String),
    /// `[from:to:step]`; a plain index is a slice of one whose end was derived.
    Array([Parameter; 3]),
    Filter {
        left: Vec<Node>,
        operator: String,
        right: Vec<Node>,
    },
    Int(i64),
    Float(f64),
    Bool(bool),
    Wildcard,
    Recursive,
    Union(Vec<Vec<Node>>),
    /// `range`, `end`, or a word that means nothing.
    Identifier(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Parameter {
    pub(super) value: i64,
    pub(super) known: bool,
    pub(super) derived: bool,
}

type Parsed<T> = Result<T, String>;

/// Parses a whole template: text and expressions.
pub(super) fn parse(text: &str) -> Parsed<Vec<Node>> {
    parse_nested(text, 0)
}

fn parse_nested(text: &str, nesting: usize) -> Parsed<Vec<Node>> {
    if nesting > MAX_NESTING {
        return Err("expression is nested too deeply".to_owned());
    }
    let mut nodes = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find('{') {
        if start > 0 {
            nodes.push(Node::Text(rest[..start].to_owned()));
        }
        let mut action = Action { text: &rest[start + 1..], position: 0, steps: Vec::new(), nesting };
        action.parse()?;
        rest = &action.text[action.position..];
        nodes.push(Node::List(action.steps));
    }
    if !rest.is_empty() {
        nodes.push(Node::Text(rest.to_owned()));
    }
    Ok(nodes)
}

/// Parses a part of an expression as an expression of its own.
fn parse_part(text: &str, nesting: usize) -> Parsed<Vec<Node>> {
    let nodes = parse_nested(&format!("{{{text}}}"), nesting + 1)?;
    Ok(match nodes.into_iter().next() {
        Some(Node::List(steps)) => steps,
        _ => Vec::new(),
    })
}

/// One expression being read; `position` counts bytes.
struct Action<'a> {
    text: &'a str,
    position: usize,
    steps: Vec<Node>,
    nesting: usize,
}

impl<'a> Action<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.position..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.position += c.len_utf8();
        Some(c)
    }

    /// Reads up to and past the closing brace.
    fn parse(&mut self) -> Parsed<()> {
        loop {
            if self.rest().starts_with("[?(") {
                self.filter()?;
                continue;
            }
            if self.rest().starts_with("..") {
                self.recursive()?;
                continue;
            }
            let Some(c) = self.peek() else {
                return Err("unclosed action".to_owned());
            };
            match c {
                '}' => {
                    self.position += 1;
                    return Ok(());
                }
                '\r' | '\n' => return Err("unclosed action".to_owned()),
                // The current object: every step starts there anyway.
                ' ' | '@' | '$' => self.position += 1,
                '[' => self.array()?,
                '"' | '\'' => self.quoted(c)?,
                '.' => {
                    self.position += 1;
                    self.field();
                }
                '+' | '-' => self.number()?,
                c if is_digit(c) => self.number()?,
                c if is_alphanumeric(c) => self.identifier(),
                c => {
                    let code = u32::from(c);
                    let shown = if glidepath_gocompat::quote::is_printable(c) {
                        format!(" '{c}'")
                    } else {
                        String::new()
                    };
                    return Err(format!("unrecognized character in action: U+{code:04X}{shown}"));
                }
            }
        }
    }

    fn identifier(&mut self) {
        let length = self.rest().find(is_terminator).unwrap_or(self.rest().len());
        let word = &self.rest()[..length];
        self.position += length;
        self.steps.push(match word {
            "true" => Node::Bool(true),
            "false" => Node::Bool(false),
            other => Node::Identifier(other.to_owned()),
        });
    }

    fn recursive(&mut self) -> Parsed<()> {
        if self.steps.last() == Some(&Node::Recursive) {
            return Err("invalid multiple recursive descent".to_owned());
        }
        self.position += 2;
        self.steps.push(Node::Recursive);
        if self.peek().is_some_and(is_alphanumeric) {
            self.field();
        }
        Ok(())
    }

    fn number(&mut self) -> Parsed<()> {
        let rest = self.rest();
        let sign = usize::from(rest.starts_with(['+', '-']));
        let digits = rest[sign..].find(|c| c != '.' && !is_digit(c)).unwrap_or(rest.len() - sign);
        let text = &rest[..sign + digits];
        self.position += text.len();
        if let Ok(whole) = text.parse() {
            self.steps.push(Node::Int(whole));
        } else if let Ok(float) = glidepath_gocompat::float::parse(text) {
            self.steps.push(Node::Float(float));
        } else {
            return Err(format!("cannot parse number {text}"));
        }
        Ok(())
    }

    /// A name up to the next terminator; a backslash takes the following character with it.
    fn field(&mut self) {
        let start = self.position;
        while let Some(c) = self.peek() {
            if is_terminator(c) {
                break;
            }
            self.position += c.len_utf8();
            if c == '\\' {
                self.next();
            }
        }
        let name = &self.text[start..self.position];
        self.steps.push(if name == "*" { Node::Wildcard } else { Node::Field(name.replace('\\', "")) });
    }

    fn quoted(&mut self, quote: char) -> Parsed<()> {
        let start = self.position;
        self.position += 1;
        loop {
            let escaped = self.text.as_bytes().get(self.position.wrapping_sub(1)) == Some(&b'\\');
            match self.next() {
                None | Some('\n') => return Err("unterminated quoted string".to_owned()),
                Some(c) if c == quote && !escaped => break,
                Some(_) => {}
            }
        }
        let text = &self.text[start..self.position];
        let content = unquote(&text[1..text.len() - 1], quote)
            .ok_or_else(|| format!("unquote string {text} error invalid syntax"))?;
        self.steps.push(Node::Text(content));
        Ok(())
    }

    fn array(&mut self) -> Parsed<()> {
        let rest = self.rest();
        let end = rest.find([']', '\n']).filter(|end| rest[*end..].starts_with(']'));
        let Some(end) = end else {
            return Err("unterminated array".to_owned());
        };
        self.position += end + 1;
        let inside = match &rest[1..end] {
            "*" => ":",
            other => other,
        };
        if inside.contains(',') {
            let parts: Parsed<Vec<_>> = inside
                .split(',')
                .map(|part| parse_part(&format!("[{}]", part.trim_matches(' ')), self.nesting))
                .collect();
            self.steps.push(Node::Union(parts?));
            return Ok(());
        }
        let key = inside.strip_prefix('\'').and_then(|key| key.strip_suffix('\''));
        if let Some(key) = key.filter(|key| !key.contains('\'')) {
            // A dot inside the quotes still separates fields.
            let steps = parse_part(&format!(".{key}"), self.nesting)?;
            self.steps.extend(steps);
            return Ok(());
        }
        self.steps.push(Node::Array(slice(inside)?));
        Ok(())
    }

    fn filter(&mut self) -> Parsed<()> {
        self.position += "[?(".len();
        let start = self.position;
        let mut quote = None;
        let mut closed = false;
        loop {
            let escaped = self.text.as_bytes().get(self.position.wrapping_sub(1)) == Some(&b'\\');
            match self.next() {
                None | Some('\n') => return Err("unterminated filter".to_owned()),
                Some(c @ ('"' | '\'')) => match quote {
                    None => quote = Some(c),
                    Some(opened) if opened == c && !escaped => closed = true,
                    Some(_) => {}
                },
                Some(')') if quote.is_some() == closed => break,
                Some(_) => {}
            }
        }
        let condition = &self.text[start..self.position - 1];
        if self.next() != Some(']') {
            return Err("unclosed array expect ]".to_owned());
        }
        let node = match split_comparison(condition) {
            None => Node::Filter {
                left: parse_part(condition, self.nesting)?,
                operator: "exists".to_owned(),
                right: Vec::new(),
            },
            Some((left, operator, right)) => Node::Filter {
                left: parse_part(left, self.nesting)?,
                operator: operator.to_owned(),
                right: parse_part(right, self.nesting)?,
            },
        };
        self.steps.push(node);
        Ok(())
    }
}

/// Left side, operator and right side; `None` where there is no comparison.
fn split_comparison(text: &str) -> Option<(&str, &str, &str)> {
    let is_operator = |c: char| matches!(c, '!' | '<' | '>' | '=');
    let start = text.find(is_operator).filter(|start| *start > 0)?;
    let length = text[start..].find(|c| !is_operator(c)).unwrap_or(text.len() - start);
    // With nothing after it, the last character of the operator is the right side.
    let end = if start + length == text.len() { text.len() - 1 } else { start + length };
    if end == start || text.contains('\n') {
        return None;
    }
    Some((&text[..start], &text[start..end], &text[end..]))
}

/// `1`, `-1`, `1:3`, `:`, `1:3:2`.
fn slice(text: &str) -> Parsed<[Parameter; 3]> {
    let invalid = || format!("invalid array index {text}");
    let parts: Vec<&str> = text.split(':').collect();
    let fits = |part: &&str| part.strip_prefix('-').unwrap_or(part).bytes().all(|b| b.is_ascii_digit());
    if parts.len() > 3 || !parts.iter().all(fits) {
        return Err(invalid());
    }
    let mut parameters = [Parameter::default(); 3];
    for (index, part) in parts.iter().enumerate().filter(|(_, part)| !part.is_empty()) {
        let value = part.parse().map_err(|_| format!("array index {part} is not a number"))?;
        parameters[index] = Parameter { value, known: true, derived: false };
    }
    if parts.len() < 2 {
        parameters[1] =
            Parameter { value: parameters[0].value.saturating_add(1), known: true, derived: true };
    }
    Ok(parameters)
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

fn is_alphanumeric(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

fn is_terminator(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n' | '.' | ',' | '[' | ']' | '$' | '@' | '{' | '}')
}

/// Go's string escapes; `None` where they are wrong.
fn unquote(text: &str, quote: char) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars();
    let digits = |characters: &mut std::str::Chars<'_>, count: usize, base: u32| {
        (0..count).try_fold(0u32, |code, _| {
            let digit = characters.next()?.to_digit(base)?;
            code.checked_mul(base)?.checked_add(digit)
        })
    };
    while let Some(c) = characters.next() {
        if c != '\\' {
            if c == quote && text.contains('\\') {
                return None;
            }
            out.push(c);
            continue;
        }
        let code = match characters.next()? {
            'a' => 0x07,
            'b' => 0x08,
            'f' => 0x0c,
            'n' => 0x0a,
            'r' => 0x0d,
            't' => 0x09,
            'v' => 0x0b,
            '\\' => 0x5c,
            c if c == quote => u32::from(c),
            'x' => digits(&mut characters, 2, 16)?,
            'u' => digits(&mut characters, 4, 16)?,
            'U' => digits(&mut characters, 8, 16)?,
            c @ '0'..='7' => c.to_digit(8)? * 64 + digits(&mut characters, 2, 8)?,
            _ => return None,
        };
        out.push(char::from_u32(code)?);
    }
    Some(out)
}
