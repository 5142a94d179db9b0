//! The Service of a template, if it wants one (A-563, A-564, B-15).

use glidepath_api::cluster::Service;
use glidepath_api::{Experiment, ReplicaSet, TemplateSpec, TemplateStatus, TemplateStatusCode, names};
use glidepath_gocompat::fnv;
use serde_json::{Value, json};

use super::replica_set::{owner, ownership_annotations, replica_set_name};
use super::round::Round;
use crate::plan::Action;

/// The longest name a Service may have.
const NAME_LIMIT: usize = 63;

/// Name of the Service of a template that has one: as given, or that of the ReplicaSet, cut and marked with a hash
/// when it is too long for a Service (B-15).
#[must_use]
pub fn service_name(experiment: &Experiment, template: &TemplateSpec) -> String {
    let given = template.service.as_ref().map(|service| service.name.clone()).filter(|name| !name.is_empty());
    let name = given.unwrap_or_else(|| replica_set_name(experiment, template));
    if name.len() <= NAME_LIMIT {
        return name;
    }
    let hash = format!("{:08x}", fnv::fnv1a_32(name.as_bytes()));
    let end = name.floor_char_boundary(NAME_LIMIT - hash.len() - 1);
    let start = name.get(..end).unwrap_or_default().trim_end_matches(['-', '.']);
    format!("{start}-{hash}")
}

/// Whether growing may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServiceState {
    /// The Service is there, on its way, or not wanted.
    Settled,
    /// An old Service of that name has to go first.
    Waiting,
}

impl Round<'_> {
    /// Creates, waits for or deletes the Service of a template whose ReplicaSet exists.
    pub(super) fn reconcile_service(
        &mut self,
        template: &TemplateSpec,
        set: &ReplicaSet,
        desired: i32,
        status: &mut TemplateStatus,
    ) -> ServiceState {
        if template.service.is_some() && desired > 0 {
            return self.ensure_service(template, set, status);
        }
        if template.service.is_none() || set.status.available_replicas == 0 {
            self.remove_service(template, status);
        }
        ServiceState::Settled
    }

    fn ensure_service(
        &mut self,
        template: &TemplateSpec,
        set: &ReplicaSet,
        status: &mut TemplateStatus,
    ) -> ServiceState {
        let name = service_name(self.experiment(), template);
        let fail = |status: &mut TemplateStatus, cause: &str| {
            status.status = Some(TemplateStatusCode::Error);
            status.message =
                format!("Failed to create Service {name} for template '{}': {cause}", template.name);
        };
        // A Service that was in the way of ours may not have reached the caches yet.
        let refusal = self.refusal("createService", &name);
        let found =
            refusal.and_then(|refusal| serde_json::from_value::<Service>(refusal.existing.clone()?).ok());
        match self.snapshot.services.get(&name).and_then(Option::as_ref).or(found.as_ref()) {
            Some(service) if self.owns(template, service) => {}
            Some(service) if is_leaving(service) => {
                let text = format!("the earlier Service {name} to be gone");
                self.block("service-in-the-way", text, crate::plan::BlockerOwner::Cluster, None);
                return ServiceState::Waiting;
            }
            Some(_) => {
                let cause = format!(
                    "service {name} already exists and is not owned by experiment template {}",
                    template.name
                );
                fail(status, &cause);
                return ServiceState::Settled;
            }
            None => {
                if let Some(refusal) = refusal {
                    fail(status, &refusal.message);
                    return ServiceState::Settled;
                }
                let ports = ports(&set.spec.template);
                if ports.is_empty() {
                    fail(status, "its pod template declares no container ports");
                    return ServiceState::Settled;
                }
                let object = self.build_service(template, &name, set, ports);
                self.plan
                    .push("create-template-service", Action::CreateService { name: name.clone(), object });
            }
        }
        status.service_name.clone_from(&name);
        status.pod_template_hash = set.pod_hash().to_owned();
        ServiceState::Settled
    }

    fn remove_service(&mut self, template: &TemplateSpec, status: &mut TemplateStatus) {
        let owned = self.snapshot.services.values().flatten().find(|service| self.owns(template, service));
        if let Some(service) = owned.filter(|service| !service.metadata.is_deleting()) {
            let name = service.metadata.name.clone();
            if let Some(refusal) = self.refusal("deleteService", &name) {
                status.status = Some(TemplateStatusCode::Error);
                status.message =
                    format!("Failed to delete Service for template '{}': {}", template.name, refusal.message);
                return;
            }
            let uid = service.metadata.uid.clone();
            self.plan.push("delete-template-service", Action::DeleteService { name, uid });
        }
        status.service_name.clear();
        status.pod_template_hash.clear();
    }

    fn owns(&self, template: &TemplateSpec, service: &Service) -> bool {
        let experiment = &self.experiment().metadata;
        let annotation = |key: &str| service.metadata.annotation(key);
        service.metadata.is_controlled_by(&experiment.uid)
            && annotation(names::EXPERIMENT_NAME) == Some(&experiment.name)
            && annotation(names::EXPERIMENT_TEMPLATE_NAME) == Some(&template.name)
    }

    fn build_service(
        &self,
        template: &TemplateSpec,
        name: &str,
        set: &ReplicaSet,
        ports: Vec<Value>,
    ) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {
                "name": name,
                "namespace": self.experiment().metadata.namespace,
                "annotations": ownership_annotations(self.experiment(), template),
                "ownerReferences": [owner(self.experiment())],
            },
            "spec": {"selector": set.metadata.labels, "ports": ports},
        })
    }
}

/// A Service on its way out, or of another Experiment, which deletes it when it has scaled down (B-15).
fn is_leaving(service: &Service) -> bool {
    let owner = service.metadata.controller_of();
    service.metadata.is_deleting() || owner.is_some_and(|owner| owner.kind == names::KIND_EXPERIMENT)
}

fn ports(pod_template: &Value) -> Vec<Value> {
    let containers = pod_template.pointer("/spec/containers").and_then(Value::as_array);
    let declared = containers
        .into_iter()
        .flatten()
        .flat_map(|container| container["ports"].as_array().into_iter().flatten());
    declared
        .map(|port| {
            let mut service_port =
                json!({"port": port["containerPort"], "targetPort": port["containerPort"]});
            for field in ["protocol", "name"] {
                if let Some(text) = port[field].as_str().filter(|text| !text.is_empty()) {
                    service_port[field] = Value::from(text);
                }
            }
            service_port
        })
        .collect()
}
