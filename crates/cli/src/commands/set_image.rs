//! `set image`: another image for one container or all (O-078, O-079).

use serde_json::Value;

use crate::failure::{Failure, is_conflict};
use crate::objects::{DEPLOYMENTS, ROLLOUTS, Resource, apply_replacement, fetch};
use crate::session::Session;

/// Tries when the object is changed by others meanwhile.
const ATTEMPTS: usize = 5;

/// Reads `CONTAINER=IMAGE`.
///
/// # Errors
/// Unless there is exactly one equals sign.
pub fn parse_assignment(text: &str) -> Result<(&str, &str), Failure> {
    match text.split_once('=') {
        Some((container, image)) if !image.contains('=') => Ok((container, image)),
        _ => Err(Failure::Usage),
    }
}

/// The workload with the new image; every container of that name is changed, of any name for `*`.
///
/// # Errors
/// If there is no such container.
pub fn plan_workload(workload: &Value, container: &str, image: &str) -> Result<Value, Failure> {
    let mut changed = workload.clone();
    let mut found = false;
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        let pointer = format!("/spec/template/spec/{list}");
        let containers = changed.pointer_mut(&pointer).and_then(Value::as_array_mut);
        for candidate in containers.into_iter().flatten().filter_map(Value::as_object_mut) {
            let name = candidate.get("name").and_then(Value::as_str);
            if container == "*" || name == Some(container) {
                candidate.insert("image".to_owned(), Value::from(image));
                found = true;
            }
        }
    }
    if found {
        Ok(changed)
    } else {
        Err(Failure::message(format!("unable to find container named \"{container}\"")))
    }
}

/// Sets an image of a Rollout, or of the Deployment it refers to.
///
/// # Errors
/// On wrong arguments, an unknown container, or what the API server answers.
pub async fn set_image(session: &mut Session<'_>, words: &[String]) -> Result<(), Failure> {
    let [name, assignment] = words else { return Err(Failure::Usage) };
    let (container, image) = parse_assignment(assignment)?;
    let mut attempt = 1;
    let (word, name) = loop {
        match apply_image(session, name, container, image).await {
            Err(Attempt::Conflict(_)) if attempt < ATTEMPTS => attempt += 1,
            Err(Attempt::Conflict(error)) => return Err(error.into()),
            Err(Attempt::Failed(failure)) => return Err(failure),
            Ok(done) => break done,
        }
    };
    session.output.line(&format!("{word} \"{name}\" image updated"));
    Ok(())
}

enum Attempt {
    Conflict(kube::Error),
    Failed(Failure),
}

impl From<kube::Error> for Attempt {
    fn from(error: kube::Error) -> Self {
        if is_conflict(&error) { Self::Conflict(error) } else { Self::Failed(error.into()) }
    }
}

async fn apply_image(
    session: &Session<'_>,
    name: &str,
    container: &str,
    image: &str,
) -> Result<(&'static str, String), Attempt> {
    let (client, namespace) = (&session.client, session.namespace.as_str());
    let rollout: Value = fetch(client, ROLLOUTS, Some(namespace), name).await?;
    let reference = &rollout["spec"]["workloadRef"];
    let (word, resource, workload): (&str, Resource, Value) = if reference.is_object() {
        let Some(name) = reference["name"].as_str() else {
            return Err(Attempt::Failed(Failure::message("spec.workloadRef.name is not a string")));
        };
        ("deployment", DEPLOYMENTS, fetch(client, DEPLOYMENTS, Some(namespace), name).await?)
    } else {
        ("rollout", ROLLOUTS, rollout)
    };
    let changed = plan_workload(&workload, container, image).map_err(Attempt::Failed)?;
    let name = changed["metadata"]["name"].as_str().unwrap_or(name).to_owned();
    apply_replacement(client, resource, namespace, &name, &changed).await?;
    Ok((word, name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn workload() -> Value {
        json!({"kind": "Rollout", "unknown": {"kept": 1}, "spec": {"template": {"spec": {
            "initContainers": [{"name": "init", "image": "i:1"}],
            "containers": [{"name": "web", "image": "w:1"}, {"name": "side", "image": "s:1"}]}}}})
    }

    #[test]
    fn one_container_or_all_get_the_image_o_078() {
        let cases = [("web", ["i:1", "w:2", "s:1"]), ("init", ["w:2", "w:1", "s:1"]), ("*", ["w:2"; 3])];
        for (container, [init, web, side]) in cases {
            let mut expected = workload();
            let spec = &mut expected["spec"]["template"]["spec"];
            spec["initContainers"][0]["image"] = json!(init);
            spec["containers"][0]["image"] = json!(web);
            spec["containers"][1]["image"] = json!(side);
            assert_eq!(plan_workload(&workload(), container, "w:2").unwrap(), expected, "{container}");
        }
    }

    #[test]
    fn an_unknown_container_is_named_o_078() {
        let failure = plan_workload(&workload(), "db", "x").unwrap_err();
        assert_eq!(failure.to_string(), "unable to find container named \"db\"");
    }

    #[test]
    fn there_is_exactly_one_equals_sign_o_078() {
        assert_eq!(parse_assignment("web=repo/web@sha256:abc").unwrap(), ("web", "repo/web@sha256:abc"));
        assert_eq!(parse_assignment("web"), Err(Failure::Usage));
        assert_eq!(parse_assignment("web=a=b"), Err(Failure::Usage));
    }
}
