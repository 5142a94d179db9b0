//! What a command works with: a client, a namespace, a clock, the output, and word of when to stop.

use glidepath_clock::Clock;
use kube::Client;
use tokio::sync::watch;

use crate::output::Output;

/// What a command works with.
pub struct Session<'a> {
    /// Talks to the API server.
    pub client: Client,
    /// The namespace to work in.
    pub namespace: String,
    /// The time.
    pub clock: Clock,
    /// Where results go.
    pub output: &'a mut Output,
    /// Turns true when the person wants the command to end.
    pub stop: watch::Receiver<bool>,
}

impl Session<'_> {
    /// Resolves when the command is to end.
    pub async fn stopped(&self) {
        let mut stop = self.stop.clone();
        if stop.wait_for(|stop| *stop).await.is_err() {
            // Nobody is left who could say so.
            std::future::pending::<()>().await;
        }
    }
}
