//! Tells the stories on a control plane given by kubeconfig, against whatever controller is at work there. Each must
//! end there as on the embedded plane: the same objects, the same events in the same order.

use std::cmp::Reverse;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Duration;

use futures::StreamExt as _;
use glidepath_scenarios::embedded::in_virtual_time;
use glidepath_scenarios::real::RealPlane;
use glidepath_scenarios::record::Record;
use glidepath_scenarios::story::Story;
use glidepath_scenarios::{run, stories};
use tokio::time::Instant;

const USAGE: &str = "Usage: glidepath-tell KUBECONFIG PLUGIN [--long] [WORD IN A STORY'S NAME …]";
/// How many stories are told at once: enough that the long ones cover the rest, few enough that a story waits for
/// its own pods and not for everybody's.
const AT_ONCE: usize = 16;
/// The namespace of stories on the embedded plane: a word that no story has in its texts.
const EMBEDDED: &str = "story-embedded";
/// Stories that let more time pass than this are told only when asked for; virtual time tells them every time.
const LONG: Duration = Duration::from_secs(15 * 60);

#[tokio::main]
async fn main() -> ExitCode {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let long = args.iter().any(|arg| arg == "--long");
    args.retain(|arg| arg != "--long");
    let [kubeconfig, plugin, wanted @ ..] = args.as_slice() else {
        print(USAGE);
        return ExitCode::from(2);
    };
    // One TLS provider for the whole program; a second call would only say that it is there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match RealPlane::connect(Path::new(kubeconfig), Path::new(plugin)).await {
        Ok(plane) => {
            let stories = choose(wanted, long);
            let begin = Instant::now();
            let ends = record_all(&stories);
            print(&format!(
                "{} stories told on the embedded plane in {} s",
                stories.len(),
                begin.elapsed().as_secs()
            ));
            tell(&plane, stories, &ends).await
        }
        Err(error) => {
            print(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// The stories whose names contain one of the words, the longest first.
fn choose(wanted: &[String], long: bool) -> Vec<Story> {
    let mut stories = stories::all();
    stories.retain(|story| wanted.is_empty() || wanted.iter().any(|word| story.name.contains(word.as_str())));
    stories.retain(|story| {
        let told = long || story.lasts() <= LONG;
        if !told {
            print(&format!(
                "skip  {} (lasts {} minutes; told with --long)",
                story.name,
                story.lasts().as_secs() / 60
            ));
        }
        told
    });
    stories.sort_by_key(|story| Reverse(story.lasts()));
    stories
}

/// How each story ends on the embedded plane, told in threads of their own because time there is another one.
fn record_all(stories: &[Story]) -> Vec<Result<Record, String>> {
    let next = Mutex::new(stories.iter().enumerate());
    let ends: Mutex<Vec<(usize, Result<Record, String>)>> = Mutex::default();
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let tell_some = || {
        loop {
            let Some((index, story)) = locked(&next).next() else { return };
            let end = in_virtual_time(async |plane| run::tell_and_record(story, plane, EMBEDDED).await);
            locked(&ends).push((index, end.map_err(|error| format!("on the embedded plane: {error:#}"))));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(tell_some);
        }
    });
    let mut ends = std::mem::take(&mut *locked(&ends));
    ends.sort_by_key(|(index, _)| *index);
    ends.into_iter().map(|(_, end)| end).collect()
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

async fn tell(plane: &RealPlane, stories: Vec<Story>, expected: &[Result<Record, String>]) -> ExitCode {
    let begin = Instant::now();
    let mut ends = futures::stream::iter(stories.iter().zip(expected).enumerate())
        .map(|(index, (story, expected))| async move {
            let namespace = format!("story-{}-{index}", std::process::id());
            let begin = Instant::now();
            let mut end = match expected {
                Ok(expected) => run::tell_and_compare(story, plane, &namespace, expected).await,
                Err(error) => Err(anyhow::anyhow!("{error}")),
            };
            // What a failed story leaves stays to be looked at.
            if end.is_ok() {
                end = plane.forget(&namespace).await;
            }
            (story.name, begin, end, namespace)
        })
        .buffer_unordered(AT_ONCE);
    let mut failed = 0;
    while let Some((name, begin, end, namespace)) = ends.next().await {
        let seconds = begin.elapsed().as_secs();
        match end {
            Ok(()) => print(&format!("ok    {name} ({seconds} s)")),
            Err(error) => {
                failed += 1;
                print(&format!("FAIL  {name} ({seconds} s, namespace {namespace})\n      {error:#}"));
            }
        }
    }
    let passed = stories.len() - failed;
    print(&format!("{passed} passed, {failed} failed in {} s", begin.elapsed().as_secs()));
    if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print(line: &str) {
    // A closed pipe is the reader's choice.
    let _ = writeln!(std::io::stdout(), "{line}");
}
