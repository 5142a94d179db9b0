//! Namespaces: one that is being deleted is emptied, pods before everything else, and then let go.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{Context, queue_own_keys};
use crate::api::{Depth, is_conflict, is_not_found};
use crate::cache::Cache;
use crate::controllers::garbage::fetch_kinds;
use crate::object::{Key, Object, api_time};
use crate::queue::{Again, Queue};
use crate::resource::{NAMESPACES, Resource};

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
    let remains = apply_emptying(context, namespace.name()).await?;
    if !remains.kinds.is_empty() {
        let now = context.clock.now();
        if let Some(patch) = plan_conditions(&namespace, &remains, &api_time(now)) {
            match context.api.send_patch(&NAMESPACES, &key, Some("status"), &patch).await {
                Err(error) if !is_not_found(&error) => return Err(error),
                _ => {}
            }
        }
        return Ok(Some(RETRY));
    }
    match context.api.send_replace(&NAMESPACES, &key, Some("finalize"), &document).await {
        Err(error) if is_not_found(&error) => Ok(None),
        Err(error) if is_conflict(&error) => Ok(Some(RETRY)),
        other => other.map(|_| None),
    }
}

/// What could not be deleted yet.
#[derive(Debug, Default)]
struct Remains {
    /// Objects by `plural.group`.
    kinds: BTreeMap<String, usize>,
    /// Objects by finalizer.
    finalizers: BTreeMap<String, usize>,
}

/// Deletes everything in a namespace, its pods first: what else is there may be needed for them to end.
async fn apply_emptying(context: &Context, namespace: &str) -> kube::Result<Remains> {
    let mut kinds = fetch_kinds(&context.api).await?;
    kinds.retain(|kind| kind.namespaced);
    let (pods, others): (Vec<_>, Vec<_>) =
        kinds.into_iter().partition(|kind| kind.group.is_empty() && kind.plural == "pods");
    let mut remains = Remains::default();
    for kinds in [pods, others] {
        for kind in kinds {
            apply_emptying_of(context, namespace, &kind, &mut remains).await?;
        }
        if !remains.kinds.is_empty() {
            break;
        }
    }
    Ok(remains)
}

async fn apply_emptying_of(
    context: &Context,
    namespace: &str,
    kind: &Resource,
    remains: &mut Remains,
) -> kube::Result<()> {
    let (objects, _) = context.api.fetch_list_at(kind, Some(namespace), Depth::Metadata).await?;
    if objects.is_empty() {
        return Ok(());
    }
    if objects.iter().any(|object| !object.is_deleting()) {
        context.api.send_delete_collection(kind, namespace).await?;
    }
    let (left, _) = context.api.fetch_list_at(kind, Some(namespace), Depth::Metadata).await?;
    if !left.is_empty() {
        remains.kinds.insert(format!("{}.{}", kind.plural, kind.group), left.len());
    }
    for finalizer in left.iter().flat_map(Object::finalizers) {
        *remains.finalizers.entry(finalizer.to_owned()).or_default() += 1;
    }
    Ok(())
}

/// The conditions that tell what a namespace waits for, as a patch of its status; `None` if it tells that already.
fn plan_conditions(namespace: &Object, remains: &Remains, now: &str) -> Option<Value> {
    let list = |counts: &BTreeMap<String, usize>, between: &str| -> String {
        let terms: Vec<String> = counts
            .iter()
            .map(|(what, count)| format!("{what} {between} {count} resource instances"))
            .collect();
        terms.join(", ")
    };
    let finalizers = if remains.finalizers.is_empty() {
        ("ContentHasNoFinalizers", "False", "All content-preserving finalizers finished".to_owned())
    } else {
        let list = list(&remains.finalizers, "in");
        (
            "SomeFinalizersRemain",
            "True",
            format!("Some content in the namespace has finalizers remaining: {list}"),
        )
    };
    let wanted = [
        (
            "NamespaceDeletionDiscoveryFailure",
            ("ResourcesDiscovered", "False", "All resources successfully discovered".to_owned()),
        ),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            ("ParsedGroupVersions", "False", "All legacy kube types successfully parsed".to_owned()),
        ),
        (
            "NamespaceDeletionContentFailure",
            (
                "ContentDeleted",
                "False",
                "All content successfully deleted, may be waiting on finalization".to_owned(),
            ),
        ),
        (
            "NamespaceContentRemaining",
            (
                "SomeResourcesRemain",
                "True",
                format!("Some resources are remaining: {}", list(&remains.kinds, "has")),
            ),
        ),
        ("NamespaceFinalizersRemaining", finalizers),
    ];
    let known = namespace.list("/status/conditions");
    let conditions: Vec<Value> = wanted
        .into_iter()
        .map(|(name, (reason, status, message))| {
            let before = known.iter().find(|one| one["type"] == name && one["status"] == status);
            let since = before.and_then(|one| one["lastTransitionTime"].as_str()).unwrap_or(now);
            json!({
                "type": name, "status": status, "lastTransitionTime": since, "reason": reason, "message": message,
            })
        })
        .collect();
    (conditions != known).then(|| json!({"status": {"conditions": conditions}}))
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

    #[test]
    fn what_remains_is_told_once() {
        let remains = Remains {
            kinds: [("configmaps.".to_owned(), 2), ("jobs.batch".to_owned(), 1)].into(),
            finalizers: [("example.com/hold".to_owned(), 1)].into(),
        };
        let patch = plan_conditions(&Object::from(json!({})), &remains, "NOW").unwrap();
        let conditions = patch["status"]["conditions"].clone();
        assert_eq!(
            conditions[3]["message"],
            "Some resources are remaining: configmaps. has 2 resource instances, jobs.batch has 1 resource instances"
        );
        let told = Object::from(json!({"status": {"conditions": conditions}}));
        assert_eq!(plan_conditions(&told, &remains, "LATER"), None);
    }
}
