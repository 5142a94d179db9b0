//! Why an expression has no value.

use std::fmt;

/// When evaluation failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Before anything ran: syntax, unknown names, types that cannot fit.
    Compile,
    /// While running, on the values at hand.
    Runtime,
    /// It ran, but its value is not of the kind that was asked for.
    Type,
}

/// An expression that has no value, and where in it the trouble is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvalError {
    /// When it failed.
    pub kind: ErrorKind,
    /// What is wrong, in the words users know.
    pub message: String,
    /// The place in the expression, counted in characters, where one is known.
    pub at: Option<usize>,
}

impl EvalError {
    pub(crate) fn compile_at(at: usize, message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Compile, message: message.into(), at: Some(at) }
    }

    pub(crate) fn runtime_at(at: usize, message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Runtime, message: message.into(), at: Some(at) }
    }

    pub(crate) fn wrong_type(wanted: &str, got: &str) -> Self {
        Self { kind: ErrorKind::Type, message: format!("expected {wanted}, but got {got}"), at: None }
    }

    /// The message with the line it is about and a mark under the place, as notification triggers report it.
    pub fn with_snippet(&self, source: &str) -> String {
        let Some(at) = self.at else {
            return self.message.clone();
        };
        let before: String = source.chars().take(at).collect();
        let line_number = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
        let line = source.split('\n').nth(line_number - 1).unwrap_or_default();
        if line.is_empty() {
            return self.message.clone();
        }
        let line = line.replace('\t', " ");
        let dots = ".".repeat(column);
        format!("{} ({line_number}:{})\n | {line}\n | {dots}^", self.message, column + 1)
    }
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for EvalError {}
