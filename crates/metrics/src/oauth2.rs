//! Tokens by the OAuth2 client-credentials grant.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use glidepath_api::Authentication;
use serde_json::Value;

use crate::exchange::{Grant, HttpRequest, HttpResponse, Sender};
use crate::prometheus::form;

/// The grant to use, if a token address is set.
pub(crate) fn grant(
    authentication: &Authentication,
    headers: Vec<(String, String)>,
) -> Result<Option<Grant>, String> {
    let config = &authentication.oauth2;
    if config.token_url.is_empty() {
        return Ok(None);
    }
    if config.client_id.is_empty() || config.client_secret.is_empty() {
        return Err("missing mandatory parameter in metric for OAuth2 setup".to_owned());
    }
    Ok(Some(Grant { config: config.clone(), headers }))
}

/// Fetches a token: the credentials go as HTTP Basic first, then, if that is refused, in the form.
///
/// `like` lends its certificate check; `timeout` bounds each try.
pub(crate) async fn send_token_request(
    sender: &dyn Sender,
    grant: &Grant,
    like: &HttpRequest,
    timeout: Duration,
) -> Result<String, String> {
    let mut failure = String::new();
    for in_form in [false, true] {
        let request = render(grant, like, timeout, in_form);
        let response =
            sender.send(request).await.map_err(|error| format!("oauth2: cannot fetch token: {error}"))?;
        match parse(&response) {
            Ok(token) => return Ok(token),
            Err(error) => failure = error,
        }
    }
    Err(format!("oauth2: cannot fetch token: {failure}"))
}

fn render(grant: &Grant, like: &HttpRequest, timeout: Duration, in_form: bool) -> HttpRequest {
    let config = &grant.config;
    let scopes = config.scopes.join(" ");
    let mut pairs = vec![("grant_type", "client_credentials")];
    if !scopes.is_empty() {
        pairs.push(("scope", &scopes));
    }
    if in_form {
        pairs.extend([("client_id", config.client_id.as_str()), ("client_secret", &config.client_secret)]);
    }
    pairs.sort_unstable();
    let mut request = HttpRequest {
        method: "POST".to_owned(),
        url: config.token_url.clone(),
        headers: Vec::new(),
        body: form(&pairs).into_bytes(),
        timeout,
        insecure: like.insecure,
    };
    request.set_header("Content-Type", "application/x-www-form-urlencoded");
    if !in_form {
        let escape = |text: &str| form(&[("", text)]).trim_start_matches('=').to_owned();
        let pair = format!("{}:{}", escape(&config.client_id), escape(&config.client_secret));
        request.set_header("Authorization", &format!("Basic {}", BASE64_STANDARD.encode(pair)));
    }
    for (name, value) in &grant.headers {
        request.set_header(name, value);
    }
    request
}

fn parse(response: &HttpResponse) -> Result<String, String> {
    if !(200..300).contains(&response.status) {
        return Err(format!("the token address answered {}", response.status));
    }
    let body: Value = serde_json::from_slice(&response.body)
        .map_err(|_| "the token address did not answer with JSON".to_owned())?;
    let token = body["access_token"].as_str().filter(|token| !token.is_empty());
    token.map(str::to_owned).ok_or_else(|| "server response missing access_token".to_owned())
}
