//! From the cluster to a scene: reads only, and what may not be read is left out by name.

use std::collections::BTreeSet;

use futures::future::join_all;
use glidepath_api::{AnalysisPhase, AnalysisRun, Pod, Rollout, Time, names};
use glidepath_clock::Clock;
use glidepath_core::snapshot::RolloutSnapshot;
use glidepath_kube::Looker;
use glidepath_kube::gather::GatherError;
use glidepath_kube::object::ObjectKey;
use glidepath_kube::resource::{Kind, collection};
use glidepath_kube::server::FIELD_MANAGER;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::scene::{Autoscaler, Evidence, Scene, SeenEvent, Writer};

/// Runs that are read in full; older ones add nothing.
const RUNS: usize = 10;

/// Gathers what an explanation of a Rollout looks at; `None` when there is no such Rollout.
///
/// # Errors
/// When the controllers could not gather their snapshot either. What is missing besides is named in the evidence.
pub async fn gather_scene(
    client: &kube::Client,
    clock: Clock,
    key: &ObjectKey,
) -> Result<Option<Scene>, GatherError> {
    let looker = Looker::new(client.clone(), clock);
    let Some(snapshot) = looker.rollout(key).await? else { return Ok(None) };
    let mut reader = Reader { looker, namespace: &key.namespace, unread: Vec::new() };
    let evidence = Evidence {
        pods: fetch_pods(&mut reader, &snapshot).await,
        runs: fetch_runs(&mut reader, &snapshot).await,
        autoscalers: fetch_autoscalers(&mut reader, &snapshot).await,
        writers: fetch_writers(&mut reader, &snapshot).await,
        events: fetch_events(&mut reader, &snapshot.rollout).await,
        unread: reader.unread,
    };
    Ok(Some(Scene { snapshot, evidence }))
}

struct Reader<'a> {
    looker: Looker,
    namespace: &'a str,
    unread: Vec<String>,
}

impl Reader<'_> {
    async fn read(&mut self, what: &str, path: &str) -> Value {
        match self.looker.read(path).await {
            Ok(document) => document.unwrap_or_default(),
            Err(error) => {
                self.unread.push(format!("{what}: {error}"));
                Value::Null
            }
        }
    }

    async fn items(&mut self, what: &str, path: &str) -> Vec<Value> {
        match self.read(what, path).await.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => items,
            _ => Vec::new(),
        }
    }

    fn path(&self, group: &str, version: &str, plural: &str) -> String {
        collection(group, version, plural, self.namespace)
    }
}

fn decode<T: DeserializeOwned>(items: Vec<Value>) -> Vec<T> {
    items.into_iter().filter_map(|item| serde_json::from_value(item).ok()).collect()
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn time(value: &Value, pointer: &str) -> Option<Time> {
    value.pointer(pointer)?.as_str()?.parse().ok()
}

async fn fetch_pods(reader: &mut Reader<'_>, snapshot: &RolloutSnapshot) -> Vec<Pod> {
    let owners: BTreeSet<&str> = snapshot.replica_sets.iter().map(|set| set.metadata.uid.as_str()).collect();
    if owners.is_empty() {
        return Vec::new();
    }
    let path = format!("{}?labelSelector={}", reader.path("", "v1", "pods"), names::POD_TEMPLATE_HASH);
    let mut pods: Vec<Pod> = decode(reader.items("pods", &path).await);
    pods.retain(|pod| pod.metadata.controller_of().is_some_and(|owner| owners.contains(owner.uid.as_str())));
    pods.sort_by(|left, right| left.metadata.name.cmp(&right.metadata.name));
    pods
}

/// The runs that say something about the current revision. The snapshot has them without their measurements, as the
/// controllers keep them.
async fn fetch_runs(reader: &mut Reader<'_>, snapshot: &RolloutSnapshot) -> Vec<AnalysisRun> {
    let hash = &snapshot.rollout.status.current_pod_hash;
    let mut wanted: Vec<&AnalysisRun> = snapshot
        .analysis_runs
        .iter()
        .filter(|run| run.metadata.label(names::POD_TEMPLATE_HASH).is_none_or(|label| label == hash))
        .filter(|run| run.status.phase != Some(AnalysisPhase::Successful))
        .collect();
    wanted.sort_by_key(|run| std::cmp::Reverse(run.metadata.creation_timestamp));
    let base = Kind::AnalysisRun.collection(names::VERSION, reader.namespace);
    let looker = reader.looker.clone();
    let reads = wanted.iter().take(RUNS).map(|run| {
        let (looker, path) = (looker.clone(), format!("{base}/{}", run.metadata.name));
        async move { looker.read(&path).await }
    });
    let mut runs = Vec::new();
    for read in join_all(reads).await {
        match read {
            Ok(document) => runs.extend(document),
            Err(error) => reader.unread.push(format!("an AnalysisRun: {error}")),
        }
    }
    decode(runs)
}

async fn fetch_autoscalers(reader: &mut Reader<'_>, snapshot: &RolloutSnapshot) -> Vec<Autoscaler> {
    let path = reader.path("autoscaling", "v2", "horizontalpodautoscalers");
    let rollout = &snapshot.rollout;
    let sets: BTreeSet<&str> = snapshot.replica_sets.iter().map(|set| set.metadata.name.as_str()).collect();
    let workload = rollout.spec.workload_ref.as_ref();
    let concerns = |scaler: &Autoscaler| match scaler.target_kind.as_str() {
        "Rollout" => scaler.target_name == rollout.metadata.name,
        "ReplicaSet" => sets.contains(scaler.target_name.as_str()),
        kind => workload.is_some_and(|workload| workload.kind == kind && workload.name == scaler.target_name),
    };
    let scalers = reader.items("autoscalers", &path).await;
    scalers.iter().map(autoscaler).filter(concerns).collect()
}

fn autoscaler(object: &Value) -> Autoscaler {
    let number = |pointer: &str, default: i64| {
        let number = object.pointer(pointer).and_then(Value::as_i64).unwrap_or(default);
        i32::try_from(number).unwrap_or(i32::MAX)
    };
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    let problem = conditions.into_iter().flatten().find(|condition| {
        matches!(text(condition, "/type").as_str(), "ScalingActive" | "AbleToScale")
            && text(condition, "/status") == "False"
    });
    Autoscaler {
        name: text(object, "/metadata/name"),
        target_kind: text(object, "/spec/scaleTargetRef/kind"),
        target_name: text(object, "/spec/scaleTargetRef/name"),
        min: number("/spec/minReplicas", 1),
        max: number("/spec/maxReplicas", 0),
        desired: number("/status/desiredReplicas", 0),
        problem: problem.map(|condition| text(condition, "/message")),
    }
}

async fn fetch_writers(reader: &mut Reader<'_>, snapshot: &RolloutSnapshot) -> Vec<Writer> {
    let mut objects = vec![(
        format!("Rollout {}", snapshot.rollout.metadata.name),
        Kind::Rollout.path(names::VERSION, reader.namespace, &snapshot.rollout.metadata.name),
    )];
    for name in snapshot.services.keys() {
        objects.push((format!("Service {name}"), Kind::Service.path("v1", reader.namespace, name)));
    }
    for object in snapshot.routers.iter().flat_map(|router| &router.objects) {
        // `Kind namespace/name`, as observations name them.
        let Some((kind, place)) = object.split_once(' ') else { continue };
        let (Some(kind), Some((namespace, name))) = (Kind::from_name(kind), place.split_once('/')) else {
            continue;
        };
        let located = reader.looker.locate(kind, &ObjectKey::new(namespace, name)).await;
        if let Ok(Some(path)) = located {
            objects.push((format!("{} {name}", kind.name()), path));
        }
    }
    let mut writers = Vec::new();
    for (object, path) in objects {
        let document = reader.read(&object, &path).await;
        writers.extend(writers_of(&object, &document));
    }
    writers
}

/// The managers of an object besides the controllers, the latest first.
fn writers_of(object: &str, document: &Value) -> Vec<Writer> {
    let entries = document.pointer("/metadata/managedFields").and_then(Value::as_array);
    let mut writers: Vec<Writer> = entries
        .into_iter()
        .flatten()
        .map(|entry| Writer {
            object: object.to_owned(),
            manager: text(entry, "/manager"),
            subresource: text(entry, "/subresource"),
            at: time(entry, "/time"),
            owns_replicas: entry.pointer("/fieldsV1/f:spec/f:replicas").is_some(),
        })
        .filter(|writer| !writer.manager.is_empty() && writer.manager != FIELD_MANAGER)
        .collect();
    writers.sort_by_key(|writer| std::cmp::Reverse(writer.at));
    writers
}

async fn fetch_events(reader: &mut Reader<'_>, rollout: &Rollout) -> Vec<SeenEvent> {
    let path = reader.path("", "v1", "events");
    let path = format!("{path}?fieldSelector=involvedObject.name%3D{}", rollout.metadata.name);
    let found = reader.items("events", &path).await;
    let ours = found.iter().filter(|event| text(event, "/involvedObject/kind") == names::KIND_ROLLOUT);
    let mut events: Vec<SeenEvent> = ours
        .map(|event| SeenEvent {
            reason: text(event, "/reason"),
            message: text(event, "/message"),
            count: event.pointer("/count").and_then(Value::as_i64).unwrap_or(1),
            first: time(event, "/firstTimestamp"),
            last: time(event, "/lastTimestamp").or_else(|| time(event, "/eventTime")),
        })
        .collect();
    events.sort_by_key(|event| (event.last, event.first));
    events
}
