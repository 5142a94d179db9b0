//! Services whose selectors are not what the controllers made them, or that select no pod of the Rollout at all.

use glidepath_api::{Service, names};
use glidepath_core::plan::Action;

use crate::cause::{Cause, Command};
use crate::explanation::View;
use crate::traffic::written_by;

/// Causes in the Services the Rollout names.
pub(crate) fn causes(view: &View<'_>) -> Vec<Cause> {
    let services = view.scene.snapshot.services.iter();
    let found = services.filter_map(|(name, service)| match service {
        None => None,
        Some(service) => overwritten(view, name, service).or_else(|| selects_nothing(view, name, service)),
    });
    found.collect()
}

/// The last hash the controllers gave a Service, as far as status and events tell, and how often they did so.
fn last_given(view: &View<'_>, name: &str) -> Option<(String, i64)> {
    let prefix = format!("Switched selector for service '{name}' from '");
    let switches = view.scene.evidence.events.iter().filter(|event| event.reason == "SwitchService");
    let last = switches
        .filter_map(|event| {
            let (_, to) = event.message.strip_prefix(&prefix)?.split_once("' to '")?;
            Some((event.last, to.trim_end_matches('\'').to_owned(), event.count))
        })
        .max_by_key(|(last, _, count)| (*last, *count));
    if let Some((_, to, count)) = last {
        return Some((to, count));
    }
    let status = view.status();
    let strategy = view.rollout().blue_green()?;
    let recorded = match name {
        name if name == strategy.active_service => &status.blue_green.active_selector,
        name if name == strategy.preview_service => &status.blue_green.preview_selector,
        _ => return None,
    };
    (!recorded.is_empty()).then(|| (recorded.clone(), 1))
}

/// A Service that selects something else than the controllers gave it last, or that they had to switch to the same
/// hash again and again.
fn overwritten(view: &View<'_>, name: &str, service: &Service) -> Option<Cause> {
    let (given, count) = last_given(view, name)?;
    let selected = service.selected_hash();
    let differs = selected != given;
    let contested = count >= 3;
    if !differs && !contested {
        return None;
    }
    // A switch that is due is no quarrel.
    let due = view.plan.actions().any(|action| {
        matches!(action, Action::SwitchService { name: switched, to, .. } if switched == name && *to != given)
    });
    if due && !contested {
        return None;
    }
    let shown = |hash: &str| match view.set(hash) {
        Some(set) => format!("{hash} ({} ReplicaSet {})", view.role(set), set.metadata.name),
        None if hash.is_empty() => "no hash at all".to_owned(),
        None => format!("{hash} (no ReplicaSet of this Rollout)"),
    };
    let summary = if differs {
        format!(
            "the selector of Service {name} was overwritten: it selects {}, and the controller set {}",
            shown(selected),
            shown(&given)
        )
    } else {
        format!(
            "something keeps overwriting the selector of Service {name}: the controller had to set it {count} times"
        )
    };
    let mut cause = Cause::new("service-selector-overwritten", summary)
        .details(written_by(view, &format!("Service {name}")))
        .remedy(format!(
            "leave spec.selector.{} out of what applies this Service (GitOps: ignore that field)",
            names::POD_TEMPLATE_HASH
        ));
    if differs && count > 1 {
        cause = cause.detail(format!("the controller has set it back {count} times"));
    }
    let words = format!("get service {name} -o yaml --show-managed-fields");
    Some(cause.next(Command::kubectl(view.namespace(), &words, "see who owns the selector")))
}

/// The labels a Service asks for besides the hash are not those of the pods.
fn selects_nothing(view: &View<'_>, name: &str, service: &Service) -> Option<Cause> {
    let labels = view.rollout().spec.template.pointer("/metadata/labels")?.as_object()?;
    let wrong = service.spec.selector.iter().find(|(key, value)| {
        key.as_str() != names::POD_TEMPLATE_HASH
            && labels.get(key.as_str()).and_then(serde_json::Value::as_str) != Some(value.as_str())
    });
    let (key, value) = wrong?;
    let has = labels.get(key).and_then(serde_json::Value::as_str).unwrap_or("nothing");
    let words = format!("get endpointslices -l kubernetes.io/service-name={name}");
    Some(
        Cause::new(
            "service-selects-no-pods",
            format!("Service {name} selects {key}={value}, but the Rollout's pods have {key}={has}"),
        )
        .remedy("correct the Service's selector: no traffic reaches the Rollout through it")
        .next(Command::kubectl(view.namespace(), &words, "see which pods are behind it")),
    )
}
