//! Whole stories on the toy cluster.

mod blue_green;
mod canary;
mod children;
mod engine;
mod ephemeral;
mod events;
mod objects;
mod passes;
mod properties;
mod recorded;
mod recovery;
mod routed;
mod rows;
mod scaling;
mod status;
mod workload;

use serde_json::{Value, json};

use crate::world::World;

/// A pod template with that image.
pub(crate) fn template(image: &str) -> Value {
    json!({
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": image}]},
    })
}

/// A canary spec.
pub(crate) fn canary(replicas: i32, canary: Value) -> Value {
    json!({
        "replicas": replicas,
        "selector": {"matchLabels": {"app": "web"}},
        "template": template("web:1"),
        "strategy": {"canary": canary},
    })
}

/// A blue-green spec with an active and a preview Service.
pub(crate) fn blue_green(replicas: i32, extra: Value) -> Value {
    let mut strategy = json!({"activeService": "active", "previewService": "preview"});
    crate::rollout::project::merge(&mut strategy, &extra);
    json!({
        "replicas": replicas,
        "selector": {"matchLabels": {"app": "web"}},
        "template": template("web:1"),
        "strategy": {"blueGreen": strategy},
    })
}

/// Phase and message.
pub(crate) fn phase(world: &World) -> (String, String) {
    let status = &world.snapshot.rollout.status;
    (status.phase.as_ref().map(ToString::to_string).unwrap_or_default(), status.message.clone())
}

/// Image behind a Service.
pub(crate) fn behind(world: &World, service: &str) -> String {
    let service = world.snapshot.services[service].as_ref().unwrap();
    let set = world.snapshot.replica_sets.iter().find(|set| set.pod_hash() == service.selected_hash());
    set.and_then(|set| set.spec.template.pointer("/spec/containers/0/image"))
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

/// Clears the pauses as `promote` does.
pub(crate) fn resume(world: &mut World) {
    world.snapshot.rollout.status.pause_conditions.clear();
}

/// A world whose first version is complete.
pub(crate) fn deployed(spec: Value, services: &[&str], routers: usize) -> World {
    let mut world = World::new(spec, services, routers);
    world.run_for(5);
    world.forget();
    world
}
