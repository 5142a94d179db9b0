//! Questions asked through a scripted sender: tokens, repeated requests, deadlines, errors.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests say what went wrong by panicking")]

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use glidepath_core::plan::Ask;
use glidepath_core::snapshot::{Answer, ReadingValue, Settings};
use glidepath_metrics::{HttpRequest, HttpResponse, SendError, SendErrorKind, Sender, answer};
use jiff::Timestamp;
use serde_json::{Value, json};

/// Gives the scripted answers in order and keeps what was sent. It knows nothing of HTTP.
struct Script {
    answers: Mutex<VecDeque<Result<HttpResponse, SendError>>>,
    sent: Mutex<Vec<HttpRequest>>,
}

#[async_trait]
impl Sender for Script {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, SendError> {
        self.sent.lock().unwrap().push(request);
        self.answers.lock().unwrap().pop_front().expect("no further request is expected")
    }
}

fn response(status: u16, body: Value) -> Result<HttpResponse, SendError> {
    Ok(HttpResponse { status, body: body.to_string().into_bytes() })
}

async fn ask(provider: Value, answers: Vec<Result<HttpResponse, SendError>>) -> (Answer, Vec<HttpRequest>) {
    let metric = serde_json::from_value(json!({"name": "m", "provider": provider})).unwrap();
    let script = Script { answers: Mutex::new(answers.into()), sent: Mutex::new(Vec::new()) };
    let now = || "2026-01-01T00:00:00Z".parse::<Timestamp>().unwrap();
    let ask = Ask { metric, secrets: Vec::new() };
    let answer = answer(&script, &ask, &Settings::default(), now).await;
    let sent = std::mem::take(&mut *script.sent.lock().unwrap());
    assert!(script.answers.lock().unwrap().is_empty(), "every scripted answer was wanted");
    (answer, sent)
}

fn scalar() -> Value {
    json!({"status": "success", "data": {"resultType": "scalar", "result": [1, "0.5"]}})
}

#[tokio::test]
async fn a_refused_post_is_repeated_as_get_a351() {
    for refusal in [403, 405, 501] {
        let prometheus = json!({"prometheus": {"address": "http://p", "query": "q"}});
        let (answer, sent) =
            ask(prometheus, vec![response(refusal, json!("no")), response(200, scalar())]).await;
        assert_eq!(answer.outcome.unwrap().result, ReadingValue::Float(0.5));
        assert_eq!((sent[0].method.as_str(), sent[1].method.as_str()), ("POST", "GET"));
    }
}

#[tokio::test]
async fn a_second_refusal_is_the_answer() {
    let prometheus = json!({"prometheus": {"address": "http://p", "query": "q"}});
    let (answer, _) = ask(prometheus, vec![response(403, json!("no")), response(403, json!("no"))]).await;
    assert_eq!(answer.outcome.unwrap_err(), "client_error: client error: 403");
}

#[tokio::test]
async fn a_token_is_fetched_and_sent_along_a358_a379() {
    let oauth2 = json!({"oauth2": {"tokenUrl": "http://t/token", "clientId": "me", "clientSecret": "s&p", "scopes": ["a", "b"]}});
    for provider in [
        json!({"prometheus": {"address": "http://p", "query": "q", "authentication": oauth2, "headers": [{"key": "X-Tenant", "value": "t"}]}}),
        json!({"web": {"url": "http://w", "authentication": oauth2}}),
    ] {
        let body = if provider.get("web").is_some() { json!(0.5) } else { scalar() };
        let token = json!({"access_token": "tok", "token_type": "Bearer"});
        let (answer, sent) = ask(provider.clone(), vec![response(200, token), response(200, body)]).await;
        assert!(answer.outcome.is_ok(), "{answer:?}");
        assert_eq!(sent[0].url, "http://t/token");
        assert_eq!(String::from_utf8_lossy(&sent[0].body), "grant_type=client_credentials&scope=a+b");
        assert_eq!(sent[0].header("Authorization"), Some("Basic bWU6cyUyNnA="));
        assert_eq!(sent[1].header("Authorization"), Some("Bearer tok"));
        let tenant = sent[0].header("X-Tenant");
        assert_eq!(
            tenant.is_some(),
            provider.get("prometheus").is_some(),
            "A-356: headers go to the token address too"
        );
    }
}

#[tokio::test]
async fn credentials_are_tried_in_the_form_when_basic_is_refused_a358() {
    let oauth2 = json!({"oauth2": {"tokenUrl": "http://t", "clientId": "me", "clientSecret": "x"}});
    let web = json!({"web": {"url": "http://w", "authentication": oauth2}});
    let refusal = || response(401, json!({"error": "invalid_client"}));
    let token = response(200, json!({"access_token": "tok"}));
    let (answer, sent) = ask(web.clone(), vec![refusal(), token, response(200, json!(1))]).await;
    assert!(answer.outcome.is_ok());
    assert_eq!(sent[1].header("Authorization"), None);
    assert_eq!(
        String::from_utf8_lossy(&sent[1].body),
        "client_id=me&client_secret=x&grant_type=client_credentials"
    );
    let (answer, _) = ask(web, vec![refusal(), refusal()]).await;
    assert_eq!(answer.outcome.unwrap_err(), "oauth2: cannot fetch token: the token address answered 401");
}

#[tokio::test]
async fn an_unreachable_provider_is_an_error_and_never_a_success() {
    let refused = || {
        Err(SendError {
            kind: SendErrorKind::Connect,
            text: "Get \"http://w/\": connection refused".to_owned(),
        })
    };
    let (answer, _) = ask(json!({"web": {"url": "http://w"}}), vec![refused()]).await;
    assert_eq!(answer.outcome.unwrap_err(), "Get \"http://w/\": connection refused");
    assert_eq!(answer.metric, "m");
}

#[tokio::test]
async fn a_question_that_makes_no_sense_is_not_sent() {
    for (provider, want) in [
        (
            json!({"web": {"url": "u", "body": "x"}}),
            "Body/JSONBody can only be used with POST or PUT WebMetric Method types",
        ),
        (json!({"wavefront": {}}), "metric provider \"wavefront\" is not supported by this build yet"),
    ] {
        let (answer, sent) = ask(provider, vec![]).await;
        assert_eq!(answer.outcome.unwrap_err(), want);
        assert!(sent.is_empty());
    }
}

#[tokio::test]
async fn token_and_question_share_one_deadline_b37() {
    let metric = serde_json::from_value(
        json!({"name": "m", "provider": {"web": {"url": "http://w", "timeoutSeconds": 10,
        "authentication": {"oauth2": {"tokenUrl": "http://t", "clientId": "a", "clientSecret": "b"}}}}}),
    )
    .unwrap();
    let script = Script {
        answers: Mutex::new([response(200, json!({"access_token": "t"})), response(200, json!(1))].into()),
        sent: Mutex::new(Vec::new()),
    };
    let calls = Mutex::new(0);
    let now = || {
        // Each look at the clock finds it two seconds later.
        let mut calls = calls.lock().unwrap();
        *calls += 2;
        Timestamp::from_second(*calls).unwrap()
    };
    answer(&script, &Ask { metric, secrets: Vec::new() }, &Settings::default(), now).await;
    let sent = script.sent.lock().unwrap();
    assert_eq!([sent[0].timeout, sent[1].timeout], [Duration::from_secs(8), Duration::from_secs(6)]);
}
