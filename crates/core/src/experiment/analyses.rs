//! Analyses of an Experiment: started when it is available, followed to their end.

use glidepath_api::{
    AnalysisPhase, AnalysisTemplateRef, Argument, ExperimentAnalysisRunStatus, ExperimentAnalysisTemplateRef,
    Time, names,
};
use glidepath_lang::placeholder::{TemplateIdentity, resolve_experiment_text};

use super::round::Round;
use crate::analysis::creation::{Placement, build_experiment_run, place_run};
use crate::analysis::templates::{Catalog, CollectError, Collected, build_run_spec, collect};
use crate::plan::{Action, Event, EventType};

impl<'a> Round<'a> {
    /// Starts, follows or ends one analysis.
    pub(super) fn reconcile_analysis(&mut self, analysis: &ExperimentAnalysisTemplateRef) {
        let stored = self.status.analysis_runs.iter().find(|run| run.name == analysis.name);
        let before = stored.cloned().unwrap_or_else(|| ExperimentAnalysisRunStatus {
            name: analysis.name.clone(),
            ..ExperimentAnalysisRunStatus::default()
        });
        let mut entry = before.clone();
        if !before.phase.is_some_and(AnalysisPhase::completed) {
            if self.experiment().status.available_at.is_none() {
                self.verify_template(analysis, &mut entry);
            } else if before.analysis_run.is_empty() {
                self.start(analysis, &mut entry);
            } else {
                self.follow(analysis, &mut entry);
            }
        }
        self.report_entry(&before, &entry);
        match self.status.analysis_runs.iter_mut().find(|known| known.name == entry.name) {
            Some(known) => *known = entry,
            None => self.status.analysis_runs.push(entry),
        }
    }

    fn collect(&self, analysis: &ExperimentAnalysisTemplateRef) -> Result<Collected<'a>, String> {
        let reference = AnalysisTemplateRef {
            template_name: analysis.template_name.clone(),
            cluster_scope: analysis.cluster_scope,
        };
        let catalog = Catalog {
            namespaced: &self.snapshot.analysis_templates,
            cluster: &self.snapshot.cluster_analysis_templates,
        };
        collect(&[reference], catalog).map_err(|error| match error {
            CollectError::Missing { id, .. } => {
                format!("{}.argoproj.io \"{}\" not found", id.kind().to_lowercase(), id.name)
            }
            cycle @ CollectError::Cycle { .. } => cycle.to_string(),
        })
    }

    /// Before the Experiment is available only the existence of templates matters.
    fn verify_template(
        &self,
        analysis: &ExperimentAnalysisTemplateRef,
        entry: &mut ExperimentAnalysisRunStatus,
    ) {
        let kind = if analysis.is_cluster_scope() { "ClusterAnalysisTemplate" } else { "AnalysisTemplate" };
        if let Err(error) = self.collect(analysis) {
            entry.phase = Some(AnalysisPhase::Error);
            entry.message = format!("{kind} verification failed for analysis '{}': {error}", analysis.name);
        }
    }

    fn start(&mut self, analysis: &ExperimentAnalysisTemplateRef, entry: &mut ExperimentAnalysisRunStatus) {
        if self.terminating {
            return;
        }
        match self.place(analysis).and_then(|placement| {
            let name = placement.name().to_owned();
            if let Some(refusal) =
                self.refusal("createAnalysisRun", &name).filter(|refusal| refusal.code != 409)
            {
                return Err(refusal.message.clone());
            }
            Ok((name, placement.into_action()?))
        }) {
            Ok((name, action)) => {
                if let Some(action) = action {
                    self.plan.push("start-analysis", action);
                }
                entry.phase = Some(AnalysisPhase::Pending);
                entry.analysis_run = name;
            }
            Err(error) => {
                entry.phase = Some(AnalysisPhase::Error);
                entry.message =
                    format!("Failed to create AnalysisRun for analysis '{}': {error}", analysis.name);
            }
        }
    }

    fn place(&self, analysis: &ExperimentAnalysisTemplateRef) -> Result<Placement, String> {
        let spec = &self.experiment().spec;
        let args = self.resolve_args(&analysis.args)?;
        let run_spec =
            build_run_spec(&self.collect(analysis)?, &args, &spec.dry_run, &spec.measurement_retention)?;
        let metadata = &self.experiment().metadata;
        let run = build_experiment_run(metadata, &analysis.name, &spec.analysis_run_metadata, run_spec);
        Ok(place_run(run, &self.snapshot.analysis_runs, &self.snapshot.failures))
    }

    /// Arguments may name templates and times of this Experiment; sources are discarded, as in the reference.
    fn resolve_args(&self, args: &[Argument]) -> Result<Vec<Argument>, String> {
        let experiment = self.experiment();
        let available = experiment.status.available_at.map(|time| time.to_string());
        let end = self.ends_at(&experiment.status).map(|end| Time::new(end).to_string());
        let templates: Vec<TemplateIdentity> = experiment
            .spec
            .templates
            .iter()
            .filter_map(|template| {
                let set = self.set_of(&template.name)?;
                Some(TemplateIdentity {
                    name: template.name.clone(),
                    pod_hash: set.pod_hash().to_owned(),
                    replica_set: set.metadata.name.clone(),
                })
            })
            .collect();
        let fill = |text: &String| {
            resolve_experiment_text(text, &templates, available.as_deref(), end.as_deref())
                .map_err(|error| error.to_string())
        };
        args.iter()
            .map(|arg| {
                let value = arg.value.as_ref().map(fill).transpose()?;
                Ok(Argument { name: arg.name.clone(), value, value_from: None })
            })
            .collect()
    }

    /// Copies what became of the run. While terminating too: the reference stops looking then and may never end
    /// (A-578, B-10).
    fn follow(&mut self, analysis: &ExperimentAnalysisTemplateRef, entry: &mut ExperimentAnalysisRunStatus) {
        let Some(run) =
            self.snapshot.analysis_runs.iter().find(|run| run.metadata.name == entry.analysis_run)
        else {
            entry.phase = Some(AnalysisPhase::Error);
            entry.message = format!("analysisruns.argoproj.io \"{}\" not found", entry.analysis_run);
            return;
        };
        let completed = run.status.phase.is_some_and(AnalysisPhase::completed);
        if self.terminating && !completed && !run.spec.terminate {
            let name = entry.analysis_run.clone();
            self.emit(
                EventType::Normal,
                "AnalysisRunTerminating",
                format!("Terminating {} ({name})", analysis.name),
            );
            self.plan.push("end-analysis", Action::TerminateAnalysisRun { name });
        }
        // A run that has not begun says nothing yet; the entry stays Pending.
        if run.status.phase.is_some() {
            entry.phase = run.status.phase;
            entry.message.clone_from(&run.status.message);
        }
    }

    fn report_entry(&mut self, before: &ExperimentAnalysisRunStatus, entry: &ExperimentAnalysisRunStatus) {
        let Some(phase) = entry.phase.filter(|_| before.phase != entry.phase) else { return };
        let was = before.phase.map_or("", AnalysisPhase::as_str);
        let mut text = format!("AnalysisRun '{}' transitioned from {was} -> {phase}", entry.name);
        if !entry.message.is_empty() {
            text = format!("{text}: {}", entry.message);
        }
        let reason = format!("AnalysisRun{phase}");
        if let Some(rollout) =
            self.experiment().metadata.controller_of().filter(|owner| owner.kind == names::KIND_ROLLOUT)
        {
            // Always a warning there, whatever became of the analysis (O-433): notifications are subscribed to it.
            let event =
                Event { event_type: EventType::Warning, reason: reason.clone(), message: text.clone() };
            let (name, uid) = (rollout.name.clone(), rollout.uid.clone());
            self.plan.push("report", Action::EmitOnRollout { name, uid, event });
        }
        self.emit(super::phase::event_type(phase), &reason, text);
    }
}
