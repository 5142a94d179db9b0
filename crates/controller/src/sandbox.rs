//! `glidepath sandbox`: a cluster without a cluster, for `kubectl` and everything else that speaks to one.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{ArgAction, Args, ValueEnum};
use glidepath_workloads::kubelet::process::LocalImage;

use crate::ground::{Ground, Kubelet, Settings, interrupted, local_images, parse_image, read_definitions};
use crate::terminal::{complain, explain, say};

/// Flags of `glidepath sandbox`.
#[derive(Args, Debug)]
pub(crate) struct Flags {
    /// Where the API is served; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "IP:PORT")]
    address: SocketAddr,
    /// Where the kubeconfig is written; otherwise to the data folder, or to a temporary one.
    #[arg(long, value_name = "PATH")]
    kubeconfig_out: Option<PathBuf>,
    /// Keep all objects in this folder, across restarts.
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// What lets pods run: nothing, following their specs (model), or local processes (process).
    #[arg(long, value_enum, default_value = "model")]
    kubelet: KubeletChoice,
    /// A local command that stands in for an image under --kubelet process; `*` in the name stands for any text.
    #[arg(long, value_name = "NAME=COMMAND", value_parser = parse_image)]
    image: Vec<(String, LocalImage)>,
    /// Custom resource definitions to install besides ours and the Gateway API's: files or folders of YAML.
    #[arg(long, value_name = "PATH")]
    crds: Vec<PathBuf>,
    /// Run our controller too.
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "true")]
    controller: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum KubeletChoice {
    Model,
    Process,
}

/// Serves until Ctrl-C.
pub(crate) fn run(flags: Flags) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = runtime.context("cannot start").and_then(|runtime| runtime.block_on(serve(flags)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("Error: {}\n", explain(&error)));
            ExitCode::FAILURE
        }
    }
}

async fn serve(flags: Flags) -> Result<()> {
    // Fails only if one is installed already.
    let _ = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_writer(std::io::stderr)
        .try_init();
    let images = flags
        .image
        .iter()
        .try_fold(local_images()?, |map, (name, image)| anyhow::Ok(map.with(name.clone(), image.clone())))?;
    let settings = Settings {
        address: flags.address,
        data_dir: flags.data_dir.clone(),
        kubelet: match flags.kubelet {
            KubeletChoice::Model => Kubelet::Model,
            KubeletChoice::Process => Kubelet::Process(images),
        },
        definitions: read_definitions(&flags.crds)?,
        controller: flags.controller,
        on_decision: None,
    };
    // Signals are heard from the start, so that nothing is left behind by an early Ctrl-C.
    let mut stop = std::pin::pin!(interrupted());
    let ground = tokio::select! {
        started = Ground::start(settings) => started?,
        () = &mut stop => return Ok(()),
    };
    let place = choose_place(flags.kubeconfig_out.as_deref(), flags.data_dir.as_deref())?;
    ground.served().write_kubeconfig(&place.path)?;
    // Only the current folder could be missing here; the path is good as it is then.
    let shown = std::path::absolute(&place.path).unwrap_or_else(|_| place.path.clone());
    say(&render_greeting(&ground.served().url(), &shown, flags.controller));
    stop.await;
    say("stopping\n");
    ground.stop().await;
    if place.is_ours {
        // The certificate in it dies with the server; a stale file would only mislead.
        let _ = std::fs::remove_file(&place.path);
    }
    Ok(())
}

/// Where the kubeconfig goes, and whether it goes away with us.
struct Place {
    path: PathBuf,
    is_ours: bool,
    _folder: Option<tempfile::TempDir>,
}

fn choose_place(asked: Option<&Path>, data_dir: Option<&Path>) -> Result<Place> {
    if let Some(path) = asked {
        return Ok(Place { path: path.to_path_buf(), is_ours: false, _folder: None });
    }
    if let Some(folder) = data_dir {
        return Ok(Place { path: folder.join("kubeconfig"), is_ours: true, _folder: None });
    }
    let folder = tempfile::Builder::new()
        .prefix("glidepath-sandbox-")
        .tempdir()
        .context("cannot make a temporary folder")?;
    Ok(Place { path: folder.path().join("kubeconfig"), is_ours: true, _folder: Some(folder) })
}

fn render_greeting(url: &str, kubeconfig: &Path, controller: bool) -> String {
    let runs = if controller { "with the Glidepath controller" } else { "without a controller for rollouts" };
    format!(
        "a cluster without a cluster is ready at {url}, {runs}\n\n  export KUBECONFIG={}\n\nthen try\n\n  kubectl get nodes,namespaces\n  kubectl apply -f your-rollout.yaml\n  kubectl argo rollouts get rollout NAME --watch\n\nCtrl-C ends it.\n",
        kubeconfig.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kubeconfig_goes_where_it_was_asked_for_and_never_elsewhere() {
        let asked = choose_place(Some(Path::new("/a/config")), Some(Path::new("/data"))).unwrap();
        assert_eq!((asked.path, asked.is_ours), (PathBuf::from("/a/config"), false));
        let kept = choose_place(None, Some(Path::new("/data"))).unwrap();
        assert_eq!((kept.path, kept.is_ours), (PathBuf::from("/data/kubeconfig"), true));
        let own = choose_place(None, None).unwrap();
        assert!(own.path.starts_with(std::env::temp_dir()) && own.is_ours);
    }

    #[test]
    fn the_greeting_names_the_kubeconfig_and_three_commands() {
        let text = render_greeting("https://127.0.0.1:1", Path::new("/tmp/x/kubeconfig"), true);
        assert!(text.contains("export KUBECONFIG=/tmp/x/kubeconfig\n"));
        assert_eq!(text.lines().filter(|line| line.starts_with("  kubectl ")).count(), 3);
    }
}
