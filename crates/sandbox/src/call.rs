//! A request after its path was looked up, and the answer before it is framed.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::Value;

use crate::body::Body;
use crate::managed::Writer;
use crate::refusal::{Refusal, Reply};
use crate::registry::Resource;
use crate::request::{Query, View};
use crate::store::Key;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub name: String,
    pub groups: Vec<String>,
}

impl User {
    /// The identity of in-process clients and of the admin certificate.
    pub fn admin() -> Self {
        Self {
            name: "kubernetes-admin".into(),
            groups: vec!["system:masters".into(), "system:authenticated".into()],
        }
    }

    pub fn anonymous() -> Self {
        Self { name: "system:anonymous".into(), groups: vec!["system:unauthenticated".into()] }
    }

    pub fn service_account(namespace: &str, name: &str) -> Self {
        Self {
            name: format!("system:serviceaccount:{namespace}:{name}"),
            groups: vec![
                "system:serviceaccounts".into(),
                format!("system:serviceaccounts:{namespace}"),
                "system:authenticated".into(),
            ],
        }
    }
}

/// The request.
#[derive(Debug)]
pub(crate) struct Call {
    pub method: Method,
    pub headers: HeaderMap,
    pub query: Query,
    pub view: View,
    pub body: Bytes,
    pub user: User,
    /// Where the connection can be taken over.
    pub upgrade: Option<hyper::upgrade::OnUpgrade>,
}

impl Call {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The media type of the body without its parameters.
    pub fn content_type(&self) -> &str {
        self.header("content-type").split(';').next().unwrap_or_default().trim()
    }
}

/// The resource a request is about.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub resource: Arc<Resource>,
    pub version: usize,
    pub namespace: String,
    pub name: String,
    pub subresource: String,
}

impl Target {
    pub fn key(&self) -> Key {
        Key::new(&self.namespace, &self.name)
    }

    pub fn api_version(&self) -> String {
        self.resource.api_version(self.version)
    }

    pub fn not_found(&self) -> Refusal {
        Refusal::not_found(&self.resource.subject(), &self.name)
    }
}

/// `fieldValidation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldValidation {
    Ignore,
    Warn,
    Strict,
}

/// The query parameters of every write.
#[derive(Clone, Debug)]
pub(crate) struct WriteOptions {
    pub dry_run: bool,
    pub field_validation: FieldValidation,
    pub field_manager: String,
    pub force: bool,
    /// Set when the write is a server-side apply that was merged already.
    pub applied: Option<Writer>,
    /// Keys that stand twice in the body, as paths.
    pub duplicates: Vec<String>,
    /// Who writes; `None` for the server itself.
    pub user: Option<User>,
}

impl WriteOptions {
    pub fn parse(call: &Call) -> Reply<Self> {
        let kind = match call.method {
            Method::PUT => "UpdateOptions",
            Method::PATCH => "PatchOptions",
            _ => "CreateOptions",
        };
        let subject = crate::refusal::Subject { group: "meta.k8s.io", plural: "", kind };
        let mut dry_run = false;
        for value in call.query.all("dryRun") {
            match value {
                "" => {}
                "All" => dry_run = true,
                other => {
                    return Err(Refusal::invalid(
                        &subject,
                        "",
                        &[crate::refusal::Cause::unsupported(
                            "dryRun",
                            &Value::from(vec![other]),
                            &["All".into()],
                        )],
                    ));
                }
            }
        }
        let field_validation = match call.query.get("fieldValidation") {
            "" | "Warn" => FieldValidation::Warn,
            "Ignore" => FieldValidation::Ignore,
            "Strict" => FieldValidation::Strict,
            other => {
                return Err(Refusal::invalid(
                    &subject,
                    "",
                    &[crate::refusal::Cause::unsupported(
                        "fieldValidation",
                        &Value::from(other),
                        &["".into(), "Ignore".into(), "Strict".into(), "Warn".into()],
                    )],
                ));
            }
        };
        let whole = matches!(call.method, Method::POST | Method::PUT)
            && matches!(call.content_type(), "" | "application/json");
        let duplicates = if whole && field_validation != FieldValidation::Ignore {
            crate::duplicates::duplicate_fields(&call.body)
        } else {
            Vec::new()
        };
        let manager = match call.query.get("fieldManager") {
            "" => call.header("user-agent").split('/').next().unwrap_or_default().to_owned(),
            manager => manager.to_owned(),
        };
        Ok(Self {
            dry_run,
            field_validation,
            field_manager: manager,
            force: call.query.flag("force"),
            applied: None,
            duplicates,
            user: Some(call.user.clone()),
        })
    }
}

/// What a handler hands back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub code: u16,
    pub body: Body,
    pub content_type: &'static str,
    pub warnings: Vec<String>,
    pub headers: Vec<(&'static str, String)>,
}

impl Answer {
    pub fn json(code: u16, bytes: impl Into<Bytes>) -> Self {
        Self {
            code,
            body: Body::whole(bytes),
            content_type: "application/json",
            warnings: Vec::new(),
            headers: Vec::new(),
        }
    }

    pub fn value(code: u16, value: &Value) -> Self {
        Self::json(code, value.to_string())
    }

    pub fn text(code: u16, text: impl Into<Bytes>) -> Self {
        Self { content_type: "text/plain; charset=utf-8", ..Self::json(code, text) }
    }

    pub fn refused(refusal: &Refusal) -> Self {
        let mut answer = match refusal.plain_text() {
            Some(text) => Self::text(refusal.code(), text.to_owned()),
            None => Self::value(refusal.code(), &refusal.to_status()),
        };
        if let Some(seconds) = refusal.retry_after_seconds() {
            answer.headers.push(("retry-after", seconds.to_string()));
        }
        answer.warnings = refusal.warnings().to_vec();
        answer
    }

    pub fn with_warnings(mut self, warnings: Vec<String>) -> Self {
        self.warnings = warnings;
        self
    }
}
