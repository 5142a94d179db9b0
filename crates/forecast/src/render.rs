//! A forecast as plain text.

use std::fmt::Write as _;

use crate::forecast::{Forecast, WhatIf};
use crate::outcome::Outcome;
use crate::timeline::Stage;

/// The forecast for a person.
#[must_use]
pub fn render_text(forecast: &Forecast) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "Plan for rollout {}/{}: {}", forecast.namespace, forecast.name, forecast.change);
    let _ = writeln!(text, "{}\n", subject(forecast));
    text.push_str(&table(&forecast.stages));
    text.push('\n');
    field(&mut text, "Outcome", &outcome_text(&forecast.outcome));
    if forecast.settled_seconds > forecast.outcome.at_seconds {
        field(&mut text, "At rest", &format!("{}, the last old pod gone", offset(forecast.settled_seconds)));
    }
    field(
        &mut text,
        "Most pods",
        &format!("{} at once, {} above the {} wanted", forecast.most_pods, forecast.surge, forecast.replicas),
    );
    field(&mut text, "Person", &person(forecast));
    field(&mut text, "Analysis", &analysis(forecast));
    for what_if in &forecast.what_if {
        field(&mut text, "What if", &what_if_text(what_if));
    }
    for assumption in &forecast.assumptions {
        field(&mut text, "Assumed", assumption);
    }
    text
}

fn field(text: &mut String, name: &str, value: &str) {
    let _ = writeln!(text, "{name:<11} {value}");
}

fn subject(forecast: &Forecast) -> String {
    let (before, after) = (forecast.images_before.join(", "), forecast.images_after.join(", "));
    let images = if before.is_empty() || before == after { after } else { format!("{before} -> {after}") };
    let strategy = if forecast.strategy == "blueGreen" { "blue-green" } else { "canary" };
    format!("{images}, {} replicas, {strategy}", forecast.replicas)
}

fn table(stages: &[Stage]) -> String {
    let head = ["AT", "TAKES", "STEP", "TRAFFIC", "NEW", "OLD", "MOST"].map(str::to_owned);
    let row = |stage: &Stage| {
        [
            offset(stage.at_seconds),
            stage.takes_seconds.map_or_else(|| "-".to_owned(), span),
            stage.what.clone(),
            format!("{}%", stage.share_percent),
            stage.new_pods.to_string(),
            stage.old_pods.to_string(),
            stage.most_pods.to_string(),
        ]
    };
    let rows: Vec<[String; 7]> = std::iter::once(head).chain(stages.iter().map(row)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..7).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

fn outcome_text(outcome: &Outcome) -> String {
    let at = offset(outcome.at_seconds);
    match outcome.ends.as_str() {
        "promoted" => format!("promoted at {at} at the earliest"),
        "unchanged" => "nothing changes".to_owned(),
        "aborted" => {
            let back = match outcome.back_on_stable_seconds {
                Some(back) => format!("all traffic is back on the stable version at {}", offset(back)),
                None => "some traffic stays with the new version".to_owned(),
            };
            format!("aborted at {at}; {back}; the new version had {}% at most", outcome.most_share_percent)
        }
        "degraded" => {
            format!(
                "degraded at {at} ({}); the new version had {}% at most",
                outcome.message, outcome.most_share_percent
            )
        }
        _ => format!("still waiting at {at} for {}", outcome.message),
    }
}

fn person(forecast: &Forecast) -> String {
    match &forecast.person {
        Some(person) => {
            format!("needed at {} ({}): {}", offset(person.at_seconds), person.stage, person.waiting_for)
        }
        None => "nobody is needed".to_owned(),
    }
}

fn analysis(forecast: &Forecast) -> String {
    let analysis = &forecast.analysis;
    if analysis.runs == 0 {
        return "none".to_owned();
    }
    let metrics: Vec<String> =
        analysis.by_metric.iter().map(|(metric, count)| format!("{metric} {count}")).collect();
    let plural =
        |count: u64, one: &str, many: &str| format!("{count} {}", if count == 1 { one } else { many });
    format!(
        "{}, {} ({})",
        plural(u64::try_from(analysis.runs).unwrap_or(u64::MAX), "run", "runs"),
        plural(analysis.queries, "query", "queries"),
        metrics.join(", ")
    )
}

fn what_if_text(what_if: &WhatIf) -> String {
    format!("{}: {}", what_if.event, outcome_text(&what_if.outcome))
}

/// Seconds from the change on: `+1h5m`.
fn offset(seconds: i64) -> String {
    format!("+{}", span(seconds))
}

/// Seconds in full: `1h0m5s` without its zeros.
fn span(seconds: i64) -> String {
    let mut text = String::new();
    let mut left = seconds.max(0);
    for (size, unit) in [(86_400, "d"), (3_600, "h"), (60, "m")] {
        if left >= size {
            let _ = write!(text, "{}{unit}", left / size);
            left %= size;
        }
    }
    if left > 0 || text.is_empty() {
        let _ = write!(text, "{left}s");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::span;

    #[test]
    fn spans_are_exact_and_short() {
        for (seconds, want) in [(0, "0s"), (59, "59s"), (60, "1m"), (3605, "1h5s"), (90_061, "1d1h1m1s")] {
            assert_eq!(span(seconds), want);
        }
    }
}
