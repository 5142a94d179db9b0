//! Counts what clients asked for, so that tests can hold them to a budget of API calls.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::broadcast;

/// One answered request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct AuditEntry {
    /// The client's `User-Agent`; for in-process clients their label.
    pub user_agent: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `apply`, `delete` or `deletecollection`.
    pub verb: String,
    /// The plural with its group, as in `replicasets.apps`.
    pub resource: String,
    /// The subresource, or empty.
    pub subresource: String,
    /// The HTTP status.
    pub code: u16,
}

impl AuditEntry {
    /// Whether the request could change an object.
    #[must_use]
    pub fn is_write(&self) -> bool {
        !matches!(self.verb.as_str(), "get" | "list" | "watch")
    }
}

/// A request in full, for those who subscribe.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditRecord {
    /// What is counted.
    pub entry: AuditEntry,
    /// The object's namespace, or empty.
    pub namespace: String,
    /// The object's name, or empty.
    pub name: String,
}

/// The counts.
pub(crate) struct Audit {
    counts: Mutex<BTreeMap<AuditEntry, u64>>,
    feed: broadcast::Sender<AuditRecord>,
}

impl Default for Audit {
    fn default() -> Self {
        Self { counts: Mutex::default(), feed: broadcast::channel(4096).0 }
    }
}

impl Audit {
    pub fn note(&self, record: AuditRecord) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(record.entry.clone()).or_default() += 1;
        drop(counts);
        // Nobody listening is fine.
        let _ = self.feed.send(record);
    }

    pub fn counts(&self) -> BTreeMap<AuditEntry, u64> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn reset(&self) {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub fn subscribe(&self) -> broadcast::Receiver<AuditRecord> {
        self.feed.subscribe()
    }
}
