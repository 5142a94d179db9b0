//! Which Events are written: client-go's rules for combining similar ones and for an allowance per object (O-400).
//!
//! Observability pipelines were sized for these rules, so they are kept, with one difference: Warnings, which client-go
//! counts apart, are always written. Whoever is woken by an abort must find its reason, whatever went wrong before.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use glidepath_core::plan::{Event, EventType};
use jiff::{SignedDuration, Timestamp};

use crate::events::Subject;

/// From this many different messages of one reason on, they are combined.
const SIMILAR: usize = 10;
/// How long after the last similar message counting begins anew.
const SIMILAR_WITHIN: SignedDuration = SignedDuration::from_mins(10);
/// Events of one object, Warnings apart, that may be written at once.
const ALLOWANCE: f64 = 25.0;
/// Seconds until one more may be written.
const ALLOWANCE_SECONDS: f64 = 300.0;
/// How many objects and reasons are remembered.
const REMEMBERED: usize = 4096;

/// What is written for an admitted Event.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Correlated {
    /// Events with the same id are one Event with a count.
    pub(crate) id: u64,
    /// The message, marked where it stands for several.
    pub(crate) message: String,
}

struct Similar {
    last: Timestamp,
    messages: HashSet<u64>,
}

struct Allowance {
    last: Timestamp,
    left: f64,
}

/// What was seen of late.
#[derive(Default)]
pub(crate) struct Correlator {
    similar: HashMap<u64, Similar>,
    allowances: HashMap<u64, Allowance>,
}

impl Correlator {
    /// How an Event is written; `None` when its object has used up its allowance.
    pub(crate) fn correlate(
        &mut self,
        subject: &Subject,
        event: &Event,
        now: Timestamp,
    ) -> Option<Correlated> {
        let correlated = self.combine(subject, event, now);
        let allowed = event.event_type == EventType::Warning || self.allow(subject, now);
        allowed.then_some(correlated)
    }

    fn combine(&mut self, subject: &Subject, event: &Event, now: Timestamp) -> Correlated {
        let warning = event.event_type == EventType::Warning;
        let kind = id_of(&(&subject.uid, subject.kind, &subject.name, warning, &event.reason));
        let exact = id_of(&(kind, &event.message));
        forget_oldest(&mut self.similar, |similar| similar.last);
        let similar =
            self.similar.entry(kind).or_insert_with(|| Similar { last: now, messages: HashSet::new() });
        if now.duration_since(similar.last) > SIMILAR_WITHIN {
            similar.messages.clear();
        }
        similar.last = now;
        similar.messages.insert(exact);
        if similar.messages.len() < SIMILAR {
            return Correlated { id: exact, message: event.message.clone() };
        }
        similar.messages.remove(&exact);
        Correlated { id: kind, message: format!("(combined from similar events): {}", event.message) }
    }

    fn allow(&mut self, subject: &Subject, now: Timestamp) -> bool {
        forget_oldest(&mut self.allowances, |allowance| allowance.last);
        let allowance = self
            .allowances
            .entry(id_of(&(&subject.uid, subject.kind, &subject.name)))
            .or_insert(Allowance { last: now, left: ALLOWANCE });
        let passed = now.duration_since(allowance.last).as_secs_f64().max(0.0);
        allowance.left = (allowance.left + passed / ALLOWANCE_SECONDS).min(ALLOWANCE);
        allowance.last = now;
        let allowed = allowance.left >= 1.0;
        if allowed {
            allowance.left -= 1.0;
        }
        allowed
    }
}

fn id_of(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Makes room by dropping the older half, so that the search is paid for rarely.
fn forget_oldest<T>(memory: &mut HashMap<u64, T>, last: impl Fn(&T) -> Timestamp) {
    if memory.len() < REMEMBERED {
        return;
    }
    let mut times: Vec<Timestamp> = memory.values().map(&last).collect();
    let middle = times.len() / 2;
    let (_, middle, _) = times.select_nth_unstable(middle);
    let middle = *middle;
    memory.retain(|_, entry| last(entry) > middle);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(name: &str) -> Subject {
        Subject {
            api_version: "argoproj.io/v1alpha1",
            kind: "Rollout",
            namespace: "n".into(),
            name: name.into(),
            uid: name.into(),
            resource_version: "9".into(),
        }
    }

    fn event(event_type: EventType, reason: &str, message: &str) -> Event {
        Event { event_type, reason: reason.to_owned(), message: message.into() }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_780_000_000 + seconds).unwrap()
    }

    fn admitted(correlator: &mut Correlator, event: &Event, seconds: i64) -> Option<String> {
        correlator.correlate(&subject("web"), event, at(seconds)).map(|correlated| correlated.message)
    }

    #[test]
    fn the_tenth_similar_message_is_combined_and_ten_quiet_minutes_begin_anew_o_400() {
        let mut correlator = Correlator::default();
        let scaled = |n: i64| event(EventType::Normal, "ScalingReplicaSet", &format!("to {n}"));
        for n in 1..10 {
            assert_eq!(admitted(&mut correlator, &scaled(n), n), Some(format!("to {n}")));
        }
        assert_eq!(
            admitted(&mut correlator, &scaled(10), 10).as_deref(),
            Some("(combined from similar events): to 10")
        );
        let ten = correlator.correlate(&subject("web"), &scaled(11), at(11)).unwrap();
        let eleven = correlator.correlate(&subject("web"), &scaled(12), at(12)).unwrap();
        assert_eq!(ten.id, eleven.id);
        assert_eq!(admitted(&mut correlator, &scaled(13), 700).as_deref(), Some("to 13"));
    }

    #[test]
    fn an_object_has_twenty_five_events_and_one_more_each_five_minutes_o_400() {
        let mut correlator = Correlator::default();
        let step = |n: i64| event(EventType::Normal, &format!("Reason{n}"), "m");
        let written = (0..40).filter(|n| admitted(&mut correlator, &step(*n), 0).is_some()).count();
        assert_eq!(written, 25);
        assert_eq!(admitted(&mut correlator, &step(1), 299), None);
        assert!(admitted(&mut correlator, &step(1), 301).is_some());
        assert!(correlator.correlate(&subject("other"), &step(1), at(301)).is_some());
    }

    #[test]
    fn a_warning_is_written_whatever_came_before_and_takes_nothing_from_the_rest() {
        let mut correlator = Correlator::default();
        for n in 0..40 {
            assert!(
                admitted(&mut correlator, &event(EventType::Warning, &format!("Wrong{n}"), "m"), 0).is_some()
            );
        }
        let normal = |n: i64| event(EventType::Normal, &format!("Reason{n}"), "m");
        let written = (0..40).filter(|n| admitted(&mut correlator, &normal(*n), 0).is_some()).count();
        assert_eq!(written, 25);
        let abort = event(EventType::Warning, "RolloutAborted", "Rollout aborted update to revision 2");
        assert_eq!(admitted(&mut correlator, &abort, 0).as_deref(), Some(abort.message.as_str()));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut correlator = Correlator::default();
        for n in 0..3 * REMEMBERED {
            let one = event(EventType::Normal, "Reason", "m");
            correlator.correlate(&subject(&n.to_string()), &one, at(i64::try_from(n).unwrap()));
        }
        assert!(correlator.allowances.len() <= REMEMBERED && correlator.similar.len() <= REMEMBERED);
    }
}
