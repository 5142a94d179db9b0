//! Why a command failed, in words for people (O-008, O-010, O-012).

use kube::core::Status;

/// How a command ends when it does not end well. The exit code is 1 in each case.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Printed as `Error: <message>`.
    #[error("{0}")]
    Message(String),
    /// Something is missing or too much: the usage text is printed, and no error line.
    #[error("wrong usage")]
    Usage,
}

impl Failure {
    /// A failure with a message.
    #[must_use]
    pub fn message(text: impl Into<String>) -> Self {
        Self::Message(text.into())
    }
}

impl From<kube::Error> for Failure {
    fn from(error: kube::Error) -> Self {
        Self::Message(explain(&error))
    }
}

/// True if the API server answered that there is no such object or resource.
#[must_use]
pub fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

/// True if the object was changed meanwhile.
#[must_use]
pub fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}

/// One line that says what went wrong and, where we know it, what to do.
#[must_use]
pub fn explain(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => explain_status(status),
        kube::Error::Auth(error) => format!("cannot log in to the cluster: {}", chain(error)),
        kube::Error::Service(error) => unreachable_cluster(&chain(error.as_ref())),
        kube::Error::HyperError(error) => unreachable_cluster(&chain(error)),
        kube::Error::SerdeError(error) => format!("the API server's answer cannot be read: {error}"),
        other => chain(other),
    }
}

fn unreachable_cluster(cause: &str) -> String {
    format!(
        "cannot reach the API server: {cause}; check that the cluster runs and that --kubeconfig, --context or --server name it"
    )
}

fn explain_status(status: &Status) -> String {
    let message = status.message.trim();
    let names_object = status.details.as_ref().is_some_and(|details| !details.name.is_empty());
    if status.code == 404 && !names_object && !message.ends_with("not found") || is_unknown_path(message) {
        return "the server doesn't have the resource types of Argo Rollouts; install the CRDs first (kubectl apply -f deploy/crds)".to_owned();
    }
    match (status.code, message) {
        (401, _) => {
            "the API server does not accept these credentials (Unauthorized); log in again or pass --token"
                .to_owned()
        }
        (code, "") => format!("the API server answered {code} {}", status.reason),
        (_, message) => message.to_owned(),
    }
}

/// What servers say about a path that nothing serves.
fn is_unknown_path(message: &str) -> bool {
    message == "the server could not find the requested resource" || message.trim() == "404 page not found"
}

/// An error and its causes, without saying the same thing twice.
#[must_use]
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let more = inner.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn said(status: Value) -> String {
        let status: Status = serde_json::from_value(status).unwrap();
        explain(&kube::Error::Api(status.boxed()))
    }

    #[test]
    fn the_servers_own_words_are_passed_on_o_012() {
        let missing = json!({"code": 404, "reason": "NotFound", "message": "rollouts.argoproj.io \"x\" not found",
                             "details": {"name": "x", "group": "argoproj.io", "kind": "rollouts"}});
        assert_eq!(said(missing), "rollouts.argoproj.io \"x\" not found");
        let forbidden = "rollouts.argoproj.io is forbidden: User \"jo\" cannot list resource \"rollouts\"";
        assert_eq!(said(json!({"code": 403, "reason": "Forbidden", "message": forbidden})), forbidden);
    }

    #[test]
    fn missing_definitions_and_credentials_say_what_to_do() {
        for message in ["the server could not find the requested resource", "404 page not found\n", ""] {
            let text = said(json!({"code": 404, "reason": "NotFound", "message": message}));
            assert!(text.contains("install the CRDs first"), "{message:?}: {text}");
        }
        assert!(said(json!({"code": 401, "reason": "Unauthorized"})).contains("log in again"));
    }
}
