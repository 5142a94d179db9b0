//! Services: addresses, ports and families the server fills in, and what must stay.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use crate::call::Target;
use crate::document::{self, as_map, default_to, map_at, text};
use crate::names::{check_labels, is_dns_label, port_name_problems};
use crate::plane::Plane;
use crate::refusal::{Cause, Refusal, Reply};
use crate::store::Contents;

/// Cluster addresses come from 10.96.0.0/16, node ports from Kubernetes' own range.
const FIRST_NODE_PORT: u64 = 30_000;
const NODE_PORTS: u64 = 2_768;

/// Defaults and addresses of a new or replaced Service.
pub(crate) fn prepare(plane: &Plane, contents: &mut Contents, object: &mut Value, old: Option<&Value>) {
    let name = (document::namespace(object).to_owned(), document::name(object).to_owned());
    let spec = map_at(object, "spec");
    default_to(spec, "sessionAffinity", "None");
    default_to(spec, "type", "ClusterIP");
    if spec["sessionAffinity"] == "ClientIP" {
        let config = as_map(spec.entry("sessionAffinityConfig").or_insert_with(|| json!({})));
        let client = as_map(config.entry("clientIP").or_insert_with(|| json!({})));
        default_to(client, "timeoutSeconds", 10800);
    }
    for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        let port = as_map(port);
        default_to(port, "protocol", "TCP");
        let number = port.get("port").cloned().unwrap_or(json!(0));
        if matches!(port.get("targetPort"), None | Some(Value::Null))
            || port["targetPort"] == 0
            || port["targetPort"] == ""
        {
            port.insert("targetPort".into(), number);
        }
    }
    let kind = spec["type"].as_str().unwrap_or_default().to_owned();
    if kind == "ExternalName" {
        for key in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"] {
            spec.remove(key);
        }
    } else {
        default_to(spec, "internalTrafficPolicy", "Cluster");
        default_addresses(plane, contents, &name, spec, old);
    }
    if matches!(kind.as_str(), "LoadBalancer" | "NodePort") {
        default_to(spec, "externalTrafficPolicy", "Cluster");
        default_node_ports(plane, contents, &name, spec, old);
    }
    if kind == "LoadBalancer" {
        default_to(spec, "allocateLoadBalancerNodePorts", true);
    }
    let status = map_at(object, "status");
    status.entry("loadBalancer").or_insert_with(|| json!({}));
}

fn default_addresses(
    plane: &Plane,
    contents: &mut Contents,
    name: &(String, String),
    spec: &mut Map<String, Value>,
    old: Option<&Value>,
) {
    // Who changes the address alone means the list of addresses too.
    if let Some(before) = old.and_then(|old| old.get("spec"))
        && before.get("clusterIPs") == spec.get("clusterIPs")
        && before.get("clusterIP") != spec.get("clusterIP")
        && let Some(address) = spec.get("clusterIP").filter(|address| !address.is_null()).cloned()
    {
        spec.insert("clusterIPs".into(), json!([address]));
    }
    // A replaced Service keeps its address when the new text leaves it out.
    if let Some(old) = old.and_then(|old| old.get("spec")).filter(|old| text(old, "/type") != "ExternalName")
    {
        for key in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            if let Some(value) = old.get(key) {
                default_to(spec, key, value.clone());
            }
        }
    }
    if spec.get("clusterIP").and_then(Value::as_str).unwrap_or_default().is_empty() {
        let first = spec.get("clusterIPs").and_then(|list| list.get(0)).cloned();
        let address = first.unwrap_or_else(|| json!(free_address(plane, contents, name)));
        spec.insert("clusterIP".into(), address);
    }
    let address = spec["clusterIP"].clone();
    default_to(spec, "clusterIPs", json!([address]));
    if address != "None" || spec.contains_key("selector") {
        default_to(spec, "ipFamilies", json!(["IPv4"]));
        default_to(spec, "ipFamilyPolicy", "SingleStack");
    } else {
        default_to(spec, "ipFamilies", json!(["IPv4", "IPv6"]));
        default_to(spec, "ipFamilyPolicy", "RequireDualStack");
    }
}

fn free_address(plane: &Plane, contents: &mut Contents, _name: &(String, String)) -> String {
    let used: HashSet<String> = contents
        .table("services")
        .scope("")
        .filter_map(|stored| stored.object().pointer("/spec/clusterIP")?.as_str().map(str::to_owned))
        .collect();
    loop {
        let number = plane.random_below(65_000) + 256;
        let address = format!("10.96.{}.{}", number / 256, number % 256);
        if !used.contains(&address) {
            return address;
        }
    }
}

/// Refuses node ports that another Service has.
pub(crate) fn refuse_taken_ports(contents: &mut Contents, target: &Target, object: &Value) -> Reply<()> {
    let ports = |object: &Value| -> Vec<u64> {
        let list = object.pointer("/spec/ports").and_then(Value::as_array);
        list.into_iter()
            .flatten()
            .map(|port| port.get("nodePort").and_then(Value::as_u64).unwrap_or(0))
            .collect()
    };
    let wanted = ports(object);
    if wanted.iter().all(|port| *port == 0) {
        return Ok(());
    }
    let own = (document::namespace(object), document::name(object));
    let others = contents.table("services").scope("");
    let taken: HashSet<u64> = others
        .filter(|stored| (stored.key.namespace(), stored.key.name()) != own)
        .flat_map(|stored| ports(&stored.object()))
        .collect();
    let causes: Vec<Cause> = wanted
        .iter()
        .enumerate()
        .filter(|(_, port)| **port > 0 && taken.contains(*port))
        .map(|(index, port)| {
            let field = format!("spec.ports[{index}].nodePort");
            Cause::invalid(field, &json!(port), "provided port is already allocated")
        })
        .collect();
    if causes.is_empty() { Ok(()) } else { Err(Refusal::invalid(&target.resource.subject(), own.1, &causes)) }
}

fn default_node_ports(
    plane: &Plane,
    contents: &mut Contents,
    name: &(String, String),
    spec: &mut Map<String, Value>,
    old: Option<&Value>,
) {
    let mut used: HashSet<u64> = contents
        .table("services")
        .scope("")
        .filter(|stored| (stored.key.namespace(), stored.key.name()) != (name.0.as_str(), name.1.as_str()))
        .flat_map(|stored| {
            let object = stored.object();
            let ports = object.pointer("/spec/ports").and_then(Value::as_array).cloned().unwrap_or_default();
            ports.into_iter().filter_map(|port| port.get("nodePort")?.as_u64()).collect::<Vec<_>>()
        })
        .collect();
    let before =
        old.and_then(|old| old.pointer("/spec/ports")).and_then(Value::as_array).cloned().unwrap_or_default();
    for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        let port = as_map(port);
        if port.get("nodePort").and_then(Value::as_u64).is_some_and(|number| number > 0) {
            continue;
        }
        let kept = before
            .iter()
            .find(|one| one.get("port") == port.get("port"))
            .and_then(|one| one.get("nodePort")?.as_u64());
        let number = kept.unwrap_or_else(|| {
            loop {
                let number = FIRST_NODE_PORT + plane.random_below(NODE_PORTS);
                if used.insert(number) {
                    return number;
                }
            }
        });
        port.insert("nodePort".into(), json!(number));
    }
}

/// What is wrong with a Service; with `old`, what may not change about it.
pub(crate) fn validate(object: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    let spec = object.get("spec").cloned().unwrap_or_default();
    let kind = text(&spec, "/type");
    let headless = text(&spec, "/clusterIP") == "None";
    let ports = spec.get("ports").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if ports.is_empty() && !headless && kind != "ExternalName" {
        causes.push(Cause::required("spec.ports", ""));
    }
    check_ports(ports, &mut causes);
    check_labels(spec.get("selector"), "spec.selector", &mut causes);
    if !matches!(kind, "ClusterIP" | "NodePort" | "LoadBalancer" | "ExternalName") {
        let allowed = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"].map(str::to_owned);
        causes.push(Cause::unsupported("spec.type", &json!(kind), &allowed));
    }
    if let Some(old) = old.and_then(|old| old.get("spec"))
        && kind != "ExternalName"
        && text(old, "/type") != "ExternalName"
        && old.get("clusterIP") != spec.get("clusterIP")
    {
        let given = spec.get("clusterIPs").cloned().unwrap_or_default();
        let address = spec.get("clusterIP").cloned().unwrap_or_default();
        if given.get(0) != Some(&address) {
            causes.push(Cause::invalid("spec.clusterIPs", &given, "first value must match `clusterIP`"));
        } else {
            causes.push(Cause::invalid("spec.clusterIPs[0]", &given, "may not change once set"));
        }
    }
    causes
}

fn check_ports(ports: &[Value], causes: &mut Vec<Cause>) {
    let mut names: Vec<&str> = Vec::new();
    let mut numbers: Vec<(i64, &str)> = Vec::new();
    for (index, port) in ports.iter().enumerate() {
        let at = format!("spec.ports[{index}]");
        let name = text(port, "/name");
        if name.is_empty() && ports.len() > 1 {
            causes.push(Cause::required(format!("{at}.name"), ""));
        } else if !name.is_empty() && !is_dns_label(name) {
            causes.push(Cause::invalid(format!("{at}.name"), &json!(name), "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"));
        } else if !name.is_empty() && names.contains(&name) {
            causes.push(Cause::duplicate(format!("{at}.name"), &json!(name)));
        }
        names.push(name);
        let number = port.get("port").and_then(Value::as_i64).unwrap_or(0);
        if !(1..=65535).contains(&number) {
            causes.push(Cause::invalid(
                format!("{at}.port"),
                &json!(number),
                "must be between 1 and 65535, inclusive",
            ));
        }
        let protocol = text(port, "/protocol");
        if !matches!(protocol, "TCP" | "UDP" | "SCTP") {
            let allowed = ["SCTP", "TCP", "UDP"].map(str::to_owned);
            causes.push(Cause::unsupported(format!("{at}.protocol"), &json!(protocol), &allowed));
        }
        check_target_port(port, &at, causes);
        if numbers.contains(&(number, protocol)) {
            causes.push(Cause::duplicate(&at, &json!({ "port": number, "protocol": protocol })));
        }
        numbers.push((number, protocol));
    }
}

/// A target port is a number or the name of a container's port.
fn check_target_port(port: &Value, at: &str, causes: &mut Vec<Cause>) {
    let field = format!("{at}.targetPort");
    match port.get("targetPort") {
        Some(target @ Value::Number(number)) if !(1..=65535).contains(&number.as_i64().unwrap_or(0)) => {
            causes.push(Cause::invalid(field, target, "must be between 1 and 65535, inclusive"));
        }
        Some(target @ Value::String(name)) => {
            for why in port_name_problems(name) {
                causes.push(Cause::invalid(&field, target, why));
            }
        }
        _ => {}
    }
}
