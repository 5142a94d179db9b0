//! What the model kubelet lets happen to a container, read from the pod's spec and annotations. Pure.
//!
//! The table in [`crate::kubelet::model`] documents every rule.

use std::time::Duration;

use serde_json::Value;

use crate::object::{Object, text};

/// Prefix of every annotation the kubelets read.
pub const PREFIX: &str = "sandbox.glidepath.dev/";

/// What pulling an image ends in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pull {
    /// It is there.
    Succeeds,
    /// `ErrImagePull`, then `ImagePullBackOff`.
    NotFound,
    /// `ErrImageNeverPull`, until it is there.
    NeverPulled,
    /// `InvalidImageName`, for ever.
    Malformed,
}

/// How long a container runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// Until it is stopped.
    Forever,
    /// It exits by itself.
    Exits {
        /// After this long.
        after: Duration,
        /// With this code.
        code: i32,
    },
}

/// When a running container counts as ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// From this long after its start on.
    After(Duration),
    /// Never.
    Never,
}

/// The fate of one container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// What pulling its image ends in.
    pub pull: Pull,
    /// Set if its command cannot be started: the missing command.
    pub start_error: Option<String>,
    /// Set if it refers to what is not there: the sentence that says so.
    pub config_error: Option<String>,
    /// How long the post-start hook holds up the start.
    pub post_start: Duration,
    /// Set if the post-start hook fails: its command and the code it exits with.
    pub post_start_error: Option<(Vec<String>, i32)>,
    /// How long it runs.
    pub run: Run,
    /// When it becomes ready.
    pub readiness: Readiness,
    /// When it stops being ready again, counted from its start.
    pub unready_after: Option<Duration>,
    /// When the start-up probe passes; `None` means never.
    pub started_after: Option<Duration>,
    /// When a failing liveness or start-up probe has it stopped, counted from its start.
    pub killed_after: Option<Duration>,
    /// How long it may take to end then.
    pub kill_grace: Duration,
    /// When it takes too much memory, counted from its start.
    pub oom_after: Option<Duration>,
    /// How long the pre-stop hook takes.
    pub pre_stop: Duration,
    /// How long it takes to end once told to; `None` means until it is killed.
    pub stop_after: Option<Duration>,
}

impl Script {
    /// How long it takes from being told to stop to its end, within `grace`.
    #[must_use]
    pub fn stop_time(&self, grace: Duration) -> Duration {
        self.stop_after.map_or(grace, |time| self.pre_stop.saturating_add(time)).min(grace)
    }

    /// The code it ends with when told to stop with `grace`: a server ends well, a command is interrupted, and what
    /// takes longer than its grace is killed.
    #[must_use]
    pub fn stop_code(&self, grace: Duration) -> i32 {
        match (self.stop_after, self.run) {
            (Some(time), _) if !time.is_zero() && self.pre_stop.saturating_add(time) > grace => KILLED,
            (None, _) => KILLED,
            (Some(_), Run::Exits { .. }) => INTERRUPTED,
            (Some(_), Run::Forever) => 0,
        }
    }
}

/// Exit code of what SIGKILL ended.
pub const KILLED: i32 = 137;
/// Exit code of what SIGTERM ended.
const INTERRUPTED: i32 = 143;

/// Reads the fate of `container` in `pod`.
#[must_use]
pub fn parse_script(pod: &Object, container: &Value) -> Script {
    let switches = Switches { pod, container: text(container, "name") };
    let gate = startup_gate(container);
    let (readiness, unready_after) = readiness(&switches, container, gate);
    Script {
        pull: pull(&switches, container),
        start_error: start_error(&switches, container),
        config_error: switches.value("config-error").map(str::to_owned),
        post_start: hook_seconds(container.pointer("/lifecycle/postStart")),
        post_start_error: hook_error(container.pointer("/lifecycle/postStart")),
        run: parse_run(&switches, pod, container),
        readiness,
        unready_after,
        started_after: gate,
        killed_after: killed_after(container, gate),
        kill_grace: kill_grace(pod, container, gate),
        oom_after: switches.duration("oom-after"),
        pre_stop: hook_seconds(container.pointer("/lifecycle/preStop")),
        stop_after: if switches.has("ignore-term") {
            None
        } else {
            Some(switches.duration("stop-after").unwrap_or_default())
        },
    }
}

/// How long after the kubelet takes up the pod its first container is started.
#[must_use]
pub fn start_delay(pod: &Object) -> Duration {
    Switches { pod, container: "" }.duration("start-after").unwrap_or_default()
}

/// How long after its start the pod is evicted, if it is.
#[must_use]
pub fn eviction_delay(pod: &Object) -> Option<Duration> {
    Switches { pod, container: "" }.duration("evict-after")
}

/// Annotations, looked up for one container first and then for the pod.
struct Switches<'a> {
    pod: &'a Object,
    container: &'a str,
}

impl Switches<'_> {
    fn value(&self, name: &str) -> Option<&str> {
        let own = format!("{PREFIX}{name}.{}", self.container);
        self.pod.annotation(&own).or_else(|| self.pod.annotation(&format!("{PREFIX}{name}")))
    }

    fn has(&self, name: &str) -> bool {
        self.value(name).is_some_and(|value| value != "false")
    }

    fn duration(&self, name: &str) -> Option<Duration> {
        self.value(name).and_then(parse_duration)
    }
}

/// A duration such as `5s`, `1m30s`, `250ms`, or a plain number of seconds.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let unit_length = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_length);
        let seconds = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86400.0,
            _ => return None,
        };
        total += Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()?;
        rest = tail;
    }
    (!text.is_empty()).then_some(total)
}

/// Words in an image name that mean that it does not exist.
const MISSING_IMAGE_WORDS: [&str; 6] =
    ["does-not-exist", "doesnotexist", "nonexistent", "non-existent", "argo-error", "not-found"];

/// Tags that mean that an image does not exist.
const MISSING_IMAGE_TAGS: [&str; 3] = ["error", "missing", "bad-image"];

/// Judges an image by its name alone.
#[must_use]
pub fn parse_image(image: &str) -> Pull {
    let (name, digest) = image.split_once('@').map_or((image, None), |(name, digest)| (name, Some(digest)));
    let slash = name.rfind('/').map_or(0, |at| at + 1);
    let (path, tag) = match name[slash..].rfind(':') {
        Some(colon) => (&name[..slash + colon], Some(&name[slash + colon + 1..])),
        None => (name, None),
    };
    let mut parts: Vec<&str> = path.split('/').collect();
    let is_registry = parts.len() > 1 && (parts[0].contains(['.', ':']) || parts[0] == "localhost");
    if is_registry {
        parts.remove(0);
    }
    let part_is_valid = |part: &&str| {
        let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        edge(part.chars().next())
            && edge(part.chars().last())
            && part
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-'))
    };
    let tag_is_valid = tag.is_none_or(|tag| {
        (1..=128).contains(&tag.len())
            && !tag.starts_with(['.', '-'])
            && tag.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
    });
    let digest_is_valid =
        digest.is_none_or(|digest| digest.split_once(':').is_some_and(|(_, hex)| hex.len() >= 32));
    if !parts.iter().all(part_is_valid) || !tag_is_valid || !digest_is_valid {
        Pull::Malformed
    } else if MISSING_IMAGE_WORDS.iter().any(|word| image.contains(word))
        || tag.is_some_and(|tag| MISSING_IMAGE_TAGS.contains(&tag))
    {
        Pull::NotFound
    } else {
        Pull::Succeeds
    }
}

/// An image name in full, as runtimes show it: with its registry and its tag.
#[must_use]
pub fn full_image_name(image: &str) -> String {
    let first = image.split('/').next().unwrap_or_default();
    let has_registry = image.contains('/') && (first.contains(['.', ':']) || first == "localhost");
    let name = match () {
        () if has_registry => image.to_owned(),
        () if image.contains('/') => format!("docker.io/{image}"),
        () => format!("docker.io/library/{image}"),
    };
    let has_tag = name.contains('@') || name.rsplit('/').next().is_some_and(|last| last.contains(':'));
    if has_tag { name } else { format!("{name}:latest") }
}

/// The command line of a container: its command, then its arguments.
#[must_use]
pub fn command_line(container: &Value) -> Vec<&str> {
    ["command", "args"]
        .iter()
        .flat_map(|field| container.get(*field).and_then(Value::as_array).into_iter().flatten())
        .filter_map(Value::as_str)
        .collect()
}

fn pull(switches: &Switches<'_>, container: &Value) -> Pull {
    let pull =
        if switches.has("image-missing") { Pull::NotFound } else { parse_image(text(container, "image")) };
    match pull {
        Pull::NotFound if text(container, "imagePullPolicy") == "Never" => Pull::NeverPulled,
        pull => pull,
    }
}

fn start_error(switches: &Switches<'_>, container: &Value) -> Option<String> {
    let program = container.pointer("/command/0").and_then(Value::as_str).unwrap_or_default();
    let marked = ["bad-command", "does-not-exist", "nonexistent", "no-such", "not-executable"];
    // Arguments alone are given to the image's own program, unless they look like a sentence: that is not a program.
    let bad = marked.iter().any(|word| program.contains(word)) || program.contains(' ');
    (bad || switches.has("start-error")).then(|| program.to_owned())
}

fn parse_run(switches: &Switches<'_>, pod: &Object, container: &Value) -> Run {
    if switches.has("hang") || switches.has("oom-after") {
        return Run::Forever;
    }
    let code = switches.value("exit-code").and_then(|code| code.parse().ok());
    if let Some(after) = switches.duration("crash-after") {
        return Run::Exits { after, code: code.unwrap_or(1) };
    }
    if let Some(after) = switches.duration("exit-after") {
        return Run::Exits { after, code: code.unwrap_or(0) };
    }
    let sidecar = text(container, "restartPolicy") == "Always";
    let init =
        pod.list("/spec/initContainers").iter().any(|init| text(init, "name") == text(container, "name"));
    let serves = sidecar || (!init && pod.text("/spec/restartPolicy").unwrap_or("Always") == "Always");
    let run = parse_command(&command_line(container), serves);
    match (run, code) {
        (Run::Exits { after, .. }, Some(code)) => Run::Exits { after, code },
        (run, _) => run,
    }
}

/// What a command line comes to. `serves` tells what a program that is not known does: serve for ever, or
/// end at once with success.
#[must_use]
pub fn parse_command(words: &[&str], serves: bool) -> Run {
    let unknown = if serves { Run::Forever } else { Run::Exits { after: Duration::ZERO, code: 0 } };
    let Some(program) = words.first() else { return unknown };
    let name = program.rsplit('/').next().unwrap_or(program);
    if matches!(name, "sh" | "bash" | "ash" | "dash") {
        let script = words[1..].iter().find(|word| !word.starts_with('-') && !word.starts_with('+'));
        return script.map_or(unknown, |script| parse_shell(script, serves));
    }
    // Arguments without a command may be one shell sentence.
    if words.len() == 1 && program.contains(' ') {
        return parse_shell(program, serves);
    }
    match simple_command(words) {
        Some(Step::Takes(after, code)) => Run::Exits { after, code },
        Some(Step::Exit(code)) => Run::Exits { after: Duration::ZERO, code },
        Some(Step::Forever) => Run::Forever,
        None => unknown,
    }
}

enum Step {
    Takes(Duration, i32),
    Exit(i32),
    Forever,
}

fn simple_command(words: &[&str]) -> Option<Step> {
    let name = words.first()?.rsplit('/').next()?;
    let at_once = |code| Some(Step::Takes(Duration::ZERO, code));
    match name {
        "sleep" => match words.get(1) {
            Some(&"infinity" | &"inf") => Some(Step::Forever),
            Some(duration) => Some(Step::Takes(parse_duration(duration)?, 0)),
            None => at_once(1),
        },
        "exit" => Some(Step::Exit(words.get(1).and_then(|code| code.parse().ok()).unwrap_or(0))),
        "true" | ":" | "echo" | "printf" | "date" | "ls" | "cat" | "env" | "set" | "export" | "touch"
        | "mkdir" | "test" | "[" => at_once(0),
        "false" => at_once(1),
        "while" | "until" | "for" | "tail" | "wait" => Some(Step::Forever),
        "exec" => simple_command(&words[1..]),
        _ => None,
    }
}

/// Walks a shell sentence of simple commands joined by `;`, `&&`, `||` and line ends.
fn parse_shell(script: &str, serves: bool) -> Run {
    let script = script.replace("&&", "\u{1}").replace("||", "\u{2}").replace(['\n', ';'], "\u{3}");
    let mut elapsed = Duration::ZERO;
    let mut code = 0;
    let mut rest = script.as_str();
    let mut joint = '\u{3}';
    loop {
        let end = rest.find(['\u{1}', '\u{2}', '\u{3}']).unwrap_or(rest.len());
        let words: Vec<&str> =
            rest[..end].split_whitespace().map(|word| word.trim_matches(['"', '\'', '(', ')'])).collect();
        let skipped = (joint == '\u{1}' && code != 0) || (joint == '\u{2}' && code == 0);
        if !skipped && !words.is_empty() {
            match simple_command(&words) {
                Some(Step::Takes(time, result)) => {
                    elapsed += time;
                    code = result;
                }
                Some(Step::Exit(code)) => return Run::Exits { after: elapsed, code },
                Some(Step::Forever) => return Run::Forever,
                None if serves => return Run::Forever,
                None => code = 0,
            }
        }
        let Some(next) = rest[end..].chars().next() else { return Run::Exits { after: elapsed, code } };
        joint = next;
        rest = &rest[end + next.len_utf8()..];
    }
}

fn hook_seconds(hook: Option<&Value>) -> Duration {
    let Some(hook) = hook else { return Duration::ZERO };
    if let Some(seconds) = hook.pointer("/sleep/seconds").and_then(Value::as_u64) {
        return Duration::from_secs(seconds);
    }
    let words: Vec<&str> = hook
        .pointer("/exec/command")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    match parse_command(&words, false) {
        Run::Exits { after, .. } => after,
        // A hook that never ends is cut off by the grace period; as a post-start hook it holds the start for ever.
        Run::Forever => Duration::from_secs(86_400 * 365),
    }
}

/// The command of a hook that fails, and the code it exits with.
fn hook_error(hook: Option<&Value>) -> Option<(Vec<String>, i32)> {
    let words: Vec<&str> =
        hook?.pointer("/exec/command")?.as_array()?.iter().filter_map(Value::as_str).collect();
    match parse_command(&words, false) {
        Run::Exits { code, .. } if code != 0 => Some((words.into_iter().map(str::to_owned).collect(), code)),
        _ => None,
    }
}

/// The grace of a container that a probe has stopped: the probe's own or the pod's.
fn kill_grace(pod: &Object, container: &Value, gate: Option<Duration>) -> Duration {
    let probe = if gate.is_none() { "startupProbe" } else { "livenessProbe" };
    let own = container.get(probe).and_then(|probe| probe.get("terminationGracePeriodSeconds"));
    let grace = own.or_else(|| pod.at("/spec/terminationGracePeriodSeconds")).and_then(Value::as_u64);
    Duration::from_secs(grace.unwrap_or(30))
}

/// Whether an exec probe's command fails; every other probe passes.
fn probe_fails(probe: &Value) -> bool {
    let words: Vec<&str> = probe
        .pointer("/exec/command")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    matches!(parse_command(&words, false), Run::Exits { code, .. } if code != 0)
}

/// The rhythm of a probe.
#[derive(Clone, Copy)]
struct Rhythm {
    initial_delay: u64,
    period: u64,
    successes: u64,
    failures: u64,
}

impl Rhythm {
    fn parse(probe: &Value) -> Self {
        let number = |field: &str, default: u64| probe.get(field).and_then(Value::as_u64).unwrap_or(default);
        Self {
            initial_delay: number("initialDelaySeconds", 0),
            period: number("periodSeconds", 10).max(1),
            successes: number("successThreshold", 1).max(1),
            failures: number("failureThreshold", 3).max(1),
        }
    }

    /// Start-up and liveness probes run once a period, counted from a moment before the container's start; the first
    /// that counts is the first after the initial delay.
    fn first_after_delay(self) -> u64 {
        (self.initial_delay / self.period + 1).saturating_mul(self.period)
    }

    /// Readiness probes run as soon as the container has started up (`gate`) and then once a period; the first that
    /// counts is the first not before the initial delay.
    fn first_not_before_delay(self, gate: u64) -> u64 {
        let missing = self.initial_delay.saturating_sub(gate);
        gate.saturating_add(missing.div_ceil(self.period).saturating_mul(self.period))
    }
}

/// When the start-up probe has passed, counted from the container's start.
fn startup_gate(container: &Value) -> Option<Duration> {
    let Some(probe) = container.get("startupProbe").filter(|probe| !probe.is_null()) else {
        return Some(Duration::ZERO);
    };
    (!probe_fails(probe)).then(|| Duration::from_secs(Rhythm::parse(probe).first_after_delay()))
}

fn readiness(
    switches: &Switches<'_>,
    container: &Value,
    gate: Option<Duration>,
) -> (Readiness, Option<Duration>) {
    let unready_after = switches.duration("unready-after");
    if switches.has("never-ready") {
        return (Readiness::Never, None);
    }
    if let Some(after) = switches.duration("ready-after") {
        return (Readiness::After(after), unready_after);
    }
    let Some(gate) = gate else { return (Readiness::Never, None) };
    let after = match container.get("readinessProbe").filter(|probe| !probe.is_null()) {
        None => gate,
        Some(probe) if probe_fails(probe) => return (Readiness::Never, None),
        Some(probe) => {
            let rhythm = Rhythm::parse(probe);
            let first = rhythm.first_not_before_delay(gate.as_secs());
            let repeats = (rhythm.successes - 1).saturating_mul(rhythm.period);
            Duration::from_secs(first.saturating_add(repeats))
        }
    };
    (Readiness::After(after), unready_after)
}

fn killed_after(container: &Value, gate: Option<Duration>) -> Option<Duration> {
    let gives_up = |probe: &Value, gate: u64| {
        let rhythm = Rhythm::parse(probe);
        let repeats = (rhythm.failures - 1).saturating_mul(rhythm.period);
        Duration::from_secs(rhythm.first_after_delay().max(gate).saturating_add(repeats))
    };
    match (container.get("startupProbe"), container.get("livenessProbe")) {
        (Some(startup), _) if gate.is_none() => Some(gives_up(startup, 0)),
        (_, Some(liveness)) if probe_fails(liveness) => {
            Some(gives_up(liveness, gate.unwrap_or_default().as_secs()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn exits(seconds: u64, code: i32) -> Run {
        Run::Exits { after: Duration::from_secs(seconds), code }
    }

    #[test]
    fn a_command_line_says_how_long_a_container_runs_and_how_it_ends() {
        let table: Vec<(Vec<&str>, bool, Run)> = vec![
            (vec![], true, Run::Forever),
            (vec![], false, exits(0, 0)),
            (vec!["sleep", "30"], true, exits(30, 0)),
            (vec!["sleep", "infinity"], false, Run::Forever),
            (vec!["false"], false, exits(0, 1)),
            (vec!["/bin/true"], false, exits(0, 0)),
            (vec!["sh", "-c", "exit 3"], false, exits(0, 3)),
            (vec!["sh", "-c", "sleep 5 && exit 1"], false, exits(5, 1)),
            (vec!["sh", "-c", "-x", "sleep 5 && exit 0"], false, exits(5, 0)),
            (vec!["/bin/sh", "-ec", "echo hi; sleep 2; false"], false, exits(2, 1)),
            (vec!["sh", "-c", "false || sleep 4"], false, exits(4, 0)),
            (vec!["sh", "-c", "false && sleep 4"], false, exits(0, 1)),
            (vec!["sh", "-c", "while true; do sleep 1; done"], false, Run::Forever),
            (vec!["sh", "-c", "wget x && exit 2"], false, exits(0, 2)),
            (vec!["nginx", "-g", "daemon off;"], true, Run::Forever),
            (vec!["sleep 5 && exit 1"], false, exits(5, 1)),
        ];
        for (words, serves, expected) in table {
            assert_eq!(parse_command(&words, serves), expected, "{words:?}");
        }
    }

    #[test]
    fn an_image_name_says_whether_it_can_be_pulled() {
        let table = [
            ("nginx:1.19-alpine", Pull::Succeeds),
            ("argoproj/rollouts-demo:blue", Pull::Succeeds),
            ("localhost:5000/a/b:1", Pull::Succeeds),
            (
                "registry.example.com/a@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
                Pull::Succeeds,
            ),
            ("nginx:1.19-alpine-argo-error", Pull::NotFound),
            ("nonexistent-image-that-does-not-exist:latest", Pull::NotFound),
            ("rollouts-demo:error", Pull::NotFound),
            ("argoproj/rollouts-demo:does-not-exist", Pull::NotFound),
            ("Bad Image", Pull::Malformed),
            ("nginx:", Pull::Malformed),
            ("NGINX:1", Pull::Malformed),
            ("", Pull::Malformed),
            ("a//b", Pull::Malformed),
        ];
        for (image, expected) in table {
            assert_eq!(parse_image(image), expected, "{image}");
        }
    }

    fn script(annotations: Value, policy: &str, container: Value) -> Script {
        let pod: Object = json!({"metadata": {"annotations": annotations}, "spec": {"restartPolicy": policy, "containers": [container]}}).into();
        parse_script(&pod, &pod.list("/spec/containers")[0])
    }

    #[test]
    fn probes_hooks_and_annotations_shape_a_containers_fate() {
        let ten = Duration::from_secs(10);
        let delayed = script(
            json!({}),
            "Always",
            json!({"name": "a", "image": "i", "readinessProbe": {"initialDelaySeconds": 10, "httpGet": {}}}),
        );
        assert_eq!((delayed.readiness, delayed.run), (Readiness::After(ten), Run::Forever));
        let twice = script(
            json!({}),
            "Always",
            json!({"image": "i", "readinessProbe": {"periodSeconds": 5, "successThreshold": 3}}),
        );
        assert_eq!(twice.readiness, Readiness::After(ten));
        let failing = script(
            json!({}),
            "Always",
            json!({"image": "i", "readinessProbe": {"exec": {"command": ["false"]}}}),
        );
        assert_eq!(failing.readiness, Readiness::Never);
        let gated =
            script(json!({}), "Always", json!({"image": "i", "startupProbe": {"initialDelaySeconds": 9}}));
        assert_eq!((gated.readiness, gated.started_after), (Readiness::After(ten), Some(ten)));
        let dying = script(
            json!({}),
            "Always",
            json!({"image": "i", "livenessProbe": {"periodSeconds": 5, "exec": {"command": ["sh", "-c", "exit 1"]}}}),
        );
        assert_eq!(dying.killed_after, Some(ten + Duration::from_secs(5)));
        let hooks = script(
            json!({}),
            "Always",
            json!({"image": "i", "lifecycle": {
            "postStart": {"exec": {"command": ["sleep", "10"]}}, "preStop": {"sleep": {"seconds": 10}}}}),
        );
        assert_eq!((hooks.post_start, hooks.pre_stop, hooks.stop_after), (ten, ten, Some(Duration::ZERO)));
        let marked = script(
            json!({"sandbox.glidepath.dev/crash-after": "10s", "sandbox.glidepath.dev/exit-code": "7",
            "sandbox.glidepath.dev/ready-after.a": "1m", "sandbox.glidepath.dev/ready-after": "9", "sandbox.glidepath.dev/ignore-term": "true"}),
            "Always",
            json!({"name": "a", "image": "i"}),
        );
        assert_eq!(marked.run, Run::Exits { after: ten, code: 7 });
        assert_eq!((marked.readiness, marked.stop_after), (Readiness::After(Duration::from_secs(60)), None));
        let bad = script(json!({}), "Never", json!({"image": "i", "command": ["/bad-command", "x"]}));
        assert_eq!(bad.start_error.as_deref(), Some("/bad-command"));
    }

    #[test]
    fn an_image_name_is_completed_as_runtimes_complete_it() {
        let table = [
            ("web", "docker.io/library/web:latest"),
            ("web:1", "docker.io/library/web:1"),
            ("lab/web:1", "docker.io/lab/web:1"),
            ("localhost/web:1", "localhost/web:1"),
            ("registry.example.com:5000/lab/web", "registry.example.com:5000/lab/web:latest"),
            ("web@sha256:00", "docker.io/library/web@sha256:00"),
        ];
        for (image, full) in table {
            assert_eq!(full_image_name(image), full);
        }
    }

    #[test]
    fn durations_read_as_written() {
        let table = [
            ("5s", Some(5000)),
            ("1m30s", Some(90_000)),
            ("250ms", Some(250)),
            ("2", Some(2000)),
            ("0.5", Some(500)),
            ("", None),
            ("5x", None),
            ("-1s", None),
        ];
        for (text, millis) in table {
            assert_eq!(parse_duration(text), millis.map(Duration::from_millis), "{text}");
        }
    }
}
