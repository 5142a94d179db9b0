//! The walk: every story again with one mishap at a time. The controller is killed around each of its writes, its
//! writes are refused or their answers lost, its watches are late, behind or broken off. A story must end as it ends
//! on a calm day, and no write on the way may break an invariant of the design.
//!
//! A story under a mishap is told loosely: it waits for what it waits for, but what must hold *right now*, and the
//! list of events, are not looked at, because a late controller is late.

mod inspector;
mod late;
mod outcome;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use glidepath_sandbox::{Fault, Faults};

use crate::embedded::in_virtual_time_behind;
use crate::run::tell_loosely;
use crate::story::Story;

pub(crate) use inspector::{Inspection, Inspector};
pub(crate) use late::Lateness;

/// How long a plane is left alone before its state counts as final: longer than any delay a story sets off.
const REST: Duration = Duration::from_secs(240);

/// One thing that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// Nothing does.
    None,
    /// The controller is killed once it has sent this many writes, and started again: after one write and before
    /// the next.
    KilledAfter(u64),
    /// The controller's n-th write, counted from 1, is answered like this.
    Answered(u64, Fault),
    /// The n-th watch event, counted from 1, is held back, with all that follow it on its watch, until three others
    /// have passed.
    EventLate(u64),
    /// The watch that carries the n-th event breaks off before it.
    WatchDropped(u64),
    /// Every watch event is held back until this many later ones exist.
    Behind(u64),
}

impl std::fmt::Display for Mishap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => f.write_str("no mishap"),
            Self::KilledAfter(n) => write!(f, "killed after write {n}"),
            Self::Answered(n, fault) => write!(f, "write {n} answered with {fault:?}"),
            Self::EventLate(n) => write!(f, "watch event {n} late"),
            Self::WatchDropped(n) => write!(f, "watch dropped at event {n}"),
            Self::Behind(n) => write!(f, "caches {n} events behind"),
        }
    }
}

/// What came of telling a story once.
#[derive(Clone, Debug)]
pub struct Told {
    /// The final state of the plane, without times, one object after the other.
    pub outcome: Vec<String>,
    /// Invariants that a write broke.
    pub broken: Vec<String>,
    /// Writes the controller sent.
    pub writes: u64,
    /// Watch events it was sent.
    pub events: u64,
}

/// Tells a story with one mishap, on a plane of its own.
///
/// # Errors
/// When the story does not come to its end.
pub fn tell_with(story: &Story, mishap: Mishap) -> Result<Told> {
    let faults = Faults::new();
    let lateness = Lateness::of(mishap);
    let inspector = Arc::new(Inspector::default());
    if let Mishap::Answered(n, fault) = mishap {
        faults.on_write(n, fault);
    }
    if let Mishap::KilledAfter(n) = mishap {
        faults.halt_after_writes(n);
    }
    let (watched, layers) = (faults.clone(), (faults.clone(), lateness.clone(), Arc::clone(&inspector)));
    let outcome = in_virtual_time_behind(layers, async |plane| {
        let killer = plane.restart_when(async move {
            match mishap {
                Mishap::KilledAfter(n) => {
                    while watched.writes() < n {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                }
                _ => std::future::pending().await,
            }
        });
        let telling = async {
            tell_loosely(story, plane, "story").await?;
            tokio::time::sleep(REST).await;
            outcome::of(plane.sandbox(), "story").await
        };
        tokio::pin!(killer);
        tokio::pin!(telling);
        tokio::select! {
            biased;
            () = &mut killer => telling.await,
            outcome = &mut telling => outcome,
        }
    })
    .with_context(|| format!("{mishap}"))?;
    Ok(Told { outcome, broken: inspector.broken(), writes: faults.writes(), events: lateness.events() })
}

/// Every mishap that a story can meet, going by what it did on a calm day.
#[must_use]
pub fn mishaps(calm: &Told) -> Vec<Mishap> {
    let answers = [Fault::Conflict, Fault::ServerError, Fault::AppliedButTimedOut];
    let behind = [1, 5, 20].map(Mishap::Behind);
    let kills = (0..=calm.writes).map(Mishap::KilledAfter);
    let answered =
        (1..=calm.writes).flat_map(|n| answers.into_iter().map(move |fault| Mishap::Answered(n, fault)));
    let events = (1..=calm.events).flat_map(|n| [Mishap::EventLate(n), Mishap::WatchDropped(n)]);
    behind.into_iter().chain(kills).chain(answered).chain(events).collect()
}

/// Tells a story with a mishap and compares it to a calm day.
///
/// # Errors
/// Says what became different, or which invariant was broken.
pub fn walk(story: &Story, calm: &Told, mishap: Mishap) -> Result<()> {
    let told = tell_with(story, mishap)?;
    if let Some(broken) = told.broken.first() {
        bail!("\"{}\", {mishap}: {broken}", story.name);
    }
    let outcome = under_first_names(&told.outcome, &calm.outcome);
    let lost: Vec<_> = calm.outcome.iter().filter(|line| !outcome.contains(line)).collect();
    let is_known = |line: &&String| calm.outcome.contains(line) || is_measured_again(line, &calm.outcome);
    let new: Vec<_> = outcome.iter().filter(|line| !is_known(line)).collect();
    if !lost.is_empty() || !new.is_empty() {
        bail!("\"{}\", {mishap}, ends otherwise:\n  without: {lost:#?}\n  with: {new:#?}", story.name);
    }
    Ok(())
}

/// Whether a line of an outcome is of a run made once more under the next name, and as the first one otherwise. Where
/// the answer to its making or the write that was to name it was lost, the first may have ended by the next look; which
/// attempt it was of cannot be told then, so it is no evidence.
fn is_measured_again(line: &str, calm: &[String]) -> bool {
    made_again(line).is_some_and(|(_, base, rest)| calm.contains(&format!("AnalysisRun {base} {rest}")))
}

/// Name, first name and rest of a line about a run that has the next name.
fn made_again(line: &str) -> Option<(&str, &str, &str)> {
    let (name, rest) = line.strip_prefix("AnalysisRun ")?.split_once(' ')?;
    let (base, number) = name.rsplit_once('.')?;
    number.parse::<u32>().ok().map(|_| (name, base, rest))
}

/// An outcome in which what names such a run names the first one.
fn under_first_names(outcome: &[String], calm: &[String]) -> Vec<String> {
    let again: Vec<_> = outcome.iter().filter(|line| is_measured_again(line, calm)).collect();
    let names: Vec<_> = again.iter().filter_map(|line| made_again(line)).collect();
    let rename = |line: &String| {
        names.iter().fold(line.clone(), |line, (name, base, _)| {
            line.replace(&format!("\"{name}\""), &format!("\"{base}\""))
        })
    };
    outcome.iter().map(rename).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_second_run_that_is_as_the_first_is_passed_over() {
        let calm = ["AnalysisRun web-2-1 /status/phase \"Successful\"".to_owned()];
        let judge = |line: &str| is_measured_again(line, &calm);
        assert!(judge("AnalysisRun web-2-1.1 /status/phase \"Successful\""));
        assert!(!judge("AnalysisRun web-2-1.1 /status/phase \"Failed\""));
        assert!(!judge("AnalysisRun web-2-2.1 /status/phase \"Successful\""));
        assert!(!judge("AnalysisRun web-2-1.old /status/phase \"Successful\""));
        assert!(!judge("Experiment web-2-1.1 /status/phase \"Successful\""));
        let told = [
            "AnalysisRun web-2-1.1 /status/phase \"Successful\"".to_owned(),
            "Rollout web /status {\"run\":\"web-2-1.1\",\"other\":\"web-2-2.1\"}".to_owned(),
        ];
        let named = "Rollout web /status {\"run\":\"web-2-1\",\"other\":\"web-2-2.1\"}";
        assert_eq!(under_first_names(&told, &calm), [told[0].as_str(), named]);
    }
}
