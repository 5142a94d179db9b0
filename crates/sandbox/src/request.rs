//! What a request asks for: its path, query and accepted representations, before anything is looked up.

use http::HeaderMap;
use http::header::ACCEPT;

use crate::refusal::{Refusal, Reply};

/// The parts of a resource path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ResourcePath {
    pub group: String,
    pub version: String,
    pub namespace: String,
    pub plural: String,
    pub name: String,
    pub subresource: String,
}

/// A path that names a resource, or any other path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RequestPath {
    Resource(ResourcePath),
    Other(Vec<String>),
}

impl RequestPath {
    pub fn parse(path: &str) -> Self {
        let parts: Vec<String> =
            path.split('/').filter(|part| !part.is_empty()).map(|part| percent_decode(part, false)).collect();
        let words: Vec<&str> = parts.iter().map(String::as_str).collect();
        let (group, version, rest) = match words.as_slice() {
            ["api", version, rest @ ..] if !rest.is_empty() => ("", *version, rest),
            ["apis", group, version, rest @ ..] if !rest.is_empty() => (*group, *version, rest),
            _ => return Self::Other(parts),
        };
        let mut found =
            ResourcePath { group: group.into(), version: version.into(), ..ResourcePath::default() };
        let rest = match rest {
            // `namespaces/x` is an object; `namespaces/x/status` and `/finalize` are its subresources.
            ["namespaces", _] | ["namespaces", _, "status" | "finalize"] => rest,
            ["namespaces", namespace, rest @ ..] => {
                found.namespace = (*namespace).to_owned();
                rest
            }
            rest => rest,
        };
        let Some((plural, rest)) = rest.split_first() else { return Self::Other(parts) };
        found.plural = (*plural).to_owned();
        if let Some((name, rest)) = rest.split_first() {
            found.name = (*name).to_owned();
            found.subresource = rest.join("/");
        }
        Self::Resource(found)
    }
}

/// The query, decoded; the first value of a repeated name counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub fn parse(query: Option<&str>) -> Self {
        let pairs = query
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                (percent_decode(name, true), percent_decode(value, true))
            })
            .collect();
        Self(pairs)
    }

    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str())
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key == name)
    }

    pub fn all(&self, name: &str) -> Vec<&str> {
        self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
    }

    /// True for `1`, `true` and a name without a value.
    pub fn flag(&self, name: &str) -> bool {
        self.has(name) && !matches!(self.get(name), "0" | "false" | "False" | "FALSE" | "f" | "F")
    }

    pub fn number(&self, name: &str) -> Reply<Option<i64>> {
        match self.get(name) {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| {
                Refusal::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax"))
            }),
        }
    }
}

/// How an answer is to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    Object,
    /// `meta/v1` Table rows.
    Table,
    /// Only type and metadata.
    Metadata,
}

/// Picks the first representation of the `Accept` header that is served.
pub(crate) fn parse_view(headers: &HeaderMap) -> Reply<View> {
    let accept = accept_header(headers);
    if accept.trim().is_empty() {
        return Ok(View::Object);
    }
    for entry in accept.split(',') {
        let mut parts = entry.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        if !matches!(media, "application/json" | "*/*" | "application/*") {
            continue;
        }
        let params: Vec<&str> = parts.collect();
        let wanted = |text: &str| params.contains(&text);
        let Some(shape) = params.iter().find_map(|param| param.strip_prefix("as=")) else {
            return Ok(View::Object);
        };
        if !wanted("g=meta.k8s.io") || !(wanted("v=v1") || wanted("v=v1beta1")) {
            continue;
        }
        match shape {
            "Table" => return Ok(View::Table),
            "PartialObjectMetadata" | "PartialObjectMetadataList" => return Ok(View::Metadata),
            _ => {}
        }
    }
    Err(Refusal::not_acceptable(&["application/json", "application/yaml"]))
}

/// All `Accept` headers as one list.
pub(crate) fn accept_header(headers: &HeaderMap) -> String {
    let values: Vec<&str> = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    values.join(",")
}

/// Decodes `%xx`, and `+` as a space where `plus` says so. What is no valid escape stays as it is.
fn percent_decode(text: &str, plus: bool) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%')
            .then(|| bytes.get(at + 1..at + 3))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match escaped {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(if plus && bytes[at] == b'+' { b' ' } else { bytes[at] });
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_apart_as_the_api_server_does() {
        let table = [
            ("/api/v1/pods", ("", "v1", "", "pods", "", "")),
            ("/api/v1/namespaces", ("", "v1", "", "namespaces", "", "")),
            ("/api/v1/namespaces/a", ("", "v1", "", "namespaces", "a", "")),
            ("/api/v1/namespaces/a/finalize", ("", "v1", "", "namespaces", "a", "finalize")),
            ("/api/v1/namespaces/a/pods/b/log", ("", "v1", "a", "pods", "b", "log")),
            (
                "/apis/apps/v1/namespaces/a/deployments/b/scale",
                ("apps", "v1", "a", "deployments", "b", "scale"),
            ),
        ];
        for (path, expected) in table {
            let RequestPath::Resource(found) = RequestPath::parse(path) else { panic!("{path}") };
            let found = (
                found.group.as_str(),
                found.version.as_str(),
                found.namespace.as_str(),
                found.plural.as_str(),
                found.name.as_str(),
                found.subresource.as_str(),
            );
            assert_eq!(found, expected, "{path}");
        }
        assert_eq!(
            RequestPath::parse("/apis/apps/v1"),
            RequestPath::Other(vec!["apis".into(), "apps".into(), "v1".into()])
        );
    }

    #[test]
    fn queries_are_decoded() {
        let query = Query::parse(Some("labelSelector=a%3Db%2Cc+in+%28d%29&watch&limit=5"));
        assert_eq!(query.get("labelSelector"), "a=b,c in (d)");
        assert!(query.flag("watch"));
        assert_eq!(query.number("limit").unwrap(), Some(5));
    }
}
