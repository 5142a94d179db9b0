//! Where pod logs come from. The API server itself has none: it asks whoever hosts the kubelets.

use std::io;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;

/// What a `GET …/pods/x/log` asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogRequest {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub pod: String,
    /// The pod's uid.
    pub uid: String,
    /// The container; already resolved to the only one when none was named.
    pub container: String,
    /// Go on with new lines until the container ends.
    pub follow: bool,
    /// The logs of the container's previous run.
    pub previous: bool,
    /// Start each line with its time.
    pub timestamps: bool,
    /// Only the last so many lines.
    pub tail_lines: Option<i64>,
    /// Only lines of the last so many seconds.
    pub since_seconds: Option<i64>,
    /// Only lines from this time on (RFC 3339).
    pub since_time: Option<String>,
    /// At most so many bytes.
    pub limit_bytes: Option<i64>,
}

/// Why there is no log to show.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct LogError {
    /// In the kubelet's words, for instance `container "x" in pod "y" is waiting to start: …`.
    pub message: String,
}

/// Pieces of a log.
pub type LogStream = BoxStream<'static, Result<Bytes, io::Error>>;

/// Serves the logs of pods. Whoever runs the kubelets registers one with
/// [`crate::Sandbox::set_log_source`].
pub trait LogSource: Send + Sync {
    /// The log of one container.
    fn open(&self, request: LogRequest) -> BoxFuture<'static, Result<LogStream, LogError>>;
}
