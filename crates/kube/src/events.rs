//! Kubernetes Events: one write for each that the correlator admits, identical ones counted (O-400).

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use glidepath_api::Time;
use glidepath_core::plan::{Event, EventType};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::correlator::{Correlated, Correlator};
use crate::queue::Queue;
use crate::resource::collection;
use crate::server::{ApiServer, RequestError};

/// Component that Events name as their source.
pub const COMPONENT: &str = "rollouts-controller";
/// How many recent Events are remembered for counting identical ones.
const REMEMBERED: usize = 2048;
/// How many Events wait to be written before the oldest are given up.
const WAITING: usize = 16_384;
/// How many Events are written at once.
const AT_ONCE: usize = 4;
/// States come first: what moves a release does not queue behind its story. While a crowd of decisions is being carried
/// out, one Event is written at a time, and this many times as long as that took is left to them.
const GIVE_WAY: u32 = 9;
/// An Event that waited this long is written whatever else there is to do.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a status waits for the Events that tell how it came about.
const STORY_FIRST: Duration = Duration::from_millis(250);
/// How long to wait after a write got no answer.
const RETRY: Duration = Duration::from_secs(1);

/// What an Event is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Subject {
    /// API version of the object.
    pub api_version: &'static str,
    /// Kind of the object.
    pub kind: &'static str,
    /// Namespace of the object.
    pub namespace: String,
    /// Name of the object.
    pub name: String,
    /// Uid of the object.
    pub uid: String,
    /// Version of the object that was looked at.
    pub resource_version: String,
}

impl Subject {
    fn is_same_object(&self, other: &Self) -> bool {
        self.uid == other.uid && self.kind == other.kind && self.name == other.name
    }
}

struct Remembered {
    name: String,
    count: u64,
}

/// An Event that passed the correlator, with the text it is written with.
struct Admitted {
    id: u64,
    subject: Subject,
    event: Event,
    at: Timestamp,
    since: Instant,
}

#[derive(Default)]
struct Memory {
    correlator: Correlator,
    recent: HashMap<u64, Remembered>,
    order: VecDeque<u64>,
    last_suffix: u64,
    waiting: VecDeque<Admitted>,
    being_written: Vec<Subject>,
    is_ending: bool,
}

/// Writes Events beside the decisions they tell of, those of one object in their order.
#[derive(Default)]
pub struct Recorder {
    memory: Mutex<Memory>,
    changed: Notify,
}

enum Write {
    Create { name: String, object: Value },
    Count { name: String, patch: Value },
}

impl Recorder {
    /// Takes note of one Event; an identical one that is still remembered is counted instead, and what exceeds the
    /// object's allowance is not written (O-400).
    pub fn record(&self, subject: &Subject, event: &Event, now: Timestamp) {
        let mut memory = self.memory();
        let Some(admitted) = memory.admit(subject, event, now) else { return };
        if memory.waiting.len() >= WAITING {
            memory.waiting.pop_front();
            tracing::warn!("too many Events wait to be written; the oldest is given up");
        }
        memory.waiting.push_back(admitted);
        drop(memory);
        self.changed.notify_waiters();
    }

    /// Writes what was recorded, for as long as it is polled. What got no answer is tried again.
    pub(crate) async fn write_all(&self, server: &ApiServer, queue: &Queue) {
        loop {
            let changed = self.changed.notified();
            let gives_way = queue.is_busy() && !self.memory().is_pressing();
            let batch = self.memory().take_batch(if gives_way { 1 } else { AT_ONCE });
            if batch.is_empty() {
                changed.await;
                continue;
            }
            let started = Instant::now();
            let outcomes = join_all(batch.iter().map(|admitted| self.write(server, admitted))).await;
            let unanswered: Vec<Admitted> = batch
                .into_iter()
                .zip(outcomes)
                .filter_map(|(admitted, outcome)| {
                    outcome.is_err_and(|error| tell(&admitted, &error)).then_some(admitted)
                })
                .collect();
            let wait = !unanswered.is_empty();
            self.memory().put_back(unanswered);
            self.changed.notify_waiters();
            if wait {
                tokio::time::sleep(RETRY).await;
            } else if gives_way {
                tokio::time::sleep(started.elapsed() * GIVE_WAY).await;
            }
        }
    }

    /// Returns once the Events about an object are written, or it has waited long enough: whoever sees a status should
    /// find the Events that led to it.
    pub(crate) async fn told(&self, subject: &Subject) {
        let told = async {
            loop {
                let changed = self.changed.notified();
                if !self.memory().is_about(subject) {
                    return;
                }
                changed.await;
            }
        };
        // Events may take longer than a release can wait for them.
        let _ = tokio::time::timeout(STORY_FIRST, told).await;
    }

    /// Nothing more is decided: what was recorded is written without giving way. Returns once it is; something else
    /// must poll [`Recorder::write_all`].
    pub(crate) async fn written(&self) {
        self.memory().is_ending = true;
        loop {
            let changed = self.changed.notified();
            if self.memory().is_idle() {
                return;
            }
            changed.await;
        }
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn write(&self, server: &ApiServer, admitted: &Admitted) -> Result<(), RequestError> {
        let path = collection("", "v1", "events", &admitted.subject.namespace);
        // Each turn ends in success, in an error, or in a plan that differs from the last.
        for _ in 0..3 {
            let planned = self.memory().plan(admitted);
            let (name, outcome) = match planned {
                Write::Create { name, object } => (Some(name), server.create(&path, &object).await),
                Write::Count { name, patch } => (None, server.merge(&format!("{path}/{name}"), &patch).await),
            };
            match (outcome, name) {
                (Ok(_), Some(name)) => {
                    self.memory().remember(admitted.id, name);
                    return Ok(());
                }
                (Ok(_), None) => return Ok(()),
                // The name is taken: the next one is tried.
                (Err(RequestError::Refused { code: 409, .. }), Some(_)) => {}
                // The Event to be counted has expired: a new one begins.
                (Err(RequestError::Refused { code: 404, .. }), None) => {
                    self.memory().recent.remove(&admitted.id);
                }
                (Err(error), _) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Says why an Event could not be written; whether it is worth another try. A refusal (say, a namespace that is being
/// deleted) would only be repeated.
fn tell(admitted: &Admitted, error: &RequestError) -> bool {
    let Admitted { subject, event, .. } = admitted;
    tracing::warn!(error = %error, namespace = subject.namespace, name = subject.name,
        event_reason = event.reason, "could not write an Event");
    error.may_pass()
}

impl Memory {
    /// The oldest waiting Events of different objects.
    fn take_batch(&mut self, limit: usize) -> Vec<Admitted> {
        let mut batch: Vec<Admitted> = Vec::new();
        let mut at = 0;
        while batch.len() < limit && at < self.waiting.len().min(8 * AT_ONCE) {
            let is_next = self.waiting.get(at).is_some_and(|next| {
                let earlier = batch.iter().chain(self.waiting.iter().take(at));
                { earlier }.all(|other| !other.subject.is_same_object(&next.subject))
            });
            if is_next {
                batch.extend(self.waiting.remove(at));
            } else {
                at += 1;
            }
        }
        self.being_written = batch.iter().map(|admitted| admitted.subject.clone()).collect();
        batch
    }

    /// Puts Events that could not be written back where they were, before later ones of the same objects.
    fn put_back(&mut self, unanswered: Vec<Admitted>) {
        self.being_written.clear();
        for admitted in unanswered.into_iter().rev() {
            self.waiting.push_front(admitted);
        }
    }

    /// Whether Events give way no longer: the process ends, or the oldest has waited long enough.
    fn is_pressing(&self) -> bool {
        self.is_ending || self.waiting.front().is_some_and(|oldest| oldest.since.elapsed() >= PATIENCE)
    }

    fn is_about(&self, subject: &Subject) -> bool {
        let waiting = self.waiting.iter().map(|admitted| &admitted.subject);
        waiting.chain(&self.being_written).any(|other| other.is_same_object(subject))
    }

    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.being_written.is_empty()
    }

    fn admit(&mut self, subject: &Subject, event: &Event, now: Timestamp) -> Option<Admitted> {
        let Correlated { id, message } = self.correlator.correlate(subject, event, now)?;
        let event = Event { message, ..event.clone() };
        Some(Admitted { id, subject: subject.clone(), event, at: now, since: Instant::now() })
    }

    fn plan(&mut self, admitted: &Admitted) -> Write {
        let Admitted { id, subject, event, at, .. } = admitted;
        let time = Time::new(*at).to_string();
        if let Some(known) = self.recent.get_mut(id) {
            known.count += 1;
            let patch = json!({"count": known.count, "lastTimestamp": time, "message": event.message});
            return Write::Count { name: known.name.clone(), patch };
        }
        // Names must differ even within one instant, and after a restart.
        let nanoseconds = u64::try_from(at.as_nanosecond()).unwrap_or_default();
        self.last_suffix = nanoseconds.max(self.last_suffix + 1);
        let name = format!("{}.{:x}", subject.name, self.last_suffix);
        let object = render_event(subject, event, &name, &time);
        Write::Create { name, object }
    }

    fn remember(&mut self, id: u64, name: String) {
        if self.order.len() >= REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.recent.remove(&oldest);
        }
        if self.recent.insert(id, Remembered { name, count: 1 }).is_none() {
            self.order.push_back(id);
        }
    }
}

fn render_event(subject: &Subject, event: &Event, name: &str, time: &str) -> Value {
    let type_ = match event.event_type {
        EventType::Normal => "Normal",
        EventType::Warning => "Warning",
    };
    json!({
        "apiVersion": "v1", "kind": "Event",
        "metadata": {"name": name, "namespace": subject.namespace},
        "involvedObject": {
            "apiVersion": subject.api_version, "kind": subject.kind, "namespace": subject.namespace,
            "name": subject.name, "uid": subject.uid, "resourceVersion": subject.resource_version,
        },
        "type": type_, "reason": event.reason, "message": event.message,
        "source": {"component": COMPONENT}, "reportingComponent": COMPONENT, "reportingInstance": "",
        "firstTimestamp": time, "lastTimestamp": time, "count": 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject() -> Subject {
        Subject {
            api_version: "argoproj.io/v1alpha1",
            kind: "Rollout",
            namespace: "n".into(),
            name: "web".into(),
            uid: "u".into(),
            resource_version: "9".into(),
        }
    }

    fn event(message: &str) -> Event {
        Event { event_type: EventType::Normal, reason: "RolloutPaused".into(), message: message.into() }
    }

    fn now() -> Timestamp {
        "2026-01-01T00:00:00.5Z".parse().unwrap()
    }

    fn planned(memory: &mut Memory, message: &str) -> (u64, Write) {
        let admitted = memory.admit(&subject(), &event(message), now()).unwrap();
        (admitted.id, memory.plan(&admitted))
    }

    #[test]
    fn an_event_names_its_source_object_and_time_o_400() {
        let (_, Write::Create { object, name }) = planned(&mut Memory::default(), "m") else { panic!() };
        assert_eq!(object["source"]["component"], "rollouts-controller");
        assert_eq!(object["involvedObject"]["kind"], "Rollout");
        assert_eq!(object["firstTimestamp"], "2026-01-01T00:00:00Z");
        assert_eq!((object["type"].as_str(), object["count"].as_i64()), (Some("Normal"), Some(1)));
        assert!(name.starts_with("web."));
    }

    #[test]
    fn identical_events_are_counted_and_different_ones_are_not() {
        let mut memory = Memory::default();
        let (id, Write::Create { name, .. }) = planned(&mut memory, "a") else { panic!() };
        memory.remember(id, name.clone());
        let (_, Write::Create { name: other, .. }) = planned(&mut memory, "b") else { panic!() };
        assert_ne!(name, other);
        let (_, Write::Count { patch, name: counted }) = planned(&mut memory, "a") else { panic!() };
        assert_eq!((patch["count"].as_u64(), counted), (Some(2), name));
    }

    #[test]
    fn events_of_one_object_keep_their_order_and_others_go_beside_them() {
        let mut memory = Memory::default();
        let mut wait = |name: &str, message: &str| {
            let subject = Subject { name: name.into(), ..subject() };
            let admitted = memory.admit(&subject, &event(message), now()).unwrap();
            memory.waiting.push_back(admitted);
        };
        for (name, message) in [("a", "1"), ("a", "2"), ("b", "1"), ("a", "3"), ("c", "1")] {
            wait(name, message);
        }
        let texts = |batch: &[Admitted]| -> Vec<String> {
            batch.iter().map(|one| format!("{}{}", one.subject.name, one.event.message)).collect()
        };
        let batch = memory.take_batch(AT_ONCE);
        assert_eq!(texts(&batch), ["a1", "b1", "c1"]);
        assert!(!memory.is_idle());
        memory.put_back(batch.into_iter().take(1).collect());
        assert_eq!(texts(&memory.take_batch(AT_ONCE)), ["a1"]);
        memory.put_back(Vec::new());
        assert_eq!(texts(&memory.take_batch(AT_ONCE)), ["a2"]);
        assert_eq!(texts(&memory.take_batch(AT_ONCE)), ["a3"]);
    }

    #[tokio::test(start_paused = true)]
    async fn events_give_way_to_decisions_for_a_minute_at_most_and_not_at_the_end() {
        let mut memory = Memory::default();
        let admitted = memory.admit(&subject(), &event("1"), now()).unwrap();
        memory.waiting.push_back(admitted);
        assert!(!memory.is_pressing());
        tokio::time::advance(PATIENCE).await;
        assert!(memory.is_pressing());
        assert!(Memory { is_ending: true, ..Memory::default() }.is_pressing());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut memory = Memory::default();
        for id in 0..5000 {
            memory.remember(id, "e".into());
        }
        assert_eq!((memory.recent.len(), memory.order.len()), (REMEMBERED, REMEMBERED));
    }
}
