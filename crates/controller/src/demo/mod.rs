//! `glidepath demo`: one story of a canary and a blue-green release with real traffic, told to its end.
//!
//! [`story`] tells it on the [`stage`], [`users`] send requests, [`witness`] sees everything and writes it into a
//! [`ledger`]. What follows is pure: [`account`] reckons, [`judgement`] says whether all is as it must be,
//! [`scene`] draws.

mod account;
mod decisions;
mod judgement;
mod ledger;
mod manifests;
mod narration;
mod prometheus;
mod scene;
mod stage;
mod story;
mod users;
mod web;
mod witness;
mod world;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use clap::Args;
use glidepath_view::Paint;

use self::account::{reckon, render_account};
use self::judgement::{FinalStates, all_hold, judge, render_findings};
use self::narration::narrate;
use self::prometheus::find_program;
use self::stage::Stage;
use self::story::{Cast, Crowd};
use self::witness::Witness;
use self::world::World;
use crate::ground::interrupted;
use crate::terminal::{complain, explain, is_screen, say, wants_colour};

pub(crate) use manifests::parse_documents;
pub(crate) use web::run_web;

/// Exit code of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Flags of `glidepath demo`.
#[derive(Args, Debug)]
pub(crate) struct Flags {
    /// The Prometheus program to gate with; one on PATH is used unasked.
    #[arg(long, value_name = "PROGRAM")]
    prometheus: Option<PathBuf>,
    /// Gate with a web metric even where there is a Prometheus program.
    #[arg(long, conflicts_with = "prometheus")]
    no_prometheus: bool,
    /// Leave everything running afterwards, until Ctrl-C.
    #[arg(long)]
    keep: bool,
    /// No colours.
    #[arg(long)]
    no_color: bool,
    /// Plain lines even on a terminal.
    #[arg(long)]
    plain: bool,
}

/// How the story ended.
enum Ending {
    Good,
    NotAsItMustBe,
    Interrupted,
}

/// Tells the story.
pub(crate) fn run(flags: Flags) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = runtime.context("cannot start").and_then(|runtime| runtime.block_on(perform(&flags)));
    match outcome {
        Ok(Ending::Good) => ExitCode::SUCCESS,
        Ok(Ending::NotAsItMustBe) => ExitCode::FAILURE,
        Ok(Ending::Interrupted) => ExitCode::from(INTERRUPTED),
        Err(error) => {
            complain(&format!("Error: {}\n", explain(&error)));
            ExitCode::FAILURE
        }
    }
}

async fn perform(flags: &Flags) -> Result<Ending> {
    let program = if flags.no_prometheus { None } else { find_program(flags.prometheus.as_deref())? };
    let folder = tempfile::Builder::new()
        .prefix("glidepath-demo-")
        .tempdir()
        .context("cannot make a temporary folder")?;
    start_log(folder.path())?;
    let mut stop = std::pin::pin!(interrupted());
    let witness = Arc::new(Witness::new());
    say("setting up the plane, the controller and the proxy\n");
    let stage = tokio::select! {
        stage = Stage::set_up(folder.path(), program.as_deref(), &witness) => stage?,
        () = &mut stop => return Ok(Ending::Interrupted),
    };
    let told = tokio::select! {
        told = tell(flags, &stage, &witness) => Some(told),
        () = &mut stop => None,
    };
    let ending = match told {
        None => Ok(Ending::Interrupted),
        Some(Err(error)) => Err(keep_log(folder.path(), error)),
        Some(Ok((states, crowd))) => {
            let ending = conclude(&witness, &states, program.as_deref());
            if flags.keep {
                say(&render_invitation(&stage));
                stop.await;
            }
            crowd.go_home().await;
            Ok(ending)
        }
    };
    stage.clear().await;
    ending
}

/// Tells the story while it is shown, and lets the crowd stay.
async fn tell(flags: &Flags, stage: &Stage, witness: &Arc<Witness>) -> Result<(FinalStates, Crowd)> {
    let world = World::new(stage.ground().client("demo", manifests::NAMESPACE));
    let gate = stage.gate();
    let cast =
        Cast { world: &world, witness, dataplane: stage.dataplane(), proxy: stage.proxy(), gate: &gate };
    let paint = if wants_colour() && !flags.no_color { Paint::Ansi } else { Paint::Plain };
    let drawn = is_screen() && !flags.plain;
    tokio::select! {
        told = cast.tell() => told,
        () = narrate(witness, &world, stage.ground().clock(), drawn.then_some(paint)) => {
            anyhow::bail!("the narration ended before the story")
        }
    }
}

/// Prints the account and what is not as it must be.
fn conclude(witness: &Witness, states: &FinalStates, program: Option<&Path>) -> Ending {
    let account = reckon(&witness.ledger());
    let findings = judge(&account, states);
    let gate = program.map_or_else(|| "a web metric".to_owned(), |program| program.display().to_string());
    say(&format!(
        "\nThe story took {:.0} s; its gate was {gate}.\n\n{}\n{}",
        witness.elapsed().as_secs_f64(),
        render_account(&account),
        render_findings(&findings)
    ));
    if all_hold(&findings) {
        say("\neverything is as it must be\n");
        Ending::Good
    } else {
        say("\nnot everything is as it must be\n");
        Ending::NotAsItMustBe
    }
}

fn render_invitation(stage: &Stage) -> String {
    format!(
        "\nEverything goes on running until Ctrl-C. Try\n\n  \
         export KUBECONFIG={}\n  \
         kubectl -n demo get rollouts,pods\n  \
         kubectl argo rollouts -n demo get rollout web --watch\n  \
         kubectl argo rollouts -n demo set image web web=demo-web:4    # good; demo-web:3 is the bad one\n  \
         curl -H 'Host: web.demo' http://{}/\n  \
         curl http://{}/stats\n",
        stage.kubeconfig().display(),
        stage.proxy(),
        stage.dataplane().admin_addr(),
    )
}

/// Warnings go to a file: the screen is taken.
fn start_log(folder: &Path) -> Result<()> {
    let path = folder.join("demo.log");
    let file = std::fs::File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    // Fails only if one is installed already.
    let _ = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::INFO)
        .with_ansi(false)
        .with_writer(std::sync::Mutex::new(file))
        .try_init();
    Ok(())
}

/// Saves the log of a story that failed from the temporary folder's end and says where it is.
fn keep_log(folder: &Path, error: anyhow::Error) -> anyhow::Error {
    let kept = std::env::temp_dir().join(format!("glidepath-demo-{}.log", std::process::id()));
    match std::fs::copy(folder.join("demo.log"), &kept) {
        Ok(_) => error.context(format!("the story broke off (log: {})", kept.display())),
        Err(_) => error.context("the story broke off"),
    }
}
