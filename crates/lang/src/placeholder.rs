//! `{{args.name}}` placeholders in metrics and the few tags of experiments (A-130 to A-143).

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

const OPEN: &str = "{{";
const CLOSE: &str = "}}";

/// Why placeholders could not be replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlaceholderError {
    /// An argument has no value; it fails every metric, used or not (A-135).
    NotSupplied(String),
    /// The last tag that means nothing, as it was written (A-132).
    Unresolved(String),
    /// A tag is never closed (A-133).
    Unclosed {
        /// The whole text.
        template: String,
        /// What follows the opening braces.
        rest: String,
    },
    /// What came out is no JSON any more.
    Json(String),
}

impl fmt::Display for PlaceholderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use glidepath_gocompat::quote::quote;
        match self {
            Self::NotSupplied(name) => write!(f, "argument \"{name}\" was not supplied"),
            Self::Unresolved(tag) => write!(f, "failed to resolve {{{{{tag}}}}}"),
            Self::Unclosed { template, rest } => write!(
                f,
                "Cannot find end tag={} in the template={} starting from {}",
                quote(CLOSE),
                quote(template),
                quote(rest)
            ),
            Self::Json(problem) => f.write_str(problem),
        }
    }
}

impl std::error::Error for PlaceholderError {}

/// Replaces every `{{tag}}` in `text` by what `value_of` says about the trimmed tag. One pass: values are not looked
/// into (A-134).
///
/// # Errors
/// On an unclosed tag, and with the last tag that has no value.
pub fn resolve_text(
    text: &str,
    value_of: impl Fn(&str) -> Option<String>,
) -> Result<String, PlaceholderError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut unresolved = None;
    while let Some((before, after)) = rest.split_once(OPEN) {
        out.push_str(before);
        let Some((tag, after)) = after.split_once(CLOSE) else {
            return Err(PlaceholderError::Unclosed { template: text.to_owned(), rest: after.to_owned() });
        };
        match value_of(tag.trim()) {
            Some(value) => out.push_str(&value),
            None => unresolved = Some(tag.to_owned()),
        }
        rest = after;
    }
    match unresolved {
        Some(tag) => Err(PlaceholderError::Unresolved(tag)),
        None => {
            out.push_str(rest);
            Ok(out)
        }
    }
}

/// The arguments as tags: `args.name` to value.
fn tags<'a>(
    arguments: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
) -> Result<BTreeMap<String, &'a str>, PlaceholderError> {
    arguments
        .into_iter()
        .map(|(name, value)| match value {
            Some(value) => Ok((format!("args.{name}"), value)),
            None => Err(PlaceholderError::NotSupplied(name.to_owned())),
        })
        .collect()
}

/// Replaces `{{args.name}}` in a plain text.
///
/// # Errors
/// When an argument has no value, or a tag means nothing or is not closed.
pub fn resolve_args_text<'a>(
    text: &str,
    arguments: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
) -> Result<String, PlaceholderError> {
    let tags = tags(arguments)?;
    resolve_text(text, |tag| tags.get(tag).map(|value| (*value).to_owned()))
}

/// Replaces `{{args.name}}` in every string of a JSON value, keys included: a metric is templated as its JSON text, so
/// values are escaped for it (A-130, A-136).
///
/// # Errors
/// When an argument has no value, or a tag means nothing or is not closed.
pub fn resolve_args<'a>(
    json: &Value,
    arguments: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
) -> Result<Value, PlaceholderError> {
    let tags = tags(arguments)?;
    let text = glidepath_gocompat::json::to_string(json);
    let resolved = resolve_text(&text, |tag| tags.get(tag).map(|value| escaped(value)))?;
    serde_json::from_str(&resolved).map_err(|error| PlaceholderError::Json(error.to_string()))
}

fn escaped(value: &str) -> String {
    let mut quoted = String::with_capacity(value.len() + 2);
    glidepath_gocompat::json::write_string(&mut quoted, value);
    quoted[1..quoted.len() - 1].to_owned()
}

/// What an experiment knows about one of its templates once it has a ReplicaSet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateIdentity {
    /// The template's name.
    pub name: String,
    /// The hash label of its ReplicaSet.
    pub pod_hash: String,
    /// The ReplicaSet's name.
    pub replica_set: String,
}

/// Replaces the tags an experiment offers to the arguments of its analyses (A-143). Times are RFC 3339 texts;
/// `finished_at` exists only where the experiment is available and has a duration.
///
/// # Errors
/// When a tag means nothing or is not closed.
pub fn resolve_experiment_text(
    text: &str,
    templates: &[TemplateIdentity],
    available_at: Option<&str>,
    finished_at: Option<&str>,
) -> Result<String, PlaceholderError> {
    resolve_text(text, |tag| {
        let time = match tag {
            "experiment.availableAt" => available_at,
            "experiment.finishedAt" => finished_at,
            _ => None,
        };
        time.map(str::to_owned).or_else(|| {
            templates.iter().find_map(|template| {
                let field = tag.strip_prefix("templates.")?.strip_prefix(&template.name)?;
                match field {
                    ".podTemplateHash" => Some(template.pod_hash.clone()),
                    ".replicaset.name" => Some(template.replica_set.clone()),
                    _ => None,
                }
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn resolve(text: &str) -> Result<String, String> {
        let arguments = [("x", Some("5")), ("restarts.max", Some("{{args.x}}")), ("a-b", Some("q\"\n\\"))];
        resolve_args_text(text, arguments).map_err(|error| error.to_string())
    }

    #[test]
    fn tags_are_replaced_once_a131_a134() {
        for (text, want) in [
            ("plain", "plain"),
            ("result > {{args.x}}", "result > 5"),
            ("{{ args.x }}{{\targs.x\n}}", "55"),
            ("{{args.restarts.max}}", "{{args.x}}"),
            ("requests{service:{{args.x}}}", "requests{service:5}"),
            ("a }} b", "a }} b"),
        ] {
            assert_eq!(resolve(text).as_deref(), Ok(want), "{text}");
        }
    }

    #[test]
    fn unknown_and_unclosed_tags_fail_a132_a133() {
        for (text, want) in [
            ("{{ foo }}", "failed to resolve {{ foo }}"),
            ("{{a}} {{b}} {{args.x}}", "failed to resolve {{b}}"),
            ("{{{args.x}}}", "failed to resolve {{{args.x}}"),
            ("a {{args.x", r#"Cannot find end tag="}}" in the template="a {{args.x" starting from "args.x""#),
        ] {
            assert_eq!(resolve(text).unwrap_err(), want, "{text}");
        }
    }

    #[test]
    fn an_argument_without_value_fails_everything_a135() {
        let error = resolve_args(&json!({}), [("x", Some("1")), ("y", None)]).unwrap_err();
        assert_eq!(error.to_string(), r#"argument "y" was not supplied"#);
    }

    #[test]
    fn any_string_of_a_metric_is_templated_a130_a136() {
        let metric = json!({
            "name": "{{args.n}}",
            "count": 3,
            "provider": {"job": {"{{args.n}}": ["{{args.v}}", null, true]}},
        });
        let resolved = resolve_args(&metric, [("n", Some("m")), ("v", Some("a\"b\\c\n\u{1}<"))]).unwrap();
        assert_eq!(
            resolved,
            json!({"name": "m", "count": 3, "provider": {"job": {"m": ["a\"b\\c\n\u{1}<", null, true]}}})
        );
    }

    #[test]
    fn experiments_offer_their_own_tags_a143() {
        let templates = [TemplateIdentity {
            name: "base".to_owned(),
            pod_hash: "abc".to_owned(),
            replica_set: "ex-base".to_owned(),
        }];
        let resolve = |text: &str| resolve_experiment_text(text, &templates, Some("T1"), None);
        assert_eq!(
            resolve("{{templates.base.podTemplateHash}} {{templates.base.replicaset.name}} {{experiment.availableAt}}")
                .as_deref(),
            Ok("abc ex-base T1")
        );
        for text in ["{{experiment.finishedAt}}", "{{templates.other.podTemplateHash}}", "{{args.x}}"] {
            assert!(resolve(text).is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in ".{0,40}", value in ".{0,20}") {
            let _ = resolve_args_text(&text, [("x", Some(value.as_str()))]);
            let _ = resolve_args(&json!({"a": text.as_str()}), [("x", Some(value.as_str()))]);
        }

        #[test]
        fn any_value_survives_the_json_text(value in ".{0,40}") {
            let resolved = resolve_args(&json!({"a": "{{args.x}}"}), [("x", Some(value.as_str()))]);
            proptest::prop_assert_eq!(resolved, Ok(json!({"a": value})));
        }
    }
}
