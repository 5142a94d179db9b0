//! What routers that work on Ingresses have in common.

use glidepath_core::traffic::RouterProblem;
use serde_json::Value;

use crate::document::{list, text};
use crate::{ObjectRef, Seen};

/// The document of an object, if it exists.
pub(crate) fn document<'a>(objects: &'a [Seen], wanted: &ObjectRef) -> Option<&'a Value> {
    objects.iter().find(|(object, _)| object == wanted).and_then(|(_, document)| document.as_ref())
}

/// The Service a path leads to; empty when it leads elsewhere.
pub(crate) fn backend(path: &Value) -> &str {
    text(path, "/backend/service/name")
}

/// T-116, T-301, T-404: a rule must lead to the Service whose traffic is shared.
///
/// # Errors
/// In the reference's words.
pub(crate) fn check_leads_to(name: &str, ingress: &Value, service: &str) -> Result<(), String> {
    let rules = list(ingress, "/spec/rules").iter();
    let leads = rules.flat_map(|rule| list(rule, "/http/paths")).any(|path| backend(path) == service);
    if leads { Ok(()) } else { Err(format!("ingress `{name}` has no rules using service {service} backend")) }
}

/// What is wrong when one field must be set and the other not (T-116).
pub(crate) fn one_of(field: &str, single: bool, several: bool, names: &str) -> Option<RouterProblem> {
    let which = match (single, several) {
        (true, true) => "Both",
        (false, false) => "Neither",
        _ => return None,
    };
    Some(RouterProblem {
        field: field.to_owned(),
        value: String::new(),
        detail: format!("Either {names} must be configured. {which} are configured."),
        event_reason: None,
        invalid_spec: true,
    })
}
