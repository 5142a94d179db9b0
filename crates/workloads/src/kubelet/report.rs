//! How both kubelets report: a status patch when something changed, and the last word on a pod that is gone.

use serde_json::{Value, json};

use crate::api::{DeleteOptions, is_conflict, is_not_found};
use crate::cache::Cache;
use crate::controllers::{Context, render_merge};
use crate::object::Object;
use crate::resource::PODS;

/// Writes what differs between the pod's status and `wanted`, and waits until the cache shows it.
///
/// # Errors
/// A conflict if the pod has changed since `pod` was read, or what else the server answered; a pod that is
/// gone is no error.
pub async fn apply_pod_status(
    context: &Context,
    pods: &Cache,
    pod: &Object,
    wanted: &Value,
) -> kube::Result<()> {
    let Some(patch) = render_merge(pod.at("/status"), wanted) else { return Ok(()) };
    // Conditions are written as a whole list, so nobody may have written one in between.
    let patch =
        json!({"metadata": {"uid": pod.uid(), "resourceVersion": pod.resource_version()}, "status": patch});
    match context.api.send_patch(&PODS, &pod.key(), Some("status"), &patch).await {
        Ok(written) => {
            pods.wait_for_echo(&written).await;
            Ok(())
        }
        Err(error) if is_not_found(&error) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Takes a pod whose containers have stopped from the API.
///
/// # Errors
/// What the server answered; a pod that is gone, or is another one by now, is no error.
pub async fn apply_removal(context: &Context, pod: &Object) -> kube::Result<()> {
    let options =
        DeleteOptions { grace_seconds: Some(0), uid: Some(pod.uid().to_owned()), ..DeleteOptions::default() };
    match context.api.send_delete(&PODS, &pod.key(), &options).await {
        Err(error) if !is_not_found(&error) && !is_conflict(&error) => Err(error),
        _ => Ok(()),
    }
}
