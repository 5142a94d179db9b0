//! Follows kinds in a namespace: list, then watch, then again from where it broke off.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use glidepath_api::{AnalysisRun, Experiment, Pod, ReplicaSet, Rollout};
use kube::Client;
use kube::api::WatchEvent;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::objects::{self, Kind, Selection};

/// Wait after a failed list or watch.
const RETRY: Duration = Duration::from_secs(1);

/// Objects of one kind by name; `None` until they were listed once.
pub type Known<T> = Option<Arc<BTreeMap<String, T>>>;

/// Follows one kind; the receiver shows what is known now. Ends when the task set is dropped.
pub fn follow<T: Kind>(
    tasks: &mut JoinSet<()>,
    client: Client,
    namespace: String,
    selection: Selection,
) -> watch::Receiver<Known<T>> {
    let (known, receiver) = watch::channel(None);
    tasks.spawn(async move {
        loop {
            // A failure is no reason to give up: what was shown stays, and the next try is a second away.
            let _ = follow_once::<T>(&client, &namespace, &selection, &known).await;
            tokio::time::sleep(RETRY).await;
        }
    });
    receiver
}

async fn follow_once<T: Kind>(
    client: &Client,
    namespace: &str,
    selection: &Selection,
    known: &watch::Sender<Known<T>>,
) -> Result<(), kube::Error> {
    let list = objects::fetch_list::<T>(client, Some(namespace), selection).await?;
    let mut version = list.metadata.resource_version;
    let mut items: BTreeMap<String, T> =
        list.items.into_iter().map(|item| (item.meta().name.clone(), item)).collect();
    known.send_replace(Some(Arc::new(items.clone())));
    loop {
        let mut events = Box::pin(objects::watch::<T>(client, Some(namespace), selection, &version).await?);
        let before = version.clone();
        while let Some(event) = events.next().await {
            match event? {
                WatchEvent::Added(item) | WatchEvent::Modified(item) => {
                    version.clone_from(&item.meta().resource_version);
                    items.insert(item.meta().name.clone(), item);
                }
                WatchEvent::Deleted(item) => {
                    version.clone_from(&item.meta().resource_version);
                    items.remove(&item.meta().name);
                }
                WatchEvent::Bookmark(bookmark) => {
                    version = bookmark.metadata.resource_version;
                    continue;
                }
                WatchEvent::Error(status) => return Err(kube::Error::Api(status)),
            }
            known.send_replace(Some(Arc::new(items.clone())));
        }
        if version == before {
            // The server closed at once: do not hammer it.
            tokio::time::sleep(RETRY).await;
        }
    }
}

/// Everything that stands on a screen.
pub struct Screenful {
    /// Rollouts.
    pub rollouts: watch::Receiver<Known<Rollout>>,
    /// ReplicaSets.
    pub replica_sets: watch::Receiver<Known<ReplicaSet>>,
    /// Pods.
    pub pods: watch::Receiver<Known<Pod>>,
    /// Experiments.
    pub experiments: watch::Receiver<Known<Experiment>>,
    /// AnalysisRuns.
    pub analysis_runs: watch::Receiver<Known<AnalysisRun>>,
    _tasks: JoinSet<()>,
}

impl Screenful {
    /// Begins to follow the namespace.
    #[must_use]
    pub fn new(client: &Client, namespace: &str) -> Self {
        let mut tasks = JoinSet::new();
        let all = Selection::default;
        let namespace = || namespace.to_owned();
        Self {
            rollouts: follow(&mut tasks, client.clone(), namespace(), all()),
            replica_sets: follow(&mut tasks, client.clone(), namespace(), all()),
            pods: follow(&mut tasks, client.clone(), namespace(), all()),
            experiments: follow(&mut tasks, client.clone(), namespace(), all()),
            analysis_runs: follow(&mut tasks, client.clone(), namespace(), all()),
            _tasks: tasks,
        }
    }

    /// Resolves when any of it changed.
    pub async fn changed(&mut self) {
        tokio::select! {
            _ = self.rollouts.changed() => {}
            _ = self.replica_sets.changed() => {}
            _ = self.pods.changed() => {}
            _ = self.experiments.changed() => {}
            _ = self.analysis_runs.changed() => {}
        }
    }
}

/// The objects known, as a list; empty until they were listed.
#[must_use]
pub fn values<T: Clone>(known: &watch::Receiver<Known<T>>) -> Vec<T> {
    known.borrow().as_ref().map(|items| items.values().cloned().collect()).unwrap_or_default()
}
