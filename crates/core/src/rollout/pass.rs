//! One pass over a Rollout: the frame every concern works in, and the order they come in.
//!
//! A pass looks at one snapshot and ends after the first thing that the rest would depend on. The decision chains
//! passes: what a pass wants is applied to the snapshot as data and the next pass looks at that, until nothing
//! changes any more or something has to be seen in the cluster first (see [`super::plan`]).

use std::collections::{BTreeMap, BTreeSet};

use glidepath_api::cluster::ReplicaSet;
use glidepath_api::{Rollout, RolloutStatus, Time, names};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::analysis::Runs;
use super::identity::Identity;
use super::pause::PauseChanges;
use super::replica_sets::{self, Deadline, Sets};
use super::spec::SpecView;
use super::workload;
use crate::plan::{Action, Blocker, BlockerOwner, Event, EventType, PlannedAction};
use crate::snapshot::RolloutSnapshot;

/// What a pass wants.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// What to do, in order, without the status.
    pub(crate) steps: Vec<PlannedAction>,
    /// The status as it should be; `None` when the pass leaves it alone.
    pub(crate) status: Option<RolloutStatus>,
    /// When to look again.
    pub(crate) wake_at: Option<Timestamp>,
    /// What is being waited for.
    pub(crate) blocker: Option<Blocker>,
    /// Warnings that hold now, told in this pass or before.
    pub(crate) standing: Vec<String>,
    /// The spec and what it refers to were found usable; nothing a pass does changes that.
    pub(crate) valid: bool,
    /// What comes next depends on seeing the effect of this pass in the cluster.
    pub(crate) must_observe: bool,
}

/// A pass at work.
pub(crate) struct Pass<'a> {
    pub(crate) snap: &'a RolloutSnapshot,
    pub(crate) ro: &'a Rollout,
    pub(crate) identity: &'a Identity,
    pub(crate) sets: Sets<'a>,
    pub(crate) now: Time,
    /// R: wanted pods.
    pub(crate) replicas: i32,
    pub(crate) pause: PauseChanges,
    pub(crate) runs: Runs,
    /// The status being built: what stages set before the rest is filled in.
    pub(crate) status: RolloutStatus,
    /// The new set carried a deadline that had not passed when the pass started.
    pub(crate) new_within_delay: bool,
    /// Revision of the Rollout, as of this pass.
    pub(crate) revision: i64,
    /// Hashes that Services select after this pass, by Service.
    pub(crate) switched: BTreeMap<String, String>,
    removed_deadlines: BTreeSet<String>,
    pub(crate) out: Outcome,
}

/// Runs one pass; `valid` says that an earlier pass of the chain found the spec usable.
pub(crate) fn run(snap: &RolloutSnapshot, identity: &Identity, valid: bool) -> Outcome {
    let mut pass = Pass::new(snap, identity);
    pass.out.valid = valid;
    pass.reconcile();
    pass.out
}

impl<'a> Pass<'a> {
    fn new(snap: &'a RolloutSnapshot, identity: &'a Identity) -> Self {
        let ro = &snap.rollout;
        let sets = Sets::of(ro, &snap.replica_sets, identity);
        let new_within_delay = sets.new.is_some_and(
            |set| matches!(replica_sets::deadline(set), Deadline::At(deadline) if deadline > snap.now),
        );
        let mut status = RolloutStatus {
            restarted_at: ro.status.restarted_at,
            alb: ro.status.alb.clone(),
            albs: ro.status.albs.clone(),
            duration: ro.status.duration.clone(),
            ..RolloutStatus::default()
        };
        status.canary.weights.clone_from(&ro.status.canary.weights);
        Self {
            now: Time::new(snap.now),
            replicas: ro.replicas(),
            revision: ro.metadata.annotation(names::REVISION).and_then(|text| text.parse().ok()).unwrap_or(0),
            runs: Runs::of(snap),
            pause: PauseChanges::default(),
            switched: BTreeMap::new(),
            removed_deadlines: BTreeSet::new(),
            out: Outcome::default(),
            snap,
            ro,
            identity,
            sets,
            status,
            new_within_delay,
        }
    }

    fn reconcile(&mut self) {
        if let Some(problem) = workload::problem(self.snap) {
            self.report_invalid_spec(&problem);
            return;
        }
        let claims = replica_sets::plan_claims(self.ro, &self.snap.replica_sets);
        if !claims.is_empty() {
            for (reason, action) in claims {
                self.act(reason, action);
            }
            return;
        }
        if !self.out.valid {
            if self.take_out_unreadable_quantities() {
                return;
            }
            if let Some(problem) = self.find_invalid_spec() {
                self.report_invalid_spec(&problem);
                return;
            }
            self.out.valid = true;
        }
        if self.sets.new.is_none() {
            self.create_new_replica_set();
            return;
        }
        if super::pause::is_promoted_after_abort(&self.ro.status) {
            let mut status = self.ro.status.clone();
            (status.abort, status.aborted_at) = (false, None);
            self.out.status = Some(status);
            return;
        }
        if self.ro.is_fully_promoted() && self.ro.status.abort {
            self.pause.remove_abort();
        }
        if self.ro.spec.replicas.is_none() {
            // An autoscaler needs a number to read; the write makes a new generation, which must be seen.
            self.act("default-replicas", Action::PatchSelf { patch: json!({"spec": {"replicas": 1}}) });
            self.out.must_observe = true;
            return;
        }
        if self.sync_pause_conditions() {
            return;
        }
        self.sync_revision();
        if self.is_scaling_event() {
            self.scale_only();
        } else if self.ro.blue_green().is_some() {
            self.pass_blue_green();
        } else {
            self.pass_canary();
        }
    }

    /// R-303c: an active set was sized for another number of pods than is wanted now. A new template comes first: until
    /// the status knows it, the step it stands at belongs to another update.
    fn is_scaling_event(&self) -> bool {
        let reset = if self.ro.blue_green().is_some() {
            self.identity.template_changed(self.ro, self.sets.new)
        } else {
            self.identity.template_or_steps_changed(self.ro, self.sets.new)
        };
        !reset
            && [self.sets.new, self.sets.stable].into_iter().flatten().any(|set| {
                set.replicas() > 0
                    && replica_sets::desired_replicas(set).is_some_and(|desired| desired != self.replicas)
            })
    }

    /// Adds an action.
    pub(crate) fn act(&mut self, reason: &str, action: Action) {
        self.out.steps.push(PlannedAction { reason: reason.to_owned(), action });
    }

    /// Emits a Normal event.
    pub(crate) fn event(&mut self, reason: &str, message: String) {
        self.emit(EventType::Normal, reason, message);
    }

    /// Emits a Warning event.
    pub(crate) fn warn(&mut self, reason: &str, message: String) {
        self.emit(EventType::Warning, reason, message);
    }

    /// Emits a Warning event about something that lasts, once when it begins.
    pub(crate) fn warn_while(&mut self, reason: &str, message: String) {
        let standing = format!("{reason}: {message}");
        if !self.snap.told.contains(&standing) && !self.out.standing.contains(&standing) {
            self.warn(reason, message);
        }
        self.out.standing.push(standing);
    }

    pub(crate) fn emit(&mut self, event_type: EventType, reason: &str, message: String) {
        self.act("tell", Action::Emit(Event { event_type, reason: reason.to_owned(), message }));
    }

    /// Asks to look again at `at`, if that is earlier than what is known.
    pub(crate) fn wake_by(&mut self, at: Timestamp) {
        self.out.wake_at = Some(self.out.wake_at.map_or(at, |known| known.min(at)));
    }

    /// Asks to look again in `seconds`.
    pub(crate) fn wake_in(&mut self, seconds: i64) {
        self.wake_by(self.in_seconds(seconds));
    }

    /// The time `seconds` from now.
    pub(crate) fn in_seconds(&self, seconds: i64) -> Timestamp {
        self.snap.now.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
    }

    /// Names what is being waited for; the first name in a pass stands.
    pub(crate) fn block(
        &mut self,
        name: &str,
        owner: BlockerOwner,
        deadline: Option<Timestamp>,
        waiting_for: String,
    ) {
        self.out.blocker.get_or_insert_with(|| Blocker {
            name: name.to_owned(),
            waiting_for,
            owner,
            deadline,
        });
    }

    /// Whether the update counts as aborted now.
    pub(crate) fn is_aborted(&self) -> bool {
        self.pause.is_aborted(self.ro)
    }

    /// Hash of the new set.
    pub(crate) fn new_hash(&self) -> &'a str {
        replica_sets::hash(self.sets.new)
    }

    /// Whether a set carries a deadline that this pass has not removed.
    pub(crate) fn has_deadline(&self, set: &ReplicaSet) -> bool {
        replica_sets::has_deadline(set) && !self.removed_deadlines.contains(&set.metadata.name)
    }

    /// Removes the deadline of a set that is wanted again.
    pub(crate) fn remove_deadline(&mut self, set: &ReplicaSet) {
        if !self.has_deadline(set) {
            return;
        }
        self.removed_deadlines.insert(set.metadata.name.clone());
        self.annotate(set, "remove-scale-down-deadline", names::SCALE_DOWN_DEADLINE, None);
    }

    /// Sets or removes one annotation of a set.
    pub(crate) fn annotate(&mut self, set: &ReplicaSet, reason: &str, key: &str, value: Option<String>) {
        let patch = replica_sets::annotation_patch(&BTreeMap::from([(key.to_owned(), value)]));
        self.act(reason, Action::PatchReplicaSet { name: set.metadata.name.clone(), patch });
    }
}
