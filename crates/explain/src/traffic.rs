//! Weights that the routers' objects do not carry, routers that cannot be used, and shares that pods cannot make up.

use glidepath_api::TrafficWeights;
use glidepath_core::plan::Action;
use glidepath_core::traffic::{RouterKind, RouterObservation};

use crate::cause::{Cause, Command};
use crate::explanation::View;

/// Causes in the routers.
pub(crate) fn causes(view: &View<'_>) -> Vec<Cause> {
    let routers = &view.scene.snapshot.routers;
    let mut causes: Vec<Cause> = routers.iter().filter_map(|router| router_cause(view, router)).collect();
    causes.extend(share_by_pods(view));
    causes
}

fn router_cause(view: &View<'_>, router: &RouterObservation) -> Option<Cause> {
    if let Some(problem) = &router.problem {
        return Some(
            Cause::new("router-unusable", format!("the router's objects cannot be used: {}", problem.detail))
                .detail(format!("named by {}", problem.field))
                .remedy("create or correct the object; the rollout goes on by itself")
                .next(show(view, router)),
        );
    }
    if router.verified == Some(false) {
        return Some(
            Cause::new(
                "weight-not-verified",
                format!("the router has not confirmed the weights of {}", router.objects.join(", ")),
            )
            .remedy("the controller asks again by itself; look at the router's own status if this lasts")
            .next(show(view, router)),
        );
    }
    let wanted = wanted(view)?;
    let carried = match &router.weights {
        Some(weights) if weights.canary == wanted.0 && weights.stable == wanted.1 => return None,
        Some(weights) => format!("canary {} and stable {}", weights.canary, weights.stable),
        None => "different weights in its routes, or none".to_owned(),
    };
    let again = updates(view);
    // A weight that is set for the first time is on its way, and nobody's fault.
    let recorded = view.status().canary.weights.as_ref();
    let due = recorded.is_none_or(|recorded| recorded.canary.weight != wanted.0);
    if due && again < 3 {
        return None;
    }
    let object = router.objects.first().cloned().unwrap_or_else(|| format!("{:?}", router.kind));
    let (kind, place) = object.split_once(' ').unwrap_or((object.as_str(), ""));
    let name = place.rsplit('/').next().unwrap_or(place);
    let mut cause = Cause::new(
        "weights-not-carried",
        format!(
            "{kind} {name} carries {carried}, but the rollout set canary {} and stable {}: someone else changed it",
            wanted.0, wanted.1
        ),
    )
    .details(written_by(view, &format!("{kind} {name}")));
    if again > 1 {
        cause = cause.detail(format!("the controller has set these weights {again} times"));
    }
    Some(cause.remedy(remedy(&router.kind)).next(show(view, router)))
}

/// The weights every router should carry: those of this decision, else those of the status.
fn wanted(view: &View<'_>) -> Option<(i32, i32)> {
    let planned = view.plan.actions().find_map(|action| match action {
        Action::SetTraffic { wanted, .. } => Some((wanted.canary_weight, wanted.stable_weight)),
        _ => None,
    });
    let recorded = |weights: &TrafficWeights| (weights.canary.weight, weights.stable.weight);
    planned.or_else(|| view.status().canary.weights.as_ref().map(recorded))
}

/// How often the controllers have told of writing these very weights.
fn updates(view: &View<'_>) -> i64 {
    let weight = view.status().canary.weights.as_ref().map_or(0, |weights| weights.canary.weight);
    let told = format!("desiredWeight '{weight}'");
    let events = view.scene.evidence.events.iter();
    events.filter(|event| event.message.ends_with(&told)).map(|event| event.count).sum()
}

fn remedy(kind: &RouterKind) -> &'static str {
    match kind {
        RouterKind::Istio => {
            "leave the weights out of what applies the VirtualService (GitOps: ignore spec.http[].route[].weight)"
        }
        RouterKind::Nginx => "leave the canary Ingress to the controller: it belongs to the Rollout",
        RouterKind::Alb => {
            "leave the annotations actions.<service> and managed-alb-annotations to the controller"
        }
        _ => {
            "leave the weights out of what applies the route (GitOps: ignore spec.rules[].backendRefs[].weight)"
        }
    }
}

fn show(view: &View<'_>, router: &RouterObservation) -> Command {
    let object = router.objects.first().map_or("", String::as_str);
    let (kind, place) = object.split_once(' ').unwrap_or((object, ""));
    let (namespace, name) = place.split_once('/').unwrap_or((view.namespace(), place));
    let words = format!("get {} {name} -o yaml --show-managed-fields", kind.to_lowercase());
    Command::kubectl(namespace, words.trim(), "see what it carries, and who owns which field")
}

/// Who else wrote an object, the latest first.
pub(crate) fn written_by(view: &View<'_>, object: &str) -> Vec<String> {
    let writers = view.scene.evidence.writers.iter().filter(|writer| writer.object == object);
    let text = |writer: &crate::scene::Writer| match writer.at {
        Some(at) => format!("{:?} wrote it last at {at}", writer.manager),
        None => format!("{:?} wrote it", writer.manager),
    };
    writers.take(1).map(text).collect()
}

/// Without a router the share is made of pods, and few pods make coarse shares.
fn share_by_pods(view: &View<'_>) -> Option<Cause> {
    let rollout = view.rollout();
    let canary = rollout.canary()?;
    if canary.traffic_routing.is_some() || !view.is_updating() || view.status().abort {
        return None;
    }
    let index = usize::try_from(view.status().current_step_index?).ok()?;
    let reached = canary.steps.get(..=index.min(canary.steps.len().checked_sub(1)?))?;
    let weight = reached.iter().rev().find_map(|step| step.set_weight)?;
    let (new, stable) = (view.set(&view.status().current_pod_hash)?, view.set(&view.status().stable_rs)?);
    // While pods are on their way, the share is too.
    if [new, stable].into_iter().any(|set| set.status.available_replicas != set.replicas()) {
        return None;
    }
    let (new, stable) = (new.replicas(), stable.replicas());
    let total = new + stable;
    if total == 0 {
        return None;
    }
    let share = 100 * new / total;
    (share - weight).abs().gt(&5).then(|| {
        Cause::new(
            "share-made-of-pods",
            format!("the step asks for {weight} %, but {new} of {total} available pods are new: {share} % of the traffic"),
        )
        .detail("the Rollout has no trafficRouting, so the share is the share of pods behind the Service")
        .remedy(format!(
            "use trafficRouting, or so many replicas that {weight} % is a whole number of pods"
        ))
    })
}
