//! What makes the spec of a run invalid, judged each round on metrics with their arguments filled in.

use std::collections::{BTreeMap, BTreeSet};

use glidepath_api::{DryRun, IntOrString, MeasurementRetention, Metric};
use glidepath_gocompat::duration;
use regex::Regex;

/// Checks all metrics.
///
/// # Errors
/// The first violation, in the words of the reference.
pub fn validate_metrics(metrics: &[Metric]) -> Result<(), String> {
    if metrics.is_empty() {
        return Err("no metrics specified".to_owned());
    }
    let mut names = BTreeSet::new();
    for (index, metric) in metrics.iter().enumerate() {
        if !names.insert(&metric.name) {
            return Err(format!("metrics[{index}]: duplicate name '{}'", metric.name));
        }
        validate_metric(metric).map_err(|text| format!("metrics[{index}]: {text}"))?;
    }
    Ok(())
}

/// A limit as a number; what is not a whole number counts as 0.
pub(super) fn limit(limit: Option<&IntOrString>) -> i32 {
    limit.map_or(0, IntOrString::int_value)
}

fn validate_metric(metric: &Metric) -> Result<(), String> {
    validate_limits(metric)?;
    if limit(metric.count.as_ref()) > 1 && metric.interval.is_empty() {
        return Err("interval must be specified when count > 1".to_owned());
    }
    if !metric.interval.is_empty() {
        duration::parse(&metric.interval).map_err(|error| format!("invalid interval string: {error}"))?;
    }
    if !metric.initial_delay.is_empty() {
        duration::parse(&metric.initial_delay)
            .map_err(|error| format!("invalid startDelay string: {error}"))?;
    }
    match provider_names(metric).len() {
        0 => Err("no provider specified".to_owned()),
        1 => Ok(()),
        _ => Err("multiple providers specified".to_owned()),
    }
}

fn validate_limits(metric: &Metric) -> Result<(), String> {
    let count = limit(metric.count.as_ref());
    let failure = limit(metric.failure_limit.as_ref());
    let success = limit(metric.consecutive_success_limit.as_ref());
    let inconclusive = limit(metric.inconclusive_limit.as_ref());
    let broken = if success < 0 {
        "consecutiveSuccessLimit must be >= 0"
    } else if failure < -1 {
        "failureLimit must be >= 0, or -1 to be disabled"
    } else if success == 0 && failure == -1 {
        "failureLimit and consecutiveSuccessLimit cannot both be disabled"
    } else if inconclusive < 0 {
        "inconclusiveLimit must be >= 0"
    } else if limit(metric.consecutive_error_limit.as_ref()) < 0 {
        "consecutiveErrorLimit must be >= 0"
    } else if count > 0 && failure >= 0 && count < failure.saturating_add(success) {
        return Err(format!(
            "count ({count}) must be >= failureLimit + consecutiveSuccessLimit ({failure} + {success}) if both >= 0"
        ));
    } else if count > 0 && failure < 0 && count < success {
        "count must be >= consecutiveSuccessLimit"
    } else if count > 0 && count < inconclusive {
        "count must be >= inconclusiveLimit"
    } else {
        return Ok(());
    };
    Err(broken.to_owned())
}

/// Names of the providers a metric sets; each plugin counts.
#[must_use]
pub fn provider_names(metric: &Metric) -> Vec<&str> {
    let provider = &metric.provider;
    let set = [
        ("prometheus", provider.prometheus.is_some()),
        ("kayenta", provider.kayenta.is_some()),
        ("web", provider.web.is_some()),
        ("datadog", provider.datadog.is_some()),
        ("wavefront", provider.wavefront.is_some()),
        ("newRelic", provider.new_relic.is_some()),
        ("job", provider.job.is_some()),
        ("cloudWatch", provider.cloud_watch.is_some()),
        ("graphite", provider.graphite.is_some()),
        ("influxdb", provider.influxdb.is_some()),
        ("skywalking", provider.skywalking.is_some()),
    ];
    let built_in = set.into_iter().filter_map(|(name, is_set)| is_set.then_some(name));
    built_in.chain(provider.plugin.keys().map(String::as_str)).collect()
}

/// Names of the metrics that only pretend.
///
/// # Errors
/// When a rule matches no metric.
pub fn dry_run_metrics(rules: &[DryRun], metrics: &[Metric]) -> Result<BTreeSet<String>, String> {
    let mut matched = BTreeSet::new();
    for (index, rule) in rules.iter().enumerate() {
        let names = matching(&rule.metric_name, metrics);
        matched.extend(names.map_err(|text| format!("dryRun[{index}]: {text}"))?.map(str::to_owned));
    }
    Ok(matched)
}

/// How many measurements to keep by metric; of several rules for one metric the last counts.
///
/// # Errors
/// When a rule matches no metric.
pub fn retained_measurements(
    rules: &[MeasurementRetention],
    metrics: &[Metric],
) -> Result<BTreeMap<String, i32>, String> {
    let mut kept = BTreeMap::new();
    for (index, rule) in rules.iter().enumerate() {
        let names = matching(&rule.metric_name, metrics);
        let names = names.map_err(|text| format!("measurementRetention[{index}]: {text}"))?;
        kept.extend(names.map(|name| (name.to_owned(), rule.limit)));
    }
    Ok(kept)
}

/// Metrics an unanchored regular expression matches. One that is not valid matches nothing, and is shown (B-31).
fn matching<'a>(
    rule: &str,
    metrics: &'a [Metric],
) -> Result<impl Iterator<Item = &'a str> + use<'a>, String> {
    let nothing = "Rule didn't match any metric name(s)";
    let regex =
        Regex::new(rule).map_err(|_| format!("{nothing}: '{rule}' is not a valid regular expression"))?;
    let names: Vec<&str> =
        metrics.iter().map(|metric| metric.name.as_str()).filter(|name| regex.is_match(name)).collect();
    if names.is_empty() { Err(nothing.to_owned()) } else { Ok(names.into_iter()) }
}

#[cfg(test)]
mod tests {
    use glidepath_api::Metric;
    use serde_json::{Value, json};

    use super::{dry_run_metrics, retained_measurements, validate_metrics};

    fn metrics(list: Value) -> Vec<Metric> {
        serde_json::from_value(list).unwrap()
    }

    #[test]
    fn each_violation_has_the_references_words_a070_to_a083_m52() {
        let with = |fields: Value| {
            let mut metric = json!({"name": "m", "provider": {"web": {"url": "u"}}});
            metric.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            metric
        };
        let one = |fields: Value| json!([with(fields)]);
        for (row, list, want) in [
            ("fine", one(json!({})), Ok(())),
            ("A-070", json!([]), Err("no metrics specified")),
            ("A-071", json!([with(json!({})), with(json!({}))]), Err("metrics[1]: duplicate name 'm'")),
            (
                "A-072",
                one(json!({"consecutiveSuccessLimit": -1})),
                Err("metrics[0]: consecutiveSuccessLimit must be >= 0"),
            ),
            (
                "A-073",
                one(json!({"failureLimit": -2})),
                Err("metrics[0]: failureLimit must be >= 0, or -1 to be disabled"),
            ),
            (
                "A-074",
                one(json!({"failureLimit": "-1"})),
                Err("metrics[0]: failureLimit and consecutiveSuccessLimit cannot both be disabled"),
            ),
            (
                "A-075",
                one(json!({"inconclusiveLimit": -1})),
                Err("metrics[0]: inconclusiveLimit must be >= 0"),
            ),
            (
                "A-076",
                one(json!({"consecutiveErrorLimit": -1})),
                Err("metrics[0]: consecutiveErrorLimit must be >= 0"),
            ),
            (
                "A-077, M-52",
                one(json!({"count": 3, "interval": "1m", "failureLimit": 2, "consecutiveSuccessLimit": 2})),
                Err(
                    "metrics[0]: count (3) must be >= failureLimit + consecutiveSuccessLimit (2 + 2) if both >= 0",
                ),
            ),
            (
                "A-078",
                one(json!({"count": 2, "interval": "1m", "failureLimit": -1, "consecutiveSuccessLimit": 3})),
                Err("metrics[0]: count must be >= consecutiveSuccessLimit"),
            ),
            (
                "A-079",
                one(json!({"count": 1, "inconclusiveLimit": 2})),
                Err("metrics[0]: count must be >= inconclusiveLimit"),
            ),
            ("A-080", one(json!({"count": 2})), Err("metrics[0]: interval must be specified when count > 1")),
            (
                "A-081",
                one(json!({"interval": "5"})),
                Err("metrics[0]: invalid interval string: time: missing unit in duration \"5\""),
            ),
            (
                "A-082",
                one(json!({"initialDelay": "1d"})),
                Err("metrics[0]: invalid startDelay string: time: unknown unit \"d\" in duration \"1d\""),
            ),
            ("A-083 none", json!([{"name": "m", "provider": {}}]), Err("metrics[0]: no provider specified")),
            (
                "A-083 two",
                one(json!({"provider": {"web": {"url": ""}, "job": {}}})),
                Err("metrics[0]: multiple providers specified"),
            ),
            (
                "A-083 plugins",
                one(json!({"provider": {"plugin": {"a": {}, "b": {}}}})),
                Err("metrics[0]: multiple providers specified"),
            ),
            ("A-041: no number is 0", one(json!({"failureLimit": "abc", "count": "5%"})), Ok(())),
            ("A-042: zero and negative pass", one(json!({"interval": "-1s", "initialDelay": "0"})), Ok(())),
        ] {
            assert_eq!(validate_metrics(&metrics(list)), want.map_err(str::to_owned), "{row}");
        }
    }

    #[test]
    fn rules_are_unanchored_regular_expressions_a180_a185_b31() {
        let three = metrics(json!([{"name": "test"}, {"name": "my-test-2"}, {"name": "other"}]));
        for (rule, want) in [
            ("test", Ok(vec!["my-test-2", "test"])),
            (".*", Ok(vec!["my-test-2", "other", "test"])),
            ("^test$", Ok(vec!["test"])),
            ("none", Err("dryRun[0]: Rule didn't match any metric name(s)")),
            (
                "*",
                Err("dryRun[0]: Rule didn't match any metric name(s): '*' is not a valid regular expression"),
            ),
        ] {
            let rules = serde_json::from_value::<Vec<_>>(json!([{"metricName": rule}])).unwrap();
            let got = dry_run_metrics(&rules, &three).map(|set| set.into_iter().collect::<Vec<_>>());
            assert_eq!(
                got,
                want.map(|names| names.into_iter().map(str::to_owned).collect()).map_err(str::to_owned)
            );
        }
        let rules = serde_json::from_value::<Vec<_>>(
            json!([{"metricName": "t", "limit": 3}, {"metricName": "^t", "limit": 7}]),
        )
        .unwrap();
        let kept = retained_measurements(&rules, &three).unwrap();
        assert_eq!((kept["test"], kept["my-test-2"], kept["other"]), (7, 3, 3));
    }
}
