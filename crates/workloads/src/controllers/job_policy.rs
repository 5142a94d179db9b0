//! What a Job's `podFailurePolicy` makes of a failed pod. The first rule that matches decides.

use serde_json::{Value, json};

use crate::object::{Object, text};

/// What a failed pod comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It counts towards the back-off limit.
    Counted,
    /// It does not count.
    Ignored,
    /// It fails the whole Job; the sentence says why.
    Fatal(String),
}

/// Judges a failed pod. Rules that fail an index count as any other failure: indexed Jobs are not done.
#[must_use]
pub fn judge_failure(job: &Object, pod: &Object) -> Failure {
    for (index, rule) in job.list("/spec/podFailurePolicy/rules").iter().enumerate() {
        let action = text(rule, "action");
        let Some(cause) = matched(rule, pod) else { continue };
        match action {
            "Ignore" => return Failure::Ignored,
            "Count" => return Failure::Counted,
            "FailJob" => return Failure::Fatal(format!("{cause} matching FailJob rule at index {index}")),
            _ => {}
        }
    }
    Failure::Counted
}

/// What of a pod a rule matches, in words.
fn matched(rule: &Value, pod: &Object) -> Option<String> {
    if let Some(wanted) = rule.get("onExitCodes").filter(|wanted| !wanted.is_null()) {
        let statuses =
            pod.list("/status/containerStatuses").iter().chain(pod.list("/status/initContainerStatuses"));
        return statuses
            .filter_map(|status| {
                Some((text(status, "name"), status.pointer("/state/terminated/exitCode")?.as_i64()?))
            })
            .find(|(name, code)| matches_exit(wanted, name, *code))
            .map(|(name, code)| {
                format!(
                    "Container {name} for pod {}/{} failed with exit code {code}",
                    pod.namespace(),
                    pod.name()
                )
            });
    }
    let patterns = rule.get("onPodConditions")?.as_array()?;
    let conditions = pod.list("/status/conditions").iter();
    let same = |condition: &Value, pattern: &Value| {
        let field = |name: &str| text(condition, name) == text(pattern, name);
        field("type") && field("status")
    };
    conditions.clone().find(|condition| patterns.iter().any(|pattern| same(condition, pattern))).map(
        |condition| {
            format!("Pod {}/{} has condition {}", pod.namespace(), pod.name(), text(condition, "type"))
        },
    )
}

fn matches_exit(wanted: &Value, container: &str, code: i64) -> bool {
    let names_it = wanted.get("containerName").and_then(Value::as_str).is_none_or(|name| name == container);
    let listed =
        wanted.get("values").and_then(Value::as_array).is_some_and(|values| values.contains(&json!(code)));
    code != 0 && names_it && (text(wanted, "operator") == "In") == listed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_matches_a_failed_pod_decides() {
        let pod: Object = json!({"metadata": {"namespace": "n", "name": "p"}, "status": {
            "conditions": [{"type": "DisruptionTarget", "status": "True"}],
            "containerStatuses": [{"name": "app", "state": {"terminated": {"exitCode": 42}}}]}})
        .into();
        let codes = |action: &str, operator: &str, value: i64| json!({"action": action, "onExitCodes": {"operator": operator, "values": [value]}});
        let elsewhere = json!({"action": "FailJob", "onExitCodes": {"containerName": "other", "operator": "In", "values": [42]}});
        let disrupted = |action: &str| json!({"action": action, "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]});
        let fatal = |words: &str| Failure::Fatal(words.to_owned());
        let table = [
            (json!([]), Failure::Counted),
            (
                json!([codes("FailJob", "In", 42)]),
                fatal("Container app for pod n/p failed with exit code 42 matching FailJob rule at index 0"),
            ),
            (json!([codes("FailJob", "NotIn", 42)]), Failure::Counted),
            (
                json!([codes("FailJob", "NotIn", 1)]),
                fatal("Container app for pod n/p failed with exit code 42 matching FailJob rule at index 0"),
            ),
            (json!([elsewhere, codes("Ignore", "In", 42)]), Failure::Ignored),
            (json!([codes("Count", "In", 42), codes("FailJob", "In", 42)]), Failure::Counted),
            (json!([codes("Ignore", "In", 1), disrupted("Ignore")]), Failure::Ignored),
            (
                json!([codes("Ignore", "In", 1), disrupted("FailJob")]),
                fatal("Pod n/p has condition DisruptionTarget matching FailJob rule at index 1"),
            ),
        ];
        for (rules, expected) in table {
            let job: Object = json!({"spec": {"podFailurePolicy": {"rules": rules}}}).into();
            assert_eq!(judge_failure(&job, &pod), expected, "{rules}");
        }
    }
}
