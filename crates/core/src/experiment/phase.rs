//! The phase of an Experiment, from its templates and its analyses.

use glidepath_api::{AnalysisPhase, TemplateStatusCode};

use super::conditions;
use super::round::{Round, required_succeeded};
use crate::plan::EventType;

/// Warning for everything that is not good news.
pub(super) fn event_type(phase: AnalysisPhase) -> EventType {
    if phase.completed() && phase != AnalysisPhase::Successful {
        EventType::Warning
    } else {
        EventType::Normal
    }
}

/// From best to worst.
fn severity(status: Option<&TemplateStatusCode>) -> usize {
    match status {
        Some(TemplateStatusCode::Running) => 1,
        Some(TemplateStatusCode::Progressing) => 2,
        Some(TemplateStatusCode::Error) => 3,
        Some(TemplateStatusCode::Failed) => 4,
        _ => 0,
    }
}

impl Round<'_> {
    /// Sets the phase, `availableAt` and the conditions, and reports a change of phase.
    pub(super) fn assess(&mut self) {
        let before = self.status.phase;
        match before {
            None => self.status.phase = Some(AnalysisPhase::Pending),
            Some(phase) if phase.completed() => {}
            Some(_) => self.assess_open(),
        }
        conditions::update(self);
        if let Some(phase) = self.status.phase.filter(|phase| before != Some(*phase)) {
            let was = before.map_or("", AnalysisPhase::as_str);
            let text = format!("Experiment transitioned from {was} -> {phase}");
            self.emit(event_type(phase), &format!("Experiment{phase}"), text);
            if phase == AnalysisPhase::Successful {
                self.report_unfinished_analyses();
            }
        }
    }

    fn assess_open(&mut self) {
        let (templates, template_message) = self.worst_template();
        let (analyses, analysis_message) = self.worst_analysis();
        if templates == AnalysisPhase::Running && self.status.available_at.is_none() {
            self.status.available_at = Some(self.moment());
        }
        let experiment = self.experiment();
        let any_required = experiment.spec.analyses.iter().any(|analysis| analysis.required_for_completion);
        let by_analyses = if templates.completed() {
            templates == AnalysisPhase::Successful && (analyses.completed() || any_required)
        } else {
            (analyses.completed() && analyses != AnalysisPhase::Successful)
                || required_succeeded(experiment, &self.status)
        };
        let (phase, message) =
            if by_analyses { (analyses, analysis_message) } else { (templates, template_message) };
        self.status.phase = Some(phase);
        self.status.message = message;
    }

    fn worst_template(&self) -> (AnalysisPhase, String) {
        let mut worst = (Some(TemplateStatusCode::Successful), String::new());
        for template in &self.experiment().spec.templates {
            let status = self.status.template_statuses.iter().find(|status| status.name == template.name);
            let code = status.and_then(|status| status.status.clone());
            if severity(code.as_ref()) > severity(worst.0.as_ref()) {
                worst = (code, status.map(|status| status.message.clone()).unwrap_or_default());
            }
        }
        let phase = match worst.0 {
            Some(TemplateStatusCode::Progressing) => AnalysisPhase::Pending,
            Some(TemplateStatusCode::Failed) => AnalysisPhase::Failed,
            Some(TemplateStatusCode::Error) => AnalysisPhase::Error,
            Some(TemplateStatusCode::Successful) => AnalysisPhase::Successful,
            _ => AnalysisPhase::Running,
        };
        (phase, worst.1)
    }

    /// Once all required analyses have succeeded, others that still run do not matter (B-10); those that went wrong
    /// do.
    fn worst_analysis(&self) -> (AnalysisPhase, String) {
        let mut worst = (AnalysisPhase::Successful, String::new());
        for analysis in &self.experiment().spec.analyses {
            let entry = self.status.analysis_runs.iter().find(|run| run.name == analysis.name);
            let Some((entry, phase)) = entry.and_then(|entry| Some((entry, entry.phase?))) else { continue };
            if phase.is_worse_than(worst.0) {
                worst = (phase, entry.message.clone());
            }
        }
        let is_bad = worst.0.completed() && worst.0 != AnalysisPhase::Successful;
        if !is_bad && required_succeeded(self.experiment(), &self.status) {
            return (AnalysisPhase::Successful, "Required AnalysisRuns completed".to_owned());
        }
        if worst.0 == AnalysisPhase::Pending {
            worst.0 = AnalysisPhase::Running;
        }
        worst
    }

    /// An analysis that nobody required and that has not ended may still find something (B-14).
    fn report_unfinished_analyses(&mut self) {
        let open: Vec<String> = self
            .status
            .analysis_runs
            .iter()
            .filter(|run| !run.analysis_run.is_empty() && !run.phase.is_some_and(AnalysisPhase::completed))
            .map(|run| format!("{} ({})", run.name, run.analysis_run))
            .collect();
        for run in open {
            let text = format!(
                "Analysis {run} has not completed and is not requiredForCompletion: its outcome is ignored"
            );
            self.emit(EventType::Warning, "AnalysisRunUnfinished", text);
        }
    }
}
