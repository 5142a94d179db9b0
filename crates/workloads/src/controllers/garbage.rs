//! The garbage collector: deletes what has lost its owners, in the foreground, in the background, or
//! orphans it, for every kind the server serves, custom ones included.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::Context;
use super::owner_graph::{Action, Node, ORPHAN, OwnerGraph};
use crate::api::{Api, DeleteOptions, Propagation, is_not_found};
use crate::object::{Key, text};
use crate::queue::{Again, Queue};
use crate::resource::{CRDS, Resource};

/// How long an owner that no cache shows yet is given to appear before the server is asked.
const PATIENCE: Duration = Duration::from_millis(200);

/// How long one kind may take to be listed.
const SYNC_TIMEOUT: Duration = Duration::from_secs(10);

/// Every kind that can be listed, watched and deleted, in its preferred version; events are left out.
///
/// # Errors
/// What the server or the transport answered.
pub async fn fetch_kinds(api: &Api) -> kube::Result<Vec<Resource>> {
    let kinds = fetch_versions(api).await?;
    Ok(kinds.into_iter().filter(|(_, preferred)| *preferred).map(|(kind, _)| kind).collect())
}

/// As [`fetch_kinds`], in every version, with whether it is the preferred one.
async fn fetch_versions(api: &Api) -> kube::Result<Vec<(Resource, bool)>> {
    let mut kinds = parse_discovery(&api.fetch_discovery("/api").await?);
    kinds.extend(parse_discovery(&api.fetch_discovery("/apis").await?));
    Ok(kinds)
}

fn parse_discovery(document: &Value) -> Vec<(Resource, bool)> {
    let entries =
        |value: &Value, field: &str| value.get(field).and_then(Value::as_array).cloned().unwrap_or_default();
    let mut kinds = Vec::new();
    for group in entries(document, "items") {
        let name = group.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        let mut seen = BTreeSet::new();
        // The most preferred version comes first; a kind may be missing from it.
        for version in entries(&group, "versions") {
            for entry in entries(&version, "resources") {
                let verbs = entries(&entry, "verbs");
                let plural = text(&entry, "resource");
                let useful = ["list", "watch", "delete"].iter().all(|verb| verbs.contains(&json!(verb)));
                if !useful || plural == "events" {
                    continue;
                }
                let kind = entry.pointer("/responseKind/kind").and_then(Value::as_str).unwrap_or_default();
                let namespaced = text(&entry, "scope") == "Namespaced";
                let resource =
                    Resource::discovered(name, text(&version, "version"), plural, kind, namespaced);
                kinds.push((resource, seen.insert(plural.to_owned())));
            }
        }
    }
    kinds
}

struct Collector {
    context: Context,
    graph: Arc<Mutex<OwnerGraph>>,
    queue: Arc<Queue<String>>,
    kinds: Mutex<BTreeSet<Resource>>,
    // Kinds in versions that are served but not watched.
    versions: Mutex<Vec<Resource>>,
    // Owners already waited for once.
    waited_for: Mutex<BTreeSet<String>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs the collector until it is dropped.
pub async fn run(context: Context) {
    let changed = Arc::new(Notify::new());
    let crds = context.hub.metadata_cache(&CRDS);
    let notify = Arc::clone(&changed);
    crds.subscribe(move |change| {
        // Whether it is established cannot be seen in its metadata, only that it changed.
        let version = |crd: &crate::object::Object| crd.resource_version().to_owned();
        if change.old.as_ref().map(version) != change.new.as_ref().map(version) {
            notify.notify_one();
        }
    });
    let collector = Collector {
        context,
        graph: Arc::default(),
        queue: Queue::new(),
        kinds: Mutex::default(),
        versions: Mutex::default(),
        waited_for: Mutex::default(),
    };
    while let Err(error) = collector.watch_new_kinds().await {
        tracing::debug!(%error, "cannot discover kinds, trying again");
        sleep(Duration::from_millis(200)).await;
    }
    let rediscover = async {
        loop {
            changed.notified().await;
            // Several definitions usually arrive together.
            sleep(Duration::from_millis(50)).await;
            if let Err(error) = collector.watch_new_kinds().await {
                tracing::debug!(%error, "cannot discover kinds, trying again");
                sleep(Duration::from_secs(1)).await;
                changed.notify_one();
            }
        }
    };
    let work = collector.queue.drive(8, |uid| collector.reconcile(uid));
    tokio::join!(rediscover, work);
}

impl Collector {
    /// Watches every kind that is served and not watched yet, and forgets those no longer served.
    async fn watch_new_kinds(&self) -> kube::Result<()> {
        let versions = fetch_versions(&self.context.api).await?;
        let served: BTreeSet<Resource> =
            versions.iter().filter(|(_, preferred)| *preferred).map(|(kind, _)| kind.clone()).collect();
        *lock(&self.versions) = versions.into_iter().map(|(kind, _)| kind).collect();
        let known = std::mem::replace(&mut *lock(&self.kinds), served.clone());
        // Built-in kinds never go; a server that leaves one out for a moment must not blind their controllers.
        for lost in known
            .difference(&served)
            .filter(|kind| kind.group.contains('.') && !kind.group.ends_with(".k8s.io"))
        {
            self.context.hub.forget(lost);
        }
        for kind in served.difference(&known) {
            let cache = self.context.hub.metadata_cache(kind);
            let (graph, queue, resource) = (Arc::clone(&self.graph), Arc::clone(&self.queue), kind.clone());
            cache.subscribe(move |change| {
                let mut graph = lock(&graph);
                let mut visit = Vec::new();
                if let Some(old) = change
                    .old
                    .as_ref()
                    .filter(|old| change.new.as_ref().is_none_or(|new| new.uid() != old.uid()))
                {
                    visit = graph.remove(old);
                }
                if let Some(new) = &change.new {
                    visit.extend(graph.put(&resource, new));
                }
                visit.into_iter().for_each(|uid| queue.add(uid));
            });
        }
        for kind in &served {
            // A kind that cannot be listed must not stop the rest; its objects are asked for one by one.
            let _ = timeout(SYNC_TIMEOUT, self.context.hub.metadata_cache(kind).wait_synced()).await;
        }
        Ok(())
    }

    async fn reconcile(&self, uid: String) -> kube::Result<Again> {
        let (action, node) = {
            let graph = lock(&self.graph);
            (graph.plan(&uid), graph.node(&uid).cloned())
        };
        let Some(node) = node else { return Ok(None) };
        match action {
            Action::Nothing => Ok(None),
            Action::AskFor(owners) => self.ask(&node, owners).await,
            Action::Delete(propagation) => self.apply_delete(&node, propagation).await.map(|()| None),
            Action::DropOwners(owners) => self.apply_drop_owners(&node, &owners).await.map(|()| None),
            Action::DropFinalizer(name) => self.apply_drop_finalizer(&node, name).await.map(|()| None),
            Action::VisitDependents => {
                lock(&self.graph)
                    .dependents(&uid)
                    .iter()
                    .for_each(|dependent| self.queue.add(dependent.object.uid().to_owned()));
                Ok(None)
            }
            Action::OrphanDependents => {
                let dependents = lock(&self.graph).dependents(&uid);
                for dependent in &dependents {
                    self.apply_drop_owners(dependent, &BTreeSet::from([uid.clone()])).await?;
                }
                self.apply_drop_finalizer(&node, ORPHAN).await.map(|()| None)
            }
        }
    }

    async fn ask(&self, node: &Node, owners: Vec<String>) -> kube::Result<Again> {
        let fresh = owners.iter().any(|owner| lock(&self.waited_for).insert(owner.clone()));
        if fresh {
            return Ok(Some(PATIENCE));
        }
        for owner in node.object.owners().filter(|owner| owners.iter().any(|uid| uid == owner.uid)) {
            let is_it = |kind: &&Resource| kind.api_version() == owner.api_version && kind.kind == owner.kind;
            let kind = lock(&self.versions).iter().find(is_it).cloned();
            // Nothing is deleted on the word of a kind that is not served.
            let Some(kind) = kind else { continue };
            let key = Key::new(if kind.namespaced { node.object.namespace() } else { "" }, owner.name);
            let exists = match self.context.api.fetch(&kind, &key).await {
                Ok(found) => found.uid() == owner.uid,
                Err(error) if is_not_found(&error) => false,
                Err(error) => return Err(error),
            };
            lock(&self.graph).note_answer(owner.uid, exists);
            lock(&self.waited_for).remove(owner.uid);
        }
        let settled = !matches!(lock(&self.graph).plan(node.object.uid()), Action::AskFor(_));
        Ok(settled.then_some(Duration::ZERO))
    }

    async fn apply_delete(&self, node: &Node, propagation: Propagation) -> kube::Result<()> {
        let options = DeleteOptions {
            propagation: Some(propagation),
            uid: Some(node.object.uid().to_owned()),
            // That the owner went may be heard before that it let go of this object; such a delete is refused, and
            // decided again.
            resource_version: Some(node.object.resource_version().to_owned()),
            ..DeleteOptions::default()
        };
        match self.context.api.send_delete(&node.resource, &node.object.key(), &options).await {
            Err(error) if !is_not_found(&error) => Err(error),
            _ => Ok(()),
        }
    }

    async fn apply_drop_owners(&self, node: &Node, owners: &BTreeSet<String>) -> kube::Result<()> {
        let kept: Vec<&Value> = node
            .object
            .list("/metadata/ownerReferences")
            .iter()
            .filter(|entry| !owners.contains(text(entry, "uid")))
            .collect();
        self.apply_metadata(node, "ownerReferences", json!(kept)).await
    }

    async fn apply_drop_finalizer(&self, node: &Node, finalizer: &str) -> kube::Result<()> {
        let kept: Vec<&str> = node.object.finalizers().filter(|name| *name != finalizer).collect();
        self.apply_metadata(node, "finalizers", json!(kept)).await
    }

    async fn apply_metadata(&self, node: &Node, field: &str, value: Value) -> kube::Result<()> {
        let mut patch = json!({"metadata": {"uid": node.object.uid(), "resourceVersion": node.object.resource_version()}});
        patch["metadata"][field] = value;
        match self.context.api.send_patch(&node.resource, &node.object.key(), None, &patch).await {
            Err(error) if !is_not_found(&error) => Err(error),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_kinds_that_can_be_listed_watched_and_deleted_are_collected() {
        let all = json!(["create", "delete", "get", "list", "watch"]);
        let entry = |plural: &str, kind: &str, verbs: &Value| json!({"resource": plural, "responseKind": {"kind": kind}, "scope": "Namespaced", "verbs": verbs});
        let document = json!({"items": [{"metadata": {"name": "example.com"}, "versions": [
            {"version": "v2", "resources": [entry("widgets", "Widget", &all), entry("events", "Event", &all)]},
            {"version": "v1", "resources": [entry("widgets", "Widget", &all), entry("gears", "Gear", &all), entry("bindings", "Binding", &json!(["create"]))]},
        ]}]});
        let kind = |version: &str, plural: &str, kind: &str| {
            Resource::discovered("example.com", version, plural, kind, true)
        };
        let expected = [
            (kind("v2", "widgets", "Widget"), true),
            (kind("v1", "widgets", "Widget"), false),
            (kind("v1", "gears", "Gear"), true),
        ];
        assert_eq!(parse_discovery(&document), expected);
    }
}
