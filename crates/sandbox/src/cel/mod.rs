//! The part of the Common Expression Language that validation rules of definitions use: operators,
//! `has`, the list macros, and the string functions. What it does not know it says so about, and such
//! a rule is stored but not evaluated.

mod eval;
mod parser;
mod token;

use serde_json::Value;

pub(crate) use eval::Failure;

/// A parsed expression.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expr {
    Literal(Value),
    Ident(String),
    List(Vec<Expr>),
    /// `a.b`.
    Member(Box<Expr>, String),
    /// `a[b]`.
    Index(Box<Expr>, Box<Expr>),
    /// `f(a)`.
    Call(String, Vec<Expr>),
    /// `a.f(b)`.
    Method(Box<Expr>, String, Vec<Expr>),
    Not(Box<Expr>),
    Negative(Box<Expr>),
    Binary(Operator, Box<Expr>, Box<Expr>),
    Conditional(Box<Expr>, Box<Expr>, Box<Expr>),
}

/// A binary operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// Parses a rule; `None` when it uses what is not known here.
pub(crate) fn parse(text: &str) -> Option<Expr> {
    parser::parse(&token::tokens(text)?)
}

/// Whether a rule holds for a value and, in transition rules, its earlier self.
pub(crate) fn holds(rule: &Expr, value: &Value, old: Option<&Value>) -> Result<bool, Failure> {
    let mut names = vec![("self".to_owned(), value.clone())];
    if let Some(old) = old {
        names.push(("oldSelf".to_owned(), old.clone()));
    }
    match eval::evaluate(rule, &mut names)? {
        Value::Bool(flag) => Ok(flag),
        _ => Err(Failure::Unsupported),
    }
}

/// Whether the rule speaks of the earlier value.
pub(crate) fn is_transition(rule: &Expr) -> bool {
    match rule {
        Expr::Ident(name) => name == "oldSelf",
        Expr::Literal(_) => false,
        Expr::List(items) | Expr::Call(_, items) => items.iter().any(is_transition),
        Expr::Member(of, _) | Expr::Not(of) | Expr::Negative(of) => is_transition(of),
        Expr::Index(a, b) | Expr::Binary(_, a, b) => is_transition(a) || is_transition(b),
        Expr::Method(of, _, args) => is_transition(of) || args.iter().any(is_transition),
        Expr::Conditional(a, b, c) => is_transition(a) || is_transition(b) || is_transition(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(rule: &str, value: Value) -> Result<bool, Failure> {
        holds(&parse(rule).unwrap_or_else(|| panic!("{rule}")), &value, None)
    }

    #[test]
    fn rules_of_definitions_are_evaluated() {
        let route = json!({ "a": 3, "name": "xy", "list": ["ab", "c"], "items": [{ "k": "a", "w": 1 }, { "k": "b" }],
            "map": { "x": "y" }, "namespace": "n", "f": 1.5 });
        let table = [
            ("self.a == 3 && self.a < 5", true),
            ("!has(self.b) || self.b == 1", true),
            ("has(self.map.x) && self.map['x'] == \"y\"", true),
            ("self.list.all(i, i.size() <= 2)", true),
            ("self.items.exists_one(i, i.k == 'a' && (has(i.w) ? i.w == 1 : true))", true),
            ("self.items.exists(i, has(i.w) && i.w > 1)", false),
            ("self.items.all(l1, self.items.exists_one(l2, l1.k == l2.k))", true),
            ("self.items.filter(i, has(i.w)).size() == 1", true),
            ("self.items.map(i, i.k) == ['a', 'b']", true),
            ("size(self.list) + 1 == 3", true),
            ("self.name.startsWith('x') && self.name.endsWith('y') && self.name.matches('^[a-z]+$')", true),
            ("self.name in ['xy', 'z'] && 'x' in self.map", true),
            ("self.a % 2 == 1 ? self.f > 1.0 : false", true),
            ("self.__namespace__ == 'n'", true),
            ("-self.a + 4 == 1", true),
            ("self.missing == 1 || true", true),
            ("false && self.missing == 1", false),
        ];
        for (rule, expected) in table {
            assert_eq!(check(rule, route.clone()), Ok(expected), "{rule}");
        }
        assert_eq!(check("self.missing == 1", route), Err(Failure::NoSuchKey("missing".into())));
    }

    #[test]
    fn what_is_not_known_is_not_parsed_or_not_evaluated() {
        for rule in ["self.a ==", "self.a ==== 1", "[1,", "'open"] {
            assert_eq!(parse(rule), None, "{rule}");
        }
        assert_eq!(check("quantity(self) == 1", json!("1")), Err(Failure::Unsupported));
        assert_eq!(check("self.isIP()", json!("1")), Err(Failure::Unsupported));
    }
}
