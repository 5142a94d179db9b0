//! The story itself, chapter by chapter. It changes images and waits; what happens in between is the controller's.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use glidepath_api::{AnalysisPhase, Rollout, RolloutPhase, names};
use glidepath_dataplane::DataPlane;
use tokio::time::{sleep, timeout};

use super::judgement::FinalStates;
use super::ledger::{Chapter, Service};
use super::manifests::{
    CANARY_SERVICE, Gate, NAMESPACE, SHOP, WEB, render_image_patch, render_shop, render_web,
};
use super::users::Users;
use super::witness::Witness;
use super::world::World;

/// Requests per second to the canary service.
const WEB_RATE: u32 = 120;
/// Requests per second to the blue-green service.
const SHOP_RATE: u32 = 40;
/// A pause in which nothing happens but requests, so that people see what is there.
const LOOK_AROUND: Duration = Duration::from_secs(2);
/// How long pods may take to come or go.
const PODS: Duration = Duration::from_secs(45);
/// How long a release may take.
const RELEASE: Duration = Duration::from_secs(90);

/// Who takes part.
pub(crate) struct Cast<'a> {
    /// The cluster.
    pub world: &'a World,
    /// Who sees everything.
    pub witness: &'a Arc<Witness>,
    /// The proxy.
    pub dataplane: &'a DataPlane,
    /// Where it takes requests.
    pub proxy: SocketAddr,
    /// Who says how the canary does.
    pub gate: &'a Gate,
}

/// Users who go on sending requests after the story.
pub(crate) struct Crowd {
    web: Users,
    shop: Users,
}

impl Crowd {
    /// Sends everybody home and waits for the requests under way.
    pub(crate) async fn go_home(self) {
        tokio::join!(self.web.go_home(), self.shop.go_home());
    }
}

impl Cast<'_> {
    /// Tells the story to its end. The crowd is still there then.
    ///
    /// # Errors
    /// If a chapter does not come to its end in time, or the API server refuses something.
    pub(crate) async fn tell(&self) -> Result<(FinalStates, Crowd)> {
        let mut states = FinalStates::default();
        let web = self.tell_first().await?;
        self.tell_good(&mut states).await?;
        self.tell_bad(&mut states).await?;
        let shop = self.tell_shop().await?;
        self.tell_switch(&mut states).await?;
        self.witness.chapter(Chapter::End);
        Ok((states, Crowd { web, shop }))
    }

    async fn tell_first(&self) -> Result<Users> {
        self.witness.chapter(Chapter::First);
        let objects = render_web(self.gate).map_err(anyhow::Error::msg)?;
        self.world.create(&objects).await?;
        self.world.wait_for(WEB, "healthy", PODS, is_settled).await?;
        self.wait_routed(WEB, 5).await?;
        let users = Users::start(self.proxy, Service::Web, WEB_RATE, Arc::clone(self.witness));
        sleep(LOOK_AROUND).await;
        Ok(users)
    }

    async fn tell_good(&self, states: &mut FinalStates) -> Result<()> {
        self.witness.chapter(Chapter::Good);
        self.world.patch_rollout(WEB, &render_image_patch(WEB, "2")).await?;
        self.world.wait_for(WEB, "promoted to version 2", RELEASE, is_settled).await?;
        // Old pods go last; that they go unnoticed belongs to the promotion.
        let rollout = self.world.wait_gone(WEB, 5, PODS).await?;
        states.good_promoted = self.world.fetch_stable_version(&rollout).await? == "2";
        sleep(LOOK_AROUND).await;
        Ok(())
    }

    async fn tell_bad(&self, states: &mut FinalStates) -> Result<()> {
        self.witness.chapter(Chapter::Bad);
        self.world.patch_rollout(WEB, &render_image_patch(WEB, "3")).await?;
        let aborted =
            |rollout: &Rollout| rollout.status.abort && rollout.status.phase == Some(RolloutPhase::Degraded);
        self.world.wait_for(WEB, "aborted", RELEASE, aborted).await?;
        let rollout = self.world.wait_gone(WEB, 5, PODS).await?;
        let runs = self.world.fetch_analysis_runs().await?;
        states.bad_aborted_by_analysis = runs.iter().any(|run| {
            run.metadata.label(names::POD_TEMPLATE_HASH) == Some(rollout.status.current_pod_hash.as_str())
                && run.status.phase == Some(AnalysisPhase::Failed)
        });
        states.weight_after_abort = self.world.fetch_weight(WEB, CANARY_SERVICE).await?;
        states.stable_after_abort = self.world.fetch_stable_version(&rollout).await?;
        sleep(LOOK_AROUND).await;
        Ok(())
    }

    async fn tell_shop(&self) -> Result<Users> {
        self.witness.chapter(Chapter::ShopFirst);
        let objects = render_shop(&self.proxy.to_string()).map_err(anyhow::Error::msg)?;
        self.world.create(&objects).await?;
        self.world.wait_for(SHOP, "healthy", PODS, is_settled).await?;
        self.wait_routed(SHOP, 2).await?;
        let users = Users::start(self.proxy, Service::Shop, SHOP_RATE, Arc::clone(self.witness));
        sleep(LOOK_AROUND).await;
        Ok(users)
    }

    async fn tell_switch(&self, states: &mut FinalStates) -> Result<()> {
        self.witness.chapter(Chapter::Switch);
        self.world.patch_rollout(SHOP, &render_image_patch(SHOP, "2")).await?;
        let switched = |rollout: &Rollout| {
            let status = &rollout.status;
            is_settled(rollout) && status.blue_green.active_selector == status.current_pod_hash
        };
        self.world.wait_for(SHOP, "switched to version 2", RELEASE, switched).await?;
        let rollout = self.world.wait_gone(SHOP, 2, PODS).await?;
        let runs = self.world.fetch_analysis_runs().await?;
        states.preview_checked = runs.iter().any(|run| {
            run.metadata.is_controlled_by(&rollout.metadata.uid)
                && run.status.phase == Some(AnalysisPhase::Successful)
        });
        states.shop_switched = self.world.fetch_stable_version(&rollout).await? == "2";
        sleep(LOOK_AROUND).await;
        Ok(())
    }

    /// Waits until the proxy knows the pods behind a route.
    async fn wait_routed(&self, route: &str, pods: usize) -> Result<()> {
        let key = format!("{NAMESPACE}/{route}");
        let mut tables = self.dataplane.tables();
        let known = tables.wait_for(|table| {
            table
                .rules
                .iter()
                .any(|rule| rule.route == key && rule.backends.iter().any(|to| to.endpoints.len() == pods))
        });
        let waited = timeout(PODS, known).await;
        waited.with_context(|| format!("the proxy found no pods behind the route {route}"))?.map(drop)?;
        Ok(())
    }
}

/// Whether a Rollout is healthy and has nothing on trial.
fn is_settled(rollout: &Rollout) -> bool {
    let status = &rollout.status;
    status.phase == Some(RolloutPhase::Healthy)
        && status.observed_generation == rollout.metadata.generation.to_string()
        && !status.stable_rs.is_empty()
        && status.stable_rs == status.current_pod_hash
}
