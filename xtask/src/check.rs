//! `cargo xtask check`: everything short of the tests that a change must pass.

use std::process::Command;

use anyhow::{Context as _, Result};

use crate::run::{cargo, command, root, say};

/// Runs every check and stops at the first that fails.
pub(crate) fn all() -> Result<()> {
    step("format", &["fmt", "--all", "--check"])?;
    step("lints", &["clippy", "--workspace", "--all-targets", "--quiet", "--", "--deny", "warnings"])?;
    say("check: generated files\n");
    crate::r#gen::run(&["--check".to_owned()])?;
    licences()?;
    say("check: documentation\n");
    command(
        Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["doc", "--workspace", "--no-deps", "--quiet", "--document-private-items"])
            // Private items are documented too, so links to them lead somewhere.
            .env("RUSTDOCFLAGS", "--deny warnings --allow rustdoc::private-intra-doc-links"),
    )?;
    each_crate_alone()
}

fn step(name: &str, args: &[&str]) -> Result<()> {
    say(&format!("check: {name}\n"));
    cargo(args)
}

/// Licences, sources and banned crates. Advisories need a database from the network and are asked for
/// separately (`cargo deny check advisories`).
fn licences() -> Result<()> {
    say("check: licences, sources, banned crates\n");
    cargo(&["deny", "--log-level", "error", "check", "bans", "licenses", "sources"])
        .context("cargo-deny is needed: cargo install cargo-deny --locked")
}

/// Checks each crate by itself, so that none lives off features its neighbours switch on.
fn each_crate_alone() -> Result<()> {
    let mut names: Vec<String> = std::fs::read_dir(root().join("crates"))?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_>>()?;
    names.sort();
    for name in names {
        let package = format!("glidepath-{name}");
        step(&format!("{package} alone"), &["check", "--quiet", "--package", &package])?;
    }
    Ok(())
}
