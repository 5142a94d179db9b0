//! A layer of misfortune between one client and the plane: late answers, conflicts, errors, writes
//! whose answer never arrives, watches that break off.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use tokio::sync::Notify;
use tower::Service;

use crate::body::Body;
use crate::call::Answer;
use crate::interception::{Answering, Intercept, Intercepted, is_watch};
use crate::refusal::Refusal;

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The answer comes this much later; the request takes effect at once.
    Late(Duration),
    /// Refused with 409 Conflict; nothing happens.
    Conflict,
    /// Refused with 500 InternalError; nothing happens.
    ServerError,
    /// The write takes effect, but the client gets 504 Timeout.
    AppliedButTimedOut,
    /// The request is never answered and nothing happens: what a controller that died sees.
    Hang,
}

#[derive(Default)]
struct Plan {
    writes: u64,
    reads: u64,
    on_write: Vec<(u64, Fault)>,
    on_read: Vec<(u64, Fault)>,
    every_answer_late: Option<Duration>,
    halted_after: Option<u64>,
}

/// Plans faults for one client. Clones share the plan, so a test can change it while it runs.
#[derive(Clone, Default)]
pub struct Faults {
    plan: Arc<Mutex<Plan>>,
    drop_watches: Arc<Notify>,
}

impl std::fmt::Debug for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Faults").field("writes", &self.writes()).finish_non_exhaustive()
    }
}

impl Faults {
    /// No faults yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn with<T>(&self, change: impl FnOnce(&mut Plan) -> T) -> T {
        change(&mut self.plan.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The `n`-th write from now on (1 is the next) meets `fault`.
    pub fn on_write(&self, n: u64, fault: Fault) {
        self.with(|plan| {
            let at = plan.writes + n;
            plan.on_write.push((at, fault));
        });
    }

    /// The `n`-th read (get, list or the opening of a watch) from now on meets `fault`.
    pub fn on_read(&self, n: u64, fault: Fault) {
        self.with(|plan| {
            let at = plan.reads + n;
            plan.on_read.push((at, fault));
        });
    }

    /// Every answer comes this much later; `None` ends it.
    pub fn delay_all(&self, by: Option<Duration>) {
        self.with(|plan| plan.every_answer_late = by);
    }

    /// After `n` more writes nothing is answered any more, as if the client had been killed.
    pub fn halt_after_writes(&self, n: u64) {
        self.with(|plan| plan.halted_after = Some(plan.writes + n));
    }

    /// Breaks off every watch that is open now.
    pub fn drop_watches(&self) {
        self.drop_watches.notify_waiters();
    }

    /// How many writes were sent so far.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.with(|plan| plan.writes)
    }

    /// Counts the request and says what is to happen to it.
    fn next(&self, write: bool) -> Option<Fault> {
        self.with(|plan| {
            if plan.halted_after.is_some_and(|limit| plan.writes >= limit) {
                return Some(Fault::Hang);
            }
            let (count, list) = if write {
                plan.writes += 1;
                (plan.writes, &mut plan.on_write)
            } else {
                plan.reads += 1;
                (plan.reads, &mut plan.on_read)
            };
            let due = list.iter().position(|(at, _)| *at == count);
            due.map(|index| list.remove(index).1).or(plan.every_answer_late.map(Fault::Late))
        })
    }
}

impl<S> tower::Layer<S> for Faults {
    type Service = Intercepted<S, Self>;

    fn layer(&self, inner: S) -> Self::Service {
        Intercepted::new(inner, self.clone())
    }
}

impl Intercept for Faults {
    fn answer<S, B>(&self, inner: &mut S, request: Request<B>) -> Answering
    where
        S: Service<Request<B>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send + 'static,
        B: Send + 'static,
    {
        let write = request.method() != Method::GET;
        let watch = is_watch(&request);
        let fault = self.next(write);
        let drop_watches = Arc::clone(&self.drop_watches);
        match fault {
            Some(Fault::Conflict) => {
                return answered(&Refusal::new(
                    409,
                    "Conflict",
                    "the object has been modified; please apply your changes to the latest version and try again",
                ));
            }
            Some(Fault::ServerError) => return answered(&Refusal::internal("injected fault")),
            Some(Fault::Hang) => return Box::pin(std::future::pending()),
            Some(Fault::Late(_) | Fault::AppliedButTimedOut) | None => {}
        }
        let inner = inner.call(request);
        Box::pin(async move {
            let response = inner.await?;
            match fault {
                Some(Fault::Late(by)) => tokio::time::sleep(by).await,
                Some(Fault::AppliedButTimedOut) => {
                    let refusal =
                        Refusal::new(504, "Timeout", "request did not complete within the allotted timeout");
                    return Ok(to_response(&refusal));
                }
                _ => {}
            }
            Ok(if watch { breakable(response, drop_watches) } else { response })
        })
    }
}

fn answered(refusal: &Refusal) -> Answering {
    let response = to_response(refusal);
    Box::pin(std::future::ready(Ok(response)))
}

fn to_response(refusal: &Refusal) -> Response<Body> {
    let answer = Answer::refused(refusal);
    let mut response = Response::new(answer.body);
    *response.status_mut() =
        http::StatusCode::from_u16(answer.code).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(answer.content_type));
    response
}

/// Ends the stream when told to.
fn breakable(response: Response<Body>, drop_watches: Arc<Notify>) -> Response<Body> {
    response.map(|body| {
        let until = async move { drop_watches.notified().await };
        let pieces = body
            .into_data_stream()
            .map(|piece: Result<Bytes, std::io::Error>| piece)
            .take_until(Box::pin(until));
        Body::stream(Box::pin(pieces))
    })
}
