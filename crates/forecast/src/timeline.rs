//! Frames as a timeline: one line per step or stage.

use glidepath_api::RolloutPhase;
use glidepath_core::rollout::step_text;
use serde::{Deserialize, Serialize};

use crate::driver::Course;
use crate::frame::Frame;
use crate::scratch::since;

/// A stretch of a course in which the rollout stands at one step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stage {
    /// Seconds from the change on.
    pub at_seconds: i64,
    /// How long it takes; `None` for the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub takes_seconds: Option<i64>,
    /// What it is: `step 1/4: setWeight: 20`.
    pub what: String,
    /// Traffic of the new version at its end, in percent.
    pub share_percent: i32,
    /// Pods of the new version at its end.
    pub new_pods: i32,
    /// Pods of all other versions at its end.
    pub old_pods: i32,
    /// The most pods at once during it.
    pub most_pods: i32,
}

/// The stages of a course, in order.
pub(crate) fn stages(course: &Course) -> Vec<Stage> {
    let mut stages: Vec<Stage> = Vec::new();
    let mut position = None;
    // Until then the status tells of the version before.
    for frame in course.frames.iter().filter(|frame| frame.is_observed()) {
        let at_seconds = since(course.start, frame.at);
        let reached = step_index(frame);
        for index in skipped(position, reached) {
            push(&mut stages, frame, at_seconds, step_label(frame, index));
        }
        position = reached;
        push(&mut stages, frame, at_seconds, label(frame));
    }
    for index in 1..stages.len() {
        stages[index - 1].takes_seconds = Some(stages[index].at_seconds - stages[index - 1].at_seconds);
    }
    stages
}

/// Steps that were taken within one decision, and so were never seen.
fn skipped(from: Option<usize>, to: Option<usize>) -> std::ops::Range<usize> {
    match (from, to) {
        (Some(from), Some(to)) => from + 1..to,
        (None, Some(to)) => 0..to,
        _ => 0..0,
    }
}

fn push(stages: &mut Vec<Stage>, frame: &Frame, at_seconds: i64, what: String) {
    let most = frame.pods();
    match stages.last_mut().filter(|stage| stage.what == what) {
        Some(stage) => {
            stage.share_percent = frame.new_share();
            stage.new_pods = frame.new_pods();
            stage.old_pods = frame.old_pods();
            stage.most_pods = stage.most_pods.max(most);
        }
        None => stages.push(Stage {
            at_seconds,
            takes_seconds: None,
            what,
            share_percent: frame.new_share(),
            new_pods: frame.new_pods(),
            old_pods: frame.old_pods(),
            most_pods: most,
        }),
    }
}

/// The step an update stands at; `None` unless it takes steps.
fn step_index(frame: &Frame) -> Option<usize> {
    let status = &frame.rollout.status;
    let steps = frame.rollout.canary().map_or(0, |canary| canary.steps.len());
    if steps == 0 || status.stable_rs.is_empty() || frame.is_promoted() || status.abort {
        return None;
    }
    usize::try_from(status.current_step_index.unwrap_or(0)).ok()
}

fn step_label(frame: &Frame, index: usize) -> String {
    let steps = frame.rollout.canary().map_or(&[][..], |canary| &canary.steps);
    match steps.get(index) {
        Some(step) => format!("step {}/{}: {}", index + 1, steps.len(), step_text(step)),
        None => "all steps taken, the rest follows".to_owned(),
    }
}

/// What a rollout does at a frame.
pub(crate) fn label(frame: &Frame) -> String {
    let status = &frame.rollout.status;
    if status.abort {
        return "aborted, back to the stable version".to_owned();
    }
    if let Some(index) = step_index(frame) {
        return step_label(frame, index);
    }
    if status.stable_rs.is_empty() {
        return "first deployment".to_owned();
    }
    if frame.is_promoted() {
        return match status.phase {
            Some(RolloutPhase::Healthy) if frame.old_pods() > 0 => {
                "promoted, old pods are kept for a while".to_owned()
            }
            Some(RolloutPhase::Healthy) => format!("healthy at revision {}", frame.revision()),
            _ => "promoted, pods follow".to_owned(),
        };
    }
    if frame.rollout.blue_green().is_some() {
        return blue_green_label(frame).to_owned();
    }
    "rolling update".to_owned()
}

fn blue_green_label(frame: &Frame) -> &'static str {
    let status = &frame.rollout.status;
    let is_open = |run: &Option<glidepath_api::RolloutAnalysisRunStatus>| {
        run.as_ref().is_some_and(|run| !run.status.is_some_and(glidepath_api::AnalysisPhase::completed))
    };
    if frame.active == status.current_pod_hash {
        return if is_open(&status.blue_green.post_promotion_analysis_run_status) {
            "switched, post-promotion analysis"
        } else {
            "switched to the new version"
        };
    }
    if is_open(&status.blue_green.pre_promotion_analysis_run_status) {
        "pre-promotion analysis"
    } else if !status.pause_conditions.is_empty() {
        "paused before the switch"
    } else {
        "new pods start"
    }
}
