//! The model kubelet: no process runs, but pods live and die through the API as their specs say.
//!
//! It registers nodes, takes up the pods bound to them, and writes their statuses. Everything follows from
//! the spec where it can, and from annotations where a test wants more. It works under any clock and costs
//! one write per visible change.
//!
//! | What the pod says | What happens |
//! |---|---|
//! | nothing special | running and ready at once |
//! | `readinessProbe` | runs at the start and then once a period; ready with the first run not before the initial delay, with `successThreshold` t (t − 1) periods later |
//! | `readinessProbe.exec.command` that fails (`false`, `exit 1`) | never ready |
//! | `startupProbe` | runs once a period; started, and so ready, with the first run after the initial delay. If its command fails: stopped after its failure threshold |
//! | `livenessProbe.exec.command` that fails | stopped with the failing run that reaches the failure threshold, then restarted |
//! | `readinessGates` | Ready waits for the conditions, which somebody else writes |
//! | image whose name contains `does-not-exist`, `doesnotexist`, `nonexistent`, `non-existent`, `argo-error`, `not-found`; or tagged `error`, `missing`, `bad-image` | `ErrImagePull`, after 12 s `ImagePullBackOff`, `ErrImagePull` again after 24 s, 48 s, … 5 min; another image is tried at once |
//! | such an image with `imagePullPolicy: Never` | `ErrImageNeverPull` |
//! | image name that is not one (`Bad Image`, upper case, empty tag) | `InvalidImageName` for ever |
//! | `command[0]` containing `bad-command`, `does-not-exist`, `nonexistent`, `no-such`, `not-executable` or a blank | `RunContainerError` (exit code 128 `StartError`), then back-off; with `restartPolicy: Never` the pod fails |
//! | `sleep N`, `true`, `false`, `echo …`, or a shell sentence of these and `exit N` joined by `;`, `&&`, `\|\|` | runs that long and exits with that code |
//! | a shell sentence with `while`, `until`, `for`, `tail`, `sleep infinity` | runs until stopped |
//! | any other command, or none | runs until stopped under `restartPolicy: Always`; otherwise exits 0 at once |
//! | exit under `restartPolicy: Always` (or failing under `OnFailure`) | restarted at once, then after 10 s, 20 s, … 5 min, which show for 2 s as the ending and then as `CrashLoopBackOff`; forgotten after 10 good minutes |
//! | init containers, sidecars | one after the other; sidecars once started; sidecars end when the main containers have |
//! | `lifecycle.postStart` sleeping N | shows as `ContainerCreating` for N seconds |
//! | `lifecycle.postStart` whose command fails | the container is stopped: `PostStartHookError`, then back-off |
//! | `lifecycle.preStop` sleeping N | deletion takes N seconds, at most the grace period |
//! | deletion | a server ends with 0, a command that had not ended yet with 143, one that ignores SIGTERM with 137; likewise what a probe or a deadline stops |
//! | `activeDeadlineSeconds` | phase Failed, reason `DeadlineExceeded` |
//! | annotation `…/start-after: 3s` | containers start only then |
//! | annotation `…/ready-after: 5s` | ready that long after its start, whatever the probe says |
//! | annotation `…/never-ready: "true"` | never ready |
//! | annotation `…/unready-after: 30s` | not ready any more from then on |
//! | annotation `…/crash-after: 10s` | exits then, with `…/exit-code` or 1 |
//! | annotation `…/exit-after: 10s` | exits then, with `…/exit-code` or 0 |
//! | annotation `…/exit-code: "3"` | exits with this code whenever it exits |
//! | annotation `…/hang: "true"` | never exits |
//! | annotation `…/image-missing: "true"` | as an image that does not exist |
//! | annotation `…/start-error: "true"` | as a command that cannot start |
//! | annotation `…/config-error: "…"` | `CreateContainerConfigError` with this message |
//! | annotation `…/oom-after: 10s` | killed then for its memory: `OOMKilled`, 137 |
//! | annotation `…/stop-after: 5s` | takes that long to end once told to, at most the grace period |
//! | annotation `…/ignore-term: "true"` | takes the whole grace period and is killed |
//! | annotation `…/evict-after: 30s` | phase Failed, reason `Evicted`, condition `DisruptionTarget` |
//! | annotation `…/lost: "true"` of the Node | its kubelet falls silent until the annotation goes: after 50 s the node counts as lost ([`crate::controllers::node_lifecycle`]) |
//! | annotation `…/usage.cpu: 250m`, `…/usage.memory: 64Mi` | what the pod uses, for autoscalers ([`crate::controllers::autoscaler`]) |
//!
//! `…` stands for `sandbox.glidepath.dev`; `<name>.<container>` addresses one container. Annotations are
//! read again whenever the pod changes, so a running pod can be made to crash.
//!
//! It does not model: network or HTTP probes that fail, resource limits, volumes, ephemeral containers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::node::{NodeConfig, PodAddresses, is_lost, is_lost_by_name, is_on};
use super::pod_run::PodRun;
use super::report::{apply_pod_status, apply_removal};
use super::script::start_delay;
use super::status::plan_pod_status;
use crate::cache::Cache;
use crate::controllers::pod_set::is_finished;
use crate::controllers::{Context, pods_of_node, queue_own_keys};
use crate::object::{Key, Object};
use crate::queue::{Again, Queue};
use crate::resource::{NODES, PODS};

/// A departure that takes at least this long shows in the pod's status.
const SHOWN_DEPARTURE: SignedDuration = SignedDuration::from_secs(2);

/// The pods taken up, by UID.
#[derive(Default)]
struct Lives {
    runs: HashMap<String, PodRun>,
    by_key: HashMap<Key, String>,
    addresses: PodAddresses,
}

struct Kubelet {
    context: Context,
    pods: Arc<Cache>,
    known: Arc<Cache>,
    nodes: Vec<NodeConfig>,
    lives: Mutex<Lives>,
}

/// Runs the kubelet of `nodes` until it is dropped. The nodes themselves are registered by [`super::node::run`].
pub async fn run(context: Context, nodes: Vec<NodeConfig>) {
    let queue = Queue::new();
    let pods = context.hub.cache(&PODS);
    queue_own_keys(&pods, &queue);
    let known = context.hub.cache(&NODES);
    let (again, all) = (Arc::clone(&queue), Arc::clone(&pods));
    known.subscribe(move |change| {
        // A kubelet that is heard of again has much to tell.
        if let (Some(old), Some(new)) = (&change.old, &change.new)
            && is_lost(old)
            && !is_lost(new)
        {
            pods_of_node(&all, new.name()).for_each(|pod| again.add(pod.key()));
        }
    });
    pods.wait_synced().await;
    known.wait_synced().await;
    let kubelet = Kubelet { context, pods, known, nodes, lives: Mutex::default() };
    kubelet.lock().addresses.learn(&kubelet.pods);
    queue.drive(16, |key| kubelet.reconcile(key)).await;
}

impl Kubelet {
    fn lock(&self) -> MutexGuard<'_, Lives> {
        self.lives.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn reconcile(&self, key: Key) -> kube::Result<Again> {
        let Some(pod) = self.pods.get(&key).filter(|pod| is_on(pod, &self.nodes)) else {
            self.forget(&key);
            return Ok(None);
        };
        if is_lost_by_name(&self.known, pod.text("/spec/nodeName").unwrap_or_default()) {
            return Ok(None);
        }
        let now = self.context.clock.now();
        if pod.is_deleting()
            && let Some(leaves_at) = self.plan_departure(&pod, now)
        {
            if leaves_at <= now {
                return self.depart(&pod, now).await;
            }
            self.show_departure(&pod, leaves_at, now).await?;
            return Ok(self.context.again_at(Some(leaves_at)));
        }
        if is_finished(&pod) {
            return Ok(None);
        }
        let (status, next) = self.advance(&pod, now);
        apply_pod_status(&self.context, &self.pods, &pod, &status).await?;
        Ok(self.context.again_at(next))
    }

    fn forget(&self, key: &Key) {
        let mut lives = self.lock();
        if let Some(uid) = lives.by_key.remove(key) {
            lives.runs.remove(&uid);
            lives.addresses.release(&uid);
        }
    }

    /// Lets the pod live until `now`; returns the status it shows and when something happens next.
    fn advance(&self, pod: &Object, now: Timestamp) -> (Value, Option<Timestamp>) {
        let lives = &mut *self.lock();
        if lives.by_key.get(&pod.key()).is_some_and(|uid| uid != pod.uid()) {
            let stale = lives.by_key.remove(&pod.key()).unwrap_or_default();
            lives.runs.remove(&stale);
            lives.addresses.release(&stale);
        }
        lives.by_key.insert(pod.key(), pod.uid().to_owned());
        let run = lives.runs.entry(pod.uid().to_owned()).or_insert_with(|| PodRun::new(pod, now));
        run.refresh(pod);
        let mut next = run.advance(pod, now);
        while next.is_some_and(|next| next <= now) {
            next = run.advance(pod, now);
        }
        let host = self.nodes.iter().find(|node| Some(node.name.as_str()) == pod.text("/spec/nodeName"));
        let host = host.map(|node| node.address.to_string()).unwrap_or_default();
        let held_back = start_delay(pod) > Duration::ZERO
            && pod.text("/status/podIP").is_none()
            && run.is_held_back(pod, now);
        let address = if pod.flag("/spec/hostNetwork") {
            Some(host.clone())
        } else if held_back {
            None
        } else {
            lives.addresses.assign(pod.uid()).map(|address| address.to_string())
        };
        (plan_pod_status(pod, &run.facts(address, &host), now), next)
    }

    /// Shows that the deletion of a pod that takes its time was seen.
    async fn show_departure(&self, pod: &Object, leaves_at: Timestamp, now: Timestamp) -> kube::Result<()> {
        if leaves_at.duration_since(now) < SHOWN_DEPARTURE {
            return Ok(());
        }
        let status = self.lock().runs.get(pod.uid()).map(|run| {
            let address = pod.text("/status/podIP").map(str::to_owned);
            plan_pod_status(pod, &run.facts(address, pod.text("/status/hostIP").unwrap_or_default()), now)
        });
        match status {
            Some(status) => apply_pod_status(&self.context, &self.pods, pod, &status).await,
            None => Ok(()),
        }
    }

    /// When a pod that is to go has gone.
    fn plan_departure(&self, pod: &Object, now: Timestamp) -> Option<Timestamp> {
        let deletion = pod.deletion_time()?;
        let mut lives = self.lock();
        Some(lives.runs.get_mut(pod.uid()).map_or(now, |run| run.departure(deletion, grace_of(pod), now)))
    }

    /// Stops the pod and takes it from the API; one with finalizers shows its end first.
    async fn depart(&self, pod: &Object, now: Timestamp) -> kube::Result<Again> {
        if pod.finalizers().next().is_some() {
            if is_finished(pod) {
                return Ok(None);
            }
            if let Some(run) = self.lock().runs.get_mut(pod.uid()) {
                run.stop(grace_of(pod), now);
            }
            let (mut status, _) = self.advance(pod, now);
            if status["phase"] != "Failed" && status["phase"] != "Succeeded" {
                status["phase"] = json!("Failed");
            }
            return apply_pod_status(&self.context, &self.pods, pod, &status).await.map(|()| None);
        }
        apply_removal(&self.context, pod).await.map(|()| None)
    }
}

/// The grace of a pod that is being deleted.
fn grace_of(pod: &Object) -> Duration {
    let seconds =
        pod.integer("/metadata/deletionGracePeriodSeconds").and_then(|seconds| u64::try_from(seconds).ok());
    Duration::from_secs(seconds.unwrap_or(0))
}
