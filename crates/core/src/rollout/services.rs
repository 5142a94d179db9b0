//! Which ReplicaSet a Service selects.

use glidepath_api::Service;
use glidepath_api::cluster::ReplicaSet;
use glidepath_api::names;

use super::pass::Pass;
use super::replica_sets;
use super::spec::SpecView;
use crate::plan::{Action, BlockerOwner};

/// What must be true of a set before a Service is pointed at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// At least one pod is available; all of them when the Service is not ours yet.
    Checked,
    /// Nothing.
    Unchecked,
}

impl<'a> Pass<'a> {
    /// A Service the Rollout names, if it exists.
    pub(crate) fn service(&self, name: &str) -> Option<&'a Service> {
        self.snap.services.get(name)?.as_ref()
    }

    /// The Services by role: canary and stable, or active and preview. Ping and pong are not among them.
    pub(crate) fn role_services(&self) -> impl Iterator<Item = &'a Service> + use<'_, 'a> {
        let names = match (self.ro.blue_green(), self.ro.canary()) {
            (Some(strategy), _) => [strategy.active_service.as_str(), strategy.preview_service.as_str()],
            (None, Some(strategy)) => [strategy.canary_service.as_str(), strategy.stable_service.as_str()],
            (None, None) => ["", ""],
        };
        names.into_iter().filter_map(|name| self.service(name))
    }

    /// The hash a Service selects after this pass.
    pub(crate) fn selected_hash(&self, service: &Service) -> String {
        let name = &service.metadata.name;
        self.switched.get(name).cloned().unwrap_or_else(|| service.selected_hash().to_owned())
    }

    /// Points a Service at a hash unless it is there and ours already.
    pub(crate) fn switch_service(&mut self, service: &Service, hash: &str, reason: &str) {
        let from = service.selected_hash().to_owned();
        let adopt = service.metadata.annotation(names::MANAGED_BY).is_none();
        if from == hash && !adopt {
            return;
        }
        let name = service.metadata.name.clone();
        let message = format!("Switched selector for service '{name}' from '{from}' to '{hash}'");
        self.switched.insert(name.clone(), hash.to_owned());
        self.act(reason, Action::SwitchService { name, from, to: hash.to_owned(), adopt });
        self.event("SwitchService", message);
        self.out.must_observe = true;
    }

    /// Points a canary's Service at a set once the set can take its traffic.
    pub(crate) fn ensure_service_targets(
        &mut self,
        name: &str,
        set: Option<&ReplicaSet>,
        readiness: Readiness,
        reason: &str,
    ) {
        let (Some(set), Some(service)) = (set, self.service(name)) else { return };
        if service.selected_hash() == set.pod_hash() {
            return;
        }
        let available = set.status.available_replicas;
        let adopting = service.metadata.annotation(names::MANAGED_BY).is_none();
        let wanted = if adopting { set.replicas().max(1) } else { 1 };
        if readiness == Readiness::Checked && (available < wanted || (adopting && set.replicas() == 0)) {
            let set_name = replica_sets::name(Some(set));
            self.block(
                "service-target-not-available",
                BlockerOwner::Cluster,
                None,
                format!("ReplicaSet {set_name} to have {wanted} available pods (it has {available}) before Service {name} selects it"),
            );
            return;
        }
        self.switch_service(service, set.pod_hash(), reason);
    }

    /// The Services of a canary: stable, and the canary's own. One decision per pass: an aborted update
    /// points the canary Service straight at stable (B-21).
    pub(crate) fn reconcile_canary_services(&mut self) {
        let Some(canary) = self.ro.canary() else { return };
        self.reconcile_ping_pong();
        self.ensure_service_targets(
            &canary.stable_service,
            self.sets.stable,
            Readiness::Checked,
            "point-stable-service",
        );
        if self.is_aborted() && self.sets.stable.is_some() {
            let routed = self.ro.traffic_routing().is_some();
            if routed && self.ro.dynamic_stable_scale() && self.desired_abort_weight() != 0 {
                // The canary still serves its share while stable grows back.
                return;
            }
            let readiness = if routed { Readiness::Unchecked } else { Readiness::Checked };
            self.ensure_service_targets(
                &canary.canary_service,
                self.sets.stable,
                readiness,
                "point-canary-service-back",
            );
            return;
        }
        if self.dynamic_rollback_hash().is_some() {
            return;
        }
        self.ensure_service_targets(
            &canary.canary_service,
            self.sets.new,
            Readiness::Checked,
            "point-canary-service",
        );
    }

    /// Ping-pong: the canary's side selects the new set, and the stable side is pinned once (R-611, B-17).
    fn reconcile_ping_pong(&mut self) {
        let Some((canary, stable)) = self.ro.ping_pong_services() else { return };
        if self.ro.is_fully_promoted() {
            return;
        }
        self.ensure_service_targets(canary, self.sets.new, Readiness::Unchecked, "point-canary-side");
        if self.service(stable).is_some_and(|service| service.selected_hash().is_empty()) {
            self.ensure_service_targets(stable, self.sets.stable, Readiness::Checked, "pin-stable-side");
        }
    }
}
