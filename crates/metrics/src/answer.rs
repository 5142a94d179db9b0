//! One question, asked and answered.

use std::time::Duration;

use glidepath_api::Metric;
use glidepath_core::plan::Ask;
use glidepath_core::snapshot::{Answer, Settings};
use jiff::Timestamp;

use crate::exchange::{HttpResponse, ParsedAnswer, Sender};
use crate::oauth2::send_token_request;
use crate::provider::{parse_answer, render_request};

/// Asks one question. Whatever goes wrong becomes the outcome of the answer; texts may still hold secrets, which
/// whoever records the answer masks.
pub async fn answer(
    sender: &dyn Sender,
    ask: &Ask,
    settings: &Settings,
    now: impl Fn() -> Timestamp + Send,
) -> Answer {
    let started_at = now();
    let parsed = send_question(sender, &ask.metric, settings, started_at, &now).await;
    let (outcome, metadata) = match parsed {
        Ok(ParsedAnswer { reading, metadata }) => (Ok(reading), metadata),
        Err(error) => (Err(error), std::collections::BTreeMap::new()),
    };
    Answer { metric: ask.metric.name.clone(), started_at, finished_at: now(), outcome, metadata }
}

/// Token, request and repeated request share one deadline (B-37).
async fn send_question(
    sender: &dyn Sender,
    metric: &Metric,
    settings: &Settings,
    started_at: Timestamp,
    now: impl Fn() -> Timestamp,
) -> Result<ParsedAnswer, String> {
    let exchange = render_request(metric, settings, started_at)?;
    let allowed = exchange.request.timeout;
    let left = || {
        let spent = Duration::try_from(now().duration_since(started_at)).unwrap_or(Duration::ZERO);
        allowed.saturating_sub(spent)
    };
    let mut token = None;
    if let Some(grant) = &exchange.grant {
        let value = send_token_request(sender, grant, &exchange.request, left()).await?;
        token = Some(format!("Bearer {value}"));
    }
    let attempt = |mut request: crate::exchange::HttpRequest| {
        if let Some(token) = token.as_deref().filter(|_| request.header("Authorization").is_none()) {
            request.set_header("Authorization", token);
        }
        request.timeout = left();
        sender.send(request)
    };
    let mut response: HttpResponse = attempt(exchange.request).await.map_err(|error| error.to_string())?;
    if let Some(fallback) = exchange.fallback.filter(|_| matches!(response.status, 403 | 405 | 501)) {
        response = attempt(fallback).await.map_err(|error| error.to_string())?;
    }
    parse_answer(metric, &response)
}
