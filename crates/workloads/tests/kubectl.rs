//! A script of real `kubectl` commands: what they print on the embedded plane is what they printed on a real
//! kube-apiserver with its controllers.
//!
//! The answers stand in `kubectl/script-1.*.txt`, one file for each version of kubectl they were recorded with. To
//! record them again, start a control plane without nodes and run this test with `GLIDEPATH_REAL_KUBECONFIG` naming its
//! kubeconfig and `GLIDEPATH_RECORD=1`; without `GLIDEPATH_RECORD` the real plane is held against them too. `kubectl` is
//! taken from `GLIDEPATH_KUBECTL` or the `PATH`; of a version without a recording only exit statuses are compared.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall stop where it is")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use glidepath_sandbox::{Running, Sandbox};
use glidepath_workloads::kubelet::node::NodeConfig;
use glidepath_workloads::{Controller, Workloads};
use regex::Regex;
use support::connect;

/// The minor versions of kubectl that answers were recorded with. The first stands in for all others.
const RECORDED_WITH: [&str; 2] = ["36", "32"];

/// One command of the script and what it is to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Step {
    /// Comments and blank lines before it.
    before: Vec<String>,
    command: String,
    /// Lines are compared in any order.
    sorted: bool,
    /// Why the sandbox answers otherwise, if it does.
    differs: Option<String>,
    answer: Answer,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Answer {
    lines: Vec<String>,
    exit_status: i32,
}

fn parse_script(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut before = Vec::new();
    for line in text.lines() {
        if let Some(command) = line.strip_prefix("$ ").or_else(|| line.strip_prefix("$sorted ")) {
            steps.push(Step {
                before: std::mem::take(&mut before),
                command: command.to_owned(),
                sorted: line.starts_with("$sorted"),
                ..Step::default()
            });
        } else if line.is_empty() || line.starts_with('#') {
            before.push(line.to_owned());
        } else if let Some(step) = steps.last_mut() {
            if let Some(reason) = line.strip_prefix("~ ") {
                step.differs = Some(reason.to_owned());
            } else if let Some(status) = line.strip_prefix("= ") {
                step.answer.exit_status = status.parse().unwrap();
            } else {
                step.answer.lines.push(line.to_owned());
            }
        }
    }
    steps
}

fn render_script(steps: &[Step]) -> String {
    let mut text = String::new();
    for step in steps {
        for line in &step.before {
            text += &format!("{line}\n");
        }
        text += &format!("{} {}\n", if step.sorted { "$sorted" } else { "$" }, step.command);
        if let Some(reason) = &step.differs {
            text += &format!("~ {reason}\n");
        }
        for line in &step.answer.lines {
            text += &format!("{line}\n");
        }
        if step.answer.exit_status != 0 {
            text += &format!("= {}\n", step.answer.exit_status);
        }
    }
    text
}

/// A command line as words; quotes keep words together.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quote, mut open) = (String::new(), None, false);
    for c in command.chars() {
        match (quote, c) {
            (Some(end), c) if c == end => quote = None,
            (Some(_), c) => word.push(c),
            (None, '\'' | '"') => (quote, open) = (Some(c), true),
            (None, ' ') => {
                if open || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                open = false;
            }
            (None, c) => word.push(c),
        }
    }
    if open || !word.is_empty() {
        words.push(word);
    }
    words
}

/// Replaces what differs from run to run.
struct Normal(Vec<(Regex, &'static str)>);

impl Normal {
    fn new() -> Self {
        let table = [
            (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
            (r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [+-]\d{4}", "TIME"),
            (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UID"),
            (r"eyJ[\w-]+\.[\w-]+\.[\w-]+", "TOKEN"),
            // Changes are signed with the name of the program, which may say its version.
            (r"\bkubectl\.1\.\d+\b", "kubectl"),
            // A whole object as it was at that moment, in whatever order.
            (r#"Invalid value: "\{.*\}": json"#, r#"Invalid value: "OBJECT": json"#),
            (r#"(resourceVersion"?: )"\d+""#, "${1}RV"),
            (r"Resource Version: +\d+", "Resource Version: RV"),
            (r"https://127\.0\.0\.1:\d+", "SERVER"),
            (r"\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b", "IP"),
            (r"/tmp/[\w./-]+", "PATH"),
            (r"^(diff|---|\+\+\+) .*", "$1"),
            (r"^[EWI]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ ", "LOG "),
            (r"-[bcdfghjklmnpqrstvwxz2456789]{5}\b", "-xxxxx"),
            (r"\b\d+(ms|[smhd])(\d+[smh])?\b", "AGE"),
            (r" \(x\d+ over AGE\)", ""),
            (r"kube-api-access-xxxxx", "kube-api-access"),
            (r" {2,}", "  "),
            // Deployments hash their templates in another way; rollouts do not.
            (r"\b(web-|template-hash=)[0-9a-f]{7,10}\b", "${1}HASH"),
            (r"\s+$", ""),
        ];
        Self(table.into_iter().map(|(pattern, with)| (Regex::new(pattern).unwrap(), with)).collect())
    }

    fn line(&self, line: &str) -> String {
        let mut line = line.replace('\t', "  ");
        // Depth matters in YAML; spaces further right do not.
        let depth = line.len() - line.trim_start().len();
        let indent = " ".repeat(depth);
        line = line.trim_start().to_owned();
        for (pattern, with) in &self.0 {
            line = pattern.replace_all(&line, *with).into_owned();
        }
        if line.is_empty() { line } else { indent + &line }
    }
}

/// A cluster that kubectl can be pointed at.
struct Cluster {
    kubectl: PathBuf,
    kubeconfig: PathBuf,
    home: tempfile::TempDir,
    normal: Normal,
}

impl Cluster {
    fn run(&self, step: &Step) -> Answer {
        let output = Command::new(&self.kubectl)
            .args(["-n", "script"])
            .args(words(&step.command))
            .current_dir(folder())
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HOME", self.home.path())
            .env("KUBE_EDITOR", "sed -i s/green/purple/")
            .env_remove("KUBECTL_EXTERNAL_DIFF")
            .output()
            .unwrap();
        let mut lines = Vec::new();
        for (mark, bytes) in [("  ", &output.stdout), ("! ", &output.stderr)] {
            let text = String::from_utf8_lossy(bytes);
            let mut found: Vec<String> = text
                .lines()
                // How often a wait says how far it is depends on the moment.
                .filter(|line| !line.starts_with("Waiting for deployment"))
                // So does whether a watch that is no longer needed complains that it was broken off.
                .filter(|line| !line.contains("watch ended with error"))
                .map(|line| format!("{mark}{}", self.normal.line(line)))
                .collect();
            if step.sorted {
                found.sort();
                found.dedup();
            }
            lines.extend(found.into_iter().map(|line| line.trim_end().to_owned()).map(|line| {
                // A blank line of output must not look like one between steps.
                if line.is_empty() { "  .".to_owned() } else { line }
            }));
        }
        Answer { lines, exit_status: output.status.code().unwrap_or(-1) }
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kubectl")
}

/// The commands with the answers that a minor version of kubectl got.
fn script(minor: &str) -> PathBuf {
    folder().join(format!("script-1.{minor}.txt"))
}

/// Where kubectl is, and its minor version.
fn find_kubectl() -> Option<(PathBuf, String)> {
    let path = std::env::var_os("GLIDEPATH_KUBECTL").map_or_else(|| PathBuf::from("kubectl"), PathBuf::from);
    let output = Command::new(&path).args(["version", "--client", "-o", "json"]).output().ok()?;
    let version: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
    Some((path, version.pointer("/clientVersion/minor")?.as_str()?.to_owned()))
}

/// The embedded plane with all its controllers.
async fn start_sandbox() -> (Sandbox, Running, Workloads) {
    let sandbox = Sandbox::builder().build().unwrap();
    let running = sandbox.serve(([127, 0, 0, 1], 0).into()).await.unwrap();
    let workloads = Workloads::builder(sandbox.client("workloads", "default"))
        .controllers(Controller::ALL)
        .model_nodes([NodeConfig::new("node-a")])
        .root_ca(running.authority_pem())
        .events(true)
        .spawn();
    (sandbox, running, workloads)
}

/// Our kubelet as the only node of a real plane.
async fn join_real(kubeconfig: &Path) -> Workloads {
    Workloads::builder(connect(kubeconfig).await).model_nodes([NodeConfig::new("node-a")]).spawn()
}

/// The lines of an answer. kubectl describes the data of a ConfigMap or a Secret in the order of a Go map, another one each
/// time, so there they are sorted.
fn in_order(step: &Step, answer: &Answer) -> Vec<String> {
    let mut lines = answer.lines.clone();
    if ["describe configmap ", "describe secret "].iter().any(|start| step.command.starts_with(start)) {
        lines.sort_unstable();
    }
    lines
}

/// What differs, as text; empty when all is as recorded.
fn compare(step: &Step, got: &Answer, only_status: bool) -> String {
    let same_status = got.exit_status == step.answer.exit_status;
    if same_status && (only_status || in_order(step, got) == in_order(step, &step.answer)) {
        return String::new();
    }
    let mut text = format!("$ {}\n", step.command);
    if !same_status {
        text += &format!("  exit status {} instead of {}\n", got.exit_status, step.answer.exit_status);
    }
    for line in step.answer.lines.iter().filter(|line| !got.lines.contains(line)) {
        text += &format!("-{line}\n");
    }
    for line in got.lines.iter().filter(|line| !step.answer.lines.contains(line)) {
        text += &format!("+{line}\n");
    }
    if text.lines().count() == 1 {
        text += &format!("  the same lines in another order: {:#?}\n", got.lines);
    }
    text
}

#[test]
fn kubectl_says_what_it_says_on_a_real_control_plane() {
    let Some((kubectl, minor)) = find_kubectl() else {
        println!("SKIPPED: there is no kubectl on the PATH and GLIDEPATH_KUBECTL names none");
        return;
    };
    let recorded = RECORDED_WITH.into_iter().find(|recorded| *recorded == minor.trim_end_matches('+'));
    if recorded.is_none() {
        println!("answers of kubectl 1.{minor} were not recorded: only exit statuses are compared");
    }
    let script = script(recorded.unwrap_or(RECORDED_WITH[0]));
    let mut steps = parse_script(&std::fs::read_to_string(&script).unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let home = tempfile::tempdir().unwrap();
    let real = std::env::var_os("GLIDEPATH_REAL_KUBECONFIG").map(PathBuf::from);
    let recording = real.is_some() && std::env::var_os("GLIDEPATH_RECORD").is_some();
    let (kubeconfig, ground) = match &real {
        Some(path) => (path.clone(), (None, runtime.block_on(join_real(path)))),
        None => {
            let (sandbox, running, workloads) = runtime.block_on(start_sandbox());
            let path = home.path().join("kubeconfig");
            running.write_kubeconfig(&path).unwrap();
            (path, (Some((sandbox, running)), workloads))
        }
    };
    let cluster = Cluster { kubectl, kubeconfig, home, normal: Normal::new() };
    let mut differences = String::new();
    for step in &mut steps {
        let answer = cluster.run(step);
        if real.is_some() && step.command.contains("condition=established") {
            // A real server publishes a new kind's documents a moment after it says so.
            runtime.block_on(async { tokio::time::sleep(std::time::Duration::from_secs(5)).await });
        }
        if recording {
            step.answer = answer;
        } else {
            let explained = step.differs.is_some() && real.is_none();
            differences += &compare(step, &answer, recorded.is_none() || explained);
        }
    }
    runtime.block_on(ground.1.shutdown());
    if recording {
        std::fs::write(&script, render_script(&steps)).unwrap();
    }
    let count = differences.lines().filter(|line| line.starts_with("$ ")).count();
    assert!(differences.is_empty(), "{count} of {} answers differ:\n{differences}", steps.len());
}

#[test]
fn a_script_is_read_and_written_unchanged() {
    let mut commands = Vec::new();
    for minor in RECORDED_WITH {
        let text = std::fs::read_to_string(script(minor)).unwrap();
        let steps = parse_script(&text);
        assert!(steps.len() >= 50, "{}", steps.len());
        assert_eq!(render_script(&steps), text);
        commands.push(steps.into_iter().map(|step| step.command).collect::<Vec<_>>());
    }
    assert!(commands.windows(2).all(|pair| pair[0] == pair[1]), "every version is asked the same");
    assert_eq!(words(r#"a 'b c' "" -p '{"x":1}'"#), ["a", "b c", "", "-p", r#"{"x":1}"#]);
}
