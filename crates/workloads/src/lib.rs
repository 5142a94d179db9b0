//! Workload controllers and kubelets that know a cluster only through the Kubernetes API.
