//! The AnalysisRun object: its name, labels, owner, and what happens when the name is taken.

use std::collections::BTreeMap;

use glidepath_api::{
    AnalysisRun, AnalysisRunMetadata, AnalysisRunSpec, ObjectMeta, OwnerReference, Rollout, RolloutAnalysis,
    names,
};
use serde_json::Value;

use super::arguments::{PodHashes, resolve_args};
use super::templates::{Catalog, build_run_spec, collect};
use crate::plan::Action;
use crate::snapshot::Failure;

/// What a Rollout starts a run for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunRole {
    /// Beside the steps of a canary.
    Background,
    /// In the analysis step with this index.
    Step(i32),
    /// Before the active Service is switched.
    PrePromotion,
    /// After it was switched.
    PostPromotion,
}

impl RunRole {
    fn infix(self) -> Option<String> {
        match self {
            Self::Background => None,
            Self::Step(index) => Some(index.to_string()),
            Self::PrePromotion => Some("pre".to_owned()),
            Self::PostPromotion => Some("post".to_owned()),
        }
    }

    /// Value of the label `rollout-type`.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Background => names::ROLLOUT_TYPE_BACKGROUND,
            Self::Step(_) => names::ROLLOUT_TYPE_STEP,
            Self::PrePromotion => names::ROLLOUT_TYPE_PRE_PROMOTION,
            Self::PostPromotion => names::ROLLOUT_TYPE_POST_PROMOTION,
        }
    }
}

/// The run a Rollout starts for one of its analyses. Its name may be taken: see [`place_run`].
///
/// `rollout_json` is the Rollout as stored (for `fieldRef`); the hashes are those of the new and the stable
/// ReplicaSet.
///
/// # Errors
/// When there is no new hash, a template is missing, or templates and arguments do not fit together.
pub fn build_rollout_run(
    rollout: &Rollout,
    rollout_json: &Value,
    analysis: &RolloutAnalysis,
    role: RunRole,
    hashes: PodHashes<'_>,
    catalog: Catalog<'_>,
) -> Result<AnalysisRun, String> {
    if hashes.latest.is_empty() {
        return Err("the latest ReplicaSet has no pod hash in its labels".to_owned());
    }
    let args = resolve_args(&analysis.args, rollout_json, hashes)?;
    let collected = collect(&analysis.templates, catalog).map_err(|error| error.to_string())?;
    let spec = build_run_spec(&collected, &args, &analysis.dry_run, &analysis.measurement_retention)?;
    let metadata = &rollout.metadata;
    let revision = metadata.annotation(names::REVISION).unwrap_or_default();
    let mut name = format!("{}-{}-{revision}", metadata.name, hashes.latest);
    if let Some(infix) = role.infix() {
        name = format!("{name}-{infix}");
    }
    Ok(build_run(
        ObjectMeta {
            labels: rollout_run_labels(rollout, analysis, role, hashes.latest),
            annotations: overlay(
                [(names::REVISION.to_owned(), revision.to_owned())].into(),
                analysis.analysis_run_metadata.as_ref().map(|extra| &extra.annotations),
            ),
            ..ObjectMeta::named(&metadata.namespace, &name)
        },
        OwnerReference::controller(names::API_VERSION, names::KIND_ROLLOUT, &metadata.name, &metadata.uid),
        spec,
    ))
}

/// Labels in the order in which they overrule each other: the role's, the user's, the selector's.
fn rollout_run_labels(
    rollout: &Rollout,
    analysis: &RolloutAnalysis,
    role: RunRole,
    hash: &str,
) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::from([
        (names::ROLLOUT_TYPE.to_owned(), role.label().to_owned()),
        (names::POD_TEMPLATE_HASH.to_owned(), hash.to_owned()),
    ]);
    if let RunRole::Step(index) = role {
        labels.insert(names::STEP_INDEX.to_owned(), index.to_string());
    }
    if let Some(instance) = rollout.metadata.label(names::INSTANCE_ID).filter(|id| !id.is_empty()) {
        labels.insert(names::INSTANCE_ID.to_owned(), instance.to_owned());
    }
    let labels = overlay(labels, analysis.analysis_run_metadata.as_ref().map(|extra| &extra.labels));
    overlay(labels, rollout.spec.selector.as_ref().map(|selector| &selector.match_labels))
}

/// The run an Experiment starts: `<experiment>-<analysis>`.
#[must_use]
pub fn build_experiment_run(
    experiment: &ObjectMeta,
    analysis_name: &str,
    metadata: &AnalysisRunMetadata,
    spec: AnalysisRunSpec,
) -> AnalysisRun {
    let instance = experiment.label(names::INSTANCE_ID).filter(|id| !id.is_empty());
    let labels = instance.map(|id| (names::INSTANCE_ID.to_owned(), id.to_owned())).into_iter().collect();
    build_run(
        ObjectMeta {
            labels: overlay(labels, Some(&metadata.labels)),
            annotations: metadata.annotations.clone(),
            ..ObjectMeta::named(&experiment.namespace, &format!("{}-{analysis_name}", experiment.name))
        },
        OwnerReference::controller(
            names::API_VERSION,
            names::KIND_EXPERIMENT,
            &experiment.name,
            &experiment.uid,
        ),
        spec,
    )
}

fn build_run(metadata: ObjectMeta, owner: OwnerReference, spec: AnalysisRunSpec) -> AnalysisRun {
    AnalysisRun {
        api_version: names::API_VERSION.to_owned(),
        kind: names::KIND_ANALYSIS_RUN.to_owned(),
        metadata: ObjectMeta { owner_references: vec![owner], ..metadata },
        spec,
        ..AnalysisRun::default()
    }
}

fn overlay(
    mut base: BTreeMap<String, String>,
    over: Option<&BTreeMap<String, String>>,
) -> BTreeMap<String, String> {
    base.extend(over.into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())));
    base
}

/// Where a new run goes.
#[derive(Clone, Debug, PartialEq)]
pub enum Placement {
    /// A run of the same content is already under way under this name: it is the one.
    Adopt(String),
    /// Create the run under the name it now has.
    Create(AnalysisRun),
}

impl Placement {
    /// Name of the run.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Adopt(name) => name,
            Self::Create(run) => &run.metadata.name,
        }
    }

    /// The action that brings the run about, if one is needed.
    ///
    /// # Errors
    /// When the run cannot be written as JSON, which no run that was read from JSON can cause.
    pub fn into_action(self) -> Result<Option<Action>, String> {
        match self {
            Self::Adopt(_) => Ok(None),
            Self::Create(run) => {
                let name = run.metadata.name.clone();
                let object = serde_json::to_value(run).map_err(|error| error.to_string())?;
                Ok(Some(Action::CreateAnalysisRun { name, object }))
            }
        }
    }
}

/// Finds the name for a run: the first of `<base>`, `<base>.1`, `<base>.2`, … that is free, or that of an equal
/// run which is not completed and has the same controller.
///
/// `known` are the runs in the snapshot; a run of somebody else shows itself only when creating fails, and
/// arrives in `failures`.
#[must_use]
pub fn place_run(mut run: AnalysisRun, known: &[AnalysisRun], failures: &[Failure]) -> Placement {
    let base = run.metadata.name.clone();
    let owner = run.metadata.controller_of().map(|owner| owner.uid.clone()).unwrap_or_default();
    let is_same = |existing: &AnalysisRun| {
        // One that was told to stop ends well whatever it measured: it is no evidence (invariant 6).
        !existing.status.phase.is_some_and(glidepath_api::AnalysisPhase::completed)
            && !existing.spec.terminate
            && is_semantically_equal(&existing.spec, &run.spec)
            && existing.metadata.is_controlled_by(&owner)
    };
    let (name, use_) = choose_name(&base, ".", "createAnalysisRun", failures, |name, existing| {
        match known.iter().find(|known| known.metadata.name == name) {
            Some(existing) if is_same(existing) => NameUse::Ours,
            Some(_) => NameUse::Taken,
            None => match existing.map(|object| serde_json::from_value(object.clone())) {
                Some(Ok(existing)) if is_same(&existing) => NameUse::Ours,
                Some(_) => NameUse::Taken,
                None => NameUse::Free,
            },
        }
    });
    if use_ == NameUse::Ours {
        return Placement::Adopt(name);
    }
    run.metadata.name = name;
    Placement::Create(run)
}

/// Whether a name can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameUse {
    /// Nothing has it.
    Free,
    /// The very object we would create has it.
    Ours,
    /// Something else has it.
    Taken,
}

/// The first of `<base>`, `<base><separator>1`, `<base><separator>2`, … that `judge` does not call taken.
///
/// `judge` sees each name and, when creating an object of that name failed in the previous round because it
/// exists, that object (`null` when it could not be read). A failure under a numbered name tells that the
/// earlier names were tried and taken in rounds before, which this round no longer sees.
pub fn choose_name(
    base: &str,
    separator: &str,
    verb: &str,
    failures: &[Failure],
    mut judge: impl FnMut(&str, Option<&Value>) -> NameUse,
) -> (String, NameUse) {
    let number = |name: &str| match name.strip_prefix(base)? {
        "" => Some(0),
        rest => rest.strip_prefix(separator)?.parse::<u32>().ok(),
    };
    let taken = |failure: &&Failure| failure.verb == verb && failure.reason == "AlreadyExists";
    let start =
        failures.iter().filter(taken).filter_map(|failure| number(&failure.object)).max().unwrap_or(0);
    let mut next = start;
    loop {
        let name = if next == 0 { base.to_owned() } else { format!("{base}{separator}{next}") };
        let in_the_way = failures
            .iter()
            .filter(taken)
            .find(|failure| failure.object == name)
            .map(|failure| failure.existing.as_ref().unwrap_or(&Value::Null));
        match judge(&name, in_the_way) {
            NameUse::Taken => next = next.saturating_add(1),
            found => return (name, found),
        }
    }
}

/// Whether two runs measure the same: metrics, rules and arguments alike.
#[must_use]
pub fn is_semantically_equal(left: &AnalysisRunSpec, right: &AnalysisRunSpec) -> bool {
    left.metrics == right.metrics
        && left.dry_run == right.dry_run
        && left.measurement_retention == right.measurement_retention
        && left.args == right.args
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use glidepath_api::{AnalysisRun, AnalysisTemplateSpec, Rollout, RolloutAnalysis};
    use serde_json::{Value, json};

    use super::super::arguments::PodHashes;
    use super::super::templates::Catalog;
    use super::{Placement, RunRole, build_rollout_run, place_run};
    use crate::snapshot::Failure;

    fn built(role: RunRole) -> AnalysisRun {
        let rollout = json!({
            "metadata": {"name": "web", "namespace": "shop", "uid": "r1",
                "annotations": {"rollout.argoproj.io/revision": "7"},
                "labels": {"argo-rollouts.argoproj.io/controller-instance-id": "blue"}},
            "spec": {"selector": {"matchLabels": {"app": "web"}}}
        });
        let typed: Rollout = serde_json::from_value(rollout.clone()).unwrap();
        let analysis: RolloutAnalysis = serde_json::from_value(json!({
            "templates": [{"templateName": "t"}],
            "args": [{"name": "hash", "valueFrom": {"podTemplateHashValue": "Latest"}}, {"name": "unknown", "value": "x"}],
            "analysisRunMetadata": {"labels": {"app": "overruled", "mine": "1"}, "annotations": {"note": "n"}}
        }))
        .unwrap();
        let namespaced: BTreeMap<String, AnalysisTemplateSpec> = serde_json::from_value(json!({
            "t": {"args": [{"name": "hash"}], "metrics": [{"name": "m", "provider": {"web": {"url": "{{args.hash}}"}}}]}
        }))
        .unwrap();
        let cluster = BTreeMap::new();
        let catalog = Catalog { namespaced: &namespaced, cluster: &cluster };
        let hashes = PodHashes { latest: "abc", stable: Some("old") };
        build_rollout_run(&typed, &rollout, &analysis, role, hashes, catalog).unwrap()
    }

    #[test]
    fn a_run_is_named_and_labelled_after_its_role_a190_a191() {
        for (role, name, label, step) in [
            (RunRole::Background, "web-abc-7", "Background", None),
            (RunRole::Step(2), "web-abc-7-2", "Step", Some("2")),
            (RunRole::PrePromotion, "web-abc-7-pre", "PrePromotion", None),
            (RunRole::PostPromotion, "web-abc-7-post", "PostPromotion", None),
        ] {
            let run = built(role);
            assert_eq!(run.metadata.name, name);
            assert_eq!(run.metadata.label("rollout-type"), Some(label));
            assert_eq!(run.metadata.label("step-index"), step);
        }
        let written = serde_json::to_value(built(RunRole::Step(2))).unwrap();
        assert_eq!(
            written["metadata"],
            json!({
                "name": "web-abc-7-2", "namespace": "shop",
                "labels": {"rollout-type": "Step", "rollouts-pod-template-hash": "abc", "step-index": "2",
                    "argo-rollouts.argoproj.io/controller-instance-id": "blue", "app": "web", "mine": "1"},
                "annotations": {"rollout.argoproj.io/revision": "7", "note": "n"},
                "ownerReferences": [{"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "web",
                    "uid": "r1", "controller": true, "blockOwnerDeletion": true}]
            })
        );
        assert_eq!(written["spec"]["args"], json!([{"name": "hash", "value": "abc"}]), "A-110");
        assert_eq!(written["spec"]["metrics"][0]["provider"]["web"]["url"], "{{args.hash}}", "A-020");
    }

    fn existing(name: &str, owner: &str, phase: &str, args: Value) -> AnalysisRun {
        let mut run = built(RunRole::Background);
        run.metadata.name = name.to_owned();
        run.metadata.owner_references[0].uid = owner.to_owned();
        run.status = serde_json::from_value(json!({"phase": phase})).unwrap();
        run.spec.args = serde_json::from_value(args).unwrap();
        run
    }

    fn refused(object: &str, existing: Option<&AnalysisRun>) -> Failure {
        Failure {
            verb: "createAnalysisRun".into(),
            object: object.into(),
            code: 409,
            reason: "AlreadyExists".into(),
            message: String::new(),
            existing: existing.map(|run| serde_json::to_value(run).unwrap()),
            at: jiff::Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_taken_name_is_adopted_or_numbered_a192() {
        let same = json!([{"name": "hash", "value": "abc"}]);
        let running = existing("web-abc-7", "r1", "Running", same.clone());
        let done = existing("web-abc-7", "r1", "Failed", same.clone());
        let other = existing("web-abc-7", "r1", "Running", json!([{"name": "hash", "value": "zzz"}]));
        let foreign = existing("web-abc-7", "r9", "Running", same.clone());
        let second = existing("web-abc-7.1", "r1", "", same);
        for (case, known, failures, adopt, name) in [
            ("free", vec![], vec![], false, "web-abc-7"),
            ("same and running", vec![running.clone()], vec![], true, "web-abc-7"),
            ("completed", vec![done.clone()], vec![], false, "web-abc-7.1"),
            ("other arguments", vec![other], vec![], false, "web-abc-7.1"),
            (
                "foreign, seen by failing",
                vec![],
                vec![refused("web-abc-7", Some(&foreign))],
                false,
                "web-abc-7.1",
            ),
            (
                "ours, the cache was late",
                vec![],
                vec![refused("web-abc-7", Some(&running))],
                true,
                "web-abc-7",
            ),
            ("unreadable", vec![], vec![refused("web-abc-7", None)], false, "web-abc-7.1"),
            (
                "second round of a collision",
                vec![],
                vec![refused("web-abc-7.1", Some(&foreign))],
                false,
                "web-abc-7.2",
            ),
            ("completed, its successor runs", vec![done, second], vec![], true, "web-abc-7.1"),
        ] {
            let placement = place_run(built(RunRole::Background), &known, &failures);
            assert_eq!(placement.name(), name, "{case}");
            assert_eq!(matches!(placement, Placement::Adopt(_)), adopt, "{case}");
        }
    }
}
