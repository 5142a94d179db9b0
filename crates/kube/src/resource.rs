//! The kinds of objects the controllers follow or write, and where the API server keeps them.

use glidepath_api::names;

/// A kind of object the controllers follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `rollouts.argoproj.io`
    Rollout,
    /// `experiments.argoproj.io`
    Experiment,
    /// `analysisruns.argoproj.io`
    AnalysisRun,
    /// `analysistemplates.argoproj.io`
    AnalysisTemplate,
    /// `clusteranalysistemplates.argoproj.io`
    ClusterAnalysisTemplate,
    /// `replicasets.apps`, those with the hash label
    ReplicaSet,
    /// `deployments.apps`, as workloads that Rollouts refer to
    Deployment,
    /// `replicasets.apps` without the hash label, likewise
    PlainReplicaSet,
    /// `podtemplates`, likewise
    PodTemplate,
    /// `services`
    Service,
    /// `jobs.batch`, those of measurements (O-819)
    Job,
    /// `virtualservices.networking.istio.io`
    VirtualService,
    /// `destinationrules.networking.istio.io`
    DestinationRule,
    /// `httproutes.gateway.networking.k8s.io`
    HttpRoute,
    /// `grpcroutes.gateway.networking.k8s.io`
    GrpcRoute,
    /// `tcproutes.gateway.networking.k8s.io`
    TcpRoute,
    /// `tlsroutes.gateway.networking.k8s.io`
    TlsRoute,
    /// `ingresses.networking.k8s.io`
    Ingress,
}

/// Which objects of a kind are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Those of this controller's instance.
    Instance,
    /// Those that carry a label.
    Labelled(&'static str),
    /// Those that do not carry a label.
    Unlabelled(&'static str),
    /// All.
    Everything,
}

impl Kind {
    /// Every kind, in the order in which caches are started.
    pub const ALL: [Self; 18] = [
        Self::Rollout,
        Self::ReplicaSet,
        Self::Deployment,
        Self::PlainReplicaSet,
        Self::PodTemplate,
        Self::Service,
        Self::AnalysisRun,
        Self::AnalysisTemplate,
        Self::ClusterAnalysisTemplate,
        Self::Experiment,
        Self::Job,
        Self::VirtualService,
        Self::DestinationRule,
        Self::HttpRoute,
        Self::GrpcRoute,
        Self::TcpRoute,
        Self::TlsRoute,
        Self::Ingress,
    ];

    /// Position in arrays that hold one value per kind.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The kind as objects carry it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rollout => names::KIND_ROLLOUT,
            Self::Experiment => names::KIND_EXPERIMENT,
            Self::AnalysisRun => names::KIND_ANALYSIS_RUN,
            Self::AnalysisTemplate => names::KIND_ANALYSIS_TEMPLATE,
            Self::ClusterAnalysisTemplate => names::KIND_CLUSTER_ANALYSIS_TEMPLATE,
            Self::ReplicaSet | Self::PlainReplicaSet => "ReplicaSet",
            Self::Deployment => "Deployment",
            Self::PodTemplate => "PodTemplate",
            Self::Service => "Service",
            Self::Job => "Job",
            Self::VirtualService => "VirtualService",
            Self::DestinationRule => "DestinationRule",
            Self::HttpRoute => "HTTPRoute",
            Self::GrpcRoute => "GRPCRoute",
            Self::TcpRoute => "TCPRoute",
            Self::TlsRoute => "TLSRoute",
            Self::Ingress => "Ingress",
        }
    }

    /// The kind in request paths.
    #[must_use]
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Rollout => names::ROLLOUTS,
            Self::Experiment => names::EXPERIMENTS,
            Self::AnalysisRun => names::ANALYSIS_RUNS,
            Self::AnalysisTemplate => names::ANALYSIS_TEMPLATES,
            Self::ClusterAnalysisTemplate => names::CLUSTER_ANALYSIS_TEMPLATES,
            Self::ReplicaSet | Self::PlainReplicaSet => "replicasets",
            Self::Deployment => "deployments",
            Self::PodTemplate => "podtemplates",
            Self::Service => "services",
            Self::Job => "jobs",
            Self::VirtualService => "virtualservices",
            Self::DestinationRule => "destinationrules",
            Self::HttpRoute => "httproutes",
            Self::GrpcRoute => "grpcroutes",
            Self::TcpRoute => "tcproutes",
            Self::TlsRoute => "tlsroutes",
            Self::Ingress => "ingresses",
        }
    }

    /// API group; empty for the core group.
    #[must_use]
    pub const fn group(self) -> &'static str {
        match self {
            Self::Rollout
            | Self::Experiment
            | Self::AnalysisRun
            | Self::AnalysisTemplate
            | Self::ClusterAnalysisTemplate => names::GROUP,
            Self::ReplicaSet | Self::PlainReplicaSet | Self::Deployment => "apps",
            Self::Service | Self::PodTemplate => "",
            Self::Job => "batch",
            Self::VirtualService | Self::DestinationRule => "networking.istio.io",
            Self::HttpRoute | Self::GrpcRoute | Self::TcpRoute | Self::TlsRoute => {
                "gateway.networking.k8s.io"
            }
            Self::Ingress => "networking.k8s.io",
        }
    }

    /// The version used when nothing is known of what the server offers.
    #[must_use]
    pub const fn default_version(self) -> &'static str {
        match self {
            Self::Rollout
            | Self::Experiment
            | Self::AnalysisRun
            | Self::AnalysisTemplate
            | Self::ClusterAnalysisTemplate => names::VERSION,
            Self::ReplicaSet
            | Self::PlainReplicaSet
            | Self::Deployment
            | Self::PodTemplate
            | Self::Service
            | Self::Job
            | Self::VirtualService
            | Self::DestinationRule
            | Self::HttpRoute
            | Self::GrpcRoute
            | Self::Ingress => "v1",
            Self::TcpRoute | Self::TlsRoute => "v1alpha2",
        }
    }

    /// Whether objects of the kind live in namespaces.
    #[must_use]
    pub const fn is_namespaced(self) -> bool {
        !matches!(self, Self::ClusterAnalysisTemplate)
    }

    /// Whether the kind belongs to a traffic router that may not be installed: followed only once a
    /// Rollout needs it, in the version the server offers.
    #[must_use]
    pub const fn is_optional(self) -> bool {
        matches!(
            self,
            Self::VirtualService
                | Self::DestinationRule
                | Self::HttpRoute
                | Self::GrpcRoute
                | Self::TcpRoute
                | Self::TlsRoute
                | Self::Ingress
        )
    }

    /// Whether the kind is one that Rollouts take their template from: part of every cluster, but followed only once
    /// a Rollout refers to it.
    #[must_use]
    pub const fn is_workload(self) -> bool {
        matches!(self, Self::Deployment | Self::PlainReplicaSet | Self::PodTemplate)
    }

    /// Whether the kind is followed from the start, so that no decision is made without it.
    #[must_use]
    pub const fn is_required(self) -> bool {
        !self.is_optional() && !self.is_workload()
    }

    /// Which objects of the kind are followed.
    #[must_use]
    pub const fn selection(self) -> Selection {
        match self {
            Self::Rollout
            | Self::Experiment
            | Self::AnalysisRun
            | Self::AnalysisTemplate
            | Self::ClusterAnalysisTemplate => Selection::Instance,
            Self::ReplicaSet => Selection::Labelled(names::POD_TEMPLATE_HASH),
            Self::PlainReplicaSet => Selection::Unlabelled(names::POD_TEMPLATE_HASH),
            Self::Job => Selection::Labelled(names::ANALYSIS_RUN_UID),
            _ => Selection::Everything,
        }
    }

    /// The kind with that name, as objects carry it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Path of the collection in a version.
    #[must_use]
    pub fn collection(self, version: &str, namespace: &str) -> String {
        collection(self.group(), version, self.plural(), namespace)
    }

    /// Path of one object in a version.
    #[must_use]
    pub fn path(self, version: &str, namespace: &str, name: &str) -> String {
        format!("{}/{name}", self.collection(version, namespace))
    }
}

/// Path of a collection; every namespace when `namespace` is empty.
#[must_use]
pub fn collection(group: &str, version: &str, plural: &str, namespace: &str) -> String {
    let root = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
    if namespace.is_empty() {
        format!("{root}/{plural}")
    } else {
        format!("{root}/namespaces/{namespace}/{plural}")
    }
}

/// The label selector of a kind for an instance; empty when everything is followed.
#[must_use]
pub fn label_selector(kind: Kind, instance_id: &str) -> String {
    match kind.selection() {
        Selection::Instance if instance_id.is_empty() => format!("!{}", names::INSTANCE_ID),
        Selection::Instance => format!("{}={instance_id}", names::INSTANCE_ID),
        Selection::Labelled(label) => label.to_owned(),
        Selection::Unlabelled(label) => format!("!{label}"),
        Selection::Everything => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_follow_group_scope_and_namespace() {
        for (path, want) in [
            (Kind::Service.collection("v1", ""), "/api/v1/services"),
            (Kind::Service.path("v1", "a", "b"), "/api/v1/namespaces/a/services/b"),
            (Kind::ReplicaSet.collection("v1", "a"), "/apis/apps/v1/namespaces/a/replicasets"),
            (Kind::Rollout.path("v1alpha1", "a", "b"), "/apis/argoproj.io/v1alpha1/namespaces/a/rollouts/b"),
        ] {
            assert_eq!(path, want);
        }
    }

    #[test]
    fn an_instance_sees_its_own_objects_and_the_nameless_one_those_without_label_r_009() {
        let label = "argo-rollouts.argoproj.io/controller-instance-id";
        assert_eq!(label_selector(Kind::Rollout, ""), format!("!{label}"));
        assert_eq!(label_selector(Kind::AnalysisTemplate, "x"), format!("{label}=x"));
        assert_eq!(label_selector(Kind::ReplicaSet, "x"), "rollouts-pod-template-hash");
        assert_eq!(label_selector(Kind::Service, "x"), "");
    }

    #[test]
    fn every_kind_has_its_own_place() {
        let mut seen = [false; Kind::ALL.len()];
        for kind in Kind::ALL {
            assert!(!std::mem::replace(&mut seen[kind.index()], true));
            let named = if kind == Kind::PlainReplicaSet { Kind::ReplicaSet } else { kind };
            assert_eq!(Kind::from_name(kind.name()), Some(named));
        }
    }
}
