//! EndpointSlices: which addresses and ports stand behind a Service, and whether each is ready, serving or
//! terminating.
//!
//! Pods that a process kubelet runs on a loopback address publish their real ports in annotations
//! (`sandbox.glidepath.dev/port.<containerPort>`); such ports are what the slices then carry. Slices whose
//! endpoints have different ports are kept apart, because ports belong to a slice.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::pod_set::{is_finished, is_ready};
use super::{Context, GATHERING, render_merge};
use crate::api::{DeleteOptions, is_namespace_terminating, is_not_found};
use crate::cache::{Cache, Change};
use crate::object::{Key, Object, text};
use crate::queue::{Again, Queue};
use crate::resource::{ENDPOINT_SLICES, PODS, SERVICES};
use crate::selector::Selector;

/// Label that names a slice's Service.
pub const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// Label that names a slice's owner.
pub const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const MANAGER: &str = "endpointslice-controller.k8s.io";
/// Prefix of the annotations by which a pod says where a container port really listens.
pub const PORT_ANNOTATION: &str = "sandbox.glidepath.dev/port.";
const ENDPOINTS_PER_SLICE: usize = 100;

/// What a Service's slices need done.
#[derive(Debug, Default, PartialEq)]
pub struct Plan {
    /// Slices to create, whole documents.
    pub create: Vec<Value>,
    /// Slices to change, with the merge patch.
    pub patch: Vec<(Key, Value)>,
    /// Slices to delete.
    pub delete: Vec<Key>,
}

/// Decides how the slices of `service` must change, given the pods of its namespace and the slices it has.
#[must_use]
pub fn plan_slices(service: &Object, pods: &[Object], slices: &[Object]) -> Plan {
    let ours: Vec<&Object> = slices
        .iter()
        .filter(|slice| {
            slice.label(SERVICE_NAME) == Some(service.name())
                && slice.label(MANAGED_BY) == Some(MANAGER)
                && !slice.is_deleting()
        })
        .collect();
    let selector = Selector::from_map(service.at("/spec/selector"));
    let external = service.text("/spec/type") == Some("ExternalName");
    let Some(selector) = selector.filter(|_| !external && !service.is_deleting()) else {
        return Plan::default();
    };
    let mut wanted = group_endpoints(service, &selector, pods);
    if wanted.is_empty() {
        // A Service without endpoints keeps one empty slice that shows its ports.
        wanted.insert(Value::Null.to_string(), (Value::Null, Vec::new()));
    }
    let mut plan = Plan::default();
    let mut free = ours;
    let claimed: BTreeSet<String> = wanted.keys().cloned().collect();
    let ports_of = |slice: &Object| slice.at("/ports").cloned().unwrap_or_default();
    for (ports, endpoints) in wanted.into_values() {
        let mut chunks = endpoints.chunks(ENDPOINTS_PER_SLICE);
        let mut chunk = chunks.next().unwrap_or_default();
        loop {
            let same = free.iter().position(|slice| ports_of(slice) == ports);
            let best = same
                .or_else(|| free.iter().position(|slice| !claimed.contains(&ports_of(slice).to_string())));
            let content = json!({"endpoints": chunk, "ports": ports});
            match best {
                Some(index) => {
                    let slice = free.remove(index);
                    if let Some(patch) = render_merge(Some(slice.value()), &content) {
                        plan.patch.push((slice.key(), patch));
                    }
                }
                None => plan.create.push(render_slice(service, &content)),
            }
            match chunks.next() {
                Some(next) => chunk = next,
                None => break,
            }
        }
    }
    plan.delete = free.iter().map(|slice| slice.key()).collect();
    plan
}

fn render_slice(service: &Object, content: &Value) -> Value {
    let mut labels = json!({SERVICE_NAME: service.name(), MANAGED_BY: MANAGER});
    for (name, value) in service.labels().into_iter().flatten() {
        if labels.get(name).is_none() {
            labels[name] = value.clone();
        }
    }
    if service.text("/spec/clusterIP") == Some("None") {
        labels["service.kubernetes.io/headless"] = json!("");
    }
    json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "generateName": format!("{}-", service.name()),
            "namespace": service.namespace(),
            "labels": labels,
            "ownerReferences": [super::controller_reference(&SERVICES, service)],
        },
        "addressType": "IPv4",
        "endpoints": content["endpoints"],
        "ports": content["ports"],
    })
}

/// The endpoints of every matching pod, grouped by the ports they offer.
fn group_endpoints(
    service: &Object,
    selector: &Selector,
    pods: &[Object],
) -> BTreeMap<String, (Value, Vec<Value>)> {
    let publish_unready = service.flag("/spec/publishNotReadyAddresses");
    let mut groups: BTreeMap<String, (Value, Vec<Value>)> = BTreeMap::new();
    for pod in pods.iter().filter(|pod| selector.matches(pod.labels()) && !is_finished(pod)) {
        let Some(address) = pod.text("/status/podIP").filter(|address| !address.is_empty()) else { continue };
        let ports = Value::Array(ports_for(service, pod));
        let (_, endpoints) = groups.entry(ports.to_string()).or_insert_with(|| (ports, Vec::new()));
        let serving = is_ready(pod);
        let terminating = pod.is_deleting();
        endpoints.push(json!({
            "addresses": [address],
            "conditions": {
                "ready": publish_unready || (serving && !terminating),
                "serving": serving,
                "terminating": terminating,
            },
            "nodeName": pod.text("/spec/nodeName"),
            "targetRef": {"kind": "Pod", "namespace": pod.namespace(), "name": pod.name(), "uid": pod.uid()},
        }));
    }
    groups
}

/// The ports through which `service` reaches `pod`; one whose target the pod does not have is left out.
fn ports_for(service: &Object, pod: &Object) -> Vec<Value> {
    let mut ports = Vec::new();
    for port in service.list("/spec/ports") {
        let protocol = port.get("protocol").and_then(Value::as_str).unwrap_or("TCP");
        let target = match port.get("targetPort") {
            Some(Value::String(name)) => match named_port(pod, name, protocol) {
                Some(number) => number,
                None => continue,
            },
            Some(Value::Number(number)) if number.as_i64() != Some(0) => number.as_i64().unwrap_or(0),
            _ => port.get("port").and_then(Value::as_i64).unwrap_or(0),
        };
        let published =
            pod.annotation(&format!("{PORT_ANNOTATION}{target}")).and_then(|port| port.parse::<i64>().ok());
        let mut entry =
            json!({"name": text(port, "name"), "port": published.unwrap_or(target), "protocol": protocol});
        if let Some(protocol) = port.get("appProtocol").filter(|value| !value.is_null()) {
            entry["appProtocol"] = protocol.clone();
        }
        ports.push(entry);
    }
    ports
}

fn named_port(pod: &Object, name: &str, protocol: &str) -> Option<i64> {
    let ports = pod
        .list("/spec/containers")
        .iter()
        .flat_map(|container| container.get("ports").and_then(Value::as_array).into_iter().flatten());
    ports
        .filter(|port| {
            text(port, "name") == name
                && port.get("protocol").and_then(Value::as_str).unwrap_or("TCP") == protocol
        })
        .find_map(|port| port.get("containerPort").and_then(Value::as_i64))
}

/// What of a pod its endpoints depend on.
fn endpoint_facts(pod: &Object) -> impl PartialEq + '_ {
    (
        pod.uid(),
        pod.labels(),
        pod.text("/status/podIP"),
        is_ready(pod),
        is_finished(pod),
        pod.is_deleting(),
        pod.annotations()
            .map(|all| all.iter().filter(|(name, _)| name.starts_with(PORT_ANNOTATION)).collect::<Vec<_>>()),
    )
}

/// Services under one of the labels each selects by, so that a pod finds its few among many.
#[derive(Default)]
struct ServicesByLabel {
    index: HashMap<(String, String, String), BTreeMap<Key, Selector>>,
}

impl ServicesByLabel {
    fn note(&mut self, change: &Change) {
        let place = |service: &Object| {
            let (name, value) = service.at("/spec/selector")?.as_object()?.iter().next()?;
            Some((service.namespace().to_owned(), name.clone(), value.as_str()?.to_owned()))
        };
        if let Some(place) = change.old.as_ref().and_then(place)
            && let Some(services) = self.index.get_mut(&place)
        {
            services.retain(|key, _| change.old.as_ref().is_none_or(|old| old.key() != *key));
            if services.is_empty() {
                self.index.remove(&place);
            }
        }
        if let Some(service) = &change.new
            && let (Some(place), Some(selector)) =
                (place(service), Selector::from_map(service.at("/spec/selector")))
        {
            self.index.entry(place).or_default().insert(service.key(), selector);
        }
    }

    fn selecting(&self, pod: &Object) -> impl Iterator<Item = &Key> {
        let labels = pod.labels().into_iter().flatten();
        let places = labels.filter_map(|(name, value)| {
            self.index.get(&(pod.namespace().to_owned(), name.clone(), value.as_str()?.to_owned()))
        });
        places.flatten().filter(|(_, selector)| selector.matches(pod.labels())).map(|(key, _)| key)
    }
}

/// Runs the controller until it is dropped.
pub async fn run(context: Context) {
    let queue = Queue::new();
    let services = context.hub.cache(&SERVICES);
    let pods = context.hub.cache(&PODS);
    let slices = context.hub.cache(&ENDPOINT_SLICES);
    super::queue_own_keys(&services, &queue);
    super::queue_controllers(&slices, "Service", &queue);
    let by_label = Arc::new(Mutex::new(ServicesByLabel::default()));
    let index = Arc::clone(&by_label);
    services.subscribe(move |change| index.lock().unwrap_or_else(PoisonError::into_inner).note(change));
    let own = Arc::clone(&queue);
    pods.subscribe(move |change| {
        if change.old.as_ref().map(endpoint_facts) == change.new.as_ref().map(endpoint_facts) {
            return;
        }
        let index = by_label.lock().unwrap_or_else(PoisonError::into_inner);
        for pod in [&change.old, &change.new].into_iter().flatten() {
            // Pods that become ready together make one write.
            index.selecting(pod).for_each(|key| own.add_after(key.clone(), GATHERING));
        }
    });
    for cache in [&services, &pods, &slices] {
        cache.wait_synced().await;
    }
    queue.drive(4, |key| reconcile(&context, &services, &pods, &slices, key)).await;
}

async fn reconcile(
    context: &Context,
    services: &Cache,
    pods: &Cache,
    slices: &Cache,
    key: Key,
) -> kube::Result<Again> {
    // The slices of a deleted Service go with the garbage collector.
    let Some(service) = services.get(&key) else { return Ok(None) };
    let plan = plan_slices(&service, &pods.list(Some(&key.namespace)), &slices.controlled_by(service.uid()));
    let mut last = None;
    for body in &plan.create {
        match context.api.send_create(&ENDPOINT_SLICES, &key.namespace, body).await {
            Err(error) if is_namespace_terminating(&error) || is_not_found(&error) => return Ok(None),
            created => last = Some(created?),
        }
    }
    for (slice, patch) in &plan.patch {
        match context.api.send_patch(&ENDPOINT_SLICES, slice, None, patch).await {
            Err(error) if is_not_found(&error) => {}
            written => last = Some(written?),
        }
    }
    for slice in &plan.delete {
        match context.api.send_delete(&ENDPOINT_SLICES, slice, &DeleteOptions::default()).await {
            Err(error) if !is_not_found(&error) => return Err(error),
            _ => slices.wait_until(|| slices.get(slice).is_none()).await,
        }
    }
    if let Some(last) = last {
        slices.wait_for_echo(&last).await;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(change: impl FnOnce(&mut Value)) -> Object {
        let mut service = json!({
            "metadata": {"name": "web", "namespace": "n", "uid": "svc"},
            "spec": {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": "web"}]},
        });
        change(&mut service);
        service.into()
    }

    fn pod(name: &str, ready: bool, change: impl FnOnce(&mut Value)) -> Object {
        let mut pod = json!({
            "metadata": {"name": name, "namespace": "n", "uid": name, "labels": {"app": "web"}},
            "spec": {"nodeName": "node", "containers": [{"ports": [{"name": "web", "containerPort": 8080}]}]},
            "status": {"phase": "Running", "podIP": format!("10.244.0.{}", name.len()),
                "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}]},
        });
        change(&mut pod);
        pod.into()
    }

    fn conditions(plan: &Plan) -> Vec<(bool, bool, bool)> {
        let flag = |endpoint: &Value, name: &str| endpoint["conditions"][name].as_bool().unwrap();
        let endpoints = plan.create.iter().flat_map(|slice| slice["endpoints"].as_array().unwrap());
        endpoints
            .map(|endpoint| {
                (flag(endpoint, "ready"), flag(endpoint, "serving"), flag(endpoint, "terminating"))
            })
            .collect()
    }

    #[test]
    fn an_endpoint_is_ready_serving_or_terminating_as_its_pod_is() {
        let deleting = |pod: &mut Value| pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        let table = [
            ("ready", pod("a", true, |_| {}), Some((true, true, false))),
            ("unready", pod("a", false, |_| {}), Some((false, false, false))),
            ("terminating", pod("a", true, deleting), Some((false, true, true))),
            ("finished", pod("a", true, |pod| pod["status"]["phase"] = json!("Succeeded")), None),
            ("no address", pod("a", true, |pod| pod["status"]["podIP"] = Value::Null), None),
            ("other label", pod("a", true, |pod| pod["metadata"]["labels"] = json!({"app": "api"})), None),
        ];
        for (case, pod, expected) in table {
            let plan = plan_slices(&service(|_| {}), &[pod], &[]);
            assert_eq!(conditions(&plan).first().copied(), expected, "{case}");
            assert_eq!(plan.create.len(), 1, "{case}: even an empty Service has a slice");
        }
        let eager = service(|service| service["spec"]["publishNotReadyAddresses"] = json!(true));
        assert_eq!(conditions(&plan_slices(&eager, &[pod("a", false, |_| {})], &[])), [(true, false, false)]);
    }

    #[test]
    fn ports_are_named_numbered_defaulted_or_published_by_the_pod() {
        let target = |target: Value| service(|service| service["spec"]["ports"][0]["targetPort"] = target);
        let published = |pod: &mut Value| {
            pod["metadata"]["annotations"] = json!({"sandbox.glidepath.dev/port.8080": "34567"});
        };
        let table = [
            (
                target(json!("web")),
                pod("a", true, |_| {}),
                json!([{"name": "http", "port": 8080, "protocol": "TCP"}]),
            ),
            (
                target(json!(9090)),
                pod("a", true, |_| {}),
                json!([{"name": "http", "port": 9090, "protocol": "TCP"}]),
            ),
            (
                target(Value::Null),
                pod("a", true, |_| {}),
                json!([{"name": "http", "port": 80, "protocol": "TCP"}]),
            ),
            (target(json!("nope")), pod("a", true, |_| {}), json!([])),
            (
                target(json!("web")),
                pod("a", true, published),
                json!([{"name": "http", "port": 34567, "protocol": "TCP"}]),
            ),
        ];
        for (service, pod, ports) in table {
            assert_eq!(plan_slices(&service, &[pod], &[]).create[0]["ports"], ports);
        }
    }

    #[test]
    fn pods_with_different_ports_get_slices_of_their_own_and_spare_slices_go() {
        let published = |port: &'static str| {
            move |pod: &mut Value| {
                pod["metadata"]["annotations"] = json!({"sandbox.glidepath.dev/port.8080": port});
            }
        };
        let pods = [pod("a", true, published("1001")), pod("bb", true, published("1002"))];
        let plan = plan_slices(&service(|_| {}), &pods, &[]);
        assert_eq!(plan.create.len(), 2);
        let stored: Vec<Object> = plan
            .create
            .iter()
            .enumerate()
            .map(|(index, slice)| {
                let mut slice = slice.clone();
                slice["metadata"]["name"] = json!(format!("web-{index}"));
                slice.into()
            })
            .collect();
        assert_eq!(
            plan_slices(&service(|_| {}), &pods, &stored),
            Plan::default(),
            "nothing to do the second time"
        );
        let fewer = plan_slices(&service(|_| {}), &pods[1..], &stored);
        assert_eq!((fewer.create.len(), fewer.patch.len(), fewer.delete.len()), (0, 0, 1));
    }

    #[test]
    fn a_slice_takes_a_hundred_endpoints() {
        let pods: Vec<Object> = (0..250).map(|index| pod(&format!("p{index:03}"), true, |_| {})).collect();
        let sizes: Vec<usize> = plan_slices(&service(|_| {}), &pods, &[])
            .create
            .iter()
            .map(|slice| slice["endpoints"].as_array().unwrap().len())
            .collect();
        assert_eq!(sizes, [100, 100, 50]);
    }
}
