//! The roles and bindings that a fresh cluster comes with: those that people and charts name.

use serde_json::{Value, json};

/// Roles and bindings as a real server of the same version creates them, without their metadata's times.
const ROLES: &str = include_str!("bootstrap.json");

/// Plural, and the object itself.
pub(crate) fn objects() -> Vec<(&'static str, Value)> {
    // The file is part of the program and a test reads it.
    let list: Vec<Value> = serde_json::from_str(ROLES).unwrap_or_default();
    list.into_iter()
        .map(|mut object| {
            let plural = if object["kind"] == "ClusterRole" { "clusterroles" } else { "clusterrolebindings" };
            object["apiVersion"] = json!("rbac.authorization.k8s.io/v1");
            (plural, object)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_first_binding_has_its_role() {
        let objects = super::objects();
        let roles: Vec<&str> = objects
            .iter()
            .filter(|(plural, _)| *plural == "clusterroles")
            .filter_map(|(_, role)| role["metadata"]["name"].as_str())
            .collect();
        assert!(["cluster-admin", "admin", "edit", "view"].iter().all(|name| roles.contains(name)));
        for (_, binding) in objects.iter().filter(|(plural, _)| *plural == "clusterrolebindings") {
            assert!(roles.contains(&binding["roleRef"]["name"].as_str().unwrap()), "{binding}");
        }
    }
}
