//! Which provider a metric asks.

use glidepath_api::{Metric, MetricProvider};
use glidepath_core::analysis::provider_names;
use glidepath_core::snapshot::Settings;
use jiff::Timestamp;

use crate::exchange::{Exchange, HttpResponse, ParsedAnswer};
use crate::{prometheus, web};

/// What to send for one measurement of a metric.
///
/// # Errors
/// When the metric is configured in a way that cannot be asked, or its provider is not built in.
pub fn render_request(metric: &Metric, settings: &Settings, now: Timestamp) -> Result<Exchange, String> {
    match &metric.provider {
        MetricProvider { prometheus: Some(config), .. } => prometheus::render(config, settings, now),
        MetricProvider { web: Some(config), .. } => web::render(config),
        _ => Err(unsupported(metric)),
    }
}

/// What a response says.
///
/// # Errors
/// When it is not an answer: an unwelcome status, a body of another form, no value where one was wanted.
pub fn parse_answer(metric: &Metric, response: &HttpResponse) -> Result<ParsedAnswer, String> {
    match &metric.provider {
        MetricProvider { prometheus: Some(_), .. } => prometheus::parse(response),
        MetricProvider { web: Some(config), .. } => web::parse(config, response),
        _ => Err(unsupported(metric)),
    }
}

fn unsupported(metric: &Metric) -> String {
    match provider_names(metric).first() {
        Some(name) if metric.provider.plugin.contains_key(*name) => {
            format!("metric plugin \"{name}\" cannot be used: this build does not support metric plugins yet")
        }
        Some(name) => format!("metric provider \"{name}\" is not supported by this build yet"),
        None => "no provider specified".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use glidepath_api::Metric;
    use glidepath_core::snapshot::Settings;
    use serde_json::json;

    use super::render_request;

    #[test]
    fn a_provider_that_is_not_built_in_is_an_error_that_names_it() {
        for (provider, want) in [
            (
                json!({"datadog": {"query": "q"}}),
                "metric provider \"datadog\" is not supported by this build yet",
            ),
            (json!({"cloudWatch": {}}), "metric provider \"cloudWatch\" is not supported by this build yet"),
            (
                json!({"plugin": {"acme/x": {}}}),
                "metric plugin \"acme/x\" cannot be used: this build does not support metric plugins yet",
            ),
        ] {
            let metric: Metric = serde_json::from_value(json!({"name": "m", "provider": provider})).unwrap();
            let error =
                render_request(&metric, &Settings::default(), jiff::Timestamp::UNIX_EPOCH).unwrap_err();
            assert_eq!(error, want);
        }
    }
}
