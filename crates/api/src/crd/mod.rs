//! The CustomResourceDefinitions of the five kinds, generated from two field tables.
//!
//! Pod templates get a full schema, so that a typo in a pod spec is answered by the API server. Texts that
//! describe fields are left out: a definition must fit into the annotation that `kubectl apply` writes.

mod schema;
mod table;

use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::names::{
    ANALYSIS_RUNS, ANALYSIS_TEMPLATES, CLUSTER_ANALYSIS_TEMPLATES, EXPERIMENTS, GROUP, KIND_ANALYSIS_RUN,
    KIND_ANALYSIS_TEMPLATE, KIND_CLUSTER_ANALYSIS_TEMPLATE, KIND_EXPERIMENT, KIND_ROLLOUT, ROLLOUTS, VERSION,
};

const KINDS: &str = include_str!("kinds.txt");
const POD_SCHEMA: &str = include_str!("pod_schema.txt");

/// What is special about one kind's definition.
struct Definition {
    kind: &'static str,
    plural: &'static str,
    short_name: &'static str,
    scope: &'static str,
    /// The type in the tables.
    type_name: &'static str,
    columns: Value,
    subresources: Value,
}

/// The definition of rollouts.
#[must_use]
pub fn rollout() -> Value {
    let count = |name: &str, path: &str, description: &str| json!({"description": description, "jsonPath": path, "name": name, "type": "integer"});
    render_definition(&Definition {
        kind: KIND_ROLLOUT,
        plural: ROLLOUTS,
        short_name: "ro",
        scope: "Namespaced",
        type_name: "Rollout",
        columns: json!([
            count("Desired", ".spec.replicas", "Number of desired pods"),
            count(
                "Current",
                ".status.replicas",
                "Total number of non-terminated pods targeted by this rollout"
            ),
            count(
                "Up-to-date",
                ".status.updatedReplicas",
                "Total number of non-terminated pods targeted by this rollout that have the desired template spec"
            ),
            count(
                "Available",
                ".status.availableReplicas",
                "Total number of available pods (ready for at least minReadySeconds) targeted by this rollout"
            ),
            age_column(),
        ]),
        subresources: json!({
            "scale": {
                "labelSelectorPath": ".status.selector",
                "specReplicasPath": ".spec.replicas",
                "statusReplicasPath": ".status.HPAReplicas",
            },
            "status": {},
        }),
    })
}

/// The definition of experiments.
#[must_use]
pub fn experiment() -> Value {
    render_definition(&Definition {
        kind: KIND_EXPERIMENT,
        plural: EXPERIMENTS,
        short_name: "exp",
        scope: "Namespaced",
        type_name: "Experiment",
        columns: json!([phase_column("Experiment status"), age_column()]),
        subresources: json!({}),
    })
}

/// The definition of analysis runs.
#[must_use]
pub fn analysis_run() -> Value {
    render_definition(&Definition {
        kind: KIND_ANALYSIS_RUN,
        plural: ANALYSIS_RUNS,
        short_name: "ar",
        scope: "Namespaced",
        type_name: "AnalysisRun",
        columns: json!([phase_column("AnalysisRun status"), age_column()]),
        subresources: json!({}),
    })
}

/// The definition of analysis templates.
#[must_use]
pub fn analysis_template() -> Value {
    render_definition(&Definition {
        kind: KIND_ANALYSIS_TEMPLATE,
        plural: ANALYSIS_TEMPLATES,
        short_name: "at",
        scope: "Namespaced",
        type_name: "AnalysisTemplate",
        columns: json!([age_column()]),
        subresources: json!({}),
    })
}

/// The definition of cluster-wide analysis templates.
#[must_use]
pub fn cluster_analysis_template() -> Value {
    render_definition(&Definition {
        kind: KIND_CLUSTER_ANALYSIS_TEMPLATE,
        plural: CLUSTER_ANALYSIS_TEMPLATES,
        short_name: "cat",
        scope: "Cluster",
        type_name: "AnalysisTemplate",
        columns: json!([age_column()]),
        subresources: json!({}),
    })
}

/// All five definitions. Written out once per process: a schema has no references, so theirs is a large tree.
#[must_use]
pub fn all() -> &'static [Value] {
    static ALL: LazyLock<[Value; 5]> = LazyLock::new(|| {
        [rollout(), experiment(), analysis_run(), analysis_template(), cluster_analysis_template()]
    });
    &*ALL
}

/// The files of `deploy/crds/`: name and text.
#[must_use]
pub fn render_files() -> Vec<(&'static str, String)> {
    let files = [
        ("rollout-crd.yaml", rollout()),
        ("experiment-crd.yaml", experiment()),
        ("analysis-run-crd.yaml", analysis_run()),
        ("analysis-template-crd.yaml", analysis_template()),
        ("cluster-analysis-template-crd.yaml", cluster_analysis_template()),
    ];
    let heading = "# Written by `cargo xtask gen`; change crates/api/src/crd instead.\n";
    files
        .into_iter()
        .map(|(name, crd)| (name, format!("{heading}{}", glidepath_gocompat::yaml::render(&crd))))
        .collect()
}

/// The schema of one kind alone, as its definition holds it; `None` for any other kind.
#[must_use]
pub fn kind_schema(kind: &str) -> Option<Value> {
    let crd = match kind {
        KIND_ROLLOUT => rollout(),
        KIND_EXPERIMENT => experiment(),
        KIND_ANALYSIS_RUN => analysis_run(),
        KIND_ANALYSIS_TEMPLATE => analysis_template(),
        KIND_CLUSTER_ANALYSIS_TEMPLATE => cluster_analysis_template(),
        _ => return None,
    };
    crd.pointer("/spec/versions/0/schema/openAPIV3Schema").cloned()
}

fn render_definition(definition: &Definition) -> Value {
    let Definition { kind, plural, short_name, scope, type_name, columns, subresources } = definition;
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{GROUP}")},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": kind,
                "listKind": format!("{kind}List"),
                "plural": plural,
                "shortNames": [short_name],
                "singular": kind.to_lowercase(),
            },
            "scope": scope,
            "versions": [{
                "additionalPrinterColumns": columns,
                "name": VERSION,
                "schema": {"openAPIV3Schema": type_schema(type_name)},
                "served": true,
                "storage": true,
                "subresources": subresources,
            }],
        },
    })
}

#[expect(clippy::expect_used, reason = "the tables are part of the program, and a test renders every type")]
fn type_schema(type_name: &str) -> Value {
    let table = table::parse_tables(&[KINDS, POD_SCHEMA]).expect("the field tables follow their notation");
    schema::render_schema(&table, type_name).expect("the field tables describe every type they use")
}

fn phase_column(description: &str) -> Value {
    json!({"description": description, "jsonPath": ".status.phase", "name": "Status", "type": "string"})
}

fn age_column() -> Value {
    json!({
        "description": "Time since resource was created",
        "jsonPath": ".metadata.creationTimestamp",
        "name": "Age",
        "type": "date",
    })
}

#[cfg(test)]
mod tests;
