//! What Go does that users can see: durations, floats, times, quoting, quantities, hashes.
//!
//! Everything here is a plain function over text or JSON. A cluster that was run by a Go program is taken over in
//! place, so names that were hashed, numbers that were printed and durations that were parsed must come out the same
//! to the last byte. Nothing in this crate panics on any input; what Go refuses comes back as an error.

pub mod duration;
pub mod float;
pub mod fnv;
pub mod intstr;
pub mod json;
pub mod pod_template;
pub mod podhash;
pub mod quantity;
pub mod quote;
mod schema;
pub mod time;
pub mod time_layout;
pub mod yaml;
