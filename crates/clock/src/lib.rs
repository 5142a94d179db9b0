//! One clock for everything that runs: the wall's, or tokio's paused one.
//!
//! Kubernetes objects carry wall-clock times while waits use tokio's timer. Both are derived from one
//! anchor here, so that under tokio's paused clock an hour of pauses moves the objects' times by an
//! hour too and costs milliseconds.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// Tells the time as an anchor plus what tokio's clock has advanced since.
///
/// Cloning is cheap and every clone tells the same time.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    anchor: Timestamp,
    since: Instant,
}

impl Clock {
    /// A clock anchored at the wall clock. Must be called within a tokio runtime.
    #[must_use]
    pub fn system() -> Self {
        Self::starting_at(Timestamp::now())
    }

    /// A clock that starts at `anchor` and advances as tokio's clock does. Used with the paused clock.
    #[must_use]
    pub fn starting_at(anchor: Timestamp) -> Self {
        Self { anchor, since: Instant::now() }
    }

    /// The current time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.since.elapsed()).unwrap_or(SignedDuration::MAX);
        self.anchor.saturating_add(elapsed).unwrap_or(Timestamp::MAX)
    }

    /// How long until `at`; zero if it has passed.
    #[must_use]
    pub fn until(&self, at: Timestamp) -> Duration {
        at.duration_since(self.now()).try_into().unwrap_or(Duration::ZERO)
    }

    /// Sleeps until `at`; returns at once if it has passed.
    pub async fn sleep_until(&self, at: Timestamp) {
        tokio::time::sleep(self.until(at)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_hour_of_virtual_sleep_moves_the_clock_by_an_hour() {
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let clock = Clock::starting_at(start);
        clock.sleep_until("2026-01-01T01:00:00Z".parse().unwrap()).await;
        assert_eq!(clock.now().to_string(), "2026-01-01T01:00:00Z");
        assert_eq!(clock.until(start), Duration::ZERO);
    }
}
