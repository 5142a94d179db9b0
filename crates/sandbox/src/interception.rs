//! Between a client and the plane: one service for whatever looks at requests, or answers them in another way.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower::Service;

use crate::body::Body;

/// The answer to a request, once there is one.
pub type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

/// Something that stands in front of the plane.
pub trait Intercept {
    /// Answers a request, by way of `inner` or without it.
    fn answer<S, B>(&self, inner: &mut S, request: Request<B>) -> Answering
    where
        S: Service<Request<B>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send + 'static,
        B: Send + 'static;
}

/// Whether a request asks for a watch.
#[must_use]
pub fn is_watch<B>(request: &Request<B>) -> bool {
    request.uri().query().is_some_and(|query| query.contains("watch="))
}

/// A service with something in front of it.
#[derive(Clone, Debug)]
pub struct Intercepted<S, I> {
    inner: S,
    by: I,
}

impl<S, I> Intercepted<S, I> {
    /// `inner`, with `by` in front.
    pub fn new(inner: S, by: I) -> Self {
        Self { inner, by }
    }
}

impl<S, B, I> Service<Request<B>> for Intercepted<S, I>
where
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Send + 'static,
    I: Intercept,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        self.by.answer(&mut self.inner, request)
    }
}
