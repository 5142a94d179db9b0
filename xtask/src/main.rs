//! Everyday commands, run as `cargo xtask <command>`.

fn main() {}
