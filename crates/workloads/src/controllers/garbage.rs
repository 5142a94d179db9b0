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
use crate::api::{Api, DeleteOptions, Propagation, is_conflict, is_not_found};
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
    let mut kinds = parse_kinds("", "v1", &api.fetch_path("/api/v1").await?);
    let groups = api.fetch_path("/apis").await?;
    for group in groups.get("groups").and_then(Value::as_array).into_iter().flatten() {
        let name = text(group, "name");
        let preferred =
            group.pointer("/preferredVersion/version").or_else(|| group.pointer("/versions/0/version"));
        let Some(version) = preferred.and_then(Value::as_str) else { continue };
        match api.fetch_path(&format!("/apis/{name}/{version}")).await {
            Ok(list) => kinds.extend(parse_kinds(name, version, &list)),
            // A group that went away between the two requests.
            Err(error) if is_not_found(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(kinds)
}

fn parse_kinds(group: &str, version: &str, list: &Value) -> Vec<Resource> {
    let entries = list.get("resources").and_then(Value::as_array).into_iter().flatten();
    let useful = entries.filter(|entry| {
        let verbs: Vec<&str> = entry
            .get("verbs")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let name = text(entry, "name");
        !name.contains('/')
            && name != "events"
            && ["list", "watch", "delete"].iter().all(|verb| verbs.contains(verb))
    });
    useful
        .map(|entry| {
            let namespaced = entry.get("namespaced").and_then(Value::as_bool).unwrap_or(false);
            Resource::discovered(group, version, text(entry, "name"), text(entry, "kind"), namespaced)
        })
        .collect()
}

struct Collector {
    context: Context,
    graph: Arc<Mutex<OwnerGraph>>,
    queue: Arc<Queue<String>>,
    kinds: Mutex<BTreeSet<Resource>>,
    // Owners already waited for once.
    waited_for: Mutex<BTreeSet<String>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs the collector until it is dropped.
pub async fn run(context: Context) {
    let changed = Arc::new(Notify::new());
    let crds = context.hub.cache(&CRDS);
    let notify = Arc::clone(&changed);
    crds.subscribe(move |change| {
        let served = |crd: &crate::object::Object| {
            (crd.at("/spec/versions").cloned(), crd.condition_is_true("Established"))
        };
        if change.old.as_ref().map(served) != change.new.as_ref().map(served) {
            notify.notify_one();
        }
    });
    let collector = Collector {
        context,
        graph: Arc::default(),
        queue: Queue::new(),
        kinds: Mutex::default(),
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
        let served: BTreeSet<Resource> = fetch_kinds(&self.context.api).await?.into_iter().collect();
        let known = std::mem::replace(&mut *lock(&self.kinds), served.clone());
        // Built-in kinds never go; a server that leaves one out for a moment must not blind their controllers.
        for lost in known
            .difference(&served)
            .filter(|kind| kind.group.contains('.') && !kind.group.ends_with(".k8s.io"))
        {
            self.context.hub.forget(lost);
        }
        for kind in served.difference(&known) {
            let cache = self.context.hub.cache(kind);
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
            let _ = timeout(SYNC_TIMEOUT, self.context.hub.cache(kind).wait_synced()).await;
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
            let kind = lock(&self.kinds)
                .iter()
                .find(|kind| kind.api_version() == owner.api_version && kind.kind == owner.kind)
                .cloned();
            let kind = match kind {
                Some(kind) => Some(kind),
                None => self.fetch_kind(owner.api_version, owner.kind).await?,
            };
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

    /// A kind in a version other than the preferred one.
    async fn fetch_kind(&self, api_version: &str, kind: &str) -> kube::Result<Option<Resource>> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let path =
            if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
        match self.context.api.fetch_path(&path).await {
            Ok(list) => Ok(parse_kinds(group, version, &list).into_iter().find(|found| found.kind == kind)),
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn apply_delete(&self, node: &Node, propagation: Propagation) -> kube::Result<()> {
        let options = DeleteOptions {
            propagation: Some(propagation),
            uid: Some(node.object.uid().to_owned()),
            ..DeleteOptions::default()
        };
        ignore_gone(
            self.context.api.send_delete(&node.resource, &node.object.key(), &options).await.map(|_| ()),
        )
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

/// An object that is gone, or is another one by now, needs no deleting.
fn ignore_gone(result: kube::Result<()>) -> kube::Result<()> {
    match result {
        Err(error) if !is_not_found(&error) && !is_conflict(&error) => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_kinds_that_can_be_listed_watched_and_deleted_are_collected() {
        let all = json!(["create", "delete", "get", "list", "watch"]);
        let list = json!({"resources": [
            {"name": "pods", "kind": "Pod", "namespaced": true, "verbs": all},
            {"name": "pods/status", "kind": "Pod", "namespaced": true, "verbs": all},
            {"name": "events", "kind": "Event", "namespaced": true, "verbs": all},
            {"name": "bindings", "kind": "Binding", "namespaced": true, "verbs": ["create"]},
        ]});
        assert_eq!(parse_kinds("", "v1", &list), [Resource::discovered("", "v1", "pods", "Pod", true)]);
    }
}
