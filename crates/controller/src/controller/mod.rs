//! `glidepath controller`: the controllers against a cluster, with the reference's flags.

mod connection;
mod flags;
mod logs;

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use glidepath_clock::Clock;
use glidepath_core::snapshot::Settings;
use glidepath_kube::lease::LeaseOptions;
use glidepath_kube::queue::Controller;
use glidepath_kube::{DecisionRecord, Decisions, Observer, Options, RunError};
use glidepath_metrics::HttpSender;
use glidepath_replay::Recorder;

pub(crate) use flags::Flags;

/// Requests per second without `--qps`. The reference's 40 makes five hundred simultaneous updates wait
/// for minutes on the client alone; the server's own fairness is the better brake.
const DEFAULT_QPS: f64 = 500.0;
const DEFAULT_BURST: u32 = 1000;

/// Runs the controllers until a signal asks them to stop.
pub(crate) fn run(flags: Flags) -> ExitCode {
    if flags.version {
        let version = concat!("rollouts-controller: v", env!("CARGO_PKG_VERSION"), "\n");
        // A closed pipe is the reader's choice.
        let _ = std::io::stdout().write_all(version.as_bytes());
        return ExitCode::SUCCESS;
    }
    // One thread: the work is waiting for answers, and a second arena would cost more than it gives.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime.context("cannot start").and_then(|runtime| runtime.block_on(start(flags)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "Error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn start(flags: Flags) -> Result<()> {
    let format =
        if flags.logformat.eq_ignore_ascii_case("json") { logs::Format::Json } else { logs::Format::Text };
    logs::start(&flags.loglevel, format, flags.kloglevel).map_err(anyhow::Error::msg)?;
    if !matches!(flags.logformat.to_lowercase().as_str(), "" | "text" | "json") {
        tracing::info!("Unknown format: {}. Using text logformat", flags.logformat);
    }
    for (flag, reason) in flags.without_effect.given() {
        tracing::warn!("{flag} has no effect: {reason}");
    }
    // Fails only when a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = connection::load(&flags.connection).await?;
    let mut options = build_options(&flags, &config.default_namespace)?;
    let recorder = start_recorder(&flags)?;
    options.on_decision = recorder.clone().map(|recorder| {
        Arc::new(move |record: &DecisionRecord<'_>| recorder.record(record)) as Arc<Observer>
    });
    tracing::info!(server = %config.cluster_url, namespace = options.namespace, instance_id = flags.instance_id,
        "glidepath controller v{}", env!("CARGO_PKG_VERSION"));
    let client = kube::Client::try_from(config).context("cannot set up the connection to the API server")?;
    let sender =
        HttpSender::new().map_err(|error| anyhow::anyhow!("cannot set up metric requests: {error}"))?;
    let outcome =
        glidepath_kube::run(client, Clock::system(), options, Arc::new(sender), stop_signal()).await;
    match outcome {
        // Whoever runs this program starts it again; nothing was left undone that its successor will not do.
        Err(error @ RunError::LeaseLost(_)) => bail!(error),
        outcome => Ok(outcome?),
    }
}

/// Records decisions if asked to.
fn start_recorder(flags: &Flags) -> Result<Option<Arc<Recorder>>> {
    let Some(folder) = &flags.decisions_dir else { return Ok(None) };
    let recorder = Recorder::start(folder, flags.decisions_keep)?;
    tracing::info!(folder = %folder.display(), keep = flags.decisions_keep, "recording decisions");
    Ok(Some(Arc::new(recorder)))
}

fn build_options(flags: &Flags, default_namespace: &str) -> Result<Options> {
    let only = match flags.controllers.as_slice() {
        [] => None,
        names => {
            if let Some(unknown) = names.iter().find(|name| *name != "analysis") {
                bail!("unsupported controller: {unknown}");
            }
            Some(Controller::AnalysisRuns)
        }
    };
    let settings = Settings {
        instance_id: flags.instance_id.clone(),
        resync_seconds: flags.rollout_resync,
        verify_retry_seconds: environment_seconds("ROLLOUT_VERIFY_RETRY_INTERVAL").unwrap_or(10),
        prometheus_address: std::env::var("ARGO_ROLLOUTS_PROMETHEUS_ADDRESS").unwrap_or_default(),
    };
    // Only analysis is known, and it shares the lease whatever the instance (O-814).
    let lease_instance = if only.is_some() { "" } else { &flags.instance_id };
    let mut lease = LeaseOptions::new(&own_namespace(), lease_instance, &identity());
    lease.elect = flags.leader_elect;
    lease.duration = flags.leader_election_lease_duration;
    lease.renew_deadline = flags.leader_election_renew_deadline;
    lease.retry_period = flags.leader_election_retry_period;
    let everywhere = |port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    Ok(Options {
        namespace: if flags.namespaced { default_namespace.to_owned() } else { String::new() },
        settings,
        lease,
        qps: flags.qps.unwrap_or(DEFAULT_QPS),
        burst: flags.burst.unwrap_or(DEFAULT_BURST),
        metrics_address: Some(everywhere(flags.metrics_port)),
        health_address: Some(everywhere(flags.healthz_port)),
        istio_version: flags.istio_api_version.clone(),
        decisions: Decisions::default(),
        only,
        on_decision: None,
    })
}

/// A whole number of seconds in the environment; anything else counts as unset (O-486).
fn environment_seconds(name: &str) -> Option<i64> {
    std::env::var(name).ok()?.parse().ok().filter(|seconds| *seconds > 0)
}

/// The namespace this process runs in (O-485).
fn own_namespace() -> String {
    let account = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
    std::env::var("POD_NAMESPACE")
        .ok()
        .or_else(|| std::fs::read_to_string(account).ok().map(|text| text.trim().to_owned()))
        .filter(|namespace| !namespace.is_empty())
        .unwrap_or_else(|| "argo-rollouts".to_owned())
}

/// `<hostname>_<uuid>` (O-810).
fn identity() -> String {
    let host = std::env::var("HOSTNAME")
        .ok()
        .or_else(|| std::fs::read_to_string("/etc/hostname").ok())
        .map(|host| host.trim().to_owned())
        .filter(|host| !host.is_empty())
        .unwrap_or_else(|| "localhost".to_owned());
    let random = fastrand::u128(..);
    let version = (random & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let digits = format!("{version:032x}");
    let (a, b, c, d, e) = (&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]);
    format!("{host}_{a}-{b}-{c}-{d}-{e}")
}

/// Resolves at SIGTERM or SIGINT.
async fn stop_signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            return;
        }
    }
    // Without signals the process can only be killed.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_the_host_and_a_random_uuid_o_810() {
        let identity = identity();
        let uuid = identity.rsplit_once('_').unwrap().1;
        let lengths: Vec<usize> = uuid.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!(&uuid[14..15], "4");
        assert!(matches!(&uuid[19..20], "8" | "9" | "a" | "b"));
    }
}
