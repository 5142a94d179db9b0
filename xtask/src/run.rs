//! Commands that start something: each is one or two cargo invocations.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// Prints to standard output; the only place that does.
pub(crate) fn say(text: &str) {
    // A closed pipe is the reader's choice, not an error of the command.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Prints to standard error; the only place that does.
pub(crate) fn complain(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// Runs `cargo` with `args` in the workspace root and fails if it fails.
pub(crate) fn cargo(args: &[&str]) -> Result<()> {
    command(Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())).args(args))
}

/// Runs a command in the workspace root and fails if it fails.
pub(crate) fn command(command: &mut Command) -> Result<()> {
    command.current_dir(root());
    let line = format!("{command:?}").replace('"', "");
    let status = command.status().with_context(|| format!("could not start {line}"))?;
    if !status.success() {
        bail!("{line} ended with {status}");
    }
    Ok(())
}

fn with_rest<'a>(args: &[&'a str], rest: &'a [String]) -> Vec<&'a str> {
    args.iter().copied().chain(rest.iter().map(String::as_str)).collect()
}

/// `cargo xtask demo`.
pub(crate) fn demo(rest: &[String]) -> Result<()> {
    cargo(&["build", "--package", "glidepath-controller", "--package", "glidepath-cli", "--bins"])?;
    command(Command::new(built("glidepath")).arg("demo").args(rest))
}

/// Where cargo leaves a program of a debug build.
pub(crate) fn built(name: &str) -> PathBuf {
    built_as("debug", name)
}

/// Where cargo leaves a program of this profile's folder.
pub(crate) fn built_as(profile: &str, name: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    target.join(profile).join(name)
}

/// `cargo xtask test`.
pub(crate) fn test(rest: &[String]) -> Result<()> {
    cargo(&with_rest(&["test", "--workspace"], rest))
}

/// `cargo xtask bench`.
pub(crate) fn bench(rest: &[String]) -> Result<()> {
    cargo(&["build", "--release", "--package", "glidepath-controller", "--bin", "glidepath"])?;
    cargo(&with_rest(
        &[
            "run",
            "--release",
            "--quiet",
            "--package",
            "glidepath-scenarios",
            "--bin",
            "glidepath-bench",
            "--",
        ],
        rest,
    ))
}

/// `cargo xtask fuzz`.
pub(crate) fn fuzz(rest: &[String]) -> Result<()> {
    cargo(&with_rest(&["run", "--profile", "fuzz", "--quiet", "--package", "glidepath-fuzz", "--"], rest))
}

/// Random releases of each of the four kinds that `soak` goes through.
const SOAK_CASES: &str = "25000";

/// `cargo xtask soak`: random releases through the decisions, then the walk.
pub(crate) fn soak(rest: &[String]) -> Result<()> {
    if rest.is_empty() {
        let mut properties = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        properties
            .args(["test", "--profile", "fuzz", "--quiet", "--package", "glidepath-core", "--lib"])
            .args(["rollout::tests::properties", "--", "--nocapture"])
            .env("PROPTEST_CASES", SOAK_CASES);
        command(&mut properties)?;
    }
    let walk = [
        "run",
        "--profile",
        "fuzz",
        "--quiet",
        "--package",
        "glidepath-scenarios",
        "--bin",
        "glidepath-soak",
        "--",
    ];
    cargo(&with_rest(&walk, rest))
}
