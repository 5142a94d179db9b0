//! Controllers and the model kubelet against the embedded plane, in virtual time.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall stop where it is")]

mod deployments;
mod disruption;
mod garbage;
mod jobs;
mod nodes;
mod pods;
mod switches;
mod world;
