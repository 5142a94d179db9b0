//! One object in a cache: pruned, as compact JSON, with the few fields that routing and indexes need.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use serde_json::Value;

use crate::resource::Kind;

/// Namespace and name. Cluster-wide objects have an empty namespace.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    /// The namespace.
    pub namespace: Arc<str>,
    /// The name.
    pub name: Arc<str>,
}

impl ObjectKey {
    /// The key of an object.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}

impl fmt::Debug for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An object's version. Kubernetes compares them as numbers; one that is none is only ever equal to
/// itself, which [`Version::reaches`] treats as "newer than anything it was asked about".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u64);

impl Version {
    /// Reads a resourceVersion.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self(text.parse().unwrap_or(u64::MAX))
    }

    /// Whether an object at this version includes a write that returned `wanted`.
    #[must_use]
    pub fn reaches(self, wanted: Self) -> bool {
        self >= wanted
    }
}

/// A cached object.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its uid.
    pub uid: Arc<str>,
    /// Uid of the owner that controls it; empty when nobody does.
    pub owner: Arc<str>,
    /// Kind and name of that owner, when it is one the controllers follow.
    pub owner_object: Option<(Kind, Arc<str>)>,
    /// Its version.
    pub version: Version,
    /// `metadata.generation`; 0 for kinds without one.
    pub generation: i64,
    /// Hash of the fields a person or another controller steers with, so that such a change is told
    /// from a mere status update (see `steering`).
    pub steering: u64,
    /// The pruned document.
    pub body: Arc<[u8]>,
}

impl Stored {
    /// Prunes a document for the cache. `None` when it has no name.
    #[must_use]
    pub fn new(kind: Kind, mut document: Value) -> Option<(ObjectKey, Self)> {
        let metadata = document.get("metadata")?;
        let text = |field: &str| metadata.get(field).and_then(Value::as_str).unwrap_or_default();
        let key = ObjectKey::new(text("namespace"), text("name"));
        if key.name.is_empty() {
            return None;
        }
        let uid = text("uid").into();
        let version = Version::parse(text("resourceVersion"));
        let (owner, owner_object) = controlling_owner(metadata);
        let generation = metadata.get("generation").and_then(Value::as_i64).unwrap_or_default();
        let steering = steering(kind, &document);
        prune(kind, &mut document);
        let body = serde_json::to_vec(&document).ok()?.into();
        Some((key, Self { uid, owner, owner_object, version, generation, steering, body }))
    }

    /// The document as a typed value.
    ///
    /// # Errors
    /// What about the document does not fit the type.
    pub fn decode<T: serde::de::DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }
}

/// Uid of the controlling owner in a `metadata` document (empty when there is none), and what it is.
fn controlling_owner(metadata: &Value) -> (Arc<str>, Option<(Kind, Arc<str>)>) {
    let owners = metadata.get("ownerReferences").and_then(Value::as_array);
    let is_controller = |owner: &&Value| owner.get("controller").and_then(Value::as_bool) == Some(true);
    let Some(owner) = owners.into_iter().flatten().find(is_controller) else { return ("".into(), None) };
    let text = |field: &str| owner.get(field).and_then(Value::as_str).unwrap_or_default();
    let is_ours = text("apiVersion").starts_with(glidepath_api::names::GROUP);
    let object = Kind::from_name(text("kind")).filter(|_| is_ours).map(|kind| (kind, text("name").into()));
    (text("uid").into(), object)
}

/// Hash of what decides whether a change must be looked at at once.
///
/// For Rollouts: what the command line writes into the status (abort, promoteFull, pauseConditions,
/// the step index), which must not wait behind routine work. For AnalysisRuns: the phase, whose
/// changes alone wake their owners. Other kinds: 0.
fn steering(kind: Kind, document: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    let status = |field: &str| document.get("status").and_then(|status| status.get(field));
    match kind {
        Kind::Rollout => {
            for field in ["abort", "promoteFull", "pauseConditions", "controllerPause", "currentStepIndex"] {
                status(field).map(Value::to_string).hash(&mut hasher);
            }
        }
        Kind::AnalysisRun | Kind::Experiment => {
            status("phase").and_then(Value::as_str).hash(&mut hasher);
        }
        _ => return 0,
    }
    hasher.finish()
}

/// Takes out of a document what no decision looks at.
fn prune(kind: Kind, document: &mut Value) {
    let Some(fields) = document.as_object_mut() else { return };
    if kind.is_optional() {
        // Traffic objects are written back whole, so only what the server keeps by itself may go.
        if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
        }
        return;
    }
    if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
        metadata.remove("selfLink");
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.remove(glidepath_api::names::LAST_APPLIED);
            if annotations.is_empty() {
                metadata.remove("annotations");
            }
        }
        if kind == Kind::Service {
            metadata.retain(|field, _| {
                matches!(
                    field.as_str(),
                    "name"
                        | "namespace"
                        | "uid"
                        | "resourceVersion"
                        | "annotations"
                        | "labels"
                        | "ownerReferences"
                        | "deletionTimestamp"
                        | "creationTimestamp"
                )
            });
        }
    }
    match kind {
        Kind::Service => {
            fields.remove("status");
            if let Some(spec) = fields.get_mut("spec").and_then(Value::as_object_mut) {
                spec.retain(|field, _| matches!(field.as_str(), "selector" | "ports" | "type" | "clusterIP"));
            }
        }
        Kind::Deployment | Kind::PlainReplicaSet | Kind::PodTemplate => reduce_workload(fields),
        Kind::AnalysisRun => reduce_finished_run(fields),
        Kind::Job => {
            // Only the outcome is looked at; the pod template can be large.
            fields.remove("spec");
        }
        _ => {}
    }
}

/// Keeps of a workload what a Rollout takes from it: template, selector, size and generation.
fn reduce_workload(fields: &mut serde_json::Map<String, Value>) {
    fields.remove("status");
    if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|field, _| {
            matches!(field.as_str(), "name" | "namespace" | "uid" | "resourceVersion" | "generation")
        });
    }
    if let Some(spec) = fields.get_mut("spec").and_then(Value::as_object_mut) {
        spec.retain(|field, _| matches!(field.as_str(), "replicas" | "selector" | "template"));
    }
}

/// Drops the measurements of a finished run: what is left serves garbage collection and metrics.
fn reduce_finished_run(fields: &mut serde_json::Map<String, Value>) {
    let Some(status) = fields.get_mut("status").and_then(Value::as_object_mut) else { return };
    let phase = status.get("phase").and_then(Value::as_str).unwrap_or_default();
    if !matches!(phase, "Successful" | "Failed" | "Error" | "Inconclusive") {
        return;
    }
    for result in status.get_mut("metricResults").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(result) = result.as_object_mut() {
            result.remove("measurements");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn stored(kind: Kind, document: Value) -> Value {
        Stored::new(kind, document).unwrap().1.decode().unwrap()
    }

    #[test]
    fn caches_keep_no_managed_fields_and_no_last_applied_copy() {
        let rollout = json!({"metadata": {"name": "a", "namespace": "n", "managedFields": [{}],
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"}}, "spec": {}});
        assert_eq!(
            stored(Kind::Rollout, rollout),
            json!({"metadata": {"name": "a", "namespace": "n"}, "spec": {}})
        );
    }

    #[test]
    fn traffic_objects_keep_everything_that_a_whole_write_needs() {
        let route = json!({"metadata": {"name": "a", "managedFields": [{}],
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"}}, "spec": {"x": 1}});
        let kept = stored(Kind::VirtualService, route);
        assert_eq!(kept["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"], "{}");
        assert!(kept["metadata"].get("managedFields").is_none());
    }

    #[test]
    fn finished_runs_lose_their_measurements_and_running_ones_keep_them() {
        let run = |phase: &str| {
            json!({"metadata": {"name": "a"}, "status": {"phase": phase,
                "metricResults": [{"name": "m", "measurements": [{"value": "1"}]}]}})
        };
        assert!(
            stored(Kind::AnalysisRun, run("Failed"))["status"]["metricResults"][0]
                .get("measurements")
                .is_none()
        );
        assert!(
            stored(Kind::AnalysisRun, run("Running"))["status"]["metricResults"][0]
                .get("measurements")
                .is_some()
        );
    }

    #[test]
    fn an_abort_changes_the_steering_hash_and_a_replica_count_does_not() {
        let of = |status: Value| {
            Stored::new(Kind::Rollout, json!({"metadata": {"name": "a"}, "status": status}))
                .unwrap()
                .1
                .steering
        };
        assert_eq!(of(json!({"replicas": 1})), of(json!({"replicas": 2})));
        assert_ne!(of(json!({"replicas": 1})), of(json!({"replicas": 1, "abort": true})));
    }

    #[test]
    fn only_the_controlling_owner_counts() {
        let set = json!({"metadata": {"name": "a", "ownerReferences": [
            {"uid": "1"}, {"uid": "2", "controller": true}]}});
        assert_eq!(&*Stored::new(Kind::ReplicaSet, set).unwrap().1.owner, "2");
    }

    #[test]
    fn versions_compare_as_numbers() {
        assert!(Version::parse("100").reaches(Version::parse("99")));
        assert!(!Version::parse("99").reaches(Version::parse("100")));
        assert!(Version::parse("opaque").reaches(Version::parse("100")));
    }
}
