//! Tells a story on a plane and says where it goes wrong.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use futures::{StreamExt as _, TryStreamExt as _};
use glidepath_gocompat::podhash::pod_template_hash;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, WatchEvent,
    WatchParams,
};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::plane::Plane;
use crate::record::{Masks, Record, gather_objects};
use crate::story::{Beat, Expectation, Story, Target};

/// How soon a watch that could not be opened is tried again.
const RETRY: Duration = Duration::from_millis(250);
/// Who our controller says it is in events.
const CONTROLLER: &str = "rollouts-controller";
/// How long things may take to stand as on the other plane once a story is over.
const SETTLING: Duration = Duration::from_secs(90);

/// Tells `story` in `namespace`, which is created for it.
///
/// # Errors
/// Says which beat or expectation did not hold and what was found instead.
pub async fn tell(story: &Story, plane: &dyn Plane, namespace: &str) -> Result<()> {
    let stage = Stage::new(plane, namespace);
    stage.tell(story, async || Ok(())).await
}

/// Tells a story whose controller has mishaps: what must hold right now or for a while, and the list of events, are
/// not looked at.
///
/// # Errors
/// Says which beat or expectation did not come true and what was found instead.
pub async fn tell_loosely(story: &Story, plane: &dyn Plane, namespace: &str) -> Result<()> {
    let stage = Stage { loosely: true, ..Stage::new(plane, namespace) };
    stage.tell(story, async || Ok(())).await
}

/// Tells `story` and writes down how it ended.
///
/// # Errors
/// As [`tell`].
pub async fn tell_and_record(story: &Story, plane: &dyn Plane, namespace: &str) -> Result<Record> {
    let stage = Stage::new(plane, namespace);
    stage.tell(story, async || stage.record().await).await
}

/// Tells `story` and waits until it has ended as `expected`.
///
/// # Errors
/// As [`tell`]; and with every difference that remains after a while.
pub async fn tell_and_compare(
    story: &Story,
    plane: &dyn Plane,
    namespace: &str,
    expected: &Record,
) -> Result<()> {
    let stage = Stage::new(plane, namespace);
    stage.tell(story, async || stage.compare(expected).await).await
}

/// The namespace a story is told in.
struct Stage<'a> {
    plane: &'a dyn Plane,
    namespace: String,
    /// Every event, in the order in which they were written.
    events: Arc<Mutex<Vec<Told>>>,
    /// Moments and events do not count.
    loosely: bool,
}

/// What an event said.
#[derive(Clone, Debug)]
struct Told {
    /// Kind and name.
    about: String,
    reason: String,
    message: String,
    /// Who said it.
    source: String,
}

impl<'a> Stage<'a> {
    fn new(plane: &'a dyn Plane, namespace: &str) -> Self {
        Self { plane, namespace: namespace.to_owned(), events: Arc::default(), loosely: false }
    }

    async fn tell<T>(&self, story: &Story, at_the_end: impl AsyncFnOnce() -> Result<T>) -> Result<T> {
        self.open().await?;
        let listener = self.listen().await?;
        let told = match self.play(story).await {
            Ok(()) => at_the_end().await,
            Err(error) => Err(error),
        };
        listener.abort();
        told.with_context(|| format!("story \"{}\"", story.name))
    }

    /// How things stand.
    async fn record(&self) -> Result<Record> {
        self.settle().await;
        self.look().await
    }

    async fn look(&self) -> Result<Record> {
        let host = self.plane.metric_host();
        let masks = Masks::new(&self.namespace, &host)?;
        let mut record = Record {
            objects: gather_objects(&self.plane.client(), &self.namespace, &host).await?,
            ..Record::default()
        };
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for told in events.iter().filter(|told| told.source == CONTROLLER) {
            record.tell(&masks, &told.about, &told.reason, &told.message);
        }
        Ok(record)
    }

    /// Waits until things stand as expected.
    async fn compare(&self, expected: &Record) -> Result<()> {
        let begin = Instant::now();
        loop {
            let differences = expected.differences(&self.look().await?);
            if differences.is_empty() {
                return Ok(());
            }
            if begin.elapsed() >= SETTLING {
                bail!("ended otherwise than on the embedded plane:\n  {}", differences.join("\n  "));
            }
            self.plane.pass(self.plane.glance()).await;
        }
    }

    async fn open(&self) -> Result<()> {
        let namespaces = Api::<DynamicObject>::all_with(self.plane.client(), &resource("Namespace")?);
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}});
        match namespaces.create(&PostParams::default(), &serde_json::from_value(object)?).await {
            // A story may be told in a namespace that every cluster has.
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
            created => Ok(created.map(drop)?),
        }
    }

    /// Follows the namespace's events, counting a repeated one once per repetition.
    async fn listen(&self) -> Result<tokio::task::JoinHandle<()>> {
        let api = self.api("Event")?;
        let from = api.list(&ListParams::default()).await?.metadata.resource_version.unwrap_or_default();
        let events = Arc::clone(&self.events);
        let hear = move |object: &DynamicObject| {
            let text =
                |path: &str| object.data.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
            let about = format!("{}/{}", text("/involvedObject/kind"), text("/involvedObject/name"));
            let (reason, message) = (text("/reason"), text("/message"));
            let told = Told { about, reason, message, source: text("/source/component") };
            events.lock().unwrap_or_else(PoisonError::into_inner).push(told);
        };
        Ok(tokio::spawn(async move {
            let mut from = from;
            loop {
                match follow(&api, &mut from, &hear).await {
                    Ok(()) => {}
                    // The server has forgotten that version: what has come since is in the list.
                    Err(kube::Error::Api(status)) if status.code == 410 => {
                        if let Err(error) = catch_up(&api, &mut from, &hear).await {
                            tracing::debug!(%error, "cannot list events; trying again");
                        }
                    }
                    Err(error) => tracing::debug!(%error, "cannot follow events; trying again"),
                }
                tokio::time::sleep(RETRY).await;
            }
        }))
    }

    async fn play(&self, story: &Story) -> Result<()> {
        // What exists from the beginning may ask for metrics at once, so the first answers are there before it.
        let begins = story.beats.iter().take_while(|beat| matches!(beat, Beat::Metric { .. })).count();
        for beat in &story.beats[..begins] {
            self.act(beat).await?;
        }
        for object in &story.given {
            self.create(object).await?;
        }
        for (index, beat) in story.beats.iter().enumerate().skip(begins) {
            self.act(beat)
                .await
                .with_context(|| format!("beat {} of {}: {beat:?}", index + 1, story.beats.len()))?;
        }
        for expectation in &story.finally {
            self.until(expectation).await.with_context(|| format!("at the end: {expectation:?}"))?;
        }
        if let Some((rollout, reasons)) = story.events.as_ref().filter(|_| !self.loosely) {
            self.settle().await;
            self.await_events(rollout, reasons).await?;
        }
        Ok(())
    }

    async fn act(&self, beat: &Beat) -> Result<()> {
        match beat {
            Beat::Create(object) => self.create(object).await,
            Beat::Plugin(command) => self.plugin(command).await.map(|_| ()),
            Beat::PluginFails(command, text) => match self.plugin(command).await {
                Ok(output) => bail!("`{command}` succeeded: {output}"),
                Err(error) if format!("{error:#}").contains(text) => Ok(()),
                Err(error) => bail!("`{command}` failed otherwise: {error:#}"),
            },
            Beat::Patch { of, patch } => {
                let patch = self.fill(patch).await?;
                self.api(of.kind)?.patch(&of.name, &PatchParams::default(), &Patch::Merge(&patch)).await?;
                Ok(())
            }
            Beat::PatchFails { of, patch, text } => {
                let (api, patch) = (self.api(of.kind)?, Patch::Merge(self.fill(patch).await?));
                match api.patch(&of.name, &PatchParams::default(), &patch).await {
                    Ok(_) => bail!("the patch was taken"),
                    Err(error) if error.to_string().contains(text) => Ok(()),
                    Err(error) => bail!("refused otherwise: {error:#}"),
                }
            }
            Beat::Delete(target) => {
                self.api(target.kind)?.delete(&target.name, &DeleteParams::background()).await?;
                Ok(())
            }
            Beat::Metric { path, answers } => {
                // An address of its own is scripted as it stands; a path belongs to this story.
                let key = if path.contains("://") {
                    (*path).to_owned()
                } else {
                    format!("/{}{path}", self.namespace)
                };
                self.plane.script_metric(&key, answers.clone());
                Ok(())
            }
            Beat::Until(expectation) => self.until(expectation).await,
            Beat::Pass(time) => {
                self.plane.pass(*time).await;
                Ok(())
            }
            Beat::Now(_) if self.loosely => Ok(()),
            Beat::Stays(_, time) if self.loosely => {
                self.plane.pass(*time).await;
                Ok(())
            }
            Beat::Now(expectation) => self.holds(expectation).await?.map_err(|found| anyhow!(found)),
            Beat::Stays(expectation, time) => {
                let end = Instant::now() + *time;
                loop {
                    self.holds(expectation).await?.map_err(|found| anyhow!("no longer: {found}"))?;
                    let left = end.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Ok(());
                    }
                    self.plane.pass(self.plane.glance().min(left)).await;
                }
            }
        }
    }

    async fn create(&self, object: &Value) -> Result<()> {
        let object = self.fill(object).await?;
        let kind = object["kind"].as_str().unwrap_or_default();
        let parsed: DynamicObject = serde_json::from_value(object.clone())?;
        self.api(kind)?
            .create(&PostParams::default(), &parsed)
            .await
            .with_context(|| format!("create {kind}"))?;
        Ok(())
    }

    async fn plugin(&self, command: &str) -> Result<String> {
        let words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        self.plane.plugin(&self.namespace, &words).await
    }

    async fn until(&self, expectation: &Expectation) -> Result<()> {
        let begin = Instant::now();
        loop {
            match self.holds(expectation).await? {
                Ok(()) => return Ok(()),
                Err(found) if begin.elapsed() >= self.plane.patience() => {
                    let events = self.events.lock().unwrap_or_else(PoisonError::into_inner).clone();
                    let last: Vec<_> = events.iter().rev().take(12).rev().collect();
                    bail!("still not after {:?}: {found}\nlast events: {last:#?}", begin.elapsed());
                }
                Err(_) => self.plane.pass(self.plane.glance()).await,
            }
        }
    }

    /// Whether the expectation holds; if not, what was found instead.
    async fn holds(&self, expectation: &Expectation) -> Result<Result<(), String>> {
        Ok(match expectation {
            Expectation::Contains(target, document) => {
                let Some(found) = self.fetch(target).await? else {
                    return Ok(Err(format!("{} {} does not exist", target.kind, target.name)));
                };
                let document = match self.fill(document).await {
                    Ok(document) => document,
                    Err(missing) => return Ok(Err(missing.to_string())),
                };
                difference(&document, &found, "").map_or(Ok(()), Err)
            }
            Expectation::Absent(target) => match self.fetch(target).await? {
                None => Ok(()),
                Some(_) => Err(format!("{} {} exists", target.kind, target.name)),
            },
            Expectation::None(kind) => {
                match self.api(kind)?.list(&ListParams::default()).await?.items.len() {
                    0 => Ok(()),
                    count => Err(format!("there are objects of kind {kind}: {count}")),
                }
            }
            Expectation::Pods { image, replicas } => match self.replica_set(image).await? {
                Some(set)
                    if number(&set, "/spec/replicas") == *replicas
                        && number(&set, "/status/availableReplicas") == *replicas
                        && number(&set, "/status/replicas") == *replicas =>
                {
                    Ok(())
                }
                None if *replicas == 0 => Ok(()),
                None => Err(format!("no ReplicaSet runs {image}")),
                Some(set) => Err(format!(
                    "the ReplicaSet of {image} wants {}, has {}, available {}",
                    number(&set, "/spec/replicas"),
                    number(&set, "/status/replicas"),
                    number(&set, "/status/availableReplicas")
                )),
            },
            Expectation::Wants { image, replicas } => match self.replica_set(image).await? {
                Some(set) if number(&set, "/spec/replicas") == *replicas => Ok(()),
                None if *replicas == 0 => Ok(()),
                found => Err(format!(
                    "the ReplicaSet of {image} wants {:?}",
                    found.map(|set| number(&set, "/spec/replicas"))
                )),
            },
            Expectation::Serving { at_least } => self.serving(*at_least).await?,
            Expectation::EveryPod { image, document } => self.every_pod(image, document).await?,
            Expectation::Phase { rollout, phase, message } => self.phase(rollout, phase, message).await?,
            Expectation::All(expectations) => {
                for expectation in expectations {
                    if let Err(found) = Box::pin(self.holds(expectation)).await? {
                        return Ok(Err(found));
                    }
                }
                Ok(())
            }
        })
    }

    async fn serving(&self, at_least: i64) -> Result<Result<(), String>> {
        let mut serving = 0;
        for set in self.api("ReplicaSet")?.list(&ListParams::default()).await? {
            let set = serde_json::to_value(set)?;
            if set.pointer("/metadata/labels/rollouts-pod-template-hash").is_some() {
                serving += number(&set, "/spec/replicas").min(number(&set, "/status/availableReplicas"));
            }
        }
        let found = format!("{serving} pods serve, and there should be {at_least}");
        Ok(if serving >= at_least { Ok(()) } else { Err(found) })
    }

    async fn every_pod(&self, image: &str, document: &Value) -> Result<Result<(), String>> {
        let mut count = 0;
        for pod in self.api("Pod")?.list(&ListParams::default()).await? {
            let pod = serde_json::to_value(pod)?;
            let first = pod.pointer("/spec/containers/0/image").and_then(Value::as_str);
            let is_ours = pod.pointer("/metadata/labels/rollouts-pod-template-hash").is_some();
            let is_leaving = pod.pointer("/metadata/deletionTimestamp").is_some();
            if first != Some(image) || !is_ours || is_leaving {
                continue;
            }
            count += 1;
            if let Some(found) = difference(document, &pod, "") {
                return Ok(Err(format!("of a pod that runs {image}, {found}")));
            }
        }
        Ok(if count > 0 { Ok(()) } else { Err(format!("no pod runs {image}")) })
    }

    async fn phase(&self, rollout: &str, phase: &str, message: &str) -> Result<Result<(), String>> {
        let target = Target { kind: "Rollout", name: rollout.to_owned() };
        let Some(found) = self.fetch(&target).await? else {
            return Ok(Err(format!("Rollout {rollout} does not exist")));
        };
        let text = |path: &str| found.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let observed =
            text("/status/observedGeneration") == number(&found, "/metadata/generation").to_string();
        if observed && text("/status/phase") == phase && text("/status/message").starts_with(message) {
            return Ok(Ok(()));
        }
        Ok(Err(format!("{} {:?} (observed: {observed})", text("/status/phase"), text("/status/message"))))
    }

    async fn replica_set(&self, image: &str) -> Result<Option<Value>> {
        for set in self.api("ReplicaSet")?.list(&ListParams::default()).await? {
            let set = serde_json::to_value(set)?;
            let first = set.pointer("/spec/template/spec/containers/0/image").and_then(Value::as_str);
            let owner = set.pointer("/metadata/ownerReferences/0/kind").and_then(Value::as_str);
            let is_ours = set.pointer("/metadata/labels/rollouts-pod-template-hash").is_some();
            if first == Some(image) && is_ours && owner != Some("Experiment") {
                return Ok(Some(set));
            }
        }
        Ok(None)
    }

    async fn fetch(&self, target: &Target) -> Result<Option<Value>> {
        // A name may stand for a ReplicaSet that does not exist yet.
        let Ok(name) = self.fill(&json!(target.name)).await else { return Ok(None) };
        let name = name.as_str().unwrap_or_default();
        Ok(self.api(target.kind)?.get_opt(name).await?.map(serde_json::to_value).transpose()?)
    }

    fn api(&self, kind: &str) -> Result<Api<DynamicObject>> {
        let (client, resource) = (self.plane.client(), resource(kind)?);
        Ok(if kind == "ClusterAnalysisTemplate" {
            Api::all_with(client, &resource)
        } else {
            Api::namespaced_with(client, &self.namespace, &resource)
        })
    }

    /// Replaces `{hash:IMAGE}` and `{metrics}` in every string.
    async fn fill(&self, document: &Value) -> Result<Value> {
        let mut text = document.to_string();
        text = text.replace("{metrics}", &format!("{}/{}", self.plane.metric_host(), self.namespace));
        while let Some(start) = text.find("{hash:") {
            let rest = &text[start + 6..];
            let end = rest.find('}').context("unclosed {hash:")?;
            let image = rest[..end].to_owned();
            let hash = match self.replica_set(&image).await? {
                Some(set) => set
                    .pointer("/metadata/labels/rollouts-pod-template-hash")
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned(),
                None => bail!("no ReplicaSet runs {image}"),
            };
            text = text.replace(&format!("{{hash:{image}}}"), &hash);
        }
        Ok(serde_json::from_str(&text)?)
    }

    /// Lets what is under way come to rest.
    async fn settle(&self) {
        self.plane.pass(Duration::from_secs(3)).await;
    }

    /// Waits until the Rollout's events are these; a recorder may be slow, but not say more or other things.
    async fn await_events(&self, rollout: &str, reasons: &[&str]) -> Result<()> {
        let about = format!("Rollout/{rollout}");
        let begin = Instant::now();
        loop {
            let told: Vec<(String, String)> = {
                let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
                let ours = events.iter().filter(|told| told.about == about);
                ours.map(|told| (told.reason.clone(), told.message.clone())).collect()
            };
            if told.iter().map(|(reason, _)| reason.as_str()).eq(reasons.iter().copied()) {
                return Ok(());
            }
            if told.len() >= reasons.len() || begin.elapsed() >= self.plane.patience() {
                let long: Vec<String> =
                    told.iter().map(|(reason, message)| format!("{reason}: {message}")).collect();
                bail!(
                    "events were\n  {}\nbut should have been\n  {}",
                    long.join("\n  "),
                    reasons.join("\n  ")
                );
            }
            self.plane.pass(self.plane.glance()).await;
        }
    }
}

/// Hears events from a version on until the watch ends.
async fn follow(
    api: &Api<DynamicObject>,
    from: &mut String,
    hear: &impl Fn(&DynamicObject),
) -> Result<(), kube::Error> {
    let mut stream = api.watch(&WatchParams::default(), from).await?.boxed();
    while let Some(event) = stream.try_next().await? {
        match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                hear(&object);
                if let Some(version) = object.metadata.resource_version {
                    *from = version;
                }
            }
            // A server forgets old versions; a quiet story must not ask for one of them later.
            WatchEvent::Bookmark(bookmark) => *from = bookmark.metadata.resource_version,
            WatchEvent::Deleted(_) => {}
            WatchEvent::Error(status) => return Err(kube::Error::Api(status)),
        }
    }
    Ok(())
}

/// Hears the events written since a version from a list, in the order of their versions.
async fn catch_up(
    api: &Api<DynamicObject>,
    from: &mut String,
    hear: &impl Fn(&DynamicObject),
) -> Result<(), kube::Error> {
    let list = api.list(&ListParams::default()).await?;
    let version = |text: &str| text.parse::<u64>().unwrap_or_default();
    let since = version(from);
    let mut missed: Vec<(u64, DynamicObject)> = list
        .items
        .into_iter()
        .map(|object| (version(object.metadata.resource_version.as_deref().unwrap_or_default()), object))
        .filter(|(at, _)| *at > since)
        .collect();
    missed.sort_by_key(|(at, _)| *at);
    for (_, object) in &missed {
        hear(object);
    }
    if let Some(version) = list.metadata.resource_version {
        *from = version;
    }
    Ok(())
}

fn number(object: &Value, path: &str) -> i64 {
    object.pointer(path).and_then(Value::as_i64).unwrap_or(0)
}

/// Where `found` does not contain `wanted`, if anywhere.
fn difference(wanted: &Value, found: &Value, path: &str) -> Option<String> {
    match (wanted, found) {
        (Value::Object(members), Value::Object(seen)) => members.iter().find_map(|(key, value)| {
            let path = format!("{path}.{key}");
            match seen.get(key) {
                None if is_empty(value) => None,
                None => Some(format!("{path} is absent, not {value}")),
                Some(seen) => difference(value, seen, &path),
            }
        }),
        (Value::Array(items), Value::Array(seen)) if items.len() == seen.len() => items
            .iter()
            .zip(seen)
            .enumerate()
            .find_map(|(i, (item, seen))| difference(item, seen, &format!("{path}[{i}]"))),
        (wanted, found) if wanted == found => None,
        (wanted, found) => Some(format!("{path} is {found}, not {wanted}")),
    }
}

/// Whether nothing but absent members is wanted.
fn is_empty(wanted: &Value) -> bool {
    match wanted {
        Value::Null => true,
        Value::Object(members) => !members.is_empty() && members.values().all(is_empty),
        _ => false,
    }
}

/// The resource of a kind that stories use.
///
/// # Errors
/// When they use no such kind.
pub fn resource(kind: &str) -> Result<ApiResource> {
    let (group, version) = match kind {
        "Namespace" | "Service" | "Pod" | "PodTemplate" | "Event" | "Secret" | "ConfigMap" => ("", "v1"),
        "ReplicaSet" | "Deployment" => ("apps", "v1"),
        "Job" => ("batch", "v1"),
        "HorizontalPodAutoscaler" => ("autoscaling", "v2"),
        "VirtualService" | "DestinationRule" => ("networking.istio.io", "v1alpha3"),
        "HTTPRoute" => ("gateway.networking.k8s.io", "v1"),
        "Ingress" => ("networking.k8s.io", "v1"),
        "Rollout" | "AnalysisRun" | "AnalysisTemplate" | "ClusterAnalysisTemplate" | "Experiment" => {
            ("argoproj.io", "v1alpha1")
        }
        other => bail!("stories do not know the kind {other}"),
    };
    Ok(ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind)))
}

/// The hash a Rollout's pod template has before any collision, for stories that name it.
#[must_use]
pub fn hash_of(rollout: &Value) -> String {
    pod_template_hash(&rollout["spec"]["template"], None)
}
