//! What was seen during the story, in the order in which it was seen. All times are counted from its start.

use std::collections::BTreeMap;
use std::time::Duration;

/// Which service a request was meant for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Service {
    /// The canary service.
    Web,
    /// The blue-green service.
    Shop,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A version answered, and well.
    Good {
        /// The version.
        version: String,
    },
    /// A version answered with an error of its own.
    Failed {
        /// The version.
        version: String,
        /// The HTTP status.
        code: u16,
    },
    /// No version answered.
    Lost {
        /// What the user saw instead.
        why: String,
    },
}

impl Outcome {
    /// The version that answered, if any.
    pub(crate) fn version(&self) -> Option<&str> {
        match self {
            Self::Good { version } | Self::Failed { version, .. } => Some(version),
            Self::Lost { .. } => None,
        }
    }
}

/// One request of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    /// Meant for.
    pub service: Service,
    /// When it was sent.
    pub sent: Duration,
    /// When its answer was there, or it was given up.
    pub answered: Duration,
    /// What became of it.
    pub outcome: Outcome,
}

/// The chapters of the story.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Chapter {
    /// Version 1 serves.
    First,
    /// Version 2, which is good.
    Good,
    /// Version 3, which fails some of its requests.
    Bad,
    /// The blue-green service starts.
    ShopFirst,
    /// Its version 2 is checked and switched to.
    Switch,
    /// Everything has happened.
    End,
}

impl Chapter {
    /// One line for people.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::First => "version 1 serves",
            Self::Good => "version 2 is good: 20 → 40 → 60 → 80 → 100, then promoted",
            Self::Bad => "version 3 fails 5 % of its requests: its analysis pulls it back",
            Self::ShopFirst => "blue-green: version 1 of the shop serves",
            Self::Switch => "blue-green: the preview of version 2 is checked and switched to",
            Self::End => "the end",
        }
    }
}

/// Everything that was seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    /// Requests in the order of their answers.
    pub samples: Vec<Sample>,
    /// Percent for the canary as the proxy's table had it in force, from when on.
    pub weights: Vec<(Duration, u64)>,
    /// Chapters and when they began.
    pub chapters: Vec<(Duration, Chapter)>,
}

impl Ledger {
    /// Notes the weight that is in force from `at` on; one that is in force already is not noted again.
    pub(crate) fn note_weight(&mut self, at: Duration, percent: u64) {
        if self.weights.last().is_none_or(|(_, known)| *known != percent) {
            self.weights.push((at, percent));
        }
    }

    /// From when to when a chapter lasted; to the end of time if it is the last.
    pub(crate) fn span(&self, chapter: Chapter) -> Option<(Duration, Duration)> {
        let at = self.chapters.iter().position(|(_, known)| *known == chapter)?;
        let end = self.chapters.get(at + 1).map_or(Duration::MAX, |(start, _)| *start);
        Some((self.chapters[at].0, end))
    }

    /// How many requests of a service were answered since `since`, by version; lost ones under "".
    pub(crate) fn tally(&self, service: Service, since: Duration) -> BTreeMap<String, u64> {
        let mut tally = BTreeMap::new();
        // Answers come in order, nearly; half a second covers those overtaken.
        let stop = since.saturating_sub(Duration::from_millis(500));
        for sample in self.samples.iter().rev().take_while(|sample| sample.answered >= stop) {
            if sample.service == service && sample.answered >= since {
                let version = sample.outcome.version().unwrap_or_default().to_owned();
                *tally.entry(version).or_default() += 1;
            }
        }
        tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chapters_end_where_the_next_begins() {
        let second = Duration::from_secs;
        let ledger = Ledger {
            chapters: vec![(second(1), Chapter::First), (second(5), Chapter::Good)],
            ..Ledger::default()
        };
        assert_eq!(ledger.span(Chapter::First), Some((second(1), second(5))));
        assert_eq!(ledger.span(Chapter::Good), Some((second(5), Duration::MAX)));
        assert_eq!(ledger.span(Chapter::Bad), None);
    }

    #[test]
    fn a_tally_counts_what_was_answered_lately_by_version() {
        let sample = |service, at, outcome| Sample {
            service,
            sent: Duration::from_secs(at),
            answered: Duration::from_secs(at),
            outcome,
        };
        let good = |version: &str| Outcome::Good { version: version.to_owned() };
        let ledger = Ledger {
            samples: vec![
                sample(Service::Web, 1, good("1")),
                sample(Service::Web, 5, good("1")),
                sample(Service::Shop, 6, good("1")),
                sample(Service::Web, 6, good("2")),
                sample(Service::Web, 7, Outcome::Failed { version: "2".to_owned(), code: 500 }),
                sample(Service::Web, 8, Outcome::Lost { why: "503".to_owned() }),
            ],
            ..Ledger::default()
        };
        let expected = [("", 1), ("1", 1), ("2", 2)].map(|(version, count)| (version.to_owned(), count));
        assert_eq!(ledger.tally(Service::Web, Duration::from_secs(5)), BTreeMap::from(expected));
    }
}
