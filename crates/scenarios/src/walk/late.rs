//! Watches that are late, behind or broken off: a layer between the controller and the plane.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use glidepath_sandbox::{Answering, Body, Intercept, is_watch};
use http::{Request, Response};
use http_body_util::BodyExt as _;
use tokio::sync::{Notify, mpsc};
use tower::Service;

use super::Mishap;

/// How many events of other watches pass before a late one arrives.
const OTHERS: u64 = 3;
/// How long one event is held back at most: later ones may never come. It is less than the shortest pause of a story, or
/// a person's word could come after the pause has ended by itself, which is another story.
const AT_MOST: Duration = Duration::from_secs(2);
/// The same where every event is held back, and a word may wait for several.
const BEHIND_AT_MOST: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug)]
enum Rule {
    Pass,
    Late(u64),
    Dropped(u64),
    Behind(u64),
}

/// Counts the events of all watches of one client and holds some of them back. Clones share the count.
#[derive(Clone)]
pub(crate) struct Lateness {
    rule: Rule,
    count: Arc<Mutex<u64>>,
    arrived: Arc<Notify>,
}

impl Lateness {
    /// What a mishap does to watches.
    pub(crate) fn of(mishap: Mishap) -> Self {
        let rule = match mishap {
            Mishap::EventLate(n) => Rule::Late(n),
            Mishap::WatchDropped(n) => Rule::Dropped(n),
            Mishap::Behind(n) => Rule::Behind(n),
            Mishap::None | Mishap::KilledAfter(_) | Mishap::Answered(..) => Rule::Pass,
        };
        Self { rule, count: Arc::default(), arrived: Arc::default() }
    }

    /// Events that were sent so far.
    pub(crate) fn events(&self) -> u64 {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one event; its number.
    fn count(&self) -> u64 {
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        *count += 1;
        let number = *count;
        drop(count);
        self.arrived.notify_waiters();
        number
    }

    /// Waits until that many events were counted, for a while.
    async fn wait_for(&self, number: u64, at_most: Duration) {
        let counted = async {
            loop {
                let arrived = self.arrived.notified();
                if self.events() >= number {
                    return;
                }
                arrived.await;
            }
        };
        // That nothing came in time is as good.
        let _ = tokio::time::timeout(at_most, counted).await;
    }

    /// Reads a watch ahead and passes its lines on as the rule says.
    fn stream(self, response: Response<Body>) -> Response<Body> {
        response.map(|body| {
            let (sender, receiver) = mpsc::unbounded_channel::<(u64, Bytes)>();
            let reader = self.clone();
            tokio::spawn(async move { reader.read(body, sender).await });
            let pieces = futures::stream::unfold((self, receiver), |(lateness, mut receiver)| async move {
                let (number, line) = receiver.recv().await?;
                match lateness.rule {
                    Rule::Late(late) if number == late => {
                        lateness.wait_for(number + OTHERS, AT_MOST).await;
                    }
                    Rule::Behind(by) if number > 0 => {
                        lateness.wait_for(number + by, BEHIND_AT_MOST).await;
                    }
                    Rule::Dropped(dropped) if number == dropped => return None,
                    _ => {}
                }
                Some((Ok(line), (lateness, receiver)))
            });
            Body::stream(Box::pin(pieces))
        })
    }

    /// Splits a watch into lines and numbers its events; a bookmark has number 0.
    async fn read(self, body: Body, sender: mpsc::UnboundedSender<(u64, Bytes)>) {
        let mut pieces = body.into_data_stream();
        let mut rest = BytesMut::new();
        while let Some(Ok(piece)) = pieces.next().await {
            rest.extend_from_slice(&piece);
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line = rest.split_to(end + 1).freeze();
                let bookmark = line.starts_with(b"{\"type\":\"BOOKMARK\"");
                let number = if bookmark { 0 } else { self.count() };
                if sender.send((number, line)).is_err() {
                    return;
                }
            }
        }
    }
}

impl Intercept for Lateness {
    fn answer<S, B>(&self, inner: &mut S, request: Request<B>) -> Answering
    where
        S: Service<Request<B>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send + 'static,
        B: Send + 'static,
    {
        let watch = is_watch(&request);
        let answer = inner.call(request);
        let lateness = self.clone();
        Box::pin(async move {
            let response = answer.await?;
            Ok(if watch && response.status().is_success() { lateness.stream(response) } else { response })
        })
    }
}
