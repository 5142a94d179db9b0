//! `glidepath replay`: makes recorded decisions again and says whether they are the same, bit for bit.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Args;
use glidepath_replay::{Recorded, Verdict, replay};

/// Differences shown per file; the first ones tell the most.
const SHOWN: usize = 10;

/// Flags of `glidepath replay`.
#[derive(Args, Debug)]
pub(crate) struct Flags {
    /// Files that `glidepath controller --decisions-dir` wrote.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Print the plan of this program as JSON too.
    #[arg(long)]
    plan: bool,
}

/// Replays every file; succeeds when all decisions are the same.
pub(crate) fn run(flags: &Flags) -> ExitCode {
    let mut outcome = ExitCode::SUCCESS;
    for file in &flags.files {
        let text = match replay_file(file) {
            Ok((recorded, verdict)) => {
                if !verdict.is_same() {
                    outcome = ExitCode::FAILURE;
                }
                render(file, &recorded, &verdict, flags.plan)
            }
            Err(error) => {
                outcome = ExitCode::FAILURE;
                format!("{}: {error:#}\n", file.display())
            }
        };
        // A closed pipe is the reader's choice.
        let _ = std::io::stdout().write_all(text.as_bytes());
    }
    outcome
}

fn replay_file(file: &Path) -> Result<(Recorded, Verdict)> {
    let text = std::fs::read_to_string(file).context("cannot read the file")?;
    let recorded = Recorded::parse(&text)?;
    let verdict = replay(&recorded)?;
    Ok((recorded, verdict))
}

fn render(file: &Path, recorded: &Recorded, verdict: &Verdict, with_plan: bool) -> String {
    let Recorded { controller, namespace, name, version, plan, .. } = recorded;
    let steps = plan["steps"].as_array().map_or(0, Vec::len);
    let vetoes = plan["vetoes"].as_array().map_or(0, Vec::len);
    let outcome = if verdict.is_same() { "the same, bit for bit" } else { "NOT the same" };
    let mut text = format!(
        "{}: {controller} {namespace}/{name}, decided by v{version}: {steps} actions, {vetoes} vetoes: {outcome}\n",
        file.display()
    );
    // Writing to a String cannot fail.
    for found in verdict.differences.iter().take(SHOWN) {
        let _ = writeln!(
            text,
            "  {}\n    recorded {}\n    replayed {}",
            found.at, found.recorded, found.replayed
        );
    }
    if verdict.differences.len() > SHOWN {
        let _ = writeln!(text, "  … and {} more differences", verdict.differences.len() - SHOWN);
    }
    if with_plan {
        let _ = writeln!(text, "{:#}", verdict.plan);
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn recorded(plan: serde_json::Value) -> Recorded {
        let snapshot = json!({
            "now": "2026-01-01T00:00:00Z", "settings": {}, "rollout": {"metadata": {"name": "web",
            "deletionTimestamp": "2026-01-01T00:00:00Z"}}, "replicaSets": [], "services": {}, "routers": [],
            "analysisTemplates": {}, "clusterAnalysisTemplates": {}, "analysisRuns": [], "experiments": [],
        });
        serde_json::from_value(json!({"format": 1, "version": "0.1.0", "controller": "Rollouts",
            "namespace": "shop", "name": "web", "snapshot": snapshot, "plan": plan}))
        .unwrap()
    }

    #[test]
    fn the_verdict_is_one_line_and_differences_follow() {
        let file = Path::new("1.json");
        let same = recorded(json!({"steps": []}));
        assert_eq!(
            render(file, &same, &replay(&same).unwrap(), false),
            "1.json: Rollouts shop/web, decided by v0.1.0: 0 actions, 0 vetoes: the same, bit for bit\n"
        );
        let other = recorded(json!({"steps": [], "wakeAt": "2026-01-01T00:00:01Z"}));
        assert_eq!(
            render(file, &other, &replay(&other).unwrap(), false),
            "1.json: Rollouts shop/web, decided by v0.1.0: 0 actions, 0 vetoes: NOT the same\n  /wakeAt\n    \
             recorded \"2026-01-01T00:00:01Z\"\n    replayed absent\n"
        );
    }

    #[test]
    fn files_that_are_no_records_fail_by_name() {
        let error = replay_file(Path::new("/no/such/file")).unwrap_err();
        assert!(format!("{error:#}").starts_with("cannot read the file: "), "{error:#}");
    }
}
