//! One decision after another: take a key, gather, decide, apply, and wait until the caches know.

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use glidepath_api::{ObjectMeta, Rollout, RolloutStatus, names};
use glidepath_clock::Clock;
use glidepath_core::plan::{Event, EventType, PODS_NOT_READY, Plan};
use tokio::time::Instant;

use crate::apply::{Applied, Applier, Write};
use crate::cache::{Awaited, Caches};
use crate::dispatch::Dispatcher;
use crate::events::{Recorder, Subject};
use crate::gather::{Direct, GatherError, Gatherer, Memory};
use crate::measure::Measurer;
use crate::metrics::Metrics;
use crate::object::ObjectKey;
use crate::queue::{Controller, Outcome, Queue, Taken, WorkKey};
use crate::record::{DecisionRecord, SnapshotRef};
use crate::run::{Decisions, Observer};
use crate::server::ApiServer;

/// A plan that asks to be looked at again at once is looked at again after this; what it waits for is due to
/// the tick of a clock then, and a mistaken one costs little.
const SOONEST: Duration = Duration::from_millis(20);
/// How long the caches are given to show a write before its object is read directly.
const CATCH_UP: Duration = Duration::from_secs(1);
/// When to look again at an object whose kind is not cached yet.
const NOT_SYNCED_RETRY: Duration = Duration::from_millis(250);

/// Everything a reconcile may use.
pub(crate) struct Shell {
    pub(crate) server: ApiServer,
    pub(crate) caches: Arc<Caches>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) measurer: Arc<Measurer>,
    pub(crate) dispatcher: Arc<Dispatcher>,
    pub(crate) gatherer: Gatherer,
    pub(crate) recorder: Recorder,
    pub(crate) clock: Clock,
    pub(crate) decisions: Decisions,
    pub(crate) only: Option<Controller>,
    pub(crate) on_decision: Option<Arc<Observer>>,
    pub(crate) memories: Mutex<HashMap<WorkKey, KeyMemory>>,
    /// The Rollouts that wait for pods.
    pub(crate) waiting: Mutex<HashSet<ObjectKey>>,
}

/// What a key remembers between two decisions; forgotten when there is nothing to remember.
#[derive(Default)]
pub(crate) struct KeyMemory {
    memory: Memory,
    /// A person waits for this round: it is not slowed down.
    urgent: bool,
    /// That the Rollout is new has been told.
    announced: bool,
}

impl KeyMemory {
    fn is_empty(&self) -> bool {
        self.memory.failures.is_empty()
            && self.memory.overlay.is_empty()
            && self.memory.unseen.is_empty()
            && self.memory.pods_in_role.is_empty()
            && self.memory.told.is_empty()
            && !self.announced
    }
}

impl Shell {
    /// Processes one key; a panic counts as a failure and stays within it.
    pub(crate) async fn process(&self, Taken { key, urgent, .. }: Taken) {
        if self.only.is_some_and(|only| only != key.controller) {
            return self.queue.done(&key, Outcome::Settled(None), Duration::ZERO);
        }
        let started = Instant::now();
        self.metrics.reconcile_started(key.controller, &key.object);
        let outcome =
            AssertUnwindSafe(self.reconcile(&key, urgent)).catch_unwind().await.unwrap_or_else(|_| {
                tracing::error!(
                    namespace = &*key.object.namespace,
                    name = &*key.object.name,
                    "a decision panicked"
                );
                Outcome::Failed
            });
        let failed = outcome == Outcome::Failed;
        self.metrics.reconcile_ended(key.controller, &key.object, failed);
        tracing::debug!(
            queue = key.controller.name(),
            namespace = &*key.object.namespace,
            name = &*key.object.name,
            time_ms = started.elapsed().as_millis(),
            failed,
            "reconciled"
        );
        self.queue.done(&key, outcome, started.elapsed());
    }

    async fn reconcile(&self, key: &WorkKey, urgent: bool) -> Outcome {
        let mut remembered =
            self.memories.lock().unwrap_or_else(PoisonError::into_inner).remove(key).unwrap_or_default();
        remembered.urgent = urgent;
        let unseen = std::mem::take(&mut remembered.memory.unseen);
        self.catch_up(unseen, &mut remembered.memory).await;
        let outcome = if remembered.memory.unseen.is_empty() {
            match key.controller {
                Controller::Rollouts => self.reconcile_rollout(key, &mut remembered).await,
                Controller::Experiments => self.reconcile_experiment(key, &mut remembered).await,
                Controller::AnalysisRuns => self.reconcile_analysis(key, &mut remembered).await,
                Controller::Services => self.release_service(&key.object).await,
                Controller::DestinationRules => self.release_rule(&key.object).await,
                Controller::Ingresses => self.release_ingress(&key.object).await,
            }
        } else {
            Ok(Outcome::Failed)
        };
        if !remembered.is_empty() {
            self.memories.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), remembered);
        }
        outcome.unwrap_or_else(|error| self.gather_failed(key, &error))
    }

    fn gather_failed(&self, key: &WorkKey, error: &GatherError) -> Outcome {
        let (namespace, name) = (&*key.object.namespace, &*key.object.name);
        match error {
            GatherError::NotSynced(_) => Outcome::Settled(Some(Instant::now() + NOT_SYNCED_RETRY)),
            // Only a change of the object can help.
            GatherError::Malformed { .. } => {
                tracing::error!(namespace, name, error = %error, "cannot read the object");
                Outcome::Settled(Some(self.resync(&key.object)))
            }
            GatherError::Unread { source, .. } => {
                tracing::warn!(namespace, name, error = %error, cause = %source, "cannot gather");
                Outcome::Failed
            }
        }
    }

    async fn reconcile_rollout(
        &self,
        key: &WorkKey,
        remembered: &mut KeyMemory,
    ) -> Result<Outcome, GatherError> {
        let Some(mut snapshot) = self.gatherer.gather_rollout(&key.object, &mut remembered.memory).await?
        else {
            *remembered = KeyMemory::default();
            self.waiting().remove(&key.object);
            self.tell_deletion(&key.object);
            return Ok(Outcome::Settled(None));
        };
        snapshot.others_waiting = self.others_waiting(&key.object);
        let subject = subject_of(names::KIND_ROLLOUT, &snapshot.rollout.metadata);
        self.announce(&snapshot.rollout, &key.object, &subject, remembered).await;
        let plan = (self.decisions.rollout)(&snapshot);
        if plan.blocker.as_ref().is_some_and(|blocker| blocker.name == PODS_NOT_READY) {
            self.waiting().insert(key.object.clone());
        } else {
            self.waiting().remove(&key.object);
        }
        self.observe(key, SnapshotRef::Rollout(&snapshot), &plan);
        Ok(self.carry_out(key, &subject, Some(&snapshot.rollout), &plan, remembered).await)
    }

    fn waiting(&self) -> MutexGuard<'_, HashSet<ObjectKey>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many Rollouts but this one wait for their pods, as of their last decisions.
    fn others_waiting(&self, key: &ObjectKey) -> u32 {
        let waiting = self.waiting();
        u32::try_from(waiting.len() - usize::from(waiting.contains(key))).unwrap_or(u32::MAX)
    }

    async fn reconcile_experiment(
        &self,
        key: &WorkKey,
        remembered: &mut KeyMemory,
    ) -> Result<Outcome, GatherError> {
        let Some(snapshot) = self.gatherer.gather_experiment(&key.object, &remembered.memory).await? else {
            *remembered = KeyMemory::default();
            return Ok(Outcome::Settled(None));
        };
        let subject = subject_of(names::KIND_EXPERIMENT, &snapshot.experiment.metadata);
        let plan = (self.decisions.experiment)(&snapshot);
        self.observe(key, SnapshotRef::Experiment(&snapshot), &plan);
        Ok(self.carry_out(key, &subject, None, &plan, remembered).await)
    }

    async fn reconcile_analysis(
        &self,
        key: &WorkKey,
        remembered: &mut KeyMemory,
    ) -> Result<Outcome, GatherError> {
        let gathered = self.gatherer.gather_analysis(&key.object, &remembered.memory, &self.measurer).await?;
        let Some(snapshot) = gathered else {
            *remembered = KeyMemory::default();
            return Ok(Outcome::Settled(None));
        };
        let subject = subject_of(names::KIND_ANALYSIS_RUN, &snapshot.run.metadata);
        let plan = (self.decisions.analysis)(&snapshot);
        self.observe(key, SnapshotRef::Analysis(&snapshot), &plan);
        let outcome = self.carry_out(key, &subject, None, &plan, remembered).await;
        if outcome != Outcome::Failed {
            self.measurer.forget_recorded(&key.object, &snapshot.run.metadata.uid, snapshot.answers.len());
            self.measurer.ask(&key.object, &snapshot.run.metadata.uid, plan.asks);
        }
        Ok(outcome)
    }

    fn observe(&self, key: &WorkKey, snapshot: SnapshotRef<'_>, plan: &Plan) {
        for veto in &plan.vetoes {
            tracing::warn!(
                namespace = &*key.object.namespace,
                name = &*key.object.name,
                invariant = veto.invariant.name(),
                action = veto.verb,
                object = veto.object,
                "held back: {}",
                veto.detail
            );
        }
        if let Some(observer) = &self.on_decision {
            observer(&DecisionRecord { controller: key.controller, key: &key.object, snapshot, plan });
        }
    }

    /// Says once that a Rollout is new: it has no status yet.
    async fn announce(
        &self,
        rollout: &Rollout,
        key: &ObjectKey,
        subject: &Subject,
        remembered: &mut KeyMemory,
    ) {
        let is_new = rollout.status == RolloutStatus::default() && !rollout.metadata.is_deleting();
        if is_new && !remembered.announced {
            let event = Event {
                event_type: EventType::Normal,
                reason: "RolloutAddedToInformer".to_owned(),
                message: format!("Rollout resource added to informer: {key}"),
            };
            self.tell(key, subject, &event);
        }
        remembered.announced = is_new;
    }

    /// Says that a Rollout is gone (R-745; the order of name and namespace is the reference's).
    fn tell_deletion(&self, key: &ObjectKey) {
        let subject = self.dispatcher.deleted.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        let Some(subject) = subject else { return };
        let event = Event {
            event_type: EventType::Normal,
            reason: "RolloutDeleted".to_owned(),
            message: format!("Rollout {}/{} is deleted.", key.name, key.namespace),
        };
        self.tell(key, &subject, &event);
    }

    fn tell(&self, key: &ObjectKey, subject: &Subject, event: &Event) {
        self.metrics.count_event(key, event);
        tracing::info!(
            namespace = &*key.namespace,
            rollout = &*key.name,
            event_reason = event.reason,
            "{}",
            event.message
        );
        self.recorder.record(subject, event, self.clock.now());
    }

    /// Applies a plan and waits until the caches include what it wrote.
    async fn carry_out(
        &self,
        key: &WorkKey,
        subject: &Subject,
        rollout: Option<&Rollout>,
        plan: &Plan,
        remembered: &mut KeyMemory,
    ) -> Outcome {
        remembered.memory.failures.clear();
        remembered.memory.told.clone_from(&plan.standing);
        if !plan.steps.is_empty() {
            let applier = Applier {
                server: &self.server,
                recorder: &self.recorder,
                queue: &self.queue,
                gatherer: &self.gatherer,
                metrics: &self.metrics,
                controller: key.controller,
                key: &key.object,
                subject,
                rollout,
                overlay: &remembered.memory.overlay,
                urgent: remembered.urgent,
            };
            let Applied { writes, failures, conflict, .. } = applier.apply(plan).await;
            self.forget_caught_up(&mut remembered.memory);
            let late = self.catch_up(writes, &mut remembered.memory).await;
            if conflict || !failures.is_empty() {
                remembered.memory.failures = failures;
                return Outcome::Failed;
            }
            if late {
                return Outcome::Settled(Some(Instant::now()));
            }
        } else {
            self.forget_caught_up(&mut remembered.memory);
        }
        let resync = self.resync(&key.object);
        let wake = plan.wake_at.map(|at| Instant::now() + self.clock.until(at).max(SOONEST));
        Outcome::Settled(Some(wake.map_or(resync, |wake| wake.min(resync))))
    }

    /// Lets go of direct reads that the caches include by now. The others stay, whatever was written since: a decision
    /// that saw a write must not be followed by one that does not.
    fn forget_caught_up(&self, memory: &mut Memory) {
        memory.overlay.retain(|(kind, object), direct| {
            let awaited = match direct {
                Direct::Found(stored) => Awaited::Reached(stored.version),
                Direct::Gone(uid) => Awaited::Gone(uid.clone()),
            };
            !self.caches.includes(*kind, object, &awaited)
        });
    }

    /// Waits until the caches include the writes; what they still lack after a while is read directly.
    /// Returns whether anything was.
    async fn catch_up(&self, writes: Vec<Write>, memory: &mut Memory) -> bool {
        let deadline = Instant::now() + CATCH_UP;
        let mut late = false;
        for Write { kind, key, awaited } in writes {
            let Some(seen) = self.caches.wait_for(kind, &key, awaited.clone()) else { continue };
            if tokio::time::timeout_at(deadline, seen).await.is_ok() {
                continue;
            }
            late = true;
            tracing::debug!(kind = kind.name(), object = %key, "the cache is late; reading directly");
            let direct = match (self.gatherer.fetch(kind, &key).await, awaited) {
                (Ok(Some(stored)), _) => Direct::Found(stored),
                (Ok(None), Awaited::Gone(uid)) => Direct::Gone(uid),
                (Ok(None), Awaited::Reached(_)) => match self.caches.get(kind, &key) {
                    Some(cached) => Direct::Gone(cached.uid),
                    None => continue,
                },
                (Err(error), awaited) => {
                    tracing::warn!(kind = kind.name(), object = %key, error = %error, "cannot see a write");
                    // What may not be read directly shows in the cache or nowhere.
                    if error.may_pass() {
                        memory.unseen.push(Write { kind, key, awaited });
                    }
                    continue;
                }
            };
            memory.overlay.insert((kind, key), direct);
        }
        late
    }

    /// The next routine look, spread over a tenth of the interval (O-467).
    fn resync(&self, key: &ObjectKey) -> Instant {
        let seconds = u64::try_from(self.gatherer.settings.resync_seconds).unwrap_or(900).max(1);
        let spread = key
            .name
            .bytes()
            .chain(key.namespace.bytes())
            .fold(0u64, |sum, byte| sum * 31 % 997 + u64::from(byte));
        Instant::now() + Duration::from_millis(seconds * 1000 + seconds * 100 * (spread % 997) / 997)
    }
}

fn subject_of(kind: &'static str, metadata: &ObjectMeta) -> Subject {
    Subject {
        api_version: names::API_VERSION,
        kind,
        namespace: metadata.namespace.clone(),
        name: metadata.name.clone(),
        uid: metadata.uid.clone(),
        resource_version: metadata.resource_version.clone(),
    }
}
