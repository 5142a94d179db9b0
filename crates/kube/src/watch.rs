//! Follows one kind of object: list (streamed where the server can), then watch, for ever.
//!
//! The awkward parts live here once: versions that expired, watches that end, servers that go away,
//! kinds that are not installed or not allowed. Whoever consumes the changes sees none of that.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use futures::StreamExt as _;
use http_body_util::BodyExt as _;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::cache::{Caches, Change};
use crate::document::parse_document;
use crate::object::{ObjectKey, Stored};
use crate::resource::{Kind, label_selector};
use crate::server::{ApiServer, RequestError};

/// Objects per page of a list.
const PAGE: usize = 500;
/// Seconds a watch is asked to last. Kinds differ a little so that renewals do not coincide.
const WATCH_SECONDS: u64 = 280;
/// A watch from which nothing came for that long past its end is given up.
const WATCH_GRACE: Duration = Duration::from_secs(30);
const FIRST_RETRY: Duration = Duration::from_millis(500);
const LAST_RETRY: Duration = Duration::from_secs(30);

/// What to follow.
#[derive(Clone, Debug)]
pub struct Followed {
    /// The kind.
    pub kind: Kind,
    /// The API version to use.
    pub version: String,
    /// One namespace, or all when empty.
    pub namespace: String,
    /// The controller's instance.
    pub instance_id: String,
}

/// Where changes go.
pub trait Sink: Send + Sync {
    /// One object changed.
    fn changed(&self, change: &Change);
    /// The kind has been listed completely for the first time.
    fn synced(&self, kind: Kind);
}

enum WatchEnd {
    /// The watch ended as watches do; go on from the last version.
    Renew,
    /// The version is too old; list again.
    Expired,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    type_: &'a str,
    #[serde(borrow)]
    object: &'a RawValue,
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(default)]
    metadata: PageMetadata,
    #[serde(borrow, default)]
    items: Vec<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PageMetadata {
    resource_version: String,
    #[serde(rename = "continue")]
    continue_: Option<String>,
}

/// Follows a kind until the process ends or the task is dropped.
pub async fn watch_kind(server: ApiServer, caches: Arc<Caches>, sink: Arc<dyn Sink>, what: Followed) {
    let mut follower = Follower { server, caches, sink, what, streams: true, complained: None };
    let mut retry = FIRST_RETRY;
    loop {
        match follower.follow().await {
            Ok(()) => retry = FIRST_RETRY,
            Err(error) => {
                follower.complain(&error);
                tokio::time::sleep(retry).await;
                retry = (retry * 2).min(LAST_RETRY);
            }
        }
    }
}

struct Follower {
    server: ApiServer,
    caches: Arc<Caches>,
    sink: Arc<dyn Sink>,
    what: Followed,
    /// Whether the server can stream a list.
    streams: bool,
    /// The last complaint, so that it is made once.
    complained: Option<String>,
}

impl Follower {
    /// One list and the watches that follow from it, until a version expires.
    async fn follow(&mut self) -> Result<(), RequestError> {
        let mut version = self.list().await?;
        self.caches.set_seen(self.what.kind, &version);
        if self.complained.take().is_some() {
            tracing::info!(resource = self.what.kind.plural(), "the API server answers again");
        }
        if !self.caches.is_synced(self.what.kind) {
            self.caches.set_synced(self.what.kind);
            self.sink.synced(self.what.kind);
        }
        loop {
            let path = self.path(&format!(
                "watch=1&allowWatchBookmarks=true&timeoutSeconds={}&resourceVersion={version}",
                self.watch_seconds()
            ));
            match self.watch(&path, &mut version, None).await? {
                WatchEnd::Renew => {}
                WatchEnd::Expired => return Ok(()),
            }
        }
    }

    fn watch_seconds(&self) -> u64 {
        WATCH_SECONDS + self.what.kind.index() as u64
    }

    fn path(&self, query: &str) -> String {
        let Followed { kind, version, namespace, instance_id } = &self.what;
        let namespace = if kind.is_namespaced() { namespace } else { "" };
        let mut path = format!("{}?{query}", kind.collection(version, namespace));
        let selector = label_selector(*kind, instance_id);
        if !selector.is_empty() {
            path.push_str("&labelSelector=");
            path.push_str(&encode(&selector));
        }
        path
    }

    async fn list(&mut self) -> Result<String, RequestError> {
        if self.streams {
            match self.list_streamed().await {
                Err(RequestError::Refused { code: 400 | 405 | 422, .. }) => self.streams = false,
                outcome => return outcome,
            }
        }
        self.list_paged().await
    }

    /// The whole collection as a stream of single objects, which costs neither side a large document.
    async fn list_streamed(&mut self) -> Result<String, RequestError> {
        let path = self.path(&format!(
            "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds={}",
            self.watch_seconds()
        ));
        let mut version = String::new();
        let mut listed = HashSet::new();
        match self.watch(&path, &mut version, Some(&mut listed)).await? {
            WatchEnd::Renew if !version.is_empty() => Ok(version),
            _ => {
                self.streams = false;
                self.list_paged().await
            }
        }
    }

    async fn list_paged(&mut self) -> Result<String, RequestError> {
        let mut listed = HashSet::new();
        let mut continue_ = String::new();
        loop {
            let mut query = format!("limit={PAGE}");
            if !continue_.is_empty() {
                query.push_str("&continue=");
                query.push_str(&encode(&continue_));
            }
            let body = match self.server.get_bytes(&self.path(&query)).await {
                // The continue token expired: begin again.
                Err(RequestError::Refused { code: 410, .. }) if !continue_.is_empty() => {
                    continue_.clear();
                    listed.clear();
                    continue;
                }
                outcome => outcome?,
            };
            let page: Page<'_> = serde_json::from_slice(&body)?;
            for item in &page.items {
                self.take(parse_document(item.get())?, Some(&mut listed));
            }
            match page.metadata.continue_ {
                Some(next) if !next.is_empty() => continue_ = next,
                _ => {
                    self.forget_unlisted(&listed);
                    return Ok(page.metadata.resource_version);
                }
            }
        }
    }

    fn forget_unlisted(&self, listed: &HashSet<ObjectKey>) {
        for change in self.caches.retain(self.what.kind, listed) {
            self.sink.changed(&change);
        }
    }

    fn take(&self, document: Value, listed: Option<&mut HashSet<ObjectKey>>) {
        let Some((key, stored)) = Stored::new(self.what.kind, document) else { return };
        if let Some(listed) = listed {
            listed.insert(key.clone());
        }
        if let Some(change) = self.caches.apply(self.what.kind, key, stored) {
            self.sink.changed(&change);
        }
    }

    /// Reads one watch to its end. With `listed`, to the end of the initial events.
    async fn watch(
        &self,
        path: &str,
        version: &mut String,
        mut listed: Option<&mut HashSet<ObjectKey>>,
    ) -> Result<WatchEnd, RequestError> {
        let body = match self.server.watch(path).await {
            Err(RequestError::Refused { code: 410, .. }) => return Ok(WatchEnd::Expired),
            outcome => outcome?,
        };
        let limit = tokio::time::sleep(Duration::from_secs(self.watch_seconds()) + WATCH_GRACE);
        tokio::pin!(limit);
        let mut chunks = body.into_data_stream();
        let mut buffer = BytesMut::new();
        loop {
            let chunk = tokio::select! {
                biased;
                chunk = chunks.next() => chunk,
                () = &mut limit => None,
            };
            let Some(Ok(chunk)) = chunk else { return Ok(WatchEnd::Renew) };
            buffer.extend_from_slice(&chunk);
            while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
                let line = buffer.split_to(end + 1);
                if let Some(end) = self.take_line(&line, version, listed.as_deref_mut())? {
                    return Ok(end);
                }
            }
            if buffer.is_empty() && buffer.capacity() > 1 << 16 {
                buffer = BytesMut::new();
            }
        }
    }

    fn take_line(
        &self,
        line: &[u8],
        version: &mut String,
        listed: Option<&mut HashSet<ObjectKey>>,
    ) -> Result<Option<WatchEnd>, RequestError> {
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(None);
        }
        let Line { type_, object } = serde_json::from_slice(line)?;
        let document = parse_document(object.get())?;
        if type_ == "ERROR" {
            let code = document.get("code").and_then(Value::as_u64).unwrap_or_default();
            if code == 410 {
                return Ok(Some(WatchEnd::Expired));
            }
            let text =
                |field: &str| document.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
            return Err(RequestError::Refused {
                code: u16::try_from(code).unwrap_or_default(),
                reason: text("reason"),
                message: text("message"),
            });
        }
        // The first events of a streamed list come in any order; only what follows says how far the watch has come.
        let is_ordered = listed.is_none();
        let metadata = document.get("metadata");
        if let Some(seen) = metadata.and_then(|metadata| metadata.get("resourceVersion")?.as_str()) {
            seen.clone_into(version);
        }
        match type_ {
            "ADDED" | "MODIFIED" => self.take(document, listed),
            "DELETED" => {
                if let Some((key, _)) = Stored::new(self.what.kind, document)
                    && let Some(change) = self.caches.delete(self.what.kind, &key)
                {
                    self.sink.changed(&change);
                }
            }
            "BOOKMARK" => {
                if let Some(listed) = listed
                    && metadata
                        .and_then(|metadata| metadata.get("annotations")?.get("k8s.io/initial-events-end"))
                        .is_some()
                {
                    self.forget_unlisted(listed);
                    return Ok(Some(WatchEnd::Renew));
                }
            }
            _ => {}
        }
        if is_ordered {
            self.caches.set_seen(self.what.kind, version);
        }
        Ok(None)
    }

    /// Says once what is wrong and what to do about it; trying goes on.
    fn complain(&mut self, error: &RequestError) {
        let resource = format!("{}.{}", self.what.kind.plural(), self.what.kind.group());
        let resource = resource.trim_end_matches('.');
        let advice = match error.code() {
            404 => format!(
                "the API server does not know {resource}: install the custom resource definitions; trying again"
            ),
            403 => format!(
                "not allowed to follow {resource}: grant get, list and watch to this service account; trying again"
            ),
            401 => format!(
                "the API server does not accept our credentials ({resource}): check the kubeconfig or token; trying again"
            ),
            _ => format!("cannot follow {resource}; trying again"),
        };
        if self.complained.as_ref() != Some(&advice) {
            tracing::error!(resource, error = %error, "{advice}");
            self.complained = Some(advice);
        }
    }
}

/// Percent-encodes what a query value may not contain.
pub(crate) fn encode(text: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/') {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::encode;

    #[test]
    fn selectors_are_encoded_for_a_query() {
        assert_eq!(encode("!a.b/c=d,e in (f)"), "%21a.b/c%3Dd%2Ce%20in%20%28f%29");
    }
}
