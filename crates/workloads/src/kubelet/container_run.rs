//! The life of one modelled container: pulled, started, probed, ended, restarted with back-off.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::backoff::{BackOff, render_wait};
use super::script::{KILLED, Pull, Readiness, Run, Script, parse_script};
use super::status::{Ending, Observed, Role, State};
use crate::object::{Object, text};

/// How long `ErrImagePull` shows before it becomes `ImagePullBackOff`.
const PULL_ERROR_SHOWS: SignedDuration = SignedDuration::from_secs(2);

/// How often a container that cannot be made is tried again.
const RETRY: SignedDuration = SignedDuration::from_secs(10);

/// The life of one container.
#[derive(Debug)]
pub(super) struct ContainerRun {
    /// What there is to see of it.
    pub seen: Observed,
    /// Its fate.
    pub script: Script,
    /// Where it is.
    pub stage: Stage,
    pulls: BackOff,
    restarts: BackOff,
}

/// Where a container is. Times say when the stage ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
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

impl ContainerRun {
    pub fn new(pod: &Object, container: &serde_json::Value, role: Role, known: Option<Observed>) -> Self {
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
    pub fn advance(
        &mut self,
        pod: &Object,
        policy: &str,
        may_start: bool,
        now: Timestamp,
    ) -> Option<Timestamp> {
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
                match self.script.post_start_error.clone() {
                    Some((command, code)) => self.fail_hook(pod, policy, &command, code, now),
                    None => self.begin(until),
                }
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
            Pull::Succeeds if self.script.config_error.is_some() => {
                let message = self.script.config_error.clone().unwrap_or_default();
                self.seen.state = State::Waiting { reason: "CreateContainerConfigError", message };
                self.stage = Stage::PullBackOff { until: add(now, RETRY) };
            }
            Pull::NeverPulled => {
                let message = format!("Container image \"{image}\" is not present with pull policy of Never");
                self.seen.state = State::Waiting { reason: "ErrImageNeverPull", message };
                self.stage = Stage::PullBackOff { until: add(now, RETRY) };
            }
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
        let grace = self.script.kill_grace;
        let kill = self.script.killed_after.map(|delay| {
            (after(delay.saturating_add(self.script.stop_time(grace))), self.script.stop_code(grace))
        });
        let oom = self.script.oom_after.map(|delay| (after(delay), KILLED));
        if let Some((at, code)) = [exit, kill, oom].into_iter().flatten().min().filter(|(at, _)| *at <= now) {
            let mut ending = Ending::exited(code, started, at);
            if oom == Some((at, code)) {
                "OOMKilled".clone_into(&mut ending.reason);
            }
            self.end(pod, policy, ending, now);
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
        let ends = [exit, kill, oom].into_iter().flatten().map(|(at, _)| at).min();
        let times = [ends, started_at, ready_at, unready_at];
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

    /// The post-start hook fails: the container is stopped, and that shows for a moment.
    fn fail_hook(&mut self, pod: &Object, policy: &str, command: &[String], code: i32, now: Timestamp) {
        let grace = self.script.kill_grace;
        let started =
            now.saturating_sub(SignedDuration::try_from(self.script.post_start).unwrap_or_default());
        let ended = add_std(now, self.script.stop_time(grace));
        let ending = Ending::exited(self.script.stop_code(grace), started.unwrap_or(now), ended);
        if policy == "Never" && self.seen.role != Role::Sidecar {
            self.seen.state = State::Terminated(ending);
            self.stage = Stage::Ended;
            return;
        }
        let message = format!(
            "Exec lifecycle hook ([{}]) for Container \"{}\" in Pod \"{}_{}({})\" failed - error: command '{}' exited with {code}: , message: \"\"",
            command.join(" "),
            self.seen.name,
            pod.name(),
            pod.namespace(),
            pod.uid(),
            command.join(" "),
        );
        self.seen.last = Some(ending);
        self.seen.state = State::Waiting { reason: "PostStartHookError", message };
        self.stage = Stage::StartFailed { until: add(ended, SignedDuration::from_secs(1)) };
    }

    pub fn kill(&mut self, code: i32, now: Timestamp) {
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

/// A time and a delay, however long.
pub(super) fn add(at: Timestamp, delay: SignedDuration) -> Timestamp {
    at.saturating_add(delay).unwrap_or(Timestamp::MAX)
}

/// As [`add`], for a delay of the standard library.
pub(super) fn add_std(at: Timestamp, delay: Duration) -> Timestamp {
    add(at, SignedDuration::try_from(delay).unwrap_or(SignedDuration::MAX))
}

fn pull_error(image: &str) -> String {
    let full =
        if image.contains('/') { format!("docker.io/{image}") } else { format!("docker.io/library/{image}") };
    format!(
        "failed to pull and unpack image \"{full}\": failed to resolve reference \"{full}\": {full}: not found"
    )
}
