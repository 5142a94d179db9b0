//! What is said to somebody whose command changes nothing: what is the case, and what to do instead.
//!
//! The command is carried out and exits as the reference's does (O-060, O-066, O-067); the remark goes to standard error.

use glidepath_api::{Rollout, names};

/// A remark on `promote`, from the Rollout before it.
#[must_use]
pub fn remark_on_promote(rollout: &Rollout) -> Option<String> {
    let name = &rollout.metadata.name;
    if rollout.status.abort {
        return Some(format!(
            "the update is aborted and stays so whatever is promoted; to take it up again: \
             kubectl argo rollouts retry rollout {name}"
        ));
    }
    let waits = rollout.spec.paused || !rollout.status.pause_conditions.is_empty();
    (!waits && is_complete(rollout)).then(|| {
        format!(
            "nothing waits to be promoted: {}; a change of its template begins an update",
            standing(rollout)
        )
    })
}

/// A remark on `abort`, from the Rollout after it.
#[must_use]
pub fn remark_on_abort(rollout: &Rollout) -> Option<String> {
    let name = &rollout.metadata.name;
    is_complete(rollout).then(|| {
        format!(
            "no update is in progress: {}; to go back to an older revision: kubectl argo rollouts undo {name}",
            standing(rollout)
        )
    })
}

/// A remark on `retry rollout`, from the Rollout before it.
#[must_use]
pub fn remark_on_retry(rollout: &Rollout) -> Option<String> {
    if rollout.status.abort {
        return None;
    }
    Some(if is_complete(rollout) {
        format!("nothing to retry: {}", standing(rollout))
    } else {
        "nothing to retry: the update in progress was not aborted".to_owned()
    })
}

fn is_complete(rollout: &Rollout) -> bool {
    let status = &rollout.status;
    !status.stable_rs.is_empty() && status.stable_rs == status.current_pod_hash
}

fn standing(rollout: &Rollout) -> String {
    match rollout.metadata.annotations.get(names::REVISION) {
        Some(revision) => format!("revision {revision} is the stable one"),
        None => "its current version is the stable one".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn rollout(status: Value) -> Rollout {
        serde_json::from_value(json!({
            "metadata": {"name": "web", "annotations": {"rollout.argoproj.io/revision": "3"}},
            "spec": {}, "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn a_verb_that_changes_nothing_says_what_is_the_case_and_what_to_do_o_060_o_066_o_067() {
        let complete = json!({"stableRS": "a", "currentPodHash": "a"});
        let updating = json!({"stableRS": "a", "currentPodHash": "b"});
        let paused = json!({"stableRS": "a", "currentPodHash": "a",
            "pauseConditions": [{"reason": "BlueGreenPause", "startTime": "2026-01-01T00:00:00Z"}]});
        let aborted = json!({"stableRS": "a", "currentPodHash": "b", "abort": true,
            "abortedAt": "2026-01-01T00:00:00Z"});
        type Remark = fn(&Rollout) -> Option<String>;
        let rows: [(&str, Remark, &Value, Option<&str>); 10] = [
            ("promote", remark_on_promote, &complete, Some("revision 3 is the stable one")),
            ("promote", remark_on_promote, &updating, None),
            ("promote", remark_on_promote, &paused, None),
            ("promote", remark_on_promote, &aborted, Some("kubectl argo rollouts retry rollout web")),
            ("abort", remark_on_abort, &complete, Some("kubectl argo rollouts undo web")),
            ("abort", remark_on_abort, &updating, None),
            ("retry", remark_on_retry, &complete, Some("nothing to retry: revision 3 is the stable one")),
            ("retry", remark_on_retry, &updating, Some("was not aborted")),
            ("retry", remark_on_retry, &aborted, None),
            ("promote", remark_on_promote, &json!({}), None),
        ];
        for (verb, remark, status, want) in rows {
            let said = remark(&rollout(status.clone()));
            match want {
                Some(want) => assert!(
                    said.as_ref().is_some_and(|said| said.contains(want)),
                    "{verb} {status}: {said:?}"
                ),
                None => assert_eq!(said, None, "{verb} {status}"),
            }
        }
    }
}
