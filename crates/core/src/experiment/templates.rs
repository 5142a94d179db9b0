//! Templates: their ReplicaSets' sizes and what they amount to.

use std::collections::BTreeMap;

use glidepath_api::{ReplicaSet, TemplateSpec, TemplateStatus, TemplateStatusCode, names};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::replica_set::{belongs_to, build_replica_set, is_what_we_would_create, replica_set_name};
use super::round::Round;
use super::service::ServiceState;
use crate::analysis::after;
use crate::plan::{Action, BlockerOwner, EventType};

impl<'a> Round<'a> {
    /// The template that more than one ReplicaSet claims to be, if there is one.
    pub(super) fn ambiguous_template(&self) -> Option<&'a str> {
        let sets = |template: &str| {
            let snapshot = self.snapshot;
            snapshot.replica_sets.iter().filter(|set| belongs_to(&snapshot.experiment, template, set)).count()
        };
        self.experiment()
            .spec
            .templates
            .iter()
            .map(|template| template.name.as_str())
            .find(|name| sets(name) > 1)
    }

    /// The ReplicaSet of a template as seen.
    pub(super) fn set_of(&self, template: &str) -> Option<&'a ReplicaSet> {
        self.snapshot.replica_sets.iter().find(|set| belongs_to(self.experiment(), template, set))
    }

    /// Brings one template closer to what is wanted and records what it is.
    pub(super) fn reconcile_template(&mut self, template: &TemplateSpec) {
        let stored = self.status.template_statuses.iter().find(|status| status.name == template.name);
        let before = stored
            .cloned()
            .unwrap_or_else(|| TemplateStatus { name: template.name.clone(), ..TemplateStatus::default() });
        let mut status = before.clone();
        let is_over =
            |status: &TemplateStatus| status.status.as_ref().is_some_and(TemplateStatusCode::completed);
        let desired = if self.terminating || is_over(&before) { 0 } else { template.replicas() };
        let set = self.set_of(&template.name).cloned().or_else(|| self.adopted_set(template));
        match &set {
            Some(set) => {
                let service = self.reconcile_service(template, set, desired, &mut status);
                if desired == 0 {
                    self.shrink(template, set, &mut status);
                } else if service == ServiceState::Settled && set.replicas() != desired {
                    self.scale(template, set, desired, BTreeMap::new(), &mut status);
                }
            }
            None if self.terminating => {}
            None => self.create_set(template, &mut status),
        }
        count(&mut status, set.as_ref());
        if counts(&before) != counts(&status) {
            status.last_transition_time = Some(self.moment());
        }
        if !is_over(&status) {
            self.judge(template, desired, &mut status);
        }
        self.report(&before, &status);
        match self.status.template_statuses.iter_mut().find(|known| known.name == status.name) {
            Some(known) => *known = status,
            None => self.status.template_statuses.push(status),
        }
    }

    /// The ReplicaSet that was in the way when we created ours, and is ours.
    fn adopted_set(&self, template: &TemplateSpec) -> Option<ReplicaSet> {
        let refusal = self.refusal("createReplicaSet", &replica_set_name(self.experiment(), template))?;
        let existing: ReplicaSet = serde_json::from_value(refusal.existing.clone()?).ok()?;
        is_what_we_would_create(self.experiment(), template, &existing).then_some(existing)
    }

    fn create_set(&mut self, template: &TemplateSpec, status: &mut TemplateStatus) {
        let name = replica_set_name(self.experiment(), template);
        if let Some(refusal) = self.refusal("createReplicaSet", &name) {
            if refusal.reason == "AlreadyExists" {
                // The name stays the same whatever the count, so only a person can end this.
                status.collision_count = status.collision_count.or(Some(1));
                status.last_transition_time = status.last_transition_time.or(Some(self.moment()));
                let text = format!(
                    "a person to remove ReplicaSet {name}, which is not of template '{}'",
                    template.name
                );
                self.block("replica-set-in-the-way", text, BlockerOwner::Person, None);
                return;
            }
            let text = format!("Failed to create new replica set \"{name}\": {}", refusal.message);
            self.emit(EventType::Normal, "ReplicaSetCreateError", text);
            status.status = Some(TemplateStatusCode::Error);
            status.message =
                format!("Failed to create ReplicaSet for template '{}': {}", template.name, refusal.message);
            return;
        }
        let object = build_replica_set(self.experiment(), template, status.collision_count);
        self.plan.push("create-template-replica-set", Action::CreateReplicaSet { name, object });
        status.last_transition_time = Some(self.moment());
    }

    /// Takes a ReplicaSet down to nothing, after the delay. Until then it keeps its size.
    fn shrink(&mut self, template: &TemplateSpec, set: &ReplicaSet, status: &mut TemplateStatus) {
        let delay = self.experiment().scale_down_delay_seconds();
        let deadline = set.metadata.annotation(names::SCALE_DOWN_DEADLINE);
        if set.replicas() == 0 {
            return;
        }
        if delay == 0 {
            let removed =
                deadline.map(|_| (names::SCALE_DOWN_DEADLINE.to_owned(), None)).into_iter().collect();
            return self.scale(template, set, 0, removed, status);
        }
        let Some(deadline) = deadline else {
            let until = after(self.moment().timestamp(), SignedDuration::from_secs(i64::from(delay)));
            let patch = json!({"metadata": {"annotations": {names::SCALE_DOWN_DEADLINE: until.to_string()}}});
            let name = set.metadata.name.clone();
            self.plan.push("delay-scale-down", Action::PatchReplicaSet { name, patch });
            status.last_transition_time = Some(self.moment());
            return self.plan.wake_by(until);
        };
        match deadline.parse::<Timestamp>() {
            Ok(until) if until > self.now() => self.plan.wake_by(until),
            _ => self.scale(template, set, 0, BTreeMap::new(), status),
        }
    }

    fn scale(
        &mut self,
        template: &TemplateSpec,
        set: &ReplicaSet,
        to: i32,
        annotations: BTreeMap<String, Option<String>>,
        status: &mut TemplateStatus,
    ) {
        let (name, from) = (set.metadata.name.clone(), set.replicas());
        let direction = if from < to { "up" } else { "down" };
        if let Some(refusal) = self.refusal("scaleReplicaSet", &name) {
            let cause = &refusal.message;
            self.emit(
                EventType::Warning,
                "ReplicaSetUpdateError",
                format!("Failed to scale {name} {direction}: {cause}"),
            );
            status.status = Some(TemplateStatusCode::Error);
            status.message = format!(
                "Unable to scale ReplicaSet for template '{}' to desired replica count '{to}': {cause}",
                template.name
            );
            return;
        }
        let text = format!("Scaled {direction} ReplicaSet {name} from {from} to {to}");
        self.plan.push("scale-template", Action::ScaleReplicaSet { name, from, to, annotations });
        self.emit(EventType::Normal, "ScalingReplicaSet", text);
        status.last_transition_time = Some(self.moment());
    }

    /// What a template that is not completed has become.
    fn judge(&self, template: &TemplateSpec, desired: i32, status: &mut TemplateStatus) {
        status.status = Some(if desired == status.available_replicas {
            if self.has_passed() || self.terminating {
                TemplateStatusCode::Successful
            } else {
                TemplateStatusCode::Running
            }
        } else if self.now() > self.deadline_of(status) {
            status.message = format!(
                "Template '{}' exceeded its progressDeadlineSeconds ({})",
                template.name,
                self.experiment().progress_deadline_seconds()
            );
            TemplateStatusCode::Failed
        } else if self.terminating {
            TemplateStatusCode::Successful
        } else {
            TemplateStatusCode::Progressing
        });
    }

    fn report(&mut self, before: &TemplateStatus, status: &TemplateStatus) {
        let Some(now) = status.status.as_ref().filter(|_| before.status != status.status) else { return };
        let was = before.status.as_ref().map_or("", TemplateStatusCode::as_str);
        let mut text = format!("Template '{}' transitioned from {was} -> {now}", status.name);
        if !status.message.is_empty() {
            text = format!("{text}: {}", status.message);
        }
        let is_bad = matches!(now, TemplateStatusCode::Failed | TemplateStatusCode::Error);
        let event_type = if is_bad { EventType::Warning } else { EventType::Normal };
        self.emit(event_type, &format!("Template{now}"), text);
    }
}

fn count(status: &mut TemplateStatus, set: Option<&ReplicaSet>) {
    let seen = set.map(|set| set.status.clone()).unwrap_or_default();
    status.replicas = seen.replicas;
    status.updated_replicas = seen.replicas;
    status.ready_replicas = seen.ready_replicas;
    status.available_replicas = seen.available_replicas;
}

/// The counts whose change is progress.
pub(super) fn counts(status: &TemplateStatus) -> [i32; 4] {
    [status.replicas, status.updated_replicas, status.ready_replicas, status.available_replicas]
}
