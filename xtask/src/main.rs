//! Everyday commands, run as `cargo xtask <command>`.

mod r#gen;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((command, rest)) if command == "gen" => r#gen::run(rest),
        _ => anyhow::bail!("usage: cargo xtask gen [--check]"),
    }
}
