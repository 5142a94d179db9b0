//! Every flag of the reference controller, as it stands (O-460 to O-484), and kubectl's connection flags (O-006).

use std::time::Duration;

use clap::{ArgAction, Args};

use super::connection::ConnectionFlags;

/// Flags of `glidepath controller`.
#[derive(Args, Debug)]
#[command(disable_version_flag = true)]
pub(crate) struct Flags {
    /// Watch one namespace only: --namespace, the kubeconfig context's or the pod's own.
    #[arg(long, value_parser = parse_bool, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false")]
    pub(crate) namespaced: bool,
    /// Only objects labelled for this instance; without it only objects without that label.
    #[arg(long, default_value = "")]
    pub(crate) instance_id: String,
    /// debug, info, warn or error.
    #[arg(long, default_value = "info")]
    pub(crate) loglevel: String,
    /// text or json.
    #[arg(long, default_value = "")]
    pub(crate) logformat: String,
    /// Verbosity of the client library's log.
    #[arg(long, short = 'v', default_value_t = 0)]
    pub(crate) kloglevel: u8,
    /// Port of /metrics.
    #[arg(long = "metricsPort", alias = "metricsport", default_value_t = 8090)]
    pub(crate) metrics_port: u16,
    /// Port of /healthz.
    #[arg(long = "healthzPort", default_value_t = 8080)]
    pub(crate) healthz_port: u16,
    /// Requests to the API server per second; unlike the reference's 40, the default is 500.
    #[arg(long)]
    pub(crate) qps: Option<f64>,
    /// Requests that may exceed --qps for a moment; 1000 unless given.
    #[arg(long)]
    pub(crate) burst: Option<u32>,
    /// Seconds after which every object is looked at again.
    #[arg(long, default_value_t = 900)]
    pub(crate) rollout_resync: i64,
    /// Elect a leader among the processes of this name.
    #[arg(long, value_parser = parse_bool, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "true")]
    pub(crate) leader_elect: bool,
    /// How long a lease stands without renewal.
    #[arg(long, value_parser = parse_duration, default_value = "15s")]
    pub(crate) leader_election_lease_duration: Duration,
    /// How long the leader tries to renew before it gives up.
    #[arg(long, value_parser = parse_duration, default_value = "10s")]
    pub(crate) leader_election_renew_deadline: Duration,
    /// Between two tries.
    #[arg(long, value_parser = parse_duration, default_value = "2s")]
    pub(crate) leader_election_retry_period: Duration,
    /// Version of Istio's kinds.
    #[arg(long, default_value = "v1alpha3")]
    pub(crate) istio_api_version: String,
    /// Run only these controllers; only analysis is known.
    #[arg(long, value_delimiter = ',')]
    pub(crate) controllers: Vec<String>,
    /// Record every decision (snapshot, plan, vetoes) as a file in this folder, for `glidepath replay`.
    #[arg(long)]
    pub(crate) decisions_dir: Option<std::path::PathBuf>,
    /// How many files --decisions-dir keeps; the oldest go first.
    #[arg(long, default_value_t = 1000)]
    pub(crate) decisions_keep: usize,
    /// Print the version and exit.
    #[arg(long, value_parser = parse_bool, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false")]
    pub(crate) version: bool,
    #[command(flatten)]
    pub(crate) without_effect: WithoutEffect,
    #[command(flatten)]
    pub(crate) connection: ConnectionFlags,
}

/// Flags that are accepted and change nothing in this build.
#[derive(Args, Debug)]
pub(crate) struct WithoutEffect {
    #[arg(long, hide = true)]
    rollout_threads: Option<i64>,
    #[arg(long, hide = true)]
    experiment_threads: Option<i64>,
    #[arg(long, hide = true)]
    analysis_threads: Option<i64>,
    #[arg(long, hide = true)]
    service_threads: Option<i64>,
    #[arg(long, hide = true)]
    ingress_threads: Option<i64>,
    #[arg(long, hide = true)]
    ephemeral_metadata_threads: Option<i64>,
    #[arg(long, hide = true)]
    ephemeral_metadata_update_pod_retries: Option<i64>,
    #[arg(long, alias = "alb-verify-weight", hide = true, value_parser = parse_bool, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    aws_verify_target_group: Option<bool>,
    #[arg(long, hide = true)]
    aws_target_group_binding_api_version: Option<String>,
    #[arg(long, hide = true)]
    alb_tag_key_resource_id: Option<String>,
    #[arg(long, hide = true)]
    alb_ingress_classes: Vec<String>,
    #[arg(long, hide = true)]
    nginx_ingress_classes: Vec<String>,
    #[arg(long, hide = true)]
    ingress_api_version: Option<String>,
    #[arg(long, hide = true)]
    ambassador_api_version: Option<String>,
    #[arg(long, hide = true)]
    traffic_split_api_version: Option<String>,
    #[arg(long, hide = true)]
    traefik_api_group: Option<String>,
    #[arg(long, hide = true)]
    traefik_api_version: Option<String>,
    #[arg(long, hide = true)]
    appmesh_crd_version: Option<String>,
    #[arg(long, hide = true, value_parser = parse_bool, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    self_service_notification_enabled: Option<bool>,
    #[arg(long, hide = true)]
    enable_pprof_address: Option<String>,
}

const WORKERS: &str = "one scheduler serves every queue";
const ROUTER: &str = "this router is not supported by this build";
const NOTIFICATIONS: &str = "notifications are not supported by this build";
const METADATA: &str = "pod metadata is changed as part of the plan";
const PROFILING: &str = "there is no such profile of this program";

impl WithoutEffect {
    /// The flags that were given, each with the reason why it has no effect.
    pub(crate) fn given(&self) -> Vec<(&'static str, &'static str)> {
        let flags = [
            ("--rollout-threads", self.rollout_threads.is_some(), WORKERS),
            ("--experiment-threads", self.experiment_threads.is_some(), WORKERS),
            ("--analysis-threads", self.analysis_threads.is_some(), WORKERS),
            ("--service-threads", self.service_threads.is_some(), WORKERS),
            ("--ingress-threads", self.ingress_threads.is_some(), WORKERS),
            ("--ephemeral-metadata-threads", self.ephemeral_metadata_threads.is_some(), METADATA),
            (
                "--ephemeral-metadata-update-pod-retries",
                self.ephemeral_metadata_update_pod_retries.is_some(),
                METADATA,
            ),
            ("--aws-verify-target-group", self.aws_verify_target_group.is_some(), ROUTER),
            (
                "--aws-target-group-binding-api-version",
                self.aws_target_group_binding_api_version.is_some(),
                ROUTER,
            ),
            ("--alb-tag-key-resource-id", self.alb_tag_key_resource_id.is_some(), ROUTER),
            ("--alb-ingress-classes", !self.alb_ingress_classes.is_empty(), ROUTER),
            ("--nginx-ingress-classes", !self.nginx_ingress_classes.is_empty(), ROUTER),
            ("--ingress-api-version", self.ingress_api_version.is_some(), ROUTER),
            ("--ambassador-api-version", self.ambassador_api_version.is_some(), ROUTER),
            ("--traffic-split-api-version", self.traffic_split_api_version.is_some(), ROUTER),
            ("--traefik-api-group", self.traefik_api_group.is_some(), ROUTER),
            ("--traefik-api-version", self.traefik_api_version.is_some(), ROUTER),
            ("--appmesh-crd-version", self.appmesh_crd_version.is_some(), ROUTER),
            (
                "--self-service-notification-enabled",
                self.self_service_notification_enabled.is_some(),
                NOTIFICATIONS,
            ),
            ("--enable-pprof-address", self.enable_pprof_address.is_some(), PROFILING),
        ];
        flags.into_iter().filter(|(_, given, _)| *given).map(|(flag, _, reason)| (flag, reason)).collect()
    }
}

/// A Go duration of at least 0.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let nanoseconds = glidepath_gocompat::duration::parse(text).map_err(|error| error.to_string())?;
    let nanoseconds = u64::try_from(nanoseconds).map_err(|_| "must not be negative".to_owned())?;
    Ok(Duration::from_nanos(nanoseconds))
}

/// A truth value as Go's flag packages read them.
pub(super) fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("\"{text}\" is neither true nor false")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        flags: Flags,
    }

    fn parse(arguments: &[&str]) -> Result<Flags, clap::Error> {
        Only::try_parse_from(std::iter::once(&"controller").chain(arguments)).map(|only| only.flags)
    }

    #[test]
    fn every_flag_of_the_reference_is_accepted_as_it_stands_o_460() {
        let flags = parse(
            &[
                "--namespaced",
                "--instance-id",
                "x",
                "--loglevel=debug",
                "--logformat",
                "json",
                "--kloglevel=5",
                "--metricsPort",
                "1",
                "--metricsport=8091",
                "--healthzPort=2",
                "--qps",
                "40",
                "--burst=80",
                "--rollout-resync",
                "60",
                "--rollout-threads=10",
                "--experiment-threads",
                "10",
                "--analysis-threads=30",
                "--service-threads=10",
                "--ingress-threads=10",
                "--ephemeral-metadata-threads=10",
                "--ephemeral-metadata-update-pod-retries=3",
                "--leader-elect=false",
                "--leader-election-lease-duration=15s",
                "--leader-election-renew-deadline",
                "10s",
                "--leader-election-retry-period=2s",
                "--aws-verify-target-group",
                "--aws-target-group-binding-api-version=v",
                "--alb-tag-key-resource-id=k",
                "--alb-ingress-classes=a",
                "--alb-ingress-classes=b",
                "--nginx-ingress-classes=n",
                "--ingress-api-version=networking/v1",
                "--istio-api-version=v1",
                "--ambassador-api-version=v",
                "--traffic-split-api-version=v",
                "--traefik-api-group=g",
                "--traefik-api-version=v",
                "--appmesh-crd-version=v",
                "--self-service-notification-enabled",
                "--controllers=analysis",
                "--enable-pprof-address=:1",
                "--kubeconfig=/k",
                "--context=c",
                "-n",
                "ns",
                "--server=https://s",
                "--as=u",
                "--as-group=g",
                "--token=t",
            ]
            .iter()
            .filter(|flag| **flag != "--metricsport=8091")
            .copied()
            .collect::<Vec<_>>(),
        );
        let flags = flags.unwrap();
        assert!(flags.namespaced && !flags.leader_elect);
        assert_eq!(flags.qps, Some(40.0));
        assert_eq!(flags.without_effect.given().len(), 20);
    }

    #[test]
    fn the_defaults_are_the_references_except_for_the_rate_limit() {
        let flags = parse(&[]).unwrap();
        assert_eq!((flags.metrics_port, flags.healthz_port, flags.rollout_resync), (8090, 8080, 900));
        assert_eq!(flags.leader_election_lease_duration, Duration::from_secs(15));
        assert!(flags.leader_elect && !flags.namespaced && flags.qps.is_none());
        assert_eq!(flags.without_effect.given(), []);
    }

    #[test]
    fn the_deprecated_spelling_and_bad_values_are_told_apart() {
        assert_eq!(parse(&["--metricsport=8091"]).unwrap().metrics_port, 8091);
        assert_eq!(parse(&["--alb-verify-weight"]).unwrap().without_effect.given().len(), 1);
        assert!(parse(&["--no-such-flag"]).is_err());
        assert!(parse(&["--leader-election-lease-duration=15"]).is_err());
        assert!(parse(&["--namespaced=maybe"]).is_err());
    }
}
