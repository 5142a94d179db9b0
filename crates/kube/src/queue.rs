//! The work queue: keys that want a decision, each at most once, never two at a time for one key.
//!
//! One ordered set holds every key with the moment it is due, so a long pause and a burst of events are
//! the same thing to it, and one timer serves all. Keys that a person is waiting for are in a lane of
//! their own and go first (R-291, O-489).

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::metrics::Metrics;
use crate::object::ObjectKey;

/// First wait after a failure; doubles with each further one.
const FIRST_BACKOFF: Duration = Duration::from_millis(1);
/// With so many decisions at a time Events give way to them.
const CROWD: usize = 5;
/// The longest wait after failures.
const LAST_BACKOFF: Duration = Duration::from_secs(10);

/// A controller, by the name of its queue (O-572).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Controller {
    /// Rollouts.
    Rollouts,
    /// Experiments.
    Experiments,
    /// AnalysisRuns.
    AnalysisRuns,
    /// Services that a Rollout no longer manages.
    Services,
    /// DestinationRules that a Rollout no longer manages (T-246).
    DestinationRules,
    /// Ingresses that carry annotations of a Rollout that no longer names them (R-747, T-340).
    Ingresses,
}

impl Controller {
    /// Every controller.
    pub const ALL: [Self; 6] = [
        Self::Rollouts,
        Self::Experiments,
        Self::AnalysisRuns,
        Self::Services,
        Self::DestinationRules,
        Self::Ingresses,
    ];

    /// Name of the queue in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rollouts => "Rollouts",
            Self::Experiments => "Experiments",
            Self::AnalysisRuns => "AnalysisRuns",
            Self::Services => "Services",
            Self::DestinationRules => "DestinationRules",
            Self::Ingresses => "Ingresses",
        }
    }
}

/// What wants a decision.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkKey {
    /// By which controller.
    pub controller: Controller,
    /// About which object.
    pub object: ObjectKey,
}

impl fmt::Debug for WorkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.controller.name(), self.object)
    }
}

type Position = (Instant, u64);

#[derive(Default)]
struct Entry {
    /// Where the key waits, and whether in the urgent lane.
    waiting: Option<(Position, bool)>,
    processing: bool,
    /// Asked for again while it was being processed.
    again: Option<(Instant, bool)>,
    failures: u32,
}

/// The queue without its clock and its locks.
#[derive(Default)]
struct Schedule {
    entries: HashMap<WorkKey, Entry>,
    urgent: BTreeMap<Position, WorkKey>,
    routine: BTreeMap<Position, WorkKey>,
    sequence: u64,
    in_process: usize,
}

impl Schedule {
    /// Wants `key` decided at `due`. An earlier or more urgent wish stands. Returns whether it is new.
    fn add(&mut self, key: &WorkKey, due: Instant, urgent: bool) -> bool {
        let entry = self.entries.entry(key.clone()).or_default();
        if entry.processing {
            let (known, was_urgent) = entry.again.unwrap_or((due, urgent));
            entry.again = Some((known.min(due), was_urgent || urgent));
            return false;
        }
        let mut urgent = urgent;
        let mut due = due;
        let is_new = entry.waiting.is_none();
        if let Some((position, was_urgent)) = entry.waiting.take() {
            if position.0 <= due && (was_urgent || !urgent) {
                entry.waiting = Some((position, was_urgent));
                return false;
            }
            lane(&mut self.urgent, &mut self.routine, was_urgent).remove(&position);
            urgent |= was_urgent;
            due = due.min(position.0);
        }
        self.sequence += 1;
        let position = (due, self.sequence);
        entry.waiting = Some((position, urgent));
        lane(&mut self.urgent, &mut self.routine, urgent).insert(position, key.clone());
        is_new
    }

    /// Takes the key that is due and most urgent.
    fn pop(&mut self, now: Instant) -> Option<Taken> {
        for (lane, urgent) in [(&mut self.urgent, true), (&mut self.routine, false)] {
            if let Some(first) = lane.first_entry()
                && first.key().0 <= now
            {
                let ((due, _), key) = first.remove_entry();
                let entry = self.entries.entry(key.clone()).or_default();
                entry.waiting = None;
                entry.processing = true;
                self.in_process += 1;
                return Some(Taken { key, due, urgent });
            }
        }
        None
    }

    fn next_due(&self) -> Option<Instant> {
        let first = |lane: &BTreeMap<Position, WorkKey>| lane.first_key_value().map(|((due, _), _)| *due);
        [first(&self.urgent), first(&self.routine)].into_iter().flatten().min()
    }

    /// Ends the processing of a key; `next` is when it wants to be decided again.
    fn done(&mut self, key: &WorkKey, outcome: Outcome, now: Instant) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        if std::mem::take(&mut entry.processing) {
            self.in_process -= 1;
        }
        let again = entry.again.take();
        let next = match outcome {
            Outcome::Settled(next) => {
                entry.failures = 0;
                next
            }
            Outcome::Failed => {
                let backoff = FIRST_BACKOFF * 2u32.saturating_pow(entry.failures.min(20));
                entry.failures += 1;
                Some(now + backoff.min(LAST_BACKOFF))
            }
        };
        let failing = matches!(outcome, Outcome::Failed);
        match (next, again) {
            (None, None) if entry.failures == 0 => {
                self.entries.remove(key);
            }
            (None, None) => {}
            (Some(due), None) => drop(self.add(key, due, false)),
            // A person's wish is tried at once even while attempts fail; routine events wait with them.
            (Some(due), Some((_, urgent))) if failing && !urgent => drop(self.add(key, due, false)),
            (next, Some((due, urgent))) => {
                let due = next.map_or(due, |next| next.min(due));
                self.add(key, due, urgent);
            }
        }
    }

    fn is_busy(&self, now: Instant) -> bool {
        let due = [&self.urgent, &self.routine].into_iter().flat_map(|lane| lane.range(..=(now, u64::MAX)));
        self.in_process + due.take(CROWD).count() >= CROWD
    }

    fn depth(&self, controller: Controller, now: Instant) -> usize {
        let due = |lane: &BTreeMap<Position, WorkKey>| {
            lane.range(..=(now, u64::MAX)).filter(|(_, key)| key.controller == controller).count()
        };
        due(&self.urgent) + due(&self.routine)
    }
}

fn lane<'a>(
    urgent: &'a mut BTreeMap<Position, WorkKey>,
    routine: &'a mut BTreeMap<Position, WorkKey>,
    is_urgent: bool,
) -> &'a mut BTreeMap<Position, WorkKey> {
    if is_urgent { urgent } else { routine }
}

/// A key taken for processing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The key.
    pub key: WorkKey,
    /// When it was due.
    pub due: Instant,
    /// Whether a person is waiting for it.
    pub urgent: bool,
}

/// How the processing of a key ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It went well; the moment at which to decide again, if any.
    Settled(Option<Instant>),
    /// It failed; again after the key's backoff.
    Failed,
}

/// The work queue.
pub struct Queue {
    schedule: Mutex<Schedule>,
    changed: Notify,
    metrics: Arc<Metrics>,
}

impl Queue {
    /// An empty queue that reports to `metrics`.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { schedule: Mutex::default(), changed: Notify::new(), metrics }
    }

    fn schedule(&self) -> MutexGuard<'_, Schedule> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wants `key` decided after a while. An earlier wish stands.
    pub fn add_after(&self, key: &WorkKey, delay: Duration) {
        self.add(key, Instant::now() + delay, false);
    }

    /// Wants `key` decided at once and before all routine work: a person is waiting.
    pub fn add_urgent(&self, key: &WorkKey) {
        self.add(key, Instant::now(), true);
    }

    fn add(&self, key: &WorkKey, due: Instant, urgent: bool) {
        let is_new = self.schedule().add(key, due, urgent);
        if is_new {
            self.metrics.queue_added(key.controller);
        }
        self.changed.notify_one();
    }

    /// The next key that is due, once there is one.
    pub async fn next(&self) -> Taken {
        loop {
            let now = Instant::now();
            let next_due = {
                let mut schedule = self.schedule();
                if let Some(taken) = schedule.pop(now) {
                    let waited = now.saturating_duration_since(taken.due);
                    self.metrics.queue_taken(taken.key.controller, waited);
                    return taken;
                }
                schedule.next_due()
            };
            match next_due {
                Some(due) => {
                    tokio::select! {
                        biased;
                        () = tokio::time::sleep_until(due) => {}
                        () = self.changed.notified() => {}
                    }
                }
                None => self.changed.notified().await,
            }
        }
    }

    /// Ends the processing of a key that [`Queue::next`] gave out.
    pub fn done(&self, key: &WorkKey, outcome: Outcome, took: Duration) {
        self.schedule().done(key, outcome, Instant::now());
        self.metrics.queue_done(key.controller, took, outcome == Outcome::Failed);
        self.changed.notify_one();
    }

    /// Whether so many decisions are being taken or carried out, or should be, that they are in each other's way.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.schedule().is_busy(Instant::now())
    }

    /// How many keys of a controller are due and wait.
    #[must_use]
    pub fn depth(&self, controller: Controller) -> usize {
        self.schedule().depth(controller, Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> WorkKey {
        WorkKey { controller: Controller::Rollouts, object: ObjectKey::new("n", name) }
    }

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn a_burst_of_events_is_one_decision_at_the_earliest_moment() {
        let (mut schedule, start) = (Schedule::default(), Instant::now());
        assert!(schedule.add(&key("a"), start + ms(30), false));
        assert!(!schedule.add(&key("a"), start + ms(50), false));
        assert!(schedule.pop(start + ms(20)).is_none());
        assert_eq!(schedule.pop(start + ms(30)).unwrap().key, key("a"));
        schedule.done(&key("a"), Outcome::Settled(None), start + ms(31));
        assert!(schedule.pop(start + ms(1000)).is_none());
    }

    #[test]
    fn a_persons_wish_goes_first_and_at_once_even_if_the_key_waits_already() {
        let (mut schedule, start) = (Schedule::default(), Instant::now());
        schedule.add(&key("a"), start, false);
        schedule.add(&key("b"), start + ms(60_000), false);
        schedule.add(&key("b"), start, true);
        assert_eq!(schedule.pop(start).unwrap().key, key("b"));
        assert_eq!(schedule.pop(start).unwrap().key, key("a"));
        assert!(schedule.pop(start + ms(120_000)).is_none());
    }

    #[test]
    fn one_key_is_never_processed_twice_at_once() {
        let (mut schedule, start) = (Schedule::default(), Instant::now());
        schedule.add(&key("a"), start, false);
        schedule.pop(start).unwrap();
        schedule.add(&key("a"), start, true);
        assert!(schedule.pop(start).is_none());
        schedule.done(&key("a"), Outcome::Settled(None), start);
        assert_eq!(schedule.pop(start).unwrap().key, key("a"));
    }

    #[test]
    fn failures_wait_1_ms_doubling_to_10_s_and_success_forgets_them_r_291_o_489() {
        let (mut schedule, start) = (Schedule::default(), Instant::now());
        let mut waits = Vec::new();
        schedule.add(&key("a"), start, false);
        for _ in 0..16 {
            let Taken { due, .. } = schedule.pop(start + ms(1_000_000)).unwrap();
            waits.push(due);
            schedule.done(&key("a"), Outcome::Failed, start);
        }
        assert_eq!(waits[1] - start, ms(1));
        assert_eq!(waits[2] - start, ms(2));
        assert_eq!(waits[11] - start, ms(1024));
        assert_eq!(waits[15] - start, ms(10_000));
        schedule.pop(start + ms(1_000_000)).unwrap();
        schedule.done(&key("a"), Outcome::Settled(None), start);
        schedule.add(&key("a"), start, false);
        schedule.pop(start).unwrap();
        schedule.done(&key("a"), Outcome::Failed, start);
        assert_eq!(schedule.next_due().unwrap() - start, ms(1));
    }

    #[test]
    fn routine_events_do_not_shorten_a_backoff_and_a_persons_wish_does() {
        let (mut schedule, start) = (Schedule::default(), Instant::now());
        for urgent in [false, true] {
            schedule.add(&key("a"), start, false);
            for _ in 0..10 {
                schedule.pop(start + ms(100_000)).unwrap();
                schedule.done(&key("a"), Outcome::Failed, start);
            }
            schedule.pop(start + ms(100_000)).unwrap();
            schedule.add(&key("a"), start, urgent);
            schedule.done(&key("a"), Outcome::Failed, start);
            assert_eq!(schedule.next_due().unwrap() == start, urgent);
            schedule.pop(start + ms(100_000)).unwrap();
            schedule.done(&key("a"), Outcome::Settled(None), start);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_delayed_key_comes_when_it_is_due_and_one_timer_serves_all() {
        let queue = Queue::new(Arc::default());
        let start = Instant::now();
        queue.add_after(&key("late"), Duration::from_secs(3600));
        queue.add_after(&key("soon"), ms(20));
        assert_eq!(queue.next().await.key, key("soon"));
        assert_eq!(queue.next().await.key, key("late"));
        assert_eq!(start.elapsed(), Duration::from_secs(3600));
    }

    #[test]
    fn the_queue_is_busy_while_a_crowd_is_due_or_in_process_and_not_while_it_only_waits() {
        let (mut schedule, start) = (Schedule::default(), Instant::now());
        for number in 0..CROWD {
            schedule.add(&key(&number.to_string()), start + ms(10), number == 0);
        }
        assert!(!schedule.is_busy(start));
        assert!(schedule.is_busy(start + ms(10)));
        schedule.pop(start + ms(10)).unwrap();
        assert!(schedule.is_busy(start + ms(10)), "one is in process");
        schedule.done(&key("0"), Outcome::Settled(Some(start + ms(900))), start + ms(20));
        assert!(!schedule.is_busy(start + ms(20)), "one less than a crowd");
    }

    #[test]
    fn nothing_is_kept_for_a_key_at_rest() {
        let (mut schedule, start) = (Schedule::default(), Instant::now());
        schedule.add(&key("a"), start, false);
        schedule.pop(start).unwrap();
        schedule.done(&key("a"), Outcome::Settled(None), start);
        assert!(schedule.entries.is_empty() && schedule.urgent.is_empty() && schedule.routine.is_empty());
    }
}
