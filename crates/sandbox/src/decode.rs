//! From the bytes of a request body to JSON.

use serde_json::Value;

use crate::call::Call;
use crate::refusal::{Refusal, Reply};

const ACCEPTED: &[&str] = &["application/json", "application/yaml"];

/// The object in the body, by its media type.
pub(crate) fn object(call: &Call) -> Reply<Value> {
    match call.content_type() {
        "application/json" | "" | "*/*" => json(&call.body),
        "application/yaml" => yaml(&call.body),
        _ => Err(Refusal::unsupported_media_type(ACCEPTED)),
    }
}

/// JSON text.
pub(crate) fn json(body: &[u8]) -> Reply<Value> {
    serde_json::from_slice(body)
        .map_err(|error| Refusal::bad_request(format!("error decoding the body of the request: {error}")))
}

/// YAML text, one document.
pub(crate) fn yaml(body: &[u8]) -> Reply<Value> {
    let text =
        std::str::from_utf8(body).map_err(|_| Refusal::bad_request("error decoding YAML: invalid UTF-8"))?;
    serde_saphyr::from_str(text)
        .map_err(|error| Refusal::bad_request(format!("error decoding YAML: {error}")))
}
