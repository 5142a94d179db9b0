//! Any web address that answers with JSON or plain text.

use std::collections::BTreeMap;
use std::time::Duration;

use glidepath_api::WebMetric;
use glidepath_core::snapshot::{Reading, ReadingValue};
use glidepath_gocompat::json;
use serde_json::Value;

use crate::exchange::{Exchange, HttpRequest, HttpResponse, ParsedAnswer};
use crate::{language, oauth2};

/// Seconds a request may take unless the metric says otherwise.
const DEFAULT_TIMEOUT_SECONDS: u64 = 10;

/// The longest timeout, in seconds: a day. Larger values are as good as none.
const LONGEST_TIMEOUT_SECONDS: u64 = 86_400;

/// The path when none is given: the whole document.
const WHOLE_DOCUMENT: &str = "{$}";

/// What to send.
pub(crate) fn render(config: &WebMetric) -> Result<Exchange, String> {
    language::check_path(path(config))?;
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
    // The host follows from the address and cannot be overridden.
    for header in config.headers.iter().filter(|header| !header.key.eq_ignore_ascii_case("host")) {
        request.set_header(&header.key, &header.value);
    }
    if has_json {
        request.set_header("Content-Type", "application/json");
    }
    Ok(Exchange { grant, request, fallback: None })
}

fn path(config: &WebMetric) -> &str {
    if config.json_path.is_empty() { WHOLE_DOCUMENT } else { &config.json_path }
}

/// What came back. A body that is not JSON as a whole is a text, whatever the path.
pub(crate) fn parse(config: &WebMetric, response: &HttpResponse) -> Result<ParsedAnswer, String> {
    if !(200..300).contains(&response.status) {
        return Err(format!("received non 2xx response code: {}", response.status));
    }
    let body = String::from_utf8_lossy(&response.body);
    let Ok(document) = serde_json::from_str::<Value>(&body) else {
        let text = body.into_owned();
        return Ok(parsed(Reading { value: text.clone(), result: ReadingValue::Text(text) }));
    };
    let hit = language::first_hit(path(config), &as_floats(document))
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

/// Every number as the float it is to the reference, whose digits beyond a float's are lost.
fn as_floats(document: Value) -> Value {
    match document {
        Value::Number(number) => number.as_f64().map_or(Value::Null, Value::from),
        Value::Array(items) => items.into_iter().map(as_floats).collect(),
        Value::Object(fields) => fields.into_iter().map(|(key, value)| (key, as_floats(value))).collect(),
        other => other,
    }
}
