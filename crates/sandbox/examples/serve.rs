//! Serves a bare plane for trying `kubectl` against it:
//! `cargo run -p glidepath-sandbox --example serve -- KUBECONFIG [PORT] [DATA_FOLDER]`.

use std::path::PathBuf;

use glidepath_sandbox::Sandbox;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let kubeconfig = PathBuf::from(args.next().ok_or("usage: serve KUBECONFIG [PORT] [DATA_FOLDER]")?);
    let port: u16 = args.next().map_or(Ok(0), |port| port.parse())?;
    let sandbox = Sandbox::builder().data_dir(args.next().map(PathBuf::from)).build()?;
    let running = sandbox.serve(([127, 0, 0, 1], port).into()).await?;
    running.write_kubeconfig(&kubeconfig)?;
    tokio::signal::ctrl_c().await?;
    running.shutdown().await;
    Ok(())
}
