//! `restart`: replace the pods, now or in a while (O-070).

use glidepath_gocompat::{duration, time::format_rfc3339};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::only_name;
use crate::failure::Failure;
use crate::objects::{ROLLOUTS, apply_merge_patch};
use crate::session::Session;

/// The patch that restarts the pods `delay` after `now`, in whole seconds.
///
/// # Errors
/// If the delay is not a Go duration.
pub fn plan_patch(now: Timestamp, delay: Option<&str>) -> Result<Value, Failure> {
    let nanoseconds = match delay {
        None | Some("") => 0,
        Some(delay) => duration::parse(delay).map_err(|error| Failure::message(error.to_string()))?,
    };
    let at = now.saturating_add(SignedDuration::from_nanos(nanoseconds)).unwrap_or(now);
    let at = Timestamp::from_second(at.as_second()).unwrap_or(at);
    Ok(json!({"spec": {"restartAt": format_rfc3339(at)}}))
}

/// Restarts a Rollout's pods.
///
/// # Errors
/// On a wrong number of names, a delay that is none, or what the API server answers.
pub async fn restart(
    session: &mut Session<'_>,
    names: &[String],
    delay: Option<&str>,
) -> Result<(), Failure> {
    let name = only_name(names)?;
    let patch = plan_patch(session.clock.now(), delay)?;
    apply_merge_patch(&session.client, ROLLOUTS, &session.namespace, name, None, &patch).await?;
    let shown = delay.filter(|delay| !delay.is_empty()).unwrap_or("0s");
    session.output.line(&format!("rollout '{name}' restarts in {shown}"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_in_whole_seconds_utc_o_070() {
        let now: Timestamp = "2026-06-01T12:00:00.75Z".parse().unwrap();
        let at = |delay| plan_patch(now, delay).unwrap()["spec"]["restartAt"].clone();
        assert_eq!(at(None), "2026-06-01T12:00:00Z");
        assert_eq!(at(Some("5m")), "2026-06-01T12:05:00Z");
        assert_eq!(at(Some("1h30s")), "2026-06-01T13:00:30Z");
    }

    #[test]
    fn a_delay_that_is_none_is_refused_o_070() {
        let failure = plan_patch(Timestamp::UNIX_EPOCH, Some("soon")).unwrap_err();
        assert_eq!(failure, Failure::message("time: invalid duration \"soon\""));
    }
}
