//! Text to tokens. Keywords are operators here; names that merely begin like one are names.

use super::error::EvalError;

/// What a token is, apart from its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    Identifier,
    Number,
    Text,
    Bytes,
    Operator,
    Bracket,
    End,
}

/// One token; `text` is decoded for strings. `at` counts characters from the start of the expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) text: String,
    /// The decoded bytes of a `b"…"` literal.
    pub(crate) bytes: Vec<u8>,
    pub(crate) at: usize,
}

impl Token {
    pub(crate) fn is(&self, kind: TokenKind, text: &str) -> bool {
        self.kind == kind && self.text == text
    }

    pub(crate) fn is_operator(&self, text: &str) -> bool {
        self.is(TokenKind::Operator, text)
    }

    pub(crate) fn is_bracket(&self, text: &str) -> bool {
        self.is(TokenKind::Bracket, text)
    }
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self.kind {
            TokenKind::Identifier => "Identifier",
            TokenKind::Number => "Number",
            TokenKind::Text => "String",
            TokenKind::Bytes => "Bytes",
            TokenKind::Operator => "Operator",
            TokenKind::Bracket => "Bracket",
            TokenKind::End => return f.write_str("EOF"),
        };
        write!(f, "{kind}({})", glidepath_gocompat::quote::quote(&self.text))
    }
}

const WORD_OPERATORS: [&str; 10] =
    ["in", "or", "and", "matches", "contains", "startsWith", "endsWith", "let", "if", "else"];

/// The operators that may follow `not`.
pub(crate) fn may_be_negated(word: &str) -> bool {
    matches!(word, "in" | "matches" | "contains" | "startsWith" | "endsWith")
}

pub(crate) fn is_word_start(c: char) -> bool {
    c == '_' || c == '$' || c.is_alphabetic()
}

pub(crate) fn is_word(c: char) -> bool {
    is_word_start(c) || c.is_numeric()
}

struct Lexer {
    characters: Vec<char>,
    position: usize,
    start: usize,
    tokens: Vec<Token>,
}

/// Splits an expression into tokens, the last of which is [`TokenKind::End`]. On bad input the tokens before it are
/// handed out too, because the parser may find its own mistake earlier.
pub(crate) fn tokenize(source: &str) -> (Vec<Token>, Option<EvalError>) {
    let mut lexer = Lexer { characters: source.chars().collect(), position: 0, start: 0, tokens: Vec::new() };
    let error = lexer.run().err();
    (lexer.tokens, error)
}

impl Lexer {
    fn run(&mut self) -> Result<(), EvalError> {
        loop {
            self.start = self.position;
            let Some(c) = self.next() else {
                self.start = self.position.saturating_sub(1);
                self.emit(TokenKind::End, String::new());
                return Ok(());
            };
            match c {
                c if c.is_whitespace() => {}
                '\'' | '"' => self.string(c, TokenKind::Text)?,
                '`' => self.raw_string()?,
                'b' | 'B' if matches!(self.peek(), Some('\'' | '"')) => {
                    let quote = self.next().unwrap_or(c);
                    self.string(quote, TokenKind::Bytes)?;
                }
                '0'..='9' => {
                    self.position -= 1;
                    self.number()?;
                }
                '/' if self.accept("/") => while self.next().is_some_and(|c| c != '\n') {},
                '/' if self.accept("*") => self.block_comment()?,
                '#' => self.pointer(),
                '?' => {
                    self.accept(".?");
                    self.emit_word(TokenKind::Operator);
                }
                '|' => {
                    self.accept("|");
                    self.emit_word(TokenKind::Operator);
                }
                ':' => {
                    self.accept(":");
                    self.emit_word(TokenKind::Operator);
                }
                '(' | '[' | '{' | ')' | ']' | '}' => self.emit_word(TokenKind::Bracket),
                '/' | ',' | ';' | '%' | '+' | '-' | '^' => self.emit_word(TokenKind::Operator),
                '&' | '!' | '=' | '*' | '<' | '>' => {
                    self.accept("&=*");
                    self.emit_word(TokenKind::Operator);
                }
                '.' if self.peek().is_some_and(|c| c.is_ascii_digit()) => {
                    self.position -= 1;
                    self.number()?;
                }
                '.' => {
                    self.accept(".");
                    self.emit_word(TokenKind::Operator);
                }
                c if is_word(c) => self.word(),
                c => {
                    let shown = if glidepath_gocompat::quote::is_printable(c) {
                        format!("U+{:04X} '{c}'", u32::from(c))
                    } else {
                        format!("U+{:04X}", u32::from(c))
                    };
                    return Err(self.error(format!("unrecognized character: {shown}")));
                }
            }
        }
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.position += 1;
        Some(c)
    }

    fn peek(&self) -> Option<char> {
        self.characters.get(self.position).copied()
    }

    fn accept(&mut self, valid: &str) -> bool {
        let fits = self.peek().is_some_and(|c| valid.contains(c));
        if fits {
            self.position += 1;
        }
        fits
    }

    fn accept_while(&mut self, valid: &str) {
        while self.accept(valid) {}
    }

    fn text(&self) -> String {
        self.characters[self.start..self.position].iter().collect()
    }

    fn emit(&mut self, kind: TokenKind, text: String) {
        self.tokens.push(Token { kind, text, bytes: Vec::new(), at: self.start });
        self.start = self.position;
    }

    fn emit_word(&mut self, kind: TokenKind) {
        let text = self.text();
        self.emit(kind, text);
    }

    fn error(&self, message: impl Into<String>) -> EvalError {
        EvalError::compile_at(self.position.saturating_sub(1), message)
    }

    fn word(&mut self) {
        while self.peek().is_some_and(is_word) {
            self.position += 1;
        }
        let word = self.text();
        if word == "not" {
            self.emit(TokenKind::Operator, word);
            self.negated_operator();
        } else if WORD_OPERATORS.contains(&word.as_str()) {
            self.emit(TokenKind::Operator, word);
        } else {
            self.emit(TokenKind::Identifier, word);
        }
    }

    /// After `not`: an operator that may be negated is taken right away.
    fn negated_operator(&mut self) {
        self.accept_while(" ");
        self.start = self.position;
        while self.peek().is_some_and(is_word) {
            self.position += 1;
        }
        let word = self.text();
        if may_be_negated(&word) {
            self.emit(TokenKind::Operator, word);
        } else {
            self.position = self.start;
        }
    }

    fn pointer(&mut self) {
        self.accept("#");
        self.emit_word(TokenKind::Operator);
        while self.peek().is_some_and(is_word) {
            self.position += 1;
        }
        if self.position > self.start {
            self.emit_word(TokenKind::Identifier);
        }
    }

    fn number(&mut self) -> Result<(), EvalError> {
        let mut digits = "0123456789_";
        if self.accept("0") {
            if self.accept("xX") {
                digits = "0123456789abcdefABCDEF_";
            } else if self.accept("oO") {
                digits = "01234567_";
            } else if self.accept("bB") {
                digits = "01_";
            }
        }
        self.accept_while(digits);
        if self.peek() == Some('.') {
            // Two dots are a range: `1..2`.
            if self.characters.get(self.position + 1) == Some(&'.') {
                self.emit_word(TokenKind::Number);
                return Ok(());
            }
            self.position += 1;
            self.accept_while(digits);
        }
        if self.accept("eE") {
            self.accept("+-");
            self.accept_while(digits);
        }
        if self.peek().is_some_and(is_word) {
            self.position += 1;
            let shown = glidepath_gocompat::quote::quote(&self.text());
            return Err(self.error(format!("bad number syntax: {shown}")));
        }
        self.emit_word(TokenKind::Number);
        Ok(())
    }

    fn block_comment(&mut self) -> Result<(), EvalError> {
        loop {
            match self.next() {
                None => return Err(self.error("unclosed comment")),
                Some('*') if self.accept("/") => return Ok(()),
                Some(_) => {}
            }
        }
    }

    /// Back-quoted: nothing is an escape, two back quotes stand for one.
    fn raw_string(&mut self) -> Result<(), EvalError> {
        let mut text = String::new();
        loop {
            match self.next() {
                None => return Err(self.error("literal not terminated")),
                Some('`') if self.accept("`") => text.push('`'),
                Some('`') => break,
                Some(c) => text.push(c),
            }
        }
        self.emit(TokenKind::Text, text);
        Ok(())
    }

    fn string(&mut self, quote: char, kind: TokenKind) -> Result<(), EvalError> {
        let (mut text, mut bytes) = (String::new(), Vec::new());
        loop {
            match self.next() {
                None | Some('\n') => return Err(self.error("literal not terminated")),
                Some(c) if c == quote => break,
                Some('\\') => {
                    let code = self.escape(quote, kind)?;
                    if kind == TokenKind::Bytes {
                        bytes.push(code as u8);
                    } else {
                        // Half of a surrogate pair is no character; Go writes the replacement character too.
                        text.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                    }
                }
                // Line ends are the same on every system.
                Some('\r') => {
                    text.push('\n');
                    bytes.push(b'\n');
                }
                Some(c) => {
                    text.push(c);
                    bytes.extend(c.to_string().bytes());
                }
            }
        }
        self.emit(kind, text);
        if let Some(token) = self.tokens.last_mut().filter(|_| kind == TokenKind::Bytes) {
            token.bytes = bytes;
        }
        Ok(())
    }

    fn escape(&mut self, quote: char, kind: TokenKind) -> Result<u32, EvalError> {
        let Some(c) = self.next() else {
            return Err(self.error("invalid char escape"));
        };
        let simple = match c {
            'a' => Some(0x07),
            'b' => Some(0x08),
            'f' => Some(0x0c),
            'n' => Some(0x0a),
            'r' => Some(0x0d),
            't' => Some(0x09),
            'v' => Some(0x0b),
            '\\' => Some(0x5c),
            c if c == quote => Some(u32::from(c)),
            _ => None,
        };
        if let Some(code) = simple {
            return Ok(code);
        }
        let code = match c {
            '0'..='7' => {
                self.position -= 1;
                let code = self.escape_digits(3, 8)?;
                if c > '3' {
                    return Err(self.error("unable to unescape string"));
                }
                code
            }
            'x' => self.escape_digits(2, 16)?,
            'u' | 'U' if kind == TokenKind::Bytes => {
                return Err(self.error("unable to unescape string"));
            }
            'u' if self.peek() == Some('{') => self.braced_escape()?,
            'u' => self.escape_digits(4, 16)?,
            'U' => self.escape_digits(8, 16)?,
            _ => return Err(self.error("invalid char escape")),
        };
        if code > u32::from(char::MAX) {
            return Err(self.error("unable to unescape string"));
        }
        Ok(code)
    }

    fn escape_digits(&mut self, count: usize, base: u32) -> Result<u32, EvalError> {
        let mut code: u32 = 0;
        for _ in 0..count {
            let digit = self.peek().and_then(|c| c.to_digit(base));
            let Some(digit) = digit else {
                return Err(self.error("invalid char escape"));
            };
            self.position += 1;
            code = code.wrapping_mul(base).wrapping_add(digit);
        }
        Ok(code)
    }

    fn braced_escape(&mut self) -> Result<u32, EvalError> {
        self.position += 1;
        let mut code = 0;
        for digits in 0..=6 {
            match self.next() {
                Some('}') if digits > 0 => return Ok(code),
                Some(c) if digits < 6 && c.is_ascii_hexdigit() => {
                    code = code << 4 | c.to_digit(16).unwrap_or(0);
                }
                _ => break,
            }
        }
        Err(self.error("invalid char escape"))
    }
}
