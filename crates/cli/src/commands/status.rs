//! `status`: the phase in one line, and the exit code to go with it (O-057 to O-059).

use std::time::Duration;

use glidepath_api::Rollout;
use glidepath_gocompat::duration;
use glidepath_view::displayed_phase;
use tokio::task::JoinSet;

use super::only_name;
use crate::arguments::Status;
use crate::failure::Failure;
use crate::follow::follow;
use crate::gather::fetch_rollout;
use crate::objects::Selection;
use crate::session::Session;

/// Phase and message as a watch prints them.
#[must_use]
pub fn render_line(phase: &str, message: &str) -> String {
    if message.is_empty() { phase.to_owned() } else { format!("{phase} - {message}") }
}

/// Phase and message as they are printed once (O-059).
#[must_use]
pub fn render_once(phase: &str, message: &str) -> String {
    match phase {
        "Healthy" | "Degraded" => phase.to_owned(),
        _ => format!("{phase} - {message}"),
    }
}

/// How the command ends in this phase. A watch ends well only when all is well.
///
/// # Errors
/// If the Rollout is degraded, or a watch ended before it was healthy.
pub fn decide_end(phase: &str, message: &str, watch: bool) -> Result<(), Failure> {
    match phase {
        "Degraded" => {
            Err(Failure::message(format!("The rollout is in a degraded state with message: {message}")))
        }
        "Healthy" => Ok(()),
        _ if watch => Err(Failure::message("Rollout status watch exceeded timeout")),
        _ => Ok(()),
    }
}

/// A Go duration; nothing for zero.
fn parse_timeout(text: &str) -> Result<Option<Duration>, Failure> {
    let nanoseconds = if text == "0" {
        0
    } else {
        duration::parse(text).map_err(|error| {
            Failure::message(format!("invalid argument {text:?} for \"-t, --timeout\" flag: {error}"))
        })?
    };
    let limit = u64::try_from(nanoseconds).map(Duration::from_nanos).unwrap_or_default();
    Ok((!limit.is_zero()).then_some(limit))
}

/// Prints a Rollout's status, once or until it is healthy or degraded.
///
/// # Errors
/// On wrong arguments, when the Rollout ends badly or not in time, or what the API server answers.
pub async fn status(session: &mut Session<'_>, arguments: &Status) -> Result<(), Failure> {
    let name = only_name(&arguments.names)?;
    let limit = parse_timeout(&arguments.timeout)?;
    let rollout = fetch_rollout(&session.client, &session.namespace, name).await?;
    if !arguments.watch {
        let (phase, message) = displayed_phase(&rollout);
        session.output.line(&render_once(&phase, &message));
        return decide_end(&phase, &message, false);
    }
    let seen = match limit {
        None => watch_status(session, name, rollout).await,
        Some(limit) => {
            tokio::time::timeout(limit, watch_status(session, name, rollout)).await.unwrap_or(None)
        }
    };
    let (phase, message) = match seen {
        Some(seen) => seen,
        // Out of time, or told to stop: the last word has a fresh look (O-058).
        None => displayed_phase(&fetch_rollout(&session.client, &session.namespace, name).await?),
    };
    decide_end(&phase, &message, true)
}

/// Prints every change; phase and message once healthy or degraded, nothing when told to stop.
async fn watch_status(session: &mut Session<'_>, name: &str, first: Rollout) -> Option<(String, String)> {
    let mut tasks = JoinSet::new();
    let selection = Selection { labels: None, fields: Some(format!("metadata.name={name}")) };
    let mut known =
        follow::<Rollout>(&mut tasks, session.client.clone(), session.namespace.clone(), selection);
    let mut current = Some(first);
    let mut printed = String::new();
    loop {
        if let Some(rollout) = &current {
            let (phase, message) = displayed_phase(rollout);
            let line = render_line(&phase, &message);
            if line != printed {
                session.output.line(&line);
                printed = line;
            }
            if phase == "Healthy" || phase == "Degraded" {
                return Some((phase, message));
            }
        }
        tokio::select! {
            () = session.stopped() => return None,
            changed = known.changed() => changed.ok()?,
        }
        current = known.borrow().as_ref().and_then(|known| known.get(name).cloned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_the_dash_is_printed_for_any_unfinished_phase_o_059() {
        let cases = [
            ("Healthy", "", "Healthy"),
            ("Degraded", "why", "Degraded"),
            ("Paused", "CanaryPauseStep", "Paused - CanaryPauseStep"),
            ("Progressing", "", "Progressing - "),
        ];
        for (phase, message, expected) in cases {
            assert_eq!(render_once(phase, message), expected);
        }
        assert_eq!(render_line("Progressing", ""), "Progressing");
        assert_eq!(render_line("Degraded", "why"), "Degraded - why");
    }

    #[test]
    fn only_a_healthy_end_is_a_good_one_o_057_o_058() {
        let said = |phase, watch| decide_end(phase, "m", watch).map_err(|failure| failure.to_string());
        let degraded = "The rollout is in a degraded state with message: m";
        let timeout = "Rollout status watch exceeded timeout";
        assert_eq!(said("Healthy", true), Ok(()));
        assert_eq!(said("Degraded", true), Err(degraded.to_owned()));
        assert_eq!(said("Degraded", false), Err(degraded.to_owned()));
        assert_eq!(said("Paused", true), Err(timeout.to_owned()));
        assert_eq!(said("Paused", false), Ok(()));
    }

    #[test]
    fn nought_waits_forever_o_058() {
        assert_eq!(parse_timeout("0"), Ok(None));
        assert_eq!(parse_timeout("0s"), Ok(None));
        assert_eq!(parse_timeout("90s"), Ok(Some(Duration::from_secs(90))));
        assert_eq!(
            parse_timeout("90").unwrap_err().to_string(),
            "invalid argument \"90\" for \"-t, --timeout\" flag: time: missing unit in duration \"90\""
        );
    }
}
