//! The small languages users write in manifests: conditions, JSONPath, argument placeholders.
//!
//! Each module takes text and values and answers with a value or an error; none panics, reads a clock or does I/O.

pub mod expr;
pub mod jsonpath;
pub mod placeholder;
mod re2;
