//! `{{ … }}` in metrics and in experiment arguments.

use std::collections::BTreeMap;

use glidepath_api::{Argument, Metric};

const OPEN: &str = "{{";
const CLOSE: &str = "}}";

/// Replaces each `{{ name }}` by what `values` holds for `name`, in a single pass: a value that contains a tag is
/// inserted as it is.
///
/// # Errors
/// When a tag is not closed, or `values` has nothing for it; of several such tags the last is named.
pub fn replace_tags(text: &str, values: &BTreeMap<String, String>) -> Result<String, String> {
    let mut replaced = String::with_capacity(text.len());
    let mut unknown = None;
    let mut rest = text;
    while let Some((before, from_tag)) = rest.split_once(OPEN) {
        replaced.push_str(before);
        let Some((tag, after)) = from_tag.split_once(CLOSE) else {
            let start: String = from_tag.chars().take(60).collect();
            return Err(format!("cannot find end tag=\"{CLOSE}\" starting from \"{start}\""));
        };
        match values.get(tag.trim()) {
            Some(value) => replaced.push_str(value),
            None => unknown = Some(tag),
        }
        rest = after;
    }
    replaced.push_str(rest);
    match unknown {
        Some(tag) => Err(format!("failed to resolve {{{{{tag}}}}}")),
        None => Ok(replaced),
    }
}

/// A metric with its arguments filled in: any text of it may hold a tag, map keys included.
///
/// # Errors
/// When an argument has no value, even if no tag names it, when a tag is unknown or not closed, and
/// when a value puts something in place that the field cannot hold.
pub fn resolve_metric(metric: &Metric, args: &[Argument]) -> Result<Metric, String> {
    let mut values = BTreeMap::new();
    for arg in args {
        let Some(value) = &arg.value else {
            return Err(format!("argument \"{}\" was not supplied", arg.name));
        };
        values.insert(format!("args.{}", arg.name), json_inner(value));
    }
    let text = serde_json::to_string(metric).map_err(|error| error.to_string())?;
    if !text.contains(OPEN) {
        return Ok(metric.clone());
    }
    serde_json::from_str(&replace_tags(&text, &values)?).map_err(|error| error.to_string())
}

/// The text as it stands between the quotes of a JSON string.
fn json_inner(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use glidepath_api::{Argument, Metric};

    use super::{replace_tags, resolve_metric};

    fn arg(name: &str, value: &str) -> Argument {
        Argument { name: name.into(), value: Some(value.into()), value_from: None }
    }

    #[test]
    fn tags_are_replaced_once_and_the_last_unknown_one_is_named_a131_to_a134() {
        let values = [
            ("args.x".to_owned(), "1".to_owned()),
            ("args.restarts.max".to_owned(), "9".to_owned()),
            ("args.nested".to_owned(), "{{args.x}}".to_owned()),
        ]
        .into();
        for (text, want) in [
            ("no tags", Ok("no tags")),
            ("{{args.x}} and {{ args.x }}", Ok("1 and 1")),
            ("result < {{args.restarts.max}}", Ok("result < 9")),
            ("{{args.nested}}", Ok("{{args.x}}")),
            ("requests{service:{{args.x}}}", Ok("requests{service:1}")),
            ("a lone }} stays", Ok("a lone }} stays")),
            ("{{args.a}} {{ args.b }}", Err("failed to resolve {{ args.b }}")),
            ("{{{args.x}}}", Err("failed to resolve {{{args.x}}")),
            ("x {{args.x", Err("cannot find end tag=\"}}\" starting from \"args.x\"")),
            ("{{}}", Err("failed to resolve {{}}")),
        ] {
            assert_eq!(replace_tags(text, &values).as_deref(), want.map_err(str::to_owned).as_ref().copied());
        }
    }

    #[test]
    fn any_text_of_a_metric_may_hold_a_tag_a130() {
        let metric: Metric = serde_json::from_value(serde_json::json!({
            "name": "m-{{args.name}}", "interval": "{{args.i}}", "count": "{{args.n}}",
            "successCondition": "result == '{{args.name}}'",
            "provider": {"web": {"url": "http://x/{{args.name}}", "method": "POST",
                "jsonBody": {"{{args.name}}": ["{{args.odd}}"]}}}
        }))
        .unwrap();
        let odd = "a \"quoted\" \\ line\nand\ttab \u{1} \u{7f}";
        let args = [arg("name", "n"), arg("i", "5m"), arg("n", "3"), arg("odd", odd)];
        let resolved = resolve_metric(&metric, &args).unwrap();
        assert_eq!(resolved.name, "m-n");
        assert_eq!(resolved.interval, "5m");
        assert_eq!(resolved.count.as_ref().map(glidepath_api::IntOrString::int_value), Some(3));
        assert_eq!(resolved.success_condition, "result == 'n'");
        let web = resolved.provider.web.unwrap();
        assert_eq!(web.url, "http://x/n");
        assert_eq!(web.json_body["n"][0], odd);
    }

    #[test]
    fn an_argument_without_a_value_fails_every_metric_a135() {
        let open = Argument { name: "unused".into(), ..Argument::default() };
        let message = resolve_metric(&Metric::default(), &[arg("x", "1"), open]).unwrap_err();
        assert_eq!(message, "argument \"unused\" was not supplied");
    }
}
