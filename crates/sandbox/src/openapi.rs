//! OpenAPI documents.

use serde_json::json;

use crate::call::{Answer, Call};
use crate::plane::Plane;
use crate::refusal::{Refusal, Reply};

/// `/openapi/v2` and `/openapi/v3`.
pub(crate) fn serve(_plane: &Plane, call: &Call, parts: &[&str]) -> Reply<Answer> {
    match parts {
        ["openapi", "v2"] => Ok(crate::discovery::tagged(
            call,
            &json!({ "swagger": "2.0", "info": { "title": "Kubernetes", "version": "v1.36.2" }, "paths": {} }),
            "application/json",
        )),
        _ => Err(Refusal::no_such_path()),
    }
}
