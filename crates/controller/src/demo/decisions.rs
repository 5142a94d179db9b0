//! The log of decisions: plans as lines for people, each action with its reason. Pure but for remembering what
//! was said last, so that an unchanged wait is told once.

use std::collections::HashMap;

use glidepath_core::plan::{Action, EventType, Plan};

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// The object that was decided about.
    pub about: String,
    /// What is done, or waited for.
    pub what: String,
    /// Why; empty where `what` says it all.
    pub why: String,
}

/// Remembers the last wait of each object.
#[derive(Debug, Default)]
pub(crate) struct DecisionLog {
    waits: HashMap<String, String>,
}

impl DecisionLog {
    /// What there is to tell of a plan about `kind` `name`.
    pub(crate) fn lines(&mut self, kind: &str, name: &str, plan: &Plan) -> Vec<Line> {
        let about = format!("{kind}/{name}");
        let line = |what: String, why: &str| Line { about: about.clone(), what, why: why.to_owned() };
        let mut lines: Vec<Line> = plan
            .steps
            .iter()
            // What an analysis warns about, the Rollout that waits for it tells as well.
            .filter(|step| kind == "rollout" || !matches!(step.action, Action::Emit(_)))
            .filter_map(|step| Some(line(describe_action(&step.action)?, &step.reason)))
            .collect();
        for veto in &plan.vetoes {
            let what = format!("{} {} vetoed: {}", veto.verb, veto.object, veto.detail);
            lines.push(line(what, veto.invariant.name()));
        }
        match &plan.blocker {
            // What keeps an analysis waiting is the clock, round after round; its owner's wait says enough.
            Some(blocker) if kind == "rollout" && self.waits.get(&about) != Some(&blocker.name) => {
                self.waits.insert(about.clone(), blocker.name.clone());
                lines.push(line(format!("waits: {}", blocker.waiting_for), &blocker.name));
            }
            Some(_) => {}
            None => drop(self.waits.remove(&about)),
        }
        lines
    }
}

/// An action in a few words; `None` for bookkeeping that would only fill the log.
fn describe_action(action: &Action) -> Option<String> {
    let text = match action {
        Action::Emit(event) if event.event_type == EventType::Warning => {
            format!("warns {}: {}", event.reason, event.message)
        }
        Action::Emit(_)
        | Action::EmitOnRollout { .. }
        | Action::PatchReplicaSet { .. }
        | Action::PatchPod { .. }
        | Action::PatchSelf { .. } => return None,
        Action::PatchStatus { patch } => describe_phase(patch)?,
        Action::CreateReplicaSet { name, .. } => format!("create ReplicaSet {name}"),
        Action::ScaleReplicaSet { name, from, to, .. } if from != to => format!("scale {name} {from} → {to}"),
        Action::ScaleReplicaSet { .. } => return None,
        Action::ScaleDeployment { name, from, to } => format!("scale Deployment {name} {from} → {to}"),
        Action::DeleteReplicaSet { name, .. } => format!("delete ReplicaSet {name}"),
        Action::SwitchService { name, to, .. } => format!("point Service {name} at {to}"),
        Action::SetTraffic { wanted, .. } => {
            format!("set weights canary {}, stable {}", wanted.canary_weight, wanted.stable_weight)
        }
        Action::CreateAnalysisRun { name, .. } => format!("start AnalysisRun {name}"),
        Action::TerminateAnalysisRun { name } => format!("stop AnalysisRun {name}"),
        Action::DeleteAnalysisRun { name, .. } => format!("delete AnalysisRun {name}"),
        other => other.verb().to_owned(),
    };
    Some(text)
}

/// The end of an analysis, or the abort of a Rollout, as the status tells it.
fn describe_phase(patch: &serde_json::Value) -> Option<String> {
    let status = &patch["status"];
    if status["abort"] == true {
        return Some("aborted".to_owned());
    }
    let phase = status["phase"].as_str()?;
    if !matches!(phase, "Successful" | "Failed" | "Error" | "Inconclusive") {
        return None;
    }
    let message = status["message"].as_str().filter(|message| !message.is_empty());
    Some(message.map_or_else(|| phase.to_owned(), |message| format!("{phase}: {message}")))
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.about, self.what)?;
        if self.why.is_empty() { Ok(()) } else { write!(f, "  [{}]", self.why) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use glidepath_core::plan::{Blocker, BlockerOwner, Event};
    use serde_json::json;

    use super::*;

    fn told(log: &mut DecisionLog, kind: &str, plan: &Plan) -> Vec<String> {
        log.lines(kind, "web", plan).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn actions_are_told_with_their_reasons_and_bookkeeping_is_not() {
        let scale = |from, to| Action::ScaleReplicaSet {
            name: "web-1".to_owned(),
            from,
            to,
            annotations: BTreeMap::new(),
        };
        let emit = |event_type| {
            Action::Emit(Event {
                event_type,
                reason: "RolloutAborted".to_owned(),
                message: "it failed".to_owned(),
            })
        };
        let cases = [
            (scale(0, 1), Some("rollout/web scale web-1 0 → 1  [because]")),
            (scale(1, 1), None),
            (emit(EventType::Normal), None),
            (emit(EventType::Warning), Some("rollout/web warns RolloutAborted: it failed  [because]")),
            (
                Action::SwitchService {
                    name: "active".to_owned(),
                    from: "a".to_owned(),
                    to: "b".to_owned(),
                    adopt: false,
                },
                Some("rollout/web point Service active at b  [because]"),
            ),
            (Action::PatchStatus { patch: json!({"status": {"phase": "Progressing"}}) }, None),
            (
                Action::PatchStatus { patch: json!({"status": {"phase": "Failed", "message": "5 %"}}) },
                Some("rollout/web Failed: 5 %  [because]"),
            ),
        ];
        for (action, expected) in cases {
            let mut plan = Plan::default();
            plan.push("because", action.clone());
            let lines = told(&mut DecisionLog::default(), "rollout", &plan);
            assert_eq!(lines.first().map(String::as_str), expected, "{action:?}");
        }
    }

    #[test]
    fn a_wait_is_told_when_it_changes() {
        let waiting = |name: &str| Plan {
            blocker: Some(Blocker {
                name: name.to_owned(),
                waiting_for: format!("{name} to end"),
                owner: BlockerOwner::Clock,
                deadline: None,
            }),
            ..Plan::default()
        };
        let mut log = DecisionLog::default();
        assert_eq!(
            told(&mut log, "rollout", &waiting("pause")),
            ["rollout/web waits: pause to end  [pause]"]
        );
        assert!(told(&mut log, "rollout", &waiting("pause")).is_empty());
        assert_eq!(told(&mut log, "rollout", &waiting("pods")).len(), 1);
        assert!(told(&mut log, "rollout", &Plan::default()).is_empty());
        assert_eq!(told(&mut log, "rollout", &waiting("pods")).len(), 1);
        assert!(told(&mut log, "analysisrun", &waiting("interval")).is_empty());
    }
}
