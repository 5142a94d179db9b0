//! Tokens to a tree: operator precedence as the language defines it, postfix chains, predicates.

use std::sync::Arc;

use super::ast::{BinaryOperator, Member, Node, NodeKind, UnaryOperator};
use super::builtin::{self, Shape};
use super::error::EvalError;
use super::token::{Token, TokenKind, is_word, is_word_start, may_be_negated, tokenize};

/// The most nodes an expression may have.
const MAX_NODES: usize = 10_000;
/// How high the tree may grow. Go has no such bound; here it keeps recursion off the end of the stack.
const MAX_DEPTH: usize = 150;
/// How deep brackets and prefixes may nest while parsing, for the same reason.
const MAX_NESTING: usize = 50;
/// The longest expression that is looked at, in bytes.
const MAX_LENGTH: usize = 64 * 1024;

const PREFIX_NOT: u32 = 50;
const PREFIX_SIGN: u32 = 90;

type Parsed = Result<Node, EvalError>;

/// Binding power of a binary operator, and whether it groups to the right.
fn binary_operator(word: &str) -> Option<(BinaryOperator, u32, bool)> {
    use BinaryOperator as Op;
    Some(match word {
        "or" | "||" => (Op::Or, 10, false),
        "and" | "&&" => (Op::And, 15, false),
        "==" => (Op::Equal, 20, false),
        "!=" => (Op::NotEqual, 20, false),
        "<" => (Op::Less, 20, false),
        ">" => (Op::Greater, 20, false),
        "<=" => (Op::LessOrEqual, 20, false),
        ">=" => (Op::GreaterOrEqual, 20, false),
        "in" => (Op::In, 20, false),
        "matches" => (Op::Matches, 20, false),
        "contains" => (Op::Contains, 20, false),
        "startsWith" => (Op::StartsWith, 20, false),
        "endsWith" => (Op::EndsWith, 20, false),
        ".." => (Op::Range, 25, false),
        "+" => (Op::Add, 30, false),
        "-" => (Op::Subtract, 30, false),
        "*" => (Op::Multiply, 60, false),
        "/" => (Op::Divide, 60, false),
        "%" => (Op::Modulo, 60, false),
        "**" | "^" => (Op::Power, 100, true),
        "??" => (Op::Coalesce, 500, false),
        _ => return None,
    })
}

fn unary_operator(token: &Token) -> Option<(UnaryOperator, u32)> {
    if token.kind != TokenKind::Operator {
        return None;
    }
    match token.text.as_str() {
        "not" | "!" => Some((UnaryOperator::Not, PREFIX_NOT)),
        "-" => Some((UnaryOperator::Minus, PREFIX_SIGN)),
        "+" => Some((UnaryOperator::Plus, PREFIX_SIGN)),
        _ => None,
    }
}

struct Parser<'a> {
    tokens: Vec<Token>,
    position: usize,
    /// What the lexer stumbled over, right after the last token.
    lexer_error: Option<EvalError>,
    /// Names the environment defines; they win over built-in functions.
    overridden: &'a dyn Fn(&str) -> bool,
    nodes: usize,
    nesting: usize,
    predicates: usize,
}

/// Parses a whole expression. `overridden` tells which names the environment defines.
pub(crate) fn parse(source: &str, overridden: &dyn Fn(&str) -> bool) -> Parsed {
    if source.len() > MAX_LENGTH {
        return Err(EvalError::compile_at(0, "compilation failed: expression is too long"));
    }
    let (tokens, lexer_error) = tokenize(source);
    let mut parser =
        Parser { tokens, position: 0, lexer_error, overridden, nodes: 0, nesting: 0, predicates: 0 };
    parser.check_lexer()?;
    let node = parser.sequence()?;
    if parser.current().kind != TokenKind::End {
        return Err(parser.unexpected());
    }
    Ok(node)
}

impl Parser<'_> {
    fn current(&self) -> &Token {
        static END: Token = Token { kind: TokenKind::End, text: String::new(), bytes: Vec::new(), at: 0 };
        self.tokens.get(self.position).or(self.tokens.last()).unwrap_or(&END)
    }

    fn check_lexer(&mut self) -> Result<(), EvalError> {
        match &self.lexer_error {
            Some(error) if self.position >= self.tokens.len() => Err(error.clone()),
            _ => Ok(()),
        }
    }

    fn advance(&mut self) -> Result<Token, EvalError> {
        let token = self.current().clone();
        if token.kind != TokenKind::End {
            self.position += 1;
        }
        self.check_lexer()?;
        Ok(token)
    }

    fn unexpected(&self) -> EvalError {
        EvalError::compile_at(self.current().at, format!("unexpected token {}", self.current()))
    }

    fn expect(&mut self, kind: TokenKind, text: &str) -> Result<(), EvalError> {
        if !self.current().is(kind, text) {
            return Err(self.unexpected());
        }
        self.advance().map(drop)
    }

    fn expect_identifier(&mut self) -> Result<Token, EvalError> {
        if self.current().kind != TokenKind::Identifier {
            return Err(self.unexpected());
        }
        self.advance()
    }

    fn node(&mut self, kind: NodeKind, at: usize) -> Parsed {
        self.nodes += 1;
        let node = Node::new(kind, at);
        if self.nodes > MAX_NODES {
            return Err(EvalError::compile_at(
                self.current().at,
                "compilation failed: expression exceeds maximum allowed nodes",
            ));
        }
        if node.depth > MAX_DEPTH {
            return Err(too_deep(at));
        }
        Ok(node)
    }

    /// Runs one level deeper, unless that is too deep.
    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T, EvalError>) -> Result<T, EvalError> {
        if self.nesting >= MAX_NESTING {
            return Err(too_deep(self.current().at));
        }
        self.nesting += 1;
        let parsed = parse(self);
        self.nesting -= 1;
        parsed
    }

    fn sequence(&mut self) -> Parsed {
        let first = self.expression(0)?;
        let at = first.at;
        let mut nodes = vec![first];
        while self.current().is_operator(";") {
            self.advance()?;
            if self.current().kind == TokenKind::End {
                break;
            }
            nodes.push(self.expression(0)?);
        }
        match nodes.pop() {
            Some(only) if nodes.is_empty() => Ok(only),
            Some(last) => {
                nodes.push(last);
                self.node(NodeKind::Sequence(nodes), at)
            }
            None => Err(self.unexpected()),
        }
    }

    fn expression(&mut self, precedence: u32) -> Parsed {
        self.nested(|parser| parser.expression_here(precedence))
    }

    fn expression_here(&mut self, precedence: u32) -> Parsed {
        if precedence == 0 && self.current().is_operator("let") {
            return self.declaration();
        }
        if precedence == 0 && self.current().is_operator("if") {
            return self.conditional_if();
        }
        let mut left = self.primary()?;
        let mut after_coalesce = false;
        while self.current().kind == TokenKind::Operator {
            let negated = self.current().is_operator("not");
            if negated {
                let next = self.tokens.get(self.position + 1);
                let Some(next) =
                    next.filter(|next| next.kind == TokenKind::Operator && may_be_negated(&next.text))
                else {
                    self.advance()?;
                    return Err(self.unexpected());
                };
                if binary_operator(&next.text).is_none_or(|(_, power, _)| power < precedence) {
                    break;
                }
                self.advance()?;
            }
            let token = self.current().clone();
            if token.text == "|" {
                if precedence > 0 {
                    break;
                }
                self.advance()?;
                let name = self.expect_identifier()?;
                left = self.call(&name, vec![left], true)?;
                after_coalesce = false;
                continue;
            }
            let Some((operator, power, right_first)) = binary_operator(&token.text) else { break };
            if power < precedence {
                break;
            }
            self.advance()?;
            if after_coalesce && operator != BinaryOperator::Coalesce {
                return Err(EvalError::compile_at(
                    token.at,
                    format!(
                        "Operator ({}) and coalesce expressions (??) cannot be mixed. Wrap either by parentheses.",
                        token.text
                    ),
                ));
            }
            after_coalesce = operator == BinaryOperator::Coalesce;
            if operator.is_ordering() {
                left = self.comparison(left, operator, token.at, power)?;
                continue;
            }
            let right = self.expression(if right_first { power } else { power + 1 })?;
            left = self.node(NodeKind::Binary(operator, Box::new(left), Box::new(right)), token.at)?;
            if negated {
                left = self.node(NodeKind::Unary(UnaryOperator::Not, Box::new(left)), token.at)?;
            }
        }
        if precedence == 0 { self.ternary(left) } else { Ok(left) }
    }

    /// `a < b < c` means `a < b && b < c`; `b` is then computed twice, as in the original.
    fn comparison(&mut self, left: Node, operator: BinaryOperator, at: usize, power: u32) -> Parsed {
        let (mut left, mut operator, mut at) = (left, operator, at);
        let mut root: Option<Node> = None;
        loop {
            let right = self.expression(power + 1)?;
            let next = self.current().clone();
            let chained = binary_operator(&next.text).filter(|(next_operator, _, _)| {
                next.kind == TokenKind::Operator && next_operator.is_ordering()
            });
            let again = chained.map(|_| right.clone());
            self.nodes += again.as_ref().map_or(0, |node| node.size);
            let compared = self.node(NodeKind::Binary(operator, Box::new(left), Box::new(right)), at)?;
            let joined = match root {
                None => compared,
                Some(before) => self
                    .node(NodeKind::Binary(BinaryOperator::And, Box::new(before), Box::new(compared)), at)?,
            };
            let (Some((next_operator, _, _)), Some(again)) = (chained, again) else {
                return Ok(joined);
            };
            self.advance()?;
            (left, operator, at) = (again, next_operator, next.at);
            root = Some(joined);
        }
    }

    fn declaration(&mut self) -> Parsed {
        self.advance()?;
        let name = self.expect_identifier()?;
        self.expect(TokenKind::Operator, "=")?;
        let value = self.expression(0)?;
        self.expect(TokenKind::Operator, ";")?;
        let body = self.sequence()?;
        let kind = NodeKind::Let { name: name.text, value: Box::new(value), body: Box::new(body) };
        self.node(kind, name.at)
    }

    fn conditional_if(&mut self) -> Parsed {
        self.nested(|parser| {
            let at = parser.advance()?.at;
            let condition = parser.expression(0)?;
            let then = parser.block()?;
            parser.expect(TokenKind::Operator, "else")?;
            let otherwise =
                if parser.current().is_operator("if") { parser.conditional_if()? } else { parser.block()? };
            let kind = NodeKind::Conditional {
                condition: Box::new(condition),
                then: Box::new(then),
                otherwise: Box::new(otherwise),
            };
            parser.node(kind, at)
        })
    }

    fn block(&mut self) -> Parsed {
        self.expect(TokenKind::Bracket, "{")?;
        let body = self.sequence()?;
        self.expect(TokenKind::Bracket, "}")?;
        Ok(body)
    }

    fn ternary(&mut self, condition: Node) -> Parsed {
        let mut node = condition;
        while self.current().is_operator("?") {
            let at = self.advance()?.at;
            let then = if self.current().is_operator(":") {
                self.nodes += node.size;
                node.clone()
            } else {
                self.expression(0)?
            };
            self.expect(TokenKind::Operator, ":")?;
            let otherwise = self.expression(0)?;
            let kind = NodeKind::Conditional {
                condition: Box::new(node),
                then: Box::new(then),
                otherwise: Box::new(otherwise),
            };
            node = self.node(kind, at)?;
        }
        Ok(node)
    }

    fn primary(&mut self) -> Parsed {
        let token = self.current().clone();
        if let Some((operator, power)) = unary_operator(&token) {
            self.advance()?;
            let operand = self.expression(power)?;
            let node = self.node(NodeKind::Unary(operator, Box::new(operand)), token.at)?;
            return self.postfix(node);
        }
        if token.is_bracket("(") {
            self.advance()?;
            let inner = self.sequence()?;
            self.expect(TokenKind::Bracket, ")")?;
            return self.postfix(inner);
        }
        if self.predicates > 0 && (token.is_operator("#") || token.is_operator(".")) {
            let mut name = String::new();
            if token.is_operator("#") {
                self.advance()?;
                if self.current().kind == TokenKind::Identifier {
                    name = self.advance()?.text;
                }
            }
            let node = self.node(NodeKind::Pointer(name), token.at)?;
            return self.postfix(node);
        }
        if token.is_operator("::") {
            self.advance()?;
            let name = self.expect_identifier()?;
            let call = self.call(&name, Vec::new(), false)?;
            return self.postfix(call);
        }
        self.operand(token)
    }

    fn operand(&mut self, token: Token) -> Parsed {
        let at = token.at;
        let node = match token.kind {
            TokenKind::Identifier => {
                self.advance()?;
                // The three constants take no postfix.
                match token.text.as_str() {
                    "true" => return self.node(NodeKind::Bool(true), at),
                    "false" => return self.node(NodeKind::Bool(false), at),
                    "nil" => return self.node(NodeKind::Nil, at),
                    _ if self.current().is_bracket("(") => self.call(&token, Vec::new(), true)?,
                    _ => self.node(NodeKind::Identifier(token.text), at)?,
                }
            }
            TokenKind::Number => {
                self.advance()?;
                let kind = number(&token.text)
                    .map_err(|problem| EvalError::compile_at(self.current().at, problem))?;
                return self.node(kind, at);
            }
            TokenKind::Text => {
                self.advance()?;
                self.node(NodeKind::Text(token.text.into()), at)?
            }
            TokenKind::Bytes => {
                self.advance()?;
                self.node(NodeKind::Bytes(Arc::from(token.bytes)), at)?
            }
            _ if token.is_bracket("[") => self.list(at)?,
            _ if token.is_bracket("{") => self.map(at)?,
            _ => return Err(self.unexpected()),
        };
        self.postfix(node)
    }

    /// A call of `name`; `piped` arguments come before those in the brackets.
    fn call(&mut self, name: &Token, piped: Vec<Node>, may_override: bool) -> Parsed {
        let overridden = may_override && (self.overridden)(&name.text);
        let Some(known) = builtin::find(&name.text).filter(|_| !overridden) else {
            let callee = self.node(NodeKind::Identifier(name.text.clone()), name.at)?;
            let arguments = self.arguments(piped)?;
            return self.node(NodeKind::Call { callee: Box::new(callee), arguments }, name.at);
        };
        let arguments = match known.shape {
            Shape::Plain => self.arguments(piped)?,
            Shape::Predicate { optional, extra } => self.predicate_arguments(piped, optional, extra)?,
        };
        self.node(NodeKind::Builtin { name: known.name, arguments }, name.at)
    }

    fn arguments(&mut self, piped: Vec<Node>) -> Result<Vec<Node>, EvalError> {
        let offset = piped.len();
        let mut arguments = piped;
        self.expect(TokenKind::Bracket, "(")?;
        while !self.current().is_bracket(")") {
            if arguments.len() > offset {
                self.expect(TokenKind::Operator, ",")?;
            }
            if self.current().is_bracket(")") {
                break;
            }
            arguments.push(self.expression(0)?);
        }
        self.advance()?;
        Ok(arguments)
    }

    /// `(list, predicate)`, for some with an optional predicate or one more expression after it.
    fn predicate_arguments(
        &mut self,
        piped: Vec<Node>,
        optional: bool,
        extra: bool,
    ) -> Result<Vec<Node>, EvalError> {
        let mut arguments = piped;
        let offset = arguments.len();
        let total = if extra { 3 } else { 2 };
        self.expect(TokenKind::Bracket, "(")?;
        for index in offset..total {
            if self.current().is_bracket(")") {
                if (index == 1 && optional) || index == 2 {
                    break;
                }
                let wanted = total - offset;
                return Err(EvalError::compile_at(
                    self.current().at,
                    format!("expected at least {wanted} arguments"),
                ));
            }
            if index > offset {
                self.expect(TokenKind::Operator, ",")?;
            }
            let argument = if index == 1 { self.predicate()? } else { self.expression(0)? };
            arguments.push(argument);
        }
        if self.current().is_operator(",") {
            self.advance()?;
        }
        self.expect(TokenKind::Bracket, ")")?;
        Ok(arguments)
    }

    fn predicate(&mut self) -> Parsed {
        let at = self.current().at;
        let braced = self.current().is_bracket("{");
        if braced {
            self.advance()?;
        }
        self.predicates += 1;
        let body = if braced { self.sequence()? } else { self.expression(0)? };
        if !braced && self.current().is_operator(";") {
            return Err(EvalError::compile_at(self.current().at, "wrap predicate with brackets { and }"));
        }
        self.predicates -= 1;
        if braced {
            self.expect(TokenKind::Bracket, "}")?;
        }
        self.node(NodeKind::Predicate(Box::new(body)), at)
    }

    fn list(&mut self, at: usize) -> Parsed {
        self.advance()?;
        let mut nodes = Vec::new();
        while !self.current().is_bracket("]") {
            if !nodes.is_empty() {
                self.expect(TokenKind::Operator, ",")?;
                if self.current().is_bracket("]") {
                    break;
                }
            }
            nodes.push(self.expression(0)?);
        }
        self.advance()?;
        self.node(NodeKind::List(nodes), at)
    }

    fn map(&mut self, at: usize) -> Parsed {
        self.advance()?;
        let mut pairs = Vec::new();
        while !self.current().is_bracket("}") {
            if !pairs.is_empty() {
                self.expect(TokenKind::Operator, ",")?;
                if self.current().is_bracket("}") {
                    break;
                }
            }
            let token = self.current().clone();
            let key = match token.kind {
                TokenKind::Number | TokenKind::Text | TokenKind::Identifier => {
                    self.advance()?;
                    self.node(NodeKind::Text(token.text.into()), token.at)?
                }
                _ if token.is_bracket("(") => self.expression(0)?,
                _ if token.is_operator(",") => return Err(self.unexpected()),
                _ => {
                    return Err(EvalError::compile_at(
                        token.at,
                        format!(
                            "a map key must be a quoted string, a number, a identifier, or an expression enclosed in parentheses (unexpected token {token})"
                        ),
                    ));
                }
            };
            self.expect(TokenKind::Operator, ":")?;
            let value = self.expression(0)?;
            self.nodes += 1;
            pairs.push((key, value));
        }
        self.advance()?;
        self.node(NodeKind::Map(pairs), at)
    }

    /// Members, indexes, slices and calls that follow an operand.
    fn postfix(&mut self, operand: Node) -> Parsed {
        let mut node = operand;
        loop {
            let token = self.current().clone();
            let is_member = token.is_operator(".") || token.is_operator("?.");
            if !is_member && !token.is_bracket("[") {
                return Ok(node);
            }
            let mut optional = false;
            if is_member {
                self.advance()?;
                optional = token.text == "?.";
                if !(optional && self.current().is_bracket("[")) {
                    node = self.named_member(node, optional)?;
                    continue;
                }
            }
            let at = self.advance()?.at;
            node = self.indexed(node, optional, at)?;
        }
    }

    fn named_member(&mut self, base: Node, optional: bool) -> Parsed {
        let name = self.current().clone();
        let is_word_operator = name.kind == TokenKind::Operator
            && name.text.starts_with(is_word_start)
            && name.text.chars().all(is_word);
        if name.kind != TokenKind::Identifier && !is_word_operator {
            return Err(EvalError::compile_at(name.at, "expected name"));
        }
        self.advance()?;
        let property = self.node(NodeKind::Text(name.text.into()), name.at)?;
        // The chain grows: what follows an optional member is skipped together with it.
        let (base, chained) = match base.kind {
            NodeKind::Chain(inner) => (*inner, true),
            kind => (Node { kind, ..base }, false),
        };
        let method = self.current().is_bracket("(");
        let member = Member { base, property, optional, method };
        let mut node = self.node(NodeKind::Member(Box::new(member)), name.at)?;
        if method {
            let arguments = self.arguments(Vec::new())?;
            node = self.node(NodeKind::Call { callee: Box::new(node), arguments }, name.at)?;
        }
        if chained || optional {
            node = self.node(NodeKind::Chain(Box::new(node)), name.at)?;
        }
        Ok(node)
    }

    fn indexed(&mut self, base: Node, optional: bool, at: usize) -> Parsed {
        let from = if self.current().is_operator(":") { None } else { Some(self.expression(0)?) };
        if self.current().is_operator(":") {
            self.advance()?;
            let to = if self.current().is_bracket("]") { None } else { Some(Box::new(self.expression(0)?)) };
            self.expect(TokenKind::Bracket, "]")?;
            let kind = NodeKind::Slice { base: Box::new(base), from: from.map(Box::new), to };
            return self.node(kind, at);
        }
        let Some(property) = from else { return Err(self.unexpected()) };
        self.expect(TokenKind::Bracket, "]")?;
        let member = Member { base, property, optional, method: false };
        let node = self.node(NodeKind::Member(Box::new(member)), at)?;
        if optional { self.node(NodeKind::Chain(Box::new(node)), at) } else { Ok(node) }
    }
}

fn too_deep(at: usize) -> EvalError {
    EvalError::compile_at(at, "compilation failed: expression is nested too deeply")
}

fn number(text: &str) -> Result<NodeKind, String> {
    let plain = text.replace('_', "");
    let lower = plain.to_ascii_lowercase();
    let integer = |digits: &str, base: u32, kind: &str| {
        i64::from_str_radix(digits, base).map(NodeKind::Int).map_err(|error| {
            let problem = match error.kind() {
                std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => {
                    "value out of range"
                }
                _ => "invalid syntax",
            };
            let shown = glidepath_gocompat::quote::quote(&plain);
            format!("invalid {kind} literal: strconv.ParseInt: parsing {shown}: {problem}")
        })
    };
    if let Some(digits) = lower.strip_prefix("0x") {
        return integer(digits, 16, "hex");
    }
    if lower.contains(['.', 'e']) {
        return match glidepath_gocompat::float::parse(&plain) {
            Ok(value) => Ok(NodeKind::Float(value)),
            Err(error) => Err(format!("invalid float literal: {error}")),
        };
    }
    if let Some(digits) = lower.strip_prefix("0b") {
        return integer(digits, 2, "binary");
    }
    if let Some(digits) = lower.strip_prefix("0o") {
        return integer(digits, 8, "octal");
    }
    integer(&lower, 10, "integer")
}
