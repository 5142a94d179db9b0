//! Rules for label selectors and labels (R-205b to R-206b).

use std::collections::BTreeMap;

use super::field_error::FieldError;
use super::names::{label_value_error, qualified_name_error};
use crate::meta::{LabelSelector, LabelSelectorRequirement};

/// The first fault of a selector.
///
/// # Errors
/// Names the field inside the selector.
pub fn validate_label_selector(selector: &LabelSelector, path: &str) -> Result<(), FieldError> {
    validate_labels(&selector.match_labels, &format!("{path}.matchLabels"))?;
    for (index, requirement) in selector.match_expressions.iter().enumerate() {
        validate_requirement(requirement, &format!("{path}.matchExpressions[{index}]"))?;
    }
    Ok(())
}

/// The first fault of a map of labels, in the order of the keys.
///
/// # Errors
/// Shows the key or the value at fault.
pub fn validate_labels(labels: &BTreeMap<String, String>, path: &str) -> Result<(), FieldError> {
    for (key, value) in labels {
        if let Some(error) = qualified_name_error(key) {
            return Err(FieldError::invalid(path, key, &error));
        }
        if let Some(error) = label_value_error(value) {
            return Err(FieldError::invalid(path, value, &error));
        }
    }
    Ok(())
}

fn validate_requirement(requirement: &LabelSelectorRequirement, path: &str) -> Result<(), FieldError> {
    let values_path = format!("{path}.values");
    match requirement.operator.as_str() {
        "In" | "NotIn" if requirement.values.is_empty() => {
            let detail = "must be specified when `operator` is 'In' or 'NotIn'";
            return Err(FieldError::required(&values_path, detail));
        }
        "Exists" | "DoesNotExist" if !requirement.values.is_empty() => {
            let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
            return Err(FieldError::forbidden(&values_path, detail));
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        other => {
            let path = format!("{path}.operator");
            return Err(FieldError::invalid(&path, &other, "not a valid selector operator"));
        }
    }
    if let Some(error) = qualified_name_error(&requirement.key) {
        return Err(FieldError::invalid(&format!("{path}.key"), &requirement.key, &error));
    }
    for (index, value) in requirement.values.iter().enumerate() {
        if let Some(error) = label_value_error(value) {
            return Err(FieldError::invalid(&format!("{values_path}[{index}]"), value, &error));
        }
    }
    Ok(())
}
