//! What ReplicaSets and Jobs share about the pods they own: who belongs to whom, and how a pod is made
//! from a template.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Context, Note, controller_reference};
use crate::api::{DeleteOptions, is_namespace_terminating, is_not_found};
use crate::cache::Cache;
use crate::object::{Key, Object};
use crate::resource::{PODS, Resource};
use crate::selector::Selector;

/// Ownership changes a controller asks for before it counts its pods.
#[derive(Debug, Default, PartialEq)]
pub struct Claims {
    /// The pods that are the controller's own once adopted and released.
    pub owned: Vec<Object>,
    /// Orphans to adopt.
    pub adopt: Vec<Object>,
    /// Owned pods whose labels no longer match.
    pub release: Vec<Object>,
}

/// Sorts candidate pods (those the owner controls and those nobody does) into owned, adopted and released.
#[must_use]
pub fn plan_claims(owner: &Object, selector: &Selector, candidates: &[Object]) -> Claims {
    let mut claims = Claims::default();
    for pod in candidates {
        let matches = selector.matches(pod.labels());
        match pod.controller() {
            Some(controller) if controller.uid == owner.uid() => {
                if matches || owner.is_deleting() {
                    claims.owned.push(pod.clone());
                } else if !pod.is_deleting() {
                    claims.release.push(pod.clone());
                }
            }
            None if matches
                && !owner.is_deleting()
                && is_active(pod)
                && pod.namespace() == owner.namespace() =>
            {
                claims.adopt.push(pod.clone());
                claims.owned.push(pod.clone());
            }
            _ => {}
        }
    }
    claims
}

/// Whether a pod still counts towards the wanted number: neither finished nor being deleted.
#[must_use]
pub fn is_active(pod: &Object) -> bool {
    !is_finished(pod) && !pod.is_deleting()
}

/// Whether all containers of a pod have ended for good.
#[must_use]
pub fn is_finished(pod: &Object) -> bool {
    matches!(pod.text("/status/phase"), Some("Succeeded" | "Failed"))
}

/// Whether the pod's `Ready` condition is true.
#[must_use]
pub fn is_ready(pod: &Object) -> bool {
    pod.condition_is_true("Ready")
}

/// Since when the pod has been ready, if it is.
#[must_use]
pub fn ready_since(pod: &Object) -> Option<Timestamp> {
    let condition =
        pod.condition("Ready").filter(|condition| condition.get("status") == Some(&json!("True")))?;
    condition.get("lastTransitionTime").and_then(Value::as_str).and_then(|text| text.parse().ok())
}

/// The longest generated name the server will append five characters to.
const GENERATED_NAME_LIMIT: usize = 58;

/// A pod made from a template document, owned by `owner`. The server completes the name.
#[must_use]
pub fn render_pod(resource: &Resource, owner: &Object, template: &Value) -> Value {
    let mut prefix = format!("{}-", owner.name());
    prefix.truncate(GENERATED_NAME_LIMIT);
    let mut metadata = json!({
        "generateName": prefix,
        "namespace": owner.namespace(),
        "ownerReferences": [controller_reference(resource, owner)],
    });
    for field in ["labels", "annotations", "finalizers"] {
        if let Some(value) = template.pointer(&format!("/metadata/{field}")).filter(|value| !value.is_null())
        {
            metadata[field] = value.clone();
        }
    }
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template.get("spec").cloned().unwrap_or_default()})
}

/// Performs the adoptions and releases of `claims` and waits until the cache shows them.
///
/// # Errors
/// The first refused write; a pod that is gone is no error.
pub async fn apply_claims(
    context: &Context,
    pods: &Cache,
    resource: &Resource,
    owner: &Object,
    claims: &Claims,
) -> kube::Result<()> {
    let reference = controller_reference(resource, owner);
    for (pod, adopt) in
        claims.adopt.iter().map(|pod| (pod, true)).chain(claims.release.iter().map(|pod| (pod, false)))
    {
        let mut owners: Vec<Value> = pod.list("/metadata/ownerReferences").to_vec();
        owners.retain(|entry| entry.get("uid").and_then(Value::as_str) != Some(owner.uid()));
        if adopt {
            owners.push(reference.clone());
        }
        let patch = json!({"metadata": {"uid": pod.uid(), "resourceVersion": pod.resource_version(), "ownerReferences": owners}});
        match context.api.send_patch(&PODS, &pod.key(), None, &patch).await {
            Ok(written) => pods.wait_for_echo(&written).await,
            Err(error) if is_not_found(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Creates `count` pods and waits until the cache shows them. Stops at the first refusal.
///
/// # Errors
/// Why a pod was refused; a namespace that is going away is no error.
pub async fn apply_creates(
    context: &Context,
    pods: &Cache,
    resource: &Resource,
    owner: &Object,
    pod: &Value,
    count: usize,
    source: &str,
) -> kube::Result<()> {
    let mut last = None;
    for _ in 0..count {
        match context.api.send_create(&PODS, owner.namespace(), pod).await {
            Ok(created) => {
                let note = Note::normal("SuccessfulCreate", format!("Created pod: {}", created.name()));
                context.send_event(resource, owner, source, &note).await;
                last = Some(created);
            }
            Err(error) if is_namespace_terminating(&error) => break,
            Err(error) => {
                let note = Note::warning(
                    "FailedCreate",
                    format!("Error creating: {}", crate::api::message_of(&error)),
                );
                context.send_event(resource, owner, source, &note).await;
                return Err(error);
            }
        }
    }
    if let Some(last) = last {
        pods.wait_for_echo(&last).await;
    }
    Ok(())
}

/// Deletes pods and waits until the cache shows it. A pod that is already gone is no error.
///
/// # Errors
/// The first refused delete.
pub async fn apply_deletes(
    context: &Context,
    pods: &Cache,
    resource: &Resource,
    owner: &Object,
    doomed: &[Object],
    source: &str,
) -> kube::Result<()> {
    for pod in doomed {
        match context.api.send_delete(&PODS, &pod.key(), &DeleteOptions::default()).await {
            Ok(_) => {
                let note = Note::normal("SuccessfulDelete", format!("Deleted pod: {}", pod.name()));
                context.send_event(resource, owner, source, &note).await;
            }
            Err(error) if is_not_found(&error) => {}
            Err(error) => return Err(error),
        }
    }
    for pod in doomed {
        pods.wait_for_deletion(&pod.key(), pod.uid()).await;
    }
    Ok(())
}

/// The pods an owner may have something to do with: its own, and those of its namespace that nobody controls.
#[must_use]
pub fn gather_candidates(pods: &Cache, owner: &Object) -> Vec<Object> {
    let mut candidates = pods.controlled_by(owner.uid());
    candidates.extend(pods.controlled_by("").into_iter().filter(|pod| pod.namespace() == owner.namespace()));
    candidates
}

/// The key of the first owner that could adopt `pod`, among `owners` given with their selectors.
#[must_use]
pub fn adopters_of(owners: &Cache, pod: &Object) -> Vec<Key> {
    owners
        .list(Some(pod.namespace()))
        .iter()
        .filter(|owner| {
            Selector::from_label_selector(owner.at("/spec/selector"))
                .is_some_and(|selector| selector.matches(pod.labels()))
        })
        .map(Object::key)
        .collect()
}
