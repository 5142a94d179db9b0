//! From caches to snapshots: the only reader. Whatever a decision may look at is fetched here.
//!
//! Everything comes from the caches, except: runs that a status names but the cache lacks, pods
//! while a restart is pending, Secrets by name, and objects whose cached copy is known
//! to be older than a write of ours.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use glidepath_api::{
    AnalysisRun, AnalysisTemplateRef, AnalysisTemplateSpec, Experiment, Job, Pod, ReplicaSet, Rollout,
    Service,
};
use glidepath_clock::Clock;
use glidepath_core::analysis::templates::{Catalog, reachable};
use glidepath_core::experiment::service_name;
use glidepath_core::rollout::ephemeral::{self, PodsInRole};
use glidepath_core::rollout::workload;
use glidepath_core::snapshot::{AnalysisSnapshot, ExperimentSnapshot, Failure, RolloutSnapshot, Settings};
use glidepath_core::traffic::{RouterKind, RouterObservation};
use glidepath_traffic::{ObjectRef, Seen};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;

use crate::apply::Write;
use crate::cache::{Awaited, Caches};
use crate::measure::Measurer;
use crate::object::{ObjectKey, Stored};
use crate::references;
use crate::resource::{Kind, collection};
use crate::routers;
use crate::server::{ApiServer, RequestError};
use crate::watch::encode;

/// How long the values of a Secret are trusted before they are read again.
const SECRET_AGE: Duration = Duration::from_secs(10);

/// Why a snapshot could not be gathered.
#[derive(Debug, thiserror::Error)]
pub enum GatherError {
    /// The object does not fit its type.
    #[error("{kind} {key} does not have the expected form: {source}")]
    Malformed {
        /// Kind of the object.
        kind: &'static str,
        /// The object.
        key: ObjectKey,
        /// What does not fit.
        source: serde_json::Error,
    },
    /// A direct read failed.
    #[error("cannot read {what}")]
    Unread {
        /// What was to be read.
        what: String,
        /// Why it failed.
        source: RequestError,
    },
    /// The kind is not cached yet.
    #[error("waiting for the first list of {0}")]
    NotSynced(&'static str),
}

impl GatherError {
    /// Whether another try may help; see [`RequestError::may_pass`].
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::Unread { source, .. } if source.may_pass())
    }
}

/// Objects read directly because the cache was late; each counts until the cache is as new.
pub type Overlay = HashMap<(Kind, ObjectKey), Direct>;

/// The outcome of a direct read.
#[derive(Clone, Debug)]
pub enum Direct {
    /// The object as it is.
    Found(Stored),
    /// The object is gone; if the cache still has one with this uid, it is late.
    Gone(Arc<str>),
}

/// What one key remembers from one decision to the next.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// Writes of the previous round that were refused.
    pub failures: Vec<Failure>,
    /// Objects that were read directly.
    pub overlay: Overlay,
    /// Writes that the caches lack and that could not be read directly either: nothing is decided before they are seen.
    pub unseen: Vec<Write>,
    /// Metadata that every pod of a set was seen to carry, by uid of the set: it need not be looked for again.
    pub pods_in_role: BTreeMap<String, String>,
    /// What was warned of and lasts.
    pub told: Vec<String>,
}

/// Caches, corrected by direct reads.
pub(crate) struct View<'a> {
    caches: &'a Caches,
    overlay: &'a Overlay,
}

impl View<'_> {
    fn get(&self, kind: Kind, key: &ObjectKey) -> Option<Stored> {
        match self.overlay.get(&(kind, key.clone())) {
            Some(Direct::Found(direct))
                if !self.caches.includes(kind, key, &Awaited::Reached(direct.version)) =>
            {
                Some(direct.clone())
            }
            Some(Direct::Gone(uid)) => self.caches.get(kind, key).filter(|cached| cached.uid != *uid),
            _ => self.caches.get(kind, key),
        }
    }

    fn owned_by(&self, kind: Kind, owner: &str) -> Vec<(ObjectKey, Stored)> {
        let mut found = self.caches.owned_by(kind, owner);
        for (of, key) in self.overlay.keys() {
            if *of == kind && !found.iter().any(|(known, _)| known == key) {
                found.extend(self.caches.get(kind, key).map(|stored| (key.clone(), stored)));
                if !found.iter().any(|(known, _)| known == key)
                    && let Some(Direct::Found(direct)) = self.overlay.get(&(kind, key.clone()))
                {
                    found.push((key.clone(), direct.clone()));
                }
            }
        }
        found
            .into_iter()
            .filter_map(|(key, _)| self.get(kind, &key).map(|stored| (key, stored)))
            .filter(|(_, stored)| &*stored.owner == owner)
            .collect()
    }

    pub(crate) fn decode<T: DeserializeOwned>(
        &self,
        kind: Kind,
        key: &ObjectKey,
    ) -> Result<Option<T>, GatherError> {
        self.get(kind, key).map(|stored| decode(kind, key, &stored)).transpose()
    }

    fn decode_owned<T: DeserializeOwned>(&self, kind: Kind, owner: &str) -> Result<Vec<T>, GatherError> {
        let owned = self.owned_by(kind, owner);
        owned.iter().map(|(key, stored)| decode(kind, key, stored)).collect()
    }
}

fn decode<T: DeserializeOwned>(kind: Kind, key: &ObjectKey, stored: &Stored) -> Result<T, GatherError> {
    let malformed = |source| GatherError::Malformed { kind: kind.name(), key: key.clone(), source };
    stored.decode().map_err(malformed)
}

type Templates = BTreeMap<String, AnalysisTemplateSpec>;

#[derive(Deserialize)]
struct TemplateObject {
    #[serde(default)]
    spec: AnalysisTemplateSpec,
}

struct ReadSecret {
    at: Instant,
    data: Result<BTreeMap<String, String>, String>,
}

/// Gathers snapshots.
pub struct Gatherer {
    pub(crate) server: ApiServer,
    pub(crate) caches: Arc<Caches>,
    pub(crate) clock: Clock,
    pub(crate) settings: Settings,
    pub(crate) versions: Mutex<HashMap<Kind, String>>,
    secrets: Mutex<HashMap<(String, String), ReadSecret>>,
    /// Since when the first list of a kind of workload is waited for.
    pub(crate) first_waits: Mutex<HashMap<Kind, Instant>>,
}

impl Gatherer {
    /// A gatherer over the caches of `server`.
    #[must_use]
    pub fn new(server: ApiServer, caches: Arc<Caches>, clock: Clock, settings: Settings) -> Self {
        let (versions, secrets, first_waits) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { server, caches, clock, settings, versions, secrets, first_waits }
    }

    /// The version in which a kind is used.
    #[must_use]
    pub fn version(&self, kind: Kind) -> String {
        let versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        versions.get(&kind).cloned().unwrap_or_else(|| kind.default_version().to_owned())
    }

    /// Path of an object in the version in which its kind is used.
    #[must_use]
    pub fn path(&self, kind: Kind, key: &ObjectKey) -> String {
        kind.path(&self.version(kind), &key.namespace, &key.name)
    }

    /// Gathers what a Rollout's decision may look at; `None` when the Rollout is gone.
    ///
    /// # Errors
    /// See [`GatherError`].
    pub async fn gather_rollout(
        &self,
        key: &ObjectKey,
        memory: &mut Memory,
    ) -> Result<Option<RolloutSnapshot>, GatherError> {
        let Memory { failures, overlay, pods_in_role, told, .. } = memory;
        let view = View { caches: &self.caches, overlay };
        let Some(rollout) = view.decode::<Rollout>(Kind::Rollout, key)? else { return Ok(None) };
        let uid = rollout.metadata.uid.clone();
        let workload = self.gather_workload(&view, &rollout)?;
        let resolved = workload::resolved(&rollout, workload.as_ref());
        let replica_sets = gather_replica_sets(&view, &resolved)?;
        let services = gather_services(&view, key, references::service_names(&rollout))?;
        let (analysis_templates, cluster_analysis_templates) =
            gather_templates(&view, key, &references::rollout_templates(&rollout))?;
        let mut analysis_runs: Vec<AnalysisRun> = view.decode_owned(Kind::AnalysisRun, &uid)?;
        self.add_named(Kind::AnalysisRun, key, runs_in_status(&rollout), &mut analysis_runs, |run| {
            &run.metadata.name
        })
        .await?;
        let mut experiments: Vec<Experiment> = view.decode_owned(Kind::Experiment, &uid)?;
        let named = BTreeSet::from([rollout.status.canary.current_experiment.clone()]);
        self.add_named(Kind::Experiment, key, named, &mut experiments, |experiment| {
            &experiment.metadata.name
        })
        .await?;
        let routers = self.observe_routers(&view, &rollout)?;
        let roles = ephemeral::pods_in_role(&resolved, &replica_sets);
        pods_in_role.retain(|set, _| roles.iter().any(|role| role.set == *set));
        let is_due = |role: &PodsInRole| {
            pods_in_role.get(&role.set) != Some(&role.metadata) && (role.changing || role.settled)
        };
        let pods = if is_restart_pending(&rollout) || roles.iter().any(is_due) {
            self.fetch_pods(&resolved, &replica_sets).await?
        } else {
            vec![]
        };
        for role in roles.into_iter().filter(|role| role.settled && is_due(role)).collect::<Vec<_>>() {
            if ephemeral::carry_role(&resolved, &replica_sets, &role.set, &pods) {
                pods_in_role.insert(role.set, role.metadata);
            }
        }
        Ok(Some(RolloutSnapshot {
            now: self.clock.now(),
            settings: self.settings.clone(),
            workload,
            replica_sets,
            services,
            routers,
            analysis_templates,
            cluster_analysis_templates,
            analysis_runs,
            experiments,
            pods,
            failures: failures.clone(),
            told: told.clone(),
            others_waiting: 0,
            rollout,
        }))
    }

    /// Gathers what an AnalysisRun's decision may look at; `None` when the run is gone.
    ///
    /// # Errors
    /// See [`GatherError`].
    pub async fn gather_analysis(
        &self,
        key: &ObjectKey,
        memory: &Memory,
        measurer: &Measurer,
    ) -> Result<Option<AnalysisSnapshot>, GatherError> {
        let view = View { caches: &self.caches, overlay: &memory.overlay };
        let Some(run) = view.decode::<AnalysisRun>(Kind::AnalysisRun, key)? else { return Ok(None) };
        let is_over = run.status.phase.is_some_and(glidepath_api::AnalysisPhase::completed);
        let secrets = if is_over { BTreeMap::new() } else { self.fetch_secrets(&run).await? };
        let known = measurer.of(key, &run.metadata.uid);
        let jobs: Vec<Job> = view.decode_owned(Kind::Job, &run.metadata.uid)?;
        Ok(Some(AnalysisSnapshot {
            now: self.clock.now(),
            settings: self.settings.clone(),
            secrets,
            answers: known.answers,
            in_flight: known.in_flight,
            jobs,
            job_pods: Vec::new(),
            failures: memory.failures.clone(),
            run,
        }))
    }

    /// Gathers what an Experiment's decision may look at; `None` when the Experiment is gone.
    ///
    /// # Errors
    /// See [`GatherError`].
    pub async fn gather_experiment(
        &self,
        key: &ObjectKey,
        memory: &Memory,
    ) -> Result<Option<ExperimentSnapshot>, GatherError> {
        let view = View { caches: &self.caches, overlay: &memory.overlay };
        let Some(experiment) = view.decode::<Experiment>(Kind::Experiment, key)? else { return Ok(None) };
        let uid = experiment.metadata.uid.clone();
        let (analysis_templates, cluster_analysis_templates) =
            gather_templates(&view, key, &references::experiment_templates(&experiment))?;
        let mut analysis_runs: Vec<AnalysisRun> = view.decode_owned(Kind::AnalysisRun, &uid)?;
        let named = experiment.status.analysis_runs.iter().map(|run| run.analysis_run.clone()).collect();
        self.add_named(Kind::AnalysisRun, key, named, &mut analysis_runs, |run| &run.metadata.name).await?;
        Ok(Some(ExperimentSnapshot {
            now: self.clock.now(),
            settings: self.settings.clone(),
            replica_sets: gather_experiment_sets(&view, &experiment)?,
            services: gather_services(&view, key, experiment_services(&view, &experiment))?,
            analysis_templates,
            cluster_analysis_templates,
            analysis_runs,
            failures: memory.failures.clone(),
            experiment,
        }))
    }

    /// Adds the objects that a status names and the cache lacks, read directly.
    async fn add_named<T: DeserializeOwned>(
        &self,
        kind: Kind,
        owner: &ObjectKey,
        names: BTreeSet<String>,
        known: &mut Vec<T>,
        name_of: impl Fn(&T) -> &String,
    ) -> Result<(), GatherError> {
        for name in names.into_iter().filter(|name| !name.is_empty()) {
            if known.iter().any(|object| *name_of(object) == name) {
                continue;
            }
            let key = ObjectKey { namespace: Arc::clone(&owner.namespace), name: name.as_str().into() };
            if let Some(stored) = self.caches.get(kind, &key) {
                known.push(decode(kind, &key, &stored)?);
            } else if let Some(stored) = self.fetch(kind, &key).await? {
                known.push(decode(kind, &key, &stored)?);
            }
        }
        Ok(())
    }

    /// Reads one object directly; `None` when it does not exist.
    pub(crate) async fn fetch(&self, kind: Kind, key: &ObjectKey) -> Result<Option<Stored>, GatherError> {
        match self.server.get(&self.path(kind, key)).await {
            Ok(document) => Ok(Stored::new(kind, document).map(|(_, stored)| stored)),
            Err(RequestError::Refused { code: 404, .. }) => Ok(None),
            Err(source) => Err(GatherError::Unread { what: format!("{} {key}", kind.name()), source }),
        }
    }

    fn observe_routers(
        &self,
        view: &View<'_>,
        rollout: &Rollout,
    ) -> Result<Vec<RouterObservation>, GatherError> {
        let mut observed = Vec::new();
        for (router, objects) in glidepath_traffic::routers(rollout) {
            let objects = self.router_documents(view, objects)?;
            observed.push(glidepath_traffic::read(&router, rollout, &objects));
        }
        Ok(observed)
    }

    fn router_documents(&self, view: &View<'_>, objects: Vec<ObjectRef>) -> Result<Vec<Seen>, GatherError> {
        let mut documents = Vec::new();
        for object in objects {
            let reference = routers::reference(&object);
            if !self.caches.is_synced(reference.kind) {
                return Err(GatherError::NotSynced(reference.kind.plural()));
            }
            let document: Option<Value> = view.decode(reference.kind, &reference.key)?;
            documents.push((object, document));
        }
        Ok(documents)
    }

    /// The objects of one router of a Rollout, for rendering onto them.
    pub(crate) fn router_objects(
        &self,
        rollout: &Rollout,
        router: &RouterKind,
        overlay: &Overlay,
    ) -> Result<Vec<Seen>, GatherError> {
        let view = View { caches: &self.caches, overlay };
        self.router_documents(&view, routers::objects_of(rollout, router))
    }

    async fn fetch_pods(&self, rollout: &Rollout, sets: &[ReplicaSet]) -> Result<Vec<Pod>, GatherError> {
        #[derive(Deserialize)]
        struct Pods {
            #[serde(default)]
            items: Vec<Pod>,
        }
        let namespace = &rollout.metadata.namespace;
        let selector =
            rollout.spec.selector.as_ref().and_then(|selector| selector.to_text().ok()).unwrap_or_default();
        let path = format!("{}?labelSelector={}", collection("", "v1", "pods", namespace), encode(&selector));
        let unread = |source| GatherError::Unread {
            what: format!("the pods of {namespace}/{}", rollout.metadata.name),
            source,
        };
        let body = self.server.get_bytes(&path).await.map_err(unread)?;
        let pods: Pods = serde_json::from_slice(&body).map_err(|error| unread(error.into()))?;
        let owners: BTreeSet<&str> = sets.iter().map(|set| set.metadata.uid.as_str()).collect();
        let is_ours =
            |pod: &Pod| pod.metadata.controller_of().is_some_and(|owner| owners.contains(owner.uid.as_str()));
        Ok(pods.items.into_iter().filter(is_ours).collect())
    }

    /// Values of a run's secret arguments. What is missing is an answer; what could not be asked
    /// is an error and is tried again.
    async fn fetch_secrets(
        &self,
        run: &AnalysisRun,
    ) -> Result<BTreeMap<String, Result<String, String>>, GatherError> {
        let mut values = BTreeMap::new();
        for argument in &run.spec.args {
            let from = argument.value_from.as_ref().and_then(|from| from.secret_key_ref.as_ref());
            let Some(secret) = from else { continue };
            let data = self.fetch_secret(&run.metadata.namespace, &secret.name).await?;
            let value = data.and_then(|data| {
                data.get(&secret.key)
                    .cloned()
                    .ok_or_else(|| format!("key '{}' does not exist in secret '{}'", secret.key, secret.name))
            });
            values.insert(argument.name.clone(), value);
        }
        Ok(values)
    }

    async fn fetch_secret(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Result<BTreeMap<String, String>, String>, GatherError> {
        let id = (namespace.to_owned(), name.to_owned());
        {
            let mut secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
            secrets.retain(|_, known| known.at.elapsed() < SECRET_AGE);
            if let Some(known) = secrets.get(&id) {
                return Ok(known.data.clone());
            }
        }
        let path = format!("{}/{name}", collection("", "v1", "secrets", namespace));
        let data = match self.server.get(&path).await {
            Ok(secret) => Ok(secret_data(&secret)),
            Err(RequestError::Refused { code: 403 | 404, message, .. }) => Err(message),
            Err(source) => {
                return Err(GatherError::Unread { what: format!("Secret {namespace}/{name}"), source });
            }
        };
        let read = ReadSecret { at: Instant::now(), data: data.clone() };
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner).insert(id, read);
        Ok(data)
    }
}

fn secret_data(secret: &Value) -> BTreeMap<String, String> {
    let data = secret.get("data").and_then(Value::as_object);
    data.into_iter()
        .flatten()
        .filter_map(|(key, value)| {
            let bytes: k8s_openapi::ByteString = serde_json::from_value(value.clone()).ok()?;
            Some((key.clone(), String::from_utf8_lossy(&bytes.0).into_owned()))
        })
        .collect()
}

/// A restart is wanted that no status records yet.
fn is_restart_pending(rollout: &Rollout) -> bool {
    let (wanted, done) = (rollout.spec.restart_at, rollout.status.restarted_at);
    wanted.is_some() && (done.is_none() || done < wanted)
}

fn runs_in_status(rollout: &Rollout) -> BTreeSet<String> {
    let (canary, blue_green) = (&rollout.status.canary, &rollout.status.blue_green);
    [
        &canary.current_step_analysis_run_status,
        &canary.current_background_analysis_run_status,
        &blue_green.pre_promotion_analysis_run_status,
        &blue_green.post_promotion_analysis_run_status,
    ]
    .into_iter()
    .flatten()
    .map(|run| run.name.clone())
    .collect()
}

/// The ReplicaSets a Rollout controls, and orphans that its selector matches.
fn gather_replica_sets(view: &View<'_>, rollout: &Rollout) -> Result<Vec<ReplicaSet>, GatherError> {
    let mut sets: Vec<ReplicaSet> = view.decode_owned(Kind::ReplicaSet, &rollout.metadata.uid)?;
    let Some(selector) = rollout.spec.selector.as_ref().filter(|selector| !selector.is_empty()) else {
        return Ok(sets);
    };
    for (key, stored) in view.owned_by(Kind::ReplicaSet, "") {
        if *key.namespace == *rollout.metadata.namespace {
            let set: ReplicaSet = decode(Kind::ReplicaSet, &key, &stored)?;
            if selector.matches(&set.metadata.labels) {
                sets.push(set);
            }
        }
    }
    Ok(sets)
}

fn gather_experiment_sets(view: &View<'_>, experiment: &Experiment) -> Result<Vec<ReplicaSet>, GatherError> {
    view.decode_owned(Kind::ReplicaSet, &experiment.metadata.uid)
}

/// Names of the Services an Experiment has, uses or would create.
fn experiment_services(view: &View<'_>, experiment: &Experiment) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = view
        .owned_by(Kind::Service, &experiment.metadata.uid)
        .into_iter()
        .map(|(key, _)| key.name.to_string())
        .collect();
    names.extend(experiment.status.template_statuses.iter().map(|status| status.service_name.clone()));
    let with_service = experiment.spec.templates.iter().filter(|template| template.service.is_some());
    names.extend(with_service.map(|template| service_name(experiment, template)));
    names.remove("");
    names
}

fn gather_services(
    view: &View<'_>,
    owner: &ObjectKey,
    names: BTreeSet<String>,
) -> Result<BTreeMap<String, Option<Service>>, GatherError> {
    let mut services = BTreeMap::new();
    for name in names {
        let key = ObjectKey { namespace: Arc::clone(&owner.namespace), name: name.as_str().into() };
        let service = view.decode(Kind::Service, &key)?;
        services.insert(name, service);
    }
    Ok(services)
}

/// The templates that references reach, directly or through other templates.
fn gather_templates(
    view: &View<'_>,
    owner: &ObjectKey,
    references: &[AnalysisTemplateRef],
) -> Result<(Templates, Templates), GatherError> {
    let (mut namespaced, mut cluster) = (Templates::new(), Templates::new());
    if references.is_empty() {
        return Ok((namespaced, cluster));
    }
    let mut tried = BTreeSet::new();
    loop {
        let wanted = reachable(references, Catalog { namespaced: &namespaced, cluster: &cluster });
        let fresh: Vec<_> = wanted.into_iter().filter(|id| tried.insert(id.clone())).collect();
        if fresh.is_empty() {
            return Ok((namespaced, cluster));
        }
        for id in fresh {
            let (kind, namespace, templates) = if id.cluster_scope {
                (Kind::ClusterAnalysisTemplate, "", &mut cluster)
            } else {
                (Kind::AnalysisTemplate, &*owner.namespace, &mut namespaced)
            };
            let key = ObjectKey::new(namespace, &id.name);
            if let Some(template) = view.decode::<TemplateObject>(kind, &key)? {
                templates.insert(id.name, template.spec);
            }
        }
    }
}
