//! The kinds these programs speak about, and where the API serves them.

use std::borrow::Cow;

/// One served resource: enough to build its URLs and to name its kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Resource {
    /// API group; empty for the core group.
    pub group: Cow<'static, str>,
    /// API version, such as `v1`.
    pub version: Cow<'static, str>,
    /// Plural, lower-case name used in URLs.
    pub plural: Cow<'static, str>,
    /// The kind of one object.
    pub kind: Cow<'static, str>,
    /// Whether objects live in a namespace.
    pub namespaced: bool,
}

impl Resource {
    const fn known(
        group: &'static str,
        version: &'static str,
        plural: &'static str,
        kind: &'static str,
        namespaced: bool,
    ) -> Self {
        Self {
            group: Cow::Borrowed(group),
            version: Cow::Borrowed(version),
            plural: Cow::Borrowed(plural),
            kind: Cow::Borrowed(kind),
            namespaced,
        }
    }

    /// A resource found through discovery.
    #[must_use]
    pub fn discovered(group: &str, version: &str, plural: &str, kind: &str, namespaced: bool) -> Self {
        Self {
            group: Cow::Owned(group.to_owned()),
            version: Cow::Owned(version.to_owned()),
            plural: Cow::Owned(plural.to_owned()),
            kind: Cow::Owned(kind.to_owned()),
            namespaced,
        }
    }

    /// `apiVersion` as objects of this kind carry it.
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_string()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// URL path of the collection, in `namespace` or across all of them.
    #[must_use]
    pub fn collection_path(&self, namespace: Option<&str>) -> String {
        let root = if self.group.is_empty() {
            format!("/api/{}", self.version)
        } else {
            format!("/apis/{}/{}", self.group, self.version)
        };
        match namespace.filter(|namespace| self.namespaced && !namespace.is_empty()) {
            Some(namespace) => format!("{root}/namespaces/{namespace}/{}", self.plural),
            None => format!("{root}/{}", self.plural),
        }
    }
}

/// Pods.
pub const PODS: Resource = Resource::known("", "v1", "pods", "Pod", true);
/// Nodes.
pub const NODES: Resource = Resource::known("", "v1", "nodes", "Node", false);
/// Namespaces.
pub const NAMESPACES: Resource = Resource::known("", "v1", "namespaces", "Namespace", false);
/// Services.
pub const SERVICES: Resource = Resource::known("", "v1", "services", "Service", true);
/// Config maps.
pub const CONFIG_MAPS: Resource = Resource::known("", "v1", "configmaps", "ConfigMap", true);
/// Secrets.
pub const SECRETS: Resource = Resource::known("", "v1", "secrets", "Secret", true);
/// Service accounts.
pub const SERVICE_ACCOUNTS: Resource = Resource::known("", "v1", "serviceaccounts", "ServiceAccount", true);
/// Events of the core group.
pub const EVENTS: Resource = Resource::known("", "v1", "events", "Event", true);
/// ReplicaSets.
pub const REPLICA_SETS: Resource = Resource::known("apps", "v1", "replicasets", "ReplicaSet", true);
/// Deployments.
pub const DEPLOYMENTS: Resource = Resource::known("apps", "v1", "deployments", "Deployment", true);
/// Jobs.
pub const JOBS: Resource = Resource::known("batch", "v1", "jobs", "Job", true);
/// EndpointSlices.
pub const ENDPOINT_SLICES: Resource =
    Resource::known("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", true);
/// Pod disruption budgets.
pub const POD_DISRUPTION_BUDGETS: Resource =
    Resource::known("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", true);
/// Horizontal pod autoscalers.
pub const AUTOSCALERS: Resource =
    Resource::known("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", true);
/// Leases.
pub const LEASES: Resource = Resource::known("coordination.k8s.io", "v1", "leases", "Lease", true);
/// Custom resource definitions.
pub const CRDS: Resource = Resource::known(
    "apiextensions.k8s.io",
    "v1",
    "customresourcedefinitions",
    "CustomResourceDefinition",
    false,
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_follow_group_and_namespace() {
        let table = [
            (&PODS, Some("a"), "/api/v1/namespaces/a/pods"),
            (&PODS, None, "/api/v1/pods"),
            (&NODES, Some("a"), "/api/v1/nodes"),
            (&REPLICA_SETS, Some("b"), "/apis/apps/v1/namespaces/b/replicasets"),
        ];
        for (resource, namespace, path) in table {
            assert_eq!(resource.collection_path(namespace), path);
        }
        assert_eq!(REPLICA_SETS.api_version(), "apps/v1");
        assert_eq!(PODS.api_version(), "v1");
    }
}
