//! Reading the canary's steps: which weight holds, which size was set, what a step is called.

use glidepath_api::{CanaryStep, Rollout, SetCanaryScale};

use super::spec::SpecView;

/// What a step is, where a step object holds several kinds: the first in the order of R-401.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StepKind {
    Pause,
    SetCanaryScale,
    SetWeight,
    Experiment,
    Analysis,
    SetHeaderRoute,
    SetMirrorRoute,
    Plugin,
    Nothing,
}

/// The kind that decides when the step is complete.
pub(crate) fn kind(step: &CanaryStep) -> StepKind {
    if step.pause.is_some() {
        StepKind::Pause
    } else if step.set_canary_scale.is_some() {
        StepKind::SetCanaryScale
    } else if step.set_weight.is_some() {
        StepKind::SetWeight
    } else if step.experiment.is_some() {
        StepKind::Experiment
    } else if step.analysis.is_some() {
        StepKind::Analysis
    } else if step.set_header_route.is_some() {
        StepKind::SetHeaderRoute
    } else if step.set_mirror_route.is_some() {
        StepKind::SetMirrorRoute
    } else if step.plugin.is_some() {
        StepKind::Plugin
    } else {
        StepKind::Nothing
    }
}

/// What events call the step.
#[must_use]
pub fn text(step: &CanaryStep) -> String {
    if let Some(weight) = step.set_weight {
        return format!("setWeight: {weight}");
    }
    if let Some(pause) = &step.pause {
        return match &pause.duration {
            Some(duration) => format!("pause: {duration}"),
            None => "pause".to_owned(),
        };
    }
    if step.experiment.is_some() {
        return "experiment".to_owned();
    }
    if step.analysis.is_some() {
        return "analysis".to_owned();
    }
    if let Some(scale) = &step.set_canary_scale {
        if let Some(weight) = scale.weight {
            return format!("setCanaryScale{{weight: {weight}}}");
        }
        if scale.match_traffic_weight {
            return "setCanaryScale{matchTrafficWeight: true}".to_owned();
        }
        if let Some(replicas) = scale.replicas {
            return format!("setCanaryScale{{replicas: {replicas}}}");
        }
    }
    if let Some(plugin) = &step.plugin {
        return format!("plugin: {}", plugin.name);
    }
    if let Some(route) = &step.set_header_route {
        return format!("setHeaderRoute: {}", route.name);
    }
    if let Some(route) = &step.set_mirror_route {
        return format!("setMirrorRoute: {}", route.name);
    }
    "invalid".to_owned()
}

/// Seconds of a pause; `None` when it lasts until a person acts. An unreadable duration, which validation
/// refuses, counts as 0.
pub(crate) fn pause_seconds(step: &CanaryStep) -> Option<i64> {
    let pause = step.pause.as_ref()?;
    pause.duration.as_ref()?;
    Some(i64::from(pause.duration_seconds().max(0)))
}

/// The steps from the current one back to the first, the current one first; nothing past the last step.
fn backwards(rollout: &Rollout) -> impl Iterator<Item = &CanaryStep> {
    let end = rollout.step_index().and_then(|index| usize::try_from(index).ok()).unwrap_or(0);
    let reached = if end < rollout.steps().len() { &rollout.steps()[..=end] } else { &[] };
    reached.iter().rev()
}

/// W, the weight of the current step.
pub(crate) fn current_weight(rollout: &Rollout) -> i32 {
    if rollout.status.abort {
        return 0;
    }
    if rollout.current_step().is_none() {
        return rollout.max_weight();
    }
    backwards(rollout).find_map(|step| step.set_weight).unwrap_or(0)
}

/// The nearest weight strictly before the current step, else 0 (R-423c).
pub(crate) fn previous_weight(rollout: &Rollout) -> i32 {
    let end = rollout.step_index().and_then(|index| usize::try_from(index).ok()).unwrap_or(0);
    rollout.steps()[..end.min(rollout.steps().len())]
        .iter()
        .rev()
        .find_map(|step| step.set_weight)
        .unwrap_or(0)
}

/// Every weight of the steps, in order.
pub(crate) fn weights(rollout: &Rollout) -> Vec<i32> {
    rollout.steps().iter().filter_map(|step| step.set_weight).collect()
}

/// The `setCanaryScale` in force.
pub(crate) fn canary_scale(rollout: &Rollout) -> Option<&SetCanaryScale> {
    rollout.traffic_routing()?;
    if rollout.status.abort && rollout.abort_scale_down_delay_seconds().is_some() {
        return None;
    }
    backwards(rollout)
        .find_map(|step| step.set_canary_scale.as_ref())
        .filter(|scale| !scale.match_traffic_weight)
}

/// The nearest experiment step at or before the current one.
pub(crate) fn experiment_step(rollout: &Rollout) -> Option<&glidepath_api::RolloutExperimentStep> {
    backwards(rollout).find_map(|step| step.experiment.as_ref())
}

/// Whether background analysis must still wait for its starting step.
pub(crate) fn is_before_starting_step(rollout: &Rollout) -> bool {
    let starting = rollout
        .canary()
        .and_then(|canary| canary.analysis.as_ref())
        .and_then(|analysis| analysis.starting_step);
    match (starting, rollout.step_index()) {
        (Some(starting), Some(index)) => index < starting,
        _ => false,
    }
}
