//! What is wrong with a field, in the form the API server and the reference print it:
//! `<path>: <kind>: <value>: <detail>`.

use std::fmt;

use glidepath_gocompat::quote::quote;
use serde::Serialize;

/// One field and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The field, such as `spec.strategy.steps[0].setWeight`.
    pub path: String,
    /// What sort of wrong.
    pub kind: FieldErrorKind,
    /// The value found, as it is shown; `None` where the kind shows none.
    pub value: Option<String>,
    /// What would be right; may be empty.
    pub detail: String,
}

/// What sort of wrong a field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldErrorKind {
    /// A value that must not be.
    Invalid,
    /// A value is missing.
    Required,
    /// A value outside a closed set.
    NotSupported,
    /// A name that nothing bears.
    NotFound,
    /// A value given twice.
    Duplicate,
    /// A value where none may be.
    Forbidden,
    /// A value that is too long to show.
    TooLong,
    /// Something else is wrong.
    Internal,
}

impl FieldErrorKind {
    /// The kind's words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "Invalid value",
            Self::Required => "Required value",
            Self::NotSupported => "Unsupported value",
            Self::NotFound => "Not found",
            Self::Duplicate => "Duplicate value",
            Self::Forbidden => "Forbidden",
            Self::TooLong => "Too long",
            Self::Internal => "Internal error",
        }
    }
}

impl FieldError {
    /// A value that must not be.
    #[must_use]
    pub fn invalid(path: &str, value: &impl Serialize, detail: &str) -> Self {
        Self::with_value(FieldErrorKind::Invalid, path, value, detail)
    }

    /// A missing value.
    #[must_use]
    pub fn required(path: &str, detail: &str) -> Self {
        Self::without_value(FieldErrorKind::Required, path, detail)
    }

    /// A value where none may be.
    #[must_use]
    pub fn forbidden(path: &str, detail: &str) -> Self {
        Self::without_value(FieldErrorKind::Forbidden, path, detail)
    }

    /// Something else that is wrong with a field.
    #[must_use]
    pub fn internal(path: &str, detail: &str) -> Self {
        Self::without_value(FieldErrorKind::Internal, path, detail)
    }

    /// A name that nothing bears.
    #[must_use]
    pub fn not_found(path: &str, value: &impl Serialize) -> Self {
        Self::with_value(FieldErrorKind::NotFound, path, value, "")
    }

    /// A value given twice.
    #[must_use]
    pub fn duplicate(path: &str, value: &impl Serialize) -> Self {
        Self::with_value(FieldErrorKind::Duplicate, path, value, "")
    }

    /// A value outside a closed set.
    #[must_use]
    pub fn not_supported(path: &str, value: &impl Serialize, supported: &[&str]) -> Self {
        let quoted: Vec<String> = supported.iter().map(|word| quote(word)).collect();
        let detail = format!("supported values: {}", quoted.join(", "));
        Self::with_value(FieldErrorKind::NotSupported, path, value, &detail)
    }

    /// A text or collection that is too long.
    #[must_use]
    pub fn too_long(path: &str, bytes: usize) -> Self {
        Self::without_value(FieldErrorKind::TooLong, path, &format!("may not be more than {bytes} bytes"))
    }

    fn with_value(kind: FieldErrorKind, path: &str, value: &impl Serialize, detail: &str) -> Self {
        Self { path: path.to_owned(), kind, value: Some(render_value(value)), detail: detail.to_owned() }
    }

    fn without_value(kind: FieldErrorKind, path: &str, detail: &str) -> Self {
        Self { path: path.to_owned(), kind, value: None, detail: detail.to_owned() }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.kind.as_str())?;
        if let Some(value) = &self.value {
            write!(f, ": {value}")?;
        }
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        Ok(())
    }
}

impl std::error::Error for FieldError {}

/// Text in Go's quotes, numbers and booleans bare, everything else as Go's JSON, which escapes a few more
/// characters inside text than other writers do.
fn render_value(value: &impl Serialize) -> String {
    let json = serde_json::to_string(value).unwrap_or_else(|error| error.to_string());
    if let Ok(text) = serde_json::from_str::<String>(&json) {
        return quote(&text);
    }
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::FieldError;

    #[test]
    fn values_are_shown_as_go_shows_them() {
        for (value, want) in [
            (json!("a\"b"), r#"a: Invalid value: "a\"b": no"#),
            (json!("a\u{7f}é"), r#"a: Invalid value: "a\x7fé": no"#),
            (json!(3), "a: Invalid value: 3: no"),
            (json!(true), "a: Invalid value: true: no"),
            (json!(null), "a: Invalid value: null: no"),
            (json!({"k": "<&>"}), r#"a: Invalid value: {"k":"\u003c\u0026\u003e"}: no"#),
        ] {
            assert_eq!(FieldError::invalid("a", &value, "no").to_string(), want);
        }
        assert_eq!(FieldError::required("a", "").to_string(), "a: Required value");
    }
}
