//! What makes a spec unusable, and what happens then: InvalidSpec and nothing else.

use glidepath_api::validation::validate_rollout;
use glidepath_api::{RolloutAnalysis, names, rollout_condition as kinds};
use glidepath_gocompat::quote::quote;

use super::conditions;
use super::pass::Pass;
use crate::analysis::references::{ReferenceProblem, check_references};
use crate::analysis::templates::Catalog;
use crate::plan::BlockerOwner;

/// Seconds until an invalid spec is looked at again.
const RETRY_SECONDS: i64 = 20;

/// An error at a field, as the API machinery writes it.
fn invalid(path: &str, value: &str, detail: &str) -> String {
    format!("{path}: Invalid value: {}: {detail}", quote(value))
}

struct AnalysisReference<'a> {
    path: String,
    background: bool,
    analysis: &'a RolloutAnalysis,
}

impl<'a> Pass<'a> {
    /// The first thing wrong with the spec, in the order of section 4.
    pub(crate) fn find_invalid_spec(&self) -> Option<String> {
        if let Err(error) = validate_rollout(self.ro) {
            return Some(error.to_string());
        }
        let services = self.named_services();
        for (path, name) in &services {
            if matches!(self.snap.services.get(*name), None | Some(None)) {
                return Some(invalid(path, name, &format!("service {} not found", quote(name))));
            }
        }
        let problems = self.analysis_problems();
        let is_missing = |problem: &&(String, ReferenceProblem)| problem.1.detail.ends_with("not found");
        if let Some((path, problem)) = problems.iter().find(is_missing) {
            let path = if problem.nested { "spec.templates" } else { path };
            return Some(invalid(path, &problem.value, &problem.detail));
        }
        let router = self.snap.routers.iter().filter_map(|router| router.problem.as_ref());
        if let Some(problem) = router.filter(|problem| problem.invalid_spec).min_by_key(|_| 0) {
            return Some(invalid(&problem.field, &problem.value, &problem.detail));
        }
        for (path, name) in &services {
            if let Some(detail) = self.service_problem(name) {
                return Some(invalid(path, name, &detail));
            }
        }
        problems.first().map(|(path, problem)| invalid(path, &problem.value, &problem.detail))
    }

    /// Services in the order they are checked, with the field that names each.
    fn named_services(&self) -> Vec<(&'static str, &'a str)> {
        let mut named: Vec<(&'static str, &'a str)> = Vec::new();
        if let Some(strategy) = self.ro.blue_green() {
            named.push(("spec.strategy.blueGreen.activeService", &strategy.active_service));
            named.push(("spec.strategy.blueGreen.previewService", &strategy.preview_service));
        } else if let Some(strategy) = self.ro.canary() {
            named.push(("spec.strategy.canary.stableService", &strategy.stable_service));
            named.push(("spec.strategy.canary.canaryService", &strategy.canary_service));
            if let Some(pair) = &strategy.ping_pong {
                named.push(("spec.strategy.canary.pingPong.pingService", &pair.ping_service));
                named.push(("spec.strategy.canary.pingPong.pongService", &pair.pong_service));
            }
        }
        named.retain(|(_, name)| !name.is_empty());
        named
    }

    /// R-230d, R-230e.
    fn service_problem(&self, name: &str) -> Option<String> {
        let service = self.service(name)?;
        let label = |key: &str| {
            let labels = self.ro.spec.template.pointer("/metadata/labels")?;
            labels.get(key)?.as_str()
        };
        let unmatched = service
            .spec
            .selector
            .iter()
            .find(|(key, value)| *key != names::POD_TEMPLATE_HASH && label(key) != Some(value.as_str()));
        if let Some((key, _)) = unmatched {
            return Some(format!("Service {} has unmatch label {} in rollout", quote(name), quote(key)));
        }
        let manager = service.metadata.annotation(names::MANAGED_BY)?;
        (manager != self.ro.metadata.name)
            .then(|| format!("Service {} is managed by another Rollout", quote(name)))
    }

    fn analysis_references(&self) -> Vec<AnalysisReference<'a>> {
        let mut references = Vec::new();
        let mut push = |path: String, background: bool, analysis: Option<&'a RolloutAnalysis>| {
            if let Some(analysis) = analysis {
                references.push(AnalysisReference { path, background, analysis });
            }
        };
        if let Some(strategy) = self.ro.blue_green() {
            let path = |which: &str| format!("spec.strategy.blueGreen.{which}.templates");
            push(path("prePromotionAnalysis"), false, strategy.pre_promotion_analysis.as_ref());
            push(path("postPromotionAnalysis"), false, strategy.post_promotion_analysis.as_ref());
        } else if let Some(strategy) = self.ro.canary() {
            for (index, step) in strategy.steps.iter().enumerate() {
                let path = format!("spec.strategy.canary.steps[{index}].analysis.templates");
                push(path, false, step.analysis.as_ref());
            }
            let background = strategy.analysis.as_ref().map(|background| &background.analysis);
            push("spec.strategy.canary.analysis.templates".to_owned(), true, background);
        }
        references
    }

    /// R-230b, R-230f, R-230g.
    fn analysis_problems(&self) -> Vec<(String, ReferenceProblem)> {
        let references = self.analysis_references();
        if references.is_empty() {
            return Vec::new();
        }
        let catalog = Catalog {
            namespaced: &self.snap.analysis_templates,
            cluster: &self.snap.cluster_analysis_templates,
        };
        let rollout = serde_json::to_value(self.ro).unwrap_or_default();
        let inline: Vec<&RolloutAnalysis> = references
            .iter()
            .filter(|reference| !reference.background && self.ro.canary().is_some())
            .map(|reference| reference.analysis)
            .collect();
        references
            .iter()
            .filter_map(|reference| {
                let result =
                    check_references(reference.analysis, reference.background, &rollout, catalog, &inline);
                Some((reference.path.clone(), result.err()?))
            })
            .collect()
    }

    /// the condition says what is wrong, and nothing else happens.
    pub(crate) fn report_invalid_spec(&mut self, problem: &str) {
        let message = format!("The Rollout {} is invalid: {problem}", quote(&self.ro.metadata.name));
        let retry = self.in_seconds(RETRY_SECONDS);
        self.wake_by(retry);
        self.block("invalid-spec", BlockerOwner::Person, None, format!("a valid spec: {problem}"));
        let known = conditions::find(&self.ro.status, kinds::INVALID_SPEC);
        let observed = self.ro.status.observed_generation == self.ro.metadata.generation.to_string();
        if observed && known.is_some_and(|known| known.message == message) {
            return;
        }
        let mut status = self.ro.status.clone();
        if known.is_some_and(|known| known.message != message) {
            conditions::remove(&mut status, kinds::INVALID_SPEC);
        }
        conditions::set(
            &mut status,
            conditions::condition(kinds::INVALID_SPEC, "True", "InvalidSpec", &message, self.now),
        );
        self.persist_conditions(status);
    }
}
