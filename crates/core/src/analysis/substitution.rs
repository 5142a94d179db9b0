//! `{{args.…}}` in metrics.

use glidepath_api::{Argument, Metric};
use glidepath_lang::placeholder::resolve_args;

/// A metric with its arguments filled in: any text of it may hold a tag, map keys included.
///
/// # Errors
/// When an argument has no value, even if no tag names it, when a tag is unknown or not closed, and
/// when a value puts something in place that the field cannot hold.
pub fn resolve_metric(metric: &Metric, args: &[Argument]) -> Result<Metric, String> {
    let json = serde_json::to_value(metric).map_err(|error| error.to_string())?;
    let arguments = args.iter().map(|arg| (arg.name.as_str(), arg.value.as_deref()));
    let resolved = resolve_args(&json, arguments).map_err(|error| error.to_string())?;
    serde_json::from_value(resolved).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use glidepath_api::{Argument, Metric};

    use super::resolve_metric;

    fn arg(name: &str, value: &str) -> Argument {
        Argument { name: name.into(), value: Some(value.into()), value_from: None }
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
