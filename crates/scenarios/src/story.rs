//! The language of stories.

use std::time::Duration;

use serde_json::Value;

/// A release story.
#[derive(Clone, Debug, Default)]
pub struct Story {
    /// A sentence.
    pub name: &'static str,
    /// Rows of the specification the story pins.
    pub rows: &'static [&'static str],
    /// Objects that exist before anything happens, in order.
    pub given: Vec<Value>,
    /// What happens.
    pub beats: Vec<Beat>,
    /// What must hold at the end.
    pub finally: Vec<Expectation>,
    /// Reasons of the events about the Rollout named here, in order, from its creation to the end.
    pub events: Option<(&'static str, Vec<&'static str>)>,
}

/// One thing that happens, or is waited for.
#[derive(Clone, Debug)]
pub enum Beat {
    /// Create an object.
    Create(Value),
    /// A command of the kubectl plugin, as typed after `kubectl argo rollouts`.
    Plugin(String),
    /// A command of the plugin that must fail with an error containing the text.
    PluginFails(String, &'static str),
    /// A merge patch on an object.
    Patch {
        /// What is patched.
        of: Target,
        /// The merge patch.
        patch: Value,
    },
    /// A merge patch that the API server must refuse with an error containing the text.
    PatchFails {
        /// What is patched.
        of: Target,
        /// The merge patch.
        patch: Value,
        /// Part of the refusal.
        text: &'static str,
    },
    /// Delete an object in the background.
    Delete(Target),
    /// From now on a metric address gives these answers, the last one for ever.
    Metric {
        /// Path under the plane's metric host, e.g. `/health`, or a whole address, which only the embedded
        /// plane can answer for.
        path: &'static str,
        /// Status code and body, one per measurement.
        answers: Vec<(u16, String)>,
    },
    /// Wait until something holds, for at most ten virtual minutes.
    Until(Expectation),
    /// Let time pass.
    Pass(Duration),
    /// Something must hold right now.
    Now(Expectation),
    /// Something must hold from now on for a while.
    Stays(Expectation, Duration),
}

/// An object by kind and name, in the story's namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The kind, e.g. `Rollout`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
}

/// Something that can be true of the plane.
#[derive(Clone, Debug)]
pub enum Expectation {
    /// An object contains this document: objects as subsets, everything else exactly. Strings of the form
    /// `{hash:IMAGE}` stand for the pod-template hash of the ReplicaSet that runs that image; `null` for a
    /// member that is absent.
    Contains(Target, Value),
    /// An object does not exist.
    Absent(Target),
    /// There is no object of this kind.
    None(&'static str),
    /// The ReplicaSet that runs this image has this many replicas wanted and available.
    Pods {
        /// First container's image.
        image: &'static str,
        /// `spec.replicas`, and `status.availableReplicas`.
        replicas: i64,
    },
    /// Every pod of the Rollout that runs this image contains this document, and there is one.
    EveryPod {
        /// First container's image.
        image: &'static str,
        /// As in [`Expectation::Contains`].
        document: Value,
    },
    /// The ReplicaSet that runs this image wants this many replicas, whatever their state.
    Wants {
        /// First container's image.
        image: &'static str,
        /// `spec.replicas`.
        replicas: i64,
    },
    /// ReplicaSets with a pod-template hash have at least this many available pods together, of those they want.
    Serving {
        /// Available pods that are there to stay.
        at_least: i64,
    },
    /// The Rollout has this phase and a message beginning with this text.
    Phase {
        /// Name of the Rollout.
        rollout: &'static str,
        /// `status.phase`.
        phase: &'static str,
        /// Beginning of `status.message`.
        message: &'static str,
    },
    /// All of these.
    All(Vec<Expectation>),
}

impl Story {
    /// Begins a story.
    #[must_use]
    pub fn named(name: &'static str, rows: &'static [&'static str]) -> Self {
        Self { name, rows, ..Self::default() }
    }

    /// How long the story lasts at least: everything it lets pass.
    #[must_use]
    pub fn lasts(&self) -> Duration {
        let passes = |beat: &Beat| match beat {
            Beat::Pass(time) | Beat::Stays(_, time) => *time,
            _ => Duration::ZERO,
        };
        self.beats.iter().map(passes).sum()
    }

    /// Adds objects that exist at the beginning.
    #[must_use]
    pub fn given(mut self, objects: impl IntoIterator<Item = Value>) -> Self {
        self.given.extend(objects);
        self
    }

    /// Adds a beat.
    #[must_use]
    pub fn beat(mut self, beat: Beat) -> Self {
        self.beats.push(beat);
        self
    }

    /// Types a command of the plugin.
    #[must_use]
    pub fn plugin(self, command: &str) -> Self {
        self.beat(Beat::Plugin(command.to_owned()))
    }

    /// Patches an object.
    #[must_use]
    pub fn patch(self, of: Target, patch: Value) -> Self {
        self.beat(Beat::Patch { of, patch })
    }

    /// Waits until something holds.
    #[must_use]
    pub fn until(self, expectation: Expectation) -> Self {
        self.beat(Beat::Until(expectation))
    }

    /// Lets time pass.
    #[must_use]
    pub fn pass(self, seconds: u64) -> Self {
        self.beat(Beat::Pass(Duration::from_secs(seconds)))
    }

    /// Something must hold now.
    #[must_use]
    pub fn now(self, expectation: Expectation) -> Self {
        self.beat(Beat::Now(expectation))
    }

    /// Something must hold for the next seconds.
    #[must_use]
    pub fn stays(self, expectation: Expectation, seconds: u64) -> Self {
        self.beat(Beat::Stays(expectation, Duration::from_secs(seconds)))
    }

    /// A metric address answers like this from now on.
    #[must_use]
    pub fn metric(self, path: &'static str, answers: &[(u16, &str)]) -> Self {
        let answers = answers.iter().map(|(code, body)| (*code, (*body).to_owned())).collect();
        self.beat(Beat::Metric { path, answers })
    }

    /// Something must hold at the end.
    #[must_use]
    pub fn finally(mut self, expectation: Expectation) -> Self {
        self.finally.push(expectation);
        self
    }

    /// The Rollout's events, in order.
    #[must_use]
    pub fn events(mut self, rollout: &'static str, reasons: &[&'static str]) -> Self {
        self.events = Some((rollout, reasons.to_vec()));
        self
    }
}

/// An object by kind and name.
#[must_use]
pub fn object(kind: &'static str, name: &str) -> Target {
    Target { kind, name: name.to_owned() }
}

/// The object contains the document.
#[must_use]
pub fn contains(kind: &'static str, name: &str, document: Value) -> Expectation {
    Expectation::Contains(object(kind, name), document)
}

/// The Rollout is Healthy.
#[must_use]
pub fn healthy(rollout: &'static str) -> Expectation {
    Expectation::Phase { rollout, phase: "Healthy", message: "" }
}

/// The Rollout is Paused for this reason.
#[must_use]
pub fn paused(rollout: &'static str, reason: &'static str) -> Expectation {
    Expectation::Phase { rollout, phase: "Paused", message: reason }
}

/// The Rollout is Degraded with a message that begins like this.
#[must_use]
pub fn degraded(rollout: &'static str, message: &'static str) -> Expectation {
    Expectation::Phase { rollout, phase: "Degraded", message }
}

/// The Rollout is Progressing with a message that begins like this.
#[must_use]
pub fn progressing(rollout: &'static str, message: &'static str) -> Expectation {
    Expectation::Phase { rollout, phase: "Progressing", message }
}

/// The ReplicaSet of the image has this many replicas, all available.
#[must_use]
pub fn pods(image: &'static str, replicas: i64) -> Expectation {
    Expectation::Pods { image, replicas }
}

/// All of these hold.
#[must_use]
pub fn all(expectations: impl IntoIterator<Item = Expectation>) -> Expectation {
    Expectation::All(expectations.into_iter().collect())
}
