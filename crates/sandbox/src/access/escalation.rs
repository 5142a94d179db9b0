//! Nobody grants what they do not have: writes of roles and bindings are checked against the writer's own
//! rules, unless a rule of theirs says `escalate` (roles) or `bind` (bindings).

use std::collections::BTreeSet;

use serde_json::Value;

use super::{GROUP, MASTERS, Question, decide, gather_grants, role_rules, rules};
use crate::call::{Target, User};
use crate::document;
use crate::refusal::{Refusal, Reply};
use crate::store::Contents;

/// Checks a role or binding that `user` is about to store; other kinds pass.
pub(crate) fn check(
    contents: &mut Contents,
    user: Option<&User>,
    target: &Target,
    object: &Value,
    old: Option<&Value>,
) -> Reply<()> {
    let Some(user) =
        user.filter(|user| target.resource.group == GROUP && !user.groups.iter().any(|g| g == MASTERS))
    else {
        return Ok(());
    };
    let namespace = document::namespace(object).to_owned();
    let question = |verb: &str, plural: &str, name: &str| Question::Resource {
        verb: verb.to_owned(),
        group: GROUP.to_owned(),
        plural: plural.to_owned(),
        subresource: String::new(),
        namespace: namespace.clone(),
        name: name.to_owned(),
    };
    let name = document::name(object);
    let wanted = match target.resource.plural.as_str() {
        plural @ ("roles" | "clusterroles") => {
            if old.is_some_and(|old| old.get("rules") == object.get("rules"))
                || decide(contents, user, &question("escalate", plural, name)).allowed
            {
                return Ok(());
            }
            object.get("rules").and_then(Value::as_array).cloned().unwrap_or_default()
        }
        "rolebindings" | "clusterrolebindings" => {
            let unchanged = |old: &Value| {
                old.get("subjects") == object.get("subjects") && old.get("roleRef") == object.get("roleRef")
            };
            let (kind, role) =
                (document::text(object, "/roleRef/kind"), document::text(object, "/roleRef/name"));
            let plural = if kind == "Role" { "roles" } else { "clusterroles" };
            if old.is_some_and(unchanged) || decide(contents, user, &question("bind", plural, role)).allowed {
                return Ok(());
            }
            let subject = crate::refusal::Subject { group: GROUP, plural, kind };
            role_rules(contents, kind, &namespace, role).ok_or_else(|| Refusal::not_found(&subject, role))?
        }
        _ => return Ok(()),
    };
    let (grants, _) = gather_grants(contents, user, &namespace);
    let held: Vec<Value> = grants.into_iter().map(|grant| grant.rule).collect();
    let missing = rules::not_covered(&held, &wanted);
    if missing.is_empty() {
        return Ok(());
    }
    let sentences: BTreeSet<String> = missing.iter().map(rules::render_rule).collect();
    let groups: Vec<String> = user.groups.iter().map(|group| format!("{group:?}")).collect();
    let why = format!(
        "user {:?} (groups=[{}]) is attempting to grant RBAC permissions not currently held:\n{}",
        user.name,
        groups.join(" "),
        sentences.into_iter().collect::<Vec<_>>().join("\n")
    );
    Err(Refusal::forbidden(&target.resource.subject(), name, &why))
}
