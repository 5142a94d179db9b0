//! From the bytes of a request body to JSON.

use serde_json::Value;

use crate::call::Call;
use crate::refusal::{Refusal, Reply};
use crate::types;

const ACCEPTED: &[&str] = &["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];

/// The object in the body, by its media type. `kind` is what it has to be.
pub(crate) fn object(call: &Call, kind: &str) -> Reply<Value> {
    match call.content_type() {
        "application/json" | "" | "*/*" => serde_json::from_slice(&call.body).map_err(|error| {
            let shown = if call.body.is_empty() { "<empty>".into() } else { String::from_utf8_lossy(&call.body) };
            Refusal::bad_request(format!(
                "the object provided is unrecognized (must be of type {kind}): couldn't get version/kind; json parse error: {} ({shown})",
                go_words(&error, &call.body)
            ))
        }),
        "application/yaml" => yaml(&call.body),
        "application/vnd.kubernetes.protobuf" => types::protobuf::decode(&call.body).map_err(|_| {
            Refusal::bad_request(format!(
                "the object provided is unrecognized (must be of type {kind}): the body is no protobuf of a known kind"
            ))
        }),
        _ => Err(Refusal::unsupported_media_type(ACCEPTED)),
    }
}

/// A patch in JSON.
pub(crate) fn patch<T: serde::de::DeserializeOwned>(body: &[u8]) -> Reply<T> {
    serde_json::from_slice(body)
        .map_err(|error| Refusal::bad_request(format!("error decoding patch: {}", go_words(&error, body))))
}

/// YAML text, one document.
pub(crate) fn yaml(body: &[u8]) -> Reply<Value> {
    let text =
        std::str::from_utf8(body).map_err(|_| Refusal::bad_request("error decoding YAML: invalid UTF-8"))?;
    glidepath_gocompat::yaml::parse_document(text)
        .map_err(|error| Refusal::bad_request(format!("error decoding YAML: {error}")))
}

/// A syntax error as Go's decoder words it, as far as the position tells.
fn go_words(error: &serde_json::Error, body: &[u8]) -> String {
    if error.is_eof() {
        return "unexpected end of JSON input".into();
    }
    let line = body.split(|byte| *byte == b'\n').nth(error.line().saturating_sub(1)).unwrap_or_default();
    let found = line.get(error.column().saturating_sub(1)).copied().map(char::from);
    let text = error.to_string();
    let wanted = if text.starts_with("key must be") {
        "looking for beginning of object key string"
    } else if text.starts_with("expected value") || text.starts_with("expected ident") {
        "looking for beginning of value"
    } else {
        return text;
    };
    match found {
        Some(found) => format!("invalid character {found:?} {wanted}"),
        None => text,
    }
}
