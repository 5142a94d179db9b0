//! What every router's test wants and sees.

#![allow(dead_code, reason = "each test file uses some of it")]

use glidepath_api::Rollout;
use glidepath_core::traffic::WantedTraffic;
use glidepath_traffic::{Seen, routers};
use serde_json::Value;

/// Out of 100, so much for the canary of the Rollout `shop` and the rest for stable.
pub fn wanted(canary_weight: i32) -> WantedTraffic {
    WantedTraffic {
        max_weight: 100,
        canary_weight,
        stable_weight: 100 - canary_weight,
        additional: Vec::new(),
        canary_service: "shop-canary".to_owned(),
        stable_service: "shop-stable".to_owned(),
        canary_hash: "9d2b".to_owned(),
        stable_hash: "6f5c".to_owned(),
        routes: Vec::new(),
        managed_route_names: Vec::new(),
        routes_off: false,
    }
}

/// The objects of the Rollout's first router, as far as they are among `documents`.
pub fn seen(rollout: &Rollout, documents: &[Value]) -> Vec<Seen> {
    let (_, objects) = routers(rollout).remove(0);
    objects
        .into_iter()
        .map(|object| {
            let found = documents.iter().find(|document| {
                document["metadata"]["name"] == object.name.as_str() && document["kind"] == object.kind.name()
            });
            (object, found.cloned())
        })
        .collect()
}
