//! WATCH: the changes of a table as a stream of lines, from a version on.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::body::Body;
use crate::call::{Answer, Call, Target};
use crate::plane::Plane;
use crate::read::{lens, parse_selector, parse_version};
use crate::refusal::{Cause, Refusal, Reply, Subject};
use crate::represent::{Lens, event_line};
use crate::selectors::Selector;
use crate::store::{Change, Stored};

/// How often an idle watch is told how far it is.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
/// A watch without `timeoutSeconds` lasts between this and twice this long.
const DEFAULT_TIMEOUT_SECONDS: u64 = 1800;

/// Opens a watch.
pub(crate) fn open(plane: &Arc<Plane>, call: &Call, target: &Target) -> Reply<Answer> {
    let selector = parse_selector(call, target)?;
    let asked = parse_version(call.query.get("resourceVersion"));
    // The watch cache has other words than lists.
    let asked = asked.map_err(|_| {
        let given = call.query.get("resourceVersion");
        Refusal::plain_error(format!(
            "resourceVersion: Invalid value: {given:?}: strconv.ParseUint: parsing {given:?}: invalid syntax"
        ))
    })?;
    let bookmarks = call.query.flag("allowWatchBookmarks");
    let initial_events = parse_initial_events(call)?;
    let seconds = match call.query.number("timeoutSeconds")? {
        Some(seconds) if seconds > 0 => u64::try_from(seconds).unwrap_or(0),
        _ => DEFAULT_TIMEOUT_SECONDS + plane.random_below(DEFAULT_TIMEOUT_SECONDS),
    };
    let mut contents = plane.store.lock();
    let current = contents.resource_version();
    let changed = contents.changed(&target.resource.table);
    let table = contents.table(&target.resource.table);
    let lens = lens(plane, call, target);
    let mut pending = VecDeque::new();
    let mut first_row = true;
    let sends_state = initial_events.unwrap_or(matches!(asked, None | Some(0)));
    let mut finished = false;
    let cursor = if sends_state {
        if let Some(version) = asked.filter(|version| *version > current) {
            return Err(Refusal::too_large_version(version, current));
        }
        let named = |stored: &Stored| target.name.is_empty() || stored.key.name() == target.name;
        for stored in
            table.scope(&target.namespace).filter(|stored| named(stored) && selector.matches(stored))
        {
            pending.push_back(lens.event("ADDED", stored, first_row));
            first_row = false;
        }
        if initial_events == Some(true) && bookmarks {
            pending.push_back(lens.bookmark(current, true));
        }
        current
    } else {
        let from = asked.unwrap_or(current);
        if initial_events == Some(false) && from == 0 { current } else { from }
    };
    if let Err(compacted) = table.log.since(cursor).map(|_| ()) {
        pending.push_back(expired_event(cursor, compacted.floor));
        finished = true;
    }
    drop(contents);
    let now = Instant::now();
    let state = Watching {
        plane: Arc::clone(plane),
        table: Arc::clone(&target.resource.table),
        namespace: target.namespace.clone(),
        name: target.name.clone(),
        selector,
        lens,
        first_row,
        cursor,
        bookmarked: cursor,
        pending,
        changed,
        bookmarks,
        next_bookmark: now + BOOKMARK_EVERY,
        deadline: now + Duration::from_secs(seconds),
        finished,
    };
    let stream = stream::unfold(state, |mut state| async move {
        state.next_piece().await.map(|piece| (Ok::<Bytes, io::Error>(piece), state))
    });
    let mut answer = Answer::json(200, Bytes::new());
    answer.body = Body::stream(Box::pin(stream));
    Ok(answer)
}

/// `sendInitialEvents`, which needs its companions.
fn parse_initial_events(call: &Call) -> Reply<Option<bool>> {
    let refuse = |why: &str| {
        Err(Refusal::invalid(
            &Subject { group: "meta.k8s.io", plural: "", kind: "ListOptions" },
            "",
            &[Cause::forbidden("resourceVersionMatch", why)],
        ))
    };
    let matching = call.query.get("resourceVersionMatch");
    if !call.query.has("sendInitialEvents") {
        return if matching.is_empty() {
            Ok(None)
        } else {
            refuse("resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided")
        };
    }
    match matching {
        "NotOlderThan" => Ok(Some(call.query.flag("sendInitialEvents"))),
        "" => refuse("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"),
        other => Err(Refusal::invalid(
            &Subject { group: "meta.k8s.io", plural: "", kind: "ListOptions" },
            "",
            &[Cause::unsupported("resourceVersionMatch", &json!(other), &["NotOlderThan".into()])],
        )),
    }
}

/// An open watch.
struct Watching {
    plane: Arc<Plane>,
    table: Arc<str>,
    namespace: String,
    name: String,
    selector: Selector,
    lens: Lens,
    /// Whether the next table event must name the columns.
    first_row: bool,
    /// Everything up to this version was sent.
    cursor: u64,
    bookmarked: u64,
    pending: VecDeque<Bytes>,
    changed: watch::Receiver<u64>,
    bookmarks: bool,
    next_bookmark: Instant,
    deadline: Instant,
    finished: bool,
}

impl Watching {
    /// The next lines, or `None` at the end.
    async fn next_piece(&mut self) -> Option<Bytes> {
        loop {
            if let Some(piece) = self.take_pending() {
                return Some(piece);
            }
            if self.finished {
                return None;
            }
            self.changed.borrow_and_update();
            self.read_changes();
            if !self.pending.is_empty() {
                continue;
            }
            tokio::select! {
                alive = self.changed.changed() => if alive.is_err() { self.finished = true },
                () = sleep_until(self.next_bookmark), if self.bookmarks => self.push_bookmark(),
                () = sleep_until(self.deadline) => {
                    if self.bookmarks {
                        self.push_bookmark();
                    }
                    self.finished = true;
                }
            }
        }
    }

    fn take_pending(&mut self) -> Option<Bytes> {
        if self.pending.len() <= 1 {
            return self.pending.pop_front();
        }
        Some(Bytes::from(self.pending.drain(..).flatten().collect::<Vec<u8>>()))
    }

    /// Queues everything after the cursor that the client is to see.
    fn read_changes(&mut self) {
        let plane = Arc::clone(&self.plane);
        let mut contents = plane.store.lock();
        let current = contents.resource_version();
        let changes = contents
            .table(&self.table)
            .log
            .since(self.cursor)
            .map(|changes| changes.cloned().collect::<Vec<Change>>());
        drop(contents);
        match changes {
            Ok(changes) => {
                for change in changes {
                    self.push_change(&change);
                }
                self.cursor = current;
            }
            Err(compacted) => {
                self.pending.push_back(expired_event(self.cursor, compacted.floor));
                self.finished = true;
            }
        }
    }

    fn sees(&self, stored: &Stored) -> bool {
        (self.namespace.is_empty() || stored.key.namespace() == self.namespace)
            && (self.name.is_empty() || stored.key.name() == self.name)
            && self.selector.matches(stored)
    }

    /// An object that starts or stops matching is added or deleted for this client.
    fn push_change(&mut self, change: &Change) {
        let was_seen = change.previous.as_ref().is_some_and(|previous| self.sees(previous));
        let is_seen = !change.deleted && self.sees(&change.object);
        let line = match (was_seen, is_seen) {
            (false, false) => return,
            (false, true) => self.lens.event("ADDED", &change.object, self.first_row),
            (true, true) => self.lens.event("MODIFIED", &change.object, self.first_row),
            (true, false) if change.deleted => self.lens.event("DELETED", &change.object, self.first_row),
            (true, false) => {
                // The last state this client was allowed to see, numbered by the change.
                let Some(previous) = &change.previous else { return };
                let fields = self.lens.resource.selectable();
                self.lens.event("DELETED", &previous.renumbered(change.version, fields), self.first_row)
            }
        };
        self.first_row = false;
        self.pending.push_back(line);
    }

    /// Tells the client how far it is, unless it knows.
    fn push_bookmark(&mut self) {
        self.next_bookmark = Instant::now() + BOOKMARK_EVERY;
        self.read_changes();
        if self.cursor > self.bookmarked && !self.finished {
            self.pending.push_back(self.lens.bookmark(self.cursor, false));
            self.bookmarked = self.cursor;
        }
    }
}

/// The event that tells a client to list again.
fn expired_event(from: u64, floor: u64) -> Bytes {
    let status = Refusal::expired(format!("too old resource version: {from} ({floor})")).to_status();
    event_line("ERROR", status.to_string().as_bytes())
}
