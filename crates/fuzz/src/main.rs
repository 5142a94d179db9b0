//! `glidepath-fuzz`: runs the targets one after the other and says what it found.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use glidepath_clock::Clock;
use glidepath_fuzz::runner::{CEILING, Limit, Report, run};
use glidepath_fuzz::target::Target;

/// Throws mutated input at every parser, renderer and decision.
#[derive(Parser)]
#[command(name = "glidepath-fuzz")]
struct Arguments {
    /// Seconds for each target.
    #[arg(default_value_t = 60)]
    seconds: u64,
    /// Only this target; may be given more than once.
    #[arg(long)]
    target: Vec<String>,
    /// Read this one file instead of mutated input; needs one --target.
    #[arg(long)]
    input: Option<PathBuf>,
    /// What the mutations derive from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where inputs that panic are written.
    #[arg(long, default_value = "target/fuzz")]
    folder: PathBuf,
}

fn main() -> ExitCode {
    match fuzz(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("error: {error:#}\n"));
            ExitCode::from(2)
        }
    }
}

/// Runs what was asked for; false when something panicked.
fn fuzz(arguments: &Arguments) -> Result<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let clock = {
        let _within = runtime.enter();
        Clock::system()
    };
    let mut targets = glidepath_fuzz::all();
    if let Some(unknown) = arguments.target.iter().find(|name| !targets.iter().any(|t| t.name == **name)) {
        let names: Vec<&str> = targets.iter().map(|target| target.name).collect();
        bail!("no target {unknown:?}; there are {}", names.join(", "));
    }
    targets.retain(|target| arguments.target.is_empty() || arguments.target.iter().any(|n| n == target.name));
    if let Some(path) = &arguments.input {
        let [target] = targets.as_mut_slice() else { bail!("--input needs one --target") };
        let input = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
        let shape = (target.read)(&input);
        say(&format!("{}: no panic, shape {shape:016x}\n", target.name));
        return Ok(true);
    }
    say(&format!("{:<12} {:>11} {:>7} {:>10}\n", "target", "executions", "kept", "slowest"));
    let mut sound = true;
    for mut target in targets {
        let limit = Limit::Time(Duration::from_secs(arguments.seconds));
        let report = run(&mut target, arguments.seed, limit, &arguments.folder, &|| clock.now())?;
        say(&describe(&target, &report));
        sound &= report.crash.is_none();
    }
    Ok(sound)
}

fn describe(target: &Target, report: &Report) -> String {
    let name = target.name;
    let mut text = format!(
        "{name:<12} {:>11} {:>7} {:>7.1} ms\n",
        report.executions,
        report.kept,
        report.slowest.as_secs_f64() * 1000.0
    );
    if let Some(path) = &report.too_slow {
        text += &format!("  slower than {CEILING:?}: {}\n", path.display());
    }
    if let Some(path) = &report.crash {
        text += &format!(
            "  PANIC; to see it again: cargo xtask fuzz --target {name} --input {}\n",
            path.display()
        );
    }
    text
}

fn say(text: &str) {
    // A closed pipe is the reader's choice, not an error of the command.
    let _ = std::io::stdout().write_all(text.as_bytes());
}
