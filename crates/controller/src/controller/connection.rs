//! From kubectl's connection flags to a client, by client-go's rules (O-006, O-007).

use anyhow::{Context as _, Result};
use clap::Args;
use kube::Config;
use kube::config::{
    AuthInfo, Cluster, Context, KubeConfigOptions, Kubeconfig, NamedAuthInfo, NamedCluster, NamedContext,
};

use super::flags::parse_bool;

/// kubectl's connection flags.
#[derive(Args, Debug, Default, Clone)]
pub(crate) struct ConnectionFlags {
    /// The kubeconfig file; otherwise $KUBECONFIG, ~/.kube/config, or the pod's own account.
    #[arg(long)]
    kubeconfig: Option<std::path::PathBuf>,
    /// Context of the kubeconfig.
    #[arg(long)]
    context: Option<String>,
    /// Cluster of the kubeconfig.
    #[arg(long)]
    cluster: Option<String>,
    /// User of the kubeconfig.
    #[arg(long)]
    user: Option<String>,
    /// The namespace.
    #[arg(long, short = 'n')]
    namespace: Option<String>,
    /// Address of the API server.
    #[arg(long, short = 's')]
    server: Option<String>,
    /// Act as this user.
    #[arg(long = "as")]
    as_user: Option<String>,
    /// Act as a member of this group; may be repeated.
    #[arg(long)]
    as_group: Vec<String>,
    /// Act as the user with this uid.
    #[arg(long, hide = true)]
    as_uid: Option<String>,
    /// Without effect: nothing is cached in files.
    #[arg(long, hide = true)]
    cache_dir: Option<String>,
    /// Certificate of the authority that signs for the server.
    #[arg(long)]
    certificate_authority: Option<String>,
    /// Our certificate.
    #[arg(long)]
    client_certificate: Option<String>,
    /// Its key.
    #[arg(long)]
    client_key: Option<String>,
    /// Without effect: answers are never compressed.
    #[arg(long, hide = true, value_parser = parse_bool, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    disable_compression: Option<bool>,
    /// Do not verify the server's certificate.
    #[arg(long, value_parser = parse_bool, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    insecure_skip_tls_verify: Option<bool>,
    /// Without effect: requests have a time limit of their own.
    #[arg(long, hide = true)]
    request_timeout: Option<String>,
    /// Name the server's certificate must carry.
    #[arg(long)]
    tls_server_name: Option<String>,
    /// Bearer token.
    #[arg(long)]
    token: Option<String>,
    /// User name for basic authentication.
    #[arg(long)]
    username: Option<String>,
    /// Password for basic authentication.
    #[arg(long)]
    password: Option<String>,
    /// Proxy to the API server.
    #[arg(long)]
    proxy_url: Option<String>,
}

/// Reads the configuration of the connection.
///
/// # Errors
/// When there is none, or it cannot be read or used.
pub(crate) async fn load(flags: &ConnectionFlags) -> Result<Config> {
    let options = KubeConfigOptions {
        context: flags.context.clone(),
        cluster: flags.cluster.clone(),
        user: flags.user.clone(),
    };
    let mut config = match read(flags)? {
        Some(mut kubeconfig) => {
            override_kubeconfig(&mut kubeconfig, flags);
            Config::from_custom_kubeconfig(kubeconfig, &options).await.context("cannot use the kubeconfig")?
        }
        None => Config::incluster().context(
            "no kubeconfig (--kubeconfig, $KUBECONFIG, ~/.kube/config) and not inside a cluster either",
        )?,
    };
    if let Some(namespace) = &flags.namespace {
        config.default_namespace.clone_from(namespace);
    }
    // The client would ask again up to 15 times, for minutes, whenever a server answers 429: it would hold up an abort
    // behind an eviction that a disruption budget forbids. Decisions are tried again by the queue, with its backoff.
    config.default_retry = false;
    Ok(config)
}

/// The kubeconfig by client-go's rules; `None` when there is none.
fn read(flags: &ConnectionFlags) -> Result<Option<Kubeconfig>> {
    if let Some(path) = &flags.kubeconfig {
        let read = Kubeconfig::read_from(path).with_context(|| format!("cannot read {}", path.display()))?;
        return Ok(Some(read));
    }
    if let Some(read) = Kubeconfig::from_env().context("cannot read the files of $KUBECONFIG")? {
        return Ok(Some(read));
    }
    let home = std::env::home_dir().map(|home| home.join(".kube/config")).filter(|path| path.exists());
    match home {
        Some(path) => {
            let read =
                Kubeconfig::read_from(&path).with_context(|| format!("cannot read {}", path.display()))?;
            Ok(Some(read))
        }
        None if flags.server.is_some() => Ok(Some(Kubeconfig::default())),
        None => Ok(None),
    }
}

/// Puts the flags over what the kubeconfig says.
fn override_kubeconfig(kubeconfig: &mut Kubeconfig, flags: &ConnectionFlags) {
    const OURS: &str = "flags";
    let current = flags.context.clone().or_else(|| kubeconfig.current_context.clone());
    let known = current.as_ref().and_then(|current| {
        kubeconfig
            .contexts
            .iter()
            .find(|context| context.name == *current)
            .and_then(|context| context.context.clone())
    });
    if known.is_none() && flags.server.is_some() {
        kubeconfig.current_context = Some(OURS.to_owned());
        let context = Context { cluster: OURS.to_owned(), user: Some(OURS.to_owned()), ..Context::default() };
        kubeconfig.contexts.push(NamedContext {
            name: OURS.to_owned(),
            context: Some(context),
            ..Default::default()
        });
        let cluster =
            NamedCluster { name: OURS.to_owned(), cluster: Some(Cluster::default()), ..Default::default() };
        kubeconfig.clusters.push(cluster);
        let user = NamedAuthInfo {
            name: OURS.to_owned(),
            auth_info: Some(AuthInfo::default()),
            ..Default::default()
        };
        kubeconfig.auth_infos.push(user);
    }
    for cluster in kubeconfig.clusters.iter_mut().filter_map(|named| named.cluster.as_mut()) {
        replace(&mut cluster.server, flags.server.as_ref());
        replace(&mut cluster.insecure_skip_tls_verify, flags.insecure_skip_tls_verify.as_ref());
        replace(&mut cluster.tls_server_name, flags.tls_server_name.as_ref());
        replace(&mut cluster.proxy_url, flags.proxy_url.as_ref());
        if flags.certificate_authority.is_some() {
            cluster.certificate_authority_data = None;
            cluster.certificate_authority.clone_from(&flags.certificate_authority);
        }
    }
    for user in kubeconfig.auth_infos.iter_mut().filter_map(|named| named.auth_info.as_mut()) {
        replace(&mut user.username, flags.username.as_ref());
        replace(&mut user.impersonate, flags.as_user.as_ref());
        if let Some(token) = &flags.token {
            user.token = Some(token.clone().into());
        }
        if let Some(password) = &flags.password {
            user.password = Some(password.clone().into());
        }
        if !flags.as_group.is_empty() {
            user.impersonate_groups = Some(flags.as_group.clone());
        }
        if flags.client_certificate.is_some() {
            user.client_certificate_data = None;
            user.client_certificate.clone_from(&flags.client_certificate);
        }
        if flags.client_key.is_some() {
            user.client_key_data = None;
            user.client_key.clone_from(&flags.client_key);
        }
    }
}

fn replace<T: Clone>(field: &mut Option<T>, flag: Option<&T>) {
    if flag.is_some() {
        *field = flag.cloned();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_go_over_the_kubeconfig_and_can_replace_it() {
        let flags = ConnectionFlags {
            server: Some("https://s".to_owned()),
            as_user: Some("u".to_owned()),
            insecure_skip_tls_verify: Some(true),
            ..ConnectionFlags::default()
        };
        let mut kubeconfig = Kubeconfig::default();
        override_kubeconfig(&mut kubeconfig, &flags);
        let cluster = kubeconfig.clusters[0].cluster.as_ref().unwrap();
        assert_eq!(
            (cluster.server.as_deref(), cluster.insecure_skip_tls_verify),
            (Some("https://s"), Some(true))
        );
        assert_eq!(kubeconfig.auth_infos[0].auth_info.as_ref().unwrap().impersonate.as_deref(), Some("u"));
        assert_eq!(kubeconfig.current_context.as_deref(), Some("flags"));
    }
}
