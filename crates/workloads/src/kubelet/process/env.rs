//! The environment and command line of a container, from its spec. Pure: what other objects hold is looked
//! up beforehand.

use std::collections::BTreeMap;

use serde_json::Value;

use super::image::LocalImage;
use crate::object::{Object, text};

/// An object a container's environment draws on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// A config map of the pod's namespace.
    ConfigMap(String),
    /// A secret of the pod's namespace.
    Secret(String),
}

/// What the sources hold, decoded; a source that does not exist is absent.
pub type Sources = BTreeMap<Source, BTreeMap<String, String>>;

/// The sources a container draws on, in order, with whether each may be missing.
#[must_use]
pub fn parse_sources(container: &Value) -> Vec<(Source, bool)> {
    let optional = |value: &Value| value.get("optional").and_then(Value::as_bool).unwrap_or(false);
    let mut sources = Vec::new();
    let mut add = |value: &Value, config_map: &str, secret: &str| {
        if let Some(reference) = value.get(config_map) {
            sources.push((Source::ConfigMap(text(reference, "name").to_owned()), optional(reference)));
        }
        if let Some(reference) = value.get(secret) {
            sources.push((Source::Secret(text(reference, "name").to_owned()), optional(reference)));
        }
    };
    for from in container.get("envFrom").and_then(Value::as_array).into_iter().flatten() {
        add(from, "configMapRef", "secretRef");
    }
    for variable in container.get("env").and_then(Value::as_array).into_iter().flatten() {
        if let Some(from) = variable.get("valueFrom") {
            add(from, "configMapKeyRef", "secretKeyRef");
        }
    }
    sources
}

/// Computes a container's own environment variables on top of `base`.
///
/// # Errors
/// The kubelet's words for a source or key that is missing and must not be.
pub fn render_env(
    pod: &Object,
    container: &Value,
    sources: &Sources,
    base: BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, String> {
    let mut env = base;
    for from in container.get("envFrom").and_then(Value::as_array).into_iter().flatten() {
        let prefix = text(from, "prefix");
        let references = [("configMapRef", true), ("secretRef", false)];
        for (reference, is_config_map) in
            references.iter().filter_map(|(field, kind)| from.get(*field).map(|value| (value, *kind)))
        {
            let values = lookup(sources, reference, is_config_map)?;
            env.extend(
                values.into_iter().flatten().map(|(name, value)| (format!("{prefix}{name}"), value.clone())),
            );
        }
    }
    for variable in container.get("env").and_then(Value::as_array).into_iter().flatten() {
        let value = match variable.get("valueFrom") {
            Some(from) => render_value_from(pod, from, sources)?,
            None => Some(expand(text(variable, "value"), &env)),
        };
        if let Some(value) = value {
            env.insert(text(variable, "name").to_owned(), value);
        }
    }
    Ok(env)
}

fn lookup<'a>(
    sources: &'a Sources,
    reference: &Value,
    is_config_map: bool,
) -> Result<Option<&'a BTreeMap<String, String>>, String> {
    let name = text(reference, "name");
    let (source, kind) = if is_config_map {
        (Source::ConfigMap(name.to_owned()), "configmap")
    } else {
        (Source::Secret(name.to_owned()), "secret")
    };
    match sources.get(&source) {
        Some(values) => Ok(Some(values)),
        None if reference.get("optional") == Some(&Value::Bool(true)) => Ok(None),
        None => Err(format!("{kind} \"{name}\" not found")),
    }
}

fn render_value_from(pod: &Object, from: &Value, sources: &Sources) -> Result<Option<String>, String> {
    if let Some(field) = from.get("fieldRef") {
        return Ok(Some(pod_field(pod, text(field, "fieldPath"))));
    }
    for (field, is_config_map) in [("configMapKeyRef", true), ("secretKeyRef", false)] {
        let Some(reference) = from.get(field) else { continue };
        let Some(values) = lookup(sources, reference, is_config_map)? else { return Ok(None) };
        let key = text(reference, "key");
        return match values.get(key) {
            Some(value) => Ok(Some(value.clone())),
            None if reference.get("optional") == Some(&Value::Bool(true)) => Ok(None),
            None => {
                let kind = if is_config_map { "ConfigMap" } else { "Secret" };
                Err(format!(
                    "couldn't find key {key} in {kind} {}/{}",
                    pod.namespace(),
                    text(reference, "name")
                ))
            }
        };
    }
    Ok(None)
}

/// A field of the pod as the downward API names it; empty when absent.
fn pod_field(pod: &Object, path: &str) -> String {
    if let Some((map, rest)) = path.split_once("['") {
        let key = rest.trim_end_matches("']");
        let value = match map {
            "metadata.labels" => pod.label(key),
            "metadata.annotations" => pod.annotation(key),
            _ => None,
        };
        return value.unwrap_or_default().to_owned();
    }
    let pointer = format!("/{}", path.replace('.', "/"));
    match pod.at(&pointer) {
        Some(Value::String(value)) => value.clone(),
        Some(other) if !other.is_null() => other.to_string(),
        _ => String::new(),
    }
}

/// Replaces `$(NAME)` by the variable's value; `$$(NAME)` stands for itself, unknown names stay as written.
#[must_use]
pub fn expand(input: &str, env: &BTreeMap<String, String>) -> String {
    let mut output = String::with_capacity(input.len());
    let mut rest = input;
    while let Some(at) = rest.find('$') {
        output.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(tail) = rest.strip_prefix('$') {
            output.push('$');
            rest = tail;
        } else if let Some((name, tail)) = rest.strip_prefix('(').and_then(|tail| tail.split_once(')')) {
            match env.get(name) {
                Some(value) => output.push_str(value),
                None => output.push_str(&format!("$({name})")),
            }
            rest = tail;
        } else {
            output.push('$');
        }
    }
    output.push_str(rest);
    output
}

/// The command line of a container: its own command and arguments, or those of its image.
#[must_use]
pub fn render_command(container: &Value, image: &LocalImage, env: &BTreeMap<String, String>) -> Vec<String> {
    let list = |field: &str| -> Option<Vec<String>> {
        let words = container.get(field).and_then(Value::as_array).filter(|words| !words.is_empty())?;
        Some(words.iter().filter_map(Value::as_str).map(|word| expand(word, env)).collect())
    };
    let command = list("command");
    let args = list("args");
    let defaults = if command.is_none() { image.args.clone() } else { Vec::new() };
    let mut line = command.unwrap_or_else(|| image.entrypoint.clone());
    line.extend(args.unwrap_or(defaults));
    line
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn references_to_variables_expand_as_in_a_container() {
        let env = map(&[("A", "1"), ("B", "two")]);
        let table = [
            ("$(A)-$(B)", "1-two"),
            ("$$(A)", "$(A)"),
            ("$(C)", "$(C)"),
            ("$A", "$A"),
            ("100$", "100$"),
            ("$(A", "$(A"),
        ];
        for (input, output) in table {
            assert_eq!(expand(input, &env), output, "{input}");
        }
    }

    #[test]
    fn variables_come_from_values_fields_config_maps_and_secrets() {
        let pod: Object = json!({"metadata": {"name": "p", "namespace": "n", "labels": {"a/b": "c"}}, "status": {"podIP": "127.0.0.1"}}).into();
        let sources: Sources = [
            (Source::ConfigMap("cm".to_owned()), map(&[("x", "1"), ("y", "2")])),
            (Source::Secret("s".to_owned()), map(&[("key", "hidden")])),
        ]
        .into();
        let container = json!({
            "envFrom": [{"prefix": "CM_", "configMapRef": {"name": "cm"}}, {"secretRef": {"name": "none", "optional": true}}],
            "env": [
                {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "LABEL", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['a/b']"}}},
                {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "s", "key": "key"}}},
                {"name": "GONE", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "z", "optional": true}}},
                {"name": "BOTH", "value": "$(NAME)/$(CM_x)"},
            ],
        });
        let env = render_env(&pod, &container, &sources, BTreeMap::new()).unwrap();
        let expected = map(&[
            ("CM_x", "1"),
            ("CM_y", "2"),
            ("NAME", "p"),
            ("LABEL", "c"),
            ("IP", "127.0.0.1"),
            ("SECRET", "hidden"),
            ("BOTH", "p/1"),
        ]);
        assert_eq!(env, expected);
        assert_eq!(parse_sources(&container).len(), 4);
        for (broken, message) in [
            (json!({"envFrom": [{"configMapRef": {"name": "none"}}]}), "configmap \"none\" not found"),
            (
                json!({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "none", "key": "k"}}}]}),
                "secret \"none\" not found",
            ),
            (
                json!({"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "k"}}}]}),
                "couldn't find key k in ConfigMap n/cm",
            ),
        ] {
            assert_eq!(render_env(&pod, &broken, &sources, BTreeMap::new()).unwrap_err(), message);
        }
    }

    #[test]
    fn command_and_arguments_override_those_of_the_image() {
        let image = LocalImage {
            entrypoint: vec!["web".to_owned()],
            args: vec!["--default".to_owned()],
            env: Vec::new(),
        };
        let table = [
            (json!({}), vec!["web", "--default"]),
            (json!({"args": ["--port=$(PORT)"]}), vec!["web", "--port=80"]),
            (json!({"command": ["sh"]}), vec!["sh"]),
            (json!({"command": ["sh"], "args": ["-c", "true"]}), vec!["sh", "-c", "true"]),
        ];
        for (container, expected) in table {
            assert_eq!(render_command(&container, &image, &map(&[("PORT", "80")])), expected);
        }
    }
}
