//! Static rules for a Rollout's spec, in the order the reference evaluates them.
//!
//! Only the first fault is reported. What a rule needs from other objects (Services, templates, routers) is
//! checked elsewhere, with the same [`FieldError`].

mod canary;
mod field_error;
mod names;
mod pod_template;
mod selector;
mod steps;
#[cfg(test)]
mod tests;

pub use field_error::{FieldError, FieldErrorKind};
pub use pod_template::validate_pod_template;
pub use selector::{validate_label_selector, validate_labels};

use serde_json::Value;

use crate::meta::IntOrString;
use crate::rollout::{AntiAffinity, BlueGreenStrategy, Rollout};

/// Where the strategy's rules live; the segment `canary` or `blueGreen` is left out, as in the reference.
const STRATEGY: &str = "spec.strategy";

/// Checks a rollout's spec.
///
/// # Errors
/// The first fault, in the order of.
pub fn validate_rollout(rollout: &Rollout) -> Result<(), FieldError> {
    let spec = &rollout.spec;
    non_negative("spec.replicas", rollout.replicas())?;
    validate_selector(rollout)?;
    validate_template(rollout)?;
    non_negative("spec.minReadySeconds", spec.min_ready_seconds)?;
    non_negative("spec.revisionHistoryLimit", rollout.revision_history_limit())?;
    let deadline = rollout.progress_deadline_seconds();
    non_negative("spec.progressDeadlineSeconds", deadline)?;
    if deadline <= spec.min_ready_seconds {
        let detail = "must be greater than minReadySeconds";
        return Err(FieldError::invalid("spec.progressDeadlineSeconds", &deadline, detail));
    }
    validate_strategy(rollout)
}

fn validate_selector(rollout: &Rollout) -> Result<(), FieldError> {
    if rollout.spec.workload_ref.is_some() {
        return Ok(());
    }
    let path = "spec.selector";
    let Some(selector) = &rollout.spec.selector else {
        return Err(FieldError::required(path, "Rollout has missing field '.spec.selector'"));
    };
    validate_label_selector(selector, path)?;
    if selector.is_empty() {
        return Err(FieldError::invalid(path, selector, "empty selector is invalid for deployment"));
    }
    Ok(())
}

fn validate_template(rollout: &Rollout) -> Result<(), FieldError> {
    let spec = &rollout.spec;
    let referenced = spec.workload_ref.is_some() && !spec.template_resolved_from_ref;
    if referenced && has_labels_or_annotations(&spec.template) {
        let detail = "template must be empty for workload reference rollout";
        return Err(FieldError::internal("spec.template", detail));
    }
    if let Some(selector) = &spec.selector
        && validate_label_selector(selector, "spec.selector").is_err()
    {
        return Err(FieldError::invalid("spec.selector", selector, "invalid label selector"));
    }
    if referenced {
        return Ok(());
    }
    validate_pod_template(&spec.template, spec.selector.as_ref(), "spec.template")
}

/// Whether a template carries anything the reference takes for "not empty".
#[must_use]
pub fn has_labels_or_annotations(template: &Value) -> bool {
    ["labels", "annotations"].into_iter().any(|key| {
        let found = template.get("metadata").and_then(|metadata| metadata.get(key));
        found.and_then(Value::as_object).is_some_and(|map| !map.is_empty())
    })
}

fn validate_strategy(rollout: &Rollout) -> Result<(), FieldError> {
    let path = "spec.strategy.strategy";
    match (rollout.blue_green(), rollout.canary()) {
        (None, None) => Err(FieldError::required(
            path,
            "Rollout has missing field '.spec.strategy.canary or .spec.strategy.blueGreen'",
        )),
        (Some(_), Some(_)) => {
            let shown = "blueGreen: true canary: true";
            Err(FieldError::invalid(path, &shown, "Multiple Strategies can not be listed"))
        }
        (Some(blue_green), None) => validate_blue_green(rollout, blue_green),
        (None, Some(canary)) => canary::validate_canary(rollout, canary),
    }
}

fn validate_blue_green(rollout: &Rollout, blue_green: &BlueGreenStrategy) -> Result<(), FieldError> {
    if blue_green.active_service == blue_green.preview_service {
        return Err(FieldError::invalid(
            &format!("{STRATEGY}.activeService"),
            &blue_green.active_service,
            "This rollout uses the same service for the active and preview services, but two different services \
             are required.",
        ));
    }
    if let Some(limit) = blue_green.scale_down_delay_revision_limit
        && rollout.revision_history_limit() < limit
    {
        return Err(FieldError::invalid(
            &format!("{STRATEGY}.scaleDownDelayRevisionLimit"),
            &limit,
            "This rollout's revision history limit can not be smaller than the rollout's scale down limit",
        ));
    }
    validate_fencepost(blue_green.max_unavailable.as_ref(), "maxUnavailable")?;
    validate_anti_affinity(blue_green.anti_affinity.as_ref())
}

fn validate_anti_affinity(anti_affinity: Option<&AntiAffinity>) -> Result<(), FieldError> {
    let Some(anti_affinity) = anti_affinity else { return Ok(()) };
    let path = format!("{STRATEGY}.antiAffinity");
    let preferred = anti_affinity.preferred_during_scheduling_ignored_during_execution.as_ref();
    let required = anti_affinity.required_during_scheduling_ignored_during_execution.as_ref();
    if preferred.is_some() == required.is_some() {
        let shown = format!(
            "antiAffinity.PreferredDuringSchedulingIgnoredDuringExecution: {} \
             antiAffinity.RequiredDuringSchedulingIgnoredDuringExecution: {}",
            preferred.is_some(),
            required.is_some()
        );
        return Err(FieldError::invalid(&path, &shown, "AntiAffinity must have exactly one strategy listed"));
    }
    match preferred {
        Some(preferred) if !(1..=100).contains(&preferred.weight) => Err(FieldError::invalid(
            &format!("{path}.weight"),
            &preferred.weight,
            "AntiAffinity weight must be between 1-100",
        )),
        _ => Ok(()),
    }
}

/// Refuses a text that is no percentage. The reference lets it pass and then never updates a pod (B-18).
fn validate_fencepost(setting: Option<&IntOrString>, field: &str) -> Result<(), FieldError> {
    match setting {
        Some(IntOrString::Str(text)) if text.replace('%', "").parse::<i32>().is_err() => {
            Err(FieldError::invalid(
                &format!("{STRATEGY}.{field}"),
                text,
                "must be a number or a percentage such as '25%'",
            ))
        }
        _ => Ok(()),
    }
}

fn non_negative(path: &str, value: i32) -> Result<(), FieldError> {
    if value < 0 {
        return Err(FieldError::invalid(path, &value, "must be greater than or equal to 0"));
    }
    Ok(())
}
