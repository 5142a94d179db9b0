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

use glidepath_api::cluster::ReplicaSet;
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

/// The Services of [`routed`].
pub(crate) const SERVICES: [&str; 2] = ["canary", "stable"];

/// A canary whose traffic Istio routes.
pub(crate) fn routed(replicas: i32, extra: Value) -> Value {
    let mut strategy = json!({
        "canaryService": "canary", "stableService": "stable",
        "trafficRouting": {"istio": {"virtualService": {"name": "web"}}},
    });
    crate::rollout::project::merge(&mut strategy, &extra);
    canary(replicas, strategy)
}

/// A world with an AnalysisTemplate `check`, once its first version is complete.
pub(crate) fn with_check(spec: Value, services: &[&str], routers: usize) -> World {
    let mut world = World::new(spec, services, routers);
    let check = json!({"metrics": [{"name": "m", "provider": {"web": {"url": "http://x"}}}]});
    world.snapshot.analysis_templates.insert("check".to_owned(), serde_json::from_value(check).unwrap());
    world.run_for(5);
    world
}

/// The same, with what led there forgotten.
pub(crate) fn deployed_with_check(spec: Value, services: &[&str]) -> World {
    let mut world = with_check(spec, services, 0);
    world.forget();
    world
}

/// Wanted pods of the ReplicaSet with that image; -1 when there is none.
pub(crate) fn size(world: &World, image: &str) -> i32 {
    world.set_of(image).map_or(-1, ReplicaSet::replicas)
}
