//! The life of one modelled pod: containers pulled, started, ended, restarted with back-off, stopped.
//! A state machine over time; it never reads a clock and never talks to anybody.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::backoff::{BackOff, render_wait};
use super::script::{Pull, Readiness, Run, Script, eviction_delay, parse_script, start_delay};
use super::status::{Ending, Observed, PodFacts, Role, State, parse_container};
use crate::object::{Object, text};

/// How long `ErrImagePull` shows before it becomes `ImagePullBackOff`.
const PULL_ERROR_SHOWS: SignedDuration = SignedDuration::from_secs(2);

/// The life of one pod.
#[derive(Debug)]
pub struct PodRun {
    start_time: Timestamp,
    containers: Vec<ContainerRun>,
    failed: Option<(&'static str, String)>,
    departure: Option<(Timestamp, Timestamp)>,
}

#[derive(Debug)]
struct ContainerRun {
    seen: Observed,
    script: Script,
    stage: Stage,
    pulls: BackOff,
    restarts: BackOff,
}

/// Where a container is. Times say when the stage ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Idle,
    PullFailed { until: Timestamp },
    PullBackOff { until: Timestamp },
    Starting { until: Timestamp },
    Running { started: Timestamp },
    StartFailed { until: Timestamp },
    CrashBackOff { until: Timestamp },
    Ended,
    Stuck,
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
            text(container, "image").clone_into(&mut run.seen.image);
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
                "Evicted",
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
            self.containers.iter_mut().for_each(|container| container.kill(137, now));
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
        for run in
            self.containers.iter_mut().filter(|run| matches!(run.stage, Stage::Idle | Stage::Starting { .. }))
        {
            run.seen.state = State::waiting(reason);
        }
    }

    /// How long the pod takes to go once asked to: pre-stop hooks, then the containers themselves, cut off
    /// by `grace`.
    #[must_use]
    pub fn stop_time(&self, grace: Duration) -> Duration {
        let running = self.containers.iter().filter(|run| matches!(run.stage, Stage::Running { .. }));
        let times = running
            .map(|run| run.script.stop_after.map_or(grace, |time| run.script.pre_stop.saturating_add(time)));
        times.max().unwrap_or_default().min(grace)
    }

    /// When the pod has gone, decided when its deletion is first seen; a later, shorter grace cuts it off.
    pub fn departure(&mut self, deletion: Timestamp, grace: Duration, now: Timestamp) -> Timestamp {
        let at = match self.departure {
            Some((known, at)) if known == deletion => at,
            Some((_, at)) => at.min(add_std(now, grace)),
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
    pub fn stop(&mut self, now: Timestamp) {
        for run in &mut self.containers {
            // A server ends well when told to; a command is interrupted.
            let code = match (run.script.stop_after, run.script.run) {
                (None, _) => 137,
                (Some(_), Run::Exits { .. }) => 143,
                (Some(_), Run::Forever) => 0,
            };
            run.kill(code, now);
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

impl ContainerRun {
    fn new(pod: &Object, container: &serde_json::Value, role: Role, known: Option<Observed>) -> Self {
        let seen = known.unwrap_or_else(|| Observed {
            name: text(container, "name").to_owned(),
            image: text(container, "image").to_owned(),
            role,
            state: State::waiting("ContainerCreating"),
            last: None,
            restarts: 0,
            ready: false,
            started: false,
        });
        let stage = match &seen.state {
            State::Running { started } => Stage::Running { started: *started },
            State::Terminated(_) => Stage::Ended,
            State::Waiting { .. } => Stage::Idle,
        };
        let restarts = BackOff::after_failures(seen.restarts);
        Self { script: parse_script(pod, container), seen, stage, pulls: BackOff::default(), restarts }
    }

    /// Goes through every stage that is over by `now`; returns when the current one will be.
    fn advance(&mut self, pod: &Object, policy: &str, may_start: bool, now: Timestamp) -> Option<Timestamp> {
        // Bounded, so that a script without any delay cannot hold the kubelet.
        for _ in 0..16 {
            let before = self.stage;
            let due = self.step(pod, policy, may_start, now);
            if self.stage == before {
                return due;
            }
        }
        now.checked_add(SignedDuration::from_secs(1)).ok()
    }

    fn step(&mut self, pod: &Object, policy: &str, may_start: bool, now: Timestamp) -> Option<Timestamp> {
        match self.stage {
            Stage::Idle if !may_start => None,
            Stage::Idle => {
                self.pull(now);
                None
            }
            Stage::PullFailed { until } if until <= now => {
                let wait = self.pulls.fail().max(SignedDuration::from_secs(10));
                let image = &self.seen.image;
                let message =
                    format!("Back-off pulling image \"{image}\": ErrImagePull: {}", pull_error(image));
                self.seen.state = State::Waiting { reason: "ImagePullBackOff", message };
                self.stage = Stage::PullBackOff { until: add(now, wait) };
                None
            }
            Stage::PullBackOff { until } if until <= now => {
                self.pull(now);
                None
            }
            Stage::Starting { until } if until <= now => {
                self.begin(until);
                None
            }
            Stage::Running { started } => self.run_on(pod, policy, started, now),
            Stage::StartFailed { until } if until <= now => {
                let wait = self.restarts.fail();
                self.back_off(pod, wait, now);
                None
            }
            Stage::CrashBackOff { until } if until <= now => {
                self.seen.restarts += 1;
                self.pull(now);
                None
            }
            Stage::PullFailed { until }
            | Stage::PullBackOff { until }
            | Stage::Starting { until }
            | Stage::StartFailed { until }
            | Stage::CrashBackOff { until } => Some(until),
            Stage::Ended | Stage::Stuck => None,
        }
    }

    fn pull(&mut self, now: Timestamp) {
        let image = self.seen.image.clone();
        match self.script.pull {
            Pull::Succeeds => {
                self.pulls = BackOff::default();
                self.stage = Stage::Starting { until: add_std(now, self.script.post_start) };
                self.seen.state = State::waiting("ContainerCreating");
            }
            Pull::NotFound => {
                self.seen.state = State::Waiting { reason: "ErrImagePull", message: pull_error(&image) };
                self.stage = Stage::PullFailed { until: add(now, PULL_ERROR_SHOWS) };
            }
            Pull::Malformed => {
                let message = format!(
                    "Failed to apply default image tag \"{image}\": couldn't parse image name \"{image}\": invalid reference format"
                );
                self.seen.state = State::Waiting { reason: "InvalidImageName", message };
                self.stage = Stage::Stuck;
            }
        }
    }

    fn begin(&mut self, at: Timestamp) {
        self.stage = Stage::Running { started: at };
        self.seen.state = State::Running { started: at };
        (self.seen.ready, self.seen.started) = (false, false);
    }

    /// What happens to a running container by `now`: its probes change their minds, or it ends.
    fn run_on(
        &mut self,
        pod: &Object,
        policy: &str,
        started: Timestamp,
        now: Timestamp,
    ) -> Option<Timestamp> {
        if self.script.start_error.is_some() {
            self.fail_start(policy, started, now);
            return None;
        }
        let after = |delay: Duration| add_std(started, delay);
        let exit = match self.script.run {
            Run::Exits { after: delay, code } => Some((after(delay), code)),
            Run::Forever => None,
        };
        let kill = self.script.killed_after.map(|delay| (after(delay), 137));
        if let Some((at, code)) = [exit, kill].into_iter().flatten().min().filter(|(at, _)| *at <= now) {
            self.end(pod, policy, Ending::exited(code, started, at), now);
            return None;
        }
        let started_at = self.script.started_after.map(after);
        self.seen.started = started_at.is_some_and(|at| at <= now);
        let ready_at = match self.script.readiness {
            Readiness::After(delay) => Some(after(delay)),
            Readiness::Never => None,
        };
        let unready_at = self.script.unready_after.map(after);
        self.seen.ready = self.seen.role != Role::Init
            && ready_at.is_some_and(|at| at <= now)
            && unready_at.is_none_or(|at| at > now);
        let times = [exit.map(|(at, _)| at), kill.map(|(at, _)| at), started_at, ready_at, unready_at];
        times.into_iter().flatten().filter(|at| *at > now).min()
    }

    /// A run is over: it stays so, or is restarted at once or after a back-off.
    fn end(&mut self, pod: &Object, policy: &str, ending: Ending, now: Timestamp) {
        (self.seen.ready, self.seen.started) = (false, false);
        let restarts = match self.seen.role {
            Role::Sidecar => true,
            Role::Init => policy != "Never" && ending.exit_code != 0,
            Role::Main => policy == "Always" || (policy == "OnFailure" && ending.exit_code != 0),
        };
        if !restarts {
            self.seen.state = State::Terminated(ending);
            self.stage = Stage::Ended;
            return;
        }
        self.restarts.forget_after_good_run(ending.started, ending.finished);
        let wait = self.restarts.fail();
        self.seen.last = Some(ending);
        self.back_off(pod, wait, now);
    }

    fn back_off(&mut self, pod: &Object, wait: SignedDuration, now: Timestamp) {
        if !wait.is_zero() {
            let message = format!(
                "back-off {} restarting failed container={} pod={}_{}({})",
                render_wait(wait),
                self.seen.name,
                pod.name(),
                pod.namespace(),
                pod.uid()
            );
            self.seen.state = State::Waiting { reason: "CrashLoopBackOff", message };
        }
        self.stage = Stage::CrashBackOff { until: add(now, wait) };
    }

    /// The command does not exist: shows as `RunContainerError` for a moment, or ends the container for good.
    fn fail_start(&mut self, policy: &str, started: Timestamp, now: Timestamp) {
        let program = self.script.start_error.clone().unwrap_or_default();
        let message = format!(
            "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: \
             unable to start container process: error during container init: exec: \"{program}\": stat {program}: no such file or directory"
        );
        (self.seen.ready, self.seen.started) = (false, false);
        let ending = Ending {
            exit_code: 128,
            reason: "StartError".to_owned(),
            message: Some(message.clone()),
            started,
            finished: now,
        };
        if policy == "Never" && self.seen.role != Role::Sidecar {
            self.seen.state = State::Terminated(ending);
            self.stage = Stage::Ended;
            return;
        }
        self.seen.last = Some(ending);
        self.seen.state = State::Waiting { reason: "RunContainerError", message };
        self.stage = Stage::StartFailed { until: add(now, SignedDuration::from_secs(1)) };
    }

    fn kill(&mut self, code: i32, now: Timestamp) {
        (self.seen.ready, self.seen.started) = (false, false);
        match self.stage {
            Stage::Running { started } => {
                self.seen.state = State::Terminated(Ending::exited(code, started, now));
            }
            Stage::Ended => {}
            _ => {
                self.seen.state = State::Terminated(Ending {
                    exit_code: 137,
                    reason: "ContainerStatusUnknown".to_owned(),
                    message: Some(
                        "The container could not be located when the pod was terminated".to_owned(),
                    ),
                    started: now,
                    finished: now,
                });
            }
        }
        self.stage = Stage::Ended;
    }
}

fn add(at: Timestamp, delay: SignedDuration) -> Timestamp {
    at.saturating_add(delay).unwrap_or(Timestamp::MAX)
}

fn add_std(at: Timestamp, delay: Duration) -> Timestamp {
    add(at, SignedDuration::try_from(delay).unwrap_or(SignedDuration::MAX))
}

fn pull_error(image: &str) -> String {
    let full =
        if image.contains('/') { format!("docker.io/{image}") } else { format!("docker.io/library/{image}") };
    format!(
        "failed to pull and unpack image \"{full}\": failed to resolve reference \"{full}\": {full}: not found"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

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
                    "2 ImagePullBackOff x0",
                    "12 ErrImagePull x0",
                    "14 ImagePullBackOff x0",
                    "24 ErrImagePull x0",
                    "26 ImagePullBackOff x0",
                    "46 ErrImagePull x0",
                    "48 ImagePullBackOff x0",
                ],
            ),
            ("malformed image", one("Always", json!({"image": "Bad Image"})), vec!["0 InvalidImageName x0"]),
            (
                "crash loop",
                one("Always", json!({"command": ["sh", "-c", "sleep 2; exit 1"]})),
                vec![
                    "0 Running x0 ready",
                    "2 Running x1 ready",
                    "4 CrashLoopBackOff x1",
                    "14 Running x2 ready",
                    "16 CrashLoopBackOff x2",
                    "36 Running x3 ready",
                    "38 CrashLoopBackOff x3",
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
                vec!["0 Running x0 ready", "7 Error 137 x0"],
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
