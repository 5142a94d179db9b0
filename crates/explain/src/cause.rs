//! A cause with its remedy.

use serde::{Deserialize, Serialize};

/// Something that keeps a rollout where it stands, or sends traffic elsewhere than it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cause {
    /// Machine-readable name in kebab case, e.g. `image-not-pulled`.
    pub name: String,
    /// What is the case, in one sentence.
    pub summary: String,
    /// What was seen: figures, messages, who and when.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
    /// What to do about it, in one sentence; empty when the commands say it all.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub remedy: String,
    /// Commands to run next.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub next: Vec<Command>,
}

/// A command and what it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Command {
    /// The command, as typed.
    pub run: String,
    /// What it does.
    pub to: String,
}

impl Cause {
    pub(crate) fn new(name: &str, summary: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            summary: summary.into(),
            details: Vec::new(),
            remedy: String::new(),
            next: Vec::new(),
        }
    }

    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.details.push(detail.into());
        self
    }

    pub(crate) fn details(mut self, details: impl IntoIterator<Item = String>) -> Self {
        self.details.extend(details);
        self
    }

    pub(crate) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }

    pub(crate) fn next(mut self, command: Command) -> Self {
        self.next.push(command);
        self
    }
}

impl Command {
    /// A command of the kubectl plugin about this Rollout.
    pub(crate) fn plugin(namespace: &str, words: &str, to: &str) -> Self {
        Self { run: format!("kubectl argo rollouts {words} -n {namespace}"), to: to.to_owned() }
    }

    /// A command of kubectl.
    pub(crate) fn kubectl(namespace: &str, words: &str, to: &str) -> Self {
        Self { run: format!("kubectl -n {namespace} {words}"), to: to.to_owned() }
    }
}
