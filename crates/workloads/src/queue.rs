//! A queue of keys: repeats join, one key is never worked on twice at once, failures are retried with
//! growing delays, and a reconcile may ask to be called again later.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::api::is_conflict;

const FIRST_RETRY: Duration = Duration::from_millis(10);
const LAST_RETRY: Duration = Duration::from_secs(30);

/// When a reconcile wants to be called again although nothing changed.
pub type Again = Option<Duration>;

/// What a queue key must be able to do.
pub trait QueueKey: Clone + Eq + Hash + Ord + Debug + Display + Send + 'static {}
impl<T: Clone + Eq + Hash + Ord + Debug + Display + Send + 'static> QueueKey for T {}

struct State<K> {
    ready: VecDeque<K>,
    waiting: HashSet<K>,
    running: HashSet<K>,
    delayed: BTreeSet<(Instant, K)>,
    deadlines: HashMap<K, Instant>,
    failures: HashMap<K, u32>,
}

/// The queue. See the module's text.
pub struct Queue<K> {
    state: Mutex<State<K>>,
    woken: Notify,
}

impl<K: QueueKey> Queue<K> {
    /// An empty queue.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                ready: VecDeque::new(),
                waiting: HashSet::new(),
                running: HashSet::new(),
                delayed: BTreeSet::new(),
                deadlines: HashMap::new(),
                failures: HashMap::new(),
            }),
            woken: Notify::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for `key` to be worked on soon.
    pub fn add(&self, key: K) {
        let mut state = self.lock();
        if state.waiting.insert(key.clone()) {
            state.ready.push_back(key);
            self.woken.notify_one();
        }
    }

    /// Asks for `key` to be worked on after `delay`, unless that is already due earlier.
    pub fn add_after(&self, key: K, delay: Duration) {
        let at = Instant::now() + delay;
        let mut state = self.lock();
        if let Some(earlier) = state.deadlines.get(&key).copied() {
            if earlier <= at {
                return;
            }
            state.delayed.remove(&(earlier, key.clone()));
        }
        state.deadlines.insert(key.clone(), at);
        state.delayed.insert((at, key));
        self.woken.notify_one();
    }

    /// The next key that is due and not being worked on; also promotes what became due.
    fn pop(&self) -> Option<K> {
        let mut state = self.lock();
        let now = Instant::now();
        while state.delayed.first().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, key)) = state.delayed.pop_first() {
                state.deadlines.remove(&key);
                if state.waiting.insert(key.clone()) {
                    state.ready.push_back(key);
                }
            }
        }
        let index = state.ready.iter().position(|key| !state.running.contains(key))?;
        let key = state.ready.remove(index)?;
        state.waiting.remove(&key);
        if let Some(at) = state.deadlines.remove(&key) {
            state.delayed.remove(&(at, key.clone()));
        }
        state.running.insert(key.clone());
        Some(key)
    }

    fn finish(&self, key: &K, result: kube::Result<Again>) {
        self.lock().running.remove(key);
        match result {
            Ok(again) => {
                self.lock().failures.remove(key);
                if let Some(delay) = again {
                    self.add_after(key.clone(), delay);
                }
            }
            Err(error) => {
                let failures = {
                    let mut state = self.lock();
                    let failures = state.failures.entry(key.clone()).or_default();
                    *failures += 1;
                    *failures
                };
                if !is_conflict(&error) {
                    tracing::debug!(%key, %error, failures, "reconcile failed, trying again");
                }
                let delay = FIRST_RETRY.saturating_mul(1 << (failures - 1).min(12)).min(LAST_RETRY);
                self.add_after(key.clone(), delay);
            }
        }
    }

    async fn wait(&self) {
        let due = self.lock().delayed.first().map(|(at, _)| *at);
        match due {
            Some(at) => {
                tokio::select! {
                    () = self.woken.notified() => {}
                    () = sleep_until(at) => {}
                }
            }
            None => self.woken.notified().await,
        }
    }

    /// Works on keys for ever, at most `concurrency` at a time.
    pub async fn drive<F, R>(&self, concurrency: usize, reconcile: F)
    where
        F: Fn(K) -> R,
        R: Future<Output = kube::Result<Again>>,
    {
        let mut running = FuturesUnordered::new();
        loop {
            while running.len() < concurrency {
                let Some(key) = self.pop() else { break };
                let work = reconcile(key.clone());
                running.push(async move { (key, work.await) });
            }
            tokio::select! {
                Some((key, result)) = running.next(), if !running.is_empty() => self.finish(&key, result),
                () = self.wait(), if running.len() < concurrency => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    async fn record(queue: Arc<Queue<String>>, answers: Vec<kube::Result<Again>>) -> Vec<(u128, String)> {
        let start = Instant::now();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let answers = Arc::new(Mutex::new(answers.into_iter()));
        let log = Arc::clone(&seen);
        let drive = queue.drive(2, move |key| {
            log.lock().unwrap().push((start.elapsed().as_millis(), key));
            let answer = answers.lock().unwrap().next().unwrap_or(Ok(None));
            async move {
                tokio::time::sleep(Duration::from_millis(1)).await;
                answer
            }
        });
        let _ = tokio::time::timeout(Duration::from_secs(100), drive).await;
        seen.lock().unwrap().clone()
    }

    #[tokio::test(start_paused = true)]
    async fn repeats_join_and_a_later_call_keeps_the_earliest_time() {
        let queue = Queue::new();
        queue.add("a".to_owned());
        queue.add("a".to_owned());
        queue.add_after("b".to_owned(), Duration::from_secs(9));
        queue.add_after("b".to_owned(), Duration::from_secs(5));
        queue.add_after("b".to_owned(), Duration::from_secs(7));
        let seen = record(queue, vec![]).await;
        assert_eq!(seen, [(0, "a".to_owned()), (5000, "b".to_owned())]);
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_retried_with_growing_delays_until_one_succeeds() {
        let fail = || Err(kube::Error::Service("down".into()));
        let queue = Queue::new();
        queue.add("a".to_owned());
        let seen = record(queue, vec![fail(), fail(), Ok(Some(Duration::from_secs(3)))]).await;
        let times: Vec<u128> = seen.iter().map(|(at, _)| *at).collect();
        assert_eq!(times, [0, 11, 32, 3033]);
    }
}
