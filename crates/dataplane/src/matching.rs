//! Does a request match, and which of several matches wins: hosts, paths, headers, query parameters, methods.

use http::{HeaderMap, HeaderName, Method};
use regex::Regex;

use crate::resources::{HttpRouteMatch, NamedMatch};

/// What of a request routing looks at.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// Port of the listener it came in on; `None` when one address stands for every listener.
    pub port: Option<u16>,
    /// Host without port, as sent.
    pub host: &'a str,
    /// Method.
    pub method: &'a Method,
    /// Path, still percent-encoded.
    pub path: &'a str,
    /// Query string without `?`.
    pub query: &'a str,
    /// Headers.
    pub headers: &'a HeaderMap,
}

/// One alternative of a rule, ready to be asked.
#[derive(Clone, Debug)]
pub struct Match {
    path: Path,
    headers: Vec<(HeaderName, Text)>,
    query: Vec<(String, Text)>,
    method: Option<Method>,
}

#[derive(Clone, Debug)]
enum Path {
    Exact(String),
    Regex(Regex, usize),
    Prefix(String),
}

#[derive(Clone, Debug)]
enum Text {
    Exact(String),
    Regex(Regex),
}

/// How specific a match is; the greater wins. Gateway API: exact path, then longest prefix, then method, then the
/// number of headers, then of query parameters. An expression stands between exact and prefix, its own choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Specificity {
    path_kind: u8,
    path_length: usize,
    has_method: bool,
    headers: usize,
    query: usize,
}

impl Match {
    /// Reads one alternative.
    ///
    /// # Errors
    /// Names the part that is not a valid expression, method or header name.
    pub fn parse(spec: &HttpRouteMatch) -> Result<Self, String> {
        let path = spec.path.clone().unwrap_or_default();
        let value = path.value.unwrap_or_else(|| "/".to_owned());
        let path = match path.kind.as_deref().unwrap_or("PathPrefix") {
            "Exact" => Path::Exact(value),
            "PathPrefix" => Path::Prefix(value.trim_end_matches('/').to_owned()),
            "RegularExpression" => Path::Regex(whole(&value)?, value.len()),
            other => return Err(format!("unknown path match type {other:?}")),
        };
        let mut headers: Vec<(HeaderName, Text)> = Vec::new();
        for header in &spec.headers {
            let name = HeaderName::try_from(&header.name)
                .map_err(|_| format!("invalid header name {:?}", header.name))?;
            // The API says that only the first entry of a name counts.
            if !headers.iter().any(|(seen, _)| *seen == name) {
                headers.push((name, Text::parse(header)?));
            }
        }
        let mut query: Vec<(String, Text)> = Vec::new();
        for param in &spec.query_params {
            if !query.iter().any(|(seen, _)| *seen == param.name) {
                query.push((param.name.clone(), Text::parse(param)?));
            }
        }
        let method = match &spec.method {
            Some(name) => {
                Some(Method::from_bytes(name.as_bytes()).map_err(|_| format!("invalid method {name:?}"))?)
            }
            None => None,
        };
        Ok(Self { path, headers, query, method })
    }

    /// True if everything asked for is there.
    #[must_use]
    pub fn matches(&self, head: &RequestHead<'_>) -> bool {
        self.method.as_ref().is_none_or(|method| method == head.method)
            && self.path.matches(head.path)
            && self.headers.iter().all(|(name, text)| {
                head.headers.get(name).and_then(|value| value.to_str().ok()).is_some_and(|v| text.matches(v))
            })
            && self
                .query
                .iter()
                .all(|(name, text)| query_value(head.query, name).is_some_and(|v| text.matches(&v)))
    }

    /// How specific the match is.
    #[must_use]
    pub fn specificity(&self) -> Specificity {
        let (path_kind, path_length) = match &self.path {
            Path::Exact(path) => (2, path.len()),
            Path::Regex(_, length) => (1, *length),
            Path::Prefix(prefix) => (0, prefix.len()),
        };
        Specificity {
            path_kind,
            path_length,
            has_method: self.method.is_some(),
            headers: self.headers.len(),
            query: self.query.len(),
        }
    }
}

impl Path {
    fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(exact) => path == exact,
            Self::Regex(regex, _) => regex.is_match(path),
            // Element by element: `/shop` takes `/shop` and `/shop/cart` but not `/shopping`.
            Self::Prefix(prefix) => path
                .strip_prefix(prefix.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        }
    }
}

impl Text {
    fn parse(spec: &NamedMatch) -> Result<Self, String> {
        match spec.kind.as_deref().unwrap_or("Exact") {
            "Exact" => Ok(Self::Exact(spec.value.clone())),
            "RegularExpression" => whole(&spec.value).map(Self::Regex),
            other => Err(format!("unknown match type {other:?} for {:?}", spec.name)),
        }
    }

    fn matches(&self, value: &str) -> bool {
        match self {
            Self::Exact(exact) => value == exact,
            Self::Regex(regex) => regex.is_match(value),
        }
    }
}

/// An expression that must match the whole value.
fn whole(expression: &str) -> Result<Regex, String> {
    Regex::new(&format!("^(?:{expression})$"))
        .map_err(|_| format!("invalid regular expression {expression:?}"))
}

/// First value of a query parameter, decoded.
fn query_value(query: &str, name: &str) -> Option<String> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(key) == name).then(|| decode(value))
    })
}

fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).and_then(|pair| std::str::from_utf8(pair).ok());
        match (bytes[at], hex.and_then(|pair| u8::from_str_radix(pair, 16).ok())) {
            (b'%', Some(byte)) => {
                decoded.push(byte);
                at += 3;
            }
            (b'+', _) => {
                decoded.push(b' ');
                at += 1;
            }
            (byte, _) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// A hostname pattern: everything, an exact name, or `*.` and a suffix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host(Option<String>);

impl Host {
    /// Any host.
    pub const ANY: Self = Self(None);

    /// Reads a pattern; an empty one means any host.
    #[must_use]
    pub fn parse(pattern: &str) -> Self {
        if pattern.is_empty() { Self::ANY } else { Self(Some(pattern.to_ascii_lowercase())) }
    }

    /// True if the request's host fits.
    #[must_use]
    pub fn matches(&self, host: &str) -> bool {
        let Some(pattern) = &self.0 else { return true };
        let host = host.to_ascii_lowercase();
        match pattern.strip_prefix('*') {
            Some(suffix) => host.len() > suffix.len() && host.ends_with(suffix),
            None => host == *pattern,
        }
    }

    /// What both patterns take, if anything: the narrower of the two.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Option<Self> {
        match (&self.0, &other.0) {
            (None, _) => Some(other.clone()),
            (_, None) => Some(self.clone()),
            (Some(mine), Some(theirs)) => {
                if mine == theirs || other.covers(mine) {
                    Some(self.clone())
                } else if self.covers(theirs) {
                    Some(other.clone())
                } else {
                    None
                }
            }
        }
    }

    fn covers(&self, pattern: &str) -> bool {
        self.0
            .as_deref()
            .and_then(|mine| mine.strip_prefix('*'))
            .is_some_and(|suffix| pattern.ends_with(suffix) && pattern.len() > suffix.len())
    }

    /// Exact before wildcard, longer before shorter, any last.
    #[must_use]
    pub fn specificity(&self) -> (bool, usize) {
        match &self.0 {
            None => (false, 0),
            Some(pattern) => (!pattern.starts_with('*'), pattern.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parsed(spec: Value) -> Match {
        Match::parse(&serde_json::from_value(spec).unwrap()).unwrap()
    }

    fn asks(spec: Value, method: &str, target: &str, headers: &[(&str, &str)]) -> bool {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (HeaderName::try_from(*name).unwrap(), value.parse().unwrap()))
            .collect();
        parsed(spec).matches(&RequestHead {
            port: None,
            host: "shop",
            method: &method,
            path,
            query,
            headers: &headers,
        })
    }

    #[test]
    fn paths_match_exactly_by_element_or_by_expression() {
        let prefix = |value: &str| json!({"path": {"type": "PathPrefix", "value": value}});
        let exact = |value: &str| json!({"path": {"type": "Exact", "value": value}});
        let regex = |value: &str| json!({"path": {"type": "RegularExpression", "value": value}});
        let cases = [
            (json!({}), "/anything", true),
            (prefix("/"), "/anything", true),
            (prefix("/shop"), "/shop", true),
            (prefix("/shop"), "/shop/cart", true),
            (prefix("/shop/"), "/shop", true),
            (prefix("/shop"), "/shopping", false),
            (exact("/shop"), "/shop", true),
            (exact("/shop"), "/shop/", false),
            (regex("/v[0-9]+/.*"), "/v12/x", true),
            (regex("/v[0-9]+"), "/v12/x", false),
        ];
        for (spec, path, expected) in cases {
            assert_eq!(asks(spec.clone(), "GET", path, &[]), expected, "{spec} {path}");
        }
    }

    #[test]
    fn headers_query_parameters_and_methods_must_all_match() {
        let header = json!({"headers": [{"name": "X-Canary", "value": "yes"}]});
        let header_regex =
            json!({"headers": [{"type": "RegularExpression", "name": "agent", "value": "Mozilla.*"}]});
        let query = json!({"queryParams": [{"name": "v", "value": "a b"}]});
        let method = json!({"method": "POST"});
        let cases: [(Value, &str, &str, &[(&str, &str)], bool); 9] = [
            (header.clone(), "GET", "/", &[("x-canary", "yes")], true),
            (header.clone(), "GET", "/", &[("x-canary", "no")], false),
            (header, "GET", "/", &[], false),
            (header_regex.clone(), "GET", "/", &[("agent", "Mozilla/5.0")], true),
            (header_regex, "GET", "/", &[("agent", "curl Mozilla")], false),
            (query.clone(), "GET", "/?x=1&v=a%20b", &[], true),
            (query, "GET", "/?v=a", &[], false),
            (method.clone(), "POST", "/", &[], true),
            (method, "GET", "/", &[], false),
        ];
        for (spec, verb, target, headers, expected) in cases {
            assert_eq!(asks(spec.clone(), verb, target, headers), expected, "{spec} {verb} {target}");
        }
    }

    #[test]
    fn more_specific_matches_win_in_the_order_of_the_gateway_api() {
        let ranked = [
            json!({"path": {"type": "Exact", "value": "/a"}}),
            json!({"path": {"type": "RegularExpression", "value": "/a.*"}}),
            json!({"path": {"value": "/a/b/c"}}),
            json!({"path": {"value": "/a/b"}, "method": "GET", "headers": [{"name": "h", "value": "1"}]}),
            json!({"path": {"value": "/a/b"}, "method": "GET"}),
            json!({"path": {"value": "/a/b"}, "headers": [{"name": "h", "value": "1"}, {"name": "i", "value": "1"}]}),
            json!({"path": {"value": "/a/b"}, "headers": [{"name": "h", "value": "1"}]}),
            json!({"path": {"value": "/a/b"}, "queryParams": [{"name": "q", "value": "1"}]}),
            json!({"path": {"value": "/a/b"}}),
        ];
        for pair in ranked.windows(2) {
            let (first, second) = (parsed(pair[0].clone()), parsed(pair[1].clone()));
            assert!(first.specificity() > second.specificity(), "{} before {}", pair[0], pair[1]);
        }
    }

    #[test]
    fn hosts_intersect_to_the_narrower_pattern() {
        let cases = [
            ("", "shop.example", Some("shop.example")),
            ("*.example", "shop.example", Some("shop.example")),
            ("shop.example", "*.example", Some("shop.example")),
            ("*.example", "*.shop.example", Some("*.shop.example")),
            ("shop.example", "bank.example", None),
            ("*.example", "example", None),
        ];
        for (listener, route, expected) in cases {
            let meet = Host::parse(listener).intersect(&Host::parse(route));
            assert_eq!(meet, expected.map(Host::parse), "{listener} and {route}");
        }
        assert!(Host::parse("*.example").matches("A.Example"));
        assert!(!Host::parse("*.example").matches("example"));
    }

    #[test]
    fn an_invalid_expression_is_named() {
        let spec =
            serde_json::from_value(json!({"path": {"type": "RegularExpression", "value": "("}})).unwrap();
        assert_eq!(Match::parse(&spec).unwrap_err(), "invalid regular expression \"(\"");
    }
}
