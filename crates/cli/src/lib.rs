//! The kubectl plugin: kubectl argo rollouts.
