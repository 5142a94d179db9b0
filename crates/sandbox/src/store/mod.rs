//! The object store: compact JSON per object, one resourceVersion for everything, a log of changes
//! per table.
//!
//! The store knows neither kinds nor rules. It keeps what it is given, numbers every write, and
//! answers what changed since a number. Everything happens under one lock that is never held across
//! an await.

mod changes;
mod journal;
mod stored;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::watch;

pub(crate) use changes::{Change, ChangeLog, Compacted};
pub use journal::JournalError;
use journal::{Journal, Record};
pub(crate) use stored::{Key, Stored};

use crate::document;
use crate::kinds::selectable_fields;

/// A restart skips this many versions, so that none that a reader may have seen before a crash is
/// given out twice.
const VERSIONS_SKIPPED_AT_RESTART: u64 = 1000;

/// All objects, behind one lock.
pub(crate) struct Store {
    inner: Mutex<Contents>,
    durable: Option<watch::Receiver<Result<u64, Arc<str>>>>,
}

/// What the lock protects.
pub(crate) struct Contents {
    resource_version: u64,
    tables: HashMap<Arc<str>, Table>,
    journal: Option<Journal>,
    written: u64,
}

/// The objects of one resource.
pub(crate) struct Table {
    pub objects: BTreeMap<Key, Arc<Stored>>,
    pub log: ChangeLog,
    changed: watch::Sender<u64>,
}

impl Table {
    fn new(floor: u64) -> Self {
        Self { objects: BTreeMap::new(), log: ChangeLog::starting_at(floor), changed: watch::channel(0).0 }
    }

    /// The objects of one namespace, or of all when it is empty, in key order.
    pub fn scope<'a>(&'a self, namespace: &'a str) -> impl Iterator<Item = &'a Arc<Stored>> {
        let from = Key::new(namespace, "");
        self.objects
            .range(from..)
            .take_while(move |(key, _)| namespace.is_empty() || key.namespace() == namespace)
            .map(|(_, stored)| stored)
    }

    /// The objects as they were right after the write numbered `at`.
    pub fn snapshot(&self, namespace: &str, at: u64) -> Result<Vec<Arc<Stored>>, Compacted> {
        let mut objects: BTreeMap<Key, Arc<Stored>> =
            self.scope(namespace).map(|stored| (stored.key.clone(), Arc::clone(stored))).collect();
        for change in self.log.since(at)?.rev() {
            let key = &change.object.key;
            if !namespace.is_empty() && key.namespace() != namespace {
                continue;
            }
            match &change.previous {
                Some(previous) => objects.insert(key.clone(), Arc::clone(previous)),
                None => objects.remove(key),
            };
        }
        Ok(objects.into_values().collect())
    }
}

impl Store {
    /// A store in memory only.
    pub fn in_memory() -> Self {
        Self { inner: Mutex::new(Contents::new(0)), durable: None }
    }

    /// A store that is kept in `folder` too, holding what an earlier run acknowledged.
    pub fn open(folder: &Path) -> Result<Self, JournalError> {
        let mut contents = Contents::new(0);
        let (journal, records) = Journal::open(folder)?;
        for record in records {
            contents.replay(record);
        }
        if contents.resource_version > 0 {
            contents.resource_version += VERSIONS_SKIPPED_AT_RESTART;
        }
        let floor = contents.resource_version;
        for table in contents.tables.values_mut() {
            table.log = ChangeLog::starting_at(floor);
        }
        let journal = journal.start(contents.live_records())?;
        let durable = journal.durable();
        contents.journal = Some(journal);
        Ok(Self { inner: Mutex::new(contents), durable: Some(durable) })
    }

    /// Locks the store. Nothing in here panics half-way through a write, so a poisoned lock is still good.
    pub fn lock(&self) -> MutexGuard<'_, Contents> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why nothing more can be kept, once the disk has refused a write.
    pub fn failure(&self) -> Option<Arc<str>> {
        self.durable.as_ref()?.borrow().as_ref().err().map(Arc::clone)
    }

    /// Waits until everything written so far would survive a crash.
    ///
    /// # Errors
    /// The disk's own words, when it refused.
    pub async fn until_durable(&self) -> Result<(), Arc<str>> {
        let Some(durable) = &self.durable else { return Ok(()) };
        let wanted = self.lock().written;
        let mut durable = durable.clone();
        let reached = durable
            .wait_for(|state| state.as_ref().map_or(true, |written| *written >= wanted))
            .await
            .map_err(|_| Arc::from("the journal has stopped"))?;
        reached.as_ref().map(|_| ()).map_err(Arc::clone)
    }
}

impl Contents {
    fn new(resource_version: u64) -> Self {
        Self { resource_version, tables: HashMap::new(), journal: None, written: 0 }
    }

    /// The number of the last write.
    pub fn resource_version(&self) -> u64 {
        self.resource_version
    }

    /// The table of that name; an empty one when nothing was written to it.
    pub fn table(&mut self, name: &str) -> &mut Table {
        if !self.tables.contains_key(name) {
            self.tables.insert(Arc::from(name), Table::new(self.resource_version));
        }
        #[expect(clippy::expect_used, reason = "inserted above when it was missing")]
        self.tables.get_mut(name).expect("the table exists")
    }

    /// The object, if there is one.
    pub fn get(&self, table: &str, key: &Key) -> Option<Arc<Stored>> {
        self.tables.get(table).and_then(|table| table.objects.get(key)).map(Arc::clone)
    }

    /// A receiver that wakes after every write to the table.
    pub fn changed(&mut self, table: &str) -> watch::Receiver<u64> {
        self.table(table).changed.subscribe()
    }

    /// Creates or replaces an object; numbers it and returns it as stored.
    pub fn put(&mut self, table: &str, mut object: Value) -> Arc<Stored> {
        self.resource_version += 1;
        let version = self.resource_version;
        document::metadata(&mut object).insert("resourceVersion".into(), json!(version.to_string()));
        let stored = Arc::new(Stored::from_object(&object, version, selectable_fields(table)));
        self.record(&Record::Put { table, version, body: stored.body() });
        let table = self.table(table);
        let previous = table.objects.insert(stored.key.clone(), Arc::clone(&stored));
        table.log.push(Change { version, deleted: false, object: Arc::clone(&stored), previous });
        table.changed.send_replace(version);
        stored
    }

    /// Removes an object. Its last state, numbered by the removal, is what watchers see.
    pub fn remove(&mut self, table: &str, key: &Key) -> Option<Arc<Stored>> {
        let previous = self.get(table, key)?;
        self.resource_version += 1;
        let version = self.resource_version;
        let last = Arc::new(previous.renumbered(version, selectable_fields(table)));
        self.record(&Record::Remove { table, version, namespace: key.namespace(), name: key.name() });
        let table = self.table(table);
        table.objects.remove(key);
        table.log.push(Change {
            version,
            deleted: true,
            object: Arc::clone(&last),
            previous: Some(previous),
        });
        table.changed.send_replace(version);
        Some(last)
    }

    /// Forgets a table whose resource is gone; its watchers' streams end.
    pub fn drop_table(&mut self, name: &str) {
        self.tables.remove(name);
    }

    /// Forgets all changes so far: older watches and pages are answered 410 from now on.
    pub fn compact(&mut self) {
        let now = self.resource_version;
        for table in self.tables.values_mut() {
            table.log.forget_until(now);
        }
    }

    fn record(&mut self, record: &Record<'_>) {
        if let Some(journal) = &mut self.journal {
            self.written = journal.append(record);
        }
    }

    fn replay(&mut self, record: journal::OwnedRecord) {
        match record {
            journal::OwnedRecord::Put { table, version, body } => {
                let Ok(object) = serde_json::from_slice::<Value>(&body) else { return };
                let stored = Stored::from_object(&object, version, selectable_fields(&table));
                self.resource_version = self.resource_version.max(version);
                self.table(&table).objects.insert(stored.key.clone(), Arc::new(stored));
            }
            journal::OwnedRecord::Remove { table, version, namespace, name } => {
                self.resource_version = self.resource_version.max(version);
                self.table(&table).objects.remove(&Key::new(&namespace, &name));
            }
        }
    }

    /// One record per live object: what a compacted journal starts with.
    fn live_records(&self) -> impl Iterator<Item = Record<'_>> {
        self.tables.iter().flat_map(|(name, table)| {
            table.objects.values().map(move |stored| Record::Put {
                table: name,
                version: stored.resource_version,
                body: stored.body(),
            })
        })
    }
}
