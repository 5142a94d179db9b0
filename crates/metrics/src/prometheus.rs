//! Prometheus: instant and range queries over its HTTP API.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use glidepath_api::{PrometheusMetric, Sigv4Config};
use glidepath_core::snapshot::{Reading, ReadingValue, Settings};
use glidepath_gocompat::{duration, float};
use glidepath_lang::expr;
use jiff::Timestamp;
use reqwest::Url;
use serde_json::Value;

use crate::exchange::{Exchange, HttpRequest, HttpResponse, ParsedAnswer};
use crate::oauth2;

/// Seconds a query may take unless the metric says otherwise.
const DEFAULT_TIMEOUT_SECONDS: i64 = 30;

/// The longest timeout, in seconds: a day. Larger values are as good as none.
const LONGEST_TIMEOUT_SECONDS: i64 = 86_400;

/// What to send.
pub(crate) fn render(
    config: &PrometheusMetric,
    settings: &Settings,
    now: Timestamp,
) -> Result<Exchange, String> {
    let address = address(config, settings)?;
    let basic = basic_auth(config)?;
    let headers = config.headers.iter().map(|header| (header.key.clone(), header.value.clone())).collect();
    let grant = oauth2::grant(&config.authentication, headers)?;
    let signs = config.authentication.sigv4 != Sigv4Config::default();
    if signs && address.as_str().contains("aps-workspaces") {
        return Err("prometheus authentication.sigv4 is not supported by this build yet".to_owned());
    }
    let timeout = config.timeout.unwrap_or(DEFAULT_TIMEOUT_SECONDS);
    let timeout = u64::try_from(timeout.min(LONGEST_TIMEOUT_SECONDS))
        .map_err(|_| "prometheus timeout should not be negative".to_owned())?;
    let (path, form) = question(config, now)?;
    let mut url = address;
    let prefix = url.path().trim_end_matches('/').to_owned();
    url.set_path(&format!("{prefix}/api/v1/{path}"));
    let mut request = HttpRequest {
        method: "POST".to_owned(),
        url: url.to_string(),
        headers: vec![("Content-Type".to_owned(), "application/x-www-form-urlencoded".to_owned())],
        body: form.clone().into_bytes(),
        timeout: Duration::from_secs(timeout),
        insecure: config.insecure,
    };
    // A token wins over a password, and a header that was written out wins over both.
    if let Some(basic) = basic.filter(|_| grant.is_none()) {
        request.set_header("Authorization", &basic);
    }
    for header in &config.headers {
        request.set_header(&header.key, &header.value);
    }
    url.set_query(Some(&form));
    let mut fallback =
        HttpRequest { method: "GET".to_owned(), url: url.to_string(), body: Vec::new(), ..request.clone() };
    fallback.headers.retain(|(name, _)| name != "Content-Type");
    Ok(Exchange { grant, request, fallback: Some(fallback) })
}

fn address(config: &PrometheusMetric, settings: &Settings) -> Result<Url, String> {
    let text = if config.address.is_empty() { &settings.prometheus_address } else { &config.address };
    if text.is_empty() {
        return Err("prometheus address is not configured".to_owned());
    }
    let url = Url::parse(text).ok().filter(|url| url.has_host() && !url.cannot_be_a_base());
    url.ok_or_else(|| "prometheus address is not is url format".to_owned())
}

fn basic_auth(config: &PrometheusMetric) -> Result<Option<String>, String> {
    let basic = &config.authentication.basic_auth;
    let missing =
        |what: &str| Err(format!("missing mandatory parameter in metric for basic auth setup: {what}"));
    match (basic.username.as_str(), basic.password.as_str()) {
        ("", "") => Ok(None),
        ("", _) => missing("username"),
        (_, "") => missing("password"),
        (username, password) => {
            Ok(Some(format!("Basic {}", BASE64_STANDARD.encode(format!("{username}:{password}")))))
        }
    }
}

/// The end point and its form, keys sorted as Go sorts them.
fn question(config: &PrometheusMetric, now: Timestamp) -> Result<(&'static str, String), String> {
    let Some(range) = &config.range_query else {
        return Ok(("query", form(&[("query", &config.query), ("time", &unix_seconds(now))])));
    };
    let moment = |name: &str, expression: &str| {
        expr::evaluate_time(expression, now)
            .map(|time| unix_seconds(time.timestamp()))
            .map_err(|error| format!("failed to parse rangeQuery.{name} as time: {}", error.message))
    };
    let start = moment("start", &range.start)?;
    let end = moment("end", &range.end)?;
    let step = duration::parse(&range.step)
        .map_err(|error| format!("failed to parse rangeQuery.step as duration: {error}"))?;
    #[expect(clippy::cast_precision_loss, reason = "Go's Duration.Seconds is a float too")]
    let step = float::format_plain(step as f64 / 1e9);
    Ok(("query_range", form(&[("end", &end), ("query", &config.query), ("start", &start), ("step", &step)])))
}

/// Seconds since 1970 with their fraction, as the shortest decimal.
fn unix_seconds(moment: Timestamp) -> String {
    #[expect(clippy::cast_precision_loss, reason = "the reference computes the same float")]
    let seconds = moment.as_second() as f64;
    float::format_plain(seconds + f64::from(moment.subsec_nanosecond()) / 1e9)
}

pub(crate) fn form(pairs: &[(&str, &str)]) -> String {
    let mut url = Url::parse("http://form/").ok();
    if let Some(url) = &mut url {
        url.query_pairs_mut().extend_pairs(pairs);
    }
    url.and_then(|url| url.query().map(str::to_owned)).unwrap_or_default()
}

/// What came back.
pub(crate) fn parse(response: &HttpResponse) -> Result<ParsedAnswer, String> {
    let code = response.status;
    let speaks_api = code == 400 || code == 422;
    if !(200..300).contains(&code) && !speaks_api {
        return Err(match code {
            400..500 => format!("client_error: client error: {code}"),
            500..600 => format!("server_error: server error: {code}"),
            _ => format!("bad_response: bad response code {code}"),
        });
    }
    let envelope: Value =
        serde_json::from_slice(&response.body).map_err(|error| format!("bad_response: {error}"))?;
    let text = |field: &str| envelope[field].as_str().unwrap_or_default();
    match text("status") {
        "error" => return Err(format!("{}: {}", text("errorType"), text("error"))),
        "success" if !speaks_api => {}
        _ => return Err("bad_response: inconsistent body for response code".to_owned()),
    }
    let data = &envelope["data"];
    let reading = match data["resultType"].as_str().unwrap_or_default() {
        "scalar" => scalar(&data["result"])?,
        "vector" => list(series(&data["result"])?.iter().map(instant).collect::<Result<Vec<_>, _>>()?),
        "matrix" => {
            let samples = series(&data["result"])?.iter().map(range).collect::<Result<Vec<_>, _>>()?;
            list(samples.concat())
        }
        other => return Err(format!("unexpected value type \"{other}\"")),
    };
    let warnings: Vec<String> = envelope["warnings"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(|warning| format!("\"{warning}\""))
        .collect();
    let metadata = (!warnings.is_empty()).then(|| ("warnings".to_owned(), warnings.join(", ")));
    Ok(ParsedAnswer { reading, metadata: metadata.into_iter().collect() })
}

fn scalar(pair: &Value) -> Result<Reading, String> {
    let value = sample(pair)?;
    Ok(Reading { value: float::format_plain(value), result: ReadingValue::Float(value) })
}

fn list(values: Vec<f64>) -> Reading {
    let texts: Vec<String> = values.iter().map(|value| float::format_plain(*value)).collect();
    Reading { value: format!("[{}]", texts.join(",")), result: ReadingValue::Floats(values) }
}

fn series(result: &Value) -> Result<&Vec<Value>, String> {
    result.as_array().ok_or_else(|| "bad_response: the result is not a list of series".to_owned())
}

fn instant(series: &Value) -> Result<f64, String> {
    match series.get("value") {
        Some(pair) => sample(pair),
        None => Err(no_float(series)),
    }
}

fn range(series: &Value) -> Result<Vec<f64>, String> {
    match series.get("values").and_then(Value::as_array) {
        Some(pairs) => pairs.iter().map(sample).collect(),
        None => Err(no_float(series)),
    }
}

/// The reference reads a native histogram as 0; a value nobody measured must not decide anything.
fn no_float(series: &Value) -> String {
    if series.get("histogram").is_some() || series.get("histograms").is_some() {
        "the query returns a native histogram, which has no single value: use histogram_quantile or another \
         function that returns numbers"
            .to_owned()
    } else {
        "bad_response: a series without a value".to_owned()
    }
}

fn sample(pair: &Value) -> Result<f64, String> {
    let text =
        pair.get(1).and_then(Value::as_str).ok_or("bad_response: a sample is not a pair of time and text")?;
    float::parse(text).map_err(|error| format!("bad_response: {error}"))
}

#[cfg(test)]
mod tests {
    use glidepath_api::PrometheusMetric;
    use glidepath_core::snapshot::{ReadingValue, Settings};
    use serde_json::{Value, json};

    use super::{parse, render};
    use crate::exchange::{Exchange, HttpResponse};

    fn rendered(config: Value, default_address: &str) -> Result<Exchange, String> {
        let config: PrometheusMetric = serde_json::from_value(config).unwrap();
        let settings = Settings { prometheus_address: default_address.to_owned(), ..Settings::default() };
        render(&config, &settings, "2026-01-01T00:00:00.25Z".parse().unwrap())
    }

    #[test]
    fn an_instant_query_is_posted_and_may_fall_back_to_get_a350_a351_a353() {
        let exchange =
            rendered(json!({"address": "http://prom:9090/prefix/", "query": "sum(rate(x[5m])) > 0"}), "")
                .unwrap();
        let request = exchange.request;
        assert_eq!(
            (request.method.as_str(), request.url.as_str()),
            ("POST", "http://prom:9090/prefix/api/v1/query")
        );
        let form = "query=sum%28rate%28x%5B5m%5D%29%29+%3E+0&time=1767225600.25";
        assert_eq!(String::from_utf8(request.body).unwrap(), form);
        assert_eq!(request.timeout.as_secs(), 30);
        let fallback = exchange.fallback.unwrap();
        assert_eq!(fallback.url, format!("http://prom:9090/prefix/api/v1/query?{form}"));
        assert_eq!((fallback.method.as_str(), fallback.body.len(), fallback.headers.len()), ("GET", 0, 0));
    }

    #[test]
    fn a_range_query_has_times_and_a_step_a352_e83_e84() {
        let range = |start: &str, end: &str, step: &str| {
            let config = json!({"address": "http://p", "query": "q", "rangeQuery": {"start": start, "end": end, "step": step}});
            rendered(config, "").map(|exchange| {
                let body = String::from_utf8(exchange.request.body).unwrap();
                format!("{} {body}", exchange.request.url)
            })
        };
        assert_eq!(
            range("now() - duration(\"1h\")", "now()", "1m30s"),
            Ok("http://p/api/v1/query_range end=1767225600.25&query=q&start=1767222000.25&step=90"
                .to_owned())
        );
        for (start, end, step, want) in [
            ("", "now()", "1m", "failed to parse rangeQuery.start as time: unexpected token EOF"),
            (
                "now()",
                "duration(\"1h\")",
                "1m",
                "failed to parse rangeQuery.end as time: expected time.Time, but got time.Duration",
            ),
            (
                "now()",
                "now()",
                "5",
                "failed to parse rangeQuery.step as duration: time: missing unit in duration \"5\"",
            ),
        ] {
            let error = range(start, end, step).unwrap_err();
            assert!(error.starts_with(want), "{error}");
        }
    }

    #[test]
    fn what_cannot_be_asked_is_an_error_a350_to_a359() {
        let address = "prometheus address is not is url format";
        for (config, default_address, want) in [
            (json!({}), "", "prometheus address is not configured"),
            (json!({"address": "prom:9090"}), "", address),
            (json!({"address": "/just/a/path"}), "", address),
            (json!({"address": "http://"}), "", address),
            (json!({}), "nonsense", address),
            (json!({"address": "http://p", "timeout": -1}), "", "prometheus timeout should not be negative"),
            (
                json!({"address": "http://p", "authentication": {"basicAuth": {"password": "x"}}}),
                "",
                "missing mandatory parameter in metric for basic auth setup: username",
            ),
            (
                json!({"address": "http://p", "authentication": {"basicAuth": {"username": "x"}}}),
                "",
                "missing mandatory parameter in metric for basic auth setup: password",
            ),
            (
                json!({"address": "http://p", "authentication": {"oauth2": {"tokenUrl": "http://t", "clientId": "x"}}}),
                "",
                "missing mandatory parameter in metric for OAuth2 setup",
            ),
            (
                json!({"address": "https://aps-workspaces.eu-west-1.amazonaws.com/w", "authentication": {"sigv4": {"region": "eu-west-1"}}}),
                "",
                "prometheus authentication.sigv4 is not supported by this build yet",
            ),
        ] {
            assert_eq!(rendered(config.clone(), default_address).unwrap_err(), want, "{config}");
        }
        assert!(
            rendered(json!({"address": "http://p", "authentication": {"sigv4": {"region": "x"}}}), "")
                .is_ok()
        );
        let default = rendered(json!({"query": "q"}), "http://default:9090").unwrap();
        assert_eq!(default.request.url, "http://default:9090/api/v1/query");
    }

    #[test]
    fn headers_win_over_passwords_a356_a357() {
        let basic = json!({"basicAuth": {"username": "u", "password": "p"}});
        let plain = rendered(json!({"address": "http://p", "authentication": basic}), "").unwrap();
        assert_eq!(plain.request.header("authorization"), Some("Basic dTpw"));
        let own = json!([{"key": "authorization", "value": "mine"}, {"key": "X", "value": "1"}, {"key": "x", "value": "2"}]);
        let overruled = rendered(
            json!({"address": "http://p", "authentication": basic, "headers": own, "insecure": true}),
            "",
        )
        .unwrap();
        assert_eq!(overruled.request.header("Authorization"), Some("mine"));
        assert_eq!(overruled.request.header("X"), Some("2"), "the last of one name counts");
        assert!(overruled.request.insecure);
    }

    fn parsed(status: u16, body: Value) -> Result<(String, ReadingValue, Option<String>), String> {
        let response = HttpResponse { status, body: body.to_string().into_bytes() };
        let mut answer = parse(&response)?;
        Ok((answer.reading.value, answer.reading.result, answer.metadata.remove("warnings")))
    }

    #[test]
    fn results_by_type_a290_a291_a354_a355() {
        let success = |kind: &str, result: Value| json!({"status": "success", "data": {"resultType": kind, "result": result}});
        let point = |text: &str| json!({"metric": {}, "value": [1_700_000_000, text]});
        for (body, value, result) in [
            (success("scalar", json!([1, "0.97"])), "0.97", ReadingValue::Float(0.97)),
            (success("scalar", json!([1, "1e+06"])), "1000000", ReadingValue::Float(1e6)),
            (success("scalar", json!([1, "+Inf"])), "+Inf", ReadingValue::Float(f64::INFINITY)),
            (success("scalar", json!([1, "-Inf"])), "-Inf", ReadingValue::Float(f64::NEG_INFINITY)),
            (success("vector", json!([])), "[]", ReadingValue::Floats(vec![])),
            (
                success("vector", json!([point("0.97"), point("1")])),
                "[0.97,1]",
                ReadingValue::Floats(vec![0.97, 1.0]),
            ),
            (
                success("matrix", json!([{"values": [[1, "1"], [2, "2.5"]]}, {"values": [[1, "3"]]}])),
                "[1,2.5,3]",
                ReadingValue::Floats(vec![1.0, 2.5, 3.0]),
            ),
        ] {
            assert_eq!(parsed(200, body.clone()), Ok((value.to_owned(), result, None)), "{body}");
        }
        let (value, result, _) = parsed(200, success("vector", json!([point("NaN")]))).unwrap();
        assert_eq!(value, "[NaN]");
        assert!(matches!(result, ReadingValue::Floats(values) if values[0].is_nan()));
        let mut warned = success("scalar", json!([1, "1"]));
        warned["warnings"] = json!(["w1", "w2"]);
        assert_eq!(parsed(200, warned).unwrap().2.as_deref(), Some("\"w1\", \"w2\""));
    }

    #[test]
    fn what_is_no_answer_is_an_error_a354_a707() {
        let bad_query = json!({"status": "error", "errorType": "bad_data", "error": "parse error"});
        let vector = |series: Value| json!({"status": "success", "data": {"resultType": "vector", "result": [series]}});
        for (status, body, want) in [
            (400, bad_query.clone(), "bad_data: parse error"),
            (422, bad_query.clone(), "bad_data: parse error"),
            (200, bad_query, "bad_data: parse error"),
            (404, json!("x"), "client_error: client error: 404"),
            (503, json!("x"), "server_error: server error: 503"),
            (302, json!("x"), "bad_response: bad response code 302"),
            (400, json!({"status": "success"}), "bad_response: inconsistent body for response code"),
            (200, json!({}), "bad_response: inconsistent body for response code"),
            (
                200,
                json!({"status": "success", "data": {"resultType": "string", "result": [1, "x"]}}),
                "unexpected value type \"string\"",
            ),
            (200, json!({"status": "success"}), "unexpected value type \"\""),
            (200, vector(json!({"metric": {}})), "bad_response: a series without a value"),
            (200, vector(json!({"value": [1, 2]})), "bad_response: a sample is not a pair of time and text"),
            (
                200,
                json!({"status": "success", "data": {"resultType": "vector", "result": 5}}),
                "bad_response: the result is not a list of series",
            ),
        ] {
            assert_eq!(parsed(status, body.clone()).unwrap_err(), want, "{body}");
        }
        let text = parsed(200, vector(json!({"value": [1, "abc"]}))).unwrap_err();
        assert!(text.starts_with("bad_response: ") && text.contains("abc"), "{text}");
        let histogram = parsed(200, vector(json!({"histogram": [1, {}]}))).unwrap_err();
        assert!(histogram.contains("native histogram"), "{histogram}");
        let html = parse(&HttpResponse { status: 200, body: b"<html>".to_vec() }).unwrap_err();
        assert!(html.starts_with("bad_response: "), "{html}");
    }
}
