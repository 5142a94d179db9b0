//! Kubernetes Events: one write for each that the correlator admits, identical ones counted (O-400).

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use glidepath_api::Time;
use glidepath_core::plan::{Event, EventType};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::correlator::{Correlated, Correlator};
use crate::resource::collection;
use crate::server::{ApiServer, RequestError};

/// Component that Events name as their source.
pub const COMPONENT: &str = "rollouts-controller";
/// How many recent Events are remembered for counting identical ones.
const REMEMBERED: usize = 2048;
/// How many Events that could not be written are kept for another try.
const HELD_BACK: usize = 512;

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
}

#[derive(Default)]
struct Memory {
    correlator: Correlator,
    recent: HashMap<u64, Remembered>,
    order: VecDeque<u64>,
    last_suffix: u64,
    held_back: VecDeque<Admitted>,
}

/// Writes Events.
#[derive(Default)]
pub struct Recorder {
    memory: Mutex<Memory>,
}

enum Write {
    Create { name: String, object: Value },
    Count { name: String, patch: Value },
}

impl Recorder {
    /// Writes one Event; an identical one that is still remembered is counted instead, and what exceeds the
    /// object's allowance is not written (O-400). What could not be written is tried again with the next Event.
    pub async fn send(&self, server: &ApiServer, subject: &Subject, event: &Event, now: Timestamp) {
        self.send_held_back(server).await;
        let Some(admitted) = self.memory().admit(subject, event, now) else { return };
        if let Err(error) = self.write(server, &admitted).await {
            tracing::warn!(error = %error, namespace = subject.namespace, name = subject.name,
                event_reason = event.reason, "could not write an Event");
            // A refusal (say, a namespace that is being deleted) would only be repeated.
            if error.code() == 0 || error.code() >= 429 {
                self.hold_back(admitted);
            }
        }
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hold_back(&self, admitted: Admitted) {
        let mut memory = self.memory();
        if memory.held_back.len() >= HELD_BACK {
            memory.held_back.pop_front();
        }
        memory.held_back.push_back(admitted);
    }

    async fn send_held_back(&self, server: &ApiServer) {
        loop {
            let Some(admitted) = self.memory().held_back.pop_front() else { return };
            if self.write(server, &admitted).await.is_err_and(|error| error.code() == 0) {
                self.memory().held_back.push_front(admitted);
                return;
            }
        }
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

impl Memory {
    fn admit(&mut self, subject: &Subject, event: &Event, now: Timestamp) -> Option<Admitted> {
        let Correlated { id, message } = self.correlator.correlate(subject, event, now)?;
        let event = Event { message, ..event.clone() };
        Some(Admitted { id, subject: subject.clone(), event, at: now })
    }

    fn plan(&mut self, admitted: &Admitted) -> Write {
        let Admitted { id, subject, event, at } = admitted;
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
    fn what_is_remembered_is_bounded() {
        let mut memory = Memory::default();
        for id in 0..5000 {
            memory.remember(id, "e".into());
        }
        assert_eq!((memory.recent.len(), memory.order.len()), (REMEMBERED, REMEMBERED));
    }
}
