//! Metric providers: build the request, read the answer. Sending sits behind one narrow trait.
//!
//! [`render_request`] and [`parse_answer`] are pure; [`answer()`] asks one question by way of a [`Sender`] and never
//! fails: whatever goes wrong is the outcome of the answer, so an unreachable provider is an Error measurement.
//!
//! Of the reference's providers `prometheus` (without AWS request signing) and `web` are built in; `job` metrics
//! are Kubernetes objects and decided in `core`. Every other provider answers with an error that names it.

mod answer;
mod exchange;
mod http_sender;
mod oauth2;
mod prometheus;
mod provider;
mod web;

pub use answer::answer;
pub use exchange::{
    Exchange, Grant, HttpRequest, HttpResponse, ParsedAnswer, SendError, SendErrorKind, Sender,
};
pub use http_sender::{BODY_LIMIT, HttpSender};
pub use provider::{parse_answer, render_request};
