//! Where the shell meets the routers: which objects they look at, how these are read and rendered.

use glidepath_api::Rollout;
use glidepath_core::traffic::{RouterKind, RouterObservation, WantedTraffic};
use serde_json::Value;

use crate::references::Reference;

/// A router's object: which one, and the document if it exists.
pub type RouterObject = (Reference, Option<Value>);

/// The traffic routers, as pure functions of the objects they own.
pub trait Routers: Send + Sync {
    /// The routers of a Rollout in the order in which they are driven, each with its objects.
    fn routers(&self, rollout: &Rollout) -> Vec<(RouterKind, Vec<Reference>)>;

    /// What a router's objects carry.
    fn read(&self, kind: &RouterKind, rollout: &Rollout, objects: &[RouterObject]) -> RouterObservation;

    /// The objects with the wanted traffic rendered onto them, those that do not change left out.
    ///
    /// # Errors
    /// What makes the objects unusable, in words for a person.
    fn render(
        &self,
        kind: &RouterKind,
        rollout: &Rollout,
        objects: &[RouterObject],
        wanted: &WantedTraffic,
    ) -> Result<Vec<(Reference, Value)>, String>;
}
