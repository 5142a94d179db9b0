//! Local caches: one watch per kind, shared by every controller that reads it.
//!
//! A [`Hub`] owns the watches. A [`Cache`] answers reads, keeps an index by managing controller, tells
//! subscribers what changed, and lets a writer wait until its own write has come back around.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use kube::core::WatchEvent;
#[cfg(test)]
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

use crate::api::{Api, Depth, WATCH_SECONDS, prune};
use crate::object::{Key, Object};
use crate::resource::Resource;
use crate::shelf::Shelf;

/// How long a writer waits for its own write to come back before it goes on regardless.
const ECHO_TIMEOUT: Duration = Duration::from_secs(5);

/// What happened to one object.
#[derive(Clone, Debug)]
pub struct Change {
    /// The object before, if it was known.
    pub old: Option<Object>,
    /// The object now, if it is still there.
    pub new: Option<Object>,
}

impl Change {
    /// The newest state known of the object.
    #[must_use]
    pub fn latest(&self) -> Option<&Object> {
        self.new.as_ref().or(self.old.as_ref())
    }
}

type Subscriber = Box<dyn Fn(&Change) + Send + Sync>;

#[derive(Default)]
struct State {
    objects: Shelf,
    by_controller: HashMap<String, BTreeSet<Key>>,
}

impl State {
    fn put(&mut self, object: Object) -> Change {
        let key = object.key();
        let old = self.objects.insert(key.clone(), object.clone());
        if let Some(old) = &old {
            self.forget_index(old, &key);
        }
        self.by_controller.entry(controller_uid(&object)).or_default().insert(key);
        Change { old, new: Some(object) }
    }

    fn remove(&mut self, key: &Key) -> Option<Object> {
        let old = self.objects.remove(key)?;
        self.forget_index(&old, key);
        Some(old)
    }

    fn forget_index(&mut self, object: &Object, key: &Key) {
        let uid = controller_uid(object);
        if let Some(keys) = self.by_controller.get_mut(&uid) {
            keys.remove(key);
            if keys.is_empty() {
                self.by_controller.remove(&uid);
            }
        }
    }
}

fn controller_uid(object: &Object) -> String {
    object.controller().map_or_else(String::new, |owner| owner.uid.to_owned())
}

/// The objects of one kind as last heard from the server.
pub struct Cache {
    resource: Resource,
    state: Mutex<State>,
    // Held while changes are delivered, so that a late subscriber sees every object exactly once.
    subscribers: Mutex<Vec<Subscriber>>,
    seen: watch::Sender<u64>,
    synced: watch::Sender<bool>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Cache {
    fn new(resource: Resource) -> Self {
        Self {
            resource,
            state: Mutex::default(),
            subscribers: Mutex::default(),
            seen: watch::Sender::new(0),
            synced: watch::Sender::new(false),
        }
    }

    /// The kind this cache holds.
    #[must_use]
    pub fn resource(&self) -> &Resource {
        &self.resource
    }

    /// One object.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Object> {
        lock(&self.state).objects.get(key)
    }

    /// All objects, or those of one namespace.
    #[must_use]
    pub fn list(&self, namespace: Option<&str>) -> Vec<Object> {
        let state = lock(&self.state);
        match namespace {
            None => state.objects.values().collect(),
            Some(namespace) => state
                .objects
                .range(Key::new(namespace, "")..)
                .take_while(|(key, _)| key.namespace == namespace)
                .map(|(_, object)| object)
                .collect(),
        }
    }

    /// The objects whose managing controller has `uid`; with an empty `uid`, those without one.
    #[must_use]
    pub fn controlled_by(&self, uid: &str) -> Vec<Object> {
        let state = lock(&self.state);
        let keys = state.by_controller.get(uid);
        keys.into_iter().flatten().filter_map(|key| state.objects.get(key)).collect()
    }

    /// Calls `subscriber` for every object known now (as an addition) and for every change from now on.
    pub fn subscribe(&self, subscriber: impl Fn(&Change) + Send + Sync + 'static) {
        let mut subscribers = lock(&self.subscribers);
        for object in self.list(None) {
            subscriber(&Change { old: None, new: Some(object) });
        }
        subscribers.push(Box::new(subscriber));
    }

    /// Resolves once the first list has been read.
    pub async fn wait_synced(&self) {
        // The sender lives in this cache, so waiting cannot fail.
        let _ = self.synced.subscribe().wait_for(|synced| *synced).await;
    }

    /// Resolves once every change up to the resource version of `written` has been seen, or after a bound.
    pub async fn wait_for_echo(&self, written: &Object) {
        let revision = written.revision();
        let mut seen = self.seen.subscribe();
        let _ = timeout(ECHO_TIMEOUT, seen.wait_for(|seen| *seen >= revision)).await;
    }

    /// Resolves once `key` is gone, is being deleted, or belongs to another object than `uid`, or after a bound.
    pub async fn wait_for_deletion(&self, key: &Key, uid: &str) {
        self.wait_until(|| self.get(key).is_none_or(|object| object.is_deleting() || object.uid() != uid))
            .await;
    }

    /// Resolves once `done` holds (asked after every change), or after a bound.
    pub async fn wait_until(&self, done: impl Fn() -> bool) {
        let mut seen = self.seen.subscribe();
        let _ = timeout(ECHO_TIMEOUT, seen.wait_for(|_| done())).await;
    }

    fn deliver(&self, changes: Vec<Change>, revision: u64, subscribers: &[Subscriber]) {
        for change in &changes {
            for subscriber in subscribers {
                subscriber(change);
            }
        }
        self.seen.send_if_modified(|seen| {
            let newer = revision > *seen;
            *seen = (*seen).max(revision);
            newer || !changes.is_empty()
        });
    }

    fn replace_all(&self, objects: Vec<Object>, revision: u64) {
        let subscribers = lock(&self.subscribers);
        let mut changes = Vec::new();
        {
            let mut state = lock(&self.state);
            let kept: BTreeSet<Key> = objects.iter().map(Object::key).collect();
            let lost: Vec<Key> = state.objects.keys().filter(|key| !kept.contains(*key)).cloned().collect();
            for key in lost {
                changes.push(Change { old: state.remove(&key), new: None });
            }
            for object in objects {
                let known = state.objects.get(&object.key());
                if known.is_none_or(|known| known.resource_version() != object.resource_version()) {
                    changes.push(state.put(object));
                }
            }
        }
        self.deliver(changes, revision, &subscribers);
        self.synced.send_if_modified(|synced| !std::mem::replace(synced, true));
    }

    fn put(&self, object: Object) {
        let subscribers = lock(&self.subscribers);
        let revision = object.revision();
        let change = lock(&self.state).put(object);
        self.deliver(vec![change], revision, &subscribers);
    }

    fn remove(&self, object: &Object) {
        let subscribers = lock(&self.subscribers);
        lock(&self.state).remove(&object.key());
        // The event's last state names owners and labels better than an older cached one would.
        let change = Change { old: Some(object.clone()), new: None };
        self.deliver(vec![change], object.revision(), &subscribers);
    }
}

/// Owns one watch per kind.
pub struct Hub {
    api: Api,
    caches: Mutex<BTreeMap<(Resource, Depth), (Arc<Cache>, AbortHandle)>>,
    feeds: Mutex<JoinSet<()>>,
}

impl Hub {
    /// A hub without watches yet.
    #[must_use]
    pub fn new(api: Api) -> Arc<Self> {
        Arc::new(Self { api, caches: Mutex::default(), feeds: Mutex::default() })
    }

    /// The cache of one kind; its watch starts on first use. Must be called within a tokio runtime.
    pub fn cache(&self, resource: &Resource) -> Arc<Cache> {
        self.cache_at(resource, Depth::Whole)
    }

    /// A cache that holds at least the metadata of one kind's objects: the whole one if there is one.
    pub fn metadata_cache(&self, resource: &Resource) -> Arc<Cache> {
        let whole =
            lock(&self.caches).get(&(resource.clone(), Depth::Whole)).map(|(cache, _)| Arc::clone(cache));
        whole.unwrap_or_else(|| self.cache_at(resource, Depth::Metadata))
    }

    fn cache_at(&self, resource: &Resource, depth: Depth) -> Arc<Cache> {
        let mut caches = lock(&self.caches);
        if let Some((cache, _)) = caches.get(&(resource.clone(), depth)) {
            return Arc::clone(cache);
        }
        let cache = Arc::new(Cache::new(resource.clone()));
        let feed = lock(&self.feeds).spawn(watch_kind(self.api.clone(), Arc::clone(&cache), depth));
        caches.insert((resource.clone(), depth), (Arc::clone(&cache), feed));
        cache
    }

    /// Stops the watch of a kind that is no longer served; what its cache held counts as gone.
    pub fn forget(&self, resource: &Resource) {
        for depth in [Depth::Whole, Depth::Metadata] {
            let lost = lock(&self.caches).remove(&(resource.clone(), depth));
            if let Some((cache, feed)) = lost {
                feed.abort();
                cache.replace_all(Vec::new(), 0);
            }
        }
    }

    /// Stops every watch.
    pub fn stop(&self) {
        lock(&self.feeds).abort_all();
    }
}

/// Lists, then watches, and keeps doing so: the only writer of a cache.
async fn watch_kind(api: Api, cache: Arc<Cache>, depth: Depth) {
    let mut delay = Duration::from_millis(50);
    loop {
        let failed = match api.fetch_list_at(cache.resource(), None, depth).await {
            Ok((objects, version)) => {
                delay = Duration::from_millis(50);
                cache.replace_all(objects, version.parse().unwrap_or(0));
                follow(&api, &cache, depth, version).await
            }
            Err(error) => Some(error),
        };
        if let Some(error) = failed {
            tracing::debug!(kind = %cache.resource().kind, %error, "cannot list or watch, trying again");
            sleep(delay).await;
            delay = (delay * 2).min(Duration::from_secs(10));
        }
    }
}

/// Watches from `version` on until the server wants a fresh list (`None`) or fails.
async fn follow(api: &Api, cache: &Cache, depth: Depth, mut version: String) -> Option<kube::Error> {
    let mut failures = 0;
    loop {
        let mut events = match api.watch(cache.resource(), depth, &version).await {
            Ok(events) => events,
            Err(kube::Error::Api(status)) if status.code == 410 => return None,
            Err(error) if failures >= 3 => return Some(error),
            Err(_) => {
                failures += 1;
                sleep(Duration::from_millis(100 << failures)).await;
                continue;
            }
        };
        let patience = Duration::from_secs(WATCH_SECONDS + 30);
        loop {
            let event = match timeout(patience, events.next()).await {
                Ok(Some(Ok(event))) => event,
                Ok(Some(Err(kube::Error::Api(status)))) if status.code == 410 => return None,
                Ok(None) | Err(_) => break,
                Ok(Some(Err(error))) => {
                    tracing::debug!(kind = %cache.resource().kind, %error, "watch broke, renewing it");
                    failures += 1;
                    if failures > 3 {
                        return Some(error);
                    }
                    break;
                }
            };
            failures = 0;
            match event {
                WatchEvent::Added(value) | WatchEvent::Modified(value) => {
                    let object = prune(value);
                    version = object.resource_version().to_owned();
                    cache.put(object);
                }
                WatchEvent::Deleted(value) => {
                    let object = prune(value);
                    version = object.resource_version().to_owned();
                    cache.remove(&object);
                }
                WatchEvent::Bookmark(bookmark) => {
                    version = bookmark.metadata.resource_version;
                    cache.deliver(Vec::new(), version.parse().unwrap_or(0), &[]);
                }
                WatchEvent::Error(status) if status.code == 410 => return None,
                WatchEvent::Error(status) => return Some(kube::Error::Api(status)),
            }
        }
    }
}

/// A cache with fixed content, for tests of pure code that reads one.
#[cfg(test)]
pub(crate) fn fixed_cache(resource: &Resource, objects: Vec<Value>) -> Cache {
    let cache = Cache::new(resource.clone());
    cache.replace_all(objects.into_iter().map(Object::from).collect(), 1);
    cache
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::json;

    use super::*;
    use crate::resource::PODS;

    fn pod(name: &str, version: u64, owner: Option<&str>) -> Value {
        let owners: Vec<Value> = owner
            .map(|uid| json!({"uid": uid, "kind": "ReplicaSet", "name": "r", "controller": true}))
            .into_iter()
            .collect();
        json!({"metadata": {"name": name, "namespace": "n", "uid": name, "resourceVersion": version.to_string(),
            "ownerReferences": owners}})
    }

    #[test]
    fn the_index_follows_adoption_release_and_loss() {
        let cache = fixed_cache(&PODS, vec![pod("a", 1, Some("u")), pod("b", 1, None)]);
        assert_eq!(cache.controlled_by("u").len(), 1);
        assert_eq!(cache.controlled_by("").len(), 1);
        cache.put(pod("b", 2, Some("u")).into());
        assert_eq!(cache.controlled_by("u").len(), 2);
        assert_eq!(cache.controlled_by("").len(), 0);
        cache.replace_all(vec![Object::from(pod("b", 3, None))], 3);
        assert_eq!(cache.controlled_by("u").len(), 0);
        assert_eq!(cache.list(Some("n")).len(), 1);
        assert_eq!(cache.list(Some("m")).len(), 0);
    }

    #[test]
    fn a_late_subscriber_hears_of_what_is_already_there_and_nothing_twice() {
        let cache = fixed_cache(&PODS, vec![pod("a", 1, None)]);
        let heard = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&heard);
        cache.subscribe(move |_| {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        cache.replace_all(vec![Object::from(pod("a", 1, None))], 5);
        assert_eq!(heard.load(Ordering::Relaxed), 1);
        cache.remove(&Object::from(pod("a", 6, None)));
        assert_eq!(heard.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_an_echo_ends_when_the_revision_was_seen() {
        let cache = fixed_cache(&PODS, vec![]);
        let before = tokio::time::Instant::now();
        let written = Object::from(pod("a", 4, None));
        tokio::join!(cache.wait_for_echo(&written), async {
            sleep(Duration::from_millis(10)).await;
            cache.put(pod("a", 4, None).into());
        });
        assert_eq!(before.elapsed(), Duration::from_millis(10));
    }
}
