//! The condition language: the expressions users write in `successCondition`, `failureCondition` and triggers.
//!
//! Text becomes tokens ([`token`]), a tree ([`parser`]), a checked and folded tree ([`check`], [`fold`]) and a value
//! ([`eval`]). An expression is compiled against the value at hand each time: a type mismatch is an error even
//! in a branch that would not run, and for a measurement an error is something else than a failure.

mod ast;
mod builtin;
mod check;
mod condition;
mod error;
mod eval;
mod fold;
mod functions;
mod operators;
mod parser;
mod times;
mod token;
mod types;
mod value;

pub use condition::{
    Outcome, decide_outcome, evaluate_condition, evaluate_time, evaluate_trigger, fuzz_condition,
};
pub use error::{ErrorKind, EvalError};
pub use types::{GoType, Signature, StructType};
pub use value::{Function, List, Map, Struct, Value};
