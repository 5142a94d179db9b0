//! Header filters of rules and backends.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::resources::{HeaderModifier, HttpRouteFilter};

/// The header changes of a rule or backend, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderChanges {
    /// Changes to requests.
    pub request: Vec<HeaderModifier>,
    /// Changes to responses.
    pub response: Vec<HeaderModifier>,
}

impl HeaderChanges {
    /// Sorts filters into request and response changes.
    ///
    /// # Errors
    /// The type of the first filter that is not supported. `RequestMirror` is passed over: the request itself is
    /// answered the same without it.
    pub fn parse(filters: &[HttpRouteFilter]) -> Result<Self, String> {
        let mut changes = Self::default();
        for filter in filters {
            match filter.kind.as_str() {
                "RequestHeaderModifier" => changes.request.push(filter.request_header_modifier.clone()),
                "ResponseHeaderModifier" => changes.response.push(filter.response_header_modifier.clone()),
                "RequestMirror" => {}
                other => return Err(other.to_owned()),
            }
        }
        Ok(changes)
    }
}

/// Applies changes; a name or value that is not a valid header is left out.
pub fn apply_changes(changes: &[HeaderModifier], headers: &mut HeaderMap) {
    for change in changes {
        for header in &change.set {
            if let (Ok(name), Ok(value)) =
                (HeaderName::try_from(&header.name), HeaderValue::try_from(&header.value))
            {
                headers.insert(name, value);
            }
        }
        for header in &change.add {
            if let (Ok(name), Ok(value)) =
                (HeaderName::try_from(&header.name), HeaderValue::try_from(&header.value))
            {
                headers.append(name, value);
            }
        }
        for name in &change.remove {
            headers.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn headers_are_set_added_and_removed() {
        let filters: Vec<HttpRouteFilter> = serde_json::from_value(json!([
            {"type": "RequestHeaderModifier", "requestHeaderModifier": {
                "set": [{"name": "a", "value": "2"}], "add": [{"name": "b", "value": "2"}], "remove": ["C"]}}
        ]))
        .unwrap();
        let changes = HeaderChanges::parse(&filters).unwrap();
        let mut headers = HeaderMap::new();
        for name in ["a", "b", "c"] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static("1"));
        }
        apply_changes(&changes.request, &mut headers);
        assert_eq!(headers.get_all("a").iter().collect::<Vec<_>>(), ["2"]);
        assert_eq!(headers.get_all("b").iter().collect::<Vec<_>>(), ["1", "2"]);
        assert!(!headers.contains_key("c"));
    }

    #[test]
    fn an_unsupported_filter_is_named_and_a_mirror_is_passed_over() {
        let of = |kind: &str| vec![HttpRouteFilter { kind: kind.to_owned(), ..HttpRouteFilter::default() }];
        assert_eq!(HeaderChanges::parse(&of("URLRewrite")), Err("URLRewrite".to_owned()));
        assert_eq!(HeaderChanges::parse(&of("RequestMirror")), Ok(HeaderChanges::default()));
    }
}
