//! What makes the spec of an Experiment invalid (A-547, B-11).

use std::collections::BTreeSet;

use glidepath_api::Experiment;
use glidepath_gocompat::duration;

/// Checks the spec.
///
/// # Errors
/// The first violation, in the words of the reference. The duration it does not check at all, and then never rests
/// (B-11).
pub(super) fn validate(experiment: &Experiment) -> Result<(), String> {
    let name = &experiment.metadata.name;
    let mut names = BTreeSet::new();
    for (index, template) in experiment.spec.templates.iter().enumerate() {
        let Some(selector) = &template.selector else {
            return Err(format!("Rollout has missing field '.Spec.Templates[{index}].Selector'"));
        };
        if selector.is_empty() {
            return Err(format!(
                "This experiment is selecting all pods at index {index}. A non-empty selector is required."
            ));
        }
        if template.min_ready_seconds > experiment.progress_deadline_seconds() {
            return Err(format!(
                "MinReadySeconds cannot be longer than ProgressDeadlineSeconds. Check template index {index}"
            ));
        }
        if template.name.is_empty() {
            return Err(format!("Experiment {name} has empty template name at index {index}"));
        }
        if !names.insert(&template.name) {
            return Err(format!(
                "Experiment {name} has repeated template name '{}' in templates",
                template.name
            ));
        }
    }
    if !experiment.spec.duration.is_empty() {
        duration::parse(&experiment.spec.duration)
            .map_err(|error| format!("Experiment {name} has an invalid duration: {error}"))?;
    }
    Ok(())
}
