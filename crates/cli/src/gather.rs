//! Reads everything one screen needs with bounded lists (O-041).

use glidepath_api::{AnalysisRun, Experiment, ObjectMeta, Pod, ReplicaSet, Rollout};
use glidepath_view::Cluster;
use kube::Client;
use serde_json::Value;

use crate::failure::{Failure, is_not_found};
use crate::objects::{self, DEPLOYMENTS, EXPERIMENTS, Kind, ROLLOUTS, Selection};

/// Objects of one namespace.
#[derive(Debug, Default)]
pub struct Gathered {
    /// ReplicaSets.
    pub replica_sets: Vec<ReplicaSet>,
    /// Pods.
    pub pods: Vec<Pod>,
    /// Experiments.
    pub experiments: Vec<Experiment>,
    /// AnalysisRuns.
    pub analysis_runs: Vec<AnalysisRun>,
}

impl Gathered {
    /// The objects as the view takes them.
    #[must_use]
    pub fn cluster(&self) -> Cluster<'_> {
        Cluster {
            replica_sets: &self.replica_sets,
            pods: &self.pods,
            experiments: &self.experiments,
            analysis_runs: &self.analysis_runs,
        }
    }
}

/// Reads a Rollout; a missing one is named in the singular (O-012).
///
/// # Errors
/// What the API server answers.
pub async fn fetch_rollout(client: &Client, namespace: &str, name: &str) -> Result<Rollout, Failure> {
    objects::fetch(client, ROLLOUTS, Some(namespace), name).await.map_err(|e| not_here(e, "rollout", name))
}

/// Reads an Experiment; a missing one is named in the singular (O-012).
///
/// # Errors
/// What the API server answers.
pub async fn fetch_experiment(client: &Client, namespace: &str, name: &str) -> Result<Experiment, Failure> {
    let fetched = objects::fetch(client, EXPERIMENTS, Some(namespace), name).await;
    fetched.map_err(|error| not_here(error, "experiment", name))
}

fn not_here(error: kube::Error, singular: &str, name: &str) -> Failure {
    match &error {
        kube::Error::Api(status) if is_not_found(&error) && status.message.contains(name) => {
            gone(singular, name)
        }
        _ => error.into(),
    }
}

/// What is said of an object that is not there (O-012).
#[must_use]
pub fn gone(singular: &str, name: &str) -> Failure {
    Failure::message(format!("{singular}.argoproj.io \"{name}\" not found"))
}

/// Reads what belongs to a Rollout. Where its selector covers everything below it, only that is listed.
///
/// # Errors
/// What the API server answers.
pub async fn gather_for_rollout(
    client: &Client,
    namespace: &str,
    rollout: &Rollout,
) -> Result<Gathered, Failure> {
    let (experiments, analysis_runs) = futures::try_join!(
        list::<Experiment>(client, namespace, Selection::default()),
        list::<AnalysisRun>(client, namespace, Selection::default()),
    )?;
    let owns =
        |meta: &ObjectMeta| meta.owner_references.iter().any(|owner| owner.uid == rollout.metadata.uid);
    // Pods of experiments may carry labels of their own.
    let has_experiments = experiments.iter().any(|experiment| owns(&experiment.metadata));
    let labels = rollout.spec.selector.as_ref().filter(|selector| !has_experiments && !selector.is_empty());
    let labels = labels.and_then(|selector| selector.to_text().ok());
    let selection = Selection { labels, fields: None };
    let (replica_sets, pods) = futures::try_join!(
        list::<ReplicaSet>(client, namespace, selection.clone()),
        list::<Pod>(client, namespace, selection),
    )?;
    Ok(Gathered { replica_sets, pods, experiments, analysis_runs })
}

/// Reads what belongs to an Experiment.
///
/// # Errors
/// What the API server answers.
pub async fn gather_for_experiment(client: &Client, namespace: &str) -> Result<Gathered, Failure> {
    let (analysis_runs, replica_sets, pods) = futures::try_join!(
        list::<AnalysisRun>(client, namespace, Selection::default()),
        list::<ReplicaSet>(client, namespace, Selection::default()),
        list::<Pod>(client, namespace, Selection::default()),
    )?;
    Ok(Gathered { replica_sets, pods, experiments: Vec::new(), analysis_runs })
}

/// The pod template that a workloadRef to a Deployment stands for.
///
/// # Errors
/// What the API server answers; a Deployment that is gone is no error.
pub async fn fetch_workload_template(
    client: &Client,
    namespace: &str,
    rollout: &Rollout,
) -> Result<Option<Value>, Failure> {
    let Some(reference) = rollout.spec.workload_ref.as_ref().filter(|r| r.kind == "Deployment") else {
        return Ok(None);
    };
    match objects::fetch::<Value>(client, DEPLOYMENTS, Some(namespace), &reference.name).await {
        Ok(mut deployment) => Ok(Some(deployment["spec"]["template"].take())),
        Err(error) if is_not_found(&error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn list<T: Kind>(client: &Client, namespace: &str, selection: Selection) -> Result<Vec<T>, Failure> {
    Ok(objects::fetch_list::<T>(client, Some(namespace), &selection).await?.items)
}
