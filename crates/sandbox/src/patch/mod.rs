//! PATCH in its forms: JSON patch, merge patch, strategic merge patch.

pub(crate) mod apply;
mod strategic;
mod typed;

use serde_json::Value;

use crate::call::{Answer, Call, Target, WriteOptions};
use crate::convert;
use crate::decode;
use crate::document;
use crate::plane::Plane;
use crate::read::lens;
use crate::refusal::{Refusal, Reply};
use crate::types;
use crate::write::{Part, check_named, replace_object};

const JSON_PATCH: &str = "application/json-patch+json";
const MERGE_PATCH: &str = "application/merge-patch+json";
const STRATEGIC_PATCH: &str = "application/strategic-merge-patch+json";
const APPLY_PATCH: &str = "application/apply-patch+yaml";

/// JSON patches may not have more operations than this.
const OPERATIONS_LIMIT: usize = 10_000;

/// A patch, read but not applied.
enum Patch {
    Json(json_patch::Patch),
    Merge(Value),
    Strategic(Value),
}

/// PATCH of an object or of its status.
pub(crate) fn patch(plane: &Plane, call: &Call, target: &Target) -> Reply<Answer> {
    if call.content_type() == APPLY_PATCH {
        return apply::apply(plane, call, target);
    }
    let options = WriteOptions::parse(call)?;
    let patch = parse(call, target);
    let mut warnings = Vec::new();
    let mut contents = plane.store.lock();
    let current = contents.get(&target.resource.table, &target.key());
    // Operations are only looked at once there is something to patch.
    let patch = match (patch, &current) {
        (Err(refusal), None) if refusal.message().contains("unknown variant") => Err(target.not_found()),
        (Err(refusal), Some(_)) if refusal.message().contains("unknown variant") => {
            Err(Refusal::patch_does_not_apply())
        }
        (patch, _) => patch,
    }?;
    let current = current.ok_or_else(|| target.not_found())?;
    let old = current.object();
    let object = patched(&patch, target, &old)?;
    check_named(target, &object)?;
    let stored = replace_object(
        plane,
        &mut contents,
        target,
        &current,
        &old,
        object,
        Part::of(&target.subresource),
        &options,
        Some(&|| patch.shown(target, &old)),
        &mut warnings,
    )
    .map_err(|refusal| refusal.with_warnings(&warnings))?;
    drop(contents);
    Ok(Answer::json(200, lens(plane, call, target).one(&stored)).with_warnings(warnings))
}

fn parse(call: &Call, target: &Target) -> Reply<Patch> {
    match call.content_type() {
        JSON_PATCH => {
            let raw: Value = decode::patch(&call.body)?;
            if raw.is_object() {
                return Err(Refusal::bad_request(
                    "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp",
                ));
            }
            let patch: json_patch::Patch = decode::patch(&call.body)?;
            if patch.0.len() > OPERATIONS_LIMIT {
                return Err(Refusal::new(
                    413,
                    "RequestEntityTooLarge",
                    format!(
                        "The allowed maximum operations in a JSON patch is {OPERATIONS_LIMIT}, got {}",
                        patch.0.len()
                    ),
                ));
            }
            Ok(Patch::Json(patch))
        }
        MERGE_PATCH => Ok(Patch::Merge(decode_map(&call.body)?)),
        STRATEGIC_PATCH if !target.resource.is_custom() => {
            decode_map(&call.body).map(Patch::Strategic).map_err(|refusal| {
                // The reader of strategic patches does not say what it was doing.
                let words = refusal.message().strip_prefix("error decoding patch: ").map(str::to_owned);
                words.map_or(refusal, Refusal::bad_request)
            })
        }
        _ if target.resource.is_custom() => {
            Err(Refusal::unsupported_media_type(&[JSON_PATCH, MERGE_PATCH, APPLY_PATCH]))
        }
        _ => Err(Refusal::unsupported_media_type(&[JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH])),
    }
}

fn decode_map(body: &[u8]) -> Reply<Value> {
    let patch: Value = decode::patch(body)?;
    let found = match &patch {
        Value::Object(_) => return Ok(patch),
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Number(_) => "number",
        Value::Bool(_) => "bool",
        Value::Null => "null",
    };
    Err(Refusal::bad_request(format!(
        "error decoding patch: json: cannot unmarshal {found} into Go value of type map[string]interface {{}}"
    )))
}

impl Patch {
    /// How refusals show it: strategic patches as Go prints maps; of the others the result is shown.
    fn shown(&self, target: &Target, old: &Value) -> String {
        match self {
            Self::Json(_) | Self::Merge(_) => {
                patched(self, target, old).map(|object| object.to_string()).unwrap_or_default()
            }
            Self::Strategic(patch) => strategic::go_text(patch),
        }
    }
}

/// The current object in the version of the request, with the patch applied.
fn patched(patch: &Patch, target: &Target, old: &Value) -> Reply<Value> {
    let mut object = convert::from_stored(&target.resource, target.version, old.clone());
    match patch {
        Patch::Json(patch) => {
            json_patch::patch(&mut object, patch).map_err(|_| Refusal::patch_does_not_apply())?;
        }
        Patch::Merge(patch) => json_patch::merge(&mut object, patch),
        Patch::Strategic(patch) => {
            let kind = types::of_kind(&target.api_version(), &target.resource.kind);
            strategic::apply(&mut object, patch, kind).map_err(Refusal::plain_error)?;
        }
    }
    if !object.is_object() && matches!(patch, Patch::Json(_)) {
        return Err(Refusal::patch_does_not_apply());
    }
    if !object.is_object() || document::text(&object, "/kind").is_empty() {
        return Err(Refusal::bad_request("the patched object is no longer an object"));
    }
    Ok(object)
}
