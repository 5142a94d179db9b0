//! Fields an object has and its kind does not: pruned, warned about or refused; and what a custom
//! kind's schema says about the rest.

use serde_json::Value;

use crate::call::{FieldValidation, Target};
use crate::refusal::{Cause, Refusal, Reply};
use crate::schema::{self, Schema};
use crate::types;

/// Reads the object as its kind: prunes it, fills in schema defaults, and treats unknown fields as
/// the client asked.
pub(crate) fn check_fields(
    target: &Target,
    object: &mut Value,
    validation: FieldValidation,
    warnings: &mut Vec<String>,
) -> Reply<()> {
    let unknown = if target.resource.is_custom() {
        read_custom(target, object)?
    } else {
        read_built_in(target, object)?
    };
    if unknown.is_empty() {
        return Ok(());
    }
    let sentences: Vec<String> = unknown.iter().map(|path| format!("unknown field {path:?}")).collect();
    match validation {
        FieldValidation::Ignore => {}
        FieldValidation::Warn => warnings.extend(sentences),
        FieldValidation::Strict => {
            return Err(undecodable(target, &format!("strict decoding error: {}", sentences.join(", "))));
        }
    }
    Ok(())
}

/// 400 in the words of the decoder.
fn undecodable(target: &Target, why: &str) -> Refusal {
    let kind = &target.resource.kind;
    let version = &target.resource.versions[target.version].name;
    Refusal::bad_request(format!("{kind} in version {version:?} cannot be handled as a {kind}: {why}"))
}

fn read_built_in(target: &Target, object: &mut Value) -> Reply<Vec<String>> {
    let Some(kind) = types::of_kind(&target.api_version(), &target.resource.kind) else {
        return Ok(Vec::new());
    };
    let decoded = types::decode(kind, object, "").map_err(|why| undecodable(target, &why))?;
    Ok(decoded.unknown)
}

fn read_custom(target: &Target, object: &mut Value) -> Reply<Vec<String>> {
    let mut unknown = Vec::new();
    if let (Some(kind), Some(metadata)) = (types::named("meta.v1.ObjectMeta"), object.get_mut("metadata")) {
        let decoded = types::decode(kind, metadata, "metadata").map_err(|why| undecodable(target, &why))?;
        unknown.extend(decoded.unknown);
    }
    let Some(schema) = &target.resource.versions[target.version].schema else { return Ok(unknown) };
    if let Value::Object(map) = object {
        // Type and metadata are the server's own business, whatever the schema says of them.
        let own: Vec<(String, Value)> =
            ["apiVersion", "kind", "metadata"].iter().filter_map(|key| map.remove_entry(*key)).collect();
        schema::prune(schema, object, "", &mut unknown);
        schema::set_defaults(schema, object);
        if let Value::Object(map) = object {
            map.extend(own);
        }
    }
    Ok(unknown)
}

/// What the schema has against the object.
pub(super) fn validate_custom(target: &Target, object: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    let version = &target.resource.versions[target.version];
    let Some(schema): Option<&Schema> = version.schema.as_deref() else { return causes };
    schema::validate(schema, object, old, "", &mut causes);
    causes
}
