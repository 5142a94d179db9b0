//! A control plane given by kubeconfig, on which some controller is already at work.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use async_trait::async_trait;
use kube::Client;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::GroupVersionKind;

use crate::metric_host::{Script, serve};
use crate::plane::Plane;

/// A real plane: wall-clock time, real HTTP metrics.
pub struct RealPlane {
    client: Client,
    kubeconfig: PathBuf,
    plugin: PathBuf,
    script: Script,
    host: String,
}

/// A client with the rights a kubeconfig gives.
///
/// # Errors
/// When the kubeconfig cannot be read or used.
pub async fn connect(kubeconfig: &Path) -> Result<Client> {
    let read = Kubeconfig::read_from(kubeconfig).with_context(|| format!("read {}", kubeconfig.display()))?;
    let config = kube::Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

impl RealPlane {
    /// Connects with the rights the kubeconfig gives; verbs go through the `plugin` program.
    ///
    /// # Errors
    /// When the kubeconfig cannot be used or the metric host cannot be bound.
    pub async fn connect(kubeconfig: &Path, plugin: &Path) -> Result<Self> {
        let (path, plugin) = (kubeconfig.to_path_buf(), plugin.to_path_buf());
        let client = connect(kubeconfig).await?;
        let script = Script::default();
        let host = serve(script.clone()).await?;
        Ok(Self { client, kubeconfig: path, plugin, script, host })
    }

    /// Takes a namespace away, without waiting for it to be gone.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn forget(&self, namespace: &str) -> Result<()> {
        let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Namespace"));
        let namespaces = Api::<DynamicObject>::all_with(self.client.clone(), &kind);
        namespaces.delete(namespace, &DeleteParams::background()).await?;
        Ok(())
    }
}

#[async_trait(?Send)]
impl Plane for RealPlane {
    fn client(&self) -> Client {
        self.client.clone()
    }

    fn metric_host(&self) -> String {
        self.host.clone()
    }

    fn script_metric(&self, path: &str, answers: Vec<(u16, String)>) {
        self.script.set(path, answers);
    }

    async fn plugin(&self, namespace: &str, words: &[String]) -> Result<String> {
        let output = tokio::process::Command::new(&self.plugin)
            .args(words)
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .args(["--namespace", namespace])
            .output()
            .await
            .with_context(|| format!("start {}", self.plugin.display()))?;
        if !output.status.success() {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            bail!("{}{}", text(&output.stdout), text(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(300)
    }
}
