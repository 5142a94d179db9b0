//! Throws mutated input at everything that reads what others wrote: none of it may panic, whatever the input.
//!
//! There is no instrumentation, so that the pinned stable toolchain is enough. A target answers each input with the
//! shape of its answer (which kind of value, which refusal), and inputs with a shape not seen before are kept and
//! mutated further: a poor man's coverage. With the same seed a run meets the same inputs in the same order.

pub mod corpus;
pub mod mutate;
pub mod runner;
pub mod shape;
pub mod target;
mod targets;

pub use targets::all;
