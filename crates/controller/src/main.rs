//! The glidepath program: one subcommand per module.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod controller;
mod demo;
mod ground;
mod replay;
mod sandbox;
mod terminal;

/// Progressive delivery for Kubernetes.
#[derive(Parser)]
#[command(name = "glidepath", version = concat!("v", env!("CARGO_PKG_VERSION")))]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the controllers against a cluster.
    Controller(Box<controller::Flags>),
    /// Serve an embedded control plane that kubectl can use: a cluster without a cluster.
    Sandbox(sandbox::Flags),
    /// Tell the story of a canary and a blue-green release with real traffic, on this machine.
    Demo(demo::Flags),
    /// Make recorded decisions again and say whether they are the same.
    Replay(replay::Flags),
    /// The web service of the demo, settings from the environment.
    #[command(hide = true)]
    DemoWeb,
}

fn main() -> ExitCode {
    match Program::try_parse_from(arguments()) {
        Ok(Program { command }) => match command {
            Command::Controller(flags) => controller::run(*flags),
            Command::Sandbox(flags) => sandbox::run(flags),
            Command::Demo(flags) => demo::run(flags),
            Command::Replay(flags) => replay::run(&flags),
            Command::DemoWeb => demo::run_web(),
        },
        Err(error) => {
            let failed = error.use_stderr();
            // There is nowhere left to say that even this could not be printed.
            let _ = error.print();
            // Like the reference, unknown flags end the program with 1.
            if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
    }
}

/// The command line; called by the reference's name, the program is the controller.
fn arguments() -> Vec<std::ffi::OsString> {
    let mut arguments: Vec<_> = std::env::args_os().collect();
    let name = arguments.first().map(std::path::Path::new).and_then(|path| path.file_stem());
    if name.is_some_and(|name| name == "rollouts-controller") {
        arguments.insert(1, "controller".into());
    }
    arguments
}
