//! The decisions: snapshot to plan to guard. No clock, no client, no runtime.
