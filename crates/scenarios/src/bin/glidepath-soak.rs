//! Tells every story again with one mishap at a time, and says how many runs there were and which went wrong.

use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use glidepath_scenarios::stories;
use glidepath_scenarios::story::Story;
use glidepath_scenarios::walk::{Mishap, Told, mishaps, tell_with, walk};

const USAGE: &str = "Usage: glidepath-soak [--every N] [--only WORDS] [WORDS IN A STORY'S NAME …]
  --every N     only every N-th mishap of each story
  --only WORDS  only mishaps that are told in these words, such as 'events behind'";
/// Stories that let more time pass than this measure every second of hours: too many writes to kill at each.
const LONG: Duration = Duration::from_secs(20 * 60);

fn main() -> ExitCode {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let options = (take_option(&mut words, "--every", "1"), take_option(&mut words, "--only", ""));
    let every = options.0.and_then(|number| number.parse().ok()).filter(|number| *number > 0);
    let (Some(every), Some(only), false) = (every, options.1, words.iter().any(|word| word.starts_with('-')))
    else {
        say(USAGE);
        return ExitCode::from(2);
    };
    let mut stories = stories::all();
    stories.retain(|story| words.is_empty() || words.iter().any(|word| story.name.contains(word.as_str())));
    stories.retain(|story| story.lasts() <= LONG);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let (next, runs) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let failed: Mutex<Vec<String>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(story) = stories.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (count, wrong) = soak(story, every, &only);
                    runs.fetch_add(count, Ordering::Relaxed);
                    failed.lock().unwrap_or_else(PoisonError::into_inner).extend(wrong);
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    let runs = runs.into_inner();
    say(&format!("{} stories, {runs} runs, {} went wrong", stories.len(), failed.len()));
    if failed.is_empty() && runs > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Takes an option and its value out of the arguments; `None` when the value is missing.
fn take_option(words: &mut Vec<String>, name: &str, default: &str) -> Option<String> {
    let Some(at) = words.iter().position(|word| word == name) else { return Some(default.to_owned()) };
    words.drain(at..words.len().min(at + 2)).nth(1)
}

/// Walks one story; the number of runs, and what went wrong.
fn soak(story: &Story, every: usize, only: &str) -> (usize, Vec<String>) {
    let calm = match guarded(|| tell_with(story, Mishap::None)) {
        Ok(calm) => calm,
        Err(error) => {
            say(&format!("FAIL  {error}"));
            return (1, vec![error]);
        }
    };
    let mut wrong: Vec<String> =
        calm.broken.iter().map(|broken| format!("\"{}\", no mishap: {broken}", story.name)).collect();
    let told_as = |mishap: &Mishap| mishap.to_string().contains(only);
    let chosen: Vec<Mishap> = mishaps(&calm).into_iter().filter(told_as).step_by(every).collect();
    for mishap in &chosen {
        if let Err(error) = guarded(|| walk(story, &calm, *mishap)) {
            say(&format!("FAIL  {error}"));
            wrong.push(error);
        }
    }
    let Told { writes, events, .. } = calm;
    say(&format!(
        "{} \"{}\": {} runs, {} wrong ({writes} writes, {events} watch events)",
        if wrong.is_empty() { "ok   " } else { "WRONG" },
        story.name,
        chosen.len() + 1,
        wrong.len()
    ));
    (chosen.len() + 1, wrong)
}

/// Runs something of which even a panic is a finding.
fn guarded<T>(run: impl FnOnce() -> anyhow::Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(outcome) => outcome.map_err(|error| format!("{error:#}")),
        Err(_) => Err("a panic; its message is above".to_owned()),
    }
}

fn say(line: &str) {
    // A closed pipe is the reader's choice.
    let _ = writeln!(std::io::stdout(), "{line}");
}
