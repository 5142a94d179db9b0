//! From tokens to an expression.

use super::token::Token;
use super::{Expr, Operator};

/// Nesting beyond this is refused, so that no rule exhausts the stack.
const DEEPEST: usize = 100;

/// Binary operators by how tightly they bind, loosest first.
const LEVELS: &[&[(&str, Operator)]] = &[
    &[("||", Operator::Or)],
    &[("&&", Operator::And)],
    &[
        ("==", Operator::Equal),
        ("!=", Operator::NotEqual),
        ("<=", Operator::LessOrEqual),
        (">=", Operator::GreaterOrEqual),
        ("<", Operator::Less),
        (">", Operator::Greater),
        ("in", Operator::In),
    ],
    &[("+", Operator::Add), ("-", Operator::Subtract)],
    &[("*", Operator::Multiply), ("/", Operator::Divide), ("%", Operator::Remainder)],
];

pub(super) fn parse(tokens: &[Token]) -> Option<Expr> {
    let mut parser = Parser { tokens, depth: 0 };
    let expr = parser.conditional()?;
    parser.tokens.is_empty().then_some(expr)
}

struct Parser<'a> {
    tokens: &'a [Token],
    depth: usize,
}

impl Parser<'_> {
    fn next(&mut self) -> Option<Token> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first.clone())
    }

    fn takes(&mut self, sign: &str) -> bool {
        let found = match self.tokens.first() {
            Some(Token::Sign(one)) => *one == sign,
            Some(Token::Ident(word)) => word == sign && sign == "in",
            _ => false,
        };
        if found {
            self.tokens = &self.tokens[1..];
        }
        found
    }

    fn conditional(&mut self) -> Option<Expr> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return None;
        }
        let condition = self.binary(0)?;
        let expr = if self.takes("?") {
            let yes = self.conditional()?;
            if !self.takes(":") {
                return None;
            }
            let no = self.conditional()?;
            Expr::Conditional(Box::new(condition), Box::new(yes), Box::new(no))
        } else {
            condition
        };
        self.depth -= 1;
        Some(expr)
    }

    fn binary(&mut self, level: usize) -> Option<Expr> {
        let Some(operators) = LEVELS.get(level) else { return self.unary() };
        let mut left = self.binary(level + 1)?;
        while let Some((_, operator)) = operators.iter().find(|(sign, _)| self.takes(sign)) {
            let right = self.binary(level + 1)?;
            left = Expr::Binary(*operator, Box::new(left), Box::new(right));
        }
        Some(left)
    }

    fn unary(&mut self) -> Option<Expr> {
        let mut signs = Vec::new();
        while signs.len() < DEEPEST {
            if self.takes("!") {
                signs.push('!');
            } else if self.takes("-") {
                signs.push('-');
            } else {
                break;
            }
        }
        let mut expr = self.postfix()?;
        for sign in signs.into_iter().rev() {
            expr = if sign == '!' { Expr::Not(Box::new(expr)) } else { Expr::Negative(Box::new(expr)) };
        }
        Some(expr)
    }

    fn postfix(&mut self) -> Option<Expr> {
        let mut expr = self.primary()?;
        loop {
            if self.takes(".") {
                let Token::Ident(name) = self.next()? else { return None };
                expr = if self.takes("(") {
                    Expr::Method(Box::new(expr), name, self.list_until(")")?)
                } else {
                    Expr::Member(Box::new(expr), name)
                };
            } else if self.takes("[") {
                let index = self.conditional()?;
                if !self.takes("]") {
                    return None;
                }
                expr = Expr::Index(Box::new(expr), Box::new(index));
            } else {
                return Some(expr);
            }
        }
    }

    fn primary(&mut self) -> Option<Expr> {
        match self.next()? {
            Token::Literal(value) => Some(Expr::Literal(value)),
            Token::Ident(name) if self.takes("(") => Some(Expr::Call(name, self.list_until(")")?)),
            Token::Ident(name) => Some(Expr::Ident(name)),
            Token::Sign("(") => {
                let expr = self.conditional()?;
                self.takes(")").then_some(expr)
            }
            Token::Sign("[") => Some(Expr::List(self.list_until("]")?)),
            Token::Sign(_) => None,
        }
    }

    fn list_until(&mut self, end: &str) -> Option<Vec<Expr>> {
        let mut items = Vec::new();
        if self.takes(end) {
            return Some(items);
        }
        loop {
            items.push(self.conditional()?);
            if self.takes(end) {
                return Some(items);
            }
            if !self.takes(",") {
                return None;
            }
        }
    }
}
