//! What must hold for every run, however odd its spec, its status and the answers.

use std::collections::BTreeMap;

use glidepath_api::AnalysisRun;
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::decide;
use super::merge;
use crate::plan::{Action, Plan};
use crate::snapshot::{AnalysisSnapshot, Answer, Reading, ReadingValue, Settings};

fn limit() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        (-2..6i32).prop_map(Value::from),
        prop_oneof![Just("3"), Just("abc"), Just("{{args.n}}"), Just("-1")].prop_map(Value::from),
    ]
}

fn duration() -> impl Strategy<Value = Value> {
    prop_oneof![Just(""), Just("0"), Just("1m"), Just("-1h"), Just("100000h"), Just("5"), Just("{{args.n}}s")]
        .prop_map(Value::from)
}

fn metric() -> impl Strategy<Value = Value> {
    let provider = prop_oneof![
        Just(json!({"web": {"url": "u"}})),
        Just(json!({"prometheus": {"query": "q"}})),
        Just(json!({"job": {"spec": {}}})),
        Just(json!({"job": {"spec": {"template": 5}}})),
        Just(json!({})),
    ];
    let condition = prop_oneof![Just(""), Just("result > 1"), Just("result >"), Just("len(result) == 0")];
    (("[ab]", duration(), duration(), condition, provider), (limit(), limit(), limit(), limit(), limit())).prop_map(
        |((name, interval, delay, condition, provider), (count, failure, inconclusive, error, success))| {
            json!({"name": name, "interval": interval, "initialDelay": delay, "successCondition": condition,
                "provider": provider, "count": count, "failureLimit": failure, "inconclusiveLimit": inconclusive,
                "consecutiveErrorLimit": error, "consecutiveSuccessLimit": success})
        },
    )
}

fn moment() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        Just(Timestamp::MIN),
        Just(Timestamp::MAX),
        (0..4_000_000_000i64).prop_map(|second| Timestamp::from_second(second).unwrap()),
    ]
}

fn stored_status() -> impl Strategy<Value = Value> {
    let phase = || {
        prop_oneof![Just(""), Just("Running"), Just("Failed"), Just("Error"), Just("Successful"), Just("Odd")]
    };
    let time = || {
        prop_oneof![
            Just(Value::Null),
            moment().prop_map(|at| Value::from(glidepath_api::Time::new(at).to_string()))
        ]
    };
    let measurement = (phase(), time(), time(), time()).prop_map(|(phase, started, finished, resume)| {
        json!({"phase": phase, "startedAt": started, "finishedAt": finished, "resumeAt": resume})
    });
    let result = ("[abc]", phase(), prop::collection::vec(measurement, 0..13), prop_oneof![0..7i32, Just(i32::MAX)], any::<bool>()).prop_map(
        |(name, phase, measurements, count, dry)| {
            json!({"name": name, "phase": phase, "measurements": measurements, "count": count, "failed": count,
                "error": count, "consecutiveError": count, "dryRun": dry})
        },
    );
    (phase(), time(), prop::collection::vec(result, 0..3)).prop_map(
        |(phase, started, results)| json!({"phase": phase, "startedAt": started, "metricResults": results}),
    )
}

fn outcome() -> impl Strategy<Value = Result<Reading, String>> {
    prop_oneof![
        Just(Err("boom".to_owned())),
        any::<f64>()
            .prop_map(|value| Ok(Reading { value: value.to_string(), result: ReadingValue::Float(value) })),
        Just(Ok(Reading { value: "[]".to_owned(), result: ReadingValue::Floats(vec![]) })),
        Just(Ok(Reading { value: "null".to_owned(), result: ReadingValue::Nil })),
        ".*".prop_map(|text| Ok(Reading { value: text.clone(), result: ReadingValue::Text(text) })),
    ]
}

prop_compose! {
    fn snapshot()(
        metrics in prop::collection::vec(metric(), 0..4),
        status in stored_status(),
        now in moment(),
        answers in prop::collection::vec(("[abc]", moment(), moment(), outcome()), 0..4),
        in_flight in prop::collection::vec("[abc]", 0..2),
        rule in prop_oneof![Just("a"), Just("*"), Just(".*"), Just("[")],
        has_rule in any::<bool>(),
        terminate in any::<bool>(),
        secret in prop_oneof![Just(Ok(String::new())), Just(Ok("5".to_owned())), Just(Err("gone".to_owned()))],
    ) -> AnalysisSnapshot {
        let rules = if has_rule { json!([{"metricName": rule, "limit": 1}]) } else { json!([]) };
        let run: AnalysisRun = serde_json::from_value(json!({
            "metadata": {"name": "run", "namespace": "ns", "uid": "u"},
            "spec": {"metrics": metrics, "terminate": terminate, "dryRun": rules, "measurementRetention": rules,
                "args": [{"name": "n", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
                "ttlStrategy": {"secondsAfterCompletion": i32::MAX}},
            "status": status
        }))
        .unwrap();
        let answers = answers
            .into_iter()
            .map(|(metric, started_at, finished_at, outcome)| Answer { metric, started_at, finished_at, outcome, metadata: BTreeMap::new() })
            .collect();
        AnalysisSnapshot {
            now, settings: Settings::default(), run, secrets: [("n".to_owned(), secret)].into(), answers, in_flight,
            jobs: Vec::new(), job_pods: Vec::new(), failures: Vec::new(),
        }
    }
}

/// The run with a plan's status.
fn applied(run: &AnalysisRun, plan: &Plan) -> AnalysisRun {
    let mut stored = serde_json::to_value(run).unwrap();
    for action in plan.actions() {
        if let Action::PatchStatus { patch } = action {
            merge(&mut stored, patch);
        }
    }
    serde_json::from_value(stored).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Planning never panics, asks nothing twice, and writes its status last.
    #[test]
    fn any_run_gets_a_plan_of_the_right_form(snapshot in snapshot()) {
        let plan = decide(&snapshot);
        let mut asked: Vec<&str> = plan.asks.iter().map(|ask| ask.metric.name.as_str()).collect();
        prop_assert!(asked.iter().all(|name| !snapshot.in_flight.iter().any(|known| known == name)));
        asked.sort_unstable();
        asked.dedup();
        prop_assert_eq!(asked.len(), plan.asks.len());
        let is_status = |action: &Action| matches!(action, Action::PatchStatus { .. });
        let statuses = plan.actions().filter(|action| is_status(action)).count();
        prop_assert!(statuses <= 1);
        prop_assert_eq!(statuses == 1, plan.actions().last().is_some_and(is_status));
    }

    /// What was decided once is not decided again: with the plan applied and its questions under way, the same
    /// moment brings no second write of an answer and no second question.
    #[test]
    fn a_plan_applied_twice_counts_nothing_twice(snapshot in snapshot()) {
        let plan = decide(&snapshot);
        let mut next = snapshot;
        next.run = applied(&next.run, &plan);
        next.in_flight.extend(plan.asks.iter().map(|ask| ask.metric.name.clone()));
        next.answers.clear();
        let counts = |run: &AnalysisRun| -> Vec<(i32, i32)> {
            run.status.metric_results.iter().map(|result| (result.count, result.error)).collect()
        };
        let before = counts(&next.run);
        let again = decide(&next);
        prop_assert!(again.asks.is_empty());
        let jobs = next.run.spec.metrics.iter().any(|metric| metric.provider.job.is_some());
        if !jobs {
            let run = applied(&next.run, &again);
            prop_assert_eq!(counts(&run), before);
        }
    }
}
