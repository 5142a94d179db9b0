//! From tokens to an expression. Macros are recognised here, as the language has it.

use super::token::{Placed, Token};
use super::value::Val;
use super::{Expr, Macro, Node};

/// How deep expressions may be nested.
const DEEPEST: usize = 100;

const LEVELS: &[&[(&str, &str)]] = &[
    &[("||", "_||_")],
    &[("&&", "_&&_")],
    &[
        ("==", "_==_"),
        ("!=", "_!=_"),
        ("<=", "_<=_"),
        (">=", "_>=_"),
        ("<", "_<_"),
        (">", "_>_"),
        ("in", "@in"),
    ],
    &[("+", "_+_"), ("-", "_-_")],
    &[("*", "_*_"), ("/", "_/_"), ("%", "_%_")],
];

/// Why there is no expression: what stands where it cannot stand.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SyntaxError {
    pub at: usize,
    pub message: String,
}

pub(super) fn parse(tokens: &[Placed], length: usize) -> Result<Node, SyntaxError> {
    let mut parser = Parser { tokens, length, depth: 0 };
    let node = parser.conditional()?;
    match parser.tokens.first() {
        None => Ok(node),
        Some(_) => Err(parser.unexpected()),
    }
}

struct Parser<'a> {
    tokens: &'a [Placed],
    length: usize,
    depth: usize,
}

type Parsed<T> = Result<T, SyntaxError>;

impl Parser<'_> {
    fn at(&self) -> usize {
        self.tokens.first().map_or(self.length, |(at, _)| *at)
    }

    fn unexpected(&self) -> SyntaxError {
        let shown = match self.tokens.first() {
            None => "<EOF>".to_owned(),
            Some((_, Token::Sign(sign))) => (*sign).to_owned(),
            Some((_, Token::Ident(name))) => name.clone(),
            Some((_, Token::Literal(value))) => value.to_string(),
        };
        SyntaxError { at: self.at(), message: format!("Syntax error: mismatched input '{shown}'") }
    }

    fn takes(&mut self, sign: &str) -> bool {
        let found = matches!(self.tokens.first(), Some((_, Token::Sign(one))) if *one == sign);
        if found {
            self.tokens = &self.tokens[1..];
        }
        found
    }

    fn needs(&mut self, sign: &str) -> Parsed<()> {
        if self.takes(sign) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn ident(&mut self) -> Parsed<String> {
        match self.tokens.first() {
            Some((_, Token::Ident(name))) => {
                self.tokens = &self.tokens[1..];
                Ok(name.clone())
            }
            _ => Err(self.unexpected()),
        }
    }

    fn conditional(&mut self) -> Parsed<Node> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(SyntaxError { at: self.at(), message: "expression recursion limit exceeded".into() });
        }
        let condition = self.binary(0)?;
        let at = self.at();
        let node = if self.takes("?") {
            let yes = self.binary(0)?;
            self.needs(":")?;
            let no = self.conditional()?;
            Node::call(at, "_?_:_", vec![condition, yes, no])
        } else {
            condition
        };
        self.depth -= 1;
        Ok(node)
    }

    fn binary(&mut self, level: usize) -> Parsed<Node> {
        let Some(operators) = LEVELS.get(level) else { return self.unary() };
        let mut left = self.binary(level + 1)?;
        loop {
            let at = self.at();
            let Some((_, name)) = operators.iter().find(|(sign, _)| self.takes(sign)) else {
                return Ok(left);
            };
            let right = self.binary(level + 1)?;
            left = Node::call(at, name, vec![left, right]);
        }
    }

    fn unary(&mut self) -> Parsed<Node> {
        let mut signs = Vec::new();
        loop {
            let at = self.at();
            if self.takes("!") {
                signs.push((at, "!_"));
            } else if self.takes("-") {
                signs.push((at, "-_"));
            } else {
                break;
            }
            if signs.len() > DEEPEST {
                return Err(SyntaxError { at, message: "expression recursion limit exceeded".into() });
            }
        }
        let mut node = self.postfix()?;
        for (at, name) in signs.into_iter().rev() {
            node = match (name, node.expr) {
                // A negative number is a constant.
                ("-_", Expr::Literal(Val::Int(number))) => {
                    Node { at, expr: Expr::Literal(Val::Int(number.wrapping_neg())) }
                }
                ("-_", Expr::Literal(Val::Double(number))) => {
                    Node { at, expr: Expr::Literal(Val::Double(-number)) }
                }
                (name, expr) => Node::call(at, name, vec![Node { at: node.at, expr }]),
            };
        }
        Ok(node)
    }

    fn postfix(&mut self) -> Parsed<Node> {
        let mut node = self.primary()?;
        loop {
            let at = self.at();
            if self.takes(".?") {
                node = Node { at, expr: Expr::MaybeSelect(Box::new(node), self.ident()?) };
            } else if self.takes(".") {
                let name = self.ident()?;
                let open = self.at();
                node = if self.takes("(") {
                    let args = self.list_until(")")?;
                    method(open, node, name, args)?
                } else {
                    Node { at, expr: Expr::Select(Box::new(node), name) }
                };
            } else if self.takes("[?") {
                let index = self.conditional()?;
                self.needs("]")?;
                node = Node::call(at, "_[?_]", vec![node, index]);
            } else if self.takes("[") {
                let index = self.conditional()?;
                self.needs("]")?;
                node = Node::call(at, "_[_]", vec![node, index]);
            } else {
                return Ok(node);
            }
        }
    }

    fn primary(&mut self) -> Parsed<Node> {
        let at = self.at();
        match self.tokens.first().map(|(_, token)| token.clone()) {
            Some(Token::Literal(value)) => {
                self.tokens = &self.tokens[1..];
                Ok(Node { at, expr: Expr::Literal(value) })
            }
            Some(Token::Ident(name)) => {
                self.tokens = &self.tokens[1..];
                let open = self.at();
                if self.takes("(") {
                    let args = self.list_until(")")?;
                    return function(open, name, args);
                }
                Ok(Node { at, expr: Expr::Ident(name) })
            }
            Some(Token::Sign("(")) => {
                self.tokens = &self.tokens[1..];
                let node = self.conditional()?;
                self.needs(")")?;
                Ok(node)
            }
            Some(Token::Sign("[")) => {
                self.tokens = &self.tokens[1..];
                Ok(Node { at, expr: Expr::List(self.list_until("]")?) })
            }
            Some(Token::Sign("{")) => {
                self.tokens = &self.tokens[1..];
                Ok(Node { at, expr: Expr::Map(self.entries()?) })
            }
            _ => Err(self.unexpected()),
        }
    }

    fn entries(&mut self) -> Parsed<Vec<(Node, Node)>> {
        let mut entries = Vec::new();
        while !self.takes("}") {
            let key = self.conditional()?;
            self.needs(":")?;
            entries.push((key, self.conditional()?));
            if !self.takes(",") {
                self.needs("}")?;
                break;
            }
        }
        Ok(entries)
    }

    fn list_until(&mut self, end: &str) -> Parsed<Vec<Node>> {
        let mut items = Vec::new();
        while !self.takes(end) {
            items.push(self.conditional()?);
            if !self.takes(",") {
                self.needs(end)?;
                break;
            }
        }
        Ok(items)
    }
}

/// `has(a.b)` is a macro; everything else is called.
fn function(at: usize, name: String, mut args: Vec<Node>) -> Parsed<Node> {
    if name == "has" && args.len() == 1 {
        let of = args.remove(0);
        return match of.expr {
            Expr::Select(of, field) => Ok(Node { at, expr: Expr::Has(of, field) }),
            _ => Err(SyntaxError { at: of.at, message: "invalid argument to has() macro".into() }),
        };
    }
    Ok(Node { at, expr: Expr::Call { name, target: None, args } })
}

/// The list macros, by name and number of arguments; everything else is called.
fn method(at: usize, target: Node, name: String, args: Vec<Node>) -> Parsed<Node> {
    let kind = match (name.as_str(), args.len()) {
        ("all", 2) => Macro::All,
        ("exists", 2) => Macro::Exists,
        ("exists_one" | "existsOne", 2) => Macro::ExistsOne,
        ("filter", 2) => Macro::Filter,
        ("map", 2 | 3) => Macro::Map,
        _ => return Ok(Node { at, expr: Expr::Call { name, target: Some(Box::new(target)), args } }),
    };
    let mut args = args.into_iter();
    let variable = match args.next() {
        Some(Node { expr: Expr::Ident(name), .. }) => name,
        other => {
            let at = other.map_or(at, |node| node.at);
            return Err(SyntaxError { at, message: "argument must be a simple name".into() });
        }
    };
    let rest: Vec<Node> = args.collect();
    Ok(Node { at, expr: Expr::Over { kind, range: Box::new(target), variable, parts: rest } })
}
