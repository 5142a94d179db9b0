//! What every namespace is furnished with: the `default` service account and the cluster's root
//! certificate in `kube-root-ca.crt`.

use serde_json::{Value, json};

use super::{Context, apply_create_if_absent, queue_own_keys};
use crate::api::{is_namespace_terminating, is_not_found};
use crate::cache::Cache;
use crate::object::{Key, Object};
use crate::queue::{Again, Queue};
use crate::resource::{CONFIG_MAPS, NAMESPACES, Resource, SERVICE_ACCOUNTS};

const ROOT_CA: &str = "kube-root-ca.crt";

/// The objects a namespace lacks, given what it has.
#[must_use]
pub fn plan_furnishing(
    namespace: &Object,
    has_account: bool,
    has_root_ca: bool,
    root_ca: &str,
) -> Vec<(Resource, Value)> {
    if namespace.is_deleting() {
        return Vec::new();
    }
    let mut wanted = Vec::new();
    if !has_account {
        let metadata = json!({"name": "default", "namespace": namespace.name()});
        wanted.push((
            SERVICE_ACCOUNTS,
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}),
        ));
    }
    if !has_root_ca {
        let metadata = json!({"name": ROOT_CA, "namespace": namespace.name(), "annotations": {
            "kubernetes.io/description": "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.",
        }});
        let data = json!({"ca.crt": root_ca});
        wanted.push((
            CONFIG_MAPS,
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}),
        ));
    }
    wanted
}

/// The config map as it should be, if somebody changed it.
#[must_use]
pub fn plan_repair(map: &Object, root_ca: &str) -> Option<Value> {
    let data = json!({"ca.crt": root_ca});
    if map.at("/data") == Some(&data) {
        return None;
    }
    let mut wanted = map.value().clone();
    wanted["data"] = data;
    wanted["apiVersion"] = json!("v1");
    wanted["kind"] = json!("ConfigMap");
    Some(wanted)
}

/// Runs the controller until it is dropped. `root_ca` is the PEM text to publish.
pub async fn run(context: Context, root_ca: String) {
    let queue = Queue::new();
    let namespaces = context.hub.cache(&NAMESPACES);
    let accounts = context.hub.cache(&SERVICE_ACCOUNTS);
    let config_maps = context.hub.cache(&CONFIG_MAPS);
    queue_own_keys(&namespaces, &queue);
    for (cache, name) in [(&accounts, "default"), (&config_maps, ROOT_CA)] {
        let queue = std::sync::Arc::clone(&queue);
        cache.subscribe(move |change| {
            // A loss needs repair, and so does a certificate that somebody changed.
            let data = |object: &Object| object.at("/data").cloned();
            if let Some(lost) = change.old.as_ref().filter(|old| old.name() == name)
                && change.new.as_ref().map(data) != Some(data(lost))
            {
                queue.add(Key::new("", lost.namespace()));
            }
        });
    }
    for cache in [&namespaces, &accounts, &config_maps] {
        cache.wait_synced().await;
    }
    queue.drive(4, |key| reconcile(&context, &namespaces, &accounts, &config_maps, &root_ca, key)).await;
}

async fn reconcile(
    context: &Context,
    namespaces: &Cache,
    accounts: &Cache,
    config_maps: &Cache,
    root_ca: &str,
    key: Key,
) -> kube::Result<Again> {
    let Some(namespace) = namespaces.get(&key) else { return Ok(None) };
    let has = |cache: &Cache, name: &str| cache.get(&Key::new(key.name.as_str(), name)).is_some();
    let plan = plan_furnishing(&namespace, has(accounts, "default"), has(config_maps, ROOT_CA), root_ca);
    let published = config_maps.get(&Key::new(key.name.as_str(), ROOT_CA));
    if let Some(map) = published.filter(|_| !namespace.is_deleting())
        && let Some(wanted) = plan_repair(&map, root_ca)
    {
        match context.api.send_replace(&CONFIG_MAPS, &map.key(), None, &wanted).await {
            Err(error) if is_not_found(&error) => {}
            written => config_maps.wait_for_echo(&written?).await,
        }
    }
    for (resource, body) in plan {
        match apply_create_if_absent(&context.api, &resource, &key.name, &body).await {
            Err(error) if is_namespace_terminating(&error) => return Ok(None),
            other => other?,
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_certificate_that_somebody_changed_is_put_back() {
        let map = |data: Value| Object::from(json!({"metadata": {"name": ROOT_CA}, "data": data}));
        assert_eq!(plan_repair(&map(json!({"ca.crt": "PEM"})), "PEM"), None);
        let repaired = plan_repair(&map(json!({"mine": "too"})), "PEM").unwrap();
        assert_eq!(repaired["data"], json!({"ca.crt": "PEM"}));
    }

    #[test]
    fn a_namespace_gets_what_it_lacks_unless_it_is_going_away() {
        let live: Object = json!({"metadata": {"name": "a"}}).into();
        let leaving: Object =
            json!({"metadata": {"name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z"}}).into();
        let kinds = |namespace: &Object, account, root_ca| {
            let plan = plan_furnishing(namespace, account, root_ca, "PEM");
            plan.into_iter().map(|(resource, _)| resource.kind.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(kinds(&live, false, false), ["ServiceAccount", "ConfigMap"]);
        assert_eq!(kinds(&live, true, false), ["ConfigMap"]);
        assert!(kinds(&live, true, true).is_empty());
        assert!(kinds(&leaving, false, false).is_empty());
    }
}
