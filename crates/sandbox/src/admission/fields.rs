//! Fields an object has and its kind does not: pruned, warned about or refused; and what a custom
//! kind's schema says about the rest.

use serde_json::Value;

use crate::call::{FieldValidation, Target, WriteOptions};
use crate::refusal::{Cause, Refusal};
use crate::schema::{self, Schema};
use crate::types;

/// Why an object cannot be read as its kind.
#[derive(Debug)]
pub(crate) struct Undecodable(String);

impl Undecodable {
    /// 500 for an applied configuration that fits its type but holds what cannot be read.
    pub fn into_conversion(self, target: &Target, namespace: &str) -> Refusal {
        let api_version = target.api_version();
        let slash = if api_version.contains('/') { "" } else { "/" };
        let kind = format!("{slash}{api_version}, Kind={}", target.resource.kind);
        Refusal::plain_error(format!(
            "failed to convert new object ({namespace}/{}; {kind}) to proper version: unable to convert unstructured object to {kind}: {}",
            target.name, self.0
        ))
    }

    /// 400 for an object that was sent, 422 for one that a patch made. `patch` is how it is shown.
    pub fn into_refusal(self, target: &Target, patch: Option<&str>) -> Refusal {
        let Some(shown) = patch else {
            let kind = &target.resource.kind;
            let version = &target.resource.versions[target.version].name;
            return Refusal::bad_request(format!(
                "{kind} in version {version:?} cannot be handled as a {kind}: {}",
                self.0
            ));
        };
        // The strategic patch reader has shorter words for values of a wrong type.
        let why = match self.0.rsplit_once(" of type ") {
            Some((_, wanted))
                if shown.starts_with("map[") && self.0.starts_with("json: cannot unmarshal") =>
            {
                format!("unrecognized type: {wanted}")
            }
            _ => self.0,
        };
        Refusal::patch_does_not_decode(shown, &why)
    }
}

/// Reads the object as its kind: prunes it, fills in schema defaults, and treats unknown fields as
/// the client asked.
pub(crate) fn check_fields(
    target: &Target,
    object: &mut Value,
    options: &WriteOptions,
    warnings: &mut Vec<String>,
) -> Result<(), Undecodable> {
    let unknown = if target.resource.is_custom() {
        read_custom(target, object)?
    } else {
        read_built_in(target, object)?
    };
    if unknown.is_empty() && options.duplicates.is_empty() {
        return Ok(());
    }
    let twice = options.duplicates.iter().map(|path| format!("duplicate field {path:?}"));
    let sentences: Vec<String> =
        twice.chain(unknown.iter().map(|path| format!("unknown field {path:?}"))).collect();
    match options.field_validation {
        FieldValidation::Ignore => {}
        FieldValidation::Warn => warnings.extend(sentences),
        FieldValidation::Strict => {
            return Err(Undecodable(format!("strict decoding error: {}", sentences.join(", "))));
        }
    }
    Ok(())
}

fn read_built_in(target: &Target, object: &mut Value) -> Result<Vec<String>, Undecodable> {
    let Some(kind) = types::of_kind(&target.api_version(), &target.resource.kind) else {
        return Ok(Vec::new());
    };
    let decoded = types::decode(kind, object, "").map_err(Undecodable)?;
    Ok(decoded.unknown)
}

fn read_custom(target: &Target, object: &mut Value) -> Result<Vec<String>, Undecodable> {
    let mut unknown = Vec::new();
    if let (Some(kind), Some(metadata)) = (types::named("meta.v1.ObjectMeta"), object.get_mut("metadata")) {
        let decoded = types::decode(kind, metadata, "").map_err(Undecodable)?;
        unknown.extend(decoded.unknown.into_iter().map(|path| format!("metadata.{path}")));
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

/// The numbers that `/scale` shows must be numbers, and not negative.
fn check_scale(object: &Value, pointer: &str, causes: &mut Vec<Cause>) {
    let field = pointer.replace('/', ".");
    match object.pointer(pointer) {
        None => {}
        Some(Value::Number(number)) => match number.as_i64() {
            Some(count) if count < 0 => {
                causes.push(Cause::invalid(field, &Value::from(count), "should be a non-negative integer"));
            }
            _ => {}
        },
        Some(other) => {
            let (shown, found) = match other {
                Value::String(text) => (text.clone(), "string"),
                Value::Bool(flag) => (flag.to_string(), "bool"),
                Value::Array(_) => ("[]".into(), "[]interface {}"),
                _ => ("map[]".into(), "map[string]interface {}"),
            };
            let why = format!("{field} accessor error: {shown} is of the type {found}, expected int64");
            causes.push(Cause::invalid(field, &Value::from(0), why));
        }
    }
}

/// What the schema has against the object.
pub(super) fn validate_custom(target: &Target, object: &Value, old: Option<&Value>) -> Vec<Cause> {
    // What is wrong with the metadata is told elsewhere; here it only keeps rules from being run.
    let unnamed = old.is_none() && crate::document::name(object).is_empty();
    let mut causes = Vec::new();
    let version = &target.resource.versions[target.version];
    let Some(schema): Option<&Schema> = version.schema.as_deref() else { return causes };
    schema::validate(schema, object, old, "", &mut causes);
    if let Some(scale) = &version.scale {
        check_scale(object, &scale.spec_replicas, &mut causes);
        check_scale(object, &scale.status_replicas, &mut causes);
    }
    schema::validate_lists(schema, object, "", &mut causes);
    let blocking = ["FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany", "FieldValueTypeInvalid"];
    if !unnamed && !causes.iter().any(|cause| blocking.contains(&cause.reason)) {
        schema::validate_rules(schema, object, old, &mut causes);
    } else if schema::has_rules(schema) {
        causes.push(Cause::invalid(
            "<nil>",
            &Value::Null,
            "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation",
        ));
    }
    causes
}
