//! Leader election on a Lease, with the reference's lock name and timings (O-810, O-471, R-822).
//!
//! Like the reference, a standby does not trust the holder's clock: a lease counts as expired when
//! nobody has changed it for its whole duration, measured here.

use std::time::Duration;

use glidepath_clock::Clock;
use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::resource::collection;
use crate::server::{ApiServer, Fence, RequestError};

/// How the lease is held.
#[derive(Clone, Debug)]
pub struct LeaseOptions {
    /// Whether to elect at all; without, this process leads from the start.
    pub elect: bool,
    /// Namespace of the lease.
    pub namespace: String,
    /// Name of the lease.
    pub name: String,
    /// Who we are: `<hostname>_<uuid>`.
    pub identity: String,
    /// How long a lease stands without renewal.
    pub duration: Duration,
    /// How long the leader tries to renew before it gives up.
    pub renew_deadline: Duration,
    /// Between two tries.
    pub retry_period: Duration,
}

impl LeaseOptions {
    /// The reference's timings for a lease in `namespace`, suffixed by the instance when there is one.
    #[must_use]
    pub fn new(namespace: &str, instance_id: &str, identity: &str) -> Self {
        let name = glidepath_api::names::LEADER_LEASE;
        Self {
            elect: true,
            namespace: namespace.to_owned(),
            name: if instance_id.is_empty() { name.to_owned() } else { format!("{name}-{instance_id}") },
            identity: identity.to_owned(),
            duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
        }
    }
}

/// A lease as it was last read, and since when it has not changed.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenLease {
    /// The stored object.
    pub object: Value,
    /// When this version was first seen, by our own clock.
    pub since: Instant,
}

/// What to do about the lease.
#[derive(Clone, Debug, PartialEq)]
pub enum LeaseDecision {
    /// Create it: there is none.
    Create(Value),
    /// Write this over what was seen: we renew it, or take over.
    Take(Value),
    /// Somebody else holds it.
    Wait {
        /// Who.
        holder: String,
    },
}

/// Decides what to do about the lease, given what was seen of it.
#[must_use]
pub fn decide_lease(
    seen: Option<&SeenLease>,
    me: &LeaseOptions,
    now: Timestamp,
    instant: Instant,
) -> LeaseDecision {
    let Some(seen) = seen else {
        return LeaseDecision::Create(json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": me.name, "namespace": me.namespace},
            "spec": spec(me, now, now, 0),
        }));
    };
    let spec_of = |field: &str| seen.object.get("spec").and_then(|spec| spec.get(field));
    let holder = spec_of("holderIdentity").and_then(Value::as_str).unwrap_or_default();
    let mut object = seen.object.clone();
    if holder == me.identity {
        let acquired = spec_of("acquireTime").and_then(|time| time.as_str()?.parse().ok()).unwrap_or(now);
        let transitions = spec_of("leaseTransitions").and_then(Value::as_i64).unwrap_or_default();
        object["spec"] = spec(me, acquired, now, transitions);
        return LeaseDecision::Take(object);
    }
    let seconds = spec_of("leaseDurationSeconds").and_then(Value::as_u64);
    let duration = seconds.map_or(me.duration, Duration::from_secs);
    if !holder.is_empty() && instant.saturating_duration_since(seen.since) < duration {
        return LeaseDecision::Wait { holder: holder.to_owned() };
    }
    let transitions = spec_of("leaseTransitions").and_then(Value::as_i64).unwrap_or_default();
    object["spec"] = spec(me, now, now, transitions + 1);
    LeaseDecision::Take(object)
}

fn spec(me: &LeaseOptions, acquired: Timestamp, renewed: Timestamp, transitions: i64) -> Value {
    json!({
        "holderIdentity": me.identity,
        "leaseDurationSeconds": me.duration.as_secs(),
        "acquireTime": micro_time(acquired),
        "renewTime": micro_time(renewed),
        "leaseTransitions": transitions,
    })
}

/// A time as Leases and Events carry it: microseconds, always six digits.
pub(crate) fn micro_time(time: Timestamp) -> String {
    format!("{time:.6}")
}

/// Takes and keeps the lease.
pub struct Elector {
    server: ApiServer,
    clock: Clock,
    options: LeaseOptions,
    fence: Fence,
    seen: Option<SeenLease>,
    waiting_for: Option<String>,
}

impl Elector {
    /// An elector that opens `fence` while it leads.
    #[must_use]
    pub fn new(server: ApiServer, clock: Clock, options: LeaseOptions, fence: Fence) -> Self {
        Self { server, clock, options, fence, seen: None, waiting_for: None }
    }

    /// Returns once this process leads.
    pub async fn acquire(&mut self) {
        if !self.options.elect {
            self.fence.open_until(Instant::now() + FOREVER);
            return;
        }
        let mut complained = false;
        loop {
            let started = Instant::now();
            match self.attempt().await {
                Ok(true) => {
                    self.fence.open_until(started + self.options.renew_deadline);
                    tracing::info!(
                        lease = self.options.name,
                        identity = self.options.identity,
                        "became the leader"
                    );
                    return;
                }
                Ok(false) => {}
                Err(error) if !complained => {
                    complained = true;
                    let Self { options: LeaseOptions { namespace, name, .. }, .. } = self;
                    tracing::error!(
                        error = %error,
                        "cannot take the lease {namespace}/{name}: {}; trying again", advice(&error)
                    );
                }
                Err(error) => tracing::debug!(error = %error, "cannot take the lease"),
            }
            tokio::time::sleep(self.options.retry_period).await;
        }
    }

    /// Renews the lease; returns only when it is lost.
    pub async fn keep(&mut self) {
        if !self.options.elect {
            return std::future::pending().await;
        }
        let mut renewed = Instant::now();
        loop {
            tokio::time::sleep(self.options.retry_period).await;
            let started = Instant::now();
            match self.attempt().await {
                Ok(true) => {
                    renewed = started;
                    self.fence.open_until(started + self.options.renew_deadline);
                }
                Ok(false) => break,
                Err(error) => tracing::warn!(error = %error, "cannot renew the lease; trying again"),
            }
            if renewed.elapsed() >= self.options.renew_deadline {
                break;
            }
        }
        self.fence.close();
        tracing::error!(lease = self.options.name, "lost the lease");
    }

    /// Gives the lease up after all work has ended, so that a successor need not wait (O-871).
    pub async fn release(&mut self) {
        self.fence.close();
        let Some(SeenLease { object, .. }) = self.seen.take().filter(|_| self.options.elect) else { return };
        if object.pointer("/spec/holderIdentity").and_then(Value::as_str) != Some(&self.options.identity) {
            return;
        }
        let mut released = object;
        released["spec"]["holderIdentity"] = json!("");
        released["spec"]["leaseDurationSeconds"] = json!(1);
        released["spec"]["renewTime"] = json!(micro_time(self.clock.now()));
        if let Err(error) = self.server.write_unfenced(Method::PUT, &self.path(), &released).await {
            tracing::debug!(error = %error, "could not give up the lease");
        }
    }

    fn path(&self) -> String {
        let leases = collection("coordination.k8s.io", "v1", "leases", &self.options.namespace);
        format!("{leases}/{}", self.options.name)
    }

    async fn attempt(&mut self) -> Result<bool, RequestError> {
        // The holder renews on what it wrote last; only a conflict makes it read again.
        let holds = self.seen.as_ref().is_some_and(|seen| {
            seen.object.pointer("/spec/holderIdentity").and_then(Value::as_str)
                == Some(&self.options.identity)
        });
        if !holds {
            self.look().await?;
        }
        match decide_lease(self.seen.as_ref(), &self.options, self.clock.now(), Instant::now()) {
            LeaseDecision::Create(object) => {
                let path = collection("coordination.k8s.io", "v1", "leases", &self.options.namespace);
                self.write(Method::POST, &path, &object).await
            }
            LeaseDecision::Take(object) => self.write(Method::PUT, &self.path(), &object).await,
            LeaseDecision::Wait { holder } => {
                if self.waiting_for.as_deref() != Some(&*holder) {
                    tracing::info!(lease = self.options.name, holder, "standing by");
                    self.waiting_for = Some(holder);
                }
                Ok(false)
            }
        }
    }

    async fn look(&mut self) -> Result<(), RequestError> {
        match self.server.get(&self.path()).await {
            Ok(object) => {
                if self.seen.as_ref().is_none_or(|seen| seen.object != object) {
                    self.seen = Some(SeenLease { object, since: Instant::now() });
                }
                Ok(())
            }
            Err(RequestError::Refused { code: 404, .. }) => {
                self.seen = None;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    async fn write(&mut self, method: Method, path: &str, object: &Value) -> Result<bool, RequestError> {
        match self.server.write_unfenced(method, path, object).await {
            Ok(object) => {
                self.seen = Some(SeenLease { object, since: Instant::now() });
                Ok(true)
            }
            Err(RequestError::Refused { code: 409, reason, .. }) => {
                // Somebody else wrote: a leader that finds another holder now has lost.
                self.seen = None;
                self.look().await?;
                let holder =
                    self.seen.as_ref().and_then(|seen| seen.object.pointer("/spec/holderIdentity")?.as_str());
                if holder == Some(&self.options.identity) && reason != "AlreadyExists" {
                    return Err(RequestError::Unreachable("the lease changed while renewing it".to_owned()));
                }
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}

/// Long enough for a process that holds no lease.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

fn advice(error: &RequestError) -> &'static str {
    match error.code() {
        0 => "the API server cannot be reached; check the address, the network and that it runs",
        401 => "the API server does not accept our credentials; check the kubeconfig or token",
        403 => "grant create, get and update on leases.coordination.k8s.io to this service account",
        404 => "create the namespace, or set POD_NAMESPACE to one that exists",
        _ => "the API server refused",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn me() -> LeaseOptions {
        LeaseOptions::new("argo-rollouts", "", "host_1")
    }

    fn now() -> Timestamp {
        "2026-01-01T00:00:00.5Z".parse().unwrap()
    }

    fn held_by(holder: &str, since: Instant) -> SeenLease {
        SeenLease {
            object: json!({"metadata": {"resourceVersion": "7"}, "spec": {"holderIdentity": holder,
                "leaseDurationSeconds": 15, "acquireTime": "2025-12-31T00:00:00.000000Z", "leaseTransitions": 3}}),
            since,
        }
    }

    #[test]
    fn the_lease_is_named_after_the_instance_r_009() {
        assert_eq!(me().name, "argo-rollouts-controller-lock");
        assert_eq!(LeaseOptions::new("n", "blue", "i").name, "argo-rollouts-controller-lock-blue");
    }

    #[test]
    fn a_missing_lease_is_created_with_the_reference_timings() {
        let LeaseDecision::Create(lease) = decide_lease(None, &me(), now(), Instant::now()) else { panic!() };
        assert_eq!(
            lease["spec"],
            json!({"holderIdentity": "host_1", "leaseDurationSeconds": 15, "leaseTransitions": 0,
                "acquireTime": "2026-01-01T00:00:00.500000Z", "renewTime": "2026-01-01T00:00:00.500000Z"})
        );
    }

    #[test]
    fn a_lease_of_another_is_taken_only_when_it_has_not_changed_for_its_whole_duration() {
        let start = Instant::now();
        for (holder, age_seconds, taken) in
            [("other", 0, false), ("other", 14, false), ("other", 15, true), ("", 0, true)]
        {
            let seen = held_by(holder, start);
            let decision = decide_lease(Some(&seen), &me(), now(), start + Duration::from_secs(age_seconds));
            match decision {
                LeaseDecision::Take(lease) => {
                    assert!(taken, "{holder} {age_seconds}");
                    assert_eq!(lease["spec"]["leaseTransitions"], 4);
                    assert_eq!(lease["metadata"]["resourceVersion"], "7");
                }
                other => assert!(!taken, "{holder} {age_seconds} {other:?}"),
            }
        }
    }

    #[test]
    fn renewing_keeps_the_time_of_acquisition_and_the_count_of_transitions() {
        let seen = held_by("host_1", Instant::now());
        let LeaseDecision::Take(lease) = decide_lease(Some(&seen), &me(), now(), Instant::now()) else {
            panic!()
        };
        assert_eq!(lease["spec"]["acquireTime"], "2025-12-31T00:00:00.000000Z");
        assert_eq!(lease["spec"]["leaseTransitions"], 3);
        assert_eq!(lease["spec"]["renewTime"], "2026-01-01T00:00:00.500000Z");
    }
}
