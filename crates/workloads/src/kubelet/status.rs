//! What a pod's status says, computed from what a kubelet observed of its containers. Pure, and shared by
//! both kubelets; phases, condition reasons and messages are worded as the real kubelet words them.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::script::full_image_name;
use crate::object::{Object, api_time, text};

/// The part a container plays in its pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Runs to completion before the others start.
    Init,
    /// An init container with `restartPolicy: Always`: starts in order, keeps running.
    Sidecar,
    /// An ordinary container.
    Main,
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Exit code; 128 plus the signal number when a signal ended it.
    pub exit_code: i32,
    /// `Completed`, `Error`, `StartError` and the like.
    pub reason: String,
    /// Detail, if any.
    pub message: Option<String>,
    /// When the run began.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
}

impl Ending {
    /// The ending of a process that exited by itself or by a signal.
    #[must_use]
    pub fn exited(exit_code: i32, started: Timestamp, finished: Timestamp) -> Self {
        let reason = if exit_code == 0 { "Completed" } else { "Error" };
        Self { exit_code, reason: reason.to_owned(), message: None, started, finished }
    }
}

/// The state of one container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Not running, with a CamelCase reason.
    Waiting {
        /// Such as `ContainerCreating`.
        reason: &'static str,
        /// Detail; may be empty.
        message: String,
    },
    /// Running.
    Running {
        /// Since when.
        started: Timestamp,
    },
    /// Ended and not about to be restarted.
    Terminated(Ending),
}

impl State {
    /// Waiting without a message.
    #[must_use]
    pub fn waiting(reason: &'static str) -> Self {
        Self::Waiting { reason, message: String::new() }
    }
}

/// What a kubelet knows of one container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Name in the pod's spec.
    pub name: String,
    /// Image in the pod's spec.
    pub image: String,
    /// Its part in the pod.
    pub role: Role,
    /// Its state now.
    pub state: State,
    /// How its previous run ended.
    pub last: Option<Ending>,
    /// How often it was restarted.
    pub restarts: u32,
    /// Whether it is running and its readiness probe passes.
    pub ready: bool,
    /// Whether it is running and past its start-up probe and post-start hook.
    pub started: bool,
}

impl Observed {
    fn succeeded(&self) -> bool {
        matches!(&self.state, State::Terminated(ending) if ending.exit_code == 0)
    }

    /// Whether it is still being made, for the first time.
    #[must_use]
    pub fn is_new(&self) -> bool {
        let is_making =
            matches!(self.state, State::Waiting { reason: "ContainerCreating" | "PodInitializing", .. });
        is_making && self.last.is_none()
    }

    fn initialized(&self) -> bool {
        match self.role {
            Role::Init => self.succeeded(),
            Role::Sidecar => self.started,
            Role::Main => true,
        }
    }
}

/// Everything a kubelet knows of one pod.
#[derive(Clone, Debug, PartialEq)]
pub struct PodFacts {
    /// Its containers, init containers first, in the order of the spec.
    pub containers: Vec<Observed>,
    /// When the kubelet took it up.
    pub start_time: Timestamp,
    /// Its address, once there is something for containers to start in.
    pub pod_ip: Option<String>,
    /// The node's address.
    pub host_ip: String,
    /// Set when the kubelet failed the whole pod: reason and message.
    pub failed: Option<(&'static str, String)>,
}

impl PodFacts {
    /// Whether an ordinary container has ever been started; from then on the pod counts as initialized.
    fn has_begun(&self) -> bool {
        let mut mains = self.containers.iter().filter(|container| container.role == Role::Main);
        mains.any(|container| container.last.is_some() || !matches!(container.state, State::Waiting { .. }))
    }
}

/// The whole status of a pod. Conditions that others own (readiness gates, disruption) stay as they are.
#[must_use]
pub fn plan_pod_status(pod: &Object, facts: &PodFacts, now: Timestamp) -> Value {
    let phase = plan_phase(pod, facts);
    let mut status = json!({
        "phase": phase,
        "conditions": plan_conditions(pod, facts, phase, now),
        "hostIP": facts.host_ip,
        "hostIPs": [{"ip": facts.host_ip}],
        "startTime": api_time(facts.start_time),
        "qosClass": qos_class(pod),
        "containerStatuses": container_statuses(facts, |role| role == Role::Main),
        "reason": facts.failed.as_ref().map(|(reason, _)| *reason),
        "message": facts.failed.as_ref().map(|(_, message)| message.as_str()),
    });
    // As with a real kubelet the address shows with the first container that has been made, or could not be.
    let is_begun = facts.containers.iter().any(|container| !container.is_new());
    if let Some(ip) = facts.pod_ip.as_ref().filter(|_| is_begun) {
        status["podIP"] = json!(ip);
        status["podIPs"] = json!([{"ip": ip}]);
    }
    if pod.generation() > 0 {
        status["observedGeneration"] = json!(pod.generation());
    }
    let init = container_statuses(facts, |role| role != Role::Main);
    if !init.is_empty() {
        status["initContainerStatuses"] = Value::Array(init);
    }
    status
}

/// The pod's phase from its containers' states and its restart policy.
#[must_use]
pub fn plan_phase(pod: &Object, facts: &PodFacts) -> &'static str {
    if facts.failed.is_some() {
        return "Failed";
    }
    let policy = pod.text("/spec/restartPolicy").unwrap_or("Always");
    let uninitialized = facts.containers.iter().find(|container| !container.initialized());
    if let Some(container) = uninitialized.filter(|_| !facts.has_begun()) {
        let failed = matches!(&container.state, State::Terminated(ending) if ending.exit_code != 0);
        return if failed && policy == "Never" && container.role == Role::Init {
            "Failed"
        } else {
            "Pending"
        };
    }
    let (mut waiting, mut running, mut stopped, mut succeeded) = (0, 0, 0, 0);
    for container in facts.containers.iter().filter(|container| container.role == Role::Main) {
        match &container.state {
            State::Running { .. } => running += 1,
            State::Terminated(ending) => {
                stopped += 1;
                succeeded += usize::from(ending.exit_code == 0);
            }
            State::Waiting { .. } if container.last.is_some() => stopped += 1,
            State::Waiting { .. } => waiting += 1,
        }
    }
    if pod.is_deleting() && running == 0 && stopped > 0 {
        // Nothing is restarted any more, whatever the policy says.
        return if stopped == succeeded && waiting == 0 { "Succeeded" } else { "Failed" };
    }
    // Sidecars that still run keep a pod from being over.
    let accompanied = facts
        .containers
        .iter()
        .any(|container| container.role == Role::Sidecar && matches!(container.state, State::Running { .. }));
    if waiting > 0 {
        "Pending"
    } else if running > 0 {
        "Running"
    } else if stopped == 0 {
        "Pending"
    } else if policy == "Always" || accompanied {
        "Running"
    } else if stopped == succeeded {
        "Succeeded"
    } else if policy == "Never" {
        "Failed"
    } else {
        "Running"
    }
}

struct Verdict {
    kind: &'static str,
    status: bool,
    reason: Option<&'static str>,
    message: Option<String>,
}

fn plan_conditions(pod: &Object, facts: &PodFacts, phase: &str, now: Timestamp) -> Vec<Value> {
    let containers_ready = containers_ready(facts, phase);
    let verdicts = [
        Verdict {
            kind: "PodReadyToStartContainers",
            status: facts.pod_ip.is_some() && !matches!(phase, "Succeeded" | "Failed"),
            reason: None,
            message: None,
        },
        initialized(facts, phase),
        ready(pod, &containers_ready),
        containers_ready,
        Verdict { kind: "PodScheduled", status: true, reason: None, message: None },
    ];
    let ours = |kind: &str| verdicts.iter().any(|verdict| verdict.kind == kind);
    // Those of others come first, as a real kubelet writes them.
    let mut conditions: Vec<Value> =
        pod.list("/status/conditions").iter().filter(|old| !ours(text(old, "type"))).cloned().collect();
    if let Some(("Evicted", message)) = &facts.failed
        && pod.condition("DisruptionTarget").is_none()
    {
        let disrupted = Verdict {
            kind: "DisruptionTarget",
            status: true,
            reason: Some("TerminationByKubelet"),
            message: Some(message.clone()),
        };
        conditions.push(render_condition(pod, &disrupted, now));
    }
    conditions.extend(verdicts.iter().map(|verdict| render_condition(pod, verdict, now)));
    conditions
}

fn render_condition(pod: &Object, verdict: &Verdict, now: Timestamp) -> Value {
    let status = if verdict.status { "True" } else { "False" };
    let old = pod.condition(verdict.kind).filter(|old| text(old, "status") == status);
    let since = old.map_or_else(|| api_time(now), |old| text(old, "lastTransitionTime").to_owned());
    let mut condition =
        json!({"type": verdict.kind, "status": status, "lastProbeTime": null, "lastTransitionTime": since});
    if let Some(reason) = verdict.reason {
        condition["reason"] = json!(reason);
    }
    if let Some(message) = &verdict.message {
        condition["message"] = json!(message);
    }
    if pod.generation() > 0 {
        condition["observedGeneration"] = json!(pod.generation());
    }
    condition
}

fn initialized(facts: &PodFacts, phase: &str) -> Verdict {
    let incomplete: Vec<&str> = facts
        .containers
        .iter()
        .filter(|container| !container.initialized())
        .map(|container| container.name.as_str())
        .collect();
    let verdict = |status, reason, message| Verdict { kind: "Initialized", status, reason, message };
    if phase == "Succeeded" {
        return verdict(true, Some("PodCompleted"), None);
    }
    if incomplete.is_empty() || facts.has_begun() {
        return verdict(true, None, None);
    }
    let message = format!("containers with incomplete status: [{}]", incomplete.join(" "));
    verdict(false, Some("ContainersNotInitialized"), Some(message))
}

fn containers_ready(facts: &PodFacts, phase: &str) -> Verdict {
    let verdict = |status, reason, message| Verdict { kind: "ContainersReady", status, reason, message };
    match phase {
        "Succeeded" => return verdict(false, Some("PodCompleted"), None),
        "Failed" => return verdict(false, Some("PodFailed"), None),
        _ => {}
    }
    let unready: Vec<&str> = facts
        .containers
        .iter()
        .filter(|container| container.role != Role::Init && !container.ready)
        .map(|container| container.name.as_str())
        .collect();
    if unready.is_empty() {
        return verdict(true, None, None);
    }
    verdict(
        false,
        Some("ContainersNotReady"),
        Some(format!("containers with unready status: [{}]", unready.join(" "))),
    )
}

fn ready(pod: &Object, containers_ready: &Verdict) -> Verdict {
    let verdict = |status, reason, message| Verdict { kind: "Ready", status, reason, message };
    if !containers_ready.status {
        return verdict(false, containers_ready.reason, containers_ready.message.clone());
    }
    let unmet: Vec<String> = pod
        .list("/spec/readinessGates")
        .iter()
        .map(|gate| text(gate, "conditionType"))
        .filter_map(|gate| match pod.condition(gate).map(|condition| text(condition, "status")) {
            Some("True") => None,
            Some(status) => {
                Some(format!("the status of pod readiness gate \"{gate}\" is not \"True\", but {status}"))
            }
            None => Some(format!("corresponding condition of pod readiness gate \"{gate}\" does not exist.")),
        })
        .collect();
    if unmet.is_empty() {
        return verdict(true, None, None);
    }
    verdict(false, Some("ReadinessGatesNotReady"), Some(unmet.join(", ")))
}

fn container_statuses(facts: &PodFacts, wanted: impl Fn(Role) -> bool) -> Vec<Value> {
    facts.containers.iter().filter(|container| wanted(container.role)).map(render_container).collect()
}

fn render_container(container: &Observed) -> Value {
    let running = matches!(container.state, State::Running { .. });
    let ran = running || container.last.is_some() || matches!(container.state, State::Terminated(_));
    let mut status = json!({
        "name": container.name,
        "image": if ran { full_image_name(&container.image) } else { container.image.clone() },
        "imageID": if ran { format!("sandbox.glidepath.dev/{}", container.image) } else { String::new() },
        "state": render_state(&container.state),
        "lastState": container.last.as_ref().map_or_else(|| json!({}), |last| json!({"terminated": render_ending(last)})),
        "restartCount": container.restarts,
        "ready": container.ready || (container.role == Role::Init && container.succeeded()),
        "started": container.started && running,
    });
    if ran {
        status["containerID"] = json!(format!("sandbox://{}/{}", container.name, container.restarts));
    }
    status
}

fn render_state(state: &State) -> Value {
    match state {
        State::Waiting { reason, message } if message.is_empty() => json!({"waiting": {"reason": reason}}),
        State::Waiting { reason, message } => json!({"waiting": {"reason": reason, "message": message}}),
        State::Running { started } => json!({"running": {"startedAt": api_time(*started)}}),
        State::Terminated(ending) => json!({"terminated": render_ending(ending)}),
    }
}

fn render_ending(ending: &Ending) -> Value {
    // Of a container that was never found nobody knows when it ran.
    let known = |at: Timestamp| {
        if ending.reason == "ContainerStatusUnknown" { Value::Null } else { json!(api_time(at)) }
    };
    let mut value = json!({
        "exitCode": ending.exit_code,
        "reason": ending.reason,
        "startedAt": known(ending.started),
        "finishedAt": known(ending.finished),
    });
    if let Some(message) = &ending.message {
        value["message"] = json!(message);
    }
    value
}

/// `Guaranteed`, `Burstable` or `BestEffort`, from the containers' requests and limits.
fn qos_class(pod: &Object) -> &'static str {
    let containers = pod.list("/spec/containers");
    let amounts = |container: &Value, kind: &str, name: &str| {
        container.pointer(&format!("/resources/{kind}/{name}")).cloned()
    };
    let any = containers.iter().any(|container| {
        ["requests", "limits"]
            .iter()
            .any(|kind| ["cpu", "memory"].iter().any(|name| amounts(container, kind, name).is_some()))
    });
    let guaranteed = containers.iter().all(|container| {
        ["cpu", "memory"].iter().all(|name| {
            let limit = amounts(container, "limits", name);
            limit.is_some()
                && amounts(container, "requests", name).is_none_or(|request| Some(request) == limit)
        })
    });
    if !any {
        "BestEffort"
    } else if guaranteed {
        "Guaranteed"
    } else {
        "Burstable"
    }
}

/// Reads back how a container fared from a status, for a kubelet that starts with pods already there.
#[must_use]
pub fn parse_container(status: &Value, role: Role) -> Option<Observed> {
    let time = |value: &Value, field: &str| text(value, field).parse::<Timestamp>().ok();
    let ending = |value: &Value| {
        Some(Ending {
            exit_code: i32::try_from(value.get("exitCode")?.as_i64()?).ok()?,
            reason: text(value, "reason").to_owned(),
            message: value.get("message").and_then(Value::as_str).map(str::to_owned),
            started: time(value, "startedAt").unwrap_or(Timestamp::UNIX_EPOCH),
            finished: time(value, "finishedAt").unwrap_or(Timestamp::UNIX_EPOCH),
        })
    };
    let state = status.get("state")?;
    let state = if let Some(running) = state.get("running") {
        State::Running { started: time(running, "startedAt")? }
    } else if let Some(terminated) = state.get("terminated") {
        State::Terminated(ending(terminated)?)
    } else {
        State::waiting("ContainerCreating")
    };
    Some(Observed {
        name: text(status, "name").to_owned(),
        image: text(status, "image").to_owned(),
        role,
        state,
        last: status.pointer("/lastState/terminated").and_then(ending),
        restarts: status
            .get("restartCount")
            .and_then(Value::as_u64)
            .and_then(|count| u32::try_from(count).ok())
            .unwrap_or(0),
        ready: status.get("ready").and_then(Value::as_bool).unwrap_or(false),
        started: status.get("started").and_then(Value::as_bool).unwrap_or(false),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn container(name: &str, role: Role, state: State) -> Observed {
        let ready = matches!(state, State::Running { .. });
        Observed {
            name: name.to_owned(),
            image: "web:1".to_owned(),
            role,
            state,
            last: None,
            restarts: 0,
            ready,
            started: ready,
        }
    }

    fn running() -> State {
        State::Running { started: at("2026-01-01T00:00:01Z") }
    }

    fn ended(exit_code: i32) -> State {
        State::Terminated(Ending::exited(exit_code, at("2026-01-01T00:00:01Z"), at("2026-01-01T00:00:02Z")))
    }

    fn facts(containers: Vec<Observed>) -> PodFacts {
        PodFacts {
            containers,
            start_time: at("2026-01-01T00:00:00Z"),
            pod_ip: Some("10.244.0.2".to_owned()),
            host_ip: "10.0.0.1".to_owned(),
            failed: None,
        }
    }

    fn pod(policy: &str) -> Object {
        json!({"metadata": {"generation": 2}, "spec": {"restartPolicy": policy, "containers": [{"name": "a"}]}}).into()
    }

    #[test]
    fn the_phase_follows_from_container_states_and_restart_policy() {
        let waiting = || State::waiting("ContainerCreating");
        let crashed = || {
            let mut container = container("a", Role::Main, State::waiting("CrashLoopBackOff"));
            container.last = Some(Ending::exited(1, at("2026-01-01T00:00:01Z"), at("2026-01-01T00:00:02Z")));
            container
        };
        let main = |state| container("a", Role::Main, state);
        let init = |state| container("i", Role::Init, state);
        let table = [
            ("waiting", "Always", vec![main(waiting())], "Pending"),
            ("running", "Always", vec![main(running())], "Running"),
            ("one waiting", "Always", vec![main(running()), main(waiting())], "Pending"),
            ("crash loop", "Always", vec![crashed()], "Running"),
            ("exit 0 under Always", "Always", vec![main(ended(0))], "Running"),
            ("exit 0", "Never", vec![main(ended(0))], "Succeeded"),
            ("exit 1", "Never", vec![main(ended(1))], "Failed"),
            ("exit 1 retried", "OnFailure", vec![crashed()], "Running"),
            (
                "a sidecar still runs",
                "Never",
                vec![container("s", Role::Sidecar, running()), main(ended(0))],
                "Running",
            ),
            ("one still runs", "Never", vec![main(ended(1)), main(running())], "Running"),
            ("init runs", "Always", vec![init(running()), main(waiting())], "Pending"),
            ("init failed", "Never", vec![init(ended(1)), main(waiting())], "Failed"),
            ("init failed, retried", "Always", vec![init(ended(1)), main(waiting())], "Pending"),
            ("init done", "Always", vec![init(ended(0)), main(running())], "Running"),
        ];
        for (case, policy, containers, expected) in table {
            assert_eq!(plan_phase(&pod(policy), &facts(containers)), expected, "{case}");
        }
    }

    #[test]
    fn conditions_are_worded_as_a_real_kubelet_words_them() {
        let now = at("2026-01-01T00:00:09Z");
        let unready = {
            let mut container = container("a", Role::Main, running());
            container.ready = false;
            container
        };
        let gated: Object =
            json!({"spec": {"readinessGates": [{"conditionType": "lb"}, {"conditionType": "dns"}]},
            "status": {"conditions": [{"type": "dns", "status": "False"}]}})
            .into();
        let table = [
            (
                pod("Always"),
                vec![unready],
                "Ready",
                "False",
                "ContainersNotReady",
                "containers with unready status: [a]",
            ),
            (pod("Always"), vec![container("a", Role::Main, running())], "Ready", "True", "", ""),
            (pod("Never"), vec![container("a", Role::Main, ended(0))], "Ready", "False", "PodCompleted", ""),
            (
                pod("Never"),
                vec![container("a", Role::Main, ended(3))],
                "ContainersReady",
                "False",
                "PodFailed",
                "",
            ),
            (
                pod("Never"),
                vec![container("a", Role::Main, ended(0))],
                "Initialized",
                "True",
                "PodCompleted",
                "",
            ),
            (
                pod("Always"),
                vec![
                    container("i", Role::Init, running()),
                    container("a", Role::Main, State::waiting("PodInitializing")),
                ],
                "Initialized",
                "False",
                "ContainersNotInitialized",
                "containers with incomplete status: [i]",
            ),
            (
                gated,
                vec![container("a", Role::Main, running())],
                "Ready",
                "False",
                "ReadinessGatesNotReady",
                "corresponding condition of pod readiness gate \"lb\" does not exist., the status of pod readiness gate \"dns\" is not \"True\", but False",
            ),
        ];
        for (pod, containers, kind, status, reason, message) in table {
            let written: Object = json!({"status": plan_pod_status(&pod, &facts(containers), now)}).into();
            let condition = written.condition(kind).unwrap();
            assert_eq!(
                (text(condition, "status"), text(condition, "reason"), text(condition, "message")),
                (status, reason, message)
            );
        }
    }

    #[test]
    fn conditions_keep_their_transition_time_their_order_and_those_of_others() {
        let pod: Object = json!({"spec": {}, "status": {"conditions": [
            {"type": "lb", "status": "True"},
            {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:03Z"}]}})
        .into();
        let status = plan_pod_status(
            &pod,
            &facts(vec![container("a", Role::Main, running())]),
            at("2026-01-01T00:00:09Z"),
        );
        let order: Vec<&str> = status["conditions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|condition| text(condition, "type"))
            .collect();
        assert_eq!(
            order,
            ["lb", "PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"]
        );
        assert_eq!(status["conditions"][3]["lastTransitionTime"], "2026-01-01T00:00:03Z");
        assert_eq!(status["conditions"][4]["lastTransitionTime"], "2026-01-01T00:00:09Z");
    }

    #[test]
    fn a_container_read_back_from_its_status_is_the_same() {
        let mut original = container("a", Role::Main, running());
        original.restarts = 2;
        original.last = Some(Ending::exited(7, at("2026-01-01T00:00:01Z"), at("2026-01-01T00:00:02Z")));
        let read = parse_container(&render_container(&original), Role::Main);
        // A status has the image's name in full.
        "docker.io/library/web:1".clone_into(&mut original.image);
        assert_eq!(read, Some(original));
    }

    #[test]
    fn quality_of_service_follows_from_requests_and_limits() {
        let table = [
            (json!({}), "BestEffort"),
            (json!({"requests": {"cpu": "1"}}), "Burstable"),
            (json!({"limits": {"cpu": "1", "memory": "1Gi"}}), "Guaranteed"),
            (json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1"}}), "Guaranteed"),
        ];
        for (resources, class) in table {
            let pod: Object = json!({"spec": {"containers": [{"resources": resources}]}}).into();
            assert_eq!(qos_class(&pod), class);
        }
    }
}
