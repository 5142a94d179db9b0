//! Autoscalers and others that pull at the number of pods from another side.

use std::collections::BTreeSet;

use crate::cause::{Cause, Command};
use crate::explanation::View;
use crate::scene::Autoscaler;

/// Causes in autoscalers and in other writers of `spec.replicas`.
pub(crate) fn causes(view: &View<'_>) -> Vec<Cause> {
    let scalers = &view.scene.evidence.autoscalers;
    let mut causes: Vec<Cause> = scalers.iter().filter_map(|scaler| scaler_cause(view, scaler)).collect();
    causes.extend(several(view, scalers));
    causes.extend(other_writer(view, scalers));
    causes.extend(scaled_again(view));
    causes
}

fn show(view: &View<'_>, name: &str) -> Command {
    Command::kubectl(view.namespace(), &format!("describe hpa {name}"), "see what it aims at and why")
}

fn scaler_cause(view: &View<'_>, scaler: &Autoscaler) -> Option<Cause> {
    let Autoscaler { name, target_kind, target_name, .. } = scaler;
    if target_kind != "Rollout" {
        return Some(
            Cause::new(
                "autoscaler-conflict",
                format!(
                    "HorizontalPodAutoscaler {name} scales {target_kind} {target_name}, which this Rollout sizes itself"
                ),
            )
            .remedy(format!(
                "let its scaleTargetRef name Rollout {} (apiVersion argoproj.io/v1alpha1)",
                view.name()
            ))
            .next(show(view, name)),
        );
    }
    let problem = scaler.problem.as_ref()?;
    Some(
        Cause::new(
            "autoscaler-cannot-scale",
            format!("HorizontalPodAutoscaler {name} cannot scale the Rollout"),
        )
        .detail(problem.clone())
        .remedy("make its metrics available; until then the number of pods stays")
        .next(show(view, name)),
    )
}

fn several(view: &View<'_>, scalers: &[Autoscaler]) -> Option<Cause> {
    let aiming: Vec<&str> = scalers
        .iter()
        .filter(|scaler| scaler.target_kind == "Rollout")
        .map(|scaler| scaler.name.as_str())
        .collect();
    (aiming.len() > 1).then(|| {
        Cause::new(
            "autoscaler-conflict",
            format!(
                "{} autoscalers scale this Rollout against each other: {}",
                aiming.len(),
                aiming.join(", ")
            ),
        )
        .remedy("keep one of them")
        .next(show(view, aiming[0]))
    })
}

/// Something else than the autoscaler writes `spec.replicas`.
fn other_writer(view: &View<'_>, scalers: &[Autoscaler]) -> Option<Cause> {
    let scaler = scalers.iter().find(|scaler| scaler.target_kind == "Rollout")?;
    let object = format!("Rollout {}", view.name());
    let writers = view.scene.evidence.writers.iter();
    let writer = writers
        .filter(|writer| writer.object == object && writer.owns_replicas && writer.subresource != "scale")
        .max_by_key(|writer| writer.at)?;
    let wanted = view.rollout().replicas();
    // Only where the two disagree is there a conflict.
    (scaler.desired != 0 && scaler.desired != wanted).then(|| {
        Cause::new(
            "autoscaler-conflict",
            format!(
                "HorizontalPodAutoscaler {} asks for {} pods, but {:?} set spec.replicas to {wanted}",
                scaler.name, scaler.desired, writer.manager
            ),
        )
        .remedy("leave spec.replicas out of what applies the Rollout")
        .next(show(view, &scaler.name))
    })
}

/// The same ReplicaSet was scaled between the same sizes again and again: somebody sets it back.
fn scaled_again(view: &View<'_>) -> Option<Cause> {
    let names: BTreeSet<&str> =
        view.scene.snapshot.replica_sets.iter().map(|set| set.metadata.name.as_str()).collect();
    let events = view.scene.evidence.events.iter();
    let event = events
        .filter(|event| event.reason == "ScalingReplicaSet" && event.count >= 3)
        .find(|event| event.message.split(' ').any(|word| names.contains(word)))?;
    let name = event.message.split(' ').find(|word| names.contains(word))?;
    let words = format!("get replicaset {name} -o yaml --show-managed-fields");
    Some(
        Cause::new(
            "replicas-contested",
            format!(
                "something else keeps changing the size of ReplicaSet {name}: it was scaled {} times",
                event.count
            ),
        )
        .detail(event.message.clone())
        .remedy("stop what scales the ReplicaSet: another controller, an autoscaler, a script")
        .next(Command::kubectl(view.namespace(), &words, "see who owns spec.replicas")),
    )
}
