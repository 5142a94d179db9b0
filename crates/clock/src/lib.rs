//! One clock for everything that runs: the wall's, or tokio's paused one.
