//! An embedded, Kubernetes-compatible API server over an in-memory object store.
//!
//! It is a [`tower`] service ([`ApiService`]) that a [`kube::Client`] can use in this process without
//! sockets, also under tokio's paused clock, or that serves HTTPS on loopback for `kubectl` and other
//! programs ([`Sandbox::serve`]). It knows Kubernetes and nothing of rollouts: their
//! CustomResourceDefinitions are installed like any others.
//!
//! What it does not do: run anything. Pods become something only through kubelets and controllers
//! that speak to it as clients. It is never meant for production.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use glidepath_clock::Clock;
//! use glidepath_sandbox::Sandbox;
//!
//! let sandbox = Sandbox::builder().clock(Clock::system()).seed(1).build()?;
//! let client = sandbox.client("example", "default");
//! let version = client.apiserver_version().await?;
//! assert_eq!(version.minor, "36");
//! # Ok(())
//! # }
//! ```

mod access;
mod admission;
mod audit;
mod body;
mod call;
mod cel;
mod convert;
mod crd;
mod decode;
mod delete;
mod discovery;
mod document;
mod duplicates;
mod exec;
mod faults;
mod interception;
mod kinds;
mod logs;
mod managed;
mod metadata;
mod names;
mod openapi;
mod patch;
mod plane;
mod pods;
mod read;
mod refusal;
mod registry;
mod represent;
mod request;
mod reviews;
mod sandbox;
mod scale;
mod schema;
mod selectors;
mod serve;
mod service;
mod store;
mod tables;
mod tokens;
mod types;
mod watch;
mod websocket;
mod write;

pub use audit::{AuditEntry, AuditRecord};
pub use body::Body;
pub use exec::{ExecRequest, ExecSession, ExecSource};
pub use faults::{Fault, Faults};
pub use interception::{Answering, Intercept, Intercepted, is_watch};
pub use logs::{LogError, LogRequest, LogSource, LogStream};
pub use sandbox::{Builder, Error, Sandbox};
pub use serve::{Running, ServeError};
pub use service::ApiService;
pub use store::JournalError;
