//! Which other objects an object names: what must be gathered for its decision, and what wakes it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use glidepath_api::{AnalysisTemplateRef, Experiment, Rollout, RolloutAnalysis};
use glidepath_core::rollout::workload::{self, WorkloadKind};

use crate::object::ObjectKey;
use crate::queue::WorkKey;
use crate::resource::Kind;
use crate::routers;

/// An object named by another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace and name.
    pub key: ObjectKey,
}

/// Names of the Services a Rollout refers to.
#[must_use]
pub fn service_names(rollout: &Rollout) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    if let Some(blue_green) = &rollout.spec.strategy.blue_green {
        names.insert(blue_green.active_service.clone());
        names.insert(blue_green.preview_service.clone());
    }
    if let Some(canary) = &rollout.spec.strategy.canary {
        names.insert(canary.canary_service.clone());
        names.insert(canary.stable_service.clone());
        if let Some(ping_pong) = &canary.ping_pong {
            names.insert(ping_pong.ping_service.clone());
            names.insert(ping_pong.pong_service.clone());
        }
        if let Some(alb) = canary.traffic_routing.as_ref().and_then(|routing| routing.alb.as_ref()) {
            names.insert(alb.root_service.clone());
        }
    }
    names.remove("");
    names
}

/// The analysis templates a Rollout refers to, at any step and in either strategy.
#[must_use]
pub fn rollout_templates(rollout: &Rollout) -> Vec<AnalysisTemplateRef> {
    let mut found: Vec<AnalysisTemplateRef> = Vec::new();
    let mut take = |analysis: Option<&RolloutAnalysis>| {
        found.extend(analysis.into_iter().flat_map(|analysis| analysis.templates.iter().cloned()));
    };
    if let Some(blue_green) = &rollout.spec.strategy.blue_green {
        take(blue_green.pre_promotion_analysis.as_ref());
        take(blue_green.post_promotion_analysis.as_ref());
    }
    let Some(canary) = &rollout.spec.strategy.canary else { return found };
    take(canary.analysis.as_ref().map(|background| &background.analysis));
    for step in &canary.steps {
        take(step.analysis.as_ref());
    }
    for experiment in canary.steps.iter().filter_map(|step| step.experiment.as_ref()) {
        found.extend(experiment.analyses.iter().map(|analysis| AnalysisTemplateRef {
            template_name: analysis.template_name.clone(),
            cluster_scope: analysis.cluster_scope,
        }));
    }
    found
}

/// The analysis templates an Experiment refers to.
#[must_use]
pub fn experiment_templates(experiment: &Experiment) -> Vec<AnalysisTemplateRef> {
    let analyses = experiment.spec.analyses.iter();
    analyses
        .map(|analysis| AnalysisTemplateRef {
            template_name: analysis.template_name.clone(),
            cluster_scope: analysis.cluster_scope,
        })
        .collect()
}

/// The routers' objects a Rollout refers to, as far as this controller can drive them.
#[must_use]
pub fn router_objects(rollout: &Rollout) -> Vec<Reference> {
    glidepath_traffic::routers(rollout)
        .iter()
        .flat_map(|(_, objects)| objects.iter().map(routers::reference))
        .collect()
}

/// The cache that holds workloads of a kind.
#[must_use]
pub const fn workload_cache(kind: WorkloadKind) -> Kind {
    match kind {
        WorkloadKind::Deployment => Kind::Deployment,
        WorkloadKind::ReplicaSet => Kind::PlainReplicaSet,
        WorkloadKind::PodTemplate => Kind::PodTemplate,
    }
}

/// The workload a Rollout takes its template from, and the Deployment it takes over from.
#[must_use]
pub fn workloads(rollout: &Rollout) -> Vec<Reference> {
    let Some(reference) = &rollout.spec.workload_ref else { return Vec::new() };
    let template = WorkloadKind::of(reference).map(workload_cache);
    let scaled = workload::scales_down(reference).then_some(Kind::Deployment);
    let key = ObjectKey::new(&rollout.metadata.namespace, &reference.name);
    let mut kinds: Vec<Kind> = template.into_iter().chain(scaled).collect();
    kinds.dedup();
    kinds.into_iter().map(|kind| Reference { kind, key: key.clone() }).collect()
}

/// Who refers to what, so that a change of the one wakes the other.
#[derive(Default)]
pub struct ReferenceIndex {
    inner: Mutex<Index>,
}

#[derive(Default)]
struct Index {
    by_target: HashMap<Reference, BTreeSet<WorkKey>>,
    by_source: BTreeMap<WorkKey, Vec<Reference>>,
    // Kinds that matter although nobody refers to an object of theirs.
    marked: BTreeSet<Kind>,
}

impl ReferenceIndex {
    /// Replaces what `source` refers to, and says what it no longer refers to.
    pub fn set(&self, source: &WorkKey, mut targets: Vec<Reference>) -> Vec<Reference> {
        targets.sort_unstable();
        targets.dedup();
        let mut index = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let before = index.by_source.remove(source).unwrap_or_default();
        if before == targets {
            if !targets.is_empty() {
                index.by_source.insert(source.clone(), targets);
            }
            return Vec::new();
        }
        for target in &before {
            if let Some(sources) = index.by_target.get_mut(target) {
                sources.remove(source);
                if sources.is_empty() {
                    index.by_target.remove(target);
                }
            }
        }
        for target in &targets {
            index.by_target.entry(target.clone()).or_default().insert(source.clone());
        }
        let dropped = before.into_iter().filter(|target| targets.binary_search(target).is_err()).collect();
        if !targets.is_empty() {
            index.by_source.insert(source.clone(), targets);
        }
        dropped
    }

    /// Who refers to an object.
    #[must_use]
    pub fn sources(&self, target: &Reference) -> Vec<WorkKey> {
        let index = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        index.by_target.get(target).into_iter().flatten().cloned().collect()
    }

    /// Whether anybody refers to an object of a kind, or some object of it bears the mark of a Rollout.
    #[must_use]
    pub fn mentions(&self, kind: Kind) -> bool {
        let index = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        index.marked.contains(&kind) || index.by_target.keys().any(|target| target.kind == kind)
    }

    /// Notes that an object of a kind bears the mark of a Rollout.
    pub fn mark(&self, kind: Kind) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).marked.insert(kind);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::Controller;
    use serde_json::json;

    fn rollout(strategy: serde_json::Value) -> Rollout {
        serde_json::from_value(
            json!({"metadata": {"name": "web", "namespace": "n"}, "spec": {"strategy": strategy}}),
        )
        .unwrap()
    }

    #[test]
    fn every_service_a_strategy_names_is_found_once() {
        for (strategy, want) in [
            (json!({"blueGreen": {"activeService": "a", "previewService": "p"}}), vec!["a", "p"]),
            (json!({"blueGreen": {"activeService": "a"}}), vec!["a"]),
            (json!({"canary": {"canaryService": "c", "stableService": "s"}}), vec!["c", "s"]),
            (json!({"canary": {"pingPong": {"pingService": "i", "pongService": "o"}}}), vec!["i", "o"]),
            (json!({"canary": {}}), vec![]),
        ] {
            assert_eq!(service_names(&rollout(strategy)).into_iter().collect::<Vec<_>>(), want);
        }
    }

    #[test]
    fn router_objects_are_found_in_their_namespaces() {
        let routing = json!({"istio": {"virtualServices": [{"name": "a"}, {"name": "b.other"}], "destinationRule": {"name": "d"}},
            "plugins": {"argoproj-labs/gatewayAPI": {"httpRoute": "h", "namespace": "gw", "httpRoutes": [{"name": "i"}]}}});
        let found = router_objects(&rollout(json!({"canary": {"trafficRouting": routing}})));
        let texts: Vec<String> =
            found.iter().map(|found| format!("{} {}", found.kind.name(), found.key)).collect();
        assert_eq!(
            texts,
            [
                "VirtualService n/a",
                "VirtualService other/b",
                "DestinationRule n/d",
                "HTTPRoute gw/i",
                "HTTPRoute gw/h"
            ]
        );
    }

    #[test]
    fn a_workload_is_found_and_the_deployment_that_is_scaled_down_r_570_r_574() {
        for (reference, want) in [
            (
                json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "w", "scaleDown": "onsuccess"}),
                vec!["Deployment n/w"],
            ),
            (json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "w"}), vec!["ReplicaSet n/w"]),
            (
                json!({"apiVersion": "v1", "kind": "PodTemplate", "name": "w", "scaleDown": "progressively"}),
                vec!["PodTemplate n/w", "Deployment n/w"],
            ),
            (
                json!({"apiVersion": "v1", "kind": "PodTemplate", "name": "w", "scaleDown": "never"}),
                vec!["PodTemplate n/w"],
            ),
            (json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "w"}), vec![]),
        ] {
            let mut rollout = rollout(json!({"canary": {}}));
            rollout.spec.workload_ref = serde_json::from_value(reference).unwrap();
            let found: Vec<String> = workloads(&rollout)
                .iter()
                .map(|found| format!("{} {}", found.kind.name(), found.key))
                .collect();
            assert_eq!(found, want);
        }
    }

    #[test]
    fn templates_are_found_in_steps_background_and_experiments() {
        let found = rollout_templates(&rollout(json!({"canary": {
            "analysis": {"templates": [{"templateName": "background"}]},
            "steps": [{"analysis": {"templates": [{"templateName": "step", "clusterScope": true}]}},
                {"experiment": {"templates": [], "analyses": [{"name": "x", "templateName": "experiment"}]}}]}})));
        let names: Vec<(&str, bool)> =
            found.iter().map(|found| (found.template_name.as_str(), found.is_cluster_scope())).collect();
        assert_eq!(names, [("background", false), ("step", true), ("experiment", false)]);
    }

    #[test]
    fn the_index_follows_what_a_rollout_names_and_reports_what_it_dropped_r_290_r_745() {
        let index = ReferenceIndex::default();
        let source = WorkKey { controller: Controller::Rollouts, object: ObjectKey::new("n", "web") };
        let service = |name: &str| Reference { kind: Kind::Service, key: ObjectKey::new("n", name) };
        assert!(index.set(&source, vec![service("a"), service("b")]).is_empty());
        assert_eq!(index.sources(&service("a")), std::slice::from_ref(&source));
        assert_eq!(index.set(&source, vec![service("b")]), [service("a")]);
        assert!(index.sources(&service("a")).is_empty());
        assert!(index.mentions(Kind::Service));
        assert_eq!(index.set(&source, vec![]), [service("b")]);
        assert!(!index.mentions(Kind::Service));
    }
}
