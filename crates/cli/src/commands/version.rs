//! `version` (O-096).

use crate::failure::Failure;
use crate::output::Output;

/// What was built, from what, with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Build {
    /// Version with its source.
    pub version: String,
    /// When.
    pub date: &'static str,
    /// From which commit.
    pub commit: &'static str,
    /// `clean` or `dirty`.
    pub tree: &'static str,
}

/// The build of this program. Release builds set `GLIDEPATH_GIT_COMMIT`, `GLIDEPATH_GIT_TREE_STATE`,
/// `GLIDEPATH_GIT_TAG` and `GLIDEPATH_BUILD_DATE` for the compiler.
#[must_use]
pub fn this_build() -> Build {
    let commit = option_env!("GLIDEPATH_GIT_COMMIT").unwrap_or_default();
    let tree = option_env!("GLIDEPATH_GIT_TREE_STATE").unwrap_or_default();
    let tag = option_env!("GLIDEPATH_GIT_TAG").unwrap_or_default();
    Build {
        version: version_text(env!("CARGO_PKG_VERSION"), commit, tree, tag),
        date: option_env!("GLIDEPATH_BUILD_DATE").unwrap_or("1970-01-01T00:00:00Z"),
        commit,
        tree,
    }
}

/// The tag of a clean tagged build, else the base version with the commit it is from.
fn version_text(base: &str, commit: &str, tree: &str, tag: &str) -> String {
    if commit.len() < 7 {
        return format!("v{base}+unknown");
    }
    if !tag.is_empty() && tree == "clean" {
        return tag.to_owned();
    }
    let dirty = if tree == "clean" { "" } else { ".dirty" };
    format!("v{base}+{}{dirty}", commit.chars().take(7).collect::<String>())
}

/// The seven lines, or the first only.
#[must_use]
pub fn render_version(build: &Build, short: bool) -> String {
    let first = format!("kubectl-argo-rollouts: {}\n", build.version);
    if short {
        return first;
    }
    let Build { date, commit, tree, .. } = build;
    let toolchain = concat!("rust", env!("CARGO_PKG_RUST_VERSION"));
    let platform = format!("{}/{}", go_os(std::env::consts::OS), go_arch(std::env::consts::ARCH));
    format!(
        "{first}  BuildDate: {date}\n  GitCommit: {commit}\n  GitTreeState: {tree}\n  GoVersion: {toolchain}\n  \
         Compiler: rustc\n  Platform: {platform}\n"
    )
}

fn go_os(os: &str) -> &str {
    if os == "macos" { "darwin" } else { os }
}

fn go_arch(arch: &str) -> &str {
    match arch {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Prints the version.
///
/// # Errors
/// On unexpected words.
pub fn version(output: &mut Output, words: &[String], short: bool) -> Result<(), Failure> {
    if !words.is_empty() {
        return Err(Failure::Usage);
    }
    output.text(&render_version(&this_build(), short));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_says_where_it_is_from_o_096() {
        let commit = "0123456789abcdef";
        let cases = [
            (("", "", ""), "v1.2.3+unknown"),
            ((commit, "clean", ""), "v1.2.3+0123456"),
            ((commit, "dirty", "v1.2.3"), "v1.2.3+0123456.dirty"),
            ((commit, "clean", "v1.2.3"), "v1.2.3"),
        ];
        for ((commit, tree, tag), expected) in cases {
            assert_eq!(version_text("1.2.3", commit, tree, tag), expected);
        }
    }

    #[test]
    fn seven_lines_or_one_o_096() {
        let build = Build { version: "v1".to_owned(), date: "d", commit: "c", tree: "clean" };
        assert_eq!(render_version(&build, true), "kubectl-argo-rollouts: v1\n");
        let labels: Vec<String> = render_version(&build, false)
            .lines()
            .map(|line| line.split(':').next().unwrap_or_default().to_owned())
            .collect();
        let expected = [
            "kubectl-argo-rollouts",
            "  BuildDate",
            "  GitCommit",
            "  GitTreeState",
            "  GoVersion",
            "  Compiler",
            "  Platform",
        ];
        assert_eq!(labels, expected);
    }
}
