//! Objects as they go over the wire: in the asked version and the asked view.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::convert;
use crate::registry::Resource;
use crate::request::View;
use crate::store::Stored;

/// How the objects of one request are shown.
#[derive(Clone, Debug)]
pub(crate) struct Lens {
    pub resource: std::sync::Arc<Resource>,
    pub version: usize,
    pub view: View,
    /// What table rows carry: `Metadata` unless asked otherwise.
    pub include: Include,
    pub now: jiff::Timestamp,
}

/// `includeObject`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Include {
    None,
    Metadata,
    Object,
}

impl Include {
    pub fn parse(text: &str) -> Self {
        match text {
            "None" => Self::None,
            "Object" => Self::Object,
            _ => Self::Metadata,
        }
    }
}

impl Lens {
    /// The stored object as text in the asked version; the stored bytes where they fit.
    pub fn object_text(&self, stored: &Stored) -> Bytes {
        if convert::is_stored_form(&self.resource, self.version) {
            stored.body().clone()
        } else {
            Bytes::from(self.object(stored).to_string())
        }
    }

    /// The stored object in the asked version.
    pub fn object(&self, stored: &Stored) -> Value {
        convert::from_stored(&self.resource, self.version, stored.object())
    }

    /// A single object in the asked view.
    pub fn one(&self, stored: &Stored) -> Bytes {
        match self.view {
            View::Object => self.object_text(stored),
            View::Metadata => Bytes::from(metadata_only(&stored.object()).to_string()),
            View::Table => {
                let version = stored.resource_version.to_string();
                let table = crate::tables::render(
                    self,
                    &[self.object(stored)],
                    json!({ "resourceVersion": version }),
                    true,
                );
                Bytes::from(table.to_string())
            }
        }
    }

    /// A list in the asked view.
    pub fn many(&self, objects: &[std::sync::Arc<Stored>], metadata: &Value) -> Bytes {
        match self.view {
            View::Object => self.list_text(objects, metadata),
            View::Metadata => {
                let items: Vec<Value> =
                    objects.iter().map(|stored| metadata_only(&stored.object())).collect();
                let list = json!({
                    "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1",
                    "metadata": metadata, "items": items,
                });
                Bytes::from(list.to_string())
            }
            View::Table => {
                let items: Vec<Value> = objects.iter().map(|stored| self.object(stored)).collect();
                Bytes::from(crate::tables::render(self, &items, metadata.clone(), true).to_string())
            }
        }
    }

    fn list_text(&self, objects: &[std::sync::Arc<Stored>], metadata: &Value) -> Bytes {
        let head = json!({
            "kind": self.resource.list_kind, "apiVersion": self.resource.api_version(self.version),
            "metadata": metadata,
        })
        .to_string();
        let size: usize = objects.iter().map(|stored| stored.body().len() + 1).sum();
        let mut text = Vec::with_capacity(head.len() + size + 16);
        text.extend_from_slice(&head.as_bytes()[..head.len() - 1]);
        text.extend_from_slice(b",\"items\":[");
        let bare = !self.resource.is_custom();
        for (index, stored) in objects.iter().enumerate() {
            if index > 0 {
                text.push(b',');
            }
            // Items of built-in lists carry no type, as the real server's do not.
            if bare && convert::is_stored_form(&self.resource, self.version) {
                text.push(b'{');
                text.extend_from_slice(stored.body_after_type());
            } else {
                text.extend_from_slice(&self.object_text(stored));
            }
        }
        text.extend_from_slice(b"]}");
        Bytes::from(text)
    }

    /// One watch event as a line.
    pub fn event(&self, kind: &str, stored: &Stored, first: bool) -> Bytes {
        let object = match self.view {
            View::Object => self.object_text(stored),
            View::Metadata => Bytes::from(metadata_only(&stored.object()).to_string()),
            View::Table => {
                let version = stored.resource_version.to_string();
                let table = crate::tables::render(
                    self,
                    &[self.object(stored)],
                    json!({ "resourceVersion": version }),
                    first,
                );
                Bytes::from(table.to_string())
            }
        };
        event_line(kind, &object)
    }

    /// A bookmark: an object that carries nothing but the version reached.
    pub fn bookmark(&self, version: u64, initial_events_end: bool) -> Bytes {
        let mut metadata = json!({ "resourceVersion": version.to_string() });
        if initial_events_end {
            metadata["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
        }
        let object = match self.view {
            View::Table => json!({
                "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": { "resourceVersion": version.to_string() },
                "columnDefinitions": [],
                "rows": [{ "cells": [], "object": {
                    "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata } }],
            }),
            View::Metadata => {
                json!({ "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata })
            }
            View::Object => json!({
                "kind": self.resource.kind, "apiVersion": self.resource.api_version(self.version),
                "metadata": metadata,
            }),
        };
        event_line("BOOKMARK", object.to_string().as_bytes())
    }
}

/// `{"type":…,"object":…}` and a line feed.
pub(crate) fn event_line(kind: &str, object: &[u8]) -> Bytes {
    let mut line = Vec::with_capacity(object.len() + 40);
    line.extend_from_slice(b"{\"type\":\"");
    line.extend_from_slice(kind.as_bytes());
    line.extend_from_slice(b"\",\"object\":");
    line.extend_from_slice(object);
    line.extend_from_slice(b"}\n");
    Bytes::from(line)
}

/// Type and metadata of an object, as metadata informers want them.
pub(crate) fn metadata_only(object: &Value) -> Value {
    let mut partial = Map::new();
    partial.insert("kind".into(), json!("PartialObjectMetadata"));
    partial.insert("apiVersion".into(), json!("meta.k8s.io/v1"));
    partial.insert("metadata".into(), object.get("metadata").cloned().unwrap_or_default());
    Value::Object(partial)
}
