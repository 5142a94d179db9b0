//! An embedded, Kubernetes-compatible API server over an in-memory object store.
