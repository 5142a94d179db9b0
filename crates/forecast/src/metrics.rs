//! Measurements of a forecast: nobody is asked, and the script says what comes of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use glidepath_api::{AnalysisRun, Metric, MetricProvider, WebMetric, names};
use glidepath_core::plan::Plan;
use glidepath_core::snapshot::AnalysisSnapshot;
use glidepath_metrics::{HttpRequest, HttpResponse, SendError, Sender};

/// Where metrics are asked; nothing resolves this name.
const HOST: &str = "http://forecast.invalid/";

/// Which analysis is to fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failing {
    /// None.
    Nothing,
    /// That of the canary step with this index.
    Step(usize),
    /// Those of this type: background, pre-promotion or post-promotion.
    Type(&'static str),
}

impl Failing {
    fn is_meant(&self, run: &AnalysisRun) -> bool {
        let kind = run.metadata.label(names::ROLLOUT_TYPE);
        match self {
            Self::Nothing => false,
            Self::Step(index) => {
                kind == Some(names::ROLLOUT_TYPE_STEP)
                    && run.metadata.label(names::STEP_INDEX) == Some(index.to_string().as_str())
            }
            Self::Type(wanted) => kind == Some(wanted),
        }
    }
}

/// The controllers' decision about a run whose providers, secrets and conditions are replaced: schedule, counts and
/// limits stay what they are.
pub(crate) fn decide_scripted(snapshot: &AnalysisSnapshot, failing: &Failing) -> Plan {
    let mut scripted = snapshot.clone();
    let fails = failing.is_meant(&scripted.run);
    for value in scripted.secrets.values_mut() {
        *value = Ok(String::new());
    }
    for metric in &mut scripted.run.spec.metrics {
        script_metric(metric, fails);
    }
    glidepath_core::analysis::decide(&scripted)
}

fn script_metric(metric: &mut Metric, fails: bool) {
    metric.success_condition = String::new();
    metric.failure_condition = if fails { "true".to_owned() } else { String::new() };
    let web = WebMetric { url: format!("{HOST}{}", metric.name), ..WebMetric::default() };
    metric.provider = MetricProvider { web: Some(web), ..MetricProvider::default() };
}

/// Counts questions by metric and answers each at once.
#[derive(Clone, Default)]
pub(crate) struct Counter(Arc<Mutex<BTreeMap<String, u64>>>);

impl Counter {
    /// Questions by metric.
    pub(crate) fn counts(&self) -> BTreeMap<String, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Sender for Counter {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, SendError> {
        let metric = request.url.strip_prefix(HOST).unwrap_or(&request.url).to_owned();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(metric).or_default() += 1;
        Ok(HttpResponse { status: 200, body: b"1".to_vec() })
    }
}
