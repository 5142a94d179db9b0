//! Tells the stories on a control plane given by kubeconfig, against whatever controller is at work there.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use futures::StreamExt as _;
use glidepath_scenarios::real::RealPlane;
use glidepath_scenarios::{run, stories};

#[tokio::main]
async fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mut out = std::io::stdout();
    let [kubeconfig, plugin, wanted @ ..] = args.as_slice() else {
        let _ = writeln!(out, "Usage: glidepath-tell KUBECONFIG PLUGIN [WORD IN A STORY'S NAME …]");
        return ExitCode::from(2);
    };
    // One TLS provider for the whole program; a second call would only say that it is there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let plane = match RealPlane::connect(Path::new(kubeconfig), Path::new(plugin)).await {
        Ok(plane) => plane,
        Err(error) => {
            let _ = writeln!(out, "error: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    let told: Vec<_> = stories::all()
        .into_iter()
        .filter(|story| wanted.is_empty() || wanted.iter().any(|word| story.name.contains(word.as_str())))
        .collect();
    let mut ends: futures::stream::FuturesUnordered<_> = told
        .iter()
        .enumerate()
        .map(|(index, story)| {
            let namespace = format!("story-{}-{index}", std::process::id());
            let plane = &plane;
            async move { (story.name, run::tell(story, plane, &namespace).await) }
        })
        .collect();
    let mut failed = 0;
    while let Some((name, end)) = ends.next().await {
        match end {
            Ok(()) => drop(writeln!(out, "ok    {name}")),
            Err(error) => {
                failed += 1;
                drop(writeln!(out, "FAIL  {name}\n      {error:#}"));
            }
        }
    }
    let _ = writeln!(out, "{} passed, {failed} failed", told.len() - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
