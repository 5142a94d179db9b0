//! A Pod's state in one word, as `kubectl get pod` says it (O-049).

use glidepath_api::Pod;
use serde_json::Value;

/// What is shown of a Pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodState {
    /// State in one word.
    pub status: String,
    /// Ready containers.
    pub ready: usize,
    /// All containers.
    pub total: usize,
    /// Restarts: of init containers while initialising, of containers afterwards.
    pub restarts: i64,
}

/// Reads a Pod's state.
#[must_use]
pub fn pod_state(pod: &Pod) -> PodState {
    let total = list(&pod.spec, "containers").len();
    let phase = text(&pod.status, "phase");
    let reason = text(&pod.status, "reason");
    let mut state = PodState {
        status: if reason.is_empty() { phase } else { reason }.to_owned(),
        total,
        ..PodState::default()
    };
    if !read_init_containers(pod, &mut state) {
        read_containers(pod, &mut state);
    }
    if pod.metadata.is_deleting() {
        let lost = text(&pod.status, "reason") == "NodeLost";
        state.status = if lost { "Unknown" } else { "Terminating" }.to_owned();
    }
    state
}

/// True if an init container is not done; then the state and restarts are about init containers.
fn read_init_containers(pod: &Pod, state: &mut PodState) -> bool {
    let specs = list(&pod.spec, "initContainers");
    let is_sidecar = |name: &str| {
        specs.iter().any(|spec| text(spec, "name") == name && text(spec, "restartPolicy") == "Always")
    };
    for (index, container) in list(&pod.status, "initContainerStatuses").iter().enumerate() {
        state.restarts += container["restartCount"].as_i64().unwrap_or(0);
        let (terminated, waiting) = (&container["state"]["terminated"], &container["state"]["waiting"]);
        if terminated.is_object() {
            if exit_code(terminated) == 0 {
                continue;
            }
            state.status = format!("Init:{}", ended_as(terminated));
            return true;
        }
        let started = container["started"].as_bool() == Some(true);
        if started && is_sidecar(text(container, "name")) {
            if container["ready"].as_bool() == Some(true) {
                continue;
            }
            // A started sidecar that is not ready stops the search, yet does not count as initialising.
            return false;
        }
        let why = text(waiting, "reason");
        state.status = if why.is_empty() || why == "PodInitializing" {
            format!("Init:{index}/{}", specs.len())
        } else {
            format!("Init:{why}")
        };
        return true;
    }
    false
}

fn read_containers(pod: &Pod, state: &mut PodState) {
    state.restarts = 0;
    let mut has_running = false;
    for container in list(&pod.status, "containerStatuses").iter().rev() {
        state.restarts += container["restartCount"].as_i64().unwrap_or(0);
        let now = &container["state"];
        let waiting = text(&now["waiting"], "reason");
        if !waiting.is_empty() {
            waiting.clone_into(&mut state.status);
        } else if now["terminated"].is_object() {
            state.status = ended_as(&now["terminated"]);
        } else if container["ready"].as_bool() == Some(true) && now["running"].is_object() {
            has_running = true;
            state.ready += 1;
        }
    }
    if state.status == "Completed" && has_running {
        "Running".clone_into(&mut state.status);
    }
}

fn ended_as(terminated: &Value) -> String {
    let reason = text(terminated, "reason");
    if !reason.is_empty() {
        return reason.to_owned();
    }
    match terminated["signal"].as_i64() {
        Some(signal) if signal != 0 => format!("Signal:{signal}"),
        _ => format!("ExitCode:{}", exit_code(terminated)),
    }
}

fn exit_code(terminated: &Value) -> i64 {
    terminated["exitCode"].as_i64().unwrap_or(0)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(pod: Value) -> (String, String, i64) {
        let state = pod_state(&serde_json::from_value(pod).unwrap());
        (state.status, format!("{}/{}", state.ready, state.total), state.restarts)
    }

    #[test]
    fn a_pod_is_described_as_kubectl_does_o_049() {
        let running = json!({"ready": true, "state": {"running": {}}});
        let one = json!({"containers": [{"name": "a"}]});
        let two = json!({"containers": [{"name": "a"}, {"name": "b"}]});
        let init = json!({"containers": [{"name": "a"}], "initContainers": [{"name": "i"}, {"name": "j"}]});
        let sidecar = json!({"containers": [{"name": "a"}], "initContainers": [{"name": "i", "restartPolicy": "Always"}]});
        let status = |phase: &str, statuses: Value| json!({"phase": phase, "containerStatuses": statuses});
        let starting = |statuses: Value| json!({"phase": "Pending", "initContainerStatuses": statuses});
        let cases = [
            (json!({"spec": one, "status": {"phase": "Pending"}}), "Pending", "0/1", 0),
            (json!({"spec": one, "status": {"phase": "Failed", "reason": "Evicted"}}), "Evicted", "0/1", 0),
            (json!({"spec": one, "status": status("Running", json!([running]))}), "Running", "1/1", 0),
            (
                json!({"spec": two, "status": status("Running", json!([
                    {"restartCount": 2, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}, running]))}),
                "CrashLoopBackOff",
                "1/2",
                2,
            ),
            (
                json!({"spec": one, "status": status("Running", json!([{"state": {"terminated": {"exitCode": 3}}}]))}),
                "ExitCode:3",
                "0/1",
                0,
            ),
            (
                json!({"spec": one, "status": status("Running", json!([
                    {"state": {"terminated": {"exitCode": 137, "signal": 9}}}]))}),
                "Signal:9",
                "0/1",
                0,
            ),
            (
                json!({"spec": two, "status": status("Running", json!([
                    {"state": {"terminated": {"reason": "Completed"}}}, running]))}),
                "Running",
                "1/2",
                0,
            ),
            (
                json!({"spec": init, "status": starting(json!([
                    {"state": {"terminated": {"exitCode": 0}}}, {"state": {"waiting": {"reason": "PodInitializing"}}}]))}),
                "Init:1/2",
                "0/1",
                0,
            ),
            (
                json!({"spec": init, "status": starting(json!([
                    {"restartCount": 4, "state": {"terminated": {"exitCode": 2}}}]))}),
                "Init:ExitCode:2",
                "0/1",
                4,
            ),
            (
                json!({"spec": init, "status": starting(json!([{"state": {"waiting": {"reason": "ErrImagePull"}}}]))}),
                "Init:ErrImagePull",
                "0/1",
                0,
            ),
            (
                json!({"spec": sidecar, "status": {"phase": "Running",
                    "initContainerStatuses": [{"name": "i", "started": true, "ready": true, "state": {"running": {}}}],
                    "containerStatuses": [running]}}),
                "Running",
                "1/1",
                0,
            ),
            (
                json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}, "spec": one,
                       "status": status("Running", json!([running]))}),
                "Terminating",
                "1/1",
                0,
            ),
            (
                json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}, "spec": one,
                       "status": {"phase": "Running", "reason": "NodeLost"}}),
                "Unknown",
                "0/1",
                0,
            ),
        ];
        for (pod, status, ready, restarts) in cases {
            assert_eq!(shown(pod.clone()), (status.to_owned(), ready.to_owned(), restarts), "{pod}");
        }
    }
}
