//! The glidepath program.

fn main() {}
