//! Defaults and validation of pod specs, in pods and in the templates of everything that makes pods.

use serde_json::{Map, Value, json};

use crate::document::{as_map, default_to, text};
use crate::names::{check_labels, is_dns_label, port_name_problems};
use crate::refusal::Cause;

/// Calls `change` on every container of a pod spec, init and ephemeral ones too.
pub(crate) fn each_container(spec: &mut Map<String, Value>, mut change: impl FnMut(&mut Map<String, Value>)) {
    for key in ["containers", "initContainers", "ephemeralContainers"] {
        for container in spec.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten() {
            change(as_map(container));
        }
    }
}

/// Fills in what a template leaves open: the object at `template` has `metadata` and `spec`.
pub(crate) fn default_template(template: &mut Value) {
    let map = as_map(template);
    map.entry("metadata").or_insert_with(|| json!({}));
    if let Some(spec) = map.get_mut("spec") {
        default_pod_spec(as_map(spec), false);
    }
}

/// Fills in what a pod spec leaves open. Ports on the host's network are given to pods only, not to templates.
pub(crate) fn default_pod_spec(spec: &mut Map<String, Value>, is_pod: bool) {
    default_to(spec, "dnsPolicy", "ClusterFirst");
    default_to(spec, "restartPolicy", "Always");
    default_to(spec, "schedulerName", "default-scheduler");
    default_to(spec, "terminationGracePeriodSeconds", 30);
    spec.entry("securityContext").or_insert_with(|| json!({}));
    // The deprecated alias follows the name.
    if let Some(name) = spec.get("serviceAccountName").or(spec.get("serviceAccount")).cloned() {
        spec.insert("serviceAccountName".into(), name.clone());
        spec.insert("serviceAccount".into(), name);
    }
    let host_network = is_pod && spec.get("hostNetwork") == Some(&json!(true));
    each_container(spec, |container| default_container(container, host_network));
    for volume in spec.get_mut("volumes").and_then(Value::as_array_mut).into_iter().flatten() {
        default_volume(as_map(volume));
    }
}

fn default_container(container: &mut Map<String, Value>, host_network: bool) {
    default_to(container, "terminationMessagePath", "/dev/termination-log");
    default_to(container, "terminationMessagePolicy", "File");
    let image = container.get("image").and_then(Value::as_str).unwrap_or_default().to_owned();
    default_to(container, "imagePullPolicy", pull_policy(&image));
    for port in container.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        let port = as_map(port);
        default_to(port, "protocol", "TCP");
        if host_network && let Some(number) = port.get("containerPort").cloned() {
            default_to(port, "hostPort", number);
        }
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = container.get_mut(probe).and_then(Value::as_object_mut) {
            default_to(probe, "timeoutSeconds", 1);
            default_to(probe, "periodSeconds", 10);
            default_to(probe, "successThreshold", 1);
            default_to(probe, "failureThreshold", 3);
            default_handler(probe);
        }
    }
    for hook in ["postStart", "preStop"] {
        let hook = container.get_mut("lifecycle").and_then(|lifecycle| lifecycle.get_mut(hook));
        if let Some(hook) = hook.and_then(Value::as_object_mut) {
            default_handler(hook);
        }
    }
    for env in container.get_mut("env").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(field) = env.pointer_mut("/valueFrom/fieldRef").and_then(Value::as_object_mut) {
            default_to(field, "apiVersion", "v1");
        }
    }
}

fn default_handler(handler: &mut Map<String, Value>) {
    if let Some(http) = handler.get_mut("httpGet").and_then(Value::as_object_mut) {
        default_to(http, "path", "/");
        default_to(http, "scheme", "HTTP");
    }
    if let Some(grpc) = handler.get_mut("grpc").and_then(Value::as_object_mut) {
        default_to(grpc, "service", "");
    }
}

/// `Always` for images without a tag or tagged `latest`, unless a digest pins them.
fn pull_policy(image: &str) -> &'static str {
    if image.contains('@') {
        return "IfNotPresent";
    }
    let last = image.rsplit('/').next().unwrap_or(image);
    match last.split_once(':') {
        Some((_, tag)) if tag != "latest" => "IfNotPresent",
        _ => "Always",
    }
}

fn default_volume(volume: &mut Map<String, Value>) {
    if volume.keys().all(|key| key == "name") {
        volume.insert("emptyDir".into(), json!({}));
    }
    for key in ["configMap", "secret", "projected", "downwardAPI"] {
        if let Some(source) = volume.get_mut(key).and_then(Value::as_object_mut) {
            default_to(source, "defaultMode", 420);
        }
    }
    if let Some(path) = volume.get_mut("hostPath").and_then(Value::as_object_mut) {
        default_to(path, "type", "");
    }
    default_downward(volume.get_mut("downwardAPI"));
    for source in volume
        .get_mut("projected")
        .and_then(|projected| projected.get_mut("sources"))
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        if let Some(token) = source.get_mut("serviceAccountToken").and_then(Value::as_object_mut) {
            default_to(token, "expirationSeconds", 3600);
        }
        default_downward(source.get_mut("downwardAPI"));
    }
}

fn default_downward(source: Option<&mut Value>) {
    let items = source.and_then(|source| source.get_mut("items")).and_then(Value::as_array_mut);
    for item in items.into_iter().flatten() {
        if let Some(field) = item.get_mut("fieldRef").and_then(Value::as_object_mut) {
            default_to(field, "apiVersion", "v1");
        }
    }
}

/// What is wrong with a pod spec. `at` is its path.
pub(crate) fn check_pod_spec(spec: &Value, at: &str, causes: &mut Vec<Cause>) {
    let containers = spec.get("containers").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if containers.is_empty() {
        causes.push(Cause::required(format!("{at}.containers"), ""));
    }
    let mut names: Vec<&str> = Vec::new();
    for key in ["containers", "initContainers"] {
        let list = spec.get(key).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for (index, container) in list.iter().enumerate() {
            check_container(container, &format!("{at}.{key}[{index}]"), &mut names, spec, causes);
        }
    }
    check_volumes(spec, at, causes);
    for (key, allowed) in [
        ("restartPolicy", &["Always", "OnFailure", "Never"][..]),
        ("dnsPolicy", &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"][..]),
    ] {
        let value = text(spec, &format!("/{key}"));
        if !allowed.contains(&value) {
            let allowed: Vec<String> = allowed.iter().map(|one| (*one).to_owned()).collect();
            causes.push(Cause::unsupported(format!("{at}.{key}"), &json!(value), &allowed));
        }
    }
    if spec.get("terminationGracePeriodSeconds").and_then(Value::as_i64).is_some_and(|grace| grace < 0) {
        causes.push(Cause::invalid(
            format!("{at}.terminationGracePeriodSeconds"),
            &spec["terminationGracePeriodSeconds"],
            "must be greater than or equal to 0",
        ));
    }
    check_labels(spec.get("nodeSelector"), &format!("{at}.nodeSelector"), causes);
}

const DNS_LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

fn check_container<'a>(
    container: &'a Value,
    at: &str,
    names: &mut Vec<&'a str>,
    spec: &Value,
    causes: &mut Vec<Cause>,
) {
    let name = text(container, "/name");
    if name.is_empty() {
        causes.push(Cause::required(format!("{at}.name"), ""));
    } else if !is_dns_label(name) {
        causes.push(Cause::invalid(format!("{at}.name"), &json!(name), DNS_LABEL));
    } else if names.contains(&name) {
        causes.push(Cause::duplicate(format!("{at}.name"), &json!(name)));
    }
    names.push(name);
    if text(container, "/image").is_empty() {
        causes.push(Cause::required(format!("{at}.image"), ""));
    }
    let ports = container.get("ports").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut port_names: Vec<&str> = Vec::new();
    for (index, port) in ports.iter().enumerate() {
        let field = format!("{at}.ports[{index}].containerPort");
        match port.get("containerPort").and_then(Value::as_i64).unwrap_or(0) {
            0 => causes.push(Cause::required(field, "")),
            1..=65535 => {}
            number => {
                causes.push(Cause::invalid(field, &json!(number), "must be between 1 and 65535, inclusive"));
            }
        }
        let name = text(port, "/name");
        for why in port_name_problems(name).into_iter().filter(|_| !name.is_empty()) {
            causes.push(Cause::invalid(format!("{at}.ports[{index}].name"), &json!(name), why));
        }
        if !name.is_empty() && port_names.contains(&name) {
            causes.push(Cause::duplicate(format!("{at}.ports[{index}].name"), &json!(name)));
        }
        port_names.push(name);
    }
    let volumes = spec.get("volumes").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mounts = container.get("volumeMounts").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut places: Vec<&str> = Vec::new();
    for (index, mount) in mounts.iter().enumerate() {
        let (name, place) = (text(mount, "/name"), text(mount, "/mountPath"));
        if name.is_empty() {
            causes.push(Cause::required(format!("{at}.volumeMounts[{index}].name"), ""));
        }
        if place.is_empty() {
            causes.push(Cause::required(format!("{at}.volumeMounts[{index}].mountPath"), ""));
        } else if places.contains(&place) {
            let field = format!("{at}.volumeMounts[{index}].mountPath");
            causes.push(Cause::invalid(field, &json!(place), "must be unique"));
        }
        places.push(place);
        if !volumes.iter().any(|volume| text(volume, "/name") == name) {
            causes.push(Cause {
                reason: "FieldValueNotFound",
                message: format!("Not found: {name:?}"),
                field: format!("{at}.volumeMounts[{index}].name"),
            });
        }
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = container.get(name).filter(|probe| !probe.is_null()) {
            check_probe(probe, name, &format!("{at}.{name}"), causes);
        }
    }
    check_resources(container, at, causes);
    let policy = text(container, "/imagePullPolicy");
    if !matches!(policy, "" | "Always" | "IfNotPresent" | "Never") {
        let allowed = ["Always", "IfNotPresent", "Never"].map(str::to_owned);
        causes.push(Cause::unsupported(format!("{at}.imagePullPolicy"), &json!(policy), &allowed));
    }
}

fn check_probe(probe: &Value, name: &str, at: &str, causes: &mut Vec<Cause>) {
    let set = |key: &&&str| probe.get(**key).is_some_and(|action| !action.is_null());
    let actions: Vec<&&str> = ["exec", "httpGet", "tcpSocket", "grpc"].iter().filter(set).collect();
    if actions.is_empty() {
        causes.push(Cause::required(at, "must specify a handler type"));
    }
    for action in actions.iter().skip(1) {
        let why = "may not specify more than 1 handler type";
        causes.push(Cause::forbidden(format!("{at}.{action}"), why));
    }
    for action in ["httpGet", "tcpSocket"] {
        if let Some(port) = probe.pointer(&format!("/{action}/port")) {
            check_probe_port(port, &format!("{at}.{action}.port"), causes);
        }
    }
    let number = |key: &str| probe.get(key).and_then(Value::as_i64);
    for key in
        ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"]
    {
        if let Some(count) = number(key).filter(|count| *count < 0) {
            let why = "must be greater than or equal to 0";
            causes.push(Cause::invalid(format!("{at}.{key}"), &json!(count), why));
        }
    }
    if let Some(count) = number("successThreshold").filter(|count| *count != 1 && name != "readinessProbe") {
        causes.push(Cause::invalid(format!("{at}.successThreshold"), &json!(count), "must be 1"));
    }
}

/// A number or the name of a port.
fn check_probe_port(port: &Value, at: &str, causes: &mut Vec<Cause>) {
    match port {
        Value::String(name) => {
            for why in port_name_problems(name) {
                causes.push(Cause::invalid(at, port, why));
            }
        }
        Value::Number(number) if !(1..=65535).contains(&number.as_i64().unwrap_or(0)) => {
            causes.push(Cause::invalid(at, port, "must be between 1 and 65535, inclusive"));
        }
        _ => {}
    }
}

fn check_resources(container: &Value, at: &str, causes: &mut Vec<Cause>) {
    let amount = |kind: &str, name: &str| {
        container
            .pointer(&format!("/resources/{kind}/{}", name.replace('~', "~0").replace('/', "~1")))
            .and_then(Value::as_str)
            .and_then(parse_amount)
    };
    let requests = container.pointer("/resources/requests").and_then(Value::as_object);
    for (name, value) in requests.into_iter().flatten() {
        if let (Some(request), Some(limit)) = (amount("requests", name), amount("limits", name))
            && request > limit
        {
            causes.push(Cause::invalid(
                format!("{at}.resources.requests"),
                value,
                format!(
                    "must be less than or equal to {name} limit of {}",
                    text(container, &format!("/resources/limits/{name}"))
                ),
            ));
        }
    }
}

/// A quantity as a number, for comparisons.
pub(crate) fn parse_amount(text: &str) -> Option<f64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '-').unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let factor = match suffix {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "Ki" => 1024.0,
        "Mi" => 1024.0 * 1024.0,
        "Gi" => 1024.0 * 1024.0 * 1024.0,
        "Ti" => 1024.0_f64.powi(4),
        other => 10_f64.powi(other.strip_prefix('e')?.parse().ok()?),
    };
    Some(number.parse::<f64>().ok()? * factor)
}

fn check_volumes(spec: &Value, at: &str, causes: &mut Vec<Cause>) {
    let volumes = spec.get("volumes").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut names: Vec<&str> = Vec::new();
    for (index, volume) in volumes.iter().enumerate() {
        let name = text(volume, "/name");
        let field = format!("{at}.volumes[{index}].name");
        if name.is_empty() {
            causes.push(Cause::required(field, ""));
        } else if !is_dns_label(name) {
            causes.push(Cause::invalid(field, &json!(name), DNS_LABEL));
        } else if names.contains(&name) {
            causes.push(Cause::duplicate(field, &json!(name)));
        }
        names.push(name);
    }
}
