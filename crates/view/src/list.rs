//! One line per object: `list rollouts` and `list experiments` (O-052, O-056).

use glidepath_api::{AnalysisPhase, Experiment, Rollout};
use glidepath_gocompat::{duration, time::human_duration};
use jiff::Timestamp;

use crate::phase::displayed_phase;
use crate::rows::human_age;
use crate::table::render_table;
use crate::tree::{set_weight, step_text};

/// Which columns stand before the object's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extra {
    /// The namespace.
    pub namespace: bool,
    /// When the line was written.
    pub timestamp: bool,
}

/// What is shown of a Rollout; a watch prints a line only when this changes (O-055).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolloutLine {
    /// Namespace.
    pub namespace: String,
    /// The cells without timestamp and namespace.
    pub cells: Vec<String>,
}

const ROLLOUT_COLUMNS: [(&str, usize); 9] = [
    ("NAME", 10),
    ("STRATEGY", 9),
    ("STATUS", 12),
    ("STEP", 4),
    ("SET-WEIGHT", 10),
    ("READY", 5),
    ("DESIRED", 7),
    ("UP-TO-DATE", 10),
    ("AVAILABLE", 9),
];
const EXPERIMENT_COLUMNS: [(&str, usize); 5] =
    [("NAME", 10), ("STATUS", 6), ("DURATION", 8), ("REMAINING", 9), ("AGE", 3)];
const NAMESPACE_WIDTH: usize = 9;
const TIMESTAMP_WIDTH: usize = 20;

/// What is shown of a Rollout.
#[must_use]
pub fn rollout_line(rollout: &Rollout) -> RolloutLine {
    let status = &rollout.status;
    let (strategy, weight) = if rollout.canary().is_some() {
        ("Canary", set_weight(rollout).to_string())
    } else if rollout.blue_green().is_some() {
        ("BlueGreen", "-".to_owned())
    } else {
        ("unknown", "-".to_owned())
    };
    let cells = vec![
        rollout.metadata.name.clone(),
        strategy.to_owned(),
        displayed_phase(rollout).0,
        step_text(rollout).unwrap_or_else(|| "-".to_owned()),
        weight,
        format!("{}/{}", status.ready_replicas, status.replicas),
        rollout.replicas().to_string(),
        status.updated_replicas.to_string(),
        status.available_replicas.to_string(),
    ];
    RolloutLine { namespace: rollout.metadata.namespace.clone(), cells }
}

/// The table of Rollouts. Without `header` these are lines appended by a watch.
#[must_use]
pub fn render_rollout_lines(lines: &[RolloutLine], extra: Extra, header: bool, now: Timestamp) -> String {
    let mut rows = Vec::new();
    if header {
        rows.push(header_row(&ROLLOUT_COLUMNS, extra));
    }
    let stamp = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    for line in lines {
        rows.push(padded(&line.cells, &ROLLOUT_COLUMNS, extra, &line.namespace, &stamp));
    }
    render_table(&rows)
}

/// The table of Experiments.
#[must_use]
pub fn render_experiments(experiments: &[Experiment], extra: Extra, now: Timestamp) -> String {
    let mut rows = vec![header_row(&EXPERIMENT_COLUMNS, extra)];
    for experiment in experiments {
        let cells = experiment_cells(experiment, now);
        rows.push(padded(&cells, &EXPERIMENT_COLUMNS, extra, &experiment.metadata.namespace, ""));
    }
    render_table(&rows)
}

/// What is shown of an Experiment.
#[must_use]
pub fn experiment_cells(experiment: &Experiment, now: Timestamp) -> Vec<String> {
    let dash = || "-".to_owned();
    let length = match experiment.spec.duration.as_str() {
        "" => None,
        text => duration::parse(text).ok(),
    };
    let phase = experiment.status.phase;
    let running = matches!(phase, None | Some(AnalysisPhase::Pending | AnalysisPhase::Running));
    let remaining = match (length, experiment.status.available_at) {
        (Some(length), Some(since)) if running => {
            let passed = now.duration_since(since.timestamp()).as_nanos();
            i64::try_from(i128::from(length) - passed).ok().filter(|left| *left > 0)
        }
        _ => None,
    };
    vec![
        experiment.metadata.name.clone(),
        phase.map_or("", |phase| phase.as_str()).to_owned(),
        length.map_or_else(dash, human_duration),
        remaining.map_or_else(dash, human_duration),
        human_age(experiment.metadata.creation_timestamp.unwrap_or_default(), now),
    ]
}

fn header_row(columns: &[(&str, usize)], extra: Extra) -> Vec<String> {
    let mut row = Vec::new();
    if extra.timestamp {
        row.push("TIMESTAMP".to_owned());
    }
    if extra.namespace {
        row.push("NAMESPACE".to_owned());
    }
    row.extend(columns.iter().map(|(name, _)| (*name).to_owned()));
    row
}

/// Cells padded to their least width, so that lines appended later still stand under the header.
fn padded(
    cells: &[String],
    columns: &[(&str, usize)],
    extra: Extra,
    namespace: &str,
    stamp: &str,
) -> Vec<String> {
    let mut row = Vec::new();
    if extra.timestamp {
        row.push(format!("{stamp:<TIMESTAMP_WIDTH$}"));
    }
    if extra.namespace {
        row.push(format!("{namespace:<NAMESPACE_WIDTH$}"));
    }
    row.extend(cells.iter().zip(columns).map(|(cell, (_, width))| format!("{cell:<width$}")));
    row
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn now() -> Timestamp {
        "2026-01-02T00:00:00Z".parse().unwrap()
    }

    fn rollouts() -> Vec<RolloutLine> {
        let canary = json!({"metadata": {"name": "storefront", "namespace": "shop"},
            "spec": {"replicas": 3, "strategy": {"canary": {"steps": [{"setWeight": 20}, {"pause": {}}]}}},
            "status": {"phase": "Progressing", "currentStepIndex": 1, "replicas": 4, "readyReplicas": 3,
                       "updatedReplicas": 1, "availableReplicas": 3}});
        let blue_green = json!({"metadata": {"name": "a-rather-long-name", "namespace": "warehouse"},
            "spec": {"strategy": {"blueGreen": {"activeService": "a"}}}, "status": {"phase": "Healthy"}});
        let bare = json!({"metadata": {"name": "x", "namespace": "b"}, "status": {"phase": "Degraded"}});
        let parse = |value: Value| rollout_line(&serde_json::from_value(value).unwrap());
        vec![parse(canary), parse(blue_green), parse(bare)]
    }

    #[test]
    fn rollouts_are_listed_in_aligned_columns_o_052() {
        let text = render_rollout_lines(&rollouts(), Extra::default(), true, now());
        let expected = "\
NAME                STRATEGY   STATUS        STEP  SET-WEIGHT  READY  DESIRED  UP-TO-DATE  AVAILABLE
storefront          Canary     Progressing   1/2   20          3/4    3        1           3        
a-rather-long-name  BlueGreen  Healthy       -     -           0/0    1        0           0        
x                   unknown    Degraded      -     -           0/0    1        0           0        
";
        assert_eq!(text, expected);
    }

    #[test]
    fn timestamp_comes_before_namespace_o_052() {
        let extra = Extra { namespace: true, timestamp: true };
        let text = render_rollout_lines(&rollouts()[..1], extra, true, now());
        let mut lines = text.lines();
        assert!(lines.next().unwrap().starts_with("TIMESTAMP             NAMESPACE  NAME        STRATEGY"));
        assert!(lines.next().unwrap().starts_with("2026-01-02T00:00:00Z  shop       storefront  Canary "));
    }

    #[test]
    fn lines_appended_by_a_watch_stand_under_the_header_o_055() {
        let whole = render_rollout_lines(&rollouts()[..1], Extra::default(), true, now());
        let alone = render_rollout_lines(&rollouts()[..1], Extra::default(), false, now());
        assert_eq!(whole.lines().nth(1).unwrap(), alone.trim_end_matches('\n'));
    }

    #[test]
    fn experiments_show_what_is_left_only_while_they_run_o_056() {
        let experiment = |duration: &str, phase: &str, available: &str| {
            let mut value = json!({"metadata": {"name": "e", "creationTimestamp": "2026-01-01T23:50:00Z"},
                "spec": {"duration": duration}, "status": {"phase": phase}});
            if !available.is_empty() {
                value["status"]["availableAt"] = json!(available);
            }
            experiment_cells(&serde_json::from_value(value).unwrap(), now())[1..].join(" ")
        };
        let cases = [
            (experiment("10m", "Running", "2026-01-01T23:55:00Z"), "Running 10m 5m 10m"),
            (experiment("10m", "Successful", "2026-01-01T23:55:00Z"), "Successful 10m - 10m"),
            (experiment("10m", "Pending", ""), "Pending 10m - 10m"),
            (experiment("1m", "Running", "2026-01-01T23:55:00Z"), "Running 60s - 10m"),
            (experiment("", "Running", "2026-01-01T23:55:00Z"), "Running - - 10m"),
        ];
        for (got, expected) in cases {
            assert_eq!(got, expected);
        }
    }
}
