//! One recorded decision, and deciding again.

use glidepath_core::{analysis, experiment, rollout};
use glidepath_kube::DecisionRecord;
use glidepath_kube::record::plan_json;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The form of the files this program writes.
const FORMAT: u32 = 1;

/// A decision as it stands in a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Recorded {
    /// Form of the file; 1.
    pub format: u32,
    /// Version of the program that decided.
    pub version: String,
    /// Which controller decided: `Rollouts`, `AnalysisRuns` or `Experiments`.
    pub controller: String,
    /// Namespace of the object.
    pub namespace: String,
    /// Name of the object.
    pub name: String,
    /// What the decision looked at, without the values of secrets.
    pub snapshot: Value,
    /// What it wanted and what the guard vetoed; of questions to metric providers only the metrics' names.
    pub plan: Value,
}

/// What came of deciding again.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The plan of this program, in the form of the file.
    pub plan: Value,
    /// Where it differs from the recorded one: JSON pointers with both values; empty when it is the same.
    pub differences: Vec<Difference>,
}

/// One place at which two plans differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// JSON pointer into the plan.
    pub at: String,
    /// What the file says there; `absent` when nothing.
    pub recorded: String,
    /// What deciding again says there; `absent` when nothing.
    pub replayed: String,
}

impl Verdict {
    /// Whether the plan is the same, bit for bit.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.differences.is_empty()
    }
}

/// Why a file cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// It does not hold a recorded decision.
    #[error("this is not a recorded decision: {0}")]
    Malformed(#[from] serde_json::Error),
    /// It was written in a form this program does not know.
    #[error("the file has format {0}, and this program reads format {FORMAT}")]
    Format(u32),
    /// Of a controller without pure decisions.
    #[error("decisions of {0:?} cannot be replayed")]
    Controller(String),
}

impl Recorded {
    /// The record of a decision that was just made.
    #[must_use]
    pub fn of(record: &DecisionRecord<'_>) -> Self {
        Self {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            controller: record.controller.name().to_owned(),
            namespace: record.key.namespace.to_string(),
            name: record.key.name.to_string(),
            snapshot: record.snapshot_json(),
            plan: record.plan_json(),
        }
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// When it is no record, or one of another form.
    pub fn parse(text: &str) -> Result<Self, ReplayError> {
        let recorded: Self = serde_json::from_str(text)?;
        if recorded.format == FORMAT { Ok(recorded) } else { Err(ReplayError::Format(recorded.format)) }
    }
}

/// Decides again from a record and compares.
///
/// # Errors
/// When the snapshot does not fit the controller it is said to be of.
pub fn replay(recorded: &Recorded) -> Result<Verdict, ReplayError> {
    let plan = match recorded.controller.as_str() {
        "Rollouts" => rollout::decide(&snapshot(recorded)?),
        "AnalysisRuns" => analysis::decide(&snapshot(recorded)?),
        "Experiments" => experiment::decide(&snapshot(recorded)?),
        other => return Err(ReplayError::Controller(other.to_owned())),
    };
    let plan = plan_json(&plan);
    let mut differences = Vec::new();
    // Texts are compared, not numbers: 1 and 1.0 are not the same bits.
    if serde_json::to_string(&plan)? != serde_json::to_string(&recorded.plan)? {
        compare("", &recorded.plan, &plan, &mut differences);
    }
    Ok(Verdict { plan, differences })
}

fn snapshot<T: DeserializeOwned>(recorded: &Recorded) -> Result<T, serde_json::Error> {
    serde_json::from_value(recorded.snapshot.clone())
}

fn compare(at: &str, recorded: &Value, replayed: &Value, found: &mut Vec<Difference>) {
    match (recorded, replayed) {
        (Value::Object(left), Value::Object(right)) => {
            for key in left.keys().chain(right.keys().filter(|key| !left.contains_key(*key))) {
                let inner = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
                compare_optional(&inner, left.get(key), right.get(key), found);
            }
        }
        (Value::Array(left), Value::Array(right)) => {
            for index in 0..left.len().max(right.len()) {
                compare_optional(&format!("{at}/{index}"), left.get(index), right.get(index), found);
            }
        }
        _ => compare_optional(at, Some(recorded), Some(replayed), found),
    }
}

fn compare_optional(
    at: &str,
    recorded: Option<&Value>,
    replayed: Option<&Value>,
    found: &mut Vec<Difference>,
) {
    if let (Some(left @ (Value::Object(_) | Value::Array(_))), Some(right)) = (recorded, replayed)
        && std::mem::discriminant(left) == std::mem::discriminant(right)
    {
        return compare(at, left, right, found);
    }
    let text = |value: Option<&Value>| value.map_or_else(|| "absent".to_owned(), Value::to_string);
    let (recorded, replayed) = (text(recorded), text(replayed));
    if recorded != replayed {
        found.push(Difference { at: at.to_owned(), recorded, replayed });
    }
}

#[cfg(test)]
mod tests {
    use glidepath_core::snapshot::RolloutSnapshot;
    use glidepath_core::world::World;
    use glidepath_kube::SnapshotRef;
    use glidepath_kube::object::ObjectKey;
    use glidepath_kube::queue::Controller;
    use serde_json::json;

    use super::*;

    fn record(snapshot: &RolloutSnapshot) -> String {
        let plan = rollout::decide(snapshot);
        let key = ObjectKey::new("shop", "web");
        let record = DecisionRecord {
            controller: Controller::Rollouts,
            key: &key,
            snapshot: SnapshotRef::Rollout(snapshot),
            plan: &plan,
        };
        serde_json::to_string_pretty(&Recorded::of(&record)).unwrap()
    }

    fn canary() -> World {
        World::new(
            json!({"replicas": 4, "selector": {"matchLabels": {"app": "web"}},
                "template": {"metadata": {"labels": {"app": "web"}},
                    "spec": {"containers": [{"name": "web", "image": "web:1", "resources": {"limits": {"cpu": 0.1}}}]}},
                "strategy": {"canary": {"canaryService": "canary", "stableService": "stable",
                    "trafficRouting": {"istio": {"virtualService": {"name": "web"}}},
                    "steps": [{"setWeight": 25}, {"pause": {"duration": 60}}, {"setWeight": 50}]}}}),
            &["canary", "stable"],
            1,
        )
    }

    #[test]
    fn every_decision_of_an_update_is_made_again_bit_for_bit() {
        let mut world = canary();
        world.run_for(60);
        world.set_image("web:2");
        let mut decisions = 0;
        for _ in 0..200 {
            let recorded = Recorded::parse(&record(&world.snapshot)).unwrap();
            let verdict = replay(&recorded).unwrap();
            assert!(verdict.is_same(), "{:?}", verdict.differences);
            decisions += 1;
            let moved = world.step() | world.settle();
            if !moved {
                let Some(next) = world.next_change() else { break };
                world.snapshot.now = next + jiff::SignedDuration::from_millis(1);
            }
        }
        assert!(decisions > 8, "{decisions}");
        assert_eq!(world.snapshot.rollout.status.stable_rs, world.snapshot.rollout.status.current_pod_hash);
    }

    #[test]
    fn a_record_that_was_changed_is_not_the_same_and_the_place_is_named() {
        let mut world = canary();
        world.run_for(60);
        world.set_image("web:2");
        let mut recorded = Recorded::parse(&record(&world.snapshot)).unwrap();
        recorded.plan["steps"][0]["reason"] = json!("another");
        recorded.plan["more"] = json!(1);
        let verdict = replay(&recorded).unwrap();
        assert!(!verdict.is_same());
        let places: Vec<&str> = verdict.differences.iter().map(|found| found.at.as_str()).collect();
        assert_eq!(places, ["/more", "/steps/0/reason"]);
        assert_eq!(verdict.differences[0].replayed, "absent");
        recorded.snapshot["rollout"]["spec"]["replicas"] = json!(5);
        assert!(!replay(&recorded).unwrap().is_same());
    }

    #[test]
    fn what_is_no_record_is_refused_by_name() {
        assert!(matches!(Recorded::parse("nonsense"), Err(ReplayError::Malformed(_))));
        let mut recorded = Recorded::parse(&record(&canary().snapshot)).unwrap();
        recorded.format = 7;
        let text = serde_json::to_string(&recorded).unwrap();
        assert_eq!(
            Recorded::parse(&text).unwrap_err().to_string(),
            "the file has format 7, and this program reads format 1"
        );
        recorded.controller = "Services".to_owned();
        assert!(matches!(replay(&recorded), Err(ReplayError::Controller(_))));
        recorded.controller = "Experiments".to_owned();
        assert!(matches!(replay(&recorded), Err(ReplayError::Malformed(_))));
    }
}
