//! A small HTTP proxy that follows Gateway API routes, Services and EndpointSlices and splits real requests.
