//! Every label, annotation and other well-known name, once. Existing clusters hold objects with these names,
//! so none may change.

/// API group of the five kinds.
pub const GROUP: &str = "argoproj.io";
/// API version of the five kinds.
pub const VERSION: &str = "v1alpha1";
/// Group and version as objects carry it.
pub const API_VERSION: &str = "argoproj.io/v1alpha1";

/// Kind of a rollout.
pub const KIND_ROLLOUT: &str = "Rollout";
/// Kind of an experiment.
pub const KIND_EXPERIMENT: &str = "Experiment";
/// Kind of an analysis run.
pub const KIND_ANALYSIS_RUN: &str = "AnalysisRun";
/// Kind of an analysis template.
pub const KIND_ANALYSIS_TEMPLATE: &str = "AnalysisTemplate";
/// Kind of a cluster-wide analysis template.
pub const KIND_CLUSTER_ANALYSIS_TEMPLATE: &str = "ClusterAnalysisTemplate";

/// Plural of rollouts in request paths.
pub const ROLLOUTS: &str = "rollouts";
/// Plural of experiments in request paths.
pub const EXPERIMENTS: &str = "experiments";
/// Plural of analysis runs in request paths.
pub const ANALYSIS_RUNS: &str = "analysisruns";
/// Plural of analysis templates in request paths.
pub const ANALYSIS_TEMPLATES: &str = "analysistemplates";
/// Plural of cluster-wide analysis templates in request paths.
pub const CLUSTER_ANALYSIS_TEMPLATES: &str = "clusteranalysistemplates";

/// Label of ReplicaSets, pods, selectors and runs: the hash of the pod template.
pub const POD_TEMPLATE_HASH: &str = "rollouts-pod-template-hash";
/// Label that says which controller instance an object belongs to.
pub const INSTANCE_ID: &str = "argo-rollouts.argoproj.io/controller-instance-id";

/// Annotation of rollouts, ReplicaSets and runs: the revision.
pub const REVISION: &str = "rollout.argoproj.io/revision";
/// Annotation of a ReplicaSet: earlier revisions it had, joined by commas.
pub const REVISION_HISTORY: &str = "rollout.argoproj.io/revision-history";
/// Annotation of a ReplicaSet: replicas the rollout wants.
pub const DESIRED_REPLICAS: &str = "rollout.argoproj.io/desired-replicas";
/// Annotation of a ReplicaSet: the extra labels and annotations its pods carry for now, as JSON.
pub const EPHEMERAL_METADATA: &str = "rollout.argoproj.io/ephemeral-metadata";
/// Annotation of a rollout: the referenced workload's generation.
pub const WORKLOAD_GENERATION: &str = "rollout.argoproj.io/workload-generation";
/// Annotation of a ReplicaSet: when it may be scaled to zero.
pub const SCALE_DOWN_DEADLINE: &str = "scale-down-deadline";
/// Annotation of a Service: the rollout that moves its selector.
pub const MANAGED_BY: &str = "argo-rollouts.argoproj.io/managed-by-rollouts";
/// Declared by the reference and never used.
pub const RESTARTED_AFTER: &str = "argo-rollouts.argoproj.io/restarted-after";

/// Label of a run: what a rollout runs it for.
pub const ROLLOUT_TYPE: &str = "rollout-type";
/// [`ROLLOUT_TYPE`] of a step's run.
pub const ROLLOUT_TYPE_STEP: &str = "Step";
/// [`ROLLOUT_TYPE`] of the run beside the steps.
pub const ROLLOUT_TYPE_BACKGROUND: &str = "Background";
/// [`ROLLOUT_TYPE`] of the run before the switch.
pub const ROLLOUT_TYPE_PRE_PROMOTION: &str = "PrePromotion";
/// [`ROLLOUT_TYPE`] of the run after the switch.
pub const ROLLOUT_TYPE_POST_PROMOTION: &str = "PostPromotion";
/// Label of a step's run or experiment: the step's index.
pub const STEP_INDEX: &str = "step-index";

/// Annotation of an experiment's ReplicaSet: the experiment.
pub const EXPERIMENT_NAME: &str = "experiment.argoproj.io/name";
/// Annotation of an experiment's ReplicaSet: the version's name.
pub const EXPERIMENT_TEMPLATE_NAME: &str = "experiment.argoproj.io/template-name";

/// Label of a measuring Job and its pods: the run's uid.
pub const ANALYSIS_RUN_UID: &str = "analysisrun.argoproj.io/uid";
/// Annotation of a measuring Job: the run's name.
pub const ANALYSIS_RUN_NAME: &str = "analysisrun.argoproj.io/name";
/// Annotation of a measuring Job: the run's namespace.
pub const ANALYSIS_RUN_NAMESPACE: &str = "analysisrun.argoproj.io/namespace";
/// Annotation of a measuring Job: the metric.
pub const ANALYSIS_RUN_METRIC_NAME: &str = "analysisrun.argoproj.io/metric-name";

/// Annotation of an Ingress: the actions the rollout manages there.
pub const MANAGED_ALB_ACTIONS: &str = "rollouts.argoproj.io/managed-alb-actions";
/// Annotation of an Ingress: the annotations the rollout manages there.
pub const MANAGED_ALB_ANNOTATIONS: &str = "rollouts.argoproj.io/managed-alb-annotations";
/// Annotation of a Gateway API route that carries a canary.
pub const GATEWAY_API_CANARY: &str = "rollouts.argoproj.io/gatewayapi-canary";
/// Annotation of a Gateway API route: additional destinations put there.
pub const GATEWAY_API_ADDITIONAL: &str = "rollouts.argoproj.io/gatewayapi-additional";
/// Label of a Secret that tells which cluster holds the Istio objects.
pub const ISTIO_PRIMARY_CLUSTER: &str = "istio.argoproj.io/primary-cluster";

/// Prefix of annotations that subscribe an object to notifications.
pub const NOTIFICATIONS_SUBSCRIBE_PREFIX: &str = "notifications.argoproj.io/subscribe.";
/// Annotation that holds subscriptions as YAML.
pub const NOTIFICATIONS_SUBSCRIPTIONS: &str = "notifications.argoproj.io/subscriptions";
/// Annotation in which the notifier remembers what it sent.
pub const NOTIFIED: &str = "notified.notifications.argoproj.io";

/// Annotation and label keys that `kubectl apply` writes; never copied to ReplicaSets.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Lease that leaders hold, without the instance's suffix.
pub const LEADER_LEASE: &str = "argo-rollouts-controller-lock";
/// Config map of the controller.
pub const CONFIG_MAP: &str = "argo-rollouts-config";
/// Config map of notifications.
pub const NOTIFICATION_CONFIG_MAP: &str = "argo-rollouts-notification-configmap";
/// Secret of notifications.
pub const NOTIFICATION_SECRET: &str = "argo-rollouts-notification-secret";

#[cfg(test)]
mod tests {
    #[test]
    fn keys_that_stored_objects_carry_never_change_r008() {
        for (key, want) in [
            (super::POD_TEMPLATE_HASH, "rollouts-pod-template-hash"),
            (super::REVISION, "rollout.argoproj.io/revision"),
            (super::REVISION_HISTORY, "rollout.argoproj.io/revision-history"),
            (super::DESIRED_REPLICAS, "rollout.argoproj.io/desired-replicas"),
            (super::EPHEMERAL_METADATA, "rollout.argoproj.io/ephemeral-metadata"),
            (super::WORKLOAD_GENERATION, "rollout.argoproj.io/workload-generation"),
            (super::SCALE_DOWN_DEADLINE, "scale-down-deadline"),
            (super::MANAGED_BY, "argo-rollouts.argoproj.io/managed-by-rollouts"),
            (super::INSTANCE_ID, "argo-rollouts.argoproj.io/controller-instance-id"),
            (super::EXPERIMENT_NAME, "experiment.argoproj.io/name"),
            (super::EXPERIMENT_TEMPLATE_NAME, "experiment.argoproj.io/template-name"),
            (super::LEADER_LEASE, "argo-rollouts-controller-lock"),
        ] {
            assert_eq!(key, want);
        }
    }
}
