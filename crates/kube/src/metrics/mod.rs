//! What the controllers measure about themselves, under the reference's metric names (operations §6).
//!
//! Counters live here; figures about objects are computed from the caches when somebody asks. Text is
//! written directly: a registry would keep a kilobyte per series where a few bytes do.

mod exposition;
mod objects;
mod process;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use glidepath_api::RolloutDurationStatus;
use glidepath_core::plan::{Event, EventType};
use http::Method;
use tokio::time::Instant;

use crate::cache::Caches;
use crate::object::ObjectKey;
use crate::queue::Controller;
use crate::resource::Kind;
use exposition::Text;

/// Upper bounds of reconcile histograms, seconds (O-553).
const RECONCILE_BUCKETS: [f64; 5] = [0.01, 0.15, 0.25, 0.5, 1.0];
/// Upper bounds of queue histograms, seconds (O-572).
const QUEUE_BUCKETS: [f64; 10] = [1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0];
/// Upper bounds of the three duration histograms, seconds (O-556 to O-558).
const TOTAL_BUCKETS: [f64; 11] =
    [30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0];
const PROGRESSION_BUCKETS: [f64; 8] = [30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0];
const PAUSE_BUCKETS: [f64; 9] = [0.0, 60.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0];
/// How long series of a deleted object stay, so that one last scrape sees them (O-577).
const KEPT_AFTER_DELETION: Duration = Duration::from_secs(65);

/// A histogram with `N` upper bounds.
#[derive(Clone, Debug)]
struct Histogram<const N: usize> {
    /// Observations per bucket, not cumulated; those above the last bound are only in `count`.
    buckets: [u32; N],
    count: u64,
    sum: f64,
}

impl<const N: usize> Default for Histogram<N> {
    fn default() -> Self {
        Self { buckets: [0; N], count: 0, sum: 0.0 }
    }
}

impl<const N: usize> Histogram<N> {
    fn observe(&mut self, bounds: &[f64; N], value: f64) {
        self.count += 1;
        self.sum += value;
        if let Some(bucket) = bounds.iter().position(|bound| value <= *bound) {
            self.buckets[bucket] += 1;
        }
    }
}

#[derive(Default)]
struct Reconciles {
    took: Histogram<5>,
    errors: u64,
}

#[derive(Default)]
struct QueueFigures {
    adds: u64,
    retries: u64,
    waited: Histogram<10>,
    worked: Histogram<10>,
}

#[derive(Default)]
struct Durations {
    total: Histogram<11>,
    progression: Histogram<8>,
    pause: Histogram<9>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct RequestLabels {
    kind: String,
    namespace: String,
    verb: &'static str,
    status: u16,
}

#[derive(Default)]
struct Counters {
    requests: BTreeMap<RequestLabels, u64>,
    events: BTreeMap<(ObjectKey, EventLabels), u64>,
    reconciles: [BTreeMap<ObjectKey, Reconciles>; 3],
    durations: BTreeMap<&'static str, Durations>,
    queues: [QueueFigures; Controller::ALL.len()],
    working: HashMap<(Controller, ObjectKey), Instant>,
    deleted: Vec<(Instant, Kind, ObjectKey)>,
    writes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct EventLabels {
    type_: &'static str,
    reason: String,
}

/// Everything counted in one controller process.
#[derive(Default)]
pub struct Metrics {
    counters: Mutex<Counters>,
}

impl Metrics {
    fn counters(&self) -> MutexGuard<'_, Counters> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request (O-569). Names of objects are left out, which bounds the series (O-869).
    pub(crate) fn count_request(&self, method: &Method, path: &str, status: u16) {
        let labels = request_labels(method, path, status);
        let mut counters = self.counters();
        if *method != Method::GET {
            counters.writes += 1;
        }
        *counters.requests.entry(labels).or_default() += 1;
    }

    /// Requests other than reads that were sent so far.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.counters().writes
    }

    /// Requests sent so far, watches and lists included.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.counters().requests.values().sum()
    }

    /// Counts an Event of a Rollout (O-555).
    pub(crate) fn count_event(&self, rollout: &ObjectKey, event: &Event) {
        let type_ = if event.event_type == EventType::Warning { "Warning" } else { "Normal" };
        let labels = EventLabels { type_, reason: event.reason.clone() };
        *self.counters().events.entry((rollout.clone(), labels)).or_default() += 1;
    }

    pub(crate) fn queue_added(&self, controller: Controller) {
        self.counters().queues[controller as usize].adds += 1;
    }

    pub(crate) fn queue_taken(&self, controller: Controller, waited: Duration) {
        self.counters().queues[controller as usize].waited.observe(&QUEUE_BUCKETS, waited.as_secs_f64());
    }

    pub(crate) fn queue_done(&self, controller: Controller, took: Duration, failed: bool) {
        let mut counters = self.counters();
        let queue = &mut counters.queues[controller as usize];
        queue.worked.observe(&QUEUE_BUCKETS, took.as_secs_f64());
        queue.retries += u64::from(failed);
    }

    pub(crate) fn reconcile_started(&self, controller: Controller, key: &ObjectKey) {
        self.counters().working.insert((controller, key.clone()), Instant::now());
    }

    /// Records one reconcile (O-553, O-554).
    pub(crate) fn reconcile_ended(&self, controller: Controller, key: &ObjectKey, failed: bool) {
        let mut counters = self.counters();
        let started = counters.working.remove(&(controller, key.clone()));
        let (Some(started), Some(series)) = (started, series_of(controller)) else { return };
        let figures = counters.reconciles[series].entry(key.clone()).or_default();
        figures.took.observe(&RECONCILE_BUCKETS, started.elapsed().as_secs_f64());
        figures.errors += u64::from(failed);
    }

    /// Records a finished update from its stored durations (O-576).
    pub(crate) fn rollout_finished(&self, duration: &RolloutDurationStatus) {
        let (Some(started), Some(finished)) = (duration.rollout_started_at, duration.finished_at) else {
            return;
        };
        let Some(status) = duration.completion_status.as_ref().and_then(completion_name) else { return };
        #[expect(clippy::cast_precision_loss, reason = "seconds of an update fit a float many times over")]
        let seconds = |whole: i64| whole.max(0) as f64;
        let total = finished.seconds_since(started);
        let pause = duration.total_manual_pause_duration_seconds.unwrap_or_default();
        let mut counters = self.counters();
        let durations = counters.durations.entry(status).or_default();
        durations.total.observe(&TOTAL_BUCKETS, seconds(total));
        durations.progression.observe(&PROGRESSION_BUCKETS, seconds(total - pause));
        durations.pause.observe(&PAUSE_BUCKETS, seconds(pause));
    }

    /// Remembers that an object is gone, so that its series go too, a little later (O-577).
    pub(crate) fn object_deleted(&self, kind: Kind, key: &ObjectKey) {
        let mut counters = self.counters();
        counters.purge(Instant::now());
        counters.deleted.push((Instant::now(), kind, key.clone()));
    }

    /// Everything as Prometheus text. Without `caches`, as on a standby, without object series (O-578).
    #[must_use]
    pub fn render(&self, caches: Option<&Caches>, depth: impl Fn(Controller) -> usize) -> String {
        let mut text = Text::default();
        self.counters().purge(Instant::now());
        if let Some(caches) = caches {
            objects::write(&mut text, caches);
        }
        self.counters().write(&mut text, depth);
        process::write(&mut text);
        text.finish()
    }
}

fn completion_name(status: &glidepath_api::CompletionStatus) -> Option<&'static str> {
    use glidepath_api::CompletionStatus as Status;
    Some(match status {
        Status::Promoted => "Promoted",
        Status::FastPromoted => "FastPromoted",
        Status::Aborted => "Aborted",
        Status::Superseded => "Superseded",
        Status::RolledBack => "RolledBack",
        Status::FastRolledBack => "FastRolledBack",
        Status::Other(_) => return None,
    })
}

const fn series_of(controller: Controller) -> Option<usize> {
    match controller {
        Controller::Rollouts => Some(0),
        Controller::AnalysisRuns => Some(1),
        Controller::Experiments => Some(2),
        Controller::Services | Controller::DestinationRules | Controller::Ingresses => None,
    }
}

impl Counters {
    fn purge(&mut self, now: Instant) {
        let (gone, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut self.deleted)
            .into_iter()
            .partition(|(at, ..)| now.duration_since(*at) >= KEPT_AFTER_DELETION);
        self.deleted = kept;
        for (_, kind, key) in gone {
            let series = match kind {
                Kind::Rollout => {
                    self.events.retain(|(rollout, _), _| *rollout != key);
                    0
                }
                Kind::AnalysisRun => 1,
                _ => 2,
            };
            self.reconciles[series].remove(&key);
        }
    }

    fn write(&self, text: &mut Text, depth: impl Fn(Controller) -> usize) {
        const NAMES: [&str; 3] = ["rollout_reconcile", "analysis_run_reconcile", "experiment_reconcile"];
        for (name, series) in NAMES.iter().zip(&self.reconciles) {
            text.head(name, "histogram", "Seconds per reconcile.");
            for (key, figures) in series {
                let labels = [("namespace", &*key.namespace), ("name", &*key.name)];
                text.histogram(name, &labels, &RECONCILE_BUCKETS, &figures.took);
            }
            let errors = format!("{name}_error");
            text.head(&errors, "counter", "Failed reconciles.");
            for (key, figures) in series.iter().filter(|(_, figures)| figures.errors > 0) {
                text.count(&errors, &[("namespace", &key.namespace), ("name", &key.name)], figures.errors);
            }
        }
        text.head("rollout_events_total", "counter", "Events of Rollouts.");
        for ((key, labels), count) in &self.events {
            let labels = [
                ("namespace", &*key.namespace),
                ("name", &*key.name),
                ("type", labels.type_),
                ("reason", &*labels.reason),
            ];
            text.count("rollout_events_total", &labels, *count);
        }
        self.write_durations(text);
        text.head("controller_clientset_k8s_request_total", "counter", "Requests to the API server.");
        for (labels, count) in &self.requests {
            let status = labels.status.to_string();
            let labels = [
                ("kind", &*labels.kind),
                ("namespace", &*labels.namespace),
                ("name", "N/A"),
                ("verb", labels.verb),
                ("status_code", &*status),
            ];
            text.count("controller_clientset_k8s_request_total", &labels, *count);
        }
        self.write_queues(text, depth);
    }

    fn write_durations(&self, text: &mut Text) {
        text.head("rollout_duration_seconds", "histogram", "Time of an update from start to end.");
        for (status, durations) in &self.durations {
            text.histogram(
                "rollout_duration_seconds",
                &[("status", status)],
                &TOTAL_BUCKETS,
                &durations.total,
            );
        }
        let name = "rollout_progression_duration_seconds";
        text.head(name, "histogram", "Time of an update without manual pauses.");
        for (status, durations) in &self.durations {
            text.histogram(name, &[("status", status)], &PROGRESSION_BUCKETS, &durations.progression);
        }
        let name = "rollout_manual_pause_duration_seconds";
        text.head(name, "histogram", "Time an update waited for a person.");
        for (status, durations) in &self.durations {
            text.histogram(name, &[("status", status)], &PAUSE_BUCKETS, &durations.pause);
        }
    }

    fn write_queues(&self, text: &mut Text, depth: impl Fn(Controller) -> usize) {
        let each =
            || Controller::ALL.into_iter().map(|controller| (controller, &self.queues[controller as usize]));
        text.head("workqueue_adds_total", "counter", "Keys added.");
        for (controller, queue) in each() {
            text.count("workqueue_adds_total", &[("name", controller.name())], queue.adds);
        }
        text.head("workqueue_depth", "gauge", "Keys that are due and wait.");
        for (controller, _) in each() {
            text.count("workqueue_depth", &[("name", controller.name())], depth(controller) as u64);
        }
        text.head("workqueue_queue_duration_seconds", "histogram", "How long keys waited past their time.");
        for (controller, queue) in each() {
            let labels = [("name", controller.name())];
            text.histogram("workqueue_queue_duration_seconds", &labels, &QUEUE_BUCKETS, &queue.waited);
        }
        text.head("workqueue_work_duration_seconds", "histogram", "How long processing took.");
        for (controller, queue) in each() {
            let labels = [("name", controller.name())];
            text.histogram("workqueue_work_duration_seconds", &labels, &QUEUE_BUCKETS, &queue.worked);
        }
        text.head("workqueue_retries_total", "counter", "Keys that failed and were added again.");
        for (controller, queue) in each() {
            text.count("workqueue_retries_total", &[("name", controller.name())], queue.retries);
        }
        let elapsed = |controller: Controller| {
            self.working
                .iter()
                .filter(move |((working, _), _)| *working == controller)
                .map(|(_, since)| since.elapsed().as_secs_f64())
        };
        text.head("workqueue_unfinished_work_seconds", "gauge", "Time spent on what is being processed.");
        for (controller, _) in each() {
            let labels = [("name", controller.name())];
            text.sample("workqueue_unfinished_work_seconds", &labels, elapsed(controller).sum());
        }
        text.head("workqueue_longest_running_processor_seconds", "gauge", "The longest of these.");
        for (controller, _) in each() {
            let labels = [("name", controller.name())];
            let longest = elapsed(controller).fold(0.0, f64::max);
            text.sample("workqueue_longest_running_processor_seconds", &labels, longest);
        }
    }
}

/// Reads the labels of a request off its path, as the reference does (O-569).
fn request_labels(method: &Method, path: &str, status: u16) -> RequestLabels {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut parts = path.trim_start_matches('/').split('/');
    let known = match parts.next() {
        Some("api") => parts.next().is_some(),
        Some("apis") => parts.next().is_some() && parts.next().is_some(),
        _ => false,
    };
    let mut kind = parts.next();
    let mut namespace = "";
    let mut rest = parts.clone();
    if kind == Some("namespaces")
        && let (Some(of), Some(plural)) = (rest.next(), rest.next())
    {
        (namespace, kind) = (of, Some(plural));
        parts = rest;
    }
    let has_name = parts.next().is_some();
    let Some(kind) = kind.filter(|_| known) else {
        return RequestLabels {
            kind: "Unknown".into(),
            namespace: "Unknown".into(),
            verb: "Unknown",
            status,
        };
    };
    let verb = match *method {
        Method::GET if query.contains("watch=1") => "Watch",
        Method::GET if has_name => "Get",
        Method::GET => "List",
        Method::POST => "Create",
        Method::PUT => "Update",
        Method::PATCH => "Patch",
        Method::DELETE => "Delete",
        _ => "Unknown",
    };
    RequestLabels { kind: kind.to_owned(), namespace: namespace.to_owned(), verb, status }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_kind_namespace_verb_and_status_o_569() {
        for (method, path, kind, namespace, verb) in [
            (Method::GET, "/apis/apps/v1/namespaces/n/replicasets/a", "replicasets", "n", "Get"),
            (Method::GET, "/apis/argoproj.io/v1alpha1/rollouts?watch=1", "rollouts", "", "Watch"),
            (Method::GET, "/api/v1/services?limit=500", "services", "", "List"),
            (Method::POST, "/api/v1/namespaces/n/events?fieldManager=x", "events", "n", "Create"),
            (
                Method::PATCH,
                "/apis/argoproj.io/v1alpha1/namespaces/n/rollouts/a/status",
                "rollouts",
                "n",
                "Patch",
            ),
            (Method::GET, "/version", "Unknown", "Unknown", "Unknown"),
        ] {
            let labels = request_labels(&method, path, 200);
            assert_eq!(
                (labels.kind.as_str(), labels.namespace.as_str(), labels.verb),
                (kind, namespace, verb),
                "{path}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn series_of_a_deleted_rollout_stay_65_seconds_o_577() {
        let metrics = Metrics::default();
        let key = ObjectKey::new("n", "web");
        metrics.reconcile_started(Controller::Rollouts, &key);
        metrics.reconcile_ended(Controller::Rollouts, &key, true);
        metrics.object_deleted(Kind::Rollout, &key);
        let has = || {
            metrics.render(None, |_| 0).contains("rollout_reconcile_error{namespace=\"n\",name=\"web\"} 1")
        };
        assert!(has());
        tokio::time::sleep(Duration::from_secs(64)).await;
        assert!(has());
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!has());
    }

    #[test]
    fn an_update_is_observed_with_and_without_its_pauses_o_576() {
        let metrics = Metrics::default();
        metrics.rollout_finished(
            &serde_json::from_value(serde_json::json!({
                "rolloutStartedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:02:00Z",
                "totalManualPauseDurationSeconds": 70, "completionStatus": "Promoted",
            }))
            .unwrap(),
        );
        let text = metrics.render(None, |_| 0);
        assert!(text.contains("rollout_duration_seconds_bucket{status=\"Promoted\",le=\"60\"} 0\n"));
        assert!(text.contains("rollout_duration_seconds_bucket{status=\"Promoted\",le=\"120\"} 1\n"));
        assert!(text.contains("rollout_progression_duration_seconds_sum{status=\"Promoted\"} 50\n"));
        assert!(text.contains("rollout_manual_pause_duration_seconds_count{status=\"Promoted\"} 1\n"));
    }
}
