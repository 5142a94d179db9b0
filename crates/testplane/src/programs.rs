//! The programs of a real control plane: built once from pinned sources through the Go module proxy, kept outside
//! the work tree, and built again only when the pins change.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};

use crate::output::say;
use crate::processes::is_running;

/// What is built, and with which modules.
const MODULE: &str = include_str!("../pins/go.mod");
/// Checksums of those modules.
const SUMS: &str = include_str!("../pins/go.sum");
/// The programs that come from Kubernetes.
const KUBERNETES: [&str; 4] = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"];
const ETCD: &str = "etcd";
/// How a folder is called in which a build is under way, after the pins and the id of the process that builds.
const PARTIAL: &str = "partial";

/// Go is not there, or not new enough.
#[derive(Debug, thiserror::Error)]
#[error(
    "Go 1.26 or later is needed to build a real control plane ({found}); install it from https://go.dev/dl/ and put its bin folder on PATH"
)]
pub(crate) struct GoMissing {
    found: String,
}

/// A folder with every program.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// Finds the programs of these pins, and builds them if they are not there.
    ///
    /// # Errors
    /// [`GoMissing`] when they must be built and cannot be; otherwise what the build said.
    pub(crate) fn find_or_build(cache: &Path) -> Result<Self> {
        let folder = cache.join(fingerprint(MODULE, SUMS));
        let programs = Self { folder: folder.join("bin") };
        if !programs.are_complete() {
            let experiments = experiments(&go_version()?)?;
            build(&folder, experiments)?;
        }
        Ok(programs)
    }

    /// Where a program is.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The folder they are in, for `PATH`.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    fn are_complete(&self) -> bool {
        KUBERNETES.iter().chain([&ETCD]).all(|name| self.path(name).is_file())
    }
}

/// Names a set of pins; another name means another build.
fn fingerprint(module: &str, sums: &str) -> String {
    let digest = Sha256::new().chain_update(module).chain_update(sums).finalize();
    digest[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The version of Kubernetes in the pins, e.g. `v1.36.2`.
fn kubernetes_version(module: &str) -> Option<&str> {
    module.lines().find_map(|line| line.trim().strip_prefix("k8s.io/kubernetes "))
}

/// What `go env GOVERSION` says, e.g. `go1.26.1`. Asked outside any module, so that it is the installed one.
fn go_version() -> Result<String> {
    let asked = Command::new("go").args(["env", "GOVERSION"]).current_dir(std::env::temp_dir()).output();
    match asked {
        Ok(output) if output.status.success() => {
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        }
        Ok(output) => {
            Err(GoMissing { found: String::from_utf8_lossy(&output.stderr).trim().to_owned() }.into())
        }
        Err(error) => Err(GoMissing { found: format!("go: {error}") }.into()),
    }
}

/// The value of `GOEXPERIMENT` under this version of Go. From 1.27 on JSON v2 is the default, with which an API
/// server of this version serves OpenAPI documents that `kubectl apply` cannot read.
fn experiments(version: &str) -> Result<&'static str, GoMissing> {
    let minor = version.strip_prefix("go1.").and_then(|rest| {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
        rest[..digits].parse::<u32>().ok()
    });
    match minor {
        Some(26) => Ok(""),
        Some(minor) if minor > 26 => Ok("nojsonv2"),
        _ => Err(GoMissing { found: format!("found {version}") }),
    }
}

/// Builds beside the final place and moves the result there, so that a build that was interrupted leaves nothing
/// that looks finished, and two builds at once do not mix.
fn build(folder: &Path, experiments: &str) -> Result<()> {
    let version = kubernetes_version(MODULE).context("the pins name no Kubernetes")?;
    say(&format!("building etcd and Kubernetes {version} into {} (minutes, once)\n", folder.display()));
    remove_abandoned(folder.parent().unwrap_or(folder))?;
    let partial = folder.with_extension(format!("{}.{PARTIAL}", std::process::id()));
    let bin = partial.join("bin");
    fs::create_dir_all(&bin).with_context(|| format!("create {}", bin.display()))?;
    fs::write(partial.join("go.mod"), MODULE)?;
    fs::write(partial.join("go.sum"), SUMS)?;

    let stamp = "k8s.io/component-base/version";
    let [major, minor] = major_and_minor(version).context("the pins' Kubernetes version cannot be read")?;
    let flags = format!(
        "-s -w -X {stamp}.gitVersion={version} -X {stamp}.gitMajor={major} -X {stamp}.gitMinor={minor} -X {stamp}.gitTreeState=clean"
    );
    let packages = KUBERNETES.map(|name| format!("k8s.io/kubernetes/cmd/{name}"));
    let packages: Vec<&str> = packages.iter().map(String::as_str).collect();
    go_build(&partial, &flags, &format!("{}/", bin.display()), &packages, experiments)?;
    go_build(
        &partial,
        "-s -w",
        &bin.join(ETCD).display().to_string(),
        &["go.etcd.io/etcd/server/v3"],
        experiments,
    )?;

    if fs::rename(&partial, folder).is_err() {
        // Somebody else's build came first, or a broken one is in the way.
        if !folder.join("bin").join(ETCD).is_file() {
            fs::remove_dir_all(folder).with_context(|| format!("remove {}", folder.display()))?;
            fs::rename(&partial, folder).with_context(|| format!("move {}", partial.display()))?;
        } else {
            fs::remove_dir_all(&partial).with_context(|| format!("remove {}", partial.display()))?;
        }
    }
    Ok(())
}

/// Removes what builds left that were interrupted.
fn remove_abandoned(cache: &Path) -> Result<()> {
    let Ok(entries) = fs::read_dir(cache) else { return Ok(()) };
    for entry in entries {
        let path = entry?.path();
        let builder = path
            .file_stem()
            .and_then(|stem| Path::new(stem).extension())
            .and_then(|id| id.to_str()?.parse().ok());
        if path.extension().is_some_and(|extension| extension == PARTIAL)
            && builder.is_some_and(|id| !is_running(id))
        {
            fs::remove_dir_all(&path).with_context(|| format!("remove {}", path.display()))?;
        }
    }
    Ok(())
}

fn major_and_minor(version: &str) -> Option<[&str; 2]> {
    let mut parts = version.strip_prefix('v')?.split('.');
    Some([parts.next()?, parts.next()?])
}

fn go_build(
    folder: &Path,
    link_flags: &str,
    output: &str,
    packages: &[&str],
    experiments: &str,
) -> Result<()> {
    let status = Command::new("go")
        .args([
            "build",
            "-mod=readonly",
            "-trimpath",
            "-buildvcs=false",
            "-ldflags",
            link_flags,
            "-o",
            output,
        ])
        .args(packages)
        .current_dir(folder)
        .env("CGO_ENABLED", "0")
        .env("GOWORK", "off")
        .env("GOFLAGS", "")
        .env("GOEXPERIMENT", experiments)
        .status()
        .context("start go")?;
    if !status.success() {
        bail!("go build of {} ended with {status}", packages.join(", "));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_1_26_builds_as_it_is_later_ones_without_json_v2_earlier_ones_not_at_all() {
        for (version, wanted) in [
            ("go1.26.8", Some("")),
            ("go1.26rc1", Some("")),
            ("go1.27", Some("nojsonv2")),
            ("go1.30.1 X:something", Some("nojsonv2")),
            ("go1.25.3", None),
            ("devel", None),
            ("", None),
        ] {
            assert_eq!(experiments(version).ok(), wanted, "{version}");
        }
    }

    #[test]
    fn whoever_has_no_go_is_told_what_to_install() {
        let error = experiments("go1.21").unwrap_err().to_string();
        assert!(
            error.contains("Go 1.26 or later") && error.contains("go.dev/dl") && error.contains("go1.21"),
            "{error}"
        );
    }

    #[test]
    fn only_what_an_interrupted_build_left_is_removed() {
        let cache = tempfile::tempdir().unwrap();
        let under_way = format!("abc.{}.partial", std::process::id());
        // No process has an id this high.
        for name in ["abc", "abc.999999999.partial", under_way.as_str(), "planes", "odd.partial"] {
            fs::create_dir(cache.path().join(name)).unwrap();
        }
        remove_abandoned(cache.path()).unwrap();
        let mut left: Vec<String> = fs::read_dir(cache.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["abc", under_way.as_str(), "odd.partial", "planes"]);
        remove_abandoned(&cache.path().join("absent")).unwrap();
    }

    #[test]
    fn another_pin_is_another_build() {
        assert_eq!(fingerprint("a", "b"), fingerprint("a", "b"));
        assert_ne!(fingerprint("a", "b"), fingerprint("a", "c"));
        assert_ne!(fingerprint("a", "b"), fingerprint("c", "b"));
    }

    #[test]
    fn the_pins_name_one_kubernetes_and_its_parts_of_the_same_release() {
        let version = kubernetes_version(MODULE).unwrap_or_default();
        let part = version.replacen("v1.", "v0.", 1);
        let parts: Vec<&str> = MODULE.lines().filter(|line| line.contains(" => k8s.io/")).collect();
        assert!(parts.len() > 30, "{parts:?}");
        assert!(parts.iter().all(|line| line.ends_with(&part)), "{parts:?}");
        assert_eq!(major_and_minor(version), Some(["1", "36"]));
    }
}
