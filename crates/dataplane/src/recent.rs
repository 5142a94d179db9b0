//! The last minute per backend: what a gate asks who judges a release by its newest requests only.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde_json::{Value, json};

/// Requests are counted in slots of this length; a window is rounded up to whole slots.
const SLOT: Duration = Duration::from_millis(250);

/// The longest window that can be asked for.
pub const LONGEST: Duration = Duration::from_secs(60);

/// What a window holds when nothing is said about it.
pub const USUAL: Duration = Duration::from_secs(10);

/// Counts of the last minute by backend Service. Times are counted from when the data plane started.
#[derive(Clone, Debug, Default)]
pub struct Recent {
    by_backend: BTreeMap<String, VecDeque<Slot>>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    number: u128,
    requests: u64,
    failures: u64,
}

/// A window's counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests answered.
    pub requests: u64,
    /// Those of them answered with 5xx.
    pub failures: u64,
}

impl Recent {
    /// Counts a request answered at `at`.
    pub fn record(&mut self, backend: &str, code: u16, at: Duration) {
        let number = slot_at(at);
        if !self.by_backend.contains_key(backend) {
            self.by_backend.insert(backend.to_owned(), VecDeque::new());
        }
        let Some(slots) = self.by_backend.get_mut(backend) else { return };
        while slots.front().is_some_and(|slot| slot.number + slots_in(LONGEST) < number) {
            slots.pop_front();
        }
        // A request that was overtaken counts as answered together with the one before it.
        if slots.back().is_none_or(|slot| slot.number < number) {
            slots.push_back(Slot { number, requests: 0, failures: 0 });
        }
        if let Some(slot) = slots.back_mut() {
            slot.requests += 1;
            slot.failures += u64::from(code >= 500);
        }
    }

    /// What the backend answered within `window` before `now`. A backend never seen has answered nothing.
    #[must_use]
    pub fn counts(&self, backend: &str, window: Duration, now: Duration) -> Counts {
        let newest = slot_at(now);
        let slots = self.by_backend.get(backend).into_iter().flatten();
        slots.filter(|slot| slot.number + slots_in(window) > newest).fold(Counts::default(), |sum, slot| {
            Counts { requests: sum.requests + slot.requests, failures: sum.failures + slot.failures }
        })
    }
}

fn slot_at(at: Duration) -> u128 {
    at.as_millis() / SLOT.as_millis()
}

fn slots_in(window: Duration) -> u128 {
    window.as_millis().div_ceil(SLOT.as_millis())
}

/// A question of the form `backend=web-canary&seconds=5`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Name of the backend Service.
    pub backend: String,
    /// How far back.
    pub window: Duration,
}

/// Reads a question from a query string; names hold nothing that would be escaped there.
///
/// # Errors
/// Says what is missing or unreadable.
pub fn parse_question(query: &str) -> Result<Question, String> {
    let mut question = Question { backend: String::new(), window: USUAL };
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=').unwrap_or((pair, "")) {
            ("backend", name) => name.clone_into(&mut question.backend),
            ("seconds", text) => {
                let longest = LONGEST.as_secs();
                let seconds: u64 =
                    text.parse().ok().filter(|seconds| (1..=longest).contains(seconds)).ok_or_else(|| {
                        format!("seconds {text:?} is not a whole number from 1 to {longest}")
                    })?;
                question.window = Duration::from_secs(seconds);
            }
            (other, _) => return Err(format!("unknown parameter {other:?}: try backend and seconds")),
        }
    }
    if question.backend.is_empty() {
        return Err("name a backend Service: ?backend=NAME&seconds=10".to_owned());
    }
    Ok(question)
}

/// The answer as JSON. Without requests there is no rate: `errorRate` is null then, never 0.
#[must_use]
pub fn render_answer(question: &Question, counts: Counts) -> Value {
    #[expect(clippy::cast_precision_loss, reason = "a minute's requests are far fewer than 2^52")]
    let rate = (counts.requests > 0).then(|| counts.failures as f64 / counts.requests as f64);
    json!({
        "backend": question.backend, "seconds": question.window.as_secs(),
        "requests": counts.requests, "failures": counts.failures, "errorRate": rate,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_window_counts_what_was_answered_within_it() {
        let mut recent = Recent::default();
        for (at, code) in [(0, 500), (1_000, 200), (1_100, 503), (4_900, 200), (5_000, 404)] {
            recent.record("canary", code, ms(at));
        }
        let cases =
            [(1, 5_000, 2, 0), (5, 5_000, 4, 1), (60, 5_000, 5, 2), (1, 9_000, 0, 0), (5, 9_700, 2, 0)];
        for (seconds, now, requests, failures) in cases {
            let counts = recent.counts("canary", Duration::from_secs(seconds), ms(now));
            assert_eq!(counts, Counts { requests, failures }, "{seconds} s before {now} ms");
        }
        assert_eq!(recent.counts("stable", LONGEST, ms(5_000)), Counts::default());
    }

    #[test]
    fn slots_older_than_the_longest_window_are_forgotten() {
        let mut recent = Recent::default();
        for second in 0..600 {
            recent.record("canary", 200, Duration::from_secs(second));
        }
        assert!(recent.by_backend["canary"].len() <= 62, "{}", recent.by_backend["canary"].len());
    }

    #[test]
    fn questions_name_a_backend_and_a_window() {
        let asked = |query: &str| parse_question(query).map(|asked| (asked.backend, asked.window.as_secs()));
        assert_eq!(asked("backend=web-canary"), Ok(("web-canary".to_owned(), 10)));
        assert_eq!(asked("backend=a&seconds=5"), Ok(("a".to_owned(), 5)));
        let cases = [
            ("", "name a backend Service: ?backend=NAME&seconds=10"),
            ("backend=a&seconds=0", "seconds \"0\" is not a whole number from 1 to 60"),
            ("backend=a&seconds=x", "seconds \"x\" is not a whole number from 1 to 60"),
            ("host=a", "unknown parameter \"host\": try backend and seconds"),
        ];
        for (query, complaint) in cases {
            assert_eq!(asked(query), Err(complaint.to_owned()));
        }
    }

    #[test]
    fn without_requests_there_is_no_rate() {
        let question = parse_question("backend=a&seconds=5").unwrap();
        assert!(render_answer(&question, Counts::default())["errorRate"].is_null());
        let counts = Counts { requests: 20, failures: 1 };
        assert_eq!(render_answer(&question, counts)["errorRate"], 0.05);
    }
}
