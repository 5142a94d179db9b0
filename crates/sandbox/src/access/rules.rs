//! Policy rules: which requests they allow, and which other rules they cover. Pure.

use serde_json::{Value, json};

use super::Question;

fn list<'a>(rule: &'a Value, key: &str) -> Vec<&'a str> {
    rule.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

fn has(rule: &Value, key: &str, wanted: &str) -> bool {
    list(rule, key).iter().any(|one| *one == "*" || *one == wanted)
}

/// Whether one rule is enough for the request.
pub(super) fn allows(rule: &Value, question: &Question) -> bool {
    match question {
        Question::Resource { verb, group, plural, subresource, name, .. } => {
            let names = list(rule, "resourceNames");
            has(rule, "verbs", verb)
                && has(rule, "apiGroups", group)
                && covers_resource(rule, plural, subresource)
                && (names.is_empty() || names.contains(&name.as_str()))
        }
        Question::Path { verb, path } => has(rule, "verbs", verb) && covers_path(rule, path),
    }
}

fn covers_resource(rule: &Value, plural: &str, subresource: &str) -> bool {
    list(rule, "resources").iter().any(|one| match one.split_once('/') {
        None if *one == "*" => true,
        None => subresource.is_empty() && *one == plural,
        Some((of, part)) => !subresource.is_empty() && part == subresource && (of == "*" || of == plural),
    })
}

fn covers_path(rule: &Value, path: &str) -> bool {
    list(rule, "nonResourceURLs").iter().any(|one| {
        *one == "*" || *one == path || one.strip_suffix('*').is_some_and(|start| path.starts_with(start))
    })
}

/// What of `wanted` no rule in `held` covers, one verb on one resource at a time, compacted again so that
/// verbs on the same resource stand together.
pub(super) fn not_covered(held: &[Value], wanted: &[Value]) -> Vec<Value> {
    let mut missing: Vec<Value> = Vec::new();
    for part in wanted.iter().flat_map(break_down) {
        if held.iter().any(|rule| covers(rule, &part)) {
            continue;
        }
        let same = |one: &&mut Value| {
            ["apiGroups", "resources", "resourceNames", "nonResourceURLs"]
                .iter()
                .all(|key| one.get(*key) == part.get(*key))
        };
        match missing.iter_mut().find(same) {
            Some(known) => {
                let verb = part["verbs"][0].clone();
                if let Some(verbs) = known["verbs"].as_array_mut()
                    && !verbs.contains(&verb)
                {
                    verbs.push(verb);
                }
            }
            None => missing.push(part),
        }
    }
    missing
}

/// A rule as rules of one verb, one group, one resource and at most one name each.
fn break_down(rule: &Value) -> Vec<Value> {
    let mut parts = Vec::new();
    for group in list(rule, "apiGroups") {
        for resource in list(rule, "resources") {
            for verb in list(rule, "verbs") {
                let part = json!({ "apiGroups": [group], "resources": [resource], "verbs": [verb] });
                let names = list(rule, "resourceNames");
                if names.is_empty() {
                    parts.push(part);
                    continue;
                }
                parts.extend(names.iter().map(|name| {
                    let mut part = part.clone();
                    part["resourceNames"] = json!([name]);
                    part
                }));
            }
        }
    }
    for path in list(rule, "nonResourceURLs") {
        for verb in list(rule, "verbs") {
            parts.push(json!({ "nonResourceURLs": [path], "verbs": [verb] }));
        }
    }
    parts
}

/// Whether `rule` gives at least what the broken-down `part` gives.
fn covers(rule: &Value, part: &Value) -> bool {
    let verb = part["verbs"][0].as_str().unwrap_or_default();
    if !has(rule, "verbs", verb) {
        return false;
    }
    if let Some(path) = part.pointer("/nonResourceURLs/0").and_then(Value::as_str) {
        return covers_path(rule, path);
    }
    let group = part["apiGroups"][0].as_str().unwrap_or_default();
    let (plural, subresource) = {
        let whole = part["resources"][0].as_str().unwrap_or_default();
        whole.split_once('/').unwrap_or((whole, ""))
    };
    let names = list(rule, "resourceNames");
    let name = part.pointer("/resourceNames/0").and_then(Value::as_str);
    has(rule, "apiGroups", group)
        && covers_resource(rule, plural, subresource)
        && (names.is_empty() || name.is_some_and(|name| names.contains(&name)))
}

/// A rule as refusals show it.
pub(super) fn render_rule(rule: &Value) -> String {
    let shown = [
        ("APIGroups", "apiGroups"),
        ("Resources", "resources"),
        ("NonResourceURLs", "nonResourceURLs"),
        ("ResourceNames", "resourceNames"),
        ("Verbs", "verbs"),
    ];
    let parts: Vec<String> = shown
        .iter()
        .filter(|(_, key)| !list(rule, key).is_empty())
        .map(|(title, key)| {
            let quoted: Vec<String> = list(rule, key).iter().map(|one| format!("{one:?}")).collect();
            format!("{title}:[{}]", quoted.join(" "))
        })
        .collect();
    format!("{{{}}}", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(verb: &str, group: &str, resource: &str, name: &str) -> Question {
        let (plural, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        Question::Resource {
            verb: verb.into(),
            group: group.into(),
            plural: plural.into(),
            subresource: subresource.into(),
            namespace: "n".into(),
            name: name.into(),
        }
    }

    #[test]
    fn a_rule_allows_what_it_names() {
        let rule = |group: &str, resource: &str, verb: &str| json!({ "apiGroups": [group], "resources": [resource], "verbs": [verb] });
        let table = [
            (rule("", "pods", "get"), question("get", "", "pods", "a"), true),
            (rule("", "pods", "get"), question("list", "", "pods", ""), false),
            (rule("", "pods", "get"), question("get", "", "pods/log", "a"), false),
            (rule("", "pods/log", "get"), question("get", "", "pods/log", "a"), true),
            (rule("", "*/log", "get"), question("get", "", "pods/log", "a"), true),
            (rule("", "*", "*"), question("get", "", "pods/log", "a"), true),
            (rule("", "*", "*"), question("get", "apps", "deployments", "a"), false),
            (rule("*", "deployments", "*"), question("get", "apps", "deployments", "a"), true),
            (
                json!({ "apiGroups": [""], "resources": ["pods"], "resourceNames": ["b"], "verbs": ["*"] }),
                question("get", "", "pods", "a"),
                false,
            ),
            (
                json!({ "apiGroups": [""], "resources": ["pods"], "resourceNames": ["b"], "verbs": ["*"] }),
                question("list", "", "pods", ""),
                false,
            ),
            (
                json!({ "apiGroups": [""], "resources": ["pods"], "resourceNames": ["b"], "verbs": ["*"] }),
                question("get", "", "pods", "b"),
                true,
            ),
            (
                json!({ "nonResourceURLs": ["/api/*"], "verbs": ["get"] }),
                Question::Path { verb: "get".into(), path: "/api/v1".into() },
                true,
            ),
            (
                json!({ "nonResourceURLs": ["/api"], "verbs": ["get"] }),
                Question::Path { verb: "get".into(), path: "/api/v1".into() },
                false,
            ),
        ];
        for (rule, question, allowed) in table {
            assert_eq!(allows(&rule, &question), allowed, "{rule} {question:?}");
        }
    }

    #[test]
    fn what_is_not_covered_is_said_once_per_resource() {
        let held = [json!({ "apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"] })];
        let wanted = [json!({ "apiGroups": ["", "apps"], "resources": ["pods"], "verbs": ["get", "watch"] })];
        let missing: Vec<String> = not_covered(&held, &wanted).iter().map(render_rule).collect();
        assert_eq!(
            missing,
            [
                r#"{APIGroups:[""], Resources:["pods"], Verbs:["watch"]}"#,
                r#"{APIGroups:["apps"], Resources:["pods"], Verbs:["get" "watch"]}"#
            ]
        );
        let named =
            json!({ "apiGroups": [""], "resources": ["pods"], "resourceNames": ["a"], "verbs": ["get"] });
        assert!(not_covered(&held, std::slice::from_ref(&named)).is_empty());
        assert_eq!(not_covered(&[named], &held).len(), 1);
    }
}
