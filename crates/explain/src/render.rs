//! An explanation as a screen of plain text.

use std::fmt::Write as _;

use jiff::Timestamp;

use crate::explanation::Explanation;

/// The explanation for a person: the wait, the causes, the commands.
#[must_use]
pub fn render_text(explanation: &Explanation) -> String {
    let mut page = Page(String::new());
    page.line(&headline(explanation));
    page.line("");
    match &explanation.waiting {
        None if explanation.causes.is_empty() => page.field("Waiting for", "nothing"),
        None => page.field("Waiting for", "nothing; but see below"),
        Some(waiting) => {
            page.field("Waiting for", &waiting.what);
            if let Some(since) = waiting.since {
                page.field("Since", &moment(since.timestamp(), explanation.now));
            }
            page.field("Ended by", &waiting.ended_by);
            match waiting.until {
                Some(until) => page.field("Until", &moment(until, explanation.now)),
                None => page.field("Until", "that happens; no deadline"),
            }
            page.field("Then", &waiting.then);
        }
    }
    for doing in &explanation.doing {
        page.field("Doing", doing);
    }
    for cause in &explanation.causes {
        page.line("");
        page.field("Cause", &format!("{} [{}]", cause.summary, cause.name));
        for detail in &cause.details {
            page.line(&format!("  - {detail}"));
        }
        if !cause.remedy.is_empty() {
            page.field("Remedy", &cause.remedy);
        }
    }
    let commands = explanation.causes.iter().flat_map(|cause| &cause.next).chain(&explanation.next);
    let mut shown: Vec<&str> = Vec::new();
    for command in commands {
        if shown.is_empty() {
            page.line("");
            page.line("Next:");
        }
        if !shown.contains(&command.run.as_str()) {
            page.line(&format!("  {}", command.run));
            page.line(&format!("      {}", command.to));
            shown.push(&command.run);
        }
    }
    for unread in &explanation.unread {
        page.line(&format!("(could not read {unread})"));
    }
    page.0
}

fn headline(explanation: &Explanation) -> String {
    let Explanation { name, namespace, phase, message, revision, step, .. } = explanation;
    let mut line = format!("Rollout {namespace}/{name} is {phase}");
    // Writing to a String cannot fail.
    if !message.is_empty() {
        let _ = write!(line, ": {message}");
    }
    if let Some(revision) = revision {
        let _ = write!(line, " (revision {revision}");
        if let Some(step) = step {
            let _ = write!(line, ", step {}/{}: {}", step.number, step.of, step.text);
        }
        line.push(')');
    }
    line
}

struct Page(String);

impl Page {
    fn line(&mut self, text: &str) {
        self.0.push_str(text.trim_end());
        self.0.push('\n');
    }

    fn field(&mut self, name: &str, text: &str) {
        self.line(&format!("{name:<12} {text}"));
    }
}

/// A moment and how far away it is.
fn moment(at: Timestamp, now: Timestamp) -> String {
    let seconds = at.duration_since(now).as_secs();
    let shown = at.strftime("%Y-%m-%dT%H:%M:%SZ");
    match seconds {
        0 => format!("{shown} (now)"),
        1.. => format!("{shown} (in {})", span(seconds)),
        _ => format!("{shown} ({} ago)", span(-seconds)),
    }
}

/// Seconds in their two largest units: `42s`, `5m10s`, `2h5m`, `3d4h`.
pub(crate) fn span(seconds: i64) -> String {
    const UNITS: [(i64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let Some(first) = UNITS.iter().position(|(size, _)| seconds >= *size) else { return "0s".to_owned() };
    let (size, unit) = UNITS[first];
    let mut text = format!("{}{unit}", seconds / size);
    if let Some((smaller, unit)) = UNITS.get(first + 1)
        && seconds % size / smaller > 0
    {
        let _ = write!(text, "{}{unit}", seconds % size / smaller);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::span;

    #[test]
    fn spans_have_two_units_at_most() {
        let cases = [
            (0, "0s"),
            (42, "42s"),
            (60, "1m"),
            (310, "5m10s"),
            (7_500, "2h5m"),
            (7_205, "2h"),
            (273_600, "3d4h"),
        ];
        for (seconds, want) in cases {
            assert_eq!(span(seconds), want, "{seconds}");
        }
    }
}
