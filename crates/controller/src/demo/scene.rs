//! What the terminal shows while the story is told, as text. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use glidepath_view::Paint;

use super::decisions::Line;
use super::ledger::{Chapter, Ledger, Outcome, Service};

/// How far back shares are measured for the screen.
pub(crate) const WINDOW: Duration = Duration::from_secs(3);
/// Width of a bar of 100 %.
const BAR: usize = 30;
/// Lines of the log that are always shown.
const LOG_LINES: usize = 8;

/// Everything on the screen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scene {
    /// Time since the start.
    pub elapsed: Duration,
    /// What is being told.
    pub chapter: Option<Chapter>,
    /// The Rollout and what belongs to it.
    pub tree: String,
    /// Percent asked for the canary.
    pub asked: u64,
    /// Answers of the last seconds, by service and version; lost ones under "".
    pub measured: Vec<(Service, BTreeMap<String, u64>)>,
    /// Requests, requests a version failed, requests lost.
    pub totals: (usize, usize, usize),
    /// The log, oldest first.
    pub log: Vec<(Duration, Line)>,
}

impl Scene {
    /// What a ledger tells at `elapsed`; tree and log come from elsewhere.
    pub(crate) fn of(ledger: &Ledger, elapsed: Duration) -> Self {
        let since = elapsed.saturating_sub(WINDOW);
        let count =
            |is: fn(&Outcome) -> bool| ledger.samples.iter().filter(|sample| is(&sample.outcome)).count();
        let measured = [Service::Web, Service::Shop].map(|service| (service, ledger.tally(service, since)));
        Self {
            elapsed,
            chapter: ledger.chapters.last().map(|(_, chapter)| *chapter),
            asked: ledger.weights.last().map_or(0, |(_, percent)| *percent),
            measured: measured.into_iter().filter(|(_, tally)| !tally.is_empty()).collect(),
            totals: (
                ledger.samples.len(),
                count(|outcome| matches!(outcome, Outcome::Failed { .. })),
                count(|outcome| matches!(outcome, Outcome::Lost { .. })),
            ),
            ..Self::default()
        }
    }
}

/// The screen, no larger than `columns` by `rows`.
pub(crate) fn render_scene(scene: &Scene, (columns, rows): (usize, usize), paint: Paint) -> String {
    let mut head = vec![format!(
        "{}  {:>5.1} s  {}",
        coloured("glidepath demo", 1, paint),
        scene.elapsed.as_secs_f64(),
        scene.chapter.map_or("starting", Chapter::title)
    )];
    let (requests, failed, lost) = scene.totals;
    head.push(format!("requests {requests}   failed by a version {failed}   lost {lost}"));
    head.push(String::new());
    for (service, tally) in &scene.measured {
        head.extend(split_lines(*service, scene.asked, tally, paint));
    }
    head.push(String::new());
    let log: Vec<String> = scene
        .log
        .iter()
        .rev()
        .take(LOG_LINES)
        .rev()
        .map(|(at, line)| {
            let why = if line.why.is_empty() { String::new() } else { coloured(&line.why, 2, paint) };
            format!("{:>6.1} s  {} {}  {why}", at.as_secs_f64(), line.about, line.what)
        })
        .collect();
    let taken = head.len() + log.len() + 2;
    let tree: Vec<&str> = scene.tree.lines().collect();
    let room = rows.saturating_sub(taken + 1);
    let mut lines = head;
    if tree.len() > room {
        // The newest revision is on top; what is cut off is history.
        lines.extend(tree.iter().take(room.saturating_sub(1)).map(ToString::to_string));
        lines.push(format!("… {} more lines", tree.len() - room.saturating_sub(1)));
    } else {
        lines.extend(tree.iter().map(ToString::to_string));
    }
    lines.push(String::new());
    lines.push(coloured("decisions, and why", 1, paint));
    lines.extend(log);
    lines.iter().map(|line| clip(line, columns) + "\n").collect()
}

/// Bars of who answered, and for the canary what was asked for.
fn split_lines(service: Service, asked: u64, tally: &BTreeMap<String, u64>, paint: Paint) -> Vec<String> {
    let total: u64 = tally.values().sum();
    let name = match service {
        Service::Web => format!("web   asked: canary {asked} %"),
        Service::Shop => "shop  asked: active 100 %".to_owned(),
    };
    let mut lines = vec![format!("{name}, measured over {} s:", WINDOW.as_secs())];
    for (version, count) in tally {
        let who = if version.is_empty() { "nobody   ".to_owned() } else { format!("version {version}") };
        let filled = usize::try_from(count * BAR as u64 / total.max(1)).unwrap_or(0);
        let colour = match version.as_str() {
            "1" => 34,
            "2" => 32,
            _ => 31,
        };
        let bar = coloured(&"█".repeat(filled), colour, paint) + &"·".repeat(BAR - filled.min(BAR));
        lines.push(format!("  {who} {bar} {}", render_share(*count, total)));
    }
    lines
}

/// A share in percent, with one digit.
#[expect(clippy::cast_precision_loss, reason = "a demo's requests are far fewer than 2^52")]
pub(crate) fn render_share(count: u64, total: u64) -> String {
    format!("{:5.1} %", count as f64 * 100.0 / total.max(1) as f64)
}

fn coloured(text: &str, code: u8, paint: Paint) -> String {
    match paint {
        Paint::Ansi if !text.is_empty() => format!("\x1b[{code}m{text}\x1b[0m"),
        _ => text.to_owned(),
    }
}

/// The line cut to `columns` visible characters; escape sequences take no room and are kept whole.
fn clip(line: &str, columns: usize) -> String {
    let mut text = String::with_capacity(line.len());
    let (mut seen, mut in_escape) = (0, false);
    for character in line.chars() {
        if in_escape {
            in_escape = character != 'm';
        } else if character == '\x1b' {
            in_escape = true;
        } else {
            seen += 1;
            if seen > columns {
                continue;
            }
        }
        text.push(character);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::account::tests::{ms, story};

    fn line(what: &str, why: &str) -> Line {
        Line { about: "rollout/web".to_owned(), what: what.to_owned(), why: why.to_owned() }
    }

    #[test]
    fn the_screen_shows_the_split_the_tree_and_the_decisions() {
        let mut ledger = story();
        ledger.samples.retain(|sample| sample.sent < ms(10_000));
        ledger.weights.truncate(2);
        ledger.chapters.truncate(2);
        let mut scene = Scene::of(&ledger, ms(10_000));
        "NAME\n⟳ web\n".clone_into(&mut scene.tree);
        scene.log = vec![(ms(2_000), line("set weights canary 20, stable 80", "step-weight"))];
        let expected = "\
glidepath demo   10.0 s  version 2 is good: 20 → 40 → 60 → 80 → 100, then promoted
requests 100   failed by a version 0   lost 0

web   asked: canary 20 %, measured over 3 s:
  version 1 ████████████████████████······  80.0 %
  version 2 ██████························  20.0 %

NAME
⟳ web

decisions, and why
   2.0 s  rollout/web set weights canary 20, stable 80  step-weight
";
        assert_eq!(render_scene(&scene, (100, 40), Paint::Plain), expected);
    }

    #[test]
    fn the_screen_fits_the_terminal() {
        let mut scene = Scene { tree: "a very long line of the tree\n".repeat(60), ..Scene::default() };
        scene.log =
            (0..50).map(|second| (ms(second * 1_000), line("scale web-1 0 → 1", "because"))).collect();
        for paint in [Paint::Plain, Paint::Ansi] {
            let text = render_scene(&scene, (20, 30), paint);
            assert_eq!(text.lines().count(), 29, "{text}");
            assert!(text.contains("… 46 more lines"), "{text}");
            assert!(text.lines().all(|line| glidepath_view::paint::width(line) <= 20), "{text}");
        }
    }

    #[test]
    fn clipping_keeps_colours_whole() {
        assert_eq!(clip("\x1b[32mabcdef\x1b[0m", 3), "\x1b[32mabc\x1b[0m");
        assert_eq!(clip("äöü", 2), "äö");
    }
}
