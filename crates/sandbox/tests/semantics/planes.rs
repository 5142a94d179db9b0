//! The plane that is asked: the embedded one, or the one whose kubeconfig `GLIDEPATH_REAL_KUBECONFIG` names.

use std::path::PathBuf;

use glidepath_sandbox::Sandbox;
use glidepath_workloads::{Controller, Workloads};
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};

/// Clients of one plane.
pub struct Asked {
    pub admin: kube::Client,
    /// Without an identity.
    pub nobody: Option<kube::Client>,
    /// With a token that nobody was given.
    pub impostor: Option<kube::Client>,
    pub is_real: bool,
    _alive: Vec<Box<dyn std::any::Any>>,
}

impl Asked {
    /// The real plane if there is one, else the embedded one over HTTPS with its controllers.
    pub async fn with_controllers() -> Self {
        if let Some(real) = Self::real().await {
            return real;
        }
        let sandbox = Sandbox::builder().build().unwrap();
        let workloads =
            Workloads::builder(sandbox.client("workloads", "default")).controllers(Controller::ALL).spawn();
        let running = sandbox.serve(([127, 0, 0, 1], 0).into()).await.unwrap();
        let kubeconfig = Kubeconfig::from_yaml(&running.kubeconfig()).unwrap();
        let mut asked = Self::through(&kubeconfig, false).await;
        asked._alive = vec![Box::new(sandbox), Box::new(workloads), Box::new(running)];
        asked
    }

    async fn real() -> Option<Self> {
        let path = PathBuf::from(std::env::var_os("GLIDEPATH_REAL_KUBECONFIG")?);
        Some(Self::through(&Kubeconfig::read_from(path).unwrap(), true).await)
    }

    async fn through(kubeconfig: &Kubeconfig, is_real: bool) -> Self {
        // A second call would only say that it is there already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let identity = |info: AuthInfo| {
            let mut kubeconfig = kubeconfig.clone();
            for user in &mut kubeconfig.auth_infos {
                user.auth_info = Some(info.clone());
            }
            kubeconfig
        };
        let bad = AuthInfo { token: Some("nonsense".to_owned().into()), ..AuthInfo::default() };
        Self {
            admin: client(kubeconfig.clone()).await,
            nobody: Some(client(identity(AuthInfo::default())).await),
            impostor: Some(client(identity(bad)).await),
            is_real,
            _alive: Vec::new(),
        }
    }
}

async fn client(kubeconfig: Kubeconfig) -> kube::Client {
    let options = KubeConfigOptions::default();
    let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
    // An answer that asks to come again later is an answer.
    config.default_retry = false;
    kube::Client::try_from(config).unwrap()
}
