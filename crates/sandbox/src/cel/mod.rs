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

    /// The rules as the Gateway API publishes them.
    fn gateway_rules() -> Vec<&'static str> {
        let lines = include_str!("../../tests/rules/gateway-api.txt").lines();
        lines.filter(|line| !line.starts_with('#')).collect()
    }

    #[test]
    fn every_rule_of_the_gateway_api_can_be_read() {
        let rules = gateway_rules();
        assert!(rules.len() > 90);
        for rule in rules {
            assert!(parse(rule).is_some(), "{rule}");
        }
    }

    #[test]
    fn rules_of_the_gateway_api_tell_good_values_from_bad_ones() {
        let table = [
            (
                "!(duration(self) < duration('1s') || duration(self) > duration('1h'))",
                json!("30s"),
                json!("2h"),
            ),
            ("self.all(h, !isIP(h))", json!(["example.com"]), json!(["10.0.0.1"])),
            (
                "(self.type in ['Exact','PathPrefix']) ? self.value.startsWith('/') : true",
                json!({ "type": "Exact", "value": "/a" }),
                json!({ "type": "Exact", "value": "a" }),
            ),
            (
                "self.filter(f, f.type == 'URLRewrite').size() <= 1",
                json!([{ "type": "URLRewrite" }]),
                json!([{ "type": "URLRewrite" }, { "type": "URLRewrite" }]),
            ),
            (
                "self.all(l1, self.exists_one(l2, l1.name == l2.name))",
                json!([{ "name": "a" }, { "name": "b" }]),
                json!([{ "name": "a" }, { "name": "a" }]),
            ),
            (
                "!(has(self.requestMirror) && self.type != 'RequestMirror')",
                json!({ "type": "RequestMirror", "requestMirror": {} }),
                json!({ "type": "CORS", "requestMirror": {} }),
            ),
            (
                "(size(self.group) == 0 && self.kind == 'Service') ? has(self.port) : true",
                json!({ "group": "", "kind": "Service", "port": 80 }),
                json!({ "group": "", "kind": "Service" }),
            ),
            (
                "self.numerator <= self.denominator",
                json!({ "numerator": 1, "denominator": 100 }),
                json!({ "numerator": 2, "denominator": 1 }),
            ),
            ("!('*' in self && self.size() > 1)", json!(["*"]), json!(["*", "a"])),
            (
                "self.all(key, key.split(\"/\")[0].size() < 253)",
                json!({ "a/b": 1 }),
                json!({ "a".repeat(253): 1 }),
            ),
            (
                "self.all(h, h.contains('*') ? (h.startsWith('*.') && h.substring(2).matches('^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)$')) : true)",
                json!(["*.example.com"]),
                json!(["a.*"]),
            ),
            (
                "(self.type in ['Exact','PathPrefix']) ? self.value.matches(r\"\"\"^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+$\"\"\") : true",
                json!({ "type": "Exact", "value": "/a%20b" }),
                json!({ "type": "Exact", "value": "/a b" }),
            ),
            (
                "self.mode == 'Terminate' ? size(self.certificateRefs) > 0 || size(self.options) > 0 : true",
                json!({ "mode": "Terminate", "certificateRefs": [{}] }),
                json!({ "mode": "Terminate", "certificateRefs": [], "options": {} }),
            ),
        ];
        let published = gateway_rules();
        for (rule, good, bad) in table {
            assert!(published.contains(&rule), "{rule}");
            assert_eq!(check(rule, good), Ok(true), "{rule}");
            assert_eq!(check(rule, bad), Ok(false), "{rule}");
        }
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
