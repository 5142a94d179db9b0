//! What a Rollout's analysis refers to, checked before anything is reconciled (A-310 to A-313, R-230b, R-230f).

use glidepath_api::{Argument, IntOrString, RolloutAnalysis};
use serde_json::Value;

use super::arguments::resolve_args_for_validation;
use super::substitution::resolve_metric;
use super::templates::{Catalog, CollectError, Collected, build_run_spec, collect};

/// A reference that cannot be followed or makes no sense, in the parts of a field error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferenceProblem {
    /// True when a template, not the Rollout, holds the reference: the path is then `spec.templates`.
    pub nested: bool,
    /// The value shown after the path.
    pub value: String,
    /// What is wrong.
    pub detail: String,
}

/// Checks the templates of one analysis of a Rollout: they exist, fit together, take the arguments, and, unless
/// the analysis runs in the background, come to an end.
///
/// `rules_of` are all analyses whose dry-run and retention rules are tried against these templates, as the
/// reference does for every inline step of a canary. Whether the run ends is judged with the arguments
/// as merged, so a count that the Rollout supplies counts (B-05).
///
/// # Errors
/// The first problem found.
pub fn check_references(
    analysis: &RolloutAnalysis,
    background: bool,
    rollout: &Value,
    catalog: Catalog<'_>,
    rules_of: &[&RolloutAnalysis],
) -> Result<(), ReferenceProblem> {
    let collected = collect(&analysis.templates, catalog).map_err(|error| ReferenceProblem {
        nested: matches!(error, CollectError::Missing { nested: true, .. }),
        value: match &error {
            CollectError::Missing { id, .. } => id.name.clone(),
            CollectError::Cycle { path } => path.first().map(|id| id.name.clone()).unwrap_or_default(),
        },
        detail: error.to_string(),
    })?;
    let together = |detail: String| ReferenceProblem {
        nested: false,
        value: format!("templateNames: [{}]", collected.names().join(" ")),
        detail,
    };
    let args = resolve_args_for_validation(&analysis.args, rollout).map_err(together)?;
    let spec = build_run_spec(&collected, &args, &[], &[]).map_err(together)?;
    for rules in rules_of {
        build_run_spec(&collected, &args, &rules.dry_run, &rules.measurement_retention).map_err(together)?;
    }
    if background { Ok(()) } else { check_ends(&collected, spec.args) }
}

/// Every metric of a run that something waits for must have an end.
fn check_ends(collected: &Collected<'_>, merged: Vec<Argument>) -> Result<(), ReferenceProblem> {
    let args: Vec<Argument> = merged
        .into_iter()
        .map(|arg| Argument { value: Some(arg.value.unwrap_or_else(|| "dummy-value".to_owned())), ..arg })
        .collect();
    for (name, spec) in collected.iter() {
        let problem = |detail: String| ReferenceProblem { nested: false, value: name.to_owned(), detail };
        if let Some(arg) = spec.args.iter().find(|arg| arg.value.is_some() && arg.value_from.is_some()) {
            return Err(problem(format!(
                "AnalysisTemplate {name}: arg '{}' has both Value and ValueFrom fields",
                arg.name
            )));
        }
        for metric in &spec.metrics {
            let metric = resolve_metric(metric, &args)
                .map_err(|error| problem(format!("AnalysisTemplate {name}: {error}")))?;
            if metric.effective_count().is_none() {
                let count = metric.count.as_ref().map_or_else(|| "<nil>".to_owned(), IntOrString::to_string);
                return Err(problem(format!(
                    "AnalysisTemplate {name} has metric {} which runs indefinitely. Invalid value for count: {count}",
                    metric.name
                )));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use glidepath_api::{AnalysisTemplateSpec, RolloutAnalysis};
    use serde_json::{Value, json};

    use super::super::templates::Catalog;
    use super::check_references;

    fn check(templates: Value, analysis: Value, background: bool) -> Result<(), (bool, String, String)> {
        let namespaced: BTreeMap<String, AnalysisTemplateSpec> = serde_json::from_value(templates).unwrap();
        let cluster = BTreeMap::new();
        let analysis: RolloutAnalysis = serde_json::from_value(analysis).unwrap();
        let catalog = Catalog { namespaced: &namespaced, cluster: &cluster };
        check_references(&analysis, background, &json!({}), catalog, &[&analysis])
            .map_err(|problem| (problem.nested, problem.value, problem.detail))
    }

    fn problem(nested: bool, value: &str, detail: &str) -> Result<(), (bool, String, String)> {
        Err((nested, value.to_owned(), detail.to_owned()))
    }

    #[test]
    fn references_are_judged_before_a_rollout_starts_a310_to_a313() {
        let once = json!({"name": "m", "provider": {}});
        let forever = json!({"name": "m", "interval": "1m", "provider": {}});
        let counted = json!({"name": "m", "interval": "1m", "count": "{{args.count}}", "provider": {}});
        let refer = |name: &str| json!({"templates": [{"templateName": name}]});
        for (case, templates, analysis, background, want) in [
            ("fine", json!({"t": {"metrics": [once]}}), refer("t"), false, Ok(())),
            ("missing", json!({}), refer("t"), false, problem(false, "t", "AnalysisTemplate 't' not found")),
            (
                "missing below",
                json!({"t": {"metrics": [once], "templates": [{"templateName": "u", "clusterScope": true}]}}),
                refer("t"),
                false,
                problem(true, "u", "ClusterAnalysisTemplate 'u' not found"),
            ),
            (
                "B-01: a circle is named, not walked for ever",
                json!({"t": {"templates": [{"templateName": "u"}]}, "u": {"templates": [{"templateName": "t"}]}}),
                refer("t"),
                false,
                problem(false, "t", "AnalysisTemplate 't' refers to itself: t -> u -> t"),
            ),
            (
                "unresolved argument",
                json!({"t": {"args": [{"name": "a"}], "metrics": [once]}}),
                refer("t"),
                true,
                problem(false, "templateNames: [t]", "args.a was not resolved"),
            ),
            (
                "endless inline metric",
                json!({"t": {"metrics": [forever]}}),
                refer("t"),
                false,
                problem(
                    false,
                    "t",
                    "AnalysisTemplate t has metric m which runs indefinitely. Invalid value for count: <nil>",
                ),
            ),
            ("endless background metric", json!({"t": {"metrics": [forever]}}), refer("t"), true, Ok(())),
            (
                "B-05: a count the rollout supplies counts",
                json!({"t": {"args": [{"name": "count", "value": "0"}], "metrics": [counted]}}),
                json!({"templates": [{"templateName": "t"}], "args": [{"name": "count", "value": "3"}]}),
                false,
                Ok(()),
            ),
            (
                "rules that repeat",
                json!({"t": {"metrics": [once], "dryRun": [{"metricName": "m"}]}}),
                json!({"templates": [{"templateName": "t"}], "dryRun": [{"metricName": "m"}]}),
                false,
                problem(false, "templateNames: [t]", "two Dry-Run metric rules have the same name 'm'"),
            ),
        ] {
            assert_eq!(check(templates, analysis, background), want, "{case}");
        }
    }
}
