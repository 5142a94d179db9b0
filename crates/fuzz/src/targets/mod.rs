//! The targets, one function each.

mod answers;
mod decisions;
mod languages;
mod numbers;
mod objects;
mod plane;
mod routers;

use crate::target::Target;

/// Every target.
#[must_use]
pub fn all() -> Vec<Target> {
    vec![
        languages::conditions(),
        languages::jsonpath(),
        languages::placeholders(),
        numbers::durations(),
        numbers::quantities(),
        numbers::floats(),
        numbers::layouts(),
        objects::pod_hashes(),
        objects::selectors(),
        objects::yaml(),
        objects::validation(),
        decisions::rollouts(),
        routers::gateway(),
        routers::istio(),
        answers::prometheus(),
        answers::web(),
        plane::patches(),
        plane::requests(),
    ]
}
