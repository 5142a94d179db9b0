//! `list rollouts` and `list experiments` (O-052 to O-056).

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use glidepath_api::{Experiment, Rollout};
use glidepath_view::list::{Extra, RolloutLine, render_experiments, render_rollout_lines, rollout_line};
use kube::api::WatchEvent;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::arguments::ListRollouts;
use crate::failure::Failure;
use crate::objects::{self, Selection};
use crate::session::Session;

/// Lines of a burst are printed together, so that they align.
const FLUSH: Duration = Duration::from_millis(500);
/// Failures in a row a watch survives.
const LIMIT: u32 = 5;
const RETRY: Duration = Duration::from_secs(1);

/// Lists Rollouts, and goes on with their changes if asked to.
///
/// # Errors
/// On unexpected words or what the API server answers.
pub async fn list_rollouts(session: &mut Session<'_>, arguments: &ListRollouts) -> Result<(), Failure> {
    if !arguments.words.is_empty() {
        return Err(Failure::Usage);
    }
    let namespace = (!arguments.all_namespaces).then(|| session.namespace.clone());
    let fields = arguments.name.as_ref().map(|name| format!("metadata.name={name}"));
    let selection = Selection { labels: None, fields };
    let list = objects::fetch_list::<Rollout>(&session.client, namespace.as_deref(), &selection).await?;
    if list.items.is_empty() && !arguments.watch {
        session.output.note("No resources found.");
        return Ok(());
    }
    let extra = Extra { namespace: arguments.all_namespaces, timestamp: arguments.timestamps };
    let lines: Vec<RolloutLine> = list.items.iter().map(rollout_line).collect();
    session.output.text(&render_rollout_lines(&lines, extra, true, session.clock.now()));
    if !arguments.watch {
        return Ok(());
    }
    let mut seen = Seen { lines: BTreeMap::new(), version: list.metadata.resource_version };
    for line in lines {
        seen.note(line);
    }
    watch_lines(session, namespace.as_deref(), &selection, extra, seen).await
}

/// What was printed last of each Rollout, and where the watch goes on.
struct Seen {
    lines: BTreeMap<(String, String), RolloutLine>,
    version: String,
}

impl Seen {
    /// True if the line is news.
    fn note(&mut self, line: RolloutLine) -> bool {
        let key = (line.namespace.clone(), line.cells[0].clone());
        self.lines.insert(key, line.clone()).as_ref() != Some(&line)
    }
}

/// Prints a line for every change of what is shown, until stopped (O-055).
async fn watch_lines(
    session: &mut Session<'_>,
    namespace: Option<&str>,
    selection: &Selection,
    extra: Extra,
    mut seen: Seen,
) -> Result<(), Failure> {
    let mut failures = 0;
    let mut pending: Vec<RolloutLine> = Vec::new();
    let mut flush = interval(FLUSH);
    flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let opened = tokio::select! {
            opened = objects::watch::<Rollout>(&session.client, namespace, selection, &seen.version) => opened,
            () = session.stopped() => return Ok(()),
        };
        let mut events = match opened {
            Ok(events) => Box::pin(events),
            Err(error) => {
                failures += 1;
                if failures > LIMIT {
                    return Err(error.into());
                }
                sleep(RETRY).await;
                continue;
            }
        };
        loop {
            let event = tokio::select! {
                () = session.stopped() => return Ok(()),
                _ = flush.tick() => {
                    if !pending.is_empty() {
                        let lines = std::mem::take(&mut pending);
                        let text = render_rollout_lines(&lines, extra, false, session.clock.now());
                        session.output.text(&text);
                    }
                    continue;
                }
                event = events.next() => event,
            };
            match event {
                Some(Ok(WatchEvent::Added(rollout) | WatchEvent::Modified(rollout))) => {
                    failures = 0;
                    seen.version.clone_from(&rollout.metadata.resource_version);
                    let line = rollout_line(&rollout);
                    if seen.note(line.clone()) {
                        pending.push(line);
                    }
                }
                Some(Ok(WatchEvent::Deleted(rollout))) => {
                    failures = 0;
                    seen.version.clone_from(&rollout.metadata.resource_version);
                    let key = (rollout.metadata.namespace.clone(), rollout.metadata.name.clone());
                    seen.lines.remove(&key);
                }
                Some(Ok(WatchEvent::Bookmark(bookmark))) => seen.version = bookmark.metadata.resource_version,
                Some(Ok(WatchEvent::Error(status))) => {
                    failures += 1;
                    if failures > LIMIT {
                        return Err(kube::Error::Api(status).into());
                    }
                    // The version is too old to go on from: what changed meanwhile is read anew.
                    sleep(RETRY).await;
                    let list = objects::fetch_list::<Rollout>(&session.client, namespace, selection).await?;
                    seen.version = list.metadata.resource_version;
                    for line in list.items.iter().map(rollout_line) {
                        if seen.note(line.clone()) {
                            pending.push(line);
                        }
                    }
                    break;
                }
                Some(Err(_)) | None => {
                    sleep(Duration::from_millis(100)).await;
                    break;
                }
            }
        }
    }
}

/// Lists Experiments.
///
/// # Errors
/// On unexpected words or what the API server answers.
pub async fn list_experiments(
    session: &mut Session<'_>,
    words: &[String],
    all_namespaces: bool,
) -> Result<(), Failure> {
    if !words.is_empty() {
        return Err(Failure::Usage);
    }
    let namespace = (!all_namespaces).then(|| session.namespace.clone());
    let list =
        objects::fetch_list::<Experiment>(&session.client, namespace.as_deref(), &Selection::default())
            .await?;
    if list.items.is_empty() {
        session.output.note("No resources found.");
        return Ok(());
    }
    let extra = Extra { namespace: all_namespaces, timestamp: false };
    session.output.text(&render_experiments(&list.items, extra, session.clock.now()));
    Ok(())
}
