//! Pods: what the server adds to every new one, and what of it may change later.

use serde_json::{Map, Value, json};

use super::pod_spec::{check_pod_spec, default_pod_spec, each_container};
use crate::document::{self, as_map, default_to, map_at, text};
use crate::plane::Plane;
use crate::refusal::{Cause, Refusal, Reply};
use crate::registry::Resource;
use crate::store::{Contents, Key};

const TOKEN_MOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Defaults, service account, tolerations, priority and the first status of a new pod.
pub(crate) fn prepare_create(
    plane: &Plane,
    contents: &Contents,
    resource: &Resource,
    object: &mut Value,
) -> Reply<()> {
    let namespace = document::namespace(object).to_owned();
    // A name that is about to be made up does not show in refusals; what it will begin with does.
    let name = match document::text(object, "/metadata/generateName") {
        "" => document::name(object).to_owned(),
        prefix => prefix.to_owned(),
    };
    let spec = map_at(object, "spec");
    default_pod(spec);
    if let Some(account) = missing_account(contents, &namespace, spec) {
        let why = format!(
            "error looking up service account {namespace}/{account}: serviceaccount {account:?} not found"
        );
        return Err(Refusal::forbidden(&resource.subject(), &name, &why));
    }
    add_service_account(plane, contents, &namespace, spec);
    add_tolerations(spec);
    let class = spec.get("priorityClassName").and_then(Value::as_str).unwrap_or_default().to_owned();
    let (priority, preemption) = match find_priority(contents, &class) {
        Some(found) => found,
        None => {
            let why = format!("no PriorityClass with name {class} was found");
            return Err(Refusal::forbidden(&resource.subject(), &name, &why));
        }
    };
    spec.insert("priority".into(), priority);
    default_to(spec, "preemptionPolicy", preemption);
    let class = qos_class(spec);
    let gated = spec.get("schedulingGates").and_then(Value::as_array).is_some_and(|gates| !gates.is_empty());
    object["status"] = json!({ "phase": "Pending", "qosClass": class });
    if gated {
        object["status"]["conditions"] = json!([{
            "type": "PodScheduled", "status": "False", "reason": "SchedulingGated",
            "message": "Scheduling is blocked due to non-empty scheduling gates",
            "lastProbeTime": null, "lastTransitionTime": plane.timestamp(),
        }]);
    }
    Ok(())
}

/// Keeps what was defaulted once.
pub(crate) fn prepare_update(object: &mut Value) {
    default_pod(map_at(object, "spec"));
}

fn default_pod(spec: &mut Map<String, Value>) {
    default_to(spec, "enableServiceLinks", true);
    default_pod_spec(spec, true);
    // A limit without a request requests as much. In templates this is left to the pods.
    each_container(spec, |container| {
        let resources = as_map(container.entry("resources").or_insert_with(|| json!({})));
        let Some(limits) = resources.get("limits").and_then(Value::as_object).cloned() else { return };
        let requests = as_map(resources.entry("requests").or_insert_with(|| json!({})));
        for (name, limit) in limits {
            requests.entry(name).or_insert(limit);
        }
    });
}

/// The account a pod names and that is not there. The default one is not waited for: planes without the
/// controller that makes it shall run pods too.
fn missing_account(contents: &Contents, namespace: &str, spec: &Map<String, Value>) -> Option<String> {
    let name = spec.get("serviceAccountName").or(spec.get("serviceAccount"))?.as_str()?;
    let wanted = !matches!(name, "" | "default");
    (wanted && contents.get("serviceaccounts", &Key::new(namespace, name)).is_none()).then(|| name.to_owned())
}

fn add_service_account(plane: &Plane, contents: &Contents, namespace: &str, spec: &mut Map<String, Value>) {
    default_to(spec, "serviceAccountName", "default");
    let name = spec["serviceAccountName"].clone();
    spec.insert("serviceAccount".into(), name.clone());
    let key = Key::new(namespace, name.as_str().unwrap_or_default());
    let account = contents.get("serviceaccounts", &key).map(|stored| stored.object()).unwrap_or_default();
    let wanted = spec
        .get("automountServiceAccountToken")
        .or(account.get("automountServiceAccountToken"))
        .and_then(Value::as_bool)
        .unwrap_or(true);
    if let Some(secrets) = account.get("imagePullSecrets")
        && !spec.contains_key("imagePullSecrets")
    {
        spec.insert("imagePullSecrets".into(), secrets.clone());
    }
    if wanted {
        mount_token(&format!("kube-api-access-{}", plane.name_suffix()), spec);
    }
}

fn mount_token(volume: &str, spec: &mut Map<String, Value>) {
    let mut needed = false;
    each_container(spec, |container| {
        let mounts = container.entry("volumeMounts").or_insert_with(|| json!([]));
        let Some(mounts) = mounts.as_array_mut() else { return };
        if mounts.iter().any(|mount| text(mount, "/mountPath") == TOKEN_MOUNT) {
            return;
        }
        mounts.push(json!({ "name": volume, "readOnly": true, "mountPath": TOKEN_MOUNT }));
        needed = true;
    });
    if !needed {
        return;
    }
    let volumes = spec.entry("volumes").or_insert_with(|| json!([]));
    if let Some(volumes) = volumes.as_array_mut() {
        volumes.push(json!({ "name": volume, "projected": { "defaultMode": 420, "sources": [
            { "serviceAccountToken": { "expirationSeconds": 3607, "path": "token" } },
            { "configMap": { "name": "kube-root-ca.crt", "items": [{ "key": "ca.crt", "path": "ca.crt" }] } },
            { "downwardAPI": { "items": [{ "path": "namespace", "fieldRef": { "apiVersion": "v1", "fieldPath": "metadata.namespace" } }] } },
        ] } }));
    }
}

fn add_tolerations(spec: &mut Map<String, Value>) {
    let tolerations = spec.entry("tolerations").or_insert_with(|| json!([]));
    let Some(list) = tolerations.as_array_mut() else { return };
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let tolerated = list.iter().any(|one| {
            let same = text(one, "/key") == key || text(one, "/key").is_empty();
            same && matches!(text(one, "/effect"), "NoExecute" | "")
        });
        if !tolerated {
            list.push(
                json!({ "key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300 }),
            );
        }
    }
}

/// Priority and preemption policy of a class; of no class when the name is empty.
fn find_priority(contents: &Contents, class: &str) -> Option<(Value, String)> {
    if class.is_empty() {
        return Some((json!(0), "PreemptLowerPriority".into()));
    }
    let class = contents.get("priorityclasses.scheduling.k8s.io", &Key::new("", class))?.object();
    let policy = text(&class, "/preemptionPolicy");
    let policy = if policy.is_empty() { "PreemptLowerPriority" } else { policy };
    Some((class.get("value").cloned().unwrap_or(json!(0)), policy.to_owned()))
}

fn qos_class(spec: &Map<String, Value>) -> &'static str {
    let mut any = false;
    let mut all_equal = true;
    for key in ["containers", "initContainers"] {
        for container in spec.get(key).and_then(Value::as_array).into_iter().flatten() {
            let side = |side: &str| {
                container
                    .pointer(&format!("/resources/{side}"))
                    .and_then(Value::as_object)
                    .cloned()
                    .unwrap_or_default()
            };
            let (requests, limits) = (side("requests"), side("limits"));
            any |= !requests.is_empty() || !limits.is_empty();
            all_equal &= ["cpu", "memory"]
                .iter()
                .all(|name| limits.contains_key(*name) && limits.get(*name) == requests.get(*name));
        }
    }
    match (any, all_equal) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

/// What is wrong with a pod; with `old`, what may not change about it.
pub(crate) fn validate(object: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    let Some(spec) = object.get("spec") else { return causes };
    match old {
        None => check_pod_spec(spec, "spec", &mut causes),
        Some(old) if mutable_parts_removed(old) != mutable_parts_removed(object) => {
            causes.push(Cause::forbidden("spec", IMMUTABLE));
        }
        Some(_) => {}
    }
    causes
}

const IMMUTABLE: &str = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/// The spec without what may change, for comparison.
fn mutable_parts_removed(object: &Value) -> Value {
    let mut spec = object.get("spec").cloned().unwrap_or_default();
    let map = as_map(&mut spec);
    // A negative grace period may be set to one second.
    if map.get("terminationGracePeriodSeconds").and_then(Value::as_i64).is_some_and(|grace| grace < 0) {
        map.insert("terminationGracePeriodSeconds".into(), json!(1));
    }
    for key in ["activeDeadlineSeconds", "tolerations", "nodeName", "ephemeralContainers", "schedulingGates"]
    {
        map.remove(key);
    }
    each_container(map, |container| {
        container.remove("image");
        container.remove("resources");
    });
    spec
}
