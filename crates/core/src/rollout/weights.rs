//! Which share of the traffic the canary should have, and whether the routers carry it (R-420 to R-428, T-040 to T-058).

use glidepath_api::{AnalysisPhase, TrafficWeights, WeightDestination};

use super::pass::Pass;
use super::replica_sets;
use super::replicas::{DynamicAbort, dynamic_abort_weight, meets_threshold};
use super::spec::SpecView;
use super::steps;
use crate::plan::{Action, BlockerOwner};
use crate::traffic::{CarriedWeights, ManagedRoute, RouterObservation, WantedTraffic};

/// The share a situation calls for.
struct Desired {
    weight: i32,
    additional: Vec<WeightDestination>,
    /// Managed routes stay.
    keeps_routes: bool,
    /// Hash the canary's side selects.
    canary_hash: String,
}

/// Whether a stage let the pass go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    Continue,
    /// Only the status may follow: nothing is scaled and nothing promoted.
    StatusOnly,
    /// The rest of the pass must not happen, the status write included.
    Stop,
}

impl Pass<'_> {
    /// The traffic stage of a canary pass.
    pub(crate) fn reconcile_traffic(&mut self) -> Flow {
        let Some(routing) = self.ro.traffic_routing() else {
            self.status.canary.weights = None;
            return Flow::Continue;
        };
        if self.snap.routers.is_empty() {
            self.status.canary.weights = None;
            return Flow::Continue;
        }
        if self.report_unusable_router() {
            return Flow::Stop;
        }
        self.report_refused_traffic();
        let desired = self.desired_traffic();
        if !self.stable_can_take(self.ro.max_weight() - desired.weight) {
            return Flow::Continue;
        }
        let managed = routing.managed_routes.iter().map(|route| route.name.clone()).collect();
        let wanted = self.wanted_traffic(desired, managed);
        self.record_weights(&wanted)
    }

    /// A router whose objects cannot be used ends the pass: nothing is scaled while traffic cannot move.
    fn report_unusable_router(&mut self) -> bool {
        let Some((problem, kind)) =
            self.snap.routers.iter().find_map(|router| Some((router.problem.as_ref()?, &router.kind)))
        else {
            return false;
        };
        let reason = problem.event_reason.as_deref().unwrap_or("TrafficRoutingError");
        self.warn_while(reason, problem.detail.clone());
        let retry = self.in_seconds(self.snap.settings.verify_retry_seconds);
        self.wake_by(retry);
        self.block(
            "router-unusable",
            BlockerOwner::Router,
            Some(retry),
            format!("the objects of router {kind:?} to be usable: {}", problem.detail),
        );
        true
    }

    /// Weights that could not be written in the round before.
    fn report_refused_traffic(&mut self) {
        let Some(failure) = self.snap.failures.iter().find(|failure| failure.verb == "setTraffic") else {
            return;
        };
        let retry = self.in_seconds(self.snap.settings.verify_retry_seconds);
        self.warn("TrafficRoutingError", failure.message.clone());
        self.block(
            "traffic-not-writable",
            BlockerOwner::Router,
            Some(retry),
            format!("the router's objects to be writable: {}", failure.message),
        );
        // Told once; the next round tries again.
        self.out.must_observe = true;
        self.wake_by(retry);
    }

    /// Pods a set needs before it is given a share. Any share at all needs one (invariant 1).
    pub(crate) fn pods_to_take(&self, weight: i32) -> i32 {
        let needed = i64::from(weight) * i64::from(self.replicas) / i64::from(self.ro.max_weight().max(1));
        let least = i32::from(weight > 0 && self.replicas > 0);
        i32::try_from(needed).unwrap_or(i32::MAX).max(least)
    }

    /// The gate of R-424: stable can take what the canary does not get.
    fn stable_can_take(&mut self, weight: i32) -> bool {
        let Some(stable) = self.sets.stable else { return false };
        let needed = self.pods_to_take(weight);
        let available = stable.status.available_replicas;
        if available >= needed
            || meets_threshold(self.ro.progress_threshold(), Some(replica_sets::size(stable)), needed)
        {
            return true;
        }
        let name = &stable.metadata.name;
        self.block(
            "stable-not-available",
            BlockerOwner::Cluster,
            None,
            format!(
                "ReplicaSet {name} to have {needed} available pods (it has {available}) before traffic moves"
            ),
        );
        false
    }

    /// The first situation that applies.
    fn desired_traffic(&self) -> Desired {
        let canary_hash = self.new_hash().to_owned();
        let off = |weight| Desired {
            weight,
            additional: Vec::new(),
            keeps_routes: false,
            canary_hash: canary_hash.clone(),
        };
        if let Some(previous) = self.dynamic_rollback_hash() {
            let weight = self.weight_while_going_back(self.sets.by_hash(&previous));
            return Desired { canary_hash: previous, keeps_routes: true, ..off(weight) };
        }
        if self.ro.is_fully_promoted() {
            return off(0);
        }
        if self.is_aborted() {
            return off(self.weight_while_going_back(self.sets.new));
        }
        let Some(new) = self.sets.new.filter(|set| set.status.available_replicas > 0) else {
            return Desired { additional: self.experiment_destinations(), ..off(0) };
        };
        let recorded = self.ro.status.canary.weights.as_ref().map_or(0, |weights| weights.canary.weight);
        if self.promotes_fully() {
            let weight = if !self.ro.dynamic_stable_scale() {
                recorded
            } else if self.replicas == 0 {
                self.ro.max_weight()
            } else {
                (self.ro.max_weight() * new.status.available_replicas / self.replicas)
                    .min(self.ro.max_weight())
            };
            return off(weight);
        }
        let Some(index) = self.ro.step_index() else {
            return Desired { keeps_routes: true, ..off(0) };
        };
        let on = |weight, additional| Desired { additional, keeps_routes: true, ..off(weight) };
        if !self.at_desired_sizes(None) {
            // Pods that are all to go wait for their traffic, which has nowhere to go but to stable (R-423a).
            if self.canary_sizes(None).canary == 0 {
                return on(0, self.experiment_destinations());
            }
            // A higher weight waits for its pods; a lower one goes first, because pods wait for traffic to leave.
            let weight = steps::previous_weight(self.ro)
                .min(steps::current_weight(self.ro))
                .min(self.weight_for_available(new));
            return on(weight, self.experiment_destinations());
        }
        if index < self.ro.step_count() {
            on(steps::current_weight(self.ro), self.experiment_destinations())
        } else {
            on(self.ro.max_weight(), Vec::new())
        }
    }

    /// The most a set with few available pods may get while it is growing (B-22); never less than what it has.
    fn weight_for_available(&self, new: &glidepath_api::cluster::ReplicaSet) -> i32 {
        let recorded = self.ro.status.canary.weights.as_ref().map_or(0, |weights| weights.canary.weight);
        if self.replicas <= 0 {
            return self.ro.max_weight();
        }
        let carried = i64::from(self.ro.max_weight()) * i64::from(new.status.available_replicas)
            / i64::from(self.replicas);
        i32::try_from(carried).unwrap_or(i32::MAX).max(recorded)
    }

    /// The share of a canary that is given up: what R-426 says, and nothing where it has no pod to serve it
    /// (invariant 1).
    fn weight_while_going_back(&self, canary: Option<&glidepath_api::cluster::ReplicaSet>) -> i32 {
        let serves = canary.is_some_and(|set| set.status.available_replicas > 0);
        if serves { self.desired_abort_weight() } else { 0 }
    }

    /// the canary's share while stable grows back.
    pub(crate) fn desired_abort_weight(&self) -> i32 {
        let (Some(new), Some(stable)) = (self.sets.new, self.sets.stable) else { return 0 };
        if !self.ro.dynamic_stable_scale() || self.replicas == 0 {
            return 0;
        }
        let maximum = self.ro.max_weight();
        let recorded = self.ro.status.canary.weights.as_ref().map(|weights| weights.canary.weight);
        let desired = if self.is_aborted() {
            self.dynamic_abort_step(new.status.available_replicas)
        } else {
            steps::current_weight(self.ro)
        };
        let stable_share = maximum * stable.status.available_replicas / self.replicas;
        let missing = (maximum - stable_share).max(0);
        match recorded {
            None => missing.max(desired),
            Some(current) if desired <= 0 => missing.min(current),
            Some(current) if stable_share < maximum - desired => current,
            Some(current) => desired.min(current),
        }
    }

    /// R-351, from the objects.
    pub(crate) fn dynamic_abort_step(&self, canary_available: i32) -> i32 {
        dynamic_abort_weight(&DynamicAbort {
            replicas: self.replicas,
            max_weight: self.ro.max_weight(),
            min_pods: self.ro.canary().and_then(|canary| canary.min_pods_per_replica_set),
            stable_available: self.sets.stable.map_or(0, |set| set.status.available_replicas),
            canary_available,
            set_weights: &steps::weights(self.ro),
            explicit_delay: self.ro.has_explicit_abort_scale_down_delay(),
            recorded_canary: self.ro.status.canary.weights.as_ref().map(|weights| weights.canary.weight),
        })
    }

    /// going back to an undersized stable set with dynamic scaling; the hash that still has the canary's share.
    pub(crate) fn dynamic_rollback_hash(&self) -> Option<String> {
        if !self.ro.is_fully_promoted() || !self.ro.dynamic_stable_scale() {
            return None;
        }
        let recorded = &self.ro.status.canary.weights.as_ref()?.canary.pod_template_hash;
        let new = self.sets.new?;
        (recorded != new.pod_hash() && new.status.available_replicas < self.replicas)
            .then(|| recorded.clone())
    }

    /// weighted destinations of a running experiment; one without a Service is none (T-088).
    fn experiment_destinations(&self) -> Vec<WeightDestination> {
        let Some(step) = steps::experiment_step(self.ro) else { return Vec::new() };
        let current = &self.ro.status.canary.current_experiment;
        let Some(experiment) = self.snap.experiments.iter().find(|known| {
            known.metadata.name == *current && known.status.phase == Some(AnalysisPhase::Running)
        }) else {
            return Vec::new();
        };
        experiment
            .status
            .template_statuses
            .iter()
            .filter(|status| !status.service_name.is_empty())
            .filter_map(|status| {
                let weight = step.templates.iter().find(|template| template.name == status.name)?.weight?;
                Some(WeightDestination {
                    weight,
                    service_name: status.service_name.clone(),
                    pod_template_hash: status.pod_template_hash.clone(),
                })
            })
            .collect()
    }

    fn wanted_traffic(&self, desired: Desired, managed_route_names: Vec<String>) -> WantedTraffic {
        let maximum = self.ro.max_weight();
        let shared: i32 = desired.additional.iter().map(|destination| destination.weight).sum();
        let (canary_service, stable_service) = self.ro.traffic_services().unwrap_or_default();
        WantedTraffic {
            max_weight: maximum,
            canary_weight: desired.weight,
            stable_weight: maximum - desired.weight - shared,
            additional: desired.additional,
            canary_service: canary_service.to_owned(),
            stable_service: stable_service.to_owned(),
            canary_hash: desired.canary_hash,
            stable_hash: replica_sets::hash(self.sets.stable).to_owned(),
            routes: if desired.keeps_routes { self.managed_routes() } else { Vec::new() },
            managed_route_names,
            routes_off: !desired.keeps_routes,
        }
    }

    /// Managed routes as the fold of all header and mirror steps up to the current one (T-085): the last word on a
    /// name counts, and a step without conditions takes the route away.
    fn managed_routes(&self) -> Vec<ManagedRoute> {
        // A first revision takes no steps, though its index stands at one.
        if self.revision <= 1 {
            return Vec::new();
        }
        let reached = self.ro.step_index().and_then(|index| usize::try_from(index).ok()).unwrap_or(0);
        let mut routes: Vec<ManagedRoute> = Vec::new();
        for step in self.ro.steps().iter().take(reached.saturating_add(1)) {
            if let Some(header) = &step.set_header_route {
                routes.retain(|route| route.name() != header.name);
                if !header.match_.is_empty() {
                    routes.push(ManagedRoute::Header {
                        name: header.name.clone(),
                        matches: header.match_.clone(),
                    });
                }
            }
            if let Some(mirror) = &step.set_mirror_route {
                routes.retain(|route| route.name() != mirror.name);
                if !mirror.match_.is_empty() {
                    routes.push(ManagedRoute::Mirror {
                        name: mirror.name.clone(),
                        matches: mirror.match_.clone(),
                        percentage: mirror.percentage,
                    });
                }
            }
        }
        let order = self.ro.traffic_routing().map_or(&[][..], |routing| &routing.managed_routes);
        routes.sort_by_key(|route| {
            order.iter().position(|listed| listed.name == route.name()).unwrap_or(usize::MAX)
        });
        routes
    }

    /// Writes what is not carried yet, and records the weights with what the routers say of them (R-425, T-055).
    fn record_weights(&mut self, wanted: &WantedTraffic) -> Flow {
        let stale: Vec<&RouterObservation> =
            self.snap.routers.iter().filter(|router| !wanted.is_carried_by(router)).collect();
        for router in &stale {
            self.act(
                "set-traffic",
                Action::SetTraffic { router: router.kind.clone(), wanted: wanted.clone() },
            );
        }
        let previous = self.ro.status.canary.weights.as_ref();
        let canary = self.ro.canary();
        let recorded = TrafficWeights {
            canary: WeightDestination {
                weight: wanted.canary_weight,
                service_name: canary.map(|canary| canary.canary_service.clone()).unwrap_or_default(),
                pod_template_hash: wanted.canary_hash.clone(),
            },
            stable: WeightDestination {
                weight: wanted.stable_weight,
                service_name: canary.map(|canary| canary.stable_service.clone()).unwrap_or_default(),
                pod_template_hash: wanted.stable_hash.clone(),
            },
            additional: wanted.additional.clone(),
            verified: None,
        };
        let changed =
            previous.is_none_or(|previous| TrafficWeights { verified: None, ..previous.clone() } != recorded);
        if changed {
            let message = format!("Traffic weight updated {}", change_text(previous, &recorded));
            self.event("TrafficWeightUpdated", message);
        }
        self.status.canary.weights = Some(recorded);
        if !stale.is_empty() {
            self.out.must_observe = true;
            self.wake_in(1);
        }
        self.verify_weights(wanted)
    }

    /// What the routers say of the weights: carried by their objects, and taken effect where they can tell (T-058).
    fn verify_weights(&mut self, wanted: &WantedTraffic) -> Flow {
        let carried = self.snap.routers.iter().all(|router| carries_weights(router, wanted));
        let applies = !self.ro.is_fully_promoted() && !self.ro.status.stable_rs.is_empty();
        let answers: Vec<bool> = self.snap.routers.iter().filter_map(|router| router.verified).collect();
        let verified =
            (applies && carried && !answers.is_empty()).then(|| answers.iter().all(|answer| *answer));
        if let Some(weights) = &mut self.status.canary.weights {
            weights.verified = verified;
        }
        if verified != Some(false) {
            return Flow::Continue;
        }
        let retry = self.in_seconds(self.snap.settings.verify_retry_seconds);
        self.wake_by(retry);
        self.block(
            "weight-not-verified",
            BlockerOwner::Router,
            Some(retry),
            format!("the router to confirm that the canary has weight {}", wanted.canary_weight),
        );
        // At the end of an update everything that follows takes pods away from stable, so it waits for the router.
        if wanted.canary_weight == wanted.max_weight { Flow::StatusOnly } else { Flow::Continue }
    }

    /// Whether every router carries the weights that the status records now (invariant 6).
    pub(crate) fn weights_are_carried(&self) -> bool {
        let Some(recorded) = &self.status.canary.weights else { return true };
        recorded.verified != Some(false)
            && self
                .snap
                .routers
                .iter()
                .all(|router| router.weights.as_ref().is_some_and(|carried| same_weights(carried, recorded)))
    }

    /// What holds the routers up, for the blocker.
    pub(crate) fn block_on_routers(&mut self) {
        let weight = self.status.canary.weights.as_ref().map_or(0, |weights| weights.canary.weight);
        self.block(
            "weight-not-carried",
            BlockerOwner::Router,
            None,
            format!("every router to carry weight {weight} for the canary"),
        );
    }
}

fn carries_weights(router: &RouterObservation, wanted: &WantedTraffic) -> bool {
    router
        .weights
        .as_ref()
        .is_some_and(|seen| seen.canary == wanted.canary_weight && seen.stable == wanted.stable_weight)
}

fn same_weights(carried: &CarriedWeights, recorded: &TrafficWeights) -> bool {
    carried.canary == recorded.canary.weight
        && carried.stable == recorded.stable.weight
        && carried.additional.len() == recorded.additional.len()
        && recorded
            .additional
            .iter()
            .all(|destination| carried.additional.get(&destination.service_name) == Some(&destination.weight))
}

/// `to 20`, `from 20 to 40`, with the additional destinations when those changed; empty when only hashes did.
fn change_text(previous: Option<&TrafficWeights>, new: &TrafficWeights) -> String {
    let Some(previous) = previous else { return format!("to {}", new.canary.weight) };
    let mut details = Vec::new();
    if previous.canary.weight != new.canary.weight {
        details.push(format!("from {} to {}", previous.canary.weight, new.canary.weight));
    }
    if previous.additional != new.additional {
        let listed: Vec<String> = new
            .additional
            .iter()
            .map(|destination| {
                format!(
                    "{{{} {} {}}}",
                    destination.weight, destination.service_name, destination.pod_template_hash
                )
            })
            .collect();
        details.push(format!("additional: [{}]", listed.join(" ")));
    }
    details.join(", ")
}
