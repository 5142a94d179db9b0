//! The stage: plane, controller, pods, proxy and, if there is one, Prometheus; set up and cleared away as one.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use glidepath_dataplane::{DataPlane, Listen};
use glidepath_kube::queue::Controller;
use tokio::task::JoinHandle;

use super::manifests::{CANARY_SERVICE, Gate, NAMESPACE, WEB};
use super::prometheus::Prometheus;
use super::witness::Witness;
use crate::ground::{Ground, Kubelet, Settings, local_images};

/// Everything that runs. Dropping it ends it at once; [`Stage::clear`] ends it in order.
pub(crate) struct Stage {
    ground: Ground,
    dataplane: DataPlane,
    prometheus: Option<Prometheus>,
    following: JoinHandle<()>,
    proxy: SocketAddr,
    kubeconfig: PathBuf,
}

impl Stage {
    /// Sets up everything, with files in `folder`.
    ///
    /// # Errors
    /// If something cannot be started; what was is ended again.
    pub(crate) async fn set_up(
        folder: &Path,
        prometheus: Option<&Path>,
        witness: &Arc<Witness>,
    ) -> Result<Self> {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let observer = Arc::clone(witness);
        let settings = Settings {
            address: loopback,
            data_dir: None,
            kubelet: Kubelet::Process(local_images()?),
            definitions: Vec::new(),
            controller: true,
            on_decision: Some(Arc::new(move |record| {
                let kind = match record.controller {
                    Controller::Rollouts => "rollout",
                    Controller::AnalysisRuns => "analysisrun",
                    Controller::Experiments => "experiment",
                    Controller::Services | Controller::DestinationRules | Controller::Ingresses => return,
                };
                observer.decision(kind, &record.key.name, record.plan);
            })),
        };
        let ground = Ground::start(settings).await?;
        let kubeconfig = folder.join("kubeconfig");
        ground.served().write_kubeconfig(&kubeconfig)?;
        let options = glidepath_dataplane::Options {
            listen: Listen::Fixed(loopback),
            admin: loopback,
            ..Default::default()
        };
        let client = ground.client("dataplane", NAMESPACE);
        let dataplane = DataPlane::spawn(client, ground.clock(), options).await?;
        let proxy = dataplane.addr().context("the proxy has no address")?;
        let prometheus = prometheus
            .map(|program| Prometheus::start(program, folder, dataplane.admin_addr()))
            .transpose()?;
        let following = tokio::spawn(follow_weights(dataplane.tables(), Arc::clone(witness)));
        let mut stage = Self { ground, dataplane, prometheus, following, proxy, kubeconfig };
        stage.dataplane.ready().await;
        if let Some(prometheus) = &mut stage.prometheus {
            prometheus.wait_scraped().await?;
        }
        Ok(stage)
    }

    /// The plane.
    pub(crate) fn ground(&self) -> &Ground {
        &self.ground
    }

    /// The proxy.
    pub(crate) fn dataplane(&self) -> &DataPlane {
        &self.dataplane
    }

    /// Where the proxy takes requests.
    pub(crate) fn proxy(&self) -> SocketAddr {
        self.proxy
    }

    /// Where the kubeconfig is.
    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Who says how the canary does.
    pub(crate) fn gate(&self) -> Gate {
        match &self.prometheus {
            Some(prometheus) => Gate::Prometheus { url: prometheus.url().to_owned() },
            None => Gate::Web { admin: self.dataplane.admin_addr().to_string() },
        }
    }

    /// Ends everything in order and waits until it has ended.
    pub(crate) async fn clear(self) {
        self.following.abort();
        self.dataplane.shutdown().await;
        if let Some(prometheus) = self.prometheus {
            prometheus.stop().await;
        }
        self.ground.stop().await;
    }
}

/// Notes every weight as it comes into force.
async fn follow_weights(
    mut tables: tokio::sync::watch::Receiver<Arc<glidepath_dataplane::routes::RoutingTable>>,
    witness: Arc<Witness>,
) {
    let route = format!("{NAMESPACE}/{WEB}");
    loop {
        let percent = {
            let table = tables.borrow_and_update();
            let rule = table.rules.iter().find(|rule| rule.route == route);
            rule.map(|rule| {
                let total: u64 = rule.backends.iter().map(|backend| backend.weight).sum();
                let canary = rule.backends.iter().filter(|backend| backend.service == CANARY_SERVICE);
                canary.map(|backend| backend.weight).sum::<u64>() * 100 / total.max(1)
            })
        };
        if let Some(percent) = percent {
            witness.weight(percent);
        }
        if tables.changed().await.is_err() {
            return;
        }
    }
}
