//! The life of one modelled container: pulled, started, probed, ended, restarted with back-off.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::backoff::{BackOff, render_wait};
use super::script::{KILLED, Pull, Readiness, Run, Script, full_image_name, parse_script};
use super::status::{Ending, Observed, Role, State};
use crate::object::{Object, text};

/// How often a real kubelet looks at a pod whose image cannot be pulled. What it shows lags one look behind what it
/// does, so `ErrImagePull` shows that long before it becomes `ImagePullBackOff`.
const PULL_LOOK: SignedDuration = SignedDuration::from_secs(12);

/// How long an ending shows before it becomes `CrashLoopBackOff`. A real kubelet shows the back-off when it happens to
/// look at the pod again: at once, at the back-off's end, or in between.
const ENDING_SHOWS: SignedDuration = SignedDuration::from_secs(2);

/// How long a container that could not be started shows that.
const START_ERROR_SHOWS: SignedDuration = SignedDuration::from_secs(1);

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
    was_stopped: bool,
    is_restarting: bool,
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
    Crashed { until: Timestamp, back_off: SignedDuration },
    CrashBackOff { until: Timestamp },
    Ended,
    Stuck,
}

impl ContainerRun {
    pub fn new(pod: &Object, container: &serde_json::Value, role: Role, known: Option<Observed>) -> Self {
        let known = known.map(|known| Observed { image: text(container, "image").to_owned(), ..known });
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
        let policy = pod.text("/spec/restartPolicy").unwrap_or("Always");
        let (stage, failures) = match &seen.state {
            State::Running { started } => (Stage::Running { started: *started }, seen.restarts),
            State::Terminated(ending) if is_restarted(seen.role, policy, ending.exit_code) => {
                let failures = seen.restarts.saturating_add(1);
                let back_off = BackOff::after_failures(failures).wait();
                (Stage::Crashed { until: ending.finished, back_off }, failures)
            }
            State::Terminated(_) => (Stage::Ended, seen.restarts),
            State::Waiting { .. } => (Stage::Idle, seen.restarts),
        };
        let restarts = BackOff::after_failures(failures);
        Self {
            script: parse_script(pod, container),
            seen,
            stage,
            pulls: BackOff::default(),
            restarts,
            was_stopped: false,
            is_restarting: false,
        }
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
                self.back_off_pull(now);
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
            Stage::Crashed { until, back_off } if until <= now => {
                if let State::Terminated(ending) = &self.seen.state {
                    self.seen.last = Some(ending.clone());
                }
                let shown = back_off.min(ENDING_SHOWS);
                self.show_back_off(pod, back_off);
                self.stage = Stage::CrashBackOff { until: add(now, back_off - shown) };
                None
            }
            Stage::CrashBackOff { until } if until <= now => {
                self.is_restarting = true;
                self.pull(now);
                None
            }
            Stage::PullFailed { until }
            | Stage::PullBackOff { until }
            | Stage::Starting { until }
            | Stage::StartFailed { until }
            | Stage::Crashed { until, .. }
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
                // While a hook holds up a restart, what was shows on.
                if self.seen.last.is_none() {
                    self.seen.state = State::waiting("ContainerCreating");
                }
            }
            Pull::NotFound => {
                self.seen.state = State::Waiting { reason: "ErrImagePull", message: pull_error(&image) };
                self.stage = Stage::PullFailed { until: add(now, PULL_LOOK) };
            }
            Pull::Malformed => {
                let message = malformed_image(&image);
                self.seen.state = State::Waiting { reason: "InvalidImageName", message };
                self.stage = Stage::Stuck;
            }
        }
    }

    /// Counts a restart once there is a new container.
    fn count_restart(&mut self) {
        if std::mem::take(&mut self.is_restarting) {
            self.seen.restarts += 1;
        }
    }

    fn begin(&mut self, at: Timestamp) {
        self.count_restart();
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
            self.fail_start(policy, now);
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
            let stopped = kill == Some((at, code));
            self.end(pod, policy, ending, stopped, now);
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

    /// A run is over: it stays so, or is restarted at once or after a back-off. One that the kubelet itself stopped
    /// backs off without showing its ending first.
    fn end(&mut self, pod: &Object, policy: &str, ending: Ending, stopped: bool, now: Timestamp) {
        (self.seen.ready, self.seen.started) = (false, false);
        if !is_restarted(self.seen.role, policy, ending.exit_code) {
            self.seen.state = State::Terminated(ending);
            self.stage = Stage::Ended;
            return;
        }
        self.restarts.forget_after_good_run(ending.started, ending.finished);
        // The first time it stops a container itself, a real kubelet does not count that as a failure.
        let is_free = stopped && !std::mem::replace(&mut self.was_stopped, true);
        let wait = if is_free { SignedDuration::ZERO } else { self.restarts.fail() };
        if wait.is_zero() || stopped {
            self.seen.last = Some(ending);
            self.back_off(pod, wait, now);
        } else {
            self.stage = Stage::Crashed { until: add(now, ENDING_SHOWS), back_off: wait };
            self.seen.state = State::Terminated(ending);
        }
    }

    fn back_off(&mut self, pod: &Object, wait: SignedDuration, now: Timestamp) {
        if !wait.is_zero() {
            self.show_back_off(pod, wait);
        }
        self.stage = Stage::CrashBackOff { until: add(now, wait) };
    }

    fn show_back_off(&mut self, pod: &Object, wait: SignedDuration) {
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

    /// Shows the back-off of pulls, until the look after the one that pulls again.
    fn back_off_pull(&mut self, now: Timestamp) {
        let image = &self.seen.image;
        let message = format!("Back-off pulling image \"{image}\": ErrImagePull: {}", pull_error(image));
        self.seen.state = State::Waiting { reason: "ImagePullBackOff", message };
        let wait = match self.pulls.fail() {
            SignedDuration::ZERO => self.pulls.fail(),
            wait => wait,
        };
        let looks = wait.as_secs().div_euclid(PULL_LOOK.as_secs())
            + i64::from(wait.as_secs() % PULL_LOOK.as_secs() != 0);
        let shown = PULL_LOOK.saturating_mul(i32::try_from((looks - 1).max(1)).unwrap_or(1));
        self.stage = Stage::PullBackOff { until: add(now, shown) };
    }

    /// The command does not exist: shows as `RunContainerError` for a moment, or ends the container for good.
    fn fail_start(&mut self, policy: &str, now: Timestamp) {
        let program = self.script.start_error.clone().unwrap_or_default();
        let message = start_error(&program, false);
        (self.seen.ready, self.seen.started) = (false, false);
        let ending = Ending {
            exit_code: 128,
            reason: "StartError".to_owned(),
            message: Some(message.clone()),
            // It never began.
            started: Timestamp::UNIX_EPOCH,
            finished: now,
        };
        if policy == "Never" && self.seen.role != Role::Sidecar {
            self.seen.state = State::Terminated(ending);
            self.stage = Stage::Ended;
            return;
        }
        self.seen.last = Some(ending);
        self.seen.state = State::Waiting { reason: "RunContainerError", message };
        self.stage = Stage::StartFailed { until: add(now, START_ERROR_SHOWS) };
    }

    /// The post-start hook fails: the container is stopped, and that shows for a moment.
    fn fail_hook(&mut self, pod: &Object, policy: &str, command: &[String], code: i32, now: Timestamp) {
        self.count_restart();
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
        self.stage = Stage::StartFailed { until: add(ended, START_ERROR_SHOWS) };
    }

    /// Whether it is still being made.
    pub fn is_new(&self) -> bool {
        matches!(self.stage, Stage::Idle | Stage::Starting { .. }) && self.seen.last.is_none()
    }

    /// Another image: what failed for want of the old one is tried again at once.
    pub fn set_image(&mut self, image: &str) {
        if self.seen.image != image {
            image.clone_into(&mut self.seen.image);
            if matches!(self.stage, Stage::PullFailed { .. } | Stage::PullBackOff { .. } | Stage::Stuck) {
                self.pulls = BackOff::default();
                self.stage = Stage::Idle;
            }
        }
    }

    pub fn kill(&mut self, code: i32, now: Timestamp) {
        (self.seen.ready, self.seen.started) = (false, false);
        match self.stage {
            Stage::Running { started } => {
                self.seen.state = State::Terminated(Ending::exited(code, started, now));
            }
            Stage::Ended | Stage::Crashed { .. } => {}
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

/// Whether a container that ended with this code is started again.
fn is_restarted(role: Role, policy: &str, exit_code: i32) -> bool {
    match role {
        Role::Sidecar => true,
        Role::Init => policy != "Never" && exit_code != 0,
        Role::Main => policy == "Always" || (policy == "OnFailure" && exit_code != 0),
    }
}

fn pull_error(image: &str) -> String {
    let full = full_image_name(image);
    format!(
        "rpc error: code = NotFound desc = failed to pull and unpack image \"{full}\": failed to resolve reference \"{full}\": {full}: not found"
    )
}

/// What a kubelet says of a program that cannot be started, because it is not there or must not be run.
pub(super) fn start_error(program: &str, is_denied: bool) -> String {
    let why = if is_denied {
        "permission denied".to_owned()
    } else if program.contains('/') {
        format!("stat {program}: no such file or directory")
    } else {
        "executable file not found in $PATH".to_owned()
    };
    format!(
        "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: \
         unable to start container process: exec: \"{program}\": {why}: unknown"
    )
}

/// What a kubelet says of an image name that is none.
pub(super) fn malformed_image(image: &str) -> String {
    let name = image.rsplit_once(':').map_or(image, |(name, _)| name);
    let full = full_image_name(name);
    let path = full.trim_end_matches(":latest").split_once('/').map_or("", |(_, path)| path);
    let why = if path.to_lowercase() == path {
        String::new()
    } else {
        format!(": repository name ({path}) must be lowercase")
    };
    format!(
        "Failed to apply default image tag \"{image}\": couldn't parse image name \"{image}\": invalid reference format{why}"
    )
}
