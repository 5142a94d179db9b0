//! What containers wrote: bounded, by container, with the run before the current one.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use jiff::Timestamp;
use tokio::sync::watch;

/// Lines kept per run of a container.
const LINES_KEPT: usize = 20_000;

/// Which log to read and how much of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogQuery {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub pod: String,
    /// The container.
    pub container: String,
    /// Go on with new lines until the run ends.
    pub follow: bool,
    /// The run before the current one.
    pub previous: bool,
    /// Start each line with its time.
    pub timestamps: bool,
    /// Only the last so many lines.
    pub tail_lines: Option<usize>,
    /// Only lines from this time on.
    pub since: Option<Timestamp>,
    /// At most so many bytes.
    pub limit_bytes: Option<usize>,
}

#[derive(Clone, Debug)]
struct Line {
    number: u64,
    at: Timestamp,
    text: Bytes,
}

/// The log of one run of a container.
#[derive(Debug)]
pub struct RunLog {
    lines: Mutex<VecDeque<Line>>,
    // How many lines there have been, and whether there will be more.
    progress: watch::Sender<(u64, bool)>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RunLog {
    fn new() -> Arc<Self> {
        Arc::new(Self { lines: Mutex::default(), progress: watch::Sender::new((0, false)) })
    }

    /// Adds a line, without its line end.
    pub fn push(&self, at: Timestamp, text: &[u8]) {
        let mut lines = lock(&self.lines);
        let number = self.progress.borrow().0;
        if lines.len() == LINES_KEPT {
            lines.pop_front();
        }
        lines.push_back(Line { number, at, text: Bytes::copy_from_slice(text) });
        drop(lines);
        self.progress.send_modify(|(count, _)| *count += 1);
    }

    /// Says that the run is over.
    pub fn close(&self) {
        self.progress.send_modify(|(_, over)| *over = true);
    }

    fn from(&self, number: u64) -> Vec<Line> {
        lock(&self.lines).iter().filter(|line| line.number >= number).cloned().collect()
    }
}

#[derive(Default)]
struct ContainerLog {
    current: Option<Arc<RunLog>>,
    previous: Option<Arc<RunLog>>,
}

type LogKey = (String, String, String);

/// The logs of every container of a process kubelet. Cloning shares them.
#[derive(Clone, Default)]
pub struct ProcessLogs {
    containers: Arc<Mutex<HashMap<LogKey, ContainerLog>>>,
}

impl ProcessLogs {
    /// Starts the log of a new run.
    #[must_use]
    pub fn begin(&self, namespace: &str, pod: &str, container: &str) -> Arc<RunLog> {
        let log = RunLog::new();
        let key = (namespace.to_owned(), pod.to_owned(), container.to_owned());
        let mut containers = lock(&self.containers);
        let entry = containers.entry(key).or_default();
        entry.previous = entry.current.replace(Arc::clone(&log));
        log
    }

    /// Forgets the logs of a pod that is gone.
    pub fn forget(&self, namespace: &str, pod: &str) {
        lock(&self.containers)
            .retain(|(own_namespace, own_pod, _), _| own_namespace != namespace || own_pod != pod);
    }

    /// Opens a log.
    ///
    /// # Errors
    /// The kubelet's words for a container that has no such run.
    pub fn open(&self, query: &LogQuery) -> Result<BoxStream<'static, io::Result<Bytes>>, String> {
        let key = (query.namespace.clone(), query.pod.clone(), query.container.clone());
        let (pod, container) = (&query.pod, &query.container);
        let log = match lock(&self.containers).get(&key) {
            Some(entry) if query.previous => entry.previous.clone().ok_or_else(|| {
                format!("previous terminated container \"{container}\" in pod \"{pod}\" not found")
            }),
            Some(ContainerLog { current: Some(log), .. }) => Ok(Arc::clone(log)),
            _ => Err(format!(
                "container \"{container}\" in pod \"{pod}\" is waiting to start: ContainerCreating"
            )),
        }?;
        Ok(render_stream(log, query))
    }
}

fn render_stream(log: Arc<RunLog>, query: &LogQuery) -> BoxStream<'static, io::Result<Bytes>> {
    let progress = log.progress.subscribe();
    let mut first = log.from(0);
    first.retain(|line| query.since.is_none_or(|since| line.at >= since));
    if let Some(tail) = query.tail_lines {
        first.drain(..first.len().saturating_sub(tail));
    }
    let next = first.last().map_or_else(|| log.progress.borrow().0, |line| line.number + 1);
    let (timestamps, follow) = (query.timestamps, query.follow);
    let render = move |line: Line| {
        let mut text = Vec::with_capacity(line.text.len() + 1);
        if timestamps {
            text.extend_from_slice(format!("{:.9} ", line.at).as_bytes());
        }
        text.extend_from_slice(&line.text);
        text.push(b'\n');
        Bytes::from(text)
    };
    let later =
        stream::unfold((log, progress, next, follow), |(log, mut progress, next, follow)| async move {
            if !follow {
                return None;
            }
            // The sender lives in the log this state holds.
            let over = progress
                .wait_for(|(count, over)| *count > next || *over)
                .await
                .map_or(true, |seen| seen.1 && seen.0 <= next);
            if over {
                return None;
            }
            let lines = log.from(next);
            let next = lines.last().map_or(next, |line| line.number + 1);
            Some((stream::iter(lines), (log, progress, next, follow)))
        });
    let mut left = query.limit_bytes.unwrap_or(usize::MAX);
    stream::iter(first)
        .chain(later.flatten())
        .map(render)
        .scan((), move |(), mut bytes| {
            let goes_on = left > 0;
            bytes.truncate(left);
            left -= bytes.len();
            std::future::ready(goes_on.then_some(Ok(bytes)))
        })
        .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query() -> LogQuery {
        LogQuery {
            namespace: "n".to_owned(),
            pod: "p".to_owned(),
            container: "c".to_owned(),
            ..LogQuery::default()
        }
    }

    async fn read(logs: &ProcessLogs, query: &LogQuery) -> String {
        let pieces: Vec<_> = logs.open(query).unwrap().collect().await;
        pieces.into_iter().map(|piece| String::from_utf8(piece.unwrap().to_vec()).unwrap()).collect()
    }

    #[tokio::test]
    async fn a_log_is_read_in_part_or_whole_now_or_as_it_grows() {
        let logs = ProcessLogs::default();
        assert!(logs.open(&query()).is_err());
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let old = logs.begin("n", "p", "c");
        old.push(at(1), b"before");
        old.close();
        let log = logs.begin("n", "p", "c");
        log.push(at(2), b"one");
        log.push(at(3), b"two");
        assert_eq!(read(&logs, &query()).await, "one\ntwo\n");
        assert_eq!(read(&logs, &LogQuery { previous: true, ..query() }).await, "before\n");
        assert_eq!(read(&logs, &LogQuery { tail_lines: Some(1), ..query() }).await, "two\n");
        assert_eq!(read(&logs, &LogQuery { since: Some(at(3)), ..query() }).await, "two\n");
        assert_eq!(read(&logs, &LogQuery { limit_bytes: Some(5), ..query() }).await, "one\nt");
        let timed = read(&logs, &LogQuery { timestamps: true, tail_lines: Some(1), ..query() }).await;
        assert_eq!(timed, "1970-01-01T00:00:03.000000000Z two\n");
        let followed = LogQuery { follow: true, ..query() };
        let (text, ()) = tokio::join!(read(&logs, &followed), async {
            tokio::task::yield_now().await;
            log.push(at(4), b"three");
            log.close();
        });
        assert_eq!(text, "one\ntwo\nthree\n");
        logs.forget("n", "p");
        assert!(logs.open(&query()).is_err());
    }
}
