//! Experiments of a canary's steps.

use std::collections::BTreeSet;

use glidepath_api::cluster::ReplicaSet;
use glidepath_api::{
    AnalysisPhase, Experiment, ExperimentAnalysisTemplateRef, ExperimentSpec, ObjectMeta, PauseReason,
    RolloutExperimentStep, RolloutExperimentTemplate, SPEC_REF_CANARY, SPEC_REF_STABLE, TemplateService,
    TemplateSpec, names,
};
use serde_json::{Value, json};

use super::identity::owner_reference;
use super::pass::Pass;
use super::pause;
use super::replica_sets;
use super::spec::SpecView;
use crate::analysis::arguments::{PodHashes, resolve_args};
use crate::analysis::creation::{NameUse, choose_name};
use crate::plan::{Action, BlockerOwner};

impl Pass<'_> {
    fn current_experiment(&self) -> Option<&Experiment> {
        let name = &self.ro.status.canary.current_experiment;
        self.snap.experiments.iter().find(|known| !name.is_empty() && known.metadata.name == *name)
    }

    /// Whether the current experiment succeeded.
    pub(crate) fn experiment_succeeded(&self) -> bool {
        self.current_experiment().is_some_and(|known| known.status.phase == Some(AnalysisPhase::Successful))
    }

    /// The experiment stage of a pass.
    pub(crate) fn reconcile_experiments(&mut self) {
        if self.is_aborted() || self.ro.status.promote_full {
            self.end_experiments(None);
            return;
        }
        if pause::find(self.ro, &PauseReason::InconclusiveAnalysis).is_some() {
            self.status.canary.current_experiment.clone_from(&self.ro.status.canary.current_experiment);
            return;
        }
        let step = self.ro.current_step().and_then(|step| step.experiment.as_ref());
        let current = match step {
            None => None,
            Some(_) if self.sets.stable.is_none() => return,
            Some(step) => self.run_experiment(step),
        };
        self.end_experiments(current.as_deref());
    }

    /// Starts the step's experiment, or looks at how it goes; the name of the one that is current.
    fn run_experiment(&mut self, step: &RolloutExperimentStep) -> Option<String> {
        let resumed = self.ro.status.controller_pause && self.ro.status.pause_conditions.is_empty();
        let known = self
            .current_experiment()
            .map(|known| (known.metadata.name.clone(), known.status.phase, known.status.message.clone()));
        let current = match known {
            Some((_, Some(AnalysisPhase::Inconclusive), _)) if resumed => None,
            other => other,
        };
        let Some((name, phase, message)) = current else { return self.start_experiment(step) };
        match phase {
            Some(AnalysisPhase::Successful) => {}
            Some(AnalysisPhase::Error | AnalysisPhase::Failed) => {
                let mut cause = "Experiment analysis phase is error/failed".to_owned();
                if !message.is_empty() {
                    cause = format!("{cause}: {message}");
                }
                self.pause.abort(cause);
            }
            Some(AnalysisPhase::Inconclusive) => {
                // The reference is kept, or every pass would start another experiment (B-15).
                self.pause.add(PauseReason::InconclusiveExperiment);
                self.status.canary.current_experiment.clone_from(&name);
            }
            None | Some(AnalysisPhase::Pending | AnalysisPhase::Running) => {
                self.status.canary.current_experiment.clone_from(&name);
                self.block(
                    "experiment-running",
                    BlockerOwner::Analysis,
                    None,
                    format!("Experiment {name} to end"),
                );
            }
        }
        Some(name)
    }

    fn start_experiment(&mut self, step: &RolloutExperimentStep) -> Option<String> {
        let mut experiment = match self.build_experiment(step) {
            Ok(experiment) => experiment,
            Err(error) => {
                let retry = self.in_seconds(10);
                self.wake_by(retry);
                self.warn_while(
                    "ReconciliationError",
                    format!("Reconciliation failed with error: Experiment cannot be started: {error}"),
                );
                self.block(
                    "experiment-not-startable",
                    BlockerOwner::Person,
                    Some(retry),
                    format!("the experiment of the current step to be startable: {error}"),
                );
                return None;
            }
        };
        let base = experiment.metadata.name.clone();
        let wanted = serde_json::to_value(&experiment.spec).unwrap_or_default();
        let uid = &self.ro.metadata.uid;
        let is_ours = |known: &Experiment| {
            !known.status.phase.is_some_and(AnalysisPhase::completed)
                && known.metadata.is_controlled_by(uid)
                && serde_json::to_value(&known.spec).is_ok_and(|spec| spec == wanted)
        };
        let known = &self.snap.experiments;
        let (name, name_use) =
            choose_name(&base, "-", "createExperiment", &self.snap.failures, |name, existing| {
                let in_way: Option<Experiment> = known
                    .iter()
                    .find(|known| known.metadata.name == name)
                    .cloned()
                    .or_else(|| serde_json::from_value(existing?.clone()).ok());
                match (in_way, existing) {
                    (Some(known), _) if is_ours(&known) => NameUse::Ours,
                    (Some(_), _) | (None, Some(_)) => NameUse::Taken,
                    (None, None) => NameUse::Free,
                }
            });
        if name_use != NameUse::Ours {
            experiment.metadata.name.clone_from(&name);
            let object = serde_json::to_value(&experiment).unwrap_or_default();
            self.act("start-experiment", Action::CreateExperiment { name: name.clone(), object });
        }
        self.event("ExperimentCreated", format!("Created Experiment '{name}'"));
        self.status.canary.current_experiment.clone_from(&name);
        Some(name)
    }

    /// the experiment of a step.
    fn build_experiment(&self, step: &RolloutExperimentStep) -> Result<Experiment, String> {
        let meta = &self.ro.metadata;
        let hash = &self.identity.pod_hash;
        let index = self.ro.step_index().unwrap_or(0);
        let revision = self.revision.to_string();
        let mut labels = meta.labels.clone();
        labels.insert(names::POD_TEMPLATE_HASH.to_owned(), hash.clone());
        let templates =
            step.templates.iter().map(|template| self.build_template(template)).collect::<Result<_, _>>()?;
        let rollout_json = serde_json::to_value(self.ro).map_err(|error| error.to_string())?;
        let hashes = PodHashes {
            latest: replica_sets::hash(self.sets.new),
            stable: self.sets.stable.map(ReplicaSet::pod_hash),
        };
        let analyses = step
            .analyses
            .iter()
            .map(|analysis| {
                Ok(ExperimentAnalysisTemplateRef {
                    name: analysis.name.clone(),
                    template_name: analysis.template_name.clone(),
                    cluster_scope: analysis.cluster_scope,
                    args: resolve_args(&analysis.args, &rollout_json, hashes)?,
                    required_for_completion: analysis.required_for_completion,
                })
            })
            .collect::<Result<_, String>>()?;
        Ok(Experiment {
            api_version: names::API_VERSION.to_owned(),
            kind: names::KIND_EXPERIMENT.to_owned(),
            metadata: ObjectMeta {
                labels,
                annotations: [(names::REVISION.to_owned(), revision.clone())].into(),
                owner_references: vec![owner_reference(self.ro)],
                ..ObjectMeta::named(&meta.namespace, &format!("{}-{hash}-{revision}-{index}", meta.name))
            },
            spec: ExperimentSpec {
                templates,
                duration: step.duration.clone(),
                progress_deadline_seconds: self.ro.spec.progress_deadline_seconds,
                analyses,
                scale_down_delay_seconds: step.scale_down_delay_seconds,
                dry_run: step.dry_run.clone(),
                analysis_run_metadata: step.analysis_run_metadata.clone(),
                ..ExperimentSpec::default()
            },
            ..Experiment::default()
        })
    }

    fn build_template(&self, wanted: &RolloutExperimentTemplate) -> Result<TemplateSpec, String> {
        let set = match wanted.spec_ref.as_str() {
            SPEC_REF_CANARY => self.sets.new,
            SPEC_REF_STABLE => self.sets.stable,
            _ => return Err("Invalid template step SpecRef: must be canary or stable".to_owned()),
        };
        let set = set.ok_or_else(|| format!("there is no {} ReplicaSet", wanted.spec_ref))?;
        let mut template = set.spec.template.clone();
        let mut selector = wanted.selector.clone().or_else(|| set.spec.selector.clone()).unwrap_or_default();
        for (key, value) in &wanted.metadata.labels {
            set_string(&mut template, "labels", key, value);
            selector.match_labels.insert(key.clone(), value.clone());
        }
        for (key, value) in &wanted.metadata.annotations {
            set_string(&mut template, "annotations", key, value);
        }
        let named = wanted.service.as_ref().map(|service| service.name.clone()).unwrap_or_default();
        Ok(TemplateSpec {
            name: wanted.name.clone(),
            replicas: wanted.replicas,
            min_ready_seconds: set.spec.min_ready_seconds,
            selector: Some(selector),
            template,
            service: (wanted.weight.is_some() || wanted.service.is_some())
                .then_some(TemplateService { name: named }),
        })
    }

    /// experiments that are not current are stopped, and deleted once they are history.
    fn end_experiments(&mut self, current: Option<&str>) {
        let uid = &self.ro.metadata.uid;
        let others: Vec<&Experiment> = self
            .snap
            .experiments
            .iter()
            .filter(|known| {
                known.metadata.is_controlled_by(uid) && Some(known.metadata.name.as_str()) != current
            })
            .collect();
        let named: BTreeSet<&str> = [self.ro.status.canary.current_experiment.as_str()].into();
        let deletable: Vec<&Experiment> =
            others.iter().copied().filter(|known| !named.contains(known.metadata.name.as_str())).collect();
        for known in &others {
            let ended = known.status.phase.is_some_and(AnalysisPhase::completed);
            if !known.spec.terminate && !ended {
                let name = known.metadata.name.clone();
                self.act("terminate-experiment", Action::TerminateExperiment { name });
            }
        }
        for known in super::history::experiments_to_delete(self.ro, &deletable, &self.sets.all) {
            let (name, uid) = (known.metadata.name.clone(), known.metadata.uid.clone());
            self.act("delete-experiment", Action::DeleteExperiment { name, uid });
        }
    }
}

fn set_string(template: &mut Value, field: &str, key: &str, value: &str) {
    if !template.is_object() {
        *template = json!({});
    }
    template["metadata"][field][key] = json!(value);
}
