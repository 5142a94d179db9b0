//! What a story needs of a control plane.

use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;
use kube::Client;

/// A control plane with our controller on it.
///
/// Implementations differ in where the API server is, who runs the pods and how fast time goes; a story
/// cannot tell.
#[async_trait(?Send)]
pub trait Plane {
    /// A client with the rights of a cluster administrator.
    fn client(&self) -> Client;

    /// Beginning of the addresses at which metrics can be asked, e.g. `http://metrics.test`.
    fn metric_host(&self) -> String;

    /// Lets `path` under the metric host give these answers, one per request, the last one for ever.
    fn script_metric(&self, path: &str, answers: Vec<(u16, String)>);

    /// Runs a command of the kubectl plugin and returns what it printed.
    ///
    /// # Errors
    /// With what the plugin wrote, standard error last, when it did not exit with 0.
    async fn plugin(&self, namespace: &str, words: &[String]) -> Result<String>;

    /// Lets time pass, virtual or real.
    async fn pass(&self, time: Duration);

    /// How often a story looks while it waits.
    fn glance(&self) -> Duration {
        Duration::from_millis(250)
    }

    /// How long a story waits for anything before it gives up, in the plane's time.
    fn patience(&self) -> Duration {
        Duration::from_secs(600)
    }
}
