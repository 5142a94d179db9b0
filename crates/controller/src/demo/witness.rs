//! Sees everything as it happens: requests, weights, chapters and decisions, with the time since the start.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::time::Instant;

use super::decisions::{DecisionLog, Line};
use super::ledger::{Chapter, Ledger, Sample};

/// Lines of the log that are kept for the screen.
const LINES_KEPT: usize = 200;

/// Something worth a line where no screen is drawn.
#[derive(Clone, Debug)]
pub(crate) enum News {
    /// A chapter begins.
    Chapter(Chapter),
    /// The proxy splits by another weight.
    Weight(u64),
    /// A decision.
    Decision(Line),
}

/// Shared by everyone who sees something.
#[derive(Debug)]
pub(crate) struct Witness {
    started: Instant,
    ledger: Mutex<Ledger>,
    log: Mutex<DecisionLog>,
    lines: Mutex<Vec<(Duration, Line)>>,
    news: broadcast::Sender<(Duration, News)>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Witness {
    /// Starts the story's clock.
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            ledger: Mutex::default(),
            log: Mutex::default(),
            lines: Mutex::default(),
            news: broadcast::channel(1024).0,
        }
    }

    /// Time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// What was seen so far.
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    /// The newest lines of the log, oldest first.
    pub(crate) fn lines(&self) -> Vec<(Duration, Line)> {
        lock(&self.lines).clone()
    }

    /// Everything worth a line from now on.
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<(Duration, News)> {
        self.news.subscribe()
    }

    fn tell(&self, at: Duration, news: News) {
        // Nobody may be listening.
        let _ = self.news.send((at, news));
    }

    /// A request was answered or given up.
    pub(crate) fn request(&self, sample: Sample) {
        self.ledger().samples.push(sample);
    }

    /// A chapter begins.
    pub(crate) fn chapter(&self, chapter: Chapter) {
        let at = self.elapsed();
        self.ledger().chapters.push((at, chapter));
        self.tell(at, News::Chapter(chapter));
    }

    /// The proxy splits by this weight from now on.
    pub(crate) fn weight(&self, percent: u64) {
        let at = self.elapsed();
        let mut ledger = self.ledger();
        let known = ledger.weights.len();
        ledger.note_weight(at, percent);
        let changed = ledger.weights.len() > known;
        drop(ledger);
        if changed {
            self.tell(at, News::Weight(percent));
        }
    }

    /// A decision was made.
    pub(crate) fn decision(&self, kind: &str, name: &str, plan: &glidepath_core::plan::Plan) {
        let told = lock(&self.log).lines(kind, name, plan);
        let at = self.elapsed();
        for line in told {
            let mut lines = lock(&self.lines);
            if lines.len() == LINES_KEPT {
                lines.remove(0);
            }
            lines.push((at, line.clone()));
            drop(lines);
            self.tell(at, News::Decision(line));
        }
    }
}
