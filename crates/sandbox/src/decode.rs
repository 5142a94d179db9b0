//! From the bytes of a request body to JSON.

use serde_json::Value;

use crate::call::Call;
use crate::refusal::{Refusal, Reply};
use crate::types;

const ACCEPTED: &[&str] = &["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];

/// What Go reads version and kind into, as it prints it.
const TYPE_STRUCT: &str =
    r#"struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }"#;

/// The object in the body, by its media type. `kind` is what it has to be.
pub(crate) fn object(call: &Call, kind: &str) -> Reply<Value> {
    match call.content_type() {
        "application/json" | "" | "*/*" => {
            let refuse = |words: &str| {
                let shown = shortened(&call.body);
                Refusal::bad_request(format!(
                    "the object provided is unrecognized (must be of type {kind}): couldn't get version/kind; json parse error: {words} ({shown})"
                ))
            };
            let object = serde_json::from_slice(&call.body).map_err(|error| refuse(&go_words(&error, &call.body)))?;
            let found = match &object {
                Value::Object(_) | Value::Null => return Ok(object),
                Value::Array(_) => "array",
                Value::String(_) => "string",
                Value::Number(_) => "number",
                Value::Bool(_) => "bool",
            };
            Err(refuse(&format!("json: cannot unmarshal {found} into Go value of type {TYPE_STRUCT}")))
        }
        "application/yaml" => yaml(&call.body),
        "application/vnd.kubernetes.protobuf" => types::protobuf::decode(&call.body).map_err(|_| {
            Refusal::bad_request(format!(
                "the object provided is unrecognized (must be of type {kind}): the body is no protobuf of a known kind"
            ))
        }),
        _ => Err(Refusal::unsupported_media_type(ACCEPTED)),
    }
}

/// The beginning of a body as refusals show it: text that looks like JSON as it is, all else in hexadecimal.
pub(crate) fn shortened(body: &[u8]) -> String {
    const LENGTH: usize = 30;
    let (head, more) = if body.len() > LENGTH { (&body[..LENGTH], " ...") } else { (body, "") };
    match body.first() {
        None => "<empty>".to_owned(),
        Some(b'{') => format!("{}{more}", String::from_utf8_lossy(head)),
        Some(_) => {
            let hex: String = head.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{hex}{more}")
        }
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

/// A body that starts like `null`, `true` or `false` and goes on otherwise.
fn broken_literal(body: &[u8]) -> Option<String> {
    let literal = ["null", "true", "false"].into_iter().find(|one| body.first() == one.as_bytes().first())?;
    let at = literal.bytes().zip(body).position(|(wanted, found)| wanted != *found)?;
    let (found, wanted) = (char::from(body[at]), char::from(literal.as_bytes()[at]));
    Some(format!("invalid character {found:?} in literal {literal} (expecting {wanted:?})"))
}

/// A syntax error as Go's decoder words it, as far as the position tells.
fn go_words(error: &serde_json::Error, body: &[u8]) -> String {
    if error.is_eof() {
        return "unexpected end of JSON input".into();
    }
    if let Some(words) = broken_literal(body) {
        return words;
    }
    let line = body.split(|byte| *byte == b'\n').nth(error.line().saturating_sub(1)).unwrap_or_default();
    let found = line.get(error.column().saturating_sub(1)).copied().map(char::from);
    let text = error.to_string();
    let wanted = if text.starts_with("trailing characters") {
        "after top-level value"
    } else if text.starts_with("key must be") {
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
