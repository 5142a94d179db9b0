//! `gen`: writes the generated files of the repository, or with `--check` says which ones are out of date.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// Runs `gen`.
///
/// # Errors
/// When an argument is unknown, a file cannot be written, or `--check` finds a file out of date.
pub(crate) fn run(arguments: &[String]) -> anyhow::Result<()> {
    let check = match arguments {
        [] => false,
        [flag] if flag == "--check" => true,
        _ => bail!("usage: cargo xtask gen [--check]"),
    };
    let root = repository_root();
    let mut outdated = Vec::new();
    for (path, text) in generated_files() {
        let path = root.join(path);
        if fs::read_to_string(&path).is_ok_and(|found| found == text) {
            continue;
        }
        if check {
            outdated.push(path.display().to_string());
            continue;
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        }
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    }
    if !outdated.is_empty() {
        bail!("out of date, run `cargo xtask gen`: {}", outdated.join(", "));
    }
    Ok(())
}

/// Every generated file: path from the repository's root, and text.
fn generated_files() -> Vec<(PathBuf, String)> {
    let crds = glidepath_api::crd::render_files();
    crds.into_iter().map(|(name, text)| (Path::new("deploy/crds").join(name), text)).collect()
}

fn repository_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
