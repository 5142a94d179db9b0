//! What is sent and what comes back, as plain data, and the trait that does it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use glidepath_api::OAuth2Config;
use glidepath_core::snapshot::Reading;

/// One HTTP request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpRequest {
    /// Method, e.g. `GET`.
    pub method: String,
    /// Absolute address.
    pub url: String,
    /// Headers in order; of one name the last counts.
    pub headers: Vec<(String, String)>,
    /// Body; empty for none.
    pub body: Vec<u8>,
    /// How long the whole request may take.
    pub timeout: Duration,
    /// Do not verify the server's certificate.
    pub insecure: bool,
}

impl HttpRequest {
    /// Sets a header, in the place of one of the same name.
    pub fn set_header(&mut self, name: &str, value: &str) {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// One HTTP response, read to its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpResponse {
    /// Status code.
    pub status: u16,
    /// Body.
    pub body: Vec<u8>,
}

/// Everything one measurement may send.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exchange {
    /// Fetch a token like this first and send it along.
    pub grant: Option<Grant>,
    /// The question.
    pub request: HttpRequest,
    /// Sent instead when the answer is 403, 405 or 501.
    pub fallback: Option<HttpRequest>,
}

/// How a token is fetched.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Grant {
    /// Where, and as whom.
    pub config: OAuth2Config,
    /// Headers the token request carries too.
    pub headers: Vec<(String, String)>,
}

/// A parsed answer.
#[derive(Clone, Debug, PartialEq)]
pub struct ParsedAnswer {
    /// The result.
    pub reading: Reading,
    /// `measurement.metadata`.
    pub metadata: BTreeMap<String, String>,
}

/// Why there is no response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendError {
    /// The kind of failure.
    pub kind: SendErrorKind,
    /// What was attempted and what went wrong, in one line.
    pub text: String,
}

/// Kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendErrorKind {
    /// The request makes no sense: a malformed address or header.
    Invalid,
    /// No connection.
    Connect,
    /// No answer in time.
    Timeout,
    /// The answer is larger than we read.
    TooLarge,
    /// Anything else on the way.
    Transport,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for SendError {}

/// Sends HTTP requests.
#[async_trait]
pub trait Sender: Send + Sync {
    /// Sends a request and reads the response to its end.
    ///
    /// # Errors
    /// When there is no response; a response with an unwelcome status is not an error here.
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, SendError>;
}
