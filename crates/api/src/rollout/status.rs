//! What the controller reports about a rollout (section 3 of the rollout rows).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::analysis::{AnalysisPhase, DurationString, phase_or_empty};
use crate::meta::is_default;
use crate::time::Time;
use crate::wire::wire_enum;

/// A reason to be paused, and since when.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PauseCondition {
    /// Why.
    #[serde(default)]
    pub reason: PauseReason,
    /// Since when.
    #[serde(default)]
    pub start_time: Time,
}

/// What was observed and decided last (section 3 of the rollout rows).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutStatus {
    /// An abort was asked for.
    #[serde(default, skip_serializing_if = "is_default")]
    pub abort: bool,
    /// Why the controller waits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pause_conditions: Vec<PauseCondition>,
    /// The controller, not a person, paused.
    #[serde(default, skip_serializing_if = "is_default")]
    pub controller_pause: bool,
    /// When the abort took effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aborted_at: Option<Time>,
    /// Hash of the current template.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub current_pod_hash: String,
    /// Hash of the canary steps.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub current_step_hash: String,
    /// Pods of all sets.
    #[serde(default, skip_serializing_if = "is_default")]
    pub replicas: i32,
    /// Pods of the new set.
    #[serde(default, skip_serializing_if = "is_default")]
    pub updated_replicas: i32,
    /// Ready pods.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ready_replicas: i32,
    /// Available pods.
    #[serde(default, skip_serializing_if = "is_default")]
    pub available_replicas: i32,
    /// The step at work; equal to the number of steps when done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_step_index: Option<i32>,
    /// Name collisions met so far; part of the hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collision_count: Option<i32>,
    /// The generation last seen, as text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub observed_generation: String,
    /// Conditions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<RolloutCondition>,
    /// What belongs to the canary strategy.
    #[serde(default)]
    pub canary: CanaryStatus,
    /// What belongs to the blue-green strategy.
    #[serde(default)]
    pub blue_green: BlueGreenStatus,
    /// Pods an autoscaler should count.
    #[serde(rename = "HPAReplicas", default, skip_serializing_if = "is_default")]
    pub hpa_replicas: i32,
    /// Label selector of all pods, as text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub selector: String,
    /// Hash of the stable set.
    #[serde(rename = "stableRS", default, skip_serializing_if = "String::is_empty")]
    pub stable_rs: String,
    /// The `restartAt` last carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restarted_at: Option<Time>,
    /// Skip everything up to full promotion.
    #[serde(default, skip_serializing_if = "is_default")]
    pub promote_full: bool,
    /// The state in one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<RolloutPhase>,
    /// The state in one sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The referenced workload's generation last seen.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub workload_observed_generation: String,
    /// The load balancer, with one Ingress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alb: Option<ALBStatus>,
    /// The load balancers, with several Ingresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub albs: Vec<ALBStatus>,
    /// How long this update took so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<RolloutDurationStatus>,
}

/// How long an update took (section 20 of the rollout rows).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutDurationStatus {
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout_started_at: Option<Time>,
    /// When the present pause by a person began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manual_pause_started_at: Option<Time>,
    /// Seconds of finished pauses by a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_manual_pause_duration_seconds: Option<i64>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_status: Option<CompletionStatus>,
}

/// What belongs to the blue-green strategy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlueGreenStatus {
    /// Hash the preview Service selects.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub preview_selector: String,
    /// Hash the active Service selects.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub active_selector: String,
    /// The reduced preview set has been let through to full size.
    #[serde(default, skip_serializing_if = "is_default")]
    pub scale_up_preview_check_point: bool,
    /// The run before the switch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pre_promotion_analysis_run_status: Option<RolloutAnalysisRunStatus>,
    /// The run after the switch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_promotion_analysis_run_status: Option<RolloutAnalysisRunStatus>,
}

/// What belongs to the canary strategy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CanaryStatus {
    /// The run of the current step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_step_analysis_run_status: Option<RolloutAnalysisRunStatus>,
    /// The run beside the steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_background_analysis_run_status: Option<RolloutAnalysisRunStatus>,
    /// The experiment of the current step.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub current_experiment: String,
    /// The weights last set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<TrafficWeights>,
    /// Which of the two Services is stable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable_ping_pong: Option<PingPongType>,
    /// What the step plugins answered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub step_plugin_statuses: Vec<StepPluginStatus>,
}

/// The weights last set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrafficWeights {
    /// The canary's.
    #[serde(default)]
    pub canary: WeightDestination,
    /// The stable set's.
    #[serde(default)]
    pub stable: WeightDestination,
    /// Those of experiment templates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub additional: Vec<WeightDestination>,
    /// The router confirmed them; absent when it cannot tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<bool>,
}

/// A share of the traffic and who gets it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WeightDestination {
    /// The share.
    #[serde(default)]
    pub weight: i32,
    /// The Service.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub service_name: String,
    /// The set.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pod_template_hash: String,
}

/// A run as the rollout sees it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutAnalysisRunStatus {
    /// The run's name.
    #[serde(default)]
    pub name: String,
    /// Its phase.
    #[serde(default, with = "phase_or_empty")]
    pub status: Option<AnalysisPhase>,
    /// Its message.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// One call of a step plugin.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepPluginStatus {
    /// The step.
    #[serde(default)]
    pub index: i32,
    /// The plugin.
    #[serde(default)]
    pub name: String,
    /// What was called.
    #[serde(default)]
    pub operation: StepPluginOperation,
    /// How it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<StepPluginPhase>,
    /// What the plugin said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When it was asked last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Time>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
    /// How long to wait before the next call.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub backoff: DurationString,
    /// Calls so far.
    #[serde(default, skip_serializing_if = "is_default")]
    pub executions: i32,
    /// The plugin is turned off.
    #[serde(default, skip_serializing_if = "is_default")]
    pub disabled: bool,
    /// What the plugin wants to remember; null when absent.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub status: Value,
}

/// A load balancer and its target groups.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ALBStatus {
    /// The load balancer.
    #[serde(default)]
    pub load_balancer: AwsResourceRef,
    /// The canary's target group.
    #[serde(default)]
    pub canary_target_group: AwsResourceRef,
    /// The stable target group.
    #[serde(default)]
    pub stable_target_group: AwsResourceRef,
    /// The Ingress it belongs to.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ingress: String,
}

/// An AWS resource.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AwsResourceRef {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Its Amazon resource name.
    #[serde(default)]
    pub arn: String,
    /// The name its metrics carry.
    #[serde(default)]
    pub full_name: String,
}

/// One condition of a rollout.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutCondition {
    /// One of the constants in [`rollout_condition`].
    #[serde(default)]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    #[serde(default)]
    pub status: String,
    /// When anything but the status changed last.
    #[serde(default)]
    pub last_update_time: Time,
    /// When the status changed last.
    #[serde(default)]
    pub last_transition_time: Time,
    /// Why, in one word.
    #[serde(default)]
    pub reason: String,
    /// Why, in one sentence.
    #[serde(default)]
    pub message: String,
}

wire_enum! {
    /// Why the controller waits.
    PauseReason {
        /// An analysis was inconclusive.
        InconclusiveAnalysis = "InconclusiveAnalysisRun",
        /// An experiment was inconclusive.
        InconclusiveExperiment = "InconclusiveExperiment",
        /// A pause step is at work.
        CanaryPauseStep = "CanaryPauseStep",
        /// Blue-green waits for promotion.
        BlueGreenPause = "BlueGreenPause",
    }
}

wire_enum! {
    /// The state of a rollout in one word.
    RolloutPhase {
        /// Everything is as wanted.
        Healthy = "Healthy",
        /// Something failed and will not mend by itself.
        Degraded = "Degraded",
        /// On the way.
        Progressing = "Progressing",
        /// Waiting, on purpose.
        Paused = "Paused",
    }
}

wire_enum! {
    /// How an update ended.
    CompletionStatus {
        /// All steps were taken.
        Promoted = "Promoted",
        /// Promoted in full, skipping steps.
        FastPromoted = "FastPromoted",
        /// Aborted.
        Aborted = "Aborted",
        /// Another update replaced it.
        Superseded = "Superseded",
        /// An earlier revision was rolled back to.
        RolledBack = "RolledBack",
        /// An earlier revision was rolled back to, skipping steps.
        FastRolledBack = "FastRolledBack",
    }
}

wire_enum! {
    /// Which of two swapping Services is meant.
    PingPongType {
        /// The ping Service.
        Ping = "ping",
        /// The pong Service.
        Pong = "pong",
    }
}

wire_enum! {
    /// How a step plugin stands.
    StepPluginPhase {
        /// Not finished.
        Running = "Running",
        /// Done.
        Successful = "Successful",
        /// Done, and the rollout must abort.
        Failed = "Failed",
        /// The call itself failed.
        Error = "Error",
    }
}

wire_enum! {
    /// What was asked of a step plugin.
    StepPluginOperation {
        /// Do the step.
        Run = "Run",
        /// Stop early: the step was skipped or superseded.
        Terminate = "Terminate",
        /// Undo: the rollout aborted.
        Abort = "Abort",
    }
}

/// Condition types of a rollout (section 17.1 of the rollout rows).
pub mod rollout_condition {
    /// The spec is refused.
    pub const INVALID_SPEC: &str = "InvalidSpec";
    /// Enough pods are available.
    pub const AVAILABLE: &str = "Available";
    /// The update moves.
    pub const PROGRESSING: &str = "Progressing";
    /// Pods or sets could not be created.
    pub const REPLICA_FAILURE: &str = "ReplicaFailure";
    /// Paused.
    pub const PAUSED: &str = "Paused";
    /// The update is complete.
    pub const COMPLETED: &str = "Completed";
    /// Complete and available.
    pub const HEALTHY: &str = "Healthy";
}

impl StepPluginPhase {
    /// Whether the plugin is done with the step, well or badly.
    #[must_use]
    pub fn completed(&self) -> bool {
        matches!(self, Self::Successful | Self::Failed | Self::Error)
    }
}
