//! Whole stories on the toy cluster.

mod canary;

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

/// A world whose first version is complete.
pub(crate) fn deployed(spec: Value, services: &[&str], routers: usize) -> World {
    let mut world = World::new(spec, services, routers);
    world.run_for(5);
    world.forget();
    world
}
