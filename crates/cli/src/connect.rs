//! From flags and kubeconfig to a client and a namespace, by client-go's rules (O-006, O-007).

use std::path::Path;
use std::time::Duration;

use glidepath_gocompat::duration;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};

use crate::arguments::Global;
use crate::failure::{Failure, chain};

/// How long to wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// A client and the namespace to work in.
///
/// # Errors
/// Says which file, context or flag cannot be used.
pub async fn connect(flags: &Global) -> Result<(Client, String), Failure> {
    // A second call finds the provider already there, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = load(flags).await?;
    apply_flags(&mut config, flags)?;
    let namespace = config.default_namespace.clone();
    let client = Client::try_from(config).map_err(|error| Failure::message(chain(&error)))?;
    Ok((client, namespace))
}

async fn load(flags: &Global) -> Result<Config, Failure> {
    let options = KubeConfigOptions {
        context: flags.context.clone(),
        cluster: flags.cluster.clone(),
        user: flags.user.clone(),
    };
    let read = match &flags.kubeconfig {
        Some(path) => Kubeconfig::read_from(Path::new(path)),
        None => Kubeconfig::read(),
    };
    let kubeconfig = match read {
        Ok(kubeconfig) => kubeconfig,
        Err(error) if flags.kubeconfig.is_none() && is_absent(&error) => {
            return without_kubeconfig(flags);
        }
        Err(error) => return Err(Failure::message(format!("cannot use the kubeconfig: {}", chain(&error)))),
    };
    Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .map_err(|error| Failure::message(format!("cannot use the kubeconfig: {}", chain(&error))))
}

fn is_absent(error: &KubeconfigError) -> bool {
    match error {
        KubeconfigError::FindPath => true,
        KubeconfigError::ReadConfig(error, _) => error.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    }
}

/// In a pod, the pod's own account; otherwise the server must be named.
fn without_kubeconfig(flags: &Global) -> Result<Config, Failure> {
    if let Ok(config) = Config::incluster() {
        return Ok(config);
    }
    if flags.server.is_some() {
        return Ok(Config::new(http::Uri::from_static("https://localhost")));
    }
    Err(Failure::message(
        "no cluster to talk to: no kubeconfig was found ($KUBECONFIG, ~/.kube/config) and this is not a pod; pass --kubeconfig FILE or set KUBECONFIG",
    ))
}

fn apply_flags(config: &mut Config, flags: &Global) -> Result<(), Failure> {
    if let Some(server) = &flags.server {
        let address = if server.contains("://") { server.clone() } else { format!("https://{server}") };
        config.cluster_url = address
            .parse()
            .map_err(|error| Failure::message(format!("invalid --server {server:?}: {error}")))?;
    }
    if let Some(namespace) = &flags.namespace {
        config.default_namespace.clone_from(namespace);
    }
    if let Some(path) = &flags.certificate_authority {
        config.root_cert = None;
        config.root_cert_file = Some(path.into());
    }
    config.accept_invalid_certs |= flags.insecure_skip_tls_verify;
    config.disable_compression |= flags.disable_compression;
    if let Some(name) = &flags.tls_server_name {
        config.tls_server_name = Some(name.clone());
    }
    let user = &mut config.auth_info;
    if let Some(path) = &flags.client_certificate {
        user.client_certificate_data = None;
        user.client_certificate = Some(path.clone());
    }
    if let Some(path) = &flags.client_key {
        user.client_key_data = None;
        user.client_key = Some(path.clone());
    }
    if let Some(token) = &flags.token {
        user.token_file = None;
        user.exec = None;
        user.token = Some(token.clone().into());
    }
    if flags.as_user.is_some() {
        user.impersonate.clone_from(&flags.as_user);
    }
    if flags.as_uid.is_some() {
        user.impersonate_uid.clone_from(&flags.as_uid);
    }
    if !flags.as_group.is_empty() {
        user.impersonate_groups = Some(flags.as_group.clone());
    }
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    let limit = parse_request_timeout(flags.request_timeout.as_deref().unwrap_or("0"))?;
    config.read_timeout = limit;
    config.write_timeout = limit;
    Ok(())
}

/// A Go duration or a number of seconds; zero means no limit.
fn parse_request_timeout(text: &str) -> Result<Option<Duration>, Failure> {
    let limit = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => duration::parse(text)
            .ok()
            .and_then(|nanoseconds| u64::try_from(nanoseconds).ok())
            .map(Duration::from_nanos)
            .ok_or_else(|| {
                Failure::message(format!(
                    "Invalid timeout value. Timeout must be a single integer in seconds, or an integer followed by a corresponding time unit (e.g. 1s | 2m | 3h), not {text:?}"
                ))
            })?,
    };
    Ok((!limit.is_zero()).then_some(limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_timeouts_are_seconds_or_durations() {
        assert_eq!(parse_request_timeout("0"), Ok(None));
        assert_eq!(parse_request_timeout("5"), Ok(Some(Duration::from_secs(5))));
        assert_eq!(parse_request_timeout("1m30s"), Ok(Some(Duration::from_secs(90))));
        assert!(parse_request_timeout("soon").is_err());
    }

    #[test]
    fn flags_win_over_the_kubeconfig_o_006() {
        let mut config = Config::new(http::Uri::from_static("https://old:1"));
        let flags = Global {
            server: Some("new:2".to_owned()),
            namespace: Some("shop".to_owned()),
            token: Some("t".to_owned()),
            as_user: Some("jo".to_owned()),
            as_group: vec!["dev".to_owned()],
            ..Global::default()
        };
        apply_flags(&mut config, &flags).unwrap();
        assert_eq!(config.cluster_url.to_string(), "https://new:2/");
        assert_eq!(config.default_namespace, "shop");
        assert_eq!(config.auth_info.impersonate.as_deref(), Some("jo"));
        assert_eq!(config.auth_info.impersonate_groups, Some(vec!["dev".to_owned()]));
        assert_eq!(config.read_timeout, None);
    }
}
