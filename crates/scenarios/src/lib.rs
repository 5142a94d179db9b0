//! Given, when, then: release stories that name no control plane.
