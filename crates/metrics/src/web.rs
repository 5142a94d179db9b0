//! Any web address that answers with JSON or plain text (A-370 to A-379).

use std::collections::BTreeMap;
use std::time::Duration;

use glidepath_api::WebMetric;
use glidepath_core::snapshot::{Reading, ReadingValue};
use glidepath_gocompat::json;
use glidepath_lang::jsonpath::JsonPath;
use serde_json::Value;

use crate::exchange::{Exchange, HttpRequest, HttpResponse, ParsedAnswer};
use crate::oauth2;

/// Seconds a request may take unless the metric says otherwise (A-373).
const DEFAULT_TIMEOUT_SECONDS: u64 = 10;

/// The longest timeout, in seconds: a day. Larger values are as good as none.
const LONGEST_TIMEOUT_SECONDS: u64 = 86_400;

/// The path when none is given: the whole document.
const WHOLE_DOCUMENT: &str = "{$}";

/// What to send.
pub(crate) fn render(config: &WebMetric) -> Result<Exchange, String> {
    path(config)?;
    let grant = oauth2::grant(&config.authentication, Vec::new())?;
    let method = if config.method.is_empty() { "GET" } else { config.method.as_str() };
    let has_json = !config.json_body.is_null();
    if !config.body.is_empty() && has_json {
        return Err("use either Body or JSONBody; both cannot exists for WebMetric payload".to_owned());
    }
    if (!config.body.is_empty() || has_json) && method == "GET" {
        return Err("Body/JSONBody can only be used with POST or PUT WebMetric Method types".to_owned());
    }
    let seconds = u64::try_from(config.timeout_seconds).unwrap_or(0).min(LONGEST_TIMEOUT_SECONDS);
    let mut request = HttpRequest {
        method: method.to_owned(),
        url: config.url.clone(),
        headers: Vec::new(),
        body: if has_json { json::to_string(&config.json_body) } else { config.body.clone() }.into_bytes(),
        timeout: Duration::from_secs(if seconds == 0 { DEFAULT_TIMEOUT_SECONDS } else { seconds }),
        insecure: config.insecure,
    };
    // The host follows from the address and cannot be overridden (A-372).
    for header in config.headers.iter().filter(|header| !header.key.eq_ignore_ascii_case("host")) {
        request.set_header(&header.key, &header.value);
    }
    if has_json {
        request.set_header("Content-Type", "application/json");
    }
    Ok(Exchange { grant, request, fallback: None })
}

fn path(config: &WebMetric) -> Result<JsonPath, String> {
    let text = if config.json_path.is_empty() { WHOLE_DOCUMENT } else { &config.json_path };
    JsonPath::parse(text).map_err(|error| error.to_string())
}

/// What came back. A body that is not JSON as a whole is a text, whatever the path (A-375).
pub(crate) fn parse(config: &WebMetric, response: &HttpResponse) -> Result<ParsedAnswer, String> {
    if !(200..300).contains(&response.status) {
        return Err(format!("received non 2xx response code: {}", response.status));
    }
    let body = String::from_utf8_lossy(&response.body);
    let Ok(document) = serde_json::from_str::<Value>(&body) else {
        let text = body.into_owned();
        return Ok(parsed(Reading { value: text.clone(), result: ReadingValue::Text(text) }));
    };
    let hit = path(config)?
        .find_first(&as_floats(document))
        .map_err(|error| format!("Could not find JSONPath in body: {error}"))?
        .ok_or("result of web metric produced no value")?;
    let value = json::to_string(&hit);
    // `null` is no data, also where the reference would have crashed on it (B-02, A-378).
    let result = if hit.is_null() { ReadingValue::Nil } else { ReadingValue::Json(hit) };
    Ok(parsed(Reading { value, result }))
}

fn parsed(reading: Reading) -> ParsedAnswer {
    ParsedAnswer { reading, metadata: BTreeMap::new() }
}

/// Every number as the float it is to the reference, whose digits beyond a float's are lost (A-292).
fn as_floats(document: Value) -> Value {
    match document {
        Value::Number(number) => number.as_f64().map_or(Value::Null, Value::from),
        Value::Array(items) => items.into_iter().map(as_floats).collect(),
        Value::Object(fields) => fields.into_iter().map(|(key, value)| (key, as_floats(value))).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use glidepath_api::WebMetric;
    use glidepath_core::snapshot::ReadingValue;
    use serde_json::{Value, json};

    use super::{parse, render};
    use crate::exchange::HttpResponse;

    fn web(config: Value) -> WebMetric {
        serde_json::from_value(config).unwrap()
    }

    #[test]
    fn requests_follow_the_configuration_a370_to_a373() {
        let post = web(
            json!({"url": "http://w/x?a=b", "method": "POST", "jsonBody": {"b": [1, "<"], "a": 1},
            "timeoutSeconds": 3, "insecure": true,
            "headers": [{"key": "content-type", "value": "text/x"}, {"key": "Host", "value": "h"}, {"key": "X", "value": "1"}]}),
        );
        let request = render(&post).unwrap().request;
        assert_eq!((request.method.as_str(), request.url.as_str()), ("POST", "http://w/x?a=b"));
        assert_eq!(String::from_utf8_lossy(&request.body), r#"{"a":1,"b":[1,"\u003c"]}"#);
        assert_eq!(
            request.headers,
            [("X".to_owned(), "1".to_owned()), ("Content-Type".to_owned(), "application/json".to_owned())]
        );
        assert_eq!((request.timeout.as_secs(), request.insecure), (3, true));
        let get = render(&web(json!({"url": "http://w", "timeoutSeconds": -5}))).unwrap();
        assert_eq!(
            (get.request.method.as_str(), get.request.timeout.as_secs(), get.fallback),
            ("GET", 10, None)
        );
    }

    #[test]
    fn what_cannot_be_asked_is_an_error_a371_a376_a377() {
        for (config, want) in [
            (
                json!({"method": "POST", "body": "x", "jsonBody": {}}),
                "use either Body or JSONBody; both cannot exists for WebMetric payload",
            ),
            (
                json!({"jsonBody": {}}),
                "Body/JSONBody can only be used with POST or PUT WebMetric Method types",
            ),
            (json!({"jsonPath": "{$.a"}), "unclosed action"),
            (
                json!({"authentication": {"oauth2": {"tokenUrl": "t"}}}),
                "missing mandatory parameter in metric for OAuth2 setup",
            ),
        ] {
            let error = render(&web(config)).unwrap_err();
            assert!(error.contains(want), "{error}");
        }
    }

    fn read(path: &str, body: &str) -> Result<(String, ReadingValue), String> {
        let response = HttpResponse { status: 200, body: body.as_bytes().to_vec() };
        parse(&web(json!({"jsonPath": path})), &response)
            .map(|answer| (answer.reading.value, answer.reading.result))
    }

    #[test]
    fn bodies_are_read_by_path_a292_a293_a374_to_a378() {
        let json_value = |value: Value| ReadingValue::Json(value);
        let text = |text: &str| ReadingValue::Text(text.to_owned());
        for (row, path, body, value, result) in [
            ("A-292", "{$.a}", r#"{"a": 5}"#, "5", json_value(json!(5.0))),
            (
                "A-292",
                "",
                r#"{"b": 1.50, "a": "<x>"}"#,
                r#"{"a":"\u003cx\u003e","b":1.5}"#,
                json_value(json!({"a": "<x>", "b": 1.5})),
            ),
            ("A-292", "{$.a}", r#"{"a": "text"}"#, "\"text\"", json_value(json!("text"))),
            (
                "A-292",
                "{$.a}",
                r#"{"a": 12345678901234567890}"#,
                "12345678901234567000",
                json_value(json!(12_345_678_901_234_567_000.0)),
            ),
            ("A-376", "{$.a[*].v}", r#"{"a": [{"v": 1}, {"v": 2}]}"#, "1", json_value(json!(1.0))),
            (
                "A-377",
                r#"{$.a[?(@.n=="b")].v}"#,
                r#"{"a": [{"n": "a", "v": 1}, {"n": "b", "v": 2}]}"#,
                "2",
                json_value(json!(2.0)),
            ),
            ("A-378, B-02", "", "null", "null", ReadingValue::Nil),
            ("A-378", "{$.a}", r#"{"a": null}"#, "null", ReadingValue::Nil),
            ("A-293", "{$.a}", "OK\n", "OK\n", text("OK\n")),
            ("A-375", "", "", "", text("")),
            ("A-375", "", "{} trailing", "{} trailing", text("{} trailing")),
            ("A-375", "", "NaN", "NaN", text("NaN")),
        ] {
            assert_eq!(read(path, body), Ok((value.to_owned(), result)), "{row}: {path} {body}");
        }
        for (row, path, body, want) in [
            ("A-376", "{$.b}", r#"{"a": 1}"#, "Could not find JSONPath in body: b is not found"),
            (
                "A-376",
                r#"{$.a[?(@.n=="x")]}"#,
                r#"{"a": [{"n": "a"}]}"#,
                "result of web metric produced no value",
            ),
            (
                "A-377",
                "{$.a[3]}",
                r#"{"a": [1]}"#,
                "Could not find JSONPath in body: array index out of bounds",
            ),
        ] {
            let error = read(path, body).unwrap_err();
            assert!(error.starts_with(want), "{row}: {error}");
        }
    }

    #[test]
    fn a_status_outside_200_to_299_is_an_error_a374() {
        for status in [199, 301, 404, 500] {
            let response = HttpResponse { status, body: b"1".to_vec() };
            let error = parse(&web(json!({})), &response).unwrap_err();
            assert_eq!(error, format!("received non 2xx response code: {status}"));
        }
    }
}
