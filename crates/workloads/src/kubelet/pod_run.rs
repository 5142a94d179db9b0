//! The life of one modelled pod: containers pulled, started, ended, restarted with back-off, stopped.
//! A state machine over time; it never reads a clock and never talks to anybody.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::container_run::{ContainerRun, Stage, add_std};
use super::script::{KILLED, eviction_delay, parse_script, start_delay};
use super::status::{PodFacts, Role, State, parse_container};
use crate::object::{Object, text};

/// The reason of a pod that its node had no room for.
const EVICTED: &str = "Evicted";

fn grace_of_spec(pod: &Object) -> Duration {
    let seconds = pod.at("/spec/terminationGracePeriodSeconds").and_then(serde_json::Value::as_u64);
    Duration::from_secs(seconds.unwrap_or(30))
}

/// The life of one pod.
#[derive(Debug)]
pub struct PodRun {
    start_time: Timestamp,
    containers: Vec<ContainerRun>,
    failed: Option<(&'static str, String)>,
    departure: Option<(Timestamp, Timestamp)>,
}

impl PodRun {
    /// Takes up a pod at `now`. A pod that already has container statuses goes on from them.
    #[must_use]
    pub fn new(pod: &Object, now: Timestamp) -> Self {
        let start_time = pod.time("/status/startTime").unwrap_or(now);
        let mut run = Self { start_time, containers: Vec::new(), failed: None, departure: None };
        for (list, statuses) in [
            ("/spec/initContainers", "/status/initContainerStatuses"),
            ("/spec/containers", "/status/containerStatuses"),
        ] {
            for container in pod.list(list) {
                let role = match (list, text(container, "restartPolicy")) {
                    ("/spec/containers", _) => Role::Main,
                    (_, "Always") => Role::Sidecar,
                    _ => Role::Init,
                };
                let name = text(container, "name");
                let status = pod.list(statuses).iter().find(|status| text(status, "name") == name);
                run.containers.push(ContainerRun::new(
                    pod,
                    container,
                    role,
                    status.and_then(|status| parse_container(status, role)),
                ));
            }
        }
        run
    }

    /// Reads annotations and images again; containers that run go on under the new script.
    pub fn refresh(&mut self, pod: &Object) {
        let specs = pod.list("/spec/initContainers").iter().chain(pod.list("/spec/containers"));
        for (run, container) in self.containers.iter_mut().zip(specs) {
            run.script = parse_script(pod, container);
            run.set_image(text(container, "image"));
        }
    }

    /// Lets everything happen that is due by `now`; returns when the next thing is.
    pub fn advance(&mut self, pod: &Object, now: Timestamp) -> Option<Timestamp> {
        if self.failed.is_some() {
            return None;
        }
        if let Some(next) = self.fail_whole_pod(pod, now) {
            if self.failed.is_some() {
                return None;
            }
            let other = self.advance_containers(pod, now);
            return Some(other.map_or(next, |other| other.min(next)));
        }
        self.advance_containers(pod, now)
    }

    /// Evicts the pod or ends it at its deadline; returns when that will be.
    fn fail_whole_pod(&mut self, pod: &Object, now: Timestamp) -> Option<Timestamp> {
        let after = |delay: Duration| self.start_time.checked_add(SignedDuration::try_from(delay).ok()?).ok();
        let eviction = eviction_delay(pod).and_then(after).map(|at| {
            (
                at,
                EVICTED,
                "The node was low on resource: memory. Threshold quantity: 100Mi, available: 0Ki. "
                    .to_owned(),
            )
        });
        let deadline = pod
            .at("/spec/activeDeadlineSeconds")
            .and_then(serde_json::Value::as_u64)
            .and_then(|seconds| after(Duration::from_secs(seconds)))
            .map(|at| {
                (
                    at,
                    "DeadlineExceeded",
                    "Pod was active on the node longer than the specified deadline".to_owned(),
                )
            });
        let (at, reason, message) = [eviction, deadline].into_iter().flatten().min()?;
        if at <= now && !self.is_over() {
            let grace = grace_of_spec(pod);
            for container in &mut self.containers {
                // An eviction does not wait for anybody.
                let code = if reason == EVICTED { KILLED } else { container.script.stop_code(grace) };
                container.kill(code, now);
            }
            self.failed = Some((reason, message));
        }
        Some(at).filter(|at| *at > now)
    }

    fn is_over(&self) -> bool {
        self.containers.iter().all(|container| container.stage == Stage::Ended)
    }

    fn advance_containers(&mut self, pod: &Object, now: Timestamp) -> Option<Timestamp> {
        let begins = self
            .start_time
            .checked_add(SignedDuration::try_from(start_delay(pod)).unwrap_or_default())
            .ok()?;
        if begins > now {
            return Some(begins);
        }
        let policy = pod.text("/spec/restartPolicy").unwrap_or("Always");
        let mut next: Option<Timestamp> = None;
        let mut may_start = true;
        let mains_over = self
            .containers
            .iter()
            .filter(|run| run.seen.role == Role::Main)
            .all(|run| run.stage == Stage::Ended);
        for run in &mut self.containers {
            if mains_over && run.seen.role == Role::Sidecar {
                run.kill(0, now);
                continue;
            }
            let due = run.advance(pod, policy, may_start, now);
            next = [next, due].into_iter().flatten().min();
            // Init containers go one by one; ordinary ones start together once all of those are done.
            may_start = may_start
                && match run.seen.role {
                    Role::Init => {
                        matches!(&run.seen.state, State::Terminated(ending) if ending.exit_code == 0)
                    }
                    Role::Sidecar => run.seen.started,
                    Role::Main => true,
                };
        }
        self.name_waiting_containers();
        if !mains_over
            && self
                .containers
                .iter()
                .filter(|run| run.seen.role == Role::Main)
                .all(|run| run.stage == Stage::Ended)
        {
            return Some(now);
        }
        next
    }

    fn name_waiting_containers(&mut self) {
        let initializing = self.containers.iter().any(|run| match run.seen.role {
            Role::Init => !matches!(&run.seen.state, State::Terminated(ending) if ending.exit_code == 0),
            Role::Sidecar => !run.seen.started,
            Role::Main => false,
        });
        let reason = if initializing { "PodInitializing" } else { "ContainerCreating" };
        for run in self.containers.iter_mut().filter(|run| run.is_new()) {
            run.seen.state = State::waiting(reason);
        }
    }

    /// How long the pod takes to go once asked to: pre-stop hooks, then the containers themselves, cut off
    /// by `grace`.
    #[must_use]
    pub fn stop_time(&self, grace: Duration) -> Duration {
        let running = self.containers.iter().filter(|run| matches!(run.stage, Stage::Running { .. }));
        running.map(|run| run.script.stop_time(grace)).max().unwrap_or_default()
    }

    /// When the pod has gone, decided when its deletion is first seen.
    pub fn departure(&mut self, deletion: Timestamp, grace: Duration, now: Timestamp) -> Timestamp {
        let at = match self.departure {
            // As with a real kubelet, a shorter grace given later does not hurry what stops already.
            Some((_, at)) => at,
            None => add_std(now, self.stop_time(grace)),
        };
        self.departure = Some((deletion, at));
        at
    }

    /// Whether the pod waits for its start delay.
    #[must_use]
    pub fn is_held_back(&self, pod: &Object, now: Timestamp) -> bool {
        add_std(self.start_time, start_delay(pod)) > now
    }

    /// Ends what still runs because the pod was asked to go, by SIGTERM or at the end of its grace.
    pub fn stop(&mut self, grace: Duration, now: Timestamp) {
        for run in &mut self.containers {
            run.kill(run.script.stop_code(grace), now);
        }
    }

    /// What there is to see.
    #[must_use]
    pub fn facts(&self, pod_ip: Option<String>, host_ip: &str) -> PodFacts {
        PodFacts {
            containers: self.containers.iter().map(|run| run.seen.clone()).collect(),
            start_time: self.start_time,
            pod_ip,
            host_ip: host_ip.to_owned(),
            failed: self.failed.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::container_run::add;
    use super::*;

    fn start() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    fn pod(spec: Value) -> Object {
        json!({"metadata": {"name": "p", "namespace": "n", "uid": "u"}, "spec": spec}).into()
    }

    /// Every distinct sight of the first container: seconds since the start, state, restarts, ready.
    fn story(pod: &Object, until_seconds: i64) -> Vec<String> {
        let mut run = PodRun::new(pod, start());
        let mut now = start();
        let mut lines: Vec<String> = Vec::new();
        loop {
            let next = run.advance(pod, now);
            let last = run.containers.len() - 1;
            let seen = &run.containers[last].seen;
            let state = match &seen.state {
                State::Waiting { reason, .. } => (*reason).to_owned(),
                State::Running { .. } => "Running".to_owned(),
                State::Terminated(ending) => format!("{} {}", ending.reason, ending.exit_code),
            };
            let ready = if seen.ready { " ready" } else { "" };
            let line = format!("{} {state} x{}{ready}", now.duration_since(start()).as_secs(), seen.restarts);
            if lines.last().is_none_or(|last| {
                last.split_once(' ').map(|parts| parts.1) != line.split_once(' ').map(|parts| parts.1)
            }) {
                lines.push(line);
            }
            match next.filter(|next| next.duration_since(start()).as_secs() <= until_seconds) {
                Some(next) => now = next,
                None => return lines,
            }
        }
    }

    fn one(policy: &str, container: Value) -> Object {
        let mut container = container;
        container["name"] = json!("a");
        if container.get("image").is_none() {
            container["image"] = json!("web:1");
        }
        pod(json!({"restartPolicy": policy, "containers": [container]}))
    }

    #[test]
    fn a_pods_life_follows_from_its_spec() {
        let table = [
            ("plain", one("Always", json!({})), vec!["0 Running x0 ready"]),
            (
                "probe",
                one("Always", json!({"readinessProbe": {"initialDelaySeconds": 10}})),
                vec!["0 Running x0", "10 Running x0 ready"],
            ),
            (
                "missing image",
                one("Always", json!({"image": "x:does-not-exist"})),
                vec![
                    "0 ErrImagePull x0",
                    "12 ImagePullBackOff x0",
                    "24 ErrImagePull x0",
                    "36 ImagePullBackOff x0",
                    "48 ErrImagePull x0",
                    "60 ImagePullBackOff x0",
                ],
            ),
            ("malformed image", one("Always", json!({"image": "Bad Image"})), vec!["0 InvalidImageName x0"]),
            (
                "crash loop",
                one("Always", json!({"command": ["sh", "-c", "sleep 2; exit 1"]})),
                vec![
                    "0 Running x0 ready",
                    "2 Running x1 ready",
                    "4 Error 1 x1",
                    "6 CrashLoopBackOff x1",
                    "14 Running x2 ready",
                    "16 Error 1 x2",
                    "18 CrashLoopBackOff x2",
                    "36 Running x3 ready",
                    "38 Error 1 x3",
                    "40 CrashLoopBackOff x3",
                ],
            ),
            (
                "bad command",
                one("Always", json!({"command": ["/bad-command"]})),
                vec![
                    "0 RunContainerError x0",
                    "1 RunContainerError x1",
                    "2 CrashLoopBackOff x1",
                    "12 RunContainerError x2",
                    "13 CrashLoopBackOff x2",
                    "33 RunContainerError x3",
                    "34 CrashLoopBackOff x3",
                ],
            ),
            (
                "bad command of a job",
                one("Never", json!({"command": ["/bad-command"]})),
                vec!["0 StartError 128 x0"],
            ),
            (
                "job",
                one("Never", json!({"args": ["sh", "-c", "sleep 5 && exit 1"]})),
                vec!["0 Running x0 ready", "5 Error 1 x0"],
            ),
            (
                "retried job",
                one("OnFailure", json!({"args": ["sh", "-c", "sleep 5 && exit 0"]})),
                vec!["0 Running x0 ready", "5 Completed 0 x0"],
            ),
            (
                "slow start",
                one("Always", json!({"lifecycle": {"postStart": {"exec": {"command": ["sleep", "5"]}}}})),
                vec!["0 ContainerCreating x0", "5 Running x0 ready"],
            ),
            (
                "deadline",
                pod(
                    json!({"restartPolicy": "Never", "activeDeadlineSeconds": 7, "containers": [{"name": "a", "image": "i", "command": ["sleep", "99"]}]}),
                ),
                vec!["0 Running x0 ready", "7 Error 143 x0"],
            ),
            (
                "init",
                pod(
                    json!({"initContainers": [{"name": "i", "image": "i", "command": ["sleep", "3"]}], "containers": [{"name": "a", "image": "i"}]}),
                ),
                vec!["0 PodInitializing x0", "3 Running x0 ready"],
            ),
            (
                "failing init",
                pod(
                    json!({"restartPolicy": "Never", "initContainers": [{"name": "i", "image": "i", "command": ["false"]}], "containers": [{"name": "a", "image": "i"}]}),
                ),
                vec!["0 PodInitializing x0"],
            ),
        ];
        for (case, pod, expected) in table {
            assert_eq!(story(&pod, 60), expected, "{case}");
        }
    }

    #[test]
    fn a_pod_takes_as_long_to_go_as_its_hooks_and_grace_say() {
        let grace = Duration::from_secs(30);
        let hook = json!({"lifecycle": {"preStop": {"exec": {"command": ["sleep", "5"]}}}});
        let long_hook = json!({"lifecycle": {"preStop": {"sleep": {"seconds": 90}}}});
        let deaf: Object = json!({"metadata": {"annotations": {"sandbox.glidepath.dev/ignore-term": "true"}},
            "spec": {"containers": [{"name": "a", "image": "i"}]}})
        .into();
        let table = [
            (one("Always", json!({})), 0),
            (one("Always", hook), 5),
            (one("Always", long_hook), 30),
            (deaf, 30),
            (one("Always", json!({"image": "x:does-not-exist"})), 0),
        ];
        for (pod, seconds) in table {
            let mut run = PodRun::new(&pod, start());
            run.advance(&pod, start());
            assert_eq!(run.stop_time(grace), Duration::from_secs(seconds));
        }
    }

    #[test]
    fn a_kubelet_that_starts_late_goes_on_from_the_pods_status() {
        let pod = one("Always", json!({"readinessProbe": {"initialDelaySeconds": 10}}));
        let mut first = PodRun::new(&pod, start());
        first.advance(&pod, start());
        let status = super::super::status::plan_pod_status(
            &pod,
            &first.facts(Some("10.244.0.1".to_owned()), "h"),
            start(),
        );
        let mut document = pod.value().clone();
        document["status"] = status;
        let pod = Object::from(document);
        let later = add(start(), SignedDuration::from_secs(4));
        let mut second = PodRun::new(&pod, later);
        assert_eq!(second.advance(&pod, later), Some(add(start(), SignedDuration::from_secs(10))));
        assert_eq!(second.start_time, start());
    }
}
