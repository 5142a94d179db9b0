//! One container as a local process: started, watched by its probes, restarted with back-off, stopped.

use std::collections::BTreeMap;
use std::future::pending;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::env::{Source, Sources, parse_sources, render_command, render_env};
use super::group::{Launch, ProcessGroup};
use super::image::LocalImage;
use super::logs::RunLog;
use super::pod::PodScope;
use super::probe::{Surroundings, send_action, wait_for_startup, watch_probe};
use crate::api::is_not_found;
use crate::kubelet::backoff::{BackOff, render_wait};
use crate::kubelet::container_run::{malformed_image, start_error};
use crate::kubelet::script::{Pull, parse_image};
use crate::kubelet::status::{Ending, Role, State};
use crate::object::{Key, text};
use crate::resource::{CONFIG_MAPS, SECRETS};

/// When a container has to be gone; `None` while it may run.
pub type Stop = watch::Receiver<Option<Instant>>;

/// Looks after one container until it has ended for good or was stopped.
pub struct Supervisor {
    pod: Arc<PodScope>,
    index: usize,
    role: Role,
    container: Value,
    stop: Stop,
    restarts: BackOff,
    pulls: BackOff,
    was_stopped: bool,
}

enum Outcome {
    /// It ended by itself.
    Exited(Ending),
    /// It could not be started.
    NotStarted(Ending),
    /// A probe failed too often, and it was stopped.
    Unhealthy(Ending),
    /// Its post-start hook failed, and it was stopped.
    HookFailed(Ending, String),
    /// It was stopped because the pod goes.
    Stopped(Ending),
}

/// Why a container is stopped although the pod stays.
enum Complaint {
    Unhealthy,
    HookFailed(String),
}

/// How long an ending, or why there was no start, shows before the back-off does.
const ENDING_SHOWS: Duration = Duration::from_secs(2);
/// How long `ErrImagePull` shows before the back-off does.
const PULL_ERROR_SHOWS: Duration = Duration::from_secs(12);

impl Supervisor {
    /// A supervisor of the container at `index` of the pod's board.
    #[must_use]
    pub fn new(pod: Arc<PodScope>, index: usize, role: Role, container: Value, stop: Stop) -> Self {
        let restarts = BackOff::after_failures(pod.board.get(index).restarts);
        Self { pod, index, role, container, stop, restarts, pulls: BackOff::default(), was_stopped: false }
    }

    /// Runs the container as often as its restart policy asks. Returns whether it ended well.
    pub async fn run(mut self) -> bool {
        if let State::Terminated(ending) = self.pod.board.get(self.index).state {
            if !self.restarts_after(&ending) {
                return ending.exit_code == 0;
            }
            let wait = self.restarts.fail();
            if !self.back_off(ending, ENDING_SHOWS, wait).await {
                return false;
            }
        }
        loop {
            if self.is_stopped() {
                return false;
            }
            let Some(image) = self.pull().await else { return false };
            let Some(env) = self.gather_env(&image).await else { return false };
            let outcome = self.run_once(&image, env).await;
            if let Some(success) = self.conclude(outcome).await {
                return success;
            }
        }
    }

    /// What follows from how a run went: `None` if there is to be another one, else whether the container ended well.
    async fn conclude(&mut self, outcome: Outcome) -> Option<bool> {
        let over = |ending: &Ending| Some(ending.exit_code == 0);
        let goes_on = match outcome {
            Outcome::Stopped(ending) => {
                self.show(State::Terminated(ending.clone()));
                return over(&ending);
            }
            Outcome::Exited(ending)
            | Outcome::NotStarted(ending)
            | Outcome::Unhealthy(ending)
            | Outcome::HookFailed(ending, _)
                if !self.restarts_after(&ending) =>
            {
                self.show(State::Terminated(ending.clone()));
                return over(&ending);
            }
            Outcome::Exited(ending) => {
                self.restarts.forget_after_good_run(ending.started, ending.finished);
                self.show(State::Terminated(ending.clone()));
                let wait = self.restarts.fail();
                self.back_off(ending, ENDING_SHOWS, wait).await
            }
            Outcome::Unhealthy(ending) => {
                self.restarts.forget_after_good_run(ending.started, ending.finished);
                // The first time it stops a container itself, a real kubelet does not count that as a failure.
                let is_free = !std::mem::replace(&mut self.was_stopped, true);
                let wait = if is_free { SignedDuration::ZERO } else { self.restarts.fail() };
                self.back_off(ending, Duration::ZERO, wait).await
            }
            Outcome::NotStarted(ending) => {
                let message = ending.message.clone().unwrap_or_default();
                self.back_off_from("RunContainerError", message, ending).await
            }
            Outcome::HookFailed(ending, message) => {
                self.back_off_from("PostStartHookError", message, ending).await
            }
        };
        (!goes_on).then_some(false)
    }

    /// Shows why a container did not come up, then backs off.
    async fn back_off_from(&mut self, reason: &'static str, message: String, ending: Ending) -> bool {
        self.show(State::Waiting { reason, message });
        self.pod.board.update(self.index, |seen| seen.last = Some(ending.clone()));
        if self.unless_stopped(sleep(Duration::from_secs(1))).await.is_none() {
            return false;
        }
        let wait = self.restarts.fail();
        self.back_off(ending, Duration::ZERO, wait).await
    }

    fn is_stopped(&self) -> bool {
        self.stop.borrow().is_some()
    }

    async fn unless_stopped<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            result = work => Some(result),
            _ = self.stop.wait_for(Option::is_some) => None,
        }
    }

    fn show(&self, state: State) {
        self.pod.board.update(self.index, |seen| {
            if !matches!(state, State::Running { .. }) {
                (seen.ready, seen.started) = (false, false);
            }
            seen.state = state;
        });
    }

    fn restarts_after(&self, ending: &Ending) -> bool {
        match (self.role, self.pod.restart_policy.as_str()) {
            (Role::Sidecar, _) | (Role::Main, "Always") => true,
            (_, "Never") => false,
            _ => ending.exit_code != 0,
        }
    }

    /// Finds the image's command; waits with `ErrImagePull` and `ImagePullBackOff` for one that is not mapped.
    async fn pull(&mut self) -> Option<LocalImage> {
        let name = text(&self.container, "image").to_owned();
        loop {
            if parse_image(&name) == Pull::Malformed {
                let message = malformed_image(&name);
                self.show(State::Waiting { reason: "InvalidImageName", message });
                self.unless_stopped(pending::<()>()).await?;
            }
            if let Some(image) = self.pod.config.images.find(&name) {
                self.pulls = BackOff::default();
                return Some(image.clone());
            }
            let why = format!("no local command stands for image \"{name}\": not found");
            if text(&self.container, "imagePullPolicy") == "Never" {
                let message = format!("Container image \"{name}\" is not present with pull policy of Never");
                self.show(State::Waiting { reason: "ErrImageNeverPull", message });
                self.unless_stopped(pending::<()>()).await?;
            }
            self.show(State::Waiting { reason: "ErrImagePull", message: why.clone() });
            self.unless_stopped(sleep(PULL_ERROR_SHOWS)).await?;
            let message = format!("Back-off pulling image \"{name}\": ErrImagePull: {why}");
            self.show(State::Waiting { reason: "ImagePullBackOff", message });
            let wait = self.pulls.fail().max(SignedDuration::from_secs(10));
            self.unless_stopped(sleep(Duration::try_from(wait).unwrap_or_default())).await?;
        }
    }

    /// Computes the environment; waits with `CreateContainerConfigError` for what is missing.
    async fn gather_env(&mut self, image: &LocalImage) -> Option<BTreeMap<String, String>> {
        loop {
            let sources = self.fetch_sources().await;
            let base = self.pod.base_env(&self.container, image);
            let env =
                sources.and_then(|sources| render_env(&self.pod.seen(), &self.container, &sources, base));
            match env {
                Ok(env) => return Some(env),
                Err(message) => {
                    self.show(State::Waiting { reason: "CreateContainerConfigError", message });
                    self.unless_stopped(sleep(Duration::from_secs(3))).await?;
                }
            }
        }
    }

    async fn fetch_sources(&self) -> Result<Sources, String> {
        let mut sources = Sources::new();
        for (source, _) in parse_sources(&self.container) {
            let (resource, name) = match &source {
                Source::ConfigMap(name) => (&CONFIG_MAPS, name),
                Source::Secret(name) => (&SECRETS, name),
            };
            let key = Key::new(self.pod.key.namespace.as_str(), name.as_str());
            match self.pod.context.api.fetch(resource, &key).await {
                Ok(object) => {
                    let is_secret = matches!(source, Source::Secret(_));
                    let data = object.at("/data").and_then(Value::as_object).into_iter().flatten();
                    let decode = |value: &Value| {
                        let value = value.as_str().unwrap_or_default();
                        if is_secret { decode_base64(value) } else { value.to_owned() }
                    };
                    sources.insert(source, data.map(|(name, value)| (name.clone(), decode(value))).collect());
                }
                Err(error) if is_not_found(&error) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(sources)
    }

    async fn run_once(&mut self, image: &LocalImage, env: BTreeMap<String, String>) -> Outcome {
        let started = self.pod.context.clock.now();
        let working_dir = self
            .container
            .get("workingDir")
            .and_then(Value::as_str)
            .filter(|folder| !folder.is_empty())
            .map(str::to_owned);
        let launch = Launch {
            command: render_command(&self.container, image, &env),
            env: env.clone(),
            working_dir: working_dir.clone(),
            piped: true,
            stdin: false,
        };
        let mut group = match ProcessGroup::start(&self.pod.config.registry, &launch) {
            Ok(group) => group,
            Err(error) => {
                let program = launch.command.first().map_or("", String::as_str);
                let message = start_error(program, error.kind() == ErrorKind::PermissionDenied);
                let finished = self.pod.context.clock.now();
                return Outcome::NotStarted(Ending {
                    exit_code: 128,
                    reason: "StartError".to_owned(),
                    message: Some(message),
                    started: Timestamp::UNIX_EPOCH,
                    finished,
                });
            }
        };
        let log = self.pod.config.logs.begin(
            &self.pod.key.namespace,
            &self.pod.key.name,
            text(&self.container, "name"),
        );
        let pump = self.pump_output(&mut group, log);
        let commands = &self.pod.config.commands;
        let _open = commands.open(&self.pod.key, text(&self.container, "name"), &env, working_dir.as_deref());
        let surroundings = self.pod.surroundings(env, working_dir);
        let mut stop = self.stop.clone();
        let mut complaint = None;
        let (code, stopped) = tokio::select! {
            code = group.wait() => (code, false),
            cause = self.watch(&surroundings, started) => {
                complaint = Some(cause);
                let deadline = Instant::now() + self.pod.grace();
                (self.end(&mut group, &surroundings, deadline).await, false)
            }
            deadline = async { stop.wait_for(Option::is_some).await.map_or(None, |deadline| *deadline) } => {
                let deadline = deadline.unwrap_or_else(Instant::now);
                (self.end(&mut group, &surroundings, deadline).await, true)
            }
        };
        // What was written last should be there when the end is seen.
        let _ = timeout(Duration::from_millis(500), pump).await;
        let ending = Ending::exited(code, started, self.pod.context.clock.now());
        match complaint {
            _ if stopped => Outcome::Stopped(ending),
            None => Outcome::Exited(ending),
            Some(Complaint::Unhealthy) => Outcome::Unhealthy(ending),
            Some(Complaint::HookFailed(why)) => Outcome::HookFailed(ending, why),
        }
    }

    fn pump_output(&self, group: &mut ProcessGroup, log: Arc<RunLog>) -> JoinHandle<()> {
        let (stdout, stderr) = group.take_output();
        let clock = self.pod.context.clock;
        tokio::spawn(async move {
            tokio::join!(
                async {
                    if let Some(stdout) = stdout {
                        pump(stdout, &log, &clock).await;
                    }
                },
                async {
                    if let Some(stderr) = stderr {
                        pump(stderr, &log, &clock).await;
                    }
                },
            );
            log.close();
        })
    }

    /// Follows hooks and probes of a started container; returns when it has to be restarted. It shows as running
    /// once its post-start hook is done.
    async fn watch(&self, surroundings: &Surroundings, started: Timestamp) -> Complaint {
        if let Some(hook) = self.container.pointer("/lifecycle/postStart").filter(|hook| !hook.is_null())
            && let Err(why) = send_action(hook, surroundings).await
        {
            return Complaint::HookFailed(self.hook_message(hook, &why));
        }
        self.show(State::Running { started });
        self.watch_probes(surroundings).await;
        Complaint::Unhealthy
    }

    /// What a kubelet says of a hook that failed.
    fn hook_message(&self, hook: &Value, why: &str) -> String {
        let words = hook.pointer("/exec/command").and_then(Value::as_array).into_iter().flatten();
        let command: Vec<&str> = words.filter_map(Value::as_str).collect();
        let command = command.join(" ");
        let (name, pod) = (text(&self.container, "name"), &self.pod);
        let pod = format!("{}_{}({})", pod.key.name, pod.key.namespace, pod.uid);
        if command.is_empty() {
            return format!(
                "HTTP lifecycle hook for Container \"{name}\" in Pod \"{pod}\" failed - error: {why}"
            );
        }
        format!(
            "Exec lifecycle hook ([{command}]) for Container \"{name}\" in Pod \"{pod}\" failed - error: command '{command}' {}: , message: \"\"",
            why.trim_start_matches("command ")
        )
    }

    async fn watch_probes(&self, surroundings: &Surroundings) {
        let action = |pointer: &str| self.container.pointer(pointer).filter(|value| !value.is_null());
        if let Some(probe) = action("/startupProbe")
            && !wait_for_startup(probe, surroundings).await
        {
            return;
        }
        let board = &self.pod.board;
        board.update(self.index, |seen| seen.started = true);
        let readiness = async {
            match action("/readinessProbe") {
                Some(probe) => {
                    watch_probe(probe, surroundings, false, |ready| {
                        board.update(self.index, |seen| seen.ready = ready);
                        true
                    })
                    .await;
                }
                None => {
                    board.update(self.index, |seen| seen.ready = self.role != Role::Init);
                    pending::<()>().await;
                }
            }
        };
        let liveness = async {
            match action("/livenessProbe") {
                Some(probe) => watch_probe(probe, surroundings, true, |alive| alive).await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = readiness => {}
            () = liveness => {}
        }
    }

    /// Pre-stop hook, then SIGTERM, then at the deadline SIGKILL.
    async fn end(&self, group: &mut ProcessGroup, surroundings: &Surroundings, deadline: Instant) -> i32 {
        if let Some(hook) = self.container.pointer("/lifecycle/preStop").filter(|hook| !hook.is_null()) {
            tokio::select! {
                code = group.wait() => return code,
                _ = timeout_at(deadline, send_action(hook, surroundings)) => {}
            }
        }
        group.terminate();
        // Even a pod without grace gets a moment, as SIGTERM and SIGKILL at once would look the same.
        match timeout_at(deadline, group.wait()).await {
            Ok(code) => code,
            Err(_) => {
                group.kill();
                group.wait().await
            }
        }
    }

    /// Waits before the next start; false if stopped meanwhile. The back-off shows after `shown`, in which the ending
    /// does.
    async fn back_off(&mut self, ending: Ending, shown: Duration, wait: SignedDuration) -> bool {
        let time = Duration::try_from(wait).unwrap_or_default();
        let shown = shown.min(time);
        if self.unless_stopped(sleep(shown)).await.is_none() {
            return false;
        }
        let pod = &self.pod;
        let state = (!wait.is_zero()).then(|| State::Waiting {
            reason: "CrashLoopBackOff",
            message: format!(
                "back-off {} restarting failed container={} pod={}_{}({})",
                render_wait(wait),
                text(&self.container, "name"),
                pod.key.name,
                pod.key.namespace,
                pod.uid
            ),
        });
        pod.board.update(self.index, |seen| {
            (seen.ready, seen.started) = (false, false);
            seen.last = Some(ending);
            if let Some(state) = state {
                seen.state = state;
            }
        });
        if self.unless_stopped(sleep(time - shown)).await.is_none() {
            return false;
        }
        self.pod.board.update(self.index, |seen| seen.restarts += 1);
        true
    }
}

async fn pump(output: impl AsyncRead + Unpin, log: &RunLog, clock: &glidepath_clock::Clock) {
    let mut reader = BufReader::new(output);
    let mut line = Vec::new();
    while let Ok(1..) = reader.read_until(b'\n', &mut line).await {
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        log.push(clock.now(), text.strip_suffix(b"\r").unwrap_or(text));
        line.clear();
    }
}

/// Decodes standard base64; text that is not valid is passed through, as it cannot come from a real server.
fn decode_base64(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut buffer, mut bits) = (0u32, 0);
    for byte in text.bytes().filter(|byte| *byte != b'=' && !byte.is_ascii_whitespace()) {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return text.to_owned(),
        };
        buffer = (buffer << 6) | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from((buffer >> bits) & 0xff).unwrap_or(0));
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_decoded() {
        let table = [("aGlkZGVu", "hidden"), ("aGk=", "hi"), ("YQ==", "a"), ("", ""), ("!", "!")];
        for (encoded, plain) in table {
            assert_eq!(decode_base64(encoded), plain);
        }
    }
}
