//! What went where: requests by route, backend and status code, as Prometheus text and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::recent::{Question, Recent, render_answer};
use crate::routes::RoutingTable;

/// Upper bounds of the latency buckets, in milliseconds.
const BUCKETS_MS: [u64; 12] = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 10_000];

/// Counts of everything that was answered.
#[derive(Debug)]
pub struct Report {
    started: Instant,
    counts: Mutex<Counts>,
}

impl Default for Report {
    fn default() -> Self {
        Self { started: Instant::now(), counts: Mutex::default() }
    }
}

#[derive(Clone, Debug, Default)]
struct Counts {
    requests: BTreeMap<Answered, u64>,
    latencies: BTreeMap<Target, Latency>,
    retries: BTreeMap<Target, u64>,
    recent: Recent,
}

/// A route's rule and the backend chosen; empty texts when there was none.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// `namespace/name` of the route.
    pub route: String,
    /// Position of the rule.
    pub rule: usize,
    /// Name of the backend Service.
    pub backend: String,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Answered {
    target: Target,
    code: u16,
}

#[derive(Clone, Debug, Default)]
struct Latency {
    buckets: [u64; BUCKETS_MS.len()],
    count: u64,
    seconds: f64,
}

impl Report {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an answered request. `took` runs from the request's head to the response's.
    pub fn record(&self, target: &Target, code: u16, took: Duration) {
        let at = self.started.elapsed();
        let mut counts = self.counts();
        counts.recent.record(&target.backend, code, at);
        *counts.requests.entry(Answered { target: target.clone(), code }).or_default() += 1;
        let latency = counts.latencies.entry(target.clone()).or_default();
        for (bucket, bound) in latency.buckets.iter_mut().zip(BUCKETS_MS) {
            if took <= Duration::from_millis(bound) {
                *bucket += 1;
            }
        }
        latency.count += 1;
        latency.seconds += took.as_secs_f64();
    }

    /// Counts a second attempt.
    pub fn record_retry(&self, target: &Target) {
        *self.counts().retries.entry(target.clone()).or_default() += 1;
    }

    /// The Prometheus text form.
    #[must_use]
    pub fn render_metrics(&self) -> String {
        let counts = self.counts().clone();
        let mut text = String::new();
        text.push_str(
            "# HELP dataplane_requests_total Requests answered.\n# TYPE dataplane_requests_total counter\n",
        );
        for (answered, count) in &counts.requests {
            let labels = answered.target.labels();
            let code = answered.code;
            // Writing to a String cannot fail, here and below.
            let _ = writeln!(text, "dataplane_requests_total{{{labels},code=\"{code}\"}} {count}");
        }
        text.push_str("# HELP dataplane_retries_total Second attempts at another endpoint.\n# TYPE dataplane_retries_total counter\n");
        for (target, count) in &counts.retries {
            let _ = writeln!(text, "dataplane_retries_total{{{}}} {count}", target.labels());
        }
        let name = "dataplane_request_duration_seconds";
        let _ = writeln!(text, "# HELP {name} Time until the response's head.\n# TYPE {name} histogram");
        for (target, latency) in &counts.latencies {
            let labels = target.labels();
            for (bucket, bound) in latency.buckets.iter().zip(BUCKETS_MS) {
                let bound = Duration::from_millis(bound).as_secs_f64();
                let _ = writeln!(text, "{name}_bucket{{{labels},le=\"{bound}\"}} {bucket}");
            }
            let _ = writeln!(text, "{name}_bucket{{{labels},le=\"+Inf\"}} {}", latency.count);
            let _ = writeln!(text, "{name}_sum{{{labels}}} {}", latency.seconds);
            let _ = writeln!(text, "{name}_count{{{labels}}} {}", latency.count);
        }
        text
    }

    /// What a backend answered lately, as JSON.
    #[must_use]
    pub fn render_recent(&self, question: &Question) -> Value {
        let now = self.started.elapsed();
        render_answer(question, self.counts().recent.counts(&question.backend, question.window, now))
    }

    /// The JSON form: what was answered, and what the table asks for now.
    #[must_use]
    pub fn render_stats(&self, table: &RoutingTable) -> Value {
        let counts = self.counts().clone();
        let requests: Vec<Value> = counts
            .requests
            .iter()
            .map(|(Answered { target, code }, count)| {
                json!({"route": target.route, "rule": target.rule, "backend": target.backend, "code": code,
                       "count": count})
            })
            .collect();
        let rules: Vec<Value> = table
            .rules
            .iter()
            .map(|rule| {
                let backends: Vec<Value> = rule
                    .backends
                    .iter()
                    .map(|backend| {
                        json!({"name": backend.service, "weight": backend.weight,
                               "readyEndpoints": backend.endpoints.len()})
                    })
                    .collect();
                json!({"route": rule.route, "rule": rule.index, "backends": backends})
            })
            .collect();
        json!({"requests": requests, "rules": rules, "retries": counts.retries.values().sum::<u64>()})
    }
}

impl Target {
    fn labels(&self) -> String {
        // Kubernetes names hold nothing that would need escaping.
        let Self { route, rule, backend } = self;
        format!("route=\"{route}\",rule=\"{rule}\",backend=\"{backend}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_route_backend_and_code() {
        let report = Report::default();
        let target = Target { route: "shop/web".to_owned(), rule: 0, backend: "canary".to_owned() };
        for (code, millis) in [(200, 3), (200, 30), (500, 3)] {
            report.record(&target, code, Duration::from_millis(millis));
        }
        let text = report.render_metrics();
        for line in [
            "dataplane_requests_total{route=\"shop/web\",rule=\"0\",backend=\"canary\",code=\"200\"} 2",
            "dataplane_requests_total{route=\"shop/web\",rule=\"0\",backend=\"canary\",code=\"500\"} 1",
            "dataplane_request_duration_seconds_bucket{route=\"shop/web\",rule=\"0\",backend=\"canary\",le=\"0.005\"} 2",
            "dataplane_request_duration_seconds_bucket{route=\"shop/web\",rule=\"0\",backend=\"canary\",le=\"+Inf\"} 3",
        ] {
            assert!(text.lines().any(|got| got == line), "missing {line} in\n{text}");
        }
        let stats = report.render_stats(&RoutingTable::default());
        assert_eq!(stats["requests"][1]["code"], 500);
        assert_eq!(stats["requests"][1]["count"], 1);
    }
}
