//! How a run, a metric or a measurement stands.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a run, a metric or a measurement stands. A phase that was never set is `None` in the fields that hold one.
///
/// `Ord` is the severity of A-215: from the best outcome to the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AnalysisPhase {
    /// Not begun.
    Pending,
    /// At work.
    Running,
    /// Good.
    Successful,
    /// Bad.
    Failed,
    /// Could not be measured.
    Error,
    /// Neither good nor bad.
    Inconclusive,
}

impl AnalysisPhase {
    /// All phases, from the best to the worst. Across metrics a failure is worse than an error.
    pub const BY_SEVERITY: [Self; 6] =
        [Self::Successful, Self::Running, Self::Pending, Self::Inconclusive, Self::Error, Self::Failed];

    /// The phase's name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Successful => "Successful",
            Self::Failed => "Failed",
            Self::Error => "Error",
            Self::Inconclusive => "Inconclusive",
        }
    }

    /// The phase of that name; `None` for an empty or unknown one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::BY_SEVERITY.into_iter().find(|phase| phase.as_str() == text)
    }

    /// Whether the phase is final.
    #[must_use]
    pub fn completed(self) -> bool {
        matches!(self, Self::Successful | Self::Failed | Self::Error | Self::Inconclusive)
    }

    /// Position in [`Self::BY_SEVERITY`]; greater is worse.
    #[must_use]
    pub fn severity(self) -> usize {
        match self {
            Self::Successful => 0,
            Self::Running => 1,
            Self::Pending => 2,
            Self::Inconclusive => 3,
            Self::Error => 4,
            Self::Failed => 5,
        }
    }

    /// Whether this phase is worse than the other.
    #[must_use]
    pub fn is_worse_than(self, other: Self) -> bool {
        self.severity() > other.severity()
    }

    /// The worse of two phases.
    #[must_use]
    pub fn worst(self, other: Self) -> Self {
        if other.is_worse_than(self) { other } else { self }
    }
}

impl PartialOrd for AnalysisPhase {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for AnalysisPhase {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.severity().cmp(&other.severity())
    }
}

impl fmt::Display for AnalysisPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for AnalysisPhase {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for AnalysisPhase {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| serde::de::Error::custom(format_args!("unknown analysis phase {text:?}")))
    }
}

/// Fields that hold a phase: an unset phase is an empty text on the wire, and an unknown one counts as unset,
/// so that an object written by a newer program can still be read.
pub(crate) mod phase_or_empty {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::AnalysisPhase;

    #[expect(clippy::ref_option, clippy::trivially_copy_pass_by_ref, reason = "the signature serde calls")]
    pub(crate) fn serialize<S: Serializer>(phase: &Option<AnalysisPhase>, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(phase.map_or("", AnalysisPhase::as_str))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<AnalysisPhase>, D::Error> {
        Ok(Option::<String>::deserialize(d)?.and_then(|text| AnalysisPhase::parse(&text)))
    }
}
