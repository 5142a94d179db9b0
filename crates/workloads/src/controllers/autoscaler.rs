//! Horizontal pod autoscalers: any kind with a `scale` subresource grows and shrinks with the CPU or memory
//! its pods use. Nothing here measures; pods say what they use in annotations, so that scenarios can script
//! load: `sandbox.glidepath.dev/usage.cpu: 250m`, `sandbox.glidepath.dev/usage.memory: 64Mi`.
//!
//! Not done: metrics other than pods' CPU and memory, scaling policies (only the stabilisation window of
//! `behavior.scaleDown` counts), pods without metrics are left out of the average.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::garbage::fetch_kinds;
use super::node_usage::{parse_quantity, quantity};
use super::pod_set::{is_finished, is_ready};
use super::{Context, Note, queue_spec_changes, render_merge};
use crate::api::is_not_found;
use crate::cache::Cache;
use crate::kubelet::script::PREFIX;
use crate::object::{Key, Object, api_time, text};
use crate::queue::{Again, Queue};
use crate::resource::{AUTOSCALERS, PODS, Resource};
use crate::selector::Selector;

const SOURCE: &str = "horizontal-pod-autoscaler";
/// How often each autoscaler is looked at.
const PERIOD: Duration = Duration::from_secs(15);
/// Ratios this close to one change nothing.
const TOLERANCE: f64 = 0.1;
const SCALE_DOWN_WINDOW: i64 = 300;

/// What an autoscaler needs done.
#[derive(Debug, PartialEq)]
pub struct Plan {
    /// The size to scale to, if it differs.
    pub scale_to: Option<i64>,
    /// What the metrics alone recommend, for the stabilisation window.
    pub recommendation: Option<i64>,
    /// Why it was scaled.
    pub reason: String,
    /// The status it should show.
    pub status: Value,
}

struct Reading {
    name: String,
    ratio: f64,
    current: Value,
}

/// Decides the size of what `autoscaler` scales. `current` is its size, `pods` are its pods, `history` holds
/// earlier recommendations within the stabilisation window.
#[must_use]
pub fn plan_autoscaler(
    autoscaler: &Object,
    current: i64,
    pods: &[Object],
    history: &[i64],
    now: Timestamp,
) -> Plan {
    let (minimum, maximum) = bounds(autoscaler);
    let readings: Vec<Option<Reading>> =
        autoscaler.list("/spec/metrics").iter().map(|metric| read_metric(metric, pods)).collect();
    let missing = readings.iter().position(Option::is_none);
    let mut plan = Plan { scale_to: None, recommendation: None, reason: String::new(), status: Value::Null };
    if current == 0 || (missing.is_some() && readings.iter().all(Option::is_none)) {
        let condition = if current == 0 {
            (
                "ScalingActive",
                "False",
                "ScalingDisabled",
                "scaling is disabled since the replica count of the target is zero".to_owned(),
            )
        } else {
            let resource = autoscaler
                .text(&format!("/spec/metrics/{}/resource/name", missing.unwrap_or(0)))
                .unwrap_or("cpu");
            let why = format!(
                "the HPA was unable to compute the replica count: failed to get {resource} utilization: unable to get metrics for resource {resource}: no metrics returned from resource metrics API"
            );
            ("ScalingActive", "False", "FailedGetResourceMetric", why)
        };
        plan.status =
            render_status(autoscaler, current, current, &[], vec![able(None), condition], false, now);
        return plan;
    }
    let ready = pods.iter().filter(|pod| is_ready(pod)).count();
    let readings: Vec<Reading> = readings.into_iter().flatten().collect();
    let mut recommended = current.clamp(minimum, maximum);
    let mut by = None;
    for reading in &readings {
        let wanted = recommend(reading.ratio, current, ready);
        if by.is_none() || wanted > recommended {
            (recommended, by) = (wanted, Some(reading));
        }
    }
    let stabilized = history
        .iter()
        .copied()
        .chain([recommended])
        .max()
        .filter(|highest| recommended < current && *highest > recommended);
    let unlimited = stabilized.map_or(recommended, |highest| highest.min(current));
    let desired = unlimited.clamp(minimum, maximum).min((current * 2).max(current + 4));
    plan.recommendation = Some(recommended);
    plan.scale_to = Some(desired).filter(|desired| *desired != current);
    let name = by.map_or_else(String::new, |reading| reading.name.clone());
    let direction = if desired > current { "above" } else { "below" };
    plan.reason = if desired > current {
        format!("{name} {direction} target")
    } else {
        format!("All metrics {direction} target")
    };
    let active = format!("the HPA was able to successfully calculate a replica count from {name}");
    let conditions = vec![
        if stabilized.is_some() {
            ("AbleToScale", "True", "ScaleDownStabilized", "recent recommendations were higher than current one, applying the highest recent recommendation".to_owned())
        } else {
            able(plan.scale_to)
        },
        ("ScalingActive", "True", "ValidMetricFound", active),
        limited(unlimited, minimum, maximum),
    ];
    plan.status =
        render_status(autoscaler, current, desired, &readings, conditions, plan.scale_to.is_some(), now);
    plan
}

fn bounds(autoscaler: &Object) -> (i64, i64) {
    let minimum = autoscaler.integer("/spec/minReplicas").unwrap_or(1);
    (minimum, autoscaler.integer("/spec/maxReplicas").unwrap_or(minimum).max(minimum))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "numbers of pods are small")]
fn recommend(ratio: f64, current: i64, ready: usize) -> i64 {
    if (ratio - 1.0).abs() <= TOLERANCE { current } else { (ratio * ready.max(1) as f64).ceil() as i64 }
}

type Condition = (&'static str, &'static str, &'static str, String);

fn able(scaled: Option<i64>) -> Condition {
    match scaled {
        Some(size) => (
            "AbleToScale",
            "True",
            "SucceededRescale",
            format!("the HPA controller was able to update the target scale to {size}"),
        ),
        None => {
            ("AbleToScale", "True", "ReadyForNewScale", "recommended size matches current size".to_owned())
        }
    }
}

fn limited(wanted: i64, minimum: i64, maximum: i64) -> Condition {
    let condition = |status, reason, message: &str| ("ScalingLimited", status, reason, message.to_owned());
    if wanted > maximum {
        condition(
            "True",
            "TooManyReplicas",
            "the desired replica count is more than the maximum replica count",
        )
    } else if wanted < minimum {
        condition(
            "True",
            "TooFewReplicas",
            "the desired replica count is less than the minimum replica count",
        )
    } else {
        condition("False", "DesiredWithinRange", "the desired count is within the acceptable range")
    }
}

/// How far a metric is above (more than one) or below its target; `None` if no pod says what it uses.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "utilization is a small percentage"
)]
fn read_metric(metric: &Value, pods: &[Object]) -> Option<Reading> {
    let resource = metric.pointer("/resource/name").and_then(Value::as_str)?;
    let used: Vec<(f64, f64)> = pods
        .iter()
        .filter(|pod| is_ready(pod))
        .filter_map(|pod| {
            let usage = parse_quantity(pod.annotation(&format!("{PREFIX}usage.{resource}"))?)?;
            let requests = pod.list("/spec/containers").iter();
            Some((
                usage,
                requests
                    .map(|container| quantity(container.pointer(&format!("/resources/requests/{resource}"))))
                    .sum(),
            ))
        })
        .collect();
    if used.is_empty() {
        return None;
    }
    let usage: f64 = used.iter().map(|(usage, _)| usage).sum();
    let requested: f64 = used.iter().map(|(_, requested)| requested).sum();
    let average = usage / used.len() as f64;
    let average_text = format!("{}m", (average * 1000.0).round() as i64);
    let target = metric.pointer("/resource/target")?;
    if let Some(wanted) = target.get("averageUtilization").and_then(Value::as_f64) {
        if requested <= 0.0 || wanted <= 0.0 {
            return None;
        }
        let utilization = (usage / requested * 100.0).floor();
        return Some(Reading {
            name: format!("{resource} resource utilization (percentage of request)"),
            ratio: utilization / wanted,
            current: json!({"averageUtilization": utilization as i64, "averageValue": average_text}),
        });
    }
    let wanted = quantity(target.get("averageValue"));
    (wanted > 0.0).then(|| Reading {
        name: format!("{resource} resource"),
        ratio: average / wanted,
        current: json!({"averageValue": average_text}),
    })
}

fn render_status(
    autoscaler: &Object,
    current: i64,
    desired: i64,
    readings: &[Reading],
    conditions: Vec<Condition>,
    scaled: bool,
    now: Timestamp,
) -> Value {
    let conditions: Vec<Value> = conditions
        .into_iter()
        .map(|(kind, status, reason, message)| {
            let old = autoscaler.condition(kind).filter(|old| text(old, "status") == status);
            let since = old.map_or_else(|| api_time(now), |old| text(old, "lastTransitionTime").to_owned());
            json!({"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": since})
        })
        .collect();
    let names = autoscaler
        .list("/spec/metrics")
        .iter()
        .filter_map(|metric| metric.pointer("/resource/name").cloned());
    let metrics: Vec<Value> = names
        .zip(readings)
        .map(|(name, reading)| json!({"type": "Resource", "resource": {"name": name, "current": reading.current}}))
        .collect();
    let mut status = json!({
        "observedGeneration": autoscaler.generation(),
        "currentReplicas": current,
        "desiredReplicas": desired,
        "currentMetrics": if metrics.is_empty() { Value::Null } else { json!(metrics) },
        "conditions": conditions,
    });
    if scaled {
        status["lastScaleTime"] = json!(api_time(now));
    }
    status
}

#[derive(Default)]
struct Memory {
    recommendations: BTreeMap<Key, VecDeque<(Timestamp, i64)>>,
    kinds: Vec<Resource>,
}

/// Runs the controller until it is dropped.
pub async fn run(context: Context) {
    let queue = Queue::new();
    let autoscalers = context.hub.cache(&AUTOSCALERS);
    let pods = context.hub.cache(&PODS);
    queue_spec_changes(&autoscalers, &queue);
    autoscalers.wait_synced().await;
    pods.wait_synced().await;
    let memory = Mutex::default();
    queue.drive(2, |key| reconcile(&context, &autoscalers, &pods, &memory, key)).await;
}

async fn reconcile(
    context: &Context,
    autoscalers: &Cache,
    pods: &Cache,
    memory: &Mutex<Memory>,
    key: Key,
) -> kube::Result<Again> {
    let Some(autoscaler) = autoscalers.get(&key) else {
        memory.lock().unwrap_or_else(PoisonError::into_inner).recommendations.remove(&key);
        return Ok(None);
    };
    let target = autoscaler.at("/spec/scaleTargetRef").cloned().unwrap_or_default();
    let Some(kind) = find_kind(context, memory, text(&target, "apiVersion"), text(&target, "kind")).await?
    else {
        return Ok(Some(PERIOD));
    };
    let scaled_key = Key::new(key.namespace.as_str(), text(&target, "name"));
    let scale = match context.api.fetch_subresource(&kind, &scaled_key, "scale").await {
        Err(error) if is_not_found(&error) => return Ok(Some(PERIOD)),
        scale => scale?,
    };
    let selector = scale.text("/status/selector").map(Selector::from_text).unwrap_or_default();
    let covered: Vec<Object> = pods
        .list(Some(&key.namespace))
        .into_iter()
        .filter(|pod| selector.as_ref().is_some_and(|selector| selector.matches(pod.labels())))
        .filter(|pod| !is_finished(pod) && !pod.is_deleting())
        .collect();
    let now = context.clock.now();
    let history = recall(memory, &key, &autoscaler, now);
    let plan =
        plan_autoscaler(&autoscaler, scale.integer("/spec/replicas").unwrap_or(0), &covered, &history, now);
    if let Some(recommendation) = plan.recommendation {
        let mut memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.recommendations.entry(key.clone()).or_default().push_back((now, recommendation));
    }
    if let Some(size) = plan.scale_to {
        context
            .api
            .send_patch(&kind, &scaled_key, Some("scale"), &json!({"spec": {"replicas": size}}))
            .await?;
        let note = Note::normal("SuccessfulRescale", format!("New size: {size}; reason: {}", plan.reason));
        context.send_event(&AUTOSCALERS, &autoscaler, SOURCE, &note).await;
    }
    if let Some(patch) = render_merge(autoscaler.at("/status"), &plan.status) {
        match context.api.send_patch(&AUTOSCALERS, &key, Some("status"), &json!({"status": patch})).await {
            Err(error) if is_not_found(&error) => return Ok(None),
            written => autoscalers.wait_for_echo(&written?).await,
        }
    }
    Ok(Some(PERIOD))
}

/// Earlier recommendations that still count against shrinking.
fn recall(memory: &Mutex<Memory>, key: &Key, autoscaler: &Object, now: Timestamp) -> Vec<i64> {
    let window = autoscaler
        .integer("/spec/behavior/scaleDown/stabilizationWindowSeconds")
        .unwrap_or(SCALE_DOWN_WINDOW);
    let oldest = now.saturating_sub(SignedDuration::from_secs(window)).unwrap_or(Timestamp::MIN);
    let mut memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
    let known = memory.recommendations.entry(key.clone()).or_default();
    known.retain(|(at, _)| *at > oldest);
    known.iter().map(|(_, size)| *size).collect()
}

async fn find_kind(
    context: &Context,
    memory: &Mutex<Memory>,
    api_version: &str,
    kind: &str,
) -> kube::Result<Option<Resource>> {
    let is_it = |found: &&Resource| found.api_version() == api_version && found.kind == kind;
    let known = memory.lock().unwrap_or_else(PoisonError::into_inner).kinds.iter().find(is_it).cloned();
    if known.is_some() {
        return Ok(known);
    }
    let kinds = fetch_kinds(&context.api).await?;
    let found = kinds.iter().find(is_it).cloned();
    memory.lock().unwrap_or_else(PoisonError::into_inner).kinds = kinds;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(usage: &str) -> Object {
        json!({"metadata": {"name": "p", "annotations": {"sandbox.glidepath.dev/usage.cpu": usage}},
            "spec": {"containers": [{"resources": {"requests": {"cpu": "100m"}}}]},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]}})
        .into()
    }

    fn autoscaler(target: Value) -> Object {
        json!({"spec": {"minReplicas": 2, "maxReplicas": 6, "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]}}).into()
    }

    #[test]
    fn size_follows_load_within_bounds_and_shrinks_only_after_a_while() {
        let now = Timestamp::UNIX_EPOCH;
        let half = || autoscaler(json!({"type": "Utilization", "averageUtilization": 50}));
        let table = [
            ("on target", half(), 2, vec!["52m", "50m"], vec![], None, "ReadyForNewScale"),
            ("twice the load", half(), 2, vec!["100m", "100m"], vec![], Some(4), "SucceededRescale"),
            (
                "beyond the maximum",
                half(),
                4,
                vec!["200m", "200m", "200m", "200m"],
                vec![],
                Some(6),
                "SucceededRescale",
            ),
            ("less load", half(), 4, vec!["25m", "25m", "25m", "25m"], vec![], Some(2), "SucceededRescale"),
            (
                "less load just now",
                half(),
                4,
                vec!["25m", "25m", "25m", "25m"],
                vec![4, 3],
                None,
                "ScaleDownStabilized",
            ),
            (
                "value target",
                autoscaler(json!({"type": "AverageValue", "averageValue": "50m"})),
                2,
                vec!["75m", "75m"],
                vec![],
                Some(3),
                "SucceededRescale",
            ),
            ("no metrics", half(), 2, vec![], vec![], None, "ReadyForNewScale"),
            ("switched off", half(), 0, vec![], vec![], None, "ReadyForNewScale"),
        ];
        for (case, autoscaler, current, usages, history, expected, reason) in table {
            let pods: Vec<Object> = usages.into_iter().map(pod).collect();
            let plan = plan_autoscaler(&autoscaler, current, &pods, &history, now);
            assert_eq!(plan.scale_to, expected, "{case}");
            assert_eq!(plan.status["conditions"][0]["reason"], reason, "{case}");
        }
    }
}
