//! A real Kubernetes control plane on loopback, for tests and for people: `cargo xtask real` and
//! `cargo xtask test --real` are its front doors.

mod cluster;
mod keys;
mod node;
mod output;
mod plane;
mod processes;
mod programs;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use output::{complain, say};
use plane::{Plane, Wishes};
use programs::{GoMissing, Programs};

/// A real Kubernetes control plane on loopback.
#[derive(Parser)]
#[command(name = "glidepath-plane")]
struct Program {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Bring a plane up and leave it running.
    Up {
        /// Its name; planes of different names run side by side.
        #[arg(default_value = "default")]
        name: String,
        #[command(flatten)]
        options: Options,
    },
    /// Stop a plane and remove what it wrote.
    Down {
        /// Its name.
        #[arg(default_value = "default")]
        name: String,
        /// Stop every plane.
        #[arg(long)]
        all: bool,
    },
    /// Print the path of a plane's kubeconfig.
    Kubeconfig {
        /// Its name.
        #[arg(default_value = "default")]
        name: String,
    },
    /// Bring a plane up, run a command with its kubeconfig in $KUBECONFIG, and bring it down.
    With {
        #[command(flatten)]
        options: Options,
        /// The command; `{kubeconfig}` in it stands for the path, `{folder}` for the plane's folder.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Serve nodes of any API server until told to end: modelled ones, or one whose pods are local processes.
    Nodes {
        /// The administrator's kubeconfig.
        kubeconfig: PathBuf,
        /// What an image stands for on the node `process-1` (label `kubelet=process`), as NAME=COMMAND; without a
        /// command pods bring their own. The name may end in `*`.
        #[arg(long = "image", value_name = "NAME=COMMAND")]
        images: Vec<String>,
    },
}

#[derive(Args)]
struct Options {
    /// Leave our controller out; `controller.kubeconfig` is there for one started by hand.
    #[arg(long)]
    no_controller: bool,
    /// Nothing but a control plane: no nodes, definitions, permissions or controller of ours.
    #[arg(long)]
    bare: bool,
    /// Write every request to log/audit.log.
    #[arg(long)]
    audit: bool,
}

impl Options {
    fn wishes(&self) -> Wishes {
        Wishes { no_controller: self.no_controller || self.bare, bare: self.bare, audit: self.audit }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    // One TLS provider for the whole program; a second call would only say that it is there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match run(Program::parse().command).await {
        Ok(code) => code,
        Err(error) => {
            complain(&format!("error: {error:#}\n"));
            ExitCode::from(if error.is::<GoMissing>() { 2 } else { 1 })
        }
    }
}

async fn run(verb: Verb) -> Result<ExitCode> {
    let cache = cache_folder()?;
    let planes = cache.join("planes");
    match verb {
        Verb::Up { name, options } => {
            let plane = Plane::named(&planes, &name)?;
            let programs = Programs::find_or_build(&cache)?;
            plane.start(&programs, &options.wishes()).await?;
            say(&format!(
                "up; logs are in {}\n  export KUBECONFIG={}\n  export PATH={}:$PATH\n",
                plane.logs().display(),
                plane.kubeconfig().display(),
                programs.folder().display()
            ));
        }
        Verb::Down { name, all: false } => Plane::named(&planes, &name)?.stop(false).await?,
        Verb::Down { all: true, .. } => {
            for name in names(&planes)? {
                Plane::named(&planes, &name)?.stop(false).await?;
            }
        }
        Verb::Kubeconfig { name } => {
            let plane = Plane::named(&planes, &name)?;
            if !plane.is_up()? {
                bail!("no plane called {name} is up; bring it up with `cargo xtask real up {name}`");
            }
            say(&format!("{}\n", plane.kubeconfig().display()));
        }
        Verb::With { options, command } => {
            let plane = Plane::named(&planes, &format!("with-{}", std::process::id()))?;
            let programs = Programs::find_or_build(&cache)?;
            let wishes = options.wishes();
            let ended = tokio::select! {
                ended = run_with(&plane, &programs, &wishes, &command) => ended,
                told = told_to_end() => told.and_then(|()| bail!("told to end")),
            };
            let well = matches!(ended, Ok(true));
            plane.stop(!well).await?;
            if !well {
                complain(&format!("the plane's logs are in {}\n", plane.logs().display()));
            }
            if !ended? {
                return Ok(ExitCode::FAILURE);
            }
        }
        Verb::Nodes { kubeconfig, images } => node::serve(&kubeconfig, &images).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Brings a plane up and runs a command against it; whether that ended well. Fails if the plane did not survive it.
async fn run_with(plane: &Plane, programs: &Programs, wishes: &Wishes, command: &[String]) -> Result<bool> {
    plane.start(programs, wishes).await?;
    let kubeconfig = plane.kubeconfig();
    let (file, folder) = (kubeconfig.display().to_string(), plane.folder().display().to_string());
    let words: Vec<String> =
        command.iter().map(|word| word.replace("{kubeconfig}", &file).replace("{folder}", &folder)).collect();
    let (program, args) = words.split_first().context("no command")?;
    let mut folders = vec![programs.folder().to_path_buf()];
    folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let mut child = tokio::process::Command::new(program)
        .args(args)
        .env("KUBECONFIG", &kubeconfig)
        .env("GLIDEPATH_REAL_KUBECONFIG", &kubeconfig)
        .env("PATH", std::env::join_paths(folders)?)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("start {program}"))?;
    let status = child.wait().await?;
    plane.check().context("the plane did not survive")?;
    Ok(status.success())
}

/// Returns when the process is told to end.
pub(crate) async fn told_to_end() -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    }
}

/// Where built programs and planes are kept: `glidepath` in `$XDG_CACHE_HOME` or `~/.cache`.
fn cache_folder() -> Result<PathBuf> {
    let chosen = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || std::env::home_dir().map(|home| home.join(".cache"));
    Ok(chosen.or_else(home).context("neither $XDG_CACHE_HOME nor $HOME is set")?.join("glidepath"))
}

/// The names of the planes that have a folder.
fn names(planes: &std::path::Path) -> Result<Vec<String>> {
    let entries = match std::fs::read_dir(planes) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.with_context(|| format!("read {}", planes.display()))?,
    };
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}
