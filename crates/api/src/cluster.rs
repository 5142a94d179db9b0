//! Other kinds as far as decisions look at them. Unknown fields are dropped, so these types are for reading and
//! for writing whole new objects, never for writing back what was read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::meta::{IntOrString, LabelSelector, ObjectMeta, is_default};
use crate::time::Time;

/// A set of equal pods.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReplicaSet {
    /// `apps/v1`; empty inside lists.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// `ReplicaSet`; empty inside lists.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Name, labels, owner and the rest.
    pub metadata: ObjectMeta,
    /// What is wanted.
    pub spec: ReplicaSetSpec,
    /// What there is.
    #[serde(skip_serializing_if = "is_default")]
    pub status: ReplicaSetStatus,
}

/// What is wanted of a ReplicaSet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReplicaSetSpec {
    /// Wanted pods; 1 when unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Seconds a pod must stay ready to count as available.
    #[serde(skip_serializing_if = "is_default")]
    pub min_ready_seconds: i32,
    /// Which pods are its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
    /// The pod template, kept as it was sent.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub template: Value,
}

/// What there is of a ReplicaSet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReplicaSetStatus {
    /// Pods.
    pub replicas: i32,
    /// Pods with every label of the template.
    #[serde(skip_serializing_if = "is_default")]
    pub fully_labeled_replicas: i32,
    /// Ready pods.
    #[serde(skip_serializing_if = "is_default")]
    pub ready_replicas: i32,
    /// Pods ready for long enough.
    #[serde(skip_serializing_if = "is_default")]
    pub available_replicas: i32,
    /// The generation this was written for.
    #[serde(skip_serializing_if = "is_default")]
    pub observed_generation: i64,
    /// Conditions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// A condition of another kind's object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    /// What it is about.
    #[serde(rename = "type")]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// When the status changed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<Time>,
    /// Why, in one word.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Why, in one sentence.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
}

impl ReplicaSet {
    /// Wanted pods.
    #[must_use]
    pub fn replicas(&self) -> i32 {
        self.spec.replicas.unwrap_or(1)
    }

    /// The hash label; empty when there is none.
    #[must_use]
    pub fn pod_hash(&self) -> &str {
        self.metadata.label(crate::names::POD_TEMPLATE_HASH).unwrap_or_default()
    }

    /// The revision annotation as a number.
    #[must_use]
    pub fn revision(&self) -> Option<i64> {
        self.metadata.annotation(crate::names::REVISION)?.parse().ok()
    }

    /// The first revision this set was of: going back to it gives it the newest number and notes the ones before.
    #[must_use]
    pub fn first_revision(&self) -> Option<i64> {
        let noted = self.metadata.annotation(crate::names::REVISION_HISTORY).unwrap_or_default();
        noted.split(',').filter_map(|number| number.trim().parse().ok()).chain(self.revision()).min()
    }

    /// Whether this set was made before another. Creation is told in whole seconds; among sets of one second
    /// the first revision decides, where both are known.
    #[must_use]
    pub fn is_older_than(&self, other: &Self) -> bool {
        let created = self.metadata.creation_timestamp.cmp(&other.metadata.creation_timestamp);
        created.is_lt()
            || created.is_eq()
                && self.first_revision().zip(other.first_revision()).is_some_and(|(this, other)| this < other)
    }
}

/// A Service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Service {
    /// `v1`; empty inside lists.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// `Service`; empty inside lists.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Name, annotations and the rest.
    pub metadata: ObjectMeta,
    /// Selector and ports.
    pub spec: ServiceSpec,
}

/// Selector and ports of a Service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceSpec {
    /// Labels of the pods behind it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub selector: BTreeMap<String, String>,
    /// Its ports.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<ServicePort>,
    /// `ClusterIP`, `NodePort`, `LoadBalancer` or `ExternalName`.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub type_: String,
    /// Its address; `None` for a headless Service.
    #[serde(rename = "clusterIP", skip_serializing_if = "String::is_empty")]
    pub cluster_ip: String,
}

/// A port of a Service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServicePort {
    /// The port's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// `TCP`, `UDP` or `SCTP`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub protocol: String,
    /// The application protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_protocol: Option<String>,
    /// The port.
    pub port: i32,
    /// The pod's port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_port: Option<IntOrString>,
    /// The node's port.
    #[serde(skip_serializing_if = "is_default")]
    pub node_port: i32,
}

impl Service {
    /// The hash its selector asks for; empty when it asks for none.
    #[must_use]
    pub fn selected_hash(&self) -> &str {
        self.spec.selector.get(crate::names::POD_TEMPLATE_HASH).map_or("", String::as_str)
    }
}

/// A Job.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Job {
    /// `batch/v1`; empty inside lists.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// `Job`; empty inside lists.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Name, labels, owner and the rest.
    pub metadata: ObjectMeta,
    /// What it runs, as it is.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub spec: Value,
    /// What came of it.
    #[serde(skip_serializing_if = "is_default")]
    pub status: JobStatus,
}

/// What came of a Job.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct JobStatus {
    /// Conditions; `Complete` and `Failed` are final.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,
    /// When it succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Time>,
    /// Running pods.
    #[serde(skip_serializing_if = "is_default")]
    pub active: i32,
    /// Pods that succeeded.
    #[serde(skip_serializing_if = "is_default")]
    pub succeeded: i32,
    /// Pods that failed.
    #[serde(skip_serializing_if = "is_default")]
    pub failed: i32,
}

/// A pod. Its spec and status are kept as they are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Pod {
    /// `v1`; empty inside lists.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// `Pod`; empty inside lists.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Name, labels, owner and the rest.
    pub metadata: ObjectMeta,
    /// What it runs.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub spec: Value,
    /// How it stands.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub status: Value,
}

impl Pod {
    /// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`; empty when not known yet.
    #[must_use]
    pub fn phase(&self) -> &str {
        self.status.get("phase").and_then(Value::as_str).unwrap_or_default()
    }

    /// One of its conditions.
    #[must_use]
    pub fn condition(&self, type_: &str) -> Option<Condition> {
        let conditions = self.status.get("conditions")?.as_array()?;
        let found = conditions
            .iter()
            .find(|condition| condition.get("type").and_then(Value::as_str) == Some(type_))?;
        serde_json::from_value(found.clone()).ok()
    }

    /// Whether it takes requests.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.condition("Ready").is_some_and(|condition| condition.status == "True")
    }

    /// Whether it has been ready for at least that many seconds.
    #[must_use]
    pub fn is_available(&self, min_ready_seconds: i32, now: Time) -> bool {
        match self.condition("Ready") {
            Some(condition) if condition.status == "True" => {
                min_ready_seconds == 0
                    || condition
                        .last_transition_time
                        .is_some_and(|since| since.plus_seconds(i64::from(min_ready_seconds)) <= now)
            }
            _ => false,
        }
    }

    /// How often its containers were started again, together.
    #[must_use]
    pub fn restarts(&self) -> i64 {
        let statuses = self.status.get("containerStatuses").and_then(Value::as_array);
        statuses.into_iter().flatten().filter_map(|status| status.get("restartCount")?.as_i64()).sum()
    }
}
