//! Icons for states and glyphs for kinds (O-024, O-026, O-045 to O-051).

/// Waiting to begin.
pub const WAITING: &str = "◷";
/// At work.
pub const PROGRESSING: &str = "◌";
/// Something is odd.
pub const WARNING: &str = "⚠";
/// Nothing can be said.
pub const UNKNOWN: &str = "?";
/// Good.
pub const OK: &str = "✔";
/// Bad.
pub const BAD: &str = "✖";
/// Paused.
pub const PAUSED: &str = "॥";
/// Neither.
pub const NEUTRAL: &str = "•";
/// For states without an icon.
pub const NONE: &str = " ";

/// Glyph of a Rollout.
pub const ROLLOUT: &str = "⟳";
/// Glyph of a revision.
pub const REVISION: &str = "#";
/// Glyph of a ReplicaSet.
pub const REPLICA_SET: &str = "⧉";
/// Glyph of a Pod.
pub const POD: &str = "□";
/// Glyph of a Job.
pub const JOB: &str = "⊞";
/// Glyph of an Experiment.
pub const EXPERIMENT: &str = "Σ";
/// Glyph of an AnalysisRun.
pub const ANALYSIS_RUN: &str = "α";

/// Icon of a Rollout's phase (O-045).
#[must_use]
pub fn rollout_icon(phase: &str) -> &'static str {
    match phase {
        "Progressing" => PROGRESSING,
        "Error" | "InvalidSpec" => WARNING,
        "Paused" => PAUSED,
        "Healthy" => OK,
        "Degraded" => BAD,
        "Unknown" => UNKNOWN,
        "ScaledDown" => NEUTRAL,
        _ => NONE,
    }
}

/// Icon of a ReplicaSet's state (O-048).
#[must_use]
pub fn replica_set_icon(status: &str) -> &'static str {
    match status {
        "Progressing" => PROGRESSING,
        "Healthy" => OK,
        "ReplicaFailure" => BAD,
        "ScaledDown" => NEUTRAL,
        _ => NONE,
    }
}

/// Icon of a Pod's state; the first that fits (O-050).
#[must_use]
pub fn pod_icon(status: &str) -> &'static str {
    if status.starts_with("Init:") {
        return PROGRESSING;
    }
    if status.starts_with("Signal:") || status.starts_with("ExitCode:") {
        return BAD;
    }
    if status.ends_with("Error") || status.starts_with("Err") {
        return WARNING;
    }
    match status {
        "Pending" | "Terminating" | "ContainerCreating" => PROGRESSING,
        "Running" | "Completed" => OK,
        "Failed" | "InvalidImageName" | "CrashLoopBackOff" => BAD,
        "ImagePullBackOff" | "RegistryUnavailable" => WARNING,
        "Unknown" => UNKNOWN,
        _ => NONE,
    }
}

/// Icon of an AnalysisRun's, Experiment's or Job's phase (O-051).
#[must_use]
pub fn analysis_icon(phase: &str) -> &'static str {
    match phase {
        "Successful" => OK,
        "Inconclusive" => UNKNOWN,
        "Failed" => BAD,
        "Error" => WARNING,
        "Running" => PROGRESSING,
        "Pending" => WAITING,
        _ => NONE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pod_icons_take_the_first_that_fits_o_050() {
        let cases = [
            ("Init:Error", PROGRESSING),
            ("Signal:9", BAD),
            ("ExitCode:1", BAD),
            ("CreateContainerError", WARNING),
            ("ErrImagePull", WARNING),
            ("ContainerCreating", PROGRESSING),
            ("Completed", OK),
            ("CrashLoopBackOff", BAD),
            ("ImagePullBackOff", WARNING),
            ("Unknown", UNKNOWN),
            ("OOMKilled", NONE),
        ];
        for (status, icon) in cases {
            assert_eq!(pod_icon(status), icon, "{status}");
        }
    }
}
