//! Quantities of a pod template that cannot be read.
//!
//! The reference reads an object as far as it can: at a quantity that is none it stops, leaves out what follows, and
//! writes the Rollout back as it read it. Only what cannot be read is taken out here, and that is told. It has to be
//! taken out of the Rollout itself: typed clients cannot list Rollouts while one of them carries such a quantity.

use glidepath_gocompat::quantity::Quantity;
use serde_json::{Map, Value, json};

use super::pass::Pass;
use crate::plan::Action;

/// Lists of containers that may ask for resources.
const CONTAINERS: [&str; 2] = ["containers", "initContainers"];

/// What has to change in the `spec` of a pod template, and what is wrong with it.
#[derive(Debug, Default, PartialEq)]
struct Mended {
    changes: Map<String, Value>,
    problems: Vec<String>,
}

impl Pass<'_> {
    /// Takes quantities that cannot be read out of the Rollout's own template; says whether there were any.
    pub(crate) fn take_out_unreadable_quantities(&mut self) -> bool {
        if self.ro.spec.workload_ref.is_some() {
            return false;
        }
        let Some(mended) = self.ro.spec.template.get("spec").and_then(mend) else { return false };
        let told = format!("Left out what cannot be read: {}", mended.problems.join(", "));
        self.warn("MalformedTemplate", told);
        let patch = json!({"spec": {"template": {"spec": mended.changes}}});
        self.act("take-out-unreadable-quantities", Action::PatchSelf { patch });
        // The write makes a new generation, which must be seen.
        self.out.must_observe = true;
        true
    }
}

fn mend(spec: &Value) -> Option<Mended> {
    let mut mended = Mended::default();
    for list in CONTAINERS {
        let Some(containers) = spec.get(list).and_then(Value::as_array) else { continue };
        let before = mended.problems.len();
        let containers: Vec<Value> = containers
            .iter()
            .enumerate()
            .map(|(index, container)| {
                readable(container, &format!("spec.template.spec.{list}[{index}]"), &mut mended.problems)
            })
            .collect();
        if mended.problems.len() > before {
            mended.changes.insert(list.to_owned(), Value::Array(containers));
        }
    }
    // One ephemeral container that cannot be read takes the list along.
    let ephemeral = spec.get("ephemeralContainers").and_then(Value::as_array);
    let mut problems = Vec::new();
    for (index, container) in ephemeral.into_iter().flatten().enumerate() {
        readable(container, &format!("spec.template.spec.ephemeralContainers[{index}]"), &mut problems);
    }
    if !problems.is_empty() {
        mended.problems.append(&mut problems);
        mended.changes.insert("ephemeralContainers".to_owned(), Value::Null);
    }
    (!mended.problems.is_empty()).then_some(mended)
}

/// A container without the requests and limits that are no quantities.
fn readable(container: &Value, path: &str, problems: &mut Vec<String>) -> Value {
    let mut container = container.clone();
    for kind in ["requests", "limits"] {
        let pointer = format!("/resources/{kind}");
        let Some(amounts) = container.pointer_mut(&pointer).and_then(Value::as_object_mut) else { continue };
        amounts.retain(|resource, amount| match problem(amount) {
            Some(problem) => {
                problems.push(format!("{path}.resources.{kind}.{resource}: {problem}"));
                false
            }
            None => true,
        });
    }
    container
}

fn problem(amount: &Value) -> Option<String> {
    let text = match amount {
        Value::Null => return None,
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    Quantity::parse(&text).err().map(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_read_stays_a006() {
        let requests = |requests: Value| json!({"name": "a", "resources": {"requests": requests}});
        let format =
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
        for (case, spec, changes, problems) in [
            (
                "a word among readable ones, in one container of two",
                json!({"containers": [requests(json!({"cpu": "1", "memory": "much"})), {"name": "b"}]}),
                json!({"containers": [requests(json!({"cpu": "1"})), {"name": "b"}]}),
                vec!["spec.template.spec.containers[0].resources.requests.memory"],
            ),
            (
                "ephemeral containers go as a whole",
                json!({"containers": [{"name": "a"}], "ephemeralContainers": [requests(json!({"cpu": "x"}))]}),
                json!({"ephemeralContainers": null}),
                vec!["spec.template.spec.ephemeralContainers[0].resources.requests.cpu"],
            ),
        ] {
            let mended = mend(&spec).unwrap_or_default();
            assert_eq!(Value::Object(mended.changes), changes, "{case}");
            let problems: Vec<String> = problems.iter().map(|path| format!("{path}: {format}")).collect();
            assert_eq!(mended.problems, problems, "{case}");
        }
    }

    #[test]
    fn readable_templates_are_left_alone_a006() {
        for spec in [
            json!({}),
            json!({"containers": "x"}),
            json!({"containers": [{"resources": {"requests": {"cpu": 0.001, "memory": "1e3", "x": null}, "limits": {"cpu": "1000e-3"}}}],
                "ephemeralContainers": [{"name": "debug"}]}),
        ] {
            assert_eq!(mend(&spec), None, "{spec}");
        }
    }
}
