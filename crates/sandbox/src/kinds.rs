//! The built-in resources, as data: names, scope, subresources and what can be selected on.

/// What a resource is, before any code looks at its objects.
#[derive(Debug)]
pub(crate) struct BuiltIn {
    pub group: &'static str,
    /// Served versions, the storage version first.
    pub versions: &'static [&'static str],
    pub plural: &'static str,
    pub singular: &'static str,
    pub kind: &'static str,
    pub short_names: &'static [&'static str],
    pub in_all: bool,
    pub namespaced: bool,
    /// Has a `/status` subresource.
    pub status: bool,
    /// Has a `/scale` subresource (`spec.replicas`, `status.replicas`).
    pub scale: bool,
    /// Counts `metadata.generation`.
    pub generation: bool,
    /// Only `create` is served: reviews that are answered and not stored.
    pub review: bool,
    /// Field selectors beyond metadata.name and metadata.namespace, as dotted paths.
    pub selectable: &'static [&'static str],
    /// Other subresources, for discovery.
    pub extra: &'static [Subresource],
}

/// A subresource other than `status` and `scale`, as discovery lists it.
#[derive(Debug)]
pub(crate) struct Subresource {
    pub name: &'static str,
    pub group: &'static str,
    pub version: &'static str,
    pub kind: &'static str,
    pub verbs: &'static [&'static str],
}

const PLAIN: BuiltIn = BuiltIn {
    group: "",
    versions: &["v1"],
    plural: "",
    singular: "",
    kind: "",
    short_names: &[],
    in_all: false,
    namespaced: true,
    status: false,
    scale: false,
    generation: false,
    review: false,
    selectable: &[],
    extra: &[],
};

const CLUSTER: BuiltIn = BuiltIn { namespaced: false, ..PLAIN };

const POD_EXTRA: &[Subresource] = &[
    Subresource {
        name: "attach",
        group: "",
        version: "v1",
        kind: "PodAttachOptions",
        verbs: &["create", "get"],
    },
    Subresource { name: "binding", group: "", version: "v1", kind: "Binding", verbs: &["create"] },
    Subresource { name: "eviction", group: "policy", version: "v1", kind: "Eviction", verbs: &["create"] },
    Subresource { name: "exec", group: "", version: "v1", kind: "PodExecOptions", verbs: &["create", "get"] },
    Subresource { name: "log", group: "", version: "v1", kind: "Pod", verbs: &["get"] },
    Subresource {
        name: "portforward",
        group: "",
        version: "v1",
        kind: "PodPortForwardOptions",
        verbs: &["create", "get"],
    },
];

const TOKEN: &[Subresource] = &[Subresource {
    name: "token",
    group: "authentication.k8s.io",
    version: "v1",
    kind: "TokenRequest",
    verbs: &["create"],
}];

const FINALIZE: &[Subresource] =
    &[Subresource { name: "finalize", group: "", version: "v1", kind: "Namespace", verbs: &["update"] }];

const EVENT_FIELDS: &[&str] = &[
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
];

const POD_FIELDS: &[&str] = &[
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.nominatedNodeName",
];

/// Every built-in resource, in the order discovery lists them.
#[rustfmt::skip]
pub(crate) const BUILT_IN: &[BuiltIn] = &[
    BuiltIn { plural: "componentstatuses", singular: "componentstatus", kind: "ComponentStatus", short_names: &["cs"], ..CLUSTER },
    BuiltIn { plural: "configmaps", singular: "configmap", kind: "ConfigMap", short_names: &["cm"], ..PLAIN },
    BuiltIn { plural: "endpoints", singular: "endpoints", kind: "Endpoints", short_names: &["ep"], ..PLAIN },
    BuiltIn { plural: "events", singular: "event", kind: "Event", short_names: &["ev"], selectable: EVENT_FIELDS, ..PLAIN },
    BuiltIn { plural: "limitranges", singular: "limitrange", kind: "LimitRange", short_names: &["limits"], ..PLAIN },
    BuiltIn { plural: "namespaces", singular: "namespace", kind: "Namespace", short_names: &["ns"], status: true, selectable: &["status.phase"], extra: FINALIZE, ..CLUSTER },
    BuiltIn { plural: "nodes", singular: "node", kind: "Node", short_names: &["no"], status: true, selectable: &["spec.unschedulable"], ..CLUSTER },
    BuiltIn { plural: "persistentvolumeclaims", singular: "persistentvolumeclaim", kind: "PersistentVolumeClaim", short_names: &["pvc"], status: true, ..PLAIN },
    BuiltIn { plural: "persistentvolumes", singular: "persistentvolume", kind: "PersistentVolume", short_names: &["pv"], status: true, ..CLUSTER },
    BuiltIn { plural: "pods", singular: "pod", kind: "Pod", short_names: &["po"], in_all: true, status: true, generation: true, selectable: POD_FIELDS, extra: POD_EXTRA, ..PLAIN },
    BuiltIn { plural: "podtemplates", singular: "podtemplate", kind: "PodTemplate", generation: true, ..PLAIN },
    BuiltIn { plural: "replicationcontrollers", singular: "replicationcontroller", kind: "ReplicationController", short_names: &["rc"], in_all: true, status: true, scale: true, generation: true, selectable: &["status.replicas"], ..PLAIN },
    BuiltIn { plural: "resourcequotas", singular: "resourcequota", kind: "ResourceQuota", short_names: &["quota"], status: true, ..PLAIN },
    BuiltIn { plural: "secrets", singular: "secret", kind: "Secret", selectable: &["type"], ..PLAIN },
    BuiltIn { plural: "serviceaccounts", singular: "serviceaccount", kind: "ServiceAccount", short_names: &["sa"], extra: TOKEN, ..PLAIN },
    BuiltIn { plural: "services", singular: "service", kind: "Service", short_names: &["svc"], in_all: true, status: true, selectable: &["spec.clusterIP", "spec.type"], ..PLAIN },

    BuiltIn { group: "admissionregistration.k8s.io", plural: "mutatingwebhookconfigurations", singular: "mutatingwebhookconfiguration", kind: "MutatingWebhookConfiguration", generation: true, ..CLUSTER },
    BuiltIn { group: "admissionregistration.k8s.io", plural: "validatingadmissionpolicies", singular: "validatingadmissionpolicy", kind: "ValidatingAdmissionPolicy", status: true, generation: true, ..CLUSTER },
    BuiltIn { group: "admissionregistration.k8s.io", plural: "validatingadmissionpolicybindings", singular: "validatingadmissionpolicybinding", kind: "ValidatingAdmissionPolicyBinding", generation: true, ..CLUSTER },
    BuiltIn { group: "admissionregistration.k8s.io", plural: "validatingwebhookconfigurations", singular: "validatingwebhookconfiguration", kind: "ValidatingWebhookConfiguration", generation: true, ..CLUSTER },

    BuiltIn { group: "apiextensions.k8s.io", plural: "customresourcedefinitions", singular: "customresourcedefinition", kind: "CustomResourceDefinition", short_names: &["crd", "crds"], status: true, generation: true, ..CLUSTER },
    BuiltIn { group: "apiregistration.k8s.io", plural: "apiservices", singular: "apiservice", kind: "APIService", status: true, ..CLUSTER },

    BuiltIn { group: "apps", plural: "controllerrevisions", singular: "controllerrevision", kind: "ControllerRevision", ..PLAIN },
    BuiltIn { group: "apps", plural: "daemonsets", singular: "daemonset", kind: "DaemonSet", short_names: &["ds"], in_all: true, status: true, generation: true, ..PLAIN },
    BuiltIn { group: "apps", plural: "deployments", singular: "deployment", kind: "Deployment", short_names: &["deploy"], in_all: true, status: true, scale: true, generation: true, ..PLAIN },
    BuiltIn { group: "apps", plural: "replicasets", singular: "replicaset", kind: "ReplicaSet", short_names: &["rs"], in_all: true, status: true, scale: true, generation: true, selectable: &["status.replicas"], ..PLAIN },
    BuiltIn { group: "apps", plural: "statefulsets", singular: "statefulset", kind: "StatefulSet", short_names: &["sts"], in_all: true, status: true, scale: true, generation: true, ..PLAIN },

    BuiltIn { group: "authentication.k8s.io", plural: "selfsubjectreviews", singular: "selfsubjectreview", kind: "SelfSubjectReview", review: true, ..CLUSTER },
    BuiltIn { group: "authentication.k8s.io", plural: "tokenreviews", singular: "tokenreview", kind: "TokenReview", review: true, ..CLUSTER },
    BuiltIn { group: "authorization.k8s.io", plural: "localsubjectaccessreviews", singular: "localsubjectaccessreview", kind: "LocalSubjectAccessReview", review: true, ..PLAIN },
    BuiltIn { group: "authorization.k8s.io", plural: "selfsubjectaccessreviews", singular: "selfsubjectaccessreview", kind: "SelfSubjectAccessReview", review: true, ..CLUSTER },
    BuiltIn { group: "authorization.k8s.io", plural: "selfsubjectrulesreviews", singular: "selfsubjectrulesreview", kind: "SelfSubjectRulesReview", review: true, ..CLUSTER },
    BuiltIn { group: "authorization.k8s.io", plural: "subjectaccessreviews", singular: "subjectaccessreview", kind: "SubjectAccessReview", review: true, ..CLUSTER },

    BuiltIn { group: "autoscaling", versions: &["v2", "v1"], plural: "horizontalpodautoscalers", singular: "horizontalpodautoscaler", kind: "HorizontalPodAutoscaler", short_names: &["hpa"], in_all: true, status: true, ..PLAIN },

    BuiltIn { group: "batch", plural: "cronjobs", singular: "cronjob", kind: "CronJob", short_names: &["cj"], in_all: true, status: true, generation: true, ..PLAIN },
    BuiltIn { group: "batch", plural: "jobs", singular: "job", kind: "Job", in_all: true, status: true, generation: true, selectable: &["status.successful"], ..PLAIN },

    BuiltIn { group: "coordination.k8s.io", plural: "leases", singular: "lease", kind: "Lease", ..PLAIN },
    BuiltIn { group: "discovery.k8s.io", plural: "endpointslices", singular: "endpointslice", kind: "EndpointSlice", generation: true, ..PLAIN },
    BuiltIn { group: "events.k8s.io", plural: "events", singular: "event", kind: "Event", short_names: &["ev"], selectable: EVENT_FIELDS, ..PLAIN },

    BuiltIn { group: "networking.k8s.io", plural: "ingressclasses", singular: "ingressclass", kind: "IngressClass", generation: true, ..CLUSTER },
    BuiltIn { group: "networking.k8s.io", plural: "ingresses", singular: "ingress", kind: "Ingress", short_names: &["ing"], status: true, generation: true, ..PLAIN },
    BuiltIn { group: "networking.k8s.io", plural: "networkpolicies", singular: "networkpolicy", kind: "NetworkPolicy", short_names: &["netpol"], generation: true, ..PLAIN },

    BuiltIn { group: "node.k8s.io", plural: "runtimeclasses", singular: "runtimeclass", kind: "RuntimeClass", ..CLUSTER },
    BuiltIn { group: "policy", plural: "poddisruptionbudgets", singular: "poddisruptionbudget", kind: "PodDisruptionBudget", short_names: &["pdb"], status: true, generation: true, ..PLAIN },

    BuiltIn { group: "rbac.authorization.k8s.io", plural: "clusterrolebindings", singular: "clusterrolebinding", kind: "ClusterRoleBinding", ..CLUSTER },
    BuiltIn { group: "rbac.authorization.k8s.io", plural: "clusterroles", singular: "clusterrole", kind: "ClusterRole", ..CLUSTER },
    BuiltIn { group: "rbac.authorization.k8s.io", plural: "rolebindings", singular: "rolebinding", kind: "RoleBinding", ..PLAIN },
    BuiltIn { group: "rbac.authorization.k8s.io", plural: "roles", singular: "role", kind: "Role", ..PLAIN },

    BuiltIn { group: "scheduling.k8s.io", plural: "priorityclasses", singular: "priorityclass", kind: "PriorityClass", short_names: &["pc"], generation: true, ..CLUSTER },
    BuiltIn { group: "storage.k8s.io", plural: "storageclasses", singular: "storageclass", kind: "StorageClass", short_names: &["sc"], ..CLUSTER },
];

/// Where a resource's objects are kept. Both event APIs show one store.
pub(crate) fn table_name(group: &str, plural: &str) -> String {
    match (group, plural) {
        ("events.k8s.io", "events") => "events".to_owned(),
        ("", plural) => plural.to_owned(),
        (group, plural) => format!("{plural}.{group}"),
    }
}

/// The field paths that are kept beside each object of a table, so that selectors need not read it.
pub(crate) fn selectable_fields(table: &str) -> &'static [&'static str] {
    BUILT_IN
        .iter()
        .find(|kind| table_name(kind.group, kind.plural) == table)
        .map_or(&[], |kind| kind.selectable)
}
