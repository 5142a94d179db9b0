//! The row of a pod: how many containers are ready, and one word for how it fares.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::age;
use crate::document::{self, text};

/// Name, ready, status, restarts, age and the wide cells.
pub(super) fn cells(pod: &Value, now: Timestamp) -> Vec<Value> {
    let mut state = State::default();
    let total = list(pod, "/spec/containers").len()
        + list(pod, "/spec/initContainers")
            .iter()
            .filter(|one| text(one, "/restartPolicy") == "Always")
            .count();
    state.reason = text(pod, "/status/phase").to_owned();
    if !text(pod, "/status/reason").is_empty() {
        state.reason = text(pod, "/status/reason").to_owned();
    }
    if let Some(scheduled) = condition(pod, "PodScheduled")
        && text(scheduled, "/reason") == "SchedulingGated"
    {
        state.reason = "SchedulingGated".into();
    }
    let initializing = state.read_init_containers(pod);
    let initialized = condition(pod, "Initialized").is_some_and(|one| text(one, "/status") == "True");
    if !initializing || initialized {
        state.read_containers(pod);
    }
    let finished = matches!(text(pod, "/status/phase"), "Succeeded" | "Failed");
    if document::is_being_deleted(pod) {
        if text(pod, "/status/reason") == "NodeLost" {
            state.reason = "Unknown".into();
        } else if !finished {
            state.reason = "Terminating".into();
        }
    }
    let restarts = match &state.last_restart {
        Some(at) if state.restarts > 0 => format!("{} ({} ago)", state.restarts, age::since(at, now)),
        _ => state.restarts.to_string(),
    };
    let or_none = |value: &str| if value.is_empty() { "<none>".to_owned() } else { value.to_owned() };
    vec![
        json!(document::name(pod)),
        json!(format!("{}/{total}", state.ready)),
        json!(state.reason),
        json!(restarts),
        json!(super::age_of(pod, now)),
        json!(or_none(text(pod, "/status/podIP"))),
        json!(or_none(text(pod, "/spec/nodeName"))),
        json!(or_none(text(pod, "/status/nominatedNodeName"))),
        json!(readiness_gates(pod)),
    ]
}

#[derive(Default)]
struct State {
    reason: String,
    restarts: i64,
    ready: usize,
    last_restart: Option<String>,
}

impl State {
    fn note_restarts(&mut self, status: &Value) {
        self.restarts += status.get("restartCount").and_then(Value::as_i64).unwrap_or(0);
        let at = text(status, "/lastState/terminated/finishedAt");
        if !at.is_empty() && self.last_restart.as_deref().is_none_or(|last| last < at) {
            self.last_restart = Some(at.to_owned());
        }
    }

    /// Says whether init containers are still at work.
    fn read_init_containers(&mut self, pod: &Value) -> bool {
        let specs = list(pod, "/spec/initContainers");
        for (index, status) in list(pod, "/status/initContainerStatuses").iter().enumerate() {
            self.note_restarts(status);
            let sidecar = specs.iter().any(|spec| {
                text(spec, "/name") == text(status, "/name") && text(spec, "/restartPolicy") == "Always"
            });
            let flag = |pointer: &str| status.pointer(pointer) == Some(&json!(true));
            if let Some(ended) = status.pointer("/state/terminated") {
                if ended.get("exitCode").and_then(Value::as_i64) == Some(0) {
                    continue;
                }
                self.reason = format!("Init:{}", ended_reason(ended));
            } else if sidecar && flag("/started") {
                if flag("/ready") {
                    self.ready += 1;
                }
                continue;
            } else {
                let waiting = text(status, "/state/waiting/reason");
                self.reason = if waiting.is_empty() || waiting == "PodInitializing" {
                    format!("Init:{index}/{}", specs.len())
                } else {
                    format!("Init:{waiting}")
                };
            }
            return true;
        }
        false
    }

    fn read_containers(&mut self, pod: &Value) {
        let mut has_running = false;
        self.restarts = 0;
        for status in list(pod, "/status/containerStatuses").iter().rev() {
            self.note_restarts(status);
            let waiting = text(status, "/state/waiting/reason");
            if !waiting.is_empty() {
                self.reason = waiting.to_owned();
            } else if let Some(ended) = status.pointer("/state/terminated") {
                self.reason = ended_reason(ended);
            } else if status.get("ready") == Some(&json!(true)) && status.pointer("/state/running").is_some()
            {
                has_running = true;
                self.ready += 1;
            }
        }
        if self.reason == "Completed" && has_running {
            let ready = condition(pod, "Ready").is_some_and(|one| text(one, "/status") == "True");
            self.reason = if ready { "Running" } else { "NotReady" }.into();
        }
    }
}

fn ended_reason(ended: &Value) -> String {
    let reason = text(ended, "/reason");
    if !reason.is_empty() {
        return reason.to_owned();
    }
    let number = |key: &str| ended.get(key).and_then(Value::as_i64).unwrap_or(0);
    match number("signal") {
        0 => format!("ExitCode:{}", number("exitCode")),
        signal => format!("Signal:{signal}"),
    }
}

fn readiness_gates(pod: &Value) -> String {
    let gates = list(pod, "/spec/readinessGates");
    if gates.is_empty() {
        return "<none>".into();
    }
    let open = gates
        .iter()
        .filter(|gate| {
            condition(pod, text(gate, "/conditionType")).is_some_and(|one| text(one, "/status") == "True")
        })
        .count();
    format!("{open}/{}", gates.len())
}

fn condition<'a>(pod: &'a Value, kind: &str) -> Option<&'a Value> {
    list(pod, "/status/conditions").iter().find(|one| text(one, "/type") == kind)
}

fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
