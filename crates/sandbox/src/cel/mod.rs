//! The Common Expression Language as validation rules of definitions use it, with the API server's own
//! functions (quantities, URLs, addresses, patterns, lists, sets), its type checks and its cost limits.
//!
//! A rule that cannot be read, or that calls what is not known here, is refused when its definition is
//! stored. Not known are versions (`semver`), comprehensions with two variables and
//! calendar functions with a time zone.

mod check;
mod decl;
mod eval;
mod formats;
mod functions;
mod library;
mod parser;
mod token;
mod value;

use std::sync::Arc;

use serde_json::Value;

pub(crate) use decl::Decl;
pub(crate) use eval::Failure;

use check::Checker;
use eval::Meter;
use functions::Ty;
use value::Val;

/// The most one evaluation may cost, in the API server's units.
const CALL_LIMIT: u64 = 1_000_000;

/// An expression and the byte it stands at.
#[derive(Clone, Debug)]
struct Node {
    at: usize,
    expr: Expr,
}

/// A parsed expression.
#[derive(Clone, Debug)]
enum Expr {
    Literal(Val),
    Ident(String),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
    /// `a.b`.
    Select(Box<Node>, String),
    /// `has(a.b)`.
    Has(Box<Node>, String),
    /// `a.?b`.
    MaybeSelect(Box<Node>, String),
    /// A function, a method or an operator by its function's name.
    Call {
        name: String,
        target: Option<Box<Node>>,
        args: Vec<Node>,
    },
    /// A macro over every item of a list or key of a map.
    Over {
        kind: Macro,
        range: Box<Node>,
        variable: String,
        parts: Vec<Node>,
    },
}

/// The macros that visit items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Macro {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
}

impl Node {
    fn call(at: usize, name: &str, args: Vec<Self>) -> Self {
        Self { at, expr: Expr::Call { name: name.to_owned(), target: None, args } }
    }
}

/// An expression that fits what it is about.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    node: Node,
    decl: Arc<Decl>,
    optional_old: bool,
    /// It speaks of the earlier value.
    pub uses_old: bool,
    /// The most one evaluation can cost, whatever the value.
    pub most_cost: u64,
}

/// What an expression must evaluate to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Bool,
    Text,
}

/// Reads and checks an expression about what `decl` describes.
///
/// # Errors
/// In the API server's words, with the place of each mistake drawn below the text.
pub(crate) fn compile(
    text: &str,
    decl: &Arc<Decl>,
    optional_old: bool,
    wanted: Wanted,
) -> Result<Program, String> {
    let unreadable = |at: usize, message: &str| {
        format!("compilation failed: {}", drawn(text, &[(at, message.to_owned())]))
    };
    let tokens = token::tokens(text).map_err(|at| unreadable(at, "Syntax error: token recognition error"))?;
    let node = parser::parse(&tokens, text.len()).map_err(|error| unreadable(error.at, &error.message))?;
    let mut checker = Checker::new(decl, optional_old);
    let fact = checker.check(&node);
    if !checker.mistakes.is_empty() {
        return Err(format!("compilation failed: {}", drawn(text, &checker.mistakes)));
    }
    let expected = if wanted == Wanted::Bool { Ty::BOOL } else { Ty::TEXT };
    if fact.ty != expected {
        return Err(match wanted {
            Wanted::Bool => "cel expression must evaluate to a bool".to_owned(),
            Wanted::Text => "messageExpression must evaluate to a string".to_owned(),
        });
    }
    let uses_old = checker.uses_old;
    Ok(Program { node, decl: Arc::clone(decl), optional_old, uses_old, most_cost: fact.cost })
}

/// Mistakes with the line they are in and a mark below the place.
fn drawn(text: &str, mistakes: &[check::Mistake]) -> String {
    let one = |(at, message): &check::Mistake| {
        let before = text.get(..*at).unwrap_or(text);
        let line = before.matches('\n').count();
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
        let shown = text.split('\n').nth(line).unwrap_or_default();
        format!(
            "ERROR: <input>:{}:{}: {message}\n | {shown}\n | {}^",
            line + 1,
            column + 1,
            ".".repeat(column)
        )
    };
    mistakes.iter().map(one).collect::<Vec<_>>().join("\n")
}

/// A value and, in transition rules, its earlier self, as programs about the same part take them.
pub(crate) struct Subject {
    value: Val,
    old: Option<Val>,
}

impl Subject {
    /// Reads both as `decl` says.
    pub fn new(decl: &Decl, value: &Value, old: Option<&Value>) -> Self {
        let read = |value: &Value| value::from_json(value, decl);
        Self { value: read(value), old: old.map(read) }
    }
}

impl Program {
    /// What the expression describes.
    pub fn decl(&self) -> &Decl {
        &self.decl
    }

    fn run(&self, subject: &Subject) -> (Result<Val, Failure>, u64) {
        let mut names = vec![("self".to_owned(), subject.value.clone())];
        if self.optional_old {
            names.push(("oldSelf".to_owned(), Val::Optional(subject.old.clone().map(Arc::new))));
        } else if let Some(old) = &subject.old {
            names.push(("oldSelf".to_owned(), old.clone()));
        }
        let mut meter = Meter::new(CALL_LIMIT);
        let outcome = eval::evaluate(&self.node, &mut names, &mut meter);
        (outcome, meter.spent())
    }

    /// Whether the rule holds, and what finding out cost.
    pub fn holds(&self, subject: &Subject) -> (Result<bool, Failure>, u64) {
        let (outcome, cost) = self.run(subject);
        let outcome = outcome.and_then(|value| match value {
            Val::Bool(flag) => Ok(flag),
            _ => Err(Failure::no_overload()),
        });
        (outcome, cost)
    }

    /// The text the expression makes, and what making it cost.
    pub fn text(&self, subject: &Subject) -> (Option<String>, u64) {
        let (outcome, cost) = self.run(subject);
        match outcome {
            Ok(Val::Text(text)) => (Some(text), cost),
            _ => (None, cost),
        }
    }
}

#[cfg(test)]
mod tests;
