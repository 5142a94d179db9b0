//! `Impersonate-User` and `Impersonate-Group`: acting as somebody else, for those who may.

use super::{Question, decide};
use crate::call::{Call, User};
use crate::refusal::{Refusal, Reply};
use crate::store::Contents;

/// Whom the request acts as, if its headers name somebody. `kubectl --as` sends them.
pub(crate) fn acting_as(contents: &mut Contents, call: &Call) -> Reply<Option<User>> {
    let name = call.header("impersonate-user").to_owned();
    let mut groups: Vec<String> = call
        .headers
        .get_all("impersonate-group")
        .iter()
        .filter_map(|value| value.to_str().ok().map(str::to_owned))
        .collect();
    if name.is_empty() {
        return if groups.is_empty() {
            Ok(None)
        } else {
            Err(Refusal::internal("requested [{Group  group  }] without impersonating a user"))
        };
    }
    let account = name.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'));
    let mut questions = vec![match account {
        Some((namespace, account)) => impersonate("serviceaccounts", namespace, account),
        None => impersonate("users", "", &name),
    }];
    questions.extend(groups.iter().map(|group| impersonate("groups", "", group)));
    for question in questions {
        let decision = decide(contents, &call.user, &question);
        if !decision.allowed {
            return Err(question.refuse(&call.user, &decision.reason));
        }
    }
    if let Some((namespace, _)) = account
        && groups.is_empty()
    {
        groups = vec!["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")];
    }
    let own = if name == "system:anonymous" { "system:unauthenticated" } else { "system:authenticated" };
    if !groups.iter().any(|group| group == own) {
        groups.push(own.to_owned());
    }
    Ok(Some(User { name, groups }))
}

fn impersonate(plural: &str, namespace: &str, name: &str) -> Question {
    Question::Resource {
        verb: "impersonate".to_owned(),
        group: String::new(),
        plural: plural.to_owned(),
        subresource: String::new(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}
