//! The caches: what the watches have said so far, one store per kind, and who waits for a version.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::object::{ObjectKey, Stored, Version};
use crate::resource::Kind;

/// What a cache learned about one object.
#[derive(Clone, Debug)]
pub struct Change {
    /// The kind.
    pub kind: Kind,
    /// The object.
    pub key: ObjectKey,
    /// What was known before.
    pub before: Option<Stored>,
    /// What is known now; `None` when it is gone.
    pub after: Option<Stored>,
}

/// The state in which a cache includes a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// The object is cached at this version or a newer one, or is gone.
    Reached(Version),
    /// The object with this uid is gone or on its way out.
    Gone(Arc<str>),
}

#[derive(Default)]
struct Store {
    objects: BTreeMap<ObjectKey, Stored>,
    owned: HashMap<Arc<str>, BTreeSet<ObjectKey>>,
    /// Who waits for a state of an object.
    waiters: Vec<(ObjectKey, Awaited, oneshot::Sender<()>)>,
    synced: bool,
    /// How far the watch has come: an object that is not here and was written before that is gone.
    seen: Version,
    bytes: usize,
}

/// All caches of one controller.
pub struct Caches {
    stores: Vec<Mutex<Store>>,
}

impl Default for Caches {
    fn default() -> Self {
        Self { stores: Kind::ALL.iter().map(|_| Mutex::default()).collect() }
    }
}

impl Caches {
    fn store(&self, kind: Kind) -> MutexGuard<'_, Store> {
        // A panic while the lock was held leaves at worst one object stale, which the next event repairs.
        self.stores[kind.index()].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One object.
    #[must_use]
    pub fn get(&self, kind: Kind, key: &ObjectKey) -> Option<Stored> {
        self.store(kind).objects.get(key).cloned()
    }

    /// The objects that the owner with this uid controls; those nobody controls when it is empty.
    #[must_use]
    pub fn owned_by(&self, kind: Kind, owner: &str) -> Vec<(ObjectKey, Stored)> {
        let store = self.store(kind);
        let keys = store.owned.get(owner);
        keys.into_iter()
            .flatten()
            .filter_map(|key| store.objects.get(key).map(|stored| (key.clone(), stored.clone())))
            .collect()
    }

    /// Calls `visit` with every object of a kind.
    pub fn each(&self, kind: Kind, mut visit: impl FnMut(&ObjectKey, &Stored)) {
        for (key, stored) in &self.store(kind).objects {
            visit(key, stored);
        }
    }

    /// Every key of a kind.
    #[must_use]
    pub fn keys(&self, kind: Kind) -> Vec<ObjectKey> {
        self.store(kind).objects.keys().cloned().collect()
    }

    /// How many objects of a kind are cached, and their size in bytes.
    #[must_use]
    pub fn size(&self, kind: Kind) -> (usize, usize) {
        let store = self.store(kind);
        (store.objects.len(), store.bytes)
    }

    /// Whether the kind has been listed completely once (or turned out not to be served).
    #[must_use]
    pub fn is_synced(&self, kind: Kind) -> bool {
        self.store(kind).synced
    }

    /// Marks the kind as listed completely.
    pub(crate) fn set_synced(&self, kind: Kind) {
        self.store(kind).synced = true;
    }

    /// Notes how far the list or the watch of a kind has come.
    pub(crate) fn set_seen(&self, kind: Kind, version: &str) {
        // A version that is no number says nothing about other objects.
        self.store(kind).seen = Version(version.parse().unwrap_or_default());
    }

    /// Takes in an object as it is now. `None` when nothing is new about it.
    pub(crate) fn apply(&self, kind: Kind, key: ObjectKey, stored: Stored) -> Option<Change> {
        let mut store = self.store(kind);
        let before = store.objects.get(&key);
        if let Some(before) = before
            && before.uid == stored.uid
            && before.version >= stored.version
        {
            return None;
        }
        let before = store.insert(key.clone(), stored.clone());
        store.wake(&key);
        Some(Change { kind, key, before, after: Some(stored) })
    }

    /// Takes in that an object is gone. `None` when it was not known.
    pub(crate) fn delete(&self, kind: Kind, key: &ObjectKey) -> Option<Change> {
        let mut store = self.store(kind);
        let before = store.remove(key);
        store.wake(key);
        before.map(|before| Change { kind, key: key.clone(), before: Some(before), after: None })
    }

    /// After a complete list: whatever was not in it is gone.
    pub(crate) fn retain(&self, kind: Kind, listed: &HashSet<ObjectKey>) -> Vec<Change> {
        let missing: Vec<ObjectKey> =
            self.store(kind).objects.keys().filter(|key| !listed.contains(*key)).cloned().collect();
        missing.iter().filter_map(|key| self.delete(kind, key)).collect()
    }

    /// Whether the cache already includes a write.
    #[must_use]
    pub fn includes(&self, kind: Kind, key: &ObjectKey, awaited: &Awaited) -> bool {
        self.store(kind).includes(key, awaited)
    }

    /// Resolves when the cache includes a write; `None` when it does already.
    pub(crate) fn wait_for(
        &self,
        kind: Kind,
        key: &ObjectKey,
        awaited: Awaited,
    ) -> Option<oneshot::Receiver<()>> {
        let mut store = self.store(kind);
        if store.includes(key, &awaited) {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        store.waiters.retain(|(_, _, waiter)| !waiter.is_closed());
        store.waiters.push((key.clone(), awaited, sender));
        Some(receiver)
    }
}

impl Store {
    fn insert(&mut self, key: ObjectKey, stored: Stored) -> Option<Stored> {
        self.bytes += stored.body.len();
        let owner = Arc::clone(&stored.owner);
        let before = self.objects.insert(key.clone(), stored);
        if let Some(before) = &before {
            self.bytes -= before.body.len();
            if before.owner == owner {
                return Some(before.clone());
            }
            self.disown(&before.owner.clone(), &key);
        }
        self.owned.entry(owner).or_default().insert(key);
        before
    }

    fn remove(&mut self, key: &ObjectKey) -> Option<Stored> {
        let before = self.objects.remove(key)?;
        self.bytes -= before.body.len();
        self.disown(&before.owner, key);
        Some(before)
    }

    fn disown(&mut self, owner: &str, key: &ObjectKey) {
        if let Some(keys) = self.owned.get_mut(owner) {
            keys.remove(key);
            if keys.is_empty() {
                self.owned.remove(owner);
            }
        }
    }

    fn includes(&self, key: &ObjectKey, awaited: &Awaited) -> bool {
        match (self.objects.get(key), awaited) {
            // A create that has not shown up yet and an object that vanished meanwhile are told apart by how far the
            // watch has come; versions of one kind can be compared.
            (None, Awaited::Reached(version)) => self.seen.reaches(*version),
            (Some(stored), Awaited::Reached(version)) => stored.version.reaches(*version),
            (None, Awaited::Gone(_)) => true,
            (Some(stored), Awaited::Gone(uid)) => {
                stored.uid != *uid || contains(&stored.body, b"\"deletionTimestamp\":")
            }
        }
    }

    fn wake(&mut self, key: &ObjectKey) {
        if self.waiters.is_empty() {
            return;
        }
        let gone = !self.objects.contains_key(key);
        for (_, _, waiter) in self.take_satisfied(key, gone) {
            // The waiter may have given up meanwhile.
            let _ = waiter.send(());
        }
    }

    fn take_satisfied(
        &mut self,
        key: &ObjectKey,
        gone: bool,
    ) -> Vec<(ObjectKey, Awaited, oneshot::Sender<()>)> {
        let (mut satisfied, mut rest) = (Vec::new(), Vec::new());
        for waiter in std::mem::take(&mut self.waiters) {
            if waiter.0 == *key && (gone || self.includes(key, &waiter.1)) {
                satisfied.push(waiter);
            } else {
                rest.push(waiter);
            }
        }
        self.waiters = rest;
        satisfied
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn set(name: &str, version: &str, owner: &str) -> (ObjectKey, Stored) {
        Stored::new(
            Kind::ReplicaSet,
            json!({"metadata": {"name": name, "namespace": "n", "uid": format!("uid-{name}"), "resourceVersion": version,
                "ownerReferences": [{"uid": owner, "controller": true}]}}),
        )
        .unwrap()
    }

    fn put(caches: &Caches, name: &str, version: &str, owner: &str) -> Option<Change> {
        let (key, stored) = set(name, version, owner);
        caches.apply(Kind::ReplicaSet, key, stored)
    }

    #[test]
    fn the_same_or_an_older_version_is_no_change() {
        let caches = Caches::default();
        assert!(put(&caches, "a", "5", "o").is_some());
        assert!(put(&caches, "a", "5", "o").is_none());
        assert!(put(&caches, "a", "4", "o").is_none());
        assert!(put(&caches, "a", "6", "o").is_some());
    }

    #[test]
    fn the_owner_index_follows_adoption_and_deletion() {
        let caches = Caches::default();
        put(&caches, "a", "1", "x");
        put(&caches, "b", "2", "x");
        put(&caches, "a", "3", "y");
        let names = |owner: &str| {
            caches
                .owned_by(Kind::ReplicaSet, owner)
                .iter()
                .map(|(key, _)| key.name.to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!((names("x"), names("y")), (vec!["b".to_owned()], vec!["a".to_owned()]));
        caches.delete(Kind::ReplicaSet, &ObjectKey::new("n", "b"));
        assert_eq!(names("x"), Vec::<String>::new());
    }

    #[test]
    fn a_list_removes_what_it_does_not_name() {
        let caches = Caches::default();
        put(&caches, "a", "1", "x");
        put(&caches, "b", "2", "x");
        let gone = caches.retain(Kind::ReplicaSet, &HashSet::from([ObjectKey::new("n", "a")]));
        assert_eq!(gone.iter().map(|change| &*change.key.name).collect::<Vec<_>>(), ["b"]);
        assert_eq!(caches.size(Kind::ReplicaSet).0, 1);
    }

    #[tokio::test]
    async fn a_wait_ends_when_the_written_version_arrives_and_not_before() {
        let caches = Caches::default();
        put(&caches, "a", "1", "x");
        let key = ObjectKey::new("n", "a");
        let awaited = Awaited::Reached(Version(3));
        let mut wait = caches.wait_for(Kind::ReplicaSet, &key, awaited.clone()).unwrap();
        put(&caches, "a", "2", "x");
        assert!(wait.try_recv().is_err());
        put(&caches, "a", "3", "x");
        wait.await.unwrap();
        assert!(caches.wait_for(Kind::ReplicaSet, &key, awaited).is_none());
    }

    #[test]
    fn an_object_that_is_not_there_is_gone_once_the_watch_is_past_the_write_and_was_not_heard_of_before() {
        let caches = Caches::default();
        put(&caches, "a", "1", "x");
        caches.set_seen(Kind::ReplicaSet, "1");
        let includes = |version| {
            caches.includes(Kind::ReplicaSet, &ObjectKey::new("n", "b"), &Awaited::Reached(Version(version)))
        };
        assert!(!includes(2));
        caches.set_seen(Kind::ReplicaSet, "3");
        assert!(includes(2) && includes(3) && !includes(4));
        caches.set_seen(Kind::ReplicaSet, "no number");
        assert!(!includes(2));
    }

    #[tokio::test]
    async fn a_wait_for_a_deletion_ends_when_the_object_vanishes() {
        let caches = Caches::default();
        put(&caches, "a", "1", "x");
        let key = ObjectKey::new("n", "a");
        let wait = caches.wait_for(Kind::ReplicaSet, &key, Awaited::Gone("uid-a".into())).unwrap();
        caches.delete(Kind::ReplicaSet, &key);
        wait.await.unwrap();
    }
}
