//! Measurements under way: questions go out side by side, answers wait for the next decision.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt as _;
use glidepath_clock::Clock;
use glidepath_core::plan::Ask;
use glidepath_core::snapshot::{Answer, Settings};
use glidepath_metrics::{Sender, answer};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::object::ObjectKey;
use crate::queue::{Controller, Queue, WorkKey};

/// How many measurements may be under way at once, over all runs.
const AT_ONCE: usize = 30;

#[derive(Default)]
struct Inbox {
    answers: Vec<Answer>,
    in_flight: Vec<String>,
}

/// What is known about one run's measurements.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measurements {
    /// Answers no status records yet.
    pub answers: Vec<Answer>,
    /// Metrics whose question is under way.
    pub in_flight: Vec<String>,
}

/// Sends questions and keeps the answers.
pub struct Measurer {
    sender: Arc<dyn Sender>,
    settings: Settings,
    clock: Clock,
    queue: Arc<Queue>,
    inboxes: Arc<Mutex<HashMap<(ObjectKey, Arc<str>), Inbox>>>,
    permits: Arc<Semaphore>,
    tasks: Mutex<JoinSet<()>>,
}

impl Measurer {
    /// A measurer that wakes runs through `queue`.
    #[must_use]
    pub fn new(sender: Arc<dyn Sender>, settings: Settings, clock: Clock, queue: Arc<Queue>) -> Self {
        Self {
            sender,
            settings,
            clock,
            queue,
            inboxes: Arc::default(),
            permits: Arc::new(Semaphore::new(AT_ONCE)),
            tasks: Mutex::default(),
        }
    }

    /// What is known about a run's measurements.
    #[must_use]
    pub fn of(&self, run: &ObjectKey, uid: &str) -> Measurements {
        let inboxes = self.inboxes.lock().unwrap_or_else(PoisonError::into_inner);
        inboxes.get(&(run.clone(), uid.into())).map_or_else(Measurements::default, |inbox| Measurements {
            answers: inbox.answers.clone(),
            in_flight: inbox.in_flight.clone(),
        })
    }

    /// Asks; a metric whose question is under way is not asked again.
    pub fn ask(&self, run: &ObjectKey, uid: &str, asks: Vec<Ask>) {
        for ask in asks {
            let id: (ObjectKey, Arc<str>) = (run.clone(), uid.into());
            {
                let mut inboxes = self.inboxes.lock().unwrap_or_else(PoisonError::into_inner);
                let inbox = inboxes.entry(id.clone()).or_default();
                if inbox.in_flight.contains(&ask.metric.name) {
                    continue;
                }
                inbox.in_flight.push(ask.metric.name.clone());
            }
            let task = self.measurement(id, ask);
            let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            while tasks.try_join_next().is_some() {}
            tasks.spawn(task);
        }
    }

    fn measurement(&self, id: (ObjectKey, Arc<str>), ask: Ask) -> impl Future<Output = ()> + Send + use<> {
        let (sender, clock, queue) = (Arc::clone(&self.sender), self.clock, Arc::clone(&self.queue));
        let (inboxes, permits) = (Arc::clone(&self.inboxes), Arc::clone(&self.permits));
        let settings = self.settings.clone();
        async move {
            // The semaphore is never closed; without a permit the question is merely not bounded.
            let _permit = permits.acquire_owned().await.ok();
            let started_at = clock.now();
            let asked = answer(&*sender, &ask, &settings, move || clock.now());
            let answer = AssertUnwindSafe(asked).catch_unwind().await;
            let answer = answer.unwrap_or_else(|_| Answer {
                metric: ask.metric.name.clone(),
                started_at,
                finished_at: clock.now(),
                outcome: Err("internal error while measuring".to_owned()),
                metadata: std::collections::BTreeMap::new(),
            });
            let run = id.0.clone();
            {
                let mut inboxes = inboxes.lock().unwrap_or_else(PoisonError::into_inner);
                // A run that was deleted meanwhile has no inbox any more.
                let Some(inbox) = inboxes.get_mut(&id) else { return };
                inbox.in_flight.retain(|metric| *metric != ask.metric.name);
                inbox.answers.push(answer);
            }
            queue.add_after(
                &WorkKey { controller: Controller::AnalysisRuns, object: run },
                std::time::Duration::ZERO,
            );
        }
    }

    /// Drops the first `count` answers of a run: its status records them now.
    pub fn forget_recorded(&self, run: &ObjectKey, uid: &str, count: usize) {
        let mut inboxes = self.inboxes.lock().unwrap_or_else(PoisonError::into_inner);
        let id = (run.clone(), uid.into());
        if let Some(inbox) = inboxes.get_mut(&id) {
            inbox.answers.drain(..count.min(inbox.answers.len()));
            if inbox.answers.is_empty() && inbox.in_flight.is_empty() {
                inboxes.remove(&id);
            }
        }
    }

    /// Drops everything about a run that is gone; answers still under way will find no inbox.
    pub fn forget_run(&self, run: &ObjectKey, uid: &str) {
        let mut inboxes = self.inboxes.lock().unwrap_or_else(PoisonError::into_inner);
        inboxes.remove(&(run.clone(), uid.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use glidepath_metrics::{HttpRequest, HttpResponse, SendError};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    #[derive(Default)]
    struct Scripted {
        at_once: AtomicUsize,
        most: AtomicUsize,
    }

    #[async_trait::async_trait]
    impl Sender for Scripted {
        async fn send(&self, request: HttpRequest) -> Result<HttpResponse, SendError> {
            let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(now, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_secs(1)).await;
            self.at_once.fetch_sub(1, Ordering::SeqCst);
            assert!(!request.url.contains("panics"), "as planned");
            Ok(HttpResponse { status: 200, body: b"{}".to_vec() })
        }
    }

    fn ask(name: &str) -> Ask {
        let metric =
            serde_json::json!({"name": name, "provider": {"web": {"url": format!("http://metrics/{name}")}}});
        Ask { metric: serde_json::from_value(metric).unwrap(), secrets: vec![] }
    }

    fn measurer() -> (Measurer, Arc<Queue>, Arc<Scripted>) {
        let queue = Arc::new(Queue::new(Arc::default()));
        let sender = Arc::new(Scripted::default());
        (
            Measurer::new(sender.clone(), Settings::default(), Clock::system(), Arc::clone(&queue)),
            queue,
            sender,
        )
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_wakes_its_run_and_stays_until_it_is_recorded() {
        let (measurer, queue, sender) = measurer();
        let run = ObjectKey::new("n", "run");
        measurer.ask(&run, "u", vec![ask("a"), ask("a"), ask("panics")]);
        assert_eq!(measurer.of(&run, "u").in_flight, ["a", "panics"]);
        for _ in 0..2 {
            let key = queue.next().await.key;
            assert_eq!(key.object, run);
            queue.done(&key, crate::queue::Outcome::Settled(None), Duration::ZERO);
            if measurer.of(&run, "u").in_flight.is_empty() {
                break;
            }
        }
        let known = measurer.of(&run, "u");
        assert_eq!(known.answers.len(), 2);
        assert_eq!(known.answers[1].outcome, Err("internal error while measuring".to_owned()));
        assert_eq!(sender.most.load(Ordering::SeqCst), 2);
        measurer.forget_recorded(&run, "u", 2);
        assert_eq!(measurer.of(&run, "u"), Measurements::default());
    }

    #[tokio::test(start_paused = true)]
    async fn measurements_under_way_are_bounded() {
        let (measurer, _queue, sender) = measurer();
        let asks = (0..100).map(|index| ask(&index.to_string())).collect();
        measurer.ask(&ObjectKey::new("n", "run"), "u", asks);
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(sender.most.load(Ordering::SeqCst), AT_ONCE);
        assert_eq!(measurer.of(&ObjectKey::new("n", "run"), "u").answers.len(), 100);
    }
}
