//! Keeps the routing table current: watches Gateways, HTTPRoutes, Services and EndpointSlices as an API client.

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;

use futures::StreamExt;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use serde::de::DeserializeOwned;
use tokio::sync::{Notify, watch};
use tracing::warn;

use crate::resources::{EndpointSlice, GATEWAY_GROUP, Gateway, HttpRoute, Service};
use crate::routes::{RoutingTable, plan_table};

/// What the API holds, as far as routing is concerned.
#[derive(Debug, Default)]
pub struct World {
    /// Gateways of our class.
    pub gateways: Vec<Gateway>,
    /// All HTTPRoutes.
    pub routes: Vec<HttpRoute>,
    /// All Services.
    pub services: Vec<Service>,
    /// All EndpointSlices.
    pub slices: Vec<EndpointSlice>,
}

/// The stores the watches fill.
#[derive(Clone)]
pub struct Follower {
    gateways: Store<DynamicObject>,
    routes: Store<DynamicObject>,
    services: Store<DynamicObject>,
    slices: Store<DynamicObject>,
    changed: Arc<Notify>,
    gateway_class: Option<String>,
}

/// `Gateway` of the Gateway API.
#[must_use]
pub fn gateway_resource() -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(GATEWAY_GROUP, "v1", "Gateway"), "gateways")
}

/// `HTTPRoute` of the Gateway API.
#[must_use]
pub fn route_resource() -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(GATEWAY_GROUP, "v1", "HTTPRoute"), "httproutes")
}

fn service_resource() -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("", "v1", "Service"), "services")
}

fn slice_resource() -> ApiResource {
    let gvk = GroupVersionKind::gvk("discovery.k8s.io", "v1", "EndpointSlice");
    ApiResource::from_gvk_with_plural(&gvk, "endpointslices")
}

impl Follower {
    /// Prepares the watches. The futures do the watching and end only when dropped.
    #[must_use]
    pub fn new(
        client: &Client,
        gateway_class: Option<String>,
    ) -> (Self, Vec<impl Future<Output = ()> + Send + use<>>) {
        let changed = Arc::new(Notify::new());
        let mut stores = Vec::new();
        let mut watches = Vec::new();
        for resource in [gateway_resource(), route_resource(), service_resource(), slice_resource()] {
            let writer = reflector::store::Writer::new(resource.clone());
            stores.push(writer.as_reader());
            watches.push(watch_kind(client.clone(), resource, writer, Arc::clone(&changed)));
        }
        let mut stores = stores.into_iter();
        let mut next =
            || stores.next().unwrap_or_else(|| reflector::store::Writer::new(gateway_resource()).as_reader());
        let follower = Self {
            gateways: next(),
            routes: next(),
            services: next(),
            slices: next(),
            changed,
            gateway_class,
        };
        (follower, watches)
    }

    /// What the API holds now.
    #[must_use]
    pub fn world(&self) -> World {
        let mut gateways: Vec<Gateway> = read_all(&self.gateways, "Gateway");
        if let Some(class) = &self.gateway_class {
            gateways.retain(|gateway| gateway.spec.gateway_class_name == *class);
        }
        World {
            gateways,
            routes: read_all(&self.routes, "HTTPRoute"),
            services: read_all(&self.services, "Service"),
            slices: read_all(&self.slices, "EndpointSlice"),
        }
    }

    /// Resolves when something changed since the last call.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Resolves when every kind was listed once.
    pub async fn ready(&self) {
        for store in [&self.gateways, &self.routes, &self.services, &self.slices] {
            // The writers live as long as the watches; if those are gone there is nothing to wait for.
            let _ = store.wait_until_ready().await;
        }
    }
}

/// Builds and publishes a table from what the API holds.
pub fn publish(world: &World, tables: &watch::Sender<Arc<RoutingTable>>) -> Arc<RoutingTable> {
    let mut table = plan_table(&world.gateways, &world.routes, &world.services, &world.slices);
    table.adopt(&tables.borrow());
    let table = Arc::new(table);
    tables.send_replace(Arc::clone(&table));
    table
}

async fn watch_kind(
    client: Client,
    resource: ApiResource,
    mut writer: reflector::store::Writer<DynamicObject>,
    changed: Arc<Notify>,
) {
    let api: Api<DynamicObject> = Api::all_with(client, &resource);
    let mut events = watcher(api, watcher::Config::default()).default_backoff().boxed();
    let mut failing = false;
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                failing = false;
                writer.apply_watcher_event(&event);
                changed.notify_one();
            }
            Err(error) => {
                // Said once per outage; the watch goes on trying.
                if !std::mem::replace(&mut failing, true) {
                    warn!(kind = %resource.kind, %error, "cannot watch; trying again");
                }
            }
        }
    }
}

fn read_all<T: DeserializeOwned + Debug>(store: &Store<DynamicObject>, kind: &str) -> Vec<T> {
    store
        .state()
        .iter()
        .filter_map(|object| {
            let read = serde_json::to_value(object.as_ref()).and_then(serde_json::from_value);
            read.map_err(|error| {
                let name = object.metadata.name.as_deref().unwrap_or_default();
                warn!(kind, name, %error, "passing over an unreadable object");
            })
            .ok()
        })
        .collect()
}
