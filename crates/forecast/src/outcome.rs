//! What became of a course, in a word and a sentence.

use glidepath_api::RolloutPhase;
use serde::{Deserialize, Serialize};

use crate::driver::{Course, is_degraded};
use crate::frame::Frame;
use crate::scratch::since;

/// How a course ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// `promoted`, `aborted`, `degraded`, `waiting` or `unchanged`.
    pub ends: String,
    /// More about it; empty when the word says it all.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Seconds from the change until it was so.
    pub at_seconds: i64,
    /// Aborted: seconds until all traffic was back on the stable version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back_on_stable_seconds: Option<i64>,
    /// The most traffic, in percent, the new version had at any time.
    pub most_share_percent: i32,
}

pub(crate) fn outcome(course: &Course) -> Outcome {
    let seconds = |frame: &Frame| since(course.start, frame.at);
    let share = |frame: &Frame| if frame.rollout.status.stable_rs.is_empty() { 0 } else { frame.new_share() };
    let frames = &course.frames;
    let updating = frames.iter().filter(|frame| frame.is_observed() && !frame.is_promoted());
    let most_share_percent = updating.map(share).max().unwrap_or(0);
    let plain = |ends: &str, message: String, at_seconds| Outcome {
        ends: ends.to_owned(),
        message,
        at_seconds,
        back_on_stable_seconds: None,
        most_share_percent,
    };
    let Some(last) = frames.last() else { return plain("unchanged", String::new(), 0) };
    if let Some(aborted) = frames.iter().position(|frame| frame.rollout.status.abort)
        && last.rollout.status.abort
    {
        let back = frames[aborted..].iter().find(|frame| frame.new_share() == 0);
        let message = last.rollout.status.message.clone();
        return Outcome {
            back_on_stable_seconds: back.map(seconds),
            ..plain("aborted", message, seconds(&frames[aborted]))
        };
    }
    if is_degraded(last) {
        let first = frames.iter().find(|frame| is_degraded(frame)).unwrap_or(last);
        return plain("degraded", last.rollout.status.message.clone(), seconds(first));
    }
    if is_healthy(last) {
        // The last time it became healthy: before the change it was so too.
        let first = frames.iter().rposition(|frame| !is_healthy(frame)).map_or(0, |index| index + 1);
        let at = frames.get(first).map_or(0, seconds);
        let moved = frames.iter().any(|frame| !is_healthy(frame) || !frame.idle);
        return plain(if moved { "promoted" } else { "unchanged" }, String::new(), at);
    }
    let waiting = last.blocker.as_ref().map(|blocker| blocker.waiting_for.clone()).unwrap_or_default();
    plain("waiting", waiting, seconds(last))
}

fn is_healthy(frame: &Frame) -> bool {
    frame.is_observed() && frame.is_promoted() && frame.rollout.status.phase == Some(RolloutPhase::Healthy)
}
