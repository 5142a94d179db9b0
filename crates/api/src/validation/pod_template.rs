//! Rules for pod templates: the everyday faults, in the order and words of Kubernetes. What is not
//! checked here, the API server says when the ReplicaSet is created.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::field_error::FieldError;
use super::names::{dns_label_error, port_name_error, qualified_name_error};
use super::selector::validate_labels;
use crate::meta::LabelSelector;

/// Bytes that all annotations of one object may have together.
const ANNOTATIONS_LIMIT: usize = 256 * 1024;

/// Checks a pod template that a ReplicaSet is to be made from; fields that are not set count as defaulted.
///
/// # Errors
/// The first fault. A template without a selector never matches it.
pub fn validate_pod_template(
    template: &Value,
    selector: Option<&LabelSelector>,
    path: &str,
) -> Result<(), FieldError> {
    let metadata = member(template, "metadata");
    let labels = texts(member(metadata, "labels"));
    if !selector.is_some_and(|selector| selector.matches(&labels)) {
        let shown = member(metadata, "labels");
        let detail = "`selector` does not match template `labels`";
        return Err(FieldError::invalid(&format!("{path}.metadata.labels"), shown, detail));
    }
    validate_labels(&labels, &format!("{path}.labels"))?;
    validate_annotations(&texts(member(metadata, "annotations")), &format!("{path}.annotations"))?;
    validate_spec(member(template, "spec"), &format!("{path}.spec"))
}

fn validate_annotations(annotations: &BTreeMap<String, String>, path: &str) -> Result<(), FieldError> {
    for key in annotations.keys() {
        if let Some(error) = qualified_name_error(&key.to_lowercase()) {
            return Err(FieldError::invalid(path, key, &error));
        }
    }
    let size: usize = annotations.iter().map(|(key, value)| key.len() + value.len()).sum();
    if size > ANNOTATIONS_LIMIT {
        return Err(FieldError::too_long(path, ANNOTATIONS_LIMIT));
    }
    Ok(())
}

fn validate_spec(spec: &Value, path: &str) -> Result<(), FieldError> {
    let volumes = validate_volumes(items(spec, "volumes"), &format!("{path}.volumes"))?;
    let containers = items(spec, "containers");
    let containers_path = format!("{path}.containers");
    if containers.is_empty() {
        return Err(FieldError::required(&containers_path, ""));
    }
    let mut names = BTreeSet::new();
    validate_containers(containers, &volumes, &mut names, &containers_path)?;
    let init_path = format!("{path}.initContainers");
    validate_containers(items(spec, "initContainers"), &volumes, &mut names, &init_path)?;

    let restart_path = format!("{path}.restartPolicy");
    let restart = text(spec, "restartPolicy");
    if !["", "Always", "OnFailure", "Never"].contains(&restart) {
        return Err(FieldError::not_supported(&restart_path, &restart, &["Always", "OnFailure", "Never"]));
    }
    let dns = text(spec, "dnsPolicy");
    let dns_policies = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
    if !dns.is_empty() && !dns_policies.contains(&dns) {
        return Err(FieldError::not_supported(&format!("{path}.dnsPolicy"), &dns, &dns_policies));
    }
    validate_labels(&texts(member(spec, "nodeSelector")), &format!("{path}.nodeSelector"))?;
    let deadline_path = format!("{path}.activeDeadlineSeconds");
    let deadline = member(spec, "activeDeadlineSeconds").as_i64();
    if let Some(seconds) = deadline
        && !(1..=i64::from(i32::MAX)).contains(&seconds)
    {
        return Err(FieldError::invalid(&deadline_path, &seconds, &range_text(1, i32::MAX)));
    }
    if !items(spec, "ephemeralContainers").is_empty() {
        let detail = "ephemeral containers not allowed in pod template";
        return Err(FieldError::forbidden(&format!("{path}.ephemeralContainers"), detail));
    }
    if !["", "Always"].contains(&restart) {
        return Err(FieldError::not_supported(&restart_path, &restart, &["Always"]));
    }
    if deadline.is_some() {
        let detail = "activeDeadlineSeconds in ReplicaSet is not Supported";
        return Err(FieldError::forbidden(&deadline_path, detail));
    }
    Ok(())
}

/// Checks the volumes' names and returns them.
fn validate_volumes<'a>(volumes: &'a [Value], path: &str) -> Result<BTreeSet<&'a str>, FieldError> {
    let mut names = BTreeSet::new();
    for (index, volume) in volumes.iter().enumerate() {
        let path = format!("{path}[{index}].name");
        let name = text(volume, "name");
        validate_dns_label(name, &path)?;
        if !names.insert(name) {
            return Err(FieldError::duplicate(&path, &name));
        }
    }
    Ok(names)
}

/// What the API machinery of the reference says of a name that no environment variable may have.
const ENV_NAME: &str = "a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or '.', and must not start with a digit (e.g. 'my.env-name',  or 'MY_ENV.NAME',  or 'MyEnvName1', regex used for validation is '[-._a-zA-Z][-._a-zA-Z0-9]*')";

fn validate_containers<'a>(
    containers: &'a [Value],
    volumes: &BTreeSet<&str>,
    names: &mut BTreeSet<&'a str>,
    path: &str,
) -> Result<(), FieldError> {
    for (index, container) in containers.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let name = text(container, "name");
        let name_path = format!("{path}.name");
        validate_dns_label(name, &name_path)?;
        if text(container, "image").is_empty() {
            return Err(FieldError::required(&format!("{path}.image"), ""));
        }
        validate_ports(items(container, "ports"), &format!("{path}.ports"))?;
        for (index, variable) in items(container, "env").iter().enumerate() {
            let (name, path) = (text(variable, "name"), format!("{path}.env[{index}].name"));
            if name.is_empty() {
                return Err(FieldError::required(&path, ""));
            }
            let is_known = |letter: char| letter.is_ascii_alphanumeric() || "-._".contains(letter);
            if !name.chars().all(is_known) || name.starts_with(|letter: char| letter.is_ascii_digit()) {
                return Err(FieldError::invalid(&path, &name, ENV_NAME));
            }
        }
        validate_mounts(items(container, "volumeMounts"), volumes, &format!("{path}.volumeMounts"))?;
        let policy = text(container, "imagePullPolicy");
        let policies = ["Always", "IfNotPresent", "Never"];
        if !policy.is_empty() && !policies.contains(&policy) {
            return Err(FieldError::not_supported(&format!("{path}.imagePullPolicy"), &policy, &policies));
        }
        if !names.insert(name) {
            return Err(FieldError::duplicate(&name_path, &name));
        }
    }
    Ok(())
}

fn validate_ports(ports: &[Value], path: &str) -> Result<(), FieldError> {
    let mut names = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let name = text(port, "name");
        if !name.is_empty() {
            let name_path = format!("{path}.name");
            if let Some(error) = port_name_error(name) {
                return Err(FieldError::invalid(&name_path, &name, &error));
            }
            if !names.insert(name) {
                return Err(FieldError::duplicate(&name_path, &name));
            }
        }
        let number = member(port, "containerPort").as_i64().unwrap_or(0);
        let number_path = format!("{path}.containerPort");
        if number == 0 {
            return Err(FieldError::required(&number_path, ""));
        }
        for (number, path) in [
            (number, number_path),
            (
                member(port, "hostPort").as_i64().filter(|port| *port != 0).unwrap_or(1),
                format!("{path}.hostPort"),
            ),
        ] {
            if !(1..=65535).contains(&number) {
                return Err(FieldError::invalid(&path, &number, &range_text(1, 65535)));
            }
        }
        let protocol = text(port, "protocol");
        let protocols = ["SCTP", "TCP", "UDP"];
        if !protocol.is_empty() && !protocols.contains(&protocol) {
            return Err(FieldError::not_supported(&format!("{path}.protocol"), &protocol, &protocols));
        }
    }
    Ok(())
}

fn validate_mounts(mounts: &[Value], volumes: &BTreeSet<&str>, path: &str) -> Result<(), FieldError> {
    let mut places = BTreeSet::new();
    for (index, mount) in mounts.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let name = text(mount, "name");
        if name.is_empty() {
            return Err(FieldError::required(&format!("{path}.name"), ""));
        }
        if !volumes.contains(name) {
            return Err(FieldError::not_found(&format!("{path}.name"), &name));
        }
        let place = text(mount, "mountPath");
        let place_path = format!("{path}.mountPath");
        if place.is_empty() {
            return Err(FieldError::required(&place_path, ""));
        }
        if !places.insert(place) {
            return Err(FieldError::invalid(&place_path, &place, "must be unique"));
        }
    }
    Ok(())
}

fn validate_dns_label(name: &str, path: &str) -> Result<(), FieldError> {
    if name.is_empty() {
        return Err(FieldError::required(path, ""));
    }
    match dns_label_error(name) {
        Some(error) => Err(FieldError::invalid(path, &name, &error)),
        None => Ok(()),
    }
}

fn range_text(low: i32, high: i32) -> String {
    format!("must be between {low} and {high}, inclusive")
}

fn member<'a>(value: &'a Value, key: &str) -> &'a Value {
    value.get(key).unwrap_or(&Value::Null)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    member(value, key).as_str().unwrap_or_default()
}

fn items<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    member(value, key).as_array().map_or(&[], Vec::as_slice)
}

fn texts(map: &Value) -> BTreeMap<String, String> {
    let entries = map.as_object().into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}
