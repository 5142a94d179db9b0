//! `create -f`: objects from files, one each (O-080, O-081).

use glidepath_gocompat::yaml;
use serde_json::Value;

use super::get::{get_experiment, get_rollout};
use crate::arguments::{Create, GetOne};
use crate::failure::Failure;
use crate::objects::{
    ANALYSIS_RUNS, ANALYSIS_TEMPLATES, CLUSTER_ANALYSIS_TEMPLATES, EXPERIMENTS, ROLLOUTS, Resource,
    apply_creation,
};
use crate::session::Session;

/// Where an object goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The resource.
    pub resource: Resource,
    /// What the success line calls it.
    pub singular: &'static str,
    /// True for kinds that live in a namespace.
    pub namespaced: bool,
}

/// Reads one document: JSON if it begins with a brace, else YAML.
///
/// # Errors
/// Says what the text is not.
pub fn parse_document(text: &str) -> Result<Value, Failure> {
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text)
            .map_err(|error| Failure::message(format!("error parsing JSON: {error}")));
    }
    yaml::parse_document(text).map_err(|error| Failure::message(format!("error parsing YAML: {error}")))
}

/// Where the document goes, by its group and kind.
///
/// # Errors
/// If it is of another group or kind (O-080).
pub fn decide_destination(document: &Value) -> Result<Destination, Failure> {
    let api_version = document["apiVersion"].as_str().unwrap_or_default();
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    let kind = document["kind"].as_str().unwrap_or_default();
    let destination = |resource, singular, namespaced| Ok(Destination { resource, singular, namespaced });
    match (group, kind) {
        ("argoproj.io", "Rollout") => destination(ROLLOUTS, "rollout", true),
        ("argoproj.io", "Experiment") => destination(EXPERIMENTS, "experiment", true),
        ("argoproj.io", "AnalysisRun") => destination(ANALYSIS_RUNS, "analysisrun", true),
        ("argoproj.io", "AnalysisTemplate") => destination(ANALYSIS_TEMPLATES, "analysistemplate", true),
        ("argoproj.io", "ClusterAnalysisTemplate") => {
            destination(CLUSTER_ANALYSIS_TEMPLATES, "clusteranalysistemplate", false)
        }
        _ => Err(Failure::message(format!("creates of {group}/{kind} unsupported"))),
    }
}

/// Creates the objects of the files and, if asked to, watches the only one.
///
/// # Errors
/// On wrong arguments, an unreadable file, or what the API server answers.
pub async fn create(session: &mut Session<'_>, arguments: &Create) -> Result<(), Failure> {
    if arguments.filename.is_empty() || !arguments.words.is_empty() {
        return Err(Failure::Usage);
    }
    if arguments.watch && arguments.filename.len() > 1 {
        return Err(Failure::message("Cannot watch multiple resources"));
    }
    let mut created = None;
    for path in &arguments.filename {
        let text = read_file(path)?;
        let document = parse_document(&text)?;
        let destination = decide_destination(&document)?;
        let own = document["metadata"]["namespace"].as_str().filter(|namespace| !namespace.is_empty());
        let namespace = own.unwrap_or(&session.namespace).to_owned();
        let scope = destination.namespaced.then_some(namespace.as_str());
        let object = apply_creation(&session.client, destination.resource, scope, &document).await?;
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        session.output.line(&format!("{}.argoproj.io/{name} created", destination.singular));
        created = Some((destination.resource, namespace, name));
    }
    if arguments.watch
        && let Some((resource, namespace, name)) = created
    {
        session.namespace = namespace;
        return watch_created(session, resource, name, arguments.no_color).await;
    }
    Ok(())
}

async fn watch_created(
    session: &mut Session<'_>,
    resource: Resource,
    name: String,
    no_color: bool,
) -> Result<(), Failure> {
    let options = GetOne { no_color, color: None, timeout_seconds: 0, watch: true };
    if resource == ROLLOUTS {
        get_rollout(session, &[name], &options).await
    } else if resource == EXPERIMENTS {
        get_experiment(session, &[name], &options).await
    } else {
        Err(Failure::message("Can only watch resources of type Rollout or Experiment"))
    }
}

pub(super) fn read_file(path: &str) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| {
        let why = match error.kind() {
            std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
            std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
            _ => error.to_string(),
        };
        Failure::message(format!("open {path}: {why}"))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn kinds_of_our_group_go_to_their_resources_o_080_o_081() {
        let cases = [
            ("Rollout", "rollout", true),
            ("Experiment", "experiment", true),
            ("AnalysisTemplate", "analysistemplate", true),
            ("ClusterAnalysisTemplate", "clusteranalysistemplate", false),
            ("AnalysisRun", "analysisrun", true),
        ];
        for (kind, singular, namespaced) in cases {
            let found =
                decide_destination(&json!({"apiVersion": "argoproj.io/v1alpha1", "kind": kind})).unwrap();
            assert_eq!((found.singular, found.namespaced), (singular, namespaced));
        }
    }

    #[test]
    fn other_kinds_are_refused_by_name_o_080() {
        let said = |document: Value| decide_destination(&document).unwrap_err().to_string();
        let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment"});
        assert_eq!(said(deployment), "creates of apps/Deployment unsupported");
        assert_eq!(said(json!({"apiVersion": "v1", "kind": "Service"})), "creates of /Service unsupported");
    }

    #[test]
    fn json_and_yaml_are_told_apart_by_the_first_character_o_080() {
        assert_eq!(parse_document("\n {\"a\": 1}").unwrap(), json!({"a": 1}));
        assert_eq!(parse_document("a: 1\n").unwrap(), json!({"a": 1}));
        assert!(parse_document("{oops").unwrap_err().to_string().starts_with("error parsing JSON: "));
    }
}
