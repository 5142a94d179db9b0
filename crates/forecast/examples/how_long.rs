//! How long a forecast takes: an eight-step canary with hour-long pauses behind a router, and the same with an
//! analysis that asks every minute.
//!
//! `cargo run --release -p glidepath-forecast --example how_long`
#![expect(clippy::print_stdout, reason = "an example that prints what it measured")]

use glidepath_clock::Clock;
use glidepath_forecast::{Change, ForecastError, Live, foresee, render_text};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), ForecastError> {
    let clock = Clock::system();
    for (what, analysis) in [("hour-long pauses", None), ("with an analysis every minute", Some(analysis()))]
    {
        let live = live(clock, rollout("web:1", analysis.as_ref()));
        let change = Change {
            words: "apply -f web.yaml".to_owned(),
            apply: vec![rollout("web:2", analysis.as_ref())],
            ..Change::default()
        };
        let before = clock.now();
        let forecast = foresee(&live, &change)?;
        let took = clock.now().duration_since(before).as_millis();
        println!("{}\n{what}: {took} ms, {} courses\n", render_text(&forecast), forecast.what_if.len() + 1);
    }
    Ok(())
}

fn analysis() -> Value {
    json!({"templates": [{"templateName": "success-rate"}]})
}

fn rollout(image: &str, analysis: Option<&Value>) -> Value {
    let steps: Vec<Value> = [10, 30, 50, 80]
        .into_iter()
        .flat_map(|weight| [json!({ "setWeight": weight }), json!({"pause": {"duration": "1h"}})])
        .collect();
    let mut canary = json!({"canaryService": "canary", "stableService": "stable", "steps": steps,
        "trafficRouting": {"istio": {"virtualService": {"name": "web", "routes": ["primary"]}}}});
    if let Some(analysis) = analysis {
        canary["analysis"] = analysis.clone();
    }
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"replicas": 10, "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": image}]}},
            "strategy": {"canary": canary}},
    })
}

/// A cluster in which the first version is still to be deployed: that is done on the scratch plane.
fn live(clock: Clock, rollout: Value) -> Live {
    let service = |name: &str| {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "shop"},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}})
    };
    let route = json!({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"hosts": ["web"], "http": [{"name": "primary", "route": [
            {"destination": {"host": "stable"}, "weight": 100}, {"destination": {"host": "canary"}, "weight": 0}]}]}});
    let metric = json!({"name": "success-rate", "interval": "1m", "successCondition": "result >= 0.95",
        "provider": {"prometheus": {"address": "http://prometheus", "query": "rate"}}});
    let template = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate",
        "metadata": {"name": "success-rate", "namespace": "shop"}, "spec": {"metrics": [metric]}});
    Live {
        now: clock.now(),
        namespace: "shop".to_owned(),
        name: "web".to_owned(),
        rollout: Some(rollout),
        replica_sets: Vec::new(),
        others: vec![service("canary"), service("stable"), route, template],
    }
}
