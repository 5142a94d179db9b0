//! What metric providers answer.

use glidepath_api::Metric;
use glidepath_core::snapshot::Settings;
use glidepath_metrics::{HttpResponse, ParsedAnswer, parse_answer, render_request};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::shape;
use crate::target::{SEPARATOR, Target, parts};

fn ask(provider: Value, body: &str) -> u64 {
    let metric = json!({ "name": "m", "provider": provider });
    let Ok(metric) = serde_json::from_value::<Metric>(metric) else { return 0 };
    let request = render_request(&metric, &Settings::default(), Timestamp::UNIX_EPOCH);
    let answers = [200, 204, 400, 503].map(|status| {
        let answer = parse_answer(&metric, &HttpResponse { status, body: body.as_bytes().to_vec() });
        shape::of_result(&answer, |ParsedAnswer { reading, metadata }| {
            shape::of_text(&format!("{:?} {}", reading.result, metadata.len()))
        })
    });
    shape::of_all(answers.into_iter().chain([shape::of_result(&request, |_| 1)]))
}

/// `address SEPARATOR body`.
pub(super) fn prometheus() -> Target {
    const WORDS: &[&str] = &[
        "\"status\":\"success\"",
        "\"resultType\":\"matrix\"",
        "vector",
        "scalar",
        "string",
        "\"NaN\"",
        "\"+Inf\"",
        "[1,\"2\"]",
        "\"warnings\":[\"w\"]",
        "\"errorType\":\"bad_data\"",
        "http://",
        "https://[::1]:9/",
        "?a=b",
    ];
    let body = |kind: &str, result: Value| {
        let answer = json!({"status": "success", "data": {"resultType": kind, "result": result}});
        format!("http://prometheus:9090{SEPARATOR}{answer}")
    };
    let seeds = [
        body("vector", json!([{"metric": {"a": "b"}, "value": [1.5, "0.01"]}])),
        body("matrix", json!([{"metric": {}, "values": [[1, "1"], [2, "NaN"]]}])),
        body("scalar", json!([1, "+Inf"])),
        body("string", json!([1, "x"])),
        format!("{SEPARATOR}{}", json!({"status": "error", "errorType": "bad_data", "error": "e"})),
    ];
    Target::text("prometheus", WORDS, seeds, |input| {
        let (address, body) = parts(input);
        ask(json!({"prometheus": {"address": address, "query": address, "timeout": 5}}), body)
    })
}

/// `path SEPARATOR body`; the path also serves as address and header.
pub(super) fn web() -> Target {
    const WORDS: &[&str] =
        &["{$.a}", "{$.a[0].b}", "{", "}", "null", "true", "1e999", "[[]]", "\"5\"", "https://x/"];
    let seeds = [
        format!("{{$.data.ok}}{SEPARATOR}{}", json!({"data": {"ok": true, "successPercent": 0.95}})),
        format!("{{$.status}}{SEPARATOR}{}", json!({"status": "Healthy"})),
        format!("{SEPARATOR}plain text"),
    ];
    Target::text("web", WORDS, seeds, |input| {
        let (path, body) = parts(input);
        let web = json!({
            "url": format!("http://x/{path}"), "jsonPath": path, "method": "POST", "body": body,
            "headers": [{"key": path, "value": body}],
        });
        ask(json!({ "web": web }), body)
    })
}
