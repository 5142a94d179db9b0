//! Kubernetes Events: exactly one write for each, none dropped, identical ones counted (O-400).

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};

use glidepath_api::Time;
use glidepath_core::plan::{Event, EventType};
use jiff::Timestamp;
use serde_json::{Value, json};

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

#[derive(Default)]
struct Memory {
    recent: HashMap<u64, Remembered>,
    order: VecDeque<u64>,
    last_suffix: u64,
    held_back: VecDeque<(Subject, Event, Timestamp)>,
}

/// Writes Events.
#[derive(Default)]
pub struct Recorder {
    memory: Mutex<Memory>,
}

enum Write {
    Create { id: u64, name: String, object: Value },
    Count { id: u64, name: String, patch: Value },
}

impl Recorder {
    /// Writes one Event; an identical one that is still remembered is counted instead. What could not be
    /// written is tried again with the next Event.
    pub async fn send(&self, server: &ApiServer, subject: &Subject, event: &Event, now: Timestamp) {
        self.send_held_back(server).await;
        if let Err(error) = self.write(server, subject, event, now).await {
            tracing::warn!(error = %error, namespace = subject.namespace, name = subject.name,
                event_reason = event.reason, "could not write an Event");
            // A refusal (say, a namespace that is being deleted) would only be repeated.
            if error.code() == 0 || error.code() >= 429 {
                self.hold_back(subject, event, now);
            }
        }
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hold_back(&self, subject: &Subject, event: &Event, now: Timestamp) {
        let mut memory = self.memory();
        if memory.held_back.len() >= HELD_BACK {
            memory.held_back.pop_front();
        }
        memory.held_back.push_back((subject.clone(), event.clone(), now));
    }

    async fn send_held_back(&self, server: &ApiServer) {
        loop {
            let Some((subject, event, at)) = self.memory().held_back.pop_front() else { return };
            if self.write(server, &subject, &event, at).await.is_err_and(|error| error.code() == 0) {
                self.memory().held_back.push_front((subject, event, at));
                return;
            }
        }
    }

    async fn write(
        &self,
        server: &ApiServer,
        subject: &Subject,
        event: &Event,
        now: Timestamp,
    ) -> Result<(), RequestError> {
        let path = collection("", "v1", "events", &subject.namespace);
        // Each turn ends in success, in an error, or in a plan that differs from the last.
        for _ in 0..3 {
            let planned = self.memory().plan(subject, event, now);
            let (id, name, outcome) = match planned {
                Write::Create { id, name, object } => (id, Some(name), server.create(&path, &object).await),
                Write::Count { id, name, patch } => {
                    (id, None, server.merge(&format!("{path}/{name}"), &patch).await)
                }
            };
            match (outcome, name) {
                (Ok(_), Some(name)) => {
                    self.memory().remember(id, name);
                    return Ok(());
                }
                (Ok(_), None) => return Ok(()),
                // The name is taken: the next one is tried.
                (Err(RequestError::Refused { code: 409, .. }), Some(_)) => {}
                // The Event to be counted has expired: a new one begins.
                (Err(RequestError::Refused { code: 404, .. }), None) => {
                    self.memory().recent.remove(&id);
                }
                (Err(error), _) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Memory {
    fn plan(&mut self, subject: &Subject, event: &Event, now: Timestamp) -> Write {
        let mut hasher = DefaultHasher::new();
        (&subject.uid, &subject.kind, &subject.name, &event.reason, &event.message).hash(&mut hasher);
        (event.event_type == EventType::Warning).hash(&mut hasher);
        let id = hasher.finish();
        let time = Time::new(now).to_string();
        if let Some(known) = self.recent.get_mut(&id) {
            known.count += 1;
            let patch = json!({"count": known.count, "lastTimestamp": time});
            return Write::Count { id, name: known.name.clone(), patch };
        }
        // Names must differ even within one instant, and after a restart.
        let nanoseconds = u64::try_from(now.as_nanosecond()).unwrap_or_default();
        self.last_suffix = nanoseconds.max(self.last_suffix + 1);
        let name = format!("{}.{:x}", subject.name, self.last_suffix);
        let object = render_event(subject, event, &name, &time);
        Write::Create { id, name, object }
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

    #[test]
    fn an_event_names_its_source_object_and_time_o_400() {
        let Write::Create { object, name, .. } = Memory::default().plan(&subject(), &event("m"), now())
        else {
            panic!()
        };
        assert_eq!(object["source"]["component"], "rollouts-controller");
        assert_eq!(object["involvedObject"]["kind"], "Rollout");
        assert_eq!(object["firstTimestamp"], "2026-01-01T00:00:00Z");
        assert_eq!((object["type"].as_str(), object["count"].as_i64()), (Some("Normal"), Some(1)));
        assert!(name.starts_with("web."));
    }

    #[test]
    fn identical_events_are_counted_and_different_ones_are_not() {
        let mut memory = Memory::default();
        let Write::Create { id, name, .. } = memory.plan(&subject(), &event("a"), now()) else { panic!() };
        memory.remember(id, name.clone());
        let Write::Create { name: other, .. } = memory.plan(&subject(), &event("b"), now()) else { panic!() };
        assert_ne!(name, other);
        let Write::Count { patch, name: counted, .. } = memory.plan(&subject(), &event("a"), now()) else {
            panic!()
        };
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
