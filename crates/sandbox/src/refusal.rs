//! Why a request was turned down, worded as a Kubernetes API server words it.
//!
//! A [`Refusal`] becomes the `Status` object of `meta/v1`; clients branch on its `reason` and
//! `details`, people read its `message`.

use serde_json::{Map, Value, json};

/// The answer of everything that may be turned down.
pub(crate) type Reply<T> = Result<T, Refusal>;

/// One entry of `details.causes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cause {
    pub reason: &'static str,
    pub message: String,
    pub field: String,
}

impl Cause {
    pub fn required(field: impl Into<String>, hint: &str) -> Self {
        let message =
            if hint.is_empty() { "Required value".to_owned() } else { format!("Required value: {hint}") };
        Self { reason: "FieldValueRequired", message, field: field.into() }
    }

    pub fn invalid(field: impl Into<String>, value: &Value, why: impl AsRef<str>) -> Self {
        let message = format!("Invalid value: {}: {}", shown(value), why.as_ref());
        Self { reason: "FieldValueInvalid", message, field: field.into() }
    }

    pub fn type_invalid(field: impl Into<String>, shown: &str, why: impl AsRef<str>) -> Self {
        let message = format!("Invalid value: {shown}: {}", why.as_ref());
        Self { reason: "FieldValueTypeInvalid", message, field: field.into() }
    }

    pub fn unsupported(field: impl Into<String>, value: &Value, allowed: &[String]) -> Self {
        let allowed: Vec<String> = allowed.iter().map(|one| format!("{one:?}")).collect();
        let message =
            format!("Unsupported value: {}: supported values: {}", shown(value), allowed.join(", "));
        Self { reason: "FieldValueNotSupported", message, field: field.into() }
    }

    pub fn forbidden(field: impl Into<String>, why: impl AsRef<str>) -> Self {
        Self {
            reason: "FieldValueForbidden",
            message: format!("Forbidden: {}", why.as_ref()),
            field: field.into(),
        }
    }

    pub fn duplicate(field: impl Into<String>, value: &Value) -> Self {
        Self {
            reason: "FieldValueDuplicate",
            message: format!("Duplicate value: {}", shown(value)),
            field: field.into(),
        }
    }

    pub fn too_long(field: impl Into<String>, max: u64) -> Self {
        Self {
            reason: "FieldValueTooLong",
            message: format!("Too long: may not be more than {max} bytes"),
            field: field.into(),
        }
    }
}

/// Go prints strings quoted and other scalars plainly; objects and lists as JSON.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::String(text) => format!("{text:?}"),
        other => other.to_string(),
    }
}

/// A request that was turned down. Boxed inside, so that passing it along stays cheap.
#[derive(Clone, Debug)]
pub(crate) struct Refusal(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    code: u16,
    reason: &'static str,
    message: String,
    details: Map<String, Value>,
    next_page: Option<String>,
    retry_after_seconds: Option<u32>,
    /// Some answers of the real server are no Status at all (`404 page not found`).
    plain_text: bool,
    /// `details` is there although nothing is known.
    empty_details: bool,
    warnings: Vec<String>,
}

/// Names a resource inside a refusal: plural, group and kind.
#[derive(Clone, Debug)]
pub(crate) struct Subject<'a> {
    pub group: &'a str,
    pub plural: &'a str,
    pub kind: &'a str,
}

impl Subject<'_> {
    fn qualified(&self, word: &str) -> String {
        if self.group.is_empty() { word.to_owned() } else { format!("{word}.{}", self.group) }
    }
}

impl Refusal {
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            code,
            reason,
            message: message.into(),
            details: Map::new(),
            next_page: None,
            retry_after_seconds: None,
            plain_text: false,
            empty_details: false,
            warnings: Vec::new(),
        }))
    }

    fn about(mut self, subject: &Subject<'_>, name: &str) -> Self {
        if !name.is_empty() {
            self.0.details.insert("name".into(), json!(name));
        }
        if !subject.group.is_empty() {
            self.0.details.insert("group".into(), json!(subject.group));
        }
        self.0.details.insert("kind".into(), json!(subject.plural));
        self
    }

    pub fn code(&self) -> u16 {
        self.0.code
    }

    pub fn message(&self) -> &str {
        &self.0.message
    }

    pub fn retry_after_seconds(&self) -> Option<u32> {
        self.0.retry_after_seconds
    }

    pub fn plain_text(&self) -> Option<&str> {
        self.0.plain_text.then_some(self.0.message.as_str())
    }

    pub fn with_causes(mut self, causes: &[Cause]) -> Self {
        let causes: Vec<Value> = causes
            .iter()
            .map(|cause| {
                let mut entry = Map::new();
                entry.insert("reason".into(), json!(cause.reason));
                entry.insert("message".into(), json!(cause.message));
                if !cause.field.is_empty() {
                    entry.insert("field".into(), json!(cause.field));
                }
                Value::Object(entry)
            })
            .collect();
        self.0.details.insert("causes".into(), Value::Array(causes));
        self
    }

    /// Warnings go with refusals too.
    pub fn with_warnings(mut self, warnings: &[String]) -> Self {
        self.0.warnings = warnings.to_vec();
        self
    }

    pub fn warnings(&self) -> &[String] {
        &self.0.warnings
    }

    pub fn with_next_page(mut self, token: String) -> Self {
        self.0.next_page = Some(token);
        self
    }

    pub fn with_retry_after(mut self, seconds: u32) -> Self {
        self.0.details.insert("retryAfterSeconds".into(), json!(seconds));
        self.0.retry_after_seconds = Some(seconds);
        self
    }

    /// 409 for a name that the server made up, or would have.
    pub fn of_generated_name(mut self) -> Self {
        self.0.message += ", the server was not able to generate a unique name for the object";
        self.with_retry_after(1)
    }

    /// 404 for a part of an object that its kind does not have.
    pub fn no_such_part() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource").with_empty_details()
    }

    pub fn with_empty_details(mut self) -> Self {
        self.0.empty_details = true;
        self
    }

    /// 422 for a JSON patch that does not fit the object.
    pub fn patch_does_not_apply() -> Self {
        Self::new(422, "Invalid", "the server rejected our request due to an error in our request")
            .with_empty_details()
    }

    /// 422 for a patch whose result cannot be read as its kind. `shown` is the patch or its result.
    pub fn patch_does_not_decode(shown: &str, why: &str) -> Self {
        let cause = Cause::invalid("patch", &json!(shown), why);
        let message = format!(" \"\" is invalid: patch: {}", cause.message);
        Self::new(422, "Invalid", message).with_causes(&[cause])
    }

    /// 500 as an error without a reason of its own becomes one.
    pub fn plain_error(message: impl Into<String>) -> Self {
        Self::new(500, "", message)
    }

    /// The plain-text answer for a path nothing serves.
    pub fn no_such_path() -> Self {
        let mut refusal = Self::new(404, "NotFound", "404 page not found\n");
        refusal.0.plain_text = true;
        refusal
    }

    pub fn not_found(subject: &Subject<'_>, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", subject.qualified(subject.plural));
        Self::new(404, "NotFound", message).about(subject, name)
    }

    pub fn already_exists(subject: &Subject<'_>, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", subject.qualified(subject.plural));
        Self::new(409, "AlreadyExists", message).about(subject, name)
    }

    pub fn conflict(subject: &Subject<'_>, name: &str, why: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} \"{name}\": {why}",
            subject.qualified(subject.plural)
        );
        Self::new(409, "Conflict", message).about(subject, name)
    }

    /// A write that was based on an older resourceVersion.
    pub fn stale(subject: &Subject<'_>, name: &str) -> Self {
        Self::conflict(
            subject,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    pub fn forbidden(subject: &Subject<'_>, name: &str, why: &str) -> Self {
        let named = if name.is_empty() { String::new() } else { format!(" \"{name}\"") };
        let message = format!("{}{named} is forbidden: {why}", subject.qualified(subject.plural));
        Self::new(403, "Forbidden", message).about(subject, name)
    }

    /// 422 with one cause per broken field. `details.kind` is the kind here, not the plural.
    pub fn invalid(subject: &Subject<'_>, name: &str, causes: &[Cause]) -> Self {
        let mut sentences: Vec<String> = Vec::new();
        for cause in causes {
            let sentence = format!("{}: {}", cause.field, cause.message);
            if !sentences.contains(&sentence) {
                sentences.push(sentence);
            }
        }
        let list = match sentences.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let message = format!("{} \"{name}\" is invalid: {list}", subject.qualified(subject.kind));
        let mut refusal = Self::new(422, "Invalid", message).about(subject, name);
        if subject.kind.is_empty() {
            refusal.0.details.remove("kind");
        } else {
            refusal.0.details.insert("kind".into(), json!(subject.kind));
        }
        refusal.with_causes(causes)
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub fn method_not_allowed() -> Self {
        Self::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
            .with_empty_details()
    }

    pub fn unsupported_media_type(accepted: &[&str]) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {}",
            accepted.join(", ")
        );
        Self::new(415, "UnsupportedMediaType", message)
    }

    pub fn not_acceptable(accepted: &[&str]) -> Self {
        let message = format!("only the following media types are accepted: {}", accepted.join(", "));
        Self::new(406, "NotAcceptable", message)
    }

    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    pub fn internal(message: impl Into<String>) -> Self {
        let text: String = message.into();
        let cause = Cause { reason: "", message: text.clone(), field: String::new() };
        let mut refusal = Self::new(500, "InternalError", format!("Internal error occurred: {text}"));
        refusal.0.details.insert("causes".into(), json!([{ "message": cause.message }]));
        refusal
    }

    /// A read that asks for a resourceVersion that was not written yet.
    pub fn too_large_version(wanted: u64, current: u64) -> Self {
        let mut refusal = Self::new(
            504,
            "Timeout",
            format!("Timeout: Too large resource version: {wanted}, current: {current}"),
        );
        refusal.0.details.insert(
            "causes".into(),
            json!([{ "reason": "ResourceVersionTooLarge", "message": "Too large resource version" }]),
        );
        refusal.with_retry_after(1)
    }

    /// The `Status` object that goes over the wire.
    pub fn to_status(&self) -> Value {
        let inner = &self.0;
        let mut metadata = Map::new();
        if let Some(token) = &inner.next_page {
            metadata.insert("continue".into(), json!(token));
        }
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": metadata, "status": "Failure",
            "message": inner.message, "code": inner.code,
        });
        // Plain Go errors become a Status without a reason.
        if !inner.reason.is_empty() {
            status["reason"] = json!(inner.reason);
        }
        if !inner.details.is_empty() || inner.empty_details {
            status["details"] = Value::Object(inner.details.clone());
        }
        status
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}: {}", self.0.code, self.0.reason, self.0.message)
    }
}
