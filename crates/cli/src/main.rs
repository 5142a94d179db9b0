//! The kubectl plugin.

use std::process::ExitCode;

use glidepath_cli::{Cluster, Output, run};
use tokio::signal;
use tokio::sync::watch;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    // What is not UTF-8 cannot name anything here; it is reported like any other unknown word.
    let words: Vec<String> =
        std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let (stopper, stop) = watch::channel(false);
    tokio::spawn(watch_signals(stopper));
    run(&words, &mut Output::of_process(), Cluster::Configured, stop).await
}

/// The first signal asks to stop, the second ends the program at once (O-039).
#[expect(clippy::exit, reason = "the second signal means now")]
async fn watch_signals(stopper: watch::Sender<bool>) {
    next_signal().await;
    stopper.send_replace(true);
    next_signal().await;
    std::process::exit(1);
}

#[cfg(unix)]
async fn next_signal() {
    match signal::unix::signal(signal::unix::SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        }
        Err(_) => {
            let _ = signal::ctrl_c().await;
        }
    }
}

#[cfg(not(unix))]
async fn next_signal() {
    let _ = signal::ctrl_c().await;
}
