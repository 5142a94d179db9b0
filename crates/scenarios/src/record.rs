//! What is left when a story ends, and in which order it was told of: written down so that two planes can be compared.
//!
//! These differences are no fault of either plane and are left out:
//!
//! | What | Why |
//! |---|---|
//! | uids, versions, times, addresses, the story's namespace | they differ from run to run |
//! | seconds in `status.duration` | virtual time passes only where a story lets it pass |
//! | the order of conditions | they are a map by type; two that change within one second come in either order |
//! | how many scalings lead from one size to another between two other events, where among them an AnalysisRun begins or ends, and the generations of ReplicaSets and Deployments, which count them, with what repeats a Deployment's | pods become ready one by one or together |
//! | which of an Experiment's templates runs first, where nothing else happens in between | their pods become ready at once, or one a moment before the other |
//! | generations of AnalysisRuns and Experiments | their state is part of the object, so they count how many observations fall into one write |
//! | names of the ReplicaSets of Deployments | a hash of an internal structure of Go |

use std::collections::BTreeMap;

use anyhow::Result;
use glidepath_api::names;
use kube::Client;
use kube::api::{Api, DynamicObject, ListParams};
use regex::Regex;
use serde_json::{Map, Value};

use crate::run::resource;

/// Kinds whose objects are compared. Pods are compared through their ReplicaSets; Jobs through their AnalysisRuns.
const KINDS: [&str; 9] = [
    "Rollout",
    "ReplicaSet",
    "Service",
    "AnalysisRun",
    "Experiment",
    "Deployment",
    "VirtualService",
    "DestinationRule",
    "HTTPRoute",
];

/// The end of a story.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// Every object by kind and name, without what differs from run to run.
    pub objects: BTreeMap<String, Value>,
    /// By object, what our controller said about it, in order.
    pub events: BTreeMap<String, Vec<String>>,
}

/// Writes down what a namespace holds.
///
/// # Errors
/// When the API server does not answer.
pub async fn gather_objects(
    client: &Client,
    namespace: &str,
    metric_host: &str,
) -> Result<BTreeMap<String, Value>> {
    let mut objects = BTreeMap::new();
    let masks = Masks::new(namespace, metric_host)?;
    for kind in KINDS {
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource(kind)?);
        for object in api.list(&ListParams::default()).await? {
            let mut object = serde_json::to_value(object)?;
            // A Deployment names its ReplicaSets by a hash of an internal structure of Go.
            let owner = object.pointer("/metadata/ownerReferences/0/kind").and_then(Value::as_str);
            if kind == "ReplicaSet" && owner == Some("Deployment") {
                continue;
            }
            let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            forget_the_run(kind, &mut object);
            masks.apply(&mut object);
            if kind == "Deployment" {
                forget_hashes(&name, &mut object);
            }
            objects.insert(format!("{kind}/{name}"), object);
        }
    }
    Ok(objects)
}

impl Record {
    /// Puts what was said about an object behind what was said before.
    pub fn tell(&mut self, masks: &Masks, about: &str, reason: &str, message: &str) {
        let line = format!("{reason}: {}", masks.text(message));
        self.events.entry(about.to_owned()).or_default().push(line);
    }

    /// Where `other` differs; one line each.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut found = Vec::new();
        compare_maps("", &self.objects, &other.objects, &mut found, |path, one, two, found| {
            compare(path, one, two, found);
        });
        compare_maps("events of ", &self.events, &other.events, &mut found, |path, one, two, found| {
            if sort_templates(collapse_scalings(one)) != sort_templates(collapse_scalings(two)) {
                found.push(format!("{path}: {one:#?}\n  on the other plane {two:#?}"));
            }
        });
        found
    }
}

/// The events with the scalings between two others taken together, ReplicaSet by ReplicaSet.
fn collapse_scalings(events: &[String]) -> Vec<String> {
    let mut collapsed = Vec::new();
    let mut sizes: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
    for event in events {
        if let Some((set, from, to)) = parse_scaling(event) {
            sizes.entry(set).or_insert((from, to)).1 = to;
        } else {
            // A run is begun and judged beside the scalings, not before or after them.
            if !event.starts_with("AnalysisRun") {
                flush_scalings(&mut sizes, &mut collapsed);
            }
            collapsed.push(event.clone());
        }
    }
    flush_scalings(&mut sizes, &mut collapsed);
    collapsed
}

/// The events with neighbours that tell of templates coming to run in the order of their texts.
fn sort_templates(mut events: Vec<String>) -> Vec<String> {
    let runs = |event: &String| event.starts_with("TemplateRunning: ");
    for neighbours in events.chunk_by_mut(|one, two| runs(one) && runs(two)) {
        neighbours.sort();
    }
    events
}

fn flush_scalings(sizes: &mut BTreeMap<&str, (&str, &str)>, into: &mut Vec<String>) {
    for (set, (from, to)) in std::mem::take(sizes) {
        if from != to {
            into.push(format!("ScalingReplicaSet: {set} from {from} to {to}"));
        }
    }
}

/// The ReplicaSet, the size before and the size after, of an event that tells of a scaling.
fn parse_scaling(event: &str) -> Option<(&str, &str, &str)> {
    let scaled = event.strip_prefix("ScalingReplicaSet: Scaled ")?;
    let (set, sizes) = scaled.split_once(' ')?.1.rsplit_once(" from ")?;
    let (from, to) = sizes.split_once(" to ")?;
    Some((set, from, to))
}

fn compare_maps<T: std::fmt::Debug>(
    prefix: &str,
    one: &BTreeMap<String, T>,
    two: &BTreeMap<String, T>,
    found: &mut Vec<String>,
    compare: impl Fn(&str, &T, &T, &mut Vec<String>),
) {
    for (key, value) in one {
        match two.get(key) {
            Some(other) => compare(&format!("{prefix}{key}"), value, other, found),
            None => found.push(format!("{prefix}{key}: {value:?}, nothing on the other plane")),
        }
    }
    for (key, value) in two.iter().filter(|(key, _)| !one.contains_key(*key)) {
        found.push(format!("{prefix}{key}: nothing, on the other plane {value:?}"));
    }
}

fn compare(path: &str, one: &Value, two: &Value, found: &mut Vec<String>) {
    match (one, two) {
        (Value::Object(one), Value::Object(two)) => {
            let absent = Value::Null;
            let mut keys: Vec<&String> = one.keys().chain(two.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let (one, two) = (one.get(key).unwrap_or(&absent), two.get(key).unwrap_or(&absent));
                compare(&format!("{path}.{key}"), one, two, found);
            }
        }
        (Value::Array(one), Value::Array(two)) if one.len() == two.len() => {
            for (index, (one, two)) in one.iter().zip(two).enumerate() {
                compare(&format!("{path}[{index}]"), one, two, found);
            }
        }
        _ if one == two => {}
        _ => found.push(format!("{path}: {one}, on the other plane {two}")),
    }
}

/// Takes away what says nothing about the outcome: identities, versions, addresses, who wrote which field.
fn forget_the_run(kind: &str, object: &mut Value) {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for member in
            ["uid", "resourceVersion", "managedFields", "creationTimestamp", "namespace", "selfLink"]
        {
            metadata.remove(member);
        }
        if matches!(kind, "Experiment" | "AnalysisRun" | "ReplicaSet" | "Deployment") {
            metadata.remove("generation");
        }
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            mask_number(annotations, names::WORKLOAD_GENERATION);
        }
        for owner in metadata.get_mut("ownerReferences").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(owner) = owner.as_object_mut() {
                owner.remove("uid");
            }
        }
    }
    if let Some(status) = object.get_mut("status").and_then(Value::as_object_mut) {
        if matches!(kind, "ReplicaSet" | "Deployment") {
            status.remove("observedGeneration");
        }
        mask_number(status, "workloadObservedGeneration");
        if let Some(duration) = status.get_mut("duration").and_then(Value::as_object_mut) {
            for seconds in duration.values_mut().filter(|value| value.is_number()) {
                *seconds = Value::from("SECONDS");
            }
        }
        if let Some(conditions) = status.get_mut("conditions").and_then(Value::as_array_mut) {
            conditions.sort_by_key(|condition| condition["type"].to_string());
        }
    }
    if kind == "Service"
        && let Some(spec) = object["spec"].as_object_mut()
    {
        spec.remove("clusterIP");
        spec.remove("clusterIPs");
    }
}

/// Keeps of a count in text no more than that it is there.
fn mask_number(object: &mut Map<String, Value>, field: &str) {
    if let Some(count) = object.get_mut(field) {
        *count = Value::from("COUNT");
    }
}

/// A Deployment's conditions name its ReplicaSet.
fn forget_hashes(name: &str, deployment: &mut Value) {
    let conditions = deployment.pointer_mut("/status/conditions").and_then(Value::as_array_mut);
    for condition in conditions.into_iter().flatten() {
        let Some(message) = condition["message"].as_str() else { continue };
        let begin = format!("ReplicaSet \"{name}-");
        let Some((before, rest)) = message.split_once(&begin) else { continue };
        let Some((_, after)) = rest.split_once('"') else { continue };
        condition["message"] = Value::from(format!("{before}{begin}HASH\"{after}"));
    }
}

/// What differs from run to run within texts.
pub struct Masks(Vec<(Regex, &'static str)>);

impl Masks {
    /// For a story told in `namespace` that asks metrics at `metric_host`.
    ///
    /// # Errors
    /// Never with names as they are used here.
    pub fn new(namespace: &str, metric_host: &str) -> Result<Self> {
        let table = [
            (format!(r"{}\b", regex::escape(metric_host)), "METRICS"),
            (format!(r"\b{}\b", regex::escape(namespace)), "NAMESPACE"),
            ("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}".to_owned(), "UID"),
            (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z".to_owned(), "TIME"),
        ];
        let masks = table.into_iter().map(|(pattern, with)| Ok((Regex::new(&pattern)?, with)));
        Ok(Self(masks.collect::<Result<_>>()?))
    }

    fn text(&self, text: &str) -> String {
        self.0
            .iter()
            .fold(text.to_owned(), |text, (pattern, with)| pattern.replace_all(&text, *with).into_owned())
    }

    fn apply(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.text(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.apply(item)),
            Value::Object(members) => members.values_mut().for_each(|member| self.apply(member)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_differs_from_run_to_run_is_no_difference() {
        let masks = Masks::new("story-1", "http://127.0.0.1:4000").unwrap();
        let mut value =
            json!({"a": "http://127.0.0.1:4000/story-1/x", "b": "2026-01-01T00:00:00Z in story-12"});
        masks.apply(&mut value);
        assert_eq!(value, json!({"a": "METRICS/NAMESPACE/x", "b": "TIME in story-12"}));
    }

    #[test]
    fn scalings_between_two_events_count_as_one() {
        let lines = |texts: &[&str]| -> Vec<String> { texts.iter().map(ToString::to_string).collect() };
        let scaled = |how: &str, set: &str, from: u8, to: u8| {
            format!("ScalingReplicaSet: Scaled {how} ReplicaSet {set} (revision 1) from {from} to {to}")
        };
        let one = [scaled("down", "a", 5, 3), scaled("up", "b", 0, 1), scaled("down", "a", 3, 0)];
        let two = [scaled("up", "b", 0, 1), scaled("down", "a", 5, 0)];
        assert_eq!(collapse_scalings(&one), collapse_scalings(&two));
        let other = [scaled("up", "b", 0, 1), scaled("down", "a", 5, 1)];
        assert_ne!(collapse_scalings(&one), collapse_scalings(&other));
        let between = [one[0].clone(), "Paused: now".to_owned(), one[2].clone()];
        assert_eq!(collapse_scalings(&between).len(), 3);
        assert_eq!(collapse_scalings(&lines(&["A: b", "C: d"])), lines(&["A: b", "C: d"]));
    }

    #[test]
    fn templates_may_come_to_run_in_either_order_but_not_around_other_events() {
        let sorted = |texts: &[&str]| sort_templates(texts.iter().map(ToString::to_string).collect());
        let (a, b) = ("TemplateRunning: Template 'a'", "TemplateRunning: Template 'b'");
        assert_eq!(sorted(&[a, b, "X: x"]), sorted(&[b, a, "X: x"]));
        assert_ne!(sorted(&[a, "X: x", b]), sorted(&[b, "X: x", a]));
        assert_ne!(sorted(&["X: x", a]), sorted(&[a, "X: x"]));
    }

    #[test]
    fn a_difference_says_where_it_is() {
        let record = |phase: &str, events: &[&str]| Record {
            objects: [("Rollout/web".to_owned(), json!({"status": {"phase": phase}}))].into(),
            events: [("Rollout/web".to_owned(), events.iter().map(ToString::to_string).collect())].into(),
        };
        let one = record("Healthy", &["A", "B"]);
        assert_eq!(one.differences(&one), Vec::<String>::new());
        assert_eq!(
            one.differences(&record("Paused", &["A", "B"])),
            ["Rollout/web.status.phase: \"Healthy\", on the other plane \"Paused\""]
        );
        assert_eq!(one.differences(&record("Healthy", &["B", "A"])).len(), 1);
        assert_eq!(one.differences(&Record::default()).len(), 2);
    }
}
