//! Namespaces: one that is being deleted is emptied, pods before everything else, and then let go.

use std::time::Duration;

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{Context, queue_own_keys};
use crate::api::{Depth, is_conflict, is_not_found};
use crate::cache::Cache;
use crate::controllers::garbage::fetch_kinds;
use crate::object::{Key, Object};
use crate::queue::{Again, Queue};
use crate::resource::{NAMESPACES, PODS};

/// How long a namespace that is being deleted is left alone, so that whoever still writes to it learns of it first.
const GRACE: SignedDuration = SignedDuration::from_secs(5);

/// How long a namespace with objects that still terminate waits before it is looked at again.
const RETRY: Duration = Duration::from_secs(1);

/// The namespace as it is sent to its `finalize` subresource: without the finalizer `kubernetes`. `None` if
/// it need not be.
#[must_use]
pub fn plan_finalize(namespace: &Object) -> Option<Value> {
    let finalizers = namespace.list("/spec/finalizers");
    let kept: Vec<&Value> = finalizers.iter().filter(|name| *name != &json!("kubernetes")).collect();
    if kept.len() == finalizers.len() {
        return None;
    }
    let mut document = namespace.value().clone();
    document["spec"]["finalizers"] = json!(kept);
    document["apiVersion"] = json!("v1");
    document["kind"] = json!("Namespace");
    Some(document)
}

/// Runs the controller until it is dropped.
pub async fn run(context: Context) {
    let queue = Queue::new();
    let namespaces = context.hub.cache(&NAMESPACES);
    queue_own_keys(&namespaces, &queue);
    namespaces.wait_synced().await;
    queue.drive(4, |key| reconcile(&context, &namespaces, key)).await;
}

async fn reconcile(context: &Context, namespaces: &Cache, key: Key) -> kube::Result<Again> {
    let Some(namespace) = namespaces.get(&key).filter(Object::is_deleting) else { return Ok(None) };
    let Some(document) = plan_finalize(&namespace) else { return Ok(None) };
    let begins = namespace.deletion_time().and_then(|at| at.checked_add(GRACE).ok());
    if let Some(begins) = begins.filter(|at| *at > context.clock.now()) {
        return Ok(context.again_at(Some(begins)));
    }
    if apply_emptying(context, namespace.name()).await? > 0 {
        return Ok(Some(RETRY));
    }
    match context.api.send_replace(&NAMESPACES, &key, Some("finalize"), &document).await {
        Err(error) if is_not_found(&error) => Ok(None),
        Err(error) if is_conflict(&error) => Ok(Some(RETRY)),
        other => other.map(|_| None),
    }
}

/// Deletes everything in a namespace; returns how many objects are still there. Nothing else goes before the pods have:
/// what they still need (network policies, accounts) is there until then.
async fn apply_emptying(context: &Context, namespace: &str) -> kube::Result<usize> {
    let (pods, _) = context.api.fetch_list_at(&PODS, Some(namespace), Depth::Metadata).await?;
    if pods.iter().any(|pod| !pod.is_deleting()) {
        context.api.send_delete_collection(&PODS, namespace).await?;
    }
    let mut left = context.api.fetch_list_at(&PODS, Some(namespace), Depth::Metadata).await?.0.len();
    if left > 0 {
        return Ok(left);
    }
    for kind in fetch_kinds(&context.api).await? {
        if !kind.namespaced {
            continue;
        }
        let (objects, _) = context.api.fetch_list_at(&kind, Some(namespace), Depth::Metadata).await?;
        if objects.is_empty() {
            continue;
        }
        if objects.iter().any(|object| !object.is_deleting()) {
            context.api.send_delete_collection(&kind, namespace).await?;
        }
        left += context.api.fetch_list_at(&kind, Some(namespace), Depth::Metadata).await?.0.len();
    }
    Ok(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_clusters_own_finalizer_is_taken_away() {
        let namespace = |finalizers: Value| {
            Object::from(json!({"metadata": {"name": "a"}, "spec": {"finalizers": finalizers}}))
        };
        let plan = plan_finalize(&namespace(json!(["kubernetes", "mine"]))).unwrap();
        assert_eq!(plan["spec"]["finalizers"], json!(["mine"]));
        assert_eq!(plan_finalize(&namespace(json!(["mine"]))), None);
    }
}
