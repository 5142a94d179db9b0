//! Measures a controller as a process of its own, on the embedded plane or on one given by kubeconfig.
//!
//! Memory and processor time come from `/proc`; API calls from the API server's audit log, or on the embedded plane from
//! the controller's own counter `controller_clientset_k8s_request_total`, which the reference's controller has too.
//! Nothing here passes or fails on time.

mod audit;
mod calls;
mod controller;
mod figures;
mod load;
mod plane;
mod plans;
mod virtual_time;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use glidepath_clock::Clock;
use glidepath_scenarios::real::connect;
use kube::Client;
use serde_json::json;

use controller::Controller;
use figures::Figures;

const USAGE: &str = "\
Usage: cargo xtask bench [--real] [OPTIONS]

  --real                  measure on a real control plane (needs Go), brought up for it; a storm of 500
  --kubeconfig PATH       measure on this plane instead of the embedded one (the CRDs must be there)
  --own-kubeconfig PATH   what our own controller gets instead of that one, to work with its own rights
  --audit-log PATH        count calls in this audit log of the plane, not by the controller's metrics
  --controller-cmd CMD    measure this controller; it gets --kubeconfig, --metricsPort and --healthzPort
  --canaries N            complete 8-step canaries of 10 replicas (default 20)
  --idle N                idle rollouts of two revisions (default 1000)
  --storm N               rollouts of 2 replicas updated at once (default 100, with --real 500)
  --json PATH             where the figures go (default target/bench.json)
";

struct Options {
    kubeconfig: Option<PathBuf>,
    own_kubeconfig: Option<PathBuf>,
    audit_log: Option<PathBuf>,
    controller: Option<String>,
    canaries: usize,
    idle: usize,
    storm: usize,
    json: PathBuf,
}

fn parse_options() -> Result<Option<Options>> {
    let mut options = Options {
        kubeconfig: None,
        own_kubeconfig: None,
        audit_log: None,
        controller: None,
        canaries: 20,
        idle: 1000,
        storm: 100,
        json: PathBuf::from("target/bench.json"),
    };
    let mut args = std::env::args().skip(1);
    while let Some(flag) = args.next() {
        if flag == "--help" || flag == "-h" {
            return Ok(None);
        }
        let value = args.next().with_context(|| format!("{flag} needs a value"))?;
        match flag.as_str() {
            "--kubeconfig" => options.kubeconfig = Some(value.into()),
            "--own-kubeconfig" => options.own_kubeconfig = Some(value.into()),
            "--audit-log" => options.audit_log = Some(value.into()),
            "--controller-cmd" => options.controller = Some(value),
            "--canaries" => options.canaries = value.parse().context("--canaries takes a number")?,
            "--idle" => options.idle = value.parse().context("--idle takes a number")?,
            "--storm" => options.storm = value.parse().context("--storm takes a number")?,
            "--json" => options.json = value.into(),
            other => anyhow::bail!("unknown option {other}\n{USAGE}"),
        }
    }
    Ok(Some(options))
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let Some(options) = parse_options()? else {
        let _ = write!(std::io::stdout(), "{USAGE}");
        return Ok(());
    };
    let mut figures = Figures::default();
    if options.kubeconfig.is_none() {
        plans::measure(&mut figures);
        virtual_time::measure(&mut figures)?;
        plane::measure(&mut figures).await?;
    }

    let folder = tempfile::tempdir()?;
    let (client, kubeconfig, _plane) = match &options.kubeconfig {
        Some(path) => (connect(path).await?, path.clone(), None),
        None => {
            let plane = embedded(folder.path()).await?;
            (plane.0, plane.1, Some(plane.2))
        }
    };
    let own = options.own_kubeconfig.as_ref().filter(|_| options.controller.is_none());
    let mut controller = Controller::start(
        options.controller.as_deref(),
        own.unwrap_or(&kubeconfig),
        options.audit_log.clone(),
    )?;
    measure(&options, &client, &mut controller, &mut figures).await?;
    controller.stop().await?;

    let mut out = std::io::stdout();
    let _ = write!(out, "{}", figures.table());
    if let Some(parent) = options.json.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(&options.json, figures.json())?;
    let _ = writeln!(out, "written to {}", options.json.display());
    Ok(())
}

type Running = (Client, PathBuf, Box<dyn std::any::Any>);

/// The embedded plane with its workload controllers and one model node, over HTTPS.
async fn embedded(folder: &std::path::Path) -> Result<Running> {
    let plane = glidepath_scenarios::embedded::serve(Clock::system(), folder).await?;
    Ok((plane.client.clone(), plane.kubeconfig.clone(), Box::new(plane)))
}

async fn measure(
    options: &Options,
    client: &Client,
    controller: &mut Controller,
    figures: &mut Figures,
) -> Result<()> {
    for namespace in ["bench-canary", "bench-idle", "bench-storm", "argo-rollouts"] {
        load::create_namespace(client, namespace).await?;
    }
    let probe = load::Fleet::new(client, "bench-canary", "probe", 1, 1, &[]);
    probe.create().await?;
    probe.wait_healthy(1).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    figures.set("resident memory, empty", "MiB", controller.resident_mib()?);

    canaries(options, client, controller, figures).await?;
    idle(options, client, controller, figures).await?;
    storm(options, client, controller, figures).await
}

#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are small")]
async fn canaries(
    options: &Options,
    client: &Client,
    controller: &mut Controller,
    figures: &mut Figures,
) -> Result<()> {
    let weights = [5, 10, 20, 30, 40, 60, 80, 100];
    let fleet = load::Fleet::new(client, "bench-canary", "c", options.canaries, 10, &weights);
    fleet.create().await?;
    fleet.wait_healthy(1).await?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (cpu, calls) = (controller.cpu_seconds()?, controller.calls().await?);
    let begin = Instant::now();
    fleet.update(2).await?;
    fleet.wait_healthy(2).await?;
    let seconds = begin.elapsed().as_secs_f64();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let spent = controller.calls().await?.since(&calls);
    let count = options.canaries as f64;
    figures.set("8-step canary of 10: writes", "calls", spent.writes() / count);
    figures.set("8-step canary of 10: of which events", "calls", spent.of("events") / count);
    figures.set("8-step canary of 10: reads", "calls", spent.reads() / count);
    figures.set("8-step canary of 10: processor time", "s", (controller.cpu_seconds()? - cpu) / count);
    figures.set("8-step canary of 10: all converged after", "s", seconds);
    figures.note("calls per canary", json!(spent.per(count)));
    Ok(())
}

async fn idle(
    options: &Options,
    client: &Client,
    controller: &mut Controller,
    figures: &mut Figures,
) -> Result<()> {
    let fleet = load::Fleet::new(client, "bench-idle", "r", options.idle, 1, &[]);
    fleet.create().await?;
    fleet.wait_healthy(1).await?;
    fleet.update(2).await?;
    fleet.wait_healthy(2).await?;
    tokio::time::sleep(Duration::from_secs(20)).await;
    let name = format!("resident memory, {} idle rollouts of two revisions", options.idle);
    figures.set(&name, "MiB", controller.resident_mib()?);
    let (cpu, calls) = (controller.cpu_seconds()?, controller.calls().await?);
    tokio::time::sleep(Duration::from_secs(60)).await;
    figures.set("idle for a minute: share of a core", "%", (controller.cpu_seconds()? - cpu) / 60.0 * 100.0);
    let spent = controller.calls().await?.since(&calls);
    figures.set("idle for a minute: calls", "calls", spent.writes() + spent.reads());
    figures.note("calls of an idle minute", json!(spent.per(1.0)));
    restart(client, controller, figures).await
}

async fn restart(client: &Client, controller: &mut Controller, figures: &mut Figures) -> Result<()> {
    let before = controller.restart().await?;
    tokio::time::sleep(Duration::from_secs(25)).await;
    let spent = controller.calls().await?.since(&before);
    figures.set("restart: writes", "calls", spent.writes());
    figures.set("restart: processor time", "s", controller.cpu_seconds()?);
    figures.set("restart: resident memory", "MiB", controller.resident_mib()?);
    // One update shows that it is at work again, and what it costs then.
    let one = load::Fleet::new(client, "bench-idle", "r", 1, 1, &[]);
    let begin = Instant::now();
    one.update(3).await?;
    one.wait_healthy(3).await?;
    figures.set("restart: one update converged after", "s", begin.elapsed().as_secs_f64());
    tokio::time::sleep(Duration::from_secs(3)).await;
    let spent = controller.calls().await?.since(&before);
    figures.set("restart: writes, those of one update included", "calls", spent.writes());
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are small")]
async fn storm(
    options: &Options,
    client: &Client,
    controller: &mut Controller,
    figures: &mut Figures,
) -> Result<()> {
    let fleet = load::Fleet::new(client, "bench-storm", "s", options.storm, 2, &[50, 100]);
    fleet.create().await?;
    fleet.wait_healthy(1).await?;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let (cpu, calls) = (controller.cpu_seconds()?, controller.calls().await?);
    let begin = Instant::now();
    fleet.update(2).await?;
    fleet.wait_healthy(2).await?;
    let seconds = begin.elapsed().as_secs_f64();
    let spent = controller.calls().await?.since(&calls);
    figures.set(&format!("storm of {}: converged after", options.storm), "s", seconds);
    figures.set(&format!("storm of {}: processor time", options.storm), "s", controller.cpu_seconds()? - cpu);
    figures.set("storm: writes per rollout", "calls", spent.writes() / options.storm as f64);
    figures.set("storm: of which events", "calls", spent.of("events") / options.storm as f64);
    figures.set("storm: reads per rollout", "calls", spent.reads() / options.storm as f64);
    figures.set("resident memory at the end", "MiB", controller.resident_mib()?);
    figures.note("calls per rollout of the storm", json!(spent.per(options.storm as f64)));
    Ok(())
}
