//! The kubelet's back-off for pulls and restarts: 10 seconds, doubled each time up to five minutes, and
//! forgotten after ten good minutes.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

const FIRST: SignedDuration = SignedDuration::from_secs(10);
const LAST: SignedDuration = SignedDuration::from_secs(300);
const FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_secs(600);

/// The back-off of one container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackOff {
    current: Option<SignedDuration>,
}

impl BackOff {
    /// A back-off as it is after `failures` failures.
    #[must_use]
    pub fn after_failures(failures: u32) -> Self {
        let mut backoff = Self::default();
        for _ in 0..failures.min(10) {
            backoff.fail();
        }
        backoff
    }

    /// Counts a failure and tells how long to wait now: nothing after the first.
    pub fn fail(&mut self) -> SignedDuration {
        let next = match self.current {
            None => SignedDuration::ZERO,
            Some(SignedDuration::ZERO) => FIRST,
            Some(wait) => (wait + wait).min(LAST),
        };
        self.current = Some(next);
        next
    }

    /// How long to wait after the last failure.
    #[must_use]
    pub fn wait(self) -> SignedDuration {
        self.current.unwrap_or(SignedDuration::ZERO)
    }

    /// Forgets everything if the run that just ended was long enough.
    pub fn forget_after_good_run(&mut self, started: Timestamp, finished: Timestamp) {
        if finished.duration_since(started) >= FORGOTTEN_AFTER {
            self.current = None;
        }
    }
}

/// A wait as the kubelet's messages print it: `10s`, `1m20s`, `5m0s`.
#[must_use]
pub fn render_wait(wait: SignedDuration) -> String {
    let seconds = Duration::try_from(wait).unwrap_or_default().as_secs();
    if seconds < 60 { format!("{seconds}s") } else { format!("{}m{}s", seconds / 60, seconds % 60) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_restart_is_immediate_and_later_ones_wait_ever_longer() {
        let mut backoff = BackOff::default();
        let waits: Vec<String> = (0..8).map(|_| render_wait(backoff.fail())).collect();
        assert_eq!(waits, ["0s", "10s", "20s", "40s", "1m20s", "2m40s", "5m0s", "5m0s"]);
        assert_eq!(BackOff::after_failures(8), backoff);
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        backoff.forget_after_good_run(start, start + SignedDuration::from_mins(9));
        assert_eq!(render_wait(backoff.fail()), "5m0s");
        backoff.forget_after_good_run(start, start + SignedDuration::from_mins(10));
        assert_eq!(render_wait(backoff.fail()), "0s");
    }
}
