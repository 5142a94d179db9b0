//! Commands about a real control plane. The work is done by `glidepath-plane`; its exit status is passed on, because
//! 2 means that Go is missing.

use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};

use crate::run::{built, built_as, cargo, complain, root};

/// `cargo xtask real up|down|kubeconfig [NAME]`.
pub(crate) fn plane(rest: &[String]) -> ExitCode {
    finish(build().and_then(|()| run(Command::new(built("glidepath-plane")).args(rest))))
}

/// `cargo xtask test --real [WORD …]`.
pub(crate) fn test(words: &[String]) -> ExitCode {
    finish(build().and_then(|()| {
        let mut stories = with_plane("debug", &[]);
        stories
            .arg(built("glidepath-tell"))
            .arg("{kubeconfig}")
            .arg(built("kubectl-argo-rollouts"))
            .args(words);
        let told = run(&mut stories)?;
        if told != 0 || words.iter().any(|word| !word.starts_with("--")) {
            return Ok(told);
        }
        // Our kubelets as nodes; then what the recorded answers say, held against this very server: raw requests and
        // a script of kubectl commands. Each finds a plane of its own, because each expects to be alone.
        for target in ["real", "requests", "semantics", "kubectl"] {
            let mut tests = with_plane("debug", &["--bare"]);
            tests.arg(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
            tests.args(["test", "--workspace", "--test", target]);
            let ended = run(&mut tests)?;
            if ended != 0 {
                return Ok(ended);
            }
        }
        Ok(0)
    }))
}

/// `cargo xtask bench --real`: the benchmark on a plane of its own, calls counted by its API server.
pub(crate) fn bench(rest: &[String]) -> ExitCode {
    let programs = ["glidepath", "glidepath-bench", "glidepath-plane"];
    let mut build = vec!["build", "--release", "--quiet", "--workspace"];
    build.extend(programs.iter().flat_map(|program| ["--bin", program]));
    finish(cargo(&build).and_then(|()| {
        let mut measured = with_plane("release", &["--no-controller", "--audit"]);
        measured.arg(built_as("release", "glidepath-bench")).args([
            "--kubeconfig",
            "{kubeconfig}",
            "--own-kubeconfig",
            "{folder}/controller.kubeconfig",
            "--audit-log",
            "{folder}/log/audit.log",
            "--storm",
            "500",
            "--json",
        ]);
        measured.arg(root().join("target/bench-real.json")).args(rest);
        run(&mut measured)
    }))
}

/// Builds every program. The whole workspace at once, here and below, so that dependencies are built with the same
/// features as for the other tests, once.
fn build() -> Result<()> {
    cargo(&["build", "--quiet", "--workspace", "--bins"])
}

/// A command that runs what is added to it while a plane of its own is up.
fn with_plane(profile: &str, options: &[&str]) -> Command {
    let mut command = Command::new(built_as(profile, "glidepath-plane"));
    command.arg("with").args(options).arg("--");
    command
}

/// Runs a command in the workspace root; its exit status.
fn run(command: &mut Command) -> Result<u8> {
    let line = format!("{command:?}").replace('"', "");
    let status = command.current_dir(root()).status().with_context(|| format!("could not start {line}"))?;
    // One that was killed by a signal has no exit status.
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

fn finish(outcome: Result<u8>) -> ExitCode {
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            complain(&format!("error: {error:#}\n"));
            ExitCode::FAILURE
        }
    }
}
