//! Rules for canary steps.

use super::STRATEGY;
use super::field_error::FieldError;
use super::names::qualified_name_error;
use crate::rollout::{
    AnalysisRunArgument, CanaryStep, CanaryStrategy, Rollout, RolloutExperimentStep, RolloutTrafficRouting,
    SetHeaderRoute, SetMirrorRoute, StringMatch,
};

const WRONG_KIND: &str =
    "Step must have one of the following set: experiment, setWeight, setCanaryScale, plugin or pause";
const MISSED_VALUE: &str =
    "StringMatch value missed, match value must have one of the following: exact, regex, prefix";

pub(super) fn validate_steps(rollout: &Rollout, canary: &CanaryStrategy) -> Result<(), FieldError> {
    let routing = canary.traffic_routing.as_ref();
    for (index, step) in canary.steps.iter().enumerate() {
        let path = format!("{STRATEGY}.steps[{index}]");
        validate_kind(step, &path)?;
        validate_sizes(step, rollout.max_weight(), routing, &path)?;
        validate_routes(step, routing, &path)?;
        if let Some(experiment) = &step.experiment {
            validate_experiment(experiment, routing, &path)?;
        }
        validate_arguments(step, &path)?;
    }
    Ok(())
}

fn validate_kind(step: &CanaryStep, path: &str) -> Result<(), FieldError> {
    let experiment = step.experiment.is_some();
    let pause = step.pause.is_some();
    let set_weight = step.set_weight.is_some();
    let analysis = step.analysis.is_some();
    if [experiment, pause, set_weight, analysis].into_iter().filter(|set| *set).count() > 1 {
        let shown = format!(
            "step.Experiment: {experiment} step.Pause: {pause} step.SetWeight: {set_weight} \
             step.Analysis: {analysis}"
        );
        return Err(FieldError::invalid(path, &shown, WRONG_KIND));
    }
    if *step == CanaryStep::default() {
        // Here the flags say "is missing", which is how the reference prints them.
        let shown = "step.Experiment: true step.Pause: true step.SetWeight: true step.Analysis: true \
                     step.SetCanaryScale: true step.SetHeaderRoute: true step.SetMirrorRoute: true \
                     step.Plugin: true";
        return Err(FieldError::invalid(path, &shown, WRONG_KIND));
    }
    Ok(())
}

fn validate_sizes(
    step: &CanaryStep,
    max_weight: i32,
    routing: Option<&RolloutTrafficRouting>,
    path: &str,
) -> Result<(), FieldError> {
    if let Some(weight) = step.set_weight
        && !(0..=max_weight).contains(&weight)
    {
        let detail = format!("SetWeight needs to be between 0 and {max_weight}");
        return Err(FieldError::invalid(&format!("{path}.setWeight"), &weight, &detail));
    }
    if let Some(pause) = &step.pause {
        let seconds = pause.duration_seconds();
        if seconds < 0 {
            let path = format!("{path}.pause.duration");
            return Err(FieldError::invalid(&path, &seconds, "Duration needs to be greater than 0"));
        }
    }
    if step.set_canary_scale.is_some() && routing.is_none() {
        let detail = "SetCanaryScale requires TrafficRouting to be set";
        return Err(FieldError::required(&format!("{STRATEGY}.trafficRouting"), detail));
    }
    Ok(())
}

fn validate_routes(
    step: &CanaryStep,
    routing: Option<&RolloutTrafficRouting>,
    path: &str,
) -> Result<(), FieldError> {
    let header_path = format!("{path}.setHeaderRoute");
    let mirror_path = format!("{path}.setMirrorRoute");
    if let Some(route) = &step.set_header_route {
        validate_header_route(route, routing, &header_path)?;
    }
    if let Some(route) = &step.set_mirror_route {
        validate_mirror_route(route, routing, &mirror_path)?;
    }
    let Some(routing) = routing else { return Ok(()) };
    let header = step.set_header_route.as_ref().map(|route| (&route.name, header_path));
    let mirror = step.set_mirror_route.as_ref().map(|route| (&route.name, mirror_path));
    for (name, path) in header.into_iter().chain(mirror) {
        if routing.managed_routes.is_empty() {
            return Err(FieldError::required(
                &format!("{STRATEGY}.trafficRouting.managedRoutes"),
                "Rollout has missing field 'spec.strategy.canary.trafficRouting.managedRoutes'",
            ));
        }
        if !routing.managed_routes.iter().any(|route| route.name == *name) {
            return Err(FieldError::invalid(
                &path,
                name,
                "Steps define a route that does not exist in spec.strategy.canary.trafficRouting.managedRoutes",
            ));
        }
    }
    Ok(())
}

fn validate_header_route(
    route: &SetHeaderRoute,
    routing: Option<&RolloutTrafficRouting>,
    path: &str,
) -> Result<(), FieldError> {
    let able = |routing: &&RolloutTrafficRouting| {
        routing.istio.is_some()
            || routing.alb.is_some()
            || routing.apisix.is_some()
            || !routing.plugins.is_empty()
    };
    let Some(routing) = routing.filter(able) else {
        let detail = "SetHeaderRoute requires TrafficRouting, supports Istio and ALB and Apisix";
        return Err(FieldError::invalid(path, route, detail));
    };
    for (index, wanted) in route.match_.iter().enumerate() {
        let path = format!("{path}.match[{index}]");
        let value = wanted.header_value.as_ref();
        if routing.alb.is_some() {
            validate_exact_match(value, &path)?;
        } else {
            validate_match(value, &path)?;
        }
    }
    Ok(())
}

fn validate_mirror_route(
    route: &SetMirrorRoute,
    routing: Option<&RolloutTrafficRouting>,
    path: &str,
) -> Result<(), FieldError> {
    if !routing.is_some_and(|routing| routing.istio.is_some() || !routing.plugins.is_empty()) {
        let detail = "SetMirrorRoute requires TrafficRouting, supports Istio and Plugins";
        return Err(FieldError::invalid(path, route, detail));
    }
    for (index, wanted) in route.match_.iter().enumerate() {
        let path = format!("{path}.match[{index}]");
        for value in [&wanted.method, &wanted.path].into_iter().flatten() {
            validate_match(Some(value), &path)?;
        }
    }
    Ok(())
}

fn validate_exact_match(value: Option<&StringMatch>, path: &str) -> Result<(), FieldError> {
    match value {
        None => Err(FieldError::invalid(path, &(), MISSED_VALUE)),
        Some(value) if value.exact.is_empty() || !value.regex.is_empty() || !value.prefix.is_empty() => {
            let detail = "SetHeaderRoute match value invalid. ALB supports 'exact' value only";
            Err(FieldError::invalid(path, value, detail))
        }
        Some(_) => Ok(()),
    }
}

fn validate_match(value: Option<&StringMatch>, path: &str) -> Result<(), FieldError> {
    let Some(value) = value else { return Err(FieldError::invalid(path, &(), MISSED_VALUE)) };
    match [&value.exact, &value.regex, &value.prefix].into_iter().filter(|text| !text.is_empty()).count() {
        0 => Err(FieldError::invalid(path, value, MISSED_VALUE)),
        1 => Ok(()),
        _ => Err(FieldError::invalid(
            path,
            value,
            "StringMatch match value must have exactly one of the following: exact, regex, prefix",
        )),
    }
}

fn validate_experiment(
    experiment: &RolloutExperimentStep,
    routing: Option<&RolloutTrafficRouting>,
    path: &str,
) -> Result<(), FieldError> {
    for (index, template) in experiment.templates.iter().enumerate() {
        let Some(weight) = template.weight else { continue };
        let detail = match routing {
            None => "Experiment template weight cannot be set unless TrafficRouting is enabled",
            Some(routing)
                if routing.alb.is_none()
                    && routing.smi.is_none()
                    && routing.istio.is_none()
                    && routing.plugins.is_empty() =>
            {
                "Experiment template weight is only available for TrafficRouting with SMI, ALB, Istio and \
                 Plugins at this time"
            }
            Some(_) => continue,
        };
        let path = format!("{path}.experiment.templates[{index}].weight");
        return Err(FieldError::invalid(&path, &weight, detail));
    }
    Ok(())
}

fn validate_arguments(step: &CanaryStep, path: &str) -> Result<(), FieldError> {
    let experiment = step.experiment.iter().flat_map(|experiment| &experiment.analyses);
    let of_experiment = experiment.flat_map(|analysis| &analysis.args);
    let of_analysis = step.analysis.iter().flat_map(|analysis| &analysis.args);
    let arguments: Vec<&AnalysisRunArgument> = of_experiment.chain(of_analysis).collect();
    let field_of = |argument: &&AnalysisRunArgument| {
        Some(argument.value_from.as_ref()?.field_ref.as_ref()?.field_path.clone())
    };
    let bad = arguments
        .iter()
        .filter_map(field_of)
        .any(|field| field.starts_with("metadata") && !is_downward_field(&field));
    if bad {
        return Err(FieldError::invalid(
            &format!("{path}.analyses"),
            &arguments,
            "Analyses arguments must refer to valid object metadata supported by downwardAPI",
        ));
    }
    Ok(())
}

/// Whether the downward API can read the field: a name, the labels or annotations, or one of them by key.
fn is_downward_field(field: &str) -> bool {
    if let Some((map, key)) = field.strip_suffix("']").and_then(|rest| rest.split_once("['")) {
        return match map {
            "metadata.annotations" => qualified_name_error(&key.to_lowercase()).is_none(),
            "metadata.labels" => qualified_name_error(key).is_none(),
            _ => false,
        };
    }
    ["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"]
        .contains(&field)
}
