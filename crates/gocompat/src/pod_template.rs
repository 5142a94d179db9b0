//! Pod templates as untyped JSON: written as a Go program writes its typed ones, defaulted, and compared.
//!
//! Hashing must see what a typed decode and encode would leave (R-233, R-234); finding an existing ReplicaSet must see
//! past the defaults an API server filled in (R-236, R-238). Neither needs the template to be typed here.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use crate::schema::{Form, Schema, Type, quantity_of};

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| Schema::parse(include_str!("pod_template.schema")));

/// What an absent or empty field of a type becomes (R-238). Rules that look further are functions below.
static DEFAULTS: LazyLock<Vec<(&str, &str, Value)>> = LazyLock::new(|| {
    let rows = [
        ("PodSpec", "dnsPolicy", json!("ClusterFirst")),
        ("PodSpec", "restartPolicy", json!("Always")),
        ("PodSpec", "securityContext", json!({})),
        ("PodSpec", "terminationGracePeriodSeconds", json!(30)),
        ("PodSpec", "schedulerName", json!("default-scheduler")),
        ("HostPathVolumeSource", "type", json!("")),
        ("SecretVolumeSource", "defaultMode", json!(420)),
        ("ConfigMapVolumeSource", "defaultMode", json!(420)),
        ("DownwardAPIVolumeSource", "defaultMode", json!(420)),
        ("ProjectedVolumeSource", "defaultMode", json!(420)),
        ("ServiceAccountTokenProjection", "expirationSeconds", json!(3600)),
        ("ISCSIVolumeSource", "iscsiInterface", json!("default")),
        ("RBDVolumeSource", "pool", json!("rbd")),
        ("RBDVolumeSource", "user", json!("admin")),
        ("RBDVolumeSource", "keyring", json!("/etc/ceph/keyring")),
        ("AzureDiskVolumeSource", "cachingMode", json!("ReadWrite")),
        ("AzureDiskVolumeSource", "kind", json!("Shared")),
        ("AzureDiskVolumeSource", "fsType", json!("ext4")),
        ("AzureDiskVolumeSource", "readOnly", json!(false)),
        ("ScaleIOVolumeSource", "fsType", json!("xfs")),
        ("ScaleIOVolumeSource", "storageMode", json!("ThinProvisioned")),
        ("PersistentVolumeClaimSpec", "volumeMode", json!("Filesystem")),
        ("Container", "terminationMessagePath", json!("/dev/termination-log")),
        ("Container", "terminationMessagePolicy", json!("File")),
        ("EphemeralContainer", "terminationMessagePath", json!("/dev/termination-log")),
        ("EphemeralContainer", "terminationMessagePolicy", json!("File")),
        ("ContainerPort", "protocol", json!("TCP")),
        ("ObjectFieldSelector", "apiVersion", json!("v1")),
        ("FileKeySelector", "optional", json!(false)),
        ("Probe", "timeoutSeconds", json!(1)),
        ("Probe", "periodSeconds", json!(10)),
        ("Probe", "successThreshold", json!(1)),
        ("Probe", "failureThreshold", json!(3)),
        ("HTTPGetAction", "path", json!("/")),
        ("HTTPGetAction", "scheme", json!("HTTP")),
        ("GRPCAction", "service", json!("")),
    ];
    rows.into_iter().collect()
});

/// The template as compact JSON, byte for byte what the reference hashes (R-233, R-234).
pub fn serialize(template: &Value) -> String {
    write(template, Form::Current)
}

/// The same in the form of releases up to 1.8, where every metadata carries a creation time (R-237).
pub fn serialize_legacy(template: &Value) -> String {
    write(template, Form::WithCreationTimestamp)
}

fn write(template: &Value, form: Form) -> String {
    let mut out = String::new();
    SCHEMA.write(&mut out, &SCHEMA.root(), Some(template), form);
    out
}

/// The template with the defaults an API server gives to pod templates (R-238). Unknown fields stay.
/// Host ports of a `hostNetwork` template are left alone: servers since 1.28 do not fill them in.
pub fn defaulted(template: &Value) -> Value {
    let mut template = template.clone();
    fill_in(&SCHEMA.root(), &mut template);
    template
}

/// Whether two templates mean the same to Kubernetes (R-236 (3)): nil and empty collections are equal, quantities
/// compare by amount, unknown fields do not count.
pub fn semantically_equal(left: &Value, right: &Value) -> bool {
    write(left, Form::Comparable) == write(right, Form::Comparable)
}

/// Whether a live template is what the API server made of the desired one (R-236 (3)): the desired side is defaulted,
/// `hash_label` and the deprecated `serviceAccount` count on neither side. Ephemeral metadata and injected affinity are
/// the caller's to remove.
pub fn matches_live(desired: &Value, live: &Value, hash_label: &str) -> bool {
    let live = write(&without_identity(live, hash_label), Form::Comparable);
    let mut desired = without_identity(&defaulted(desired), hash_label);
    if write(&desired, Form::Comparable) == live {
        return true;
    }
    // Older servers also set the host ports of a host-network template.
    fill_in_host_ports(&mut desired) && write(&desired, Form::Comparable) == live
}

fn without_identity(template: &Value, hash_label: &str) -> Value {
    let mut template = template.clone();
    if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.remove(hash_label);
    }
    if let Some(spec) = template.get_mut("spec").and_then(Value::as_object_mut) {
        spec.remove("serviceAccount");
    }
    template
}

/// Applies the defaults of `ty` to `value` and to everything below it. An absent value of a type that is always present
/// is made first, so that its own defaults are found.
fn fill_in(ty: &Type, value: &mut Value) {
    match (ty, value) {
        (Type::Optional(inner), value) => fill_in(inner, value),
        (Type::List(inner), Value::Array(items)) => items.iter_mut().for_each(|item| fill_in(inner, item)),
        (Type::Map(inner), Value::Object(entries)) if **inner == Type::Quantity => {
            entries.values_mut().for_each(round_up_to_milli);
        }
        (Type::Struct(index), Value::Object(object)) => {
            let ty = &SCHEMA.structs[*index];
            for (_, field, default) in DEFAULTS.iter().filter(|(name, _, _)| *name == ty.name) {
                if is_unset(object.get(*field), default) {
                    object.insert((*field).to_owned(), default.clone());
                }
            }
            apply_further_rules(ty.name, object);
            for field in &ty.fields {
                match (object.get_mut(field.name), &field.ty) {
                    (Some(value), ty) => fill_in(ty, value),
                    // A struct in place exists even when nothing was written for it.
                    (None, Type::Struct(_)) => {
                        let mut made = json!({});
                        fill_in(&field.ty, &mut made);
                        if made.as_object().is_some_and(|object| !object.is_empty()) {
                            object.insert(field.name.to_owned(), made);
                        }
                    }
                    (None, _) => {}
                }
            }
        }
        _ => {}
    }
}

/// Whether a field still waits for its default. A plain string or number field cannot tell zero from absent; an
/// optional one, whose default is itself a zero value, can.
fn is_unset(value: Option<&Value>, default: &Value) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty() && default.as_str().is_some_and(|d| !d.is_empty()),
        Some(Value::Number(number)) => {
            // The grace period, modes and expirations are optional: a zero there is the user's.
            number.as_i64() == Some(0) && default.as_i64().is_some_and(|default| default <= 10)
        }
        Some(_) => false,
    }
}

fn apply_further_rules(type_name: &str, object: &mut Map<String, Value>) {
    match type_name {
        "Container" | "EphemeralContainer" => set_pull_policy(object, "image", "imagePullPolicy"),
        "ImageVolumeSource" => set_pull_policy(object, "reference", "pullPolicy"),
        "Volume" => {
            let has_source = object.iter().any(|(name, value)| name != "name" && value.is_object());
            if !has_source {
                object.insert("emptyDir".to_owned(), json!({}));
            }
        }
        _ => {}
    }
}

fn set_pull_policy(object: &mut Map<String, Value>, image_field: &str, policy_field: &str) {
    let is_set = object.get(policy_field).and_then(Value::as_str).is_some_and(|policy| !policy.is_empty());
    if !is_set {
        let image = object.get(image_field).and_then(Value::as_str).unwrap_or_default();
        let policy = if is_latest(image) { "Always" } else { "IfNotPresent" };
        object.insert(policy_field.to_owned(), json!(policy));
    }
}

/// Whether an image reference means the tag `latest`: by name, or by having neither tag nor digest.
fn is_latest(image: &str) -> bool {
    let (name, digest) = match image.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (image, None),
    };
    let last = name.rsplit('/').next().unwrap_or(name);
    match last.split_once(':') {
        Some((_, tag)) => tag == "latest",
        None => digest.is_none() && !image.is_empty(),
    }
}

fn round_up_to_milli(value: &mut Value) {
    if let Some(quantity) = quantity_of(value) {
        *value = json!(quantity.rounded_up_to_milli().canonical());
    }
}

/// Sets unset host ports of a host-network template to their container ports; false if there was nothing to set.
fn fill_in_host_ports(template: &mut Value) -> bool {
    if template.pointer("/spec/hostNetwork") != Some(&json!(true)) {
        return false;
    }
    let mut changed = false;
    for list in ["/spec/containers", "/spec/initContainers"] {
        let containers = template.pointer_mut(list).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            let ports = container.get_mut("ports").and_then(Value::as_array_mut);
            for port in ports.into_iter().flatten().filter_map(Value::as_object_mut) {
                let unset = port.get("hostPort").and_then(Value::as_i64).unwrap_or(0) == 0;
                if let Some(container_port) = port.get("containerPort").cloned().filter(|_| unset) {
                    port.insert("hostPort".to_owned(), container_port);
                    changed = true;
                }
            }
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_and_empty_fields_are_dropped_and_structs_stay_r233_r234() {
        let template = json!({
            "unknown": 1,
            "metadata": {"labels": {}, "creationTimestamp": null, "annotations": {"b": "<", "a": null}},
            "spec": {
                "containers": [{
                    "name": "web",
                    "resources": null,
                    "securityContext": {},
                    "ports": [{"containerPort": 80.0, "hostPort": 0}],
                    "env": [{"name": "A", "value": ""}, {"name": "B", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}],
                    "livenessProbe": {"httpGet": {"port": "http"}},
                }],
                "volumes": [{"name": "v", "emptyDir": {"sizeLimit": "0.5Gi"}}, {"name": "p", "projected": {}}],
                "hostNetwork": false,
                "priority": 0,
            },
        });
        assert_eq!(
            serialize(&template),
            concat!(
                r#"{"metadata":{"annotations":{"a":"","b":"\u003c"}},"spec":{"volumes":[{"name":"v","emptyDir":"#,
                r#"{"sizeLimit":"512Mi"}},{"name":"p","projected":{"sources":null}}],"containers":[{"name":"web","#,
                r#""ports":[{"containerPort":80}],"env":[{"name":"A"},{"name":"B","valueFrom":{"resourceFieldRef":"#,
                r#"{"resource":"limits.cpu","divisor":"0"}}}],"resources":{},"livenessProbe":{"httpGet":"#,
                r#"{"port":"http"}},"securityContext":{}}],"priority":0}}"#,
            )
        );
    }

    #[test]
    fn the_old_form_has_a_creation_time_in_every_metadata_r237() {
        let template = json!({
            "metadata": {"labels": {"a": "b"}},
            "spec": {"volumes": [{"name": "v", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}}]},
        });
        assert_eq!(
            serialize_legacy(&template),
            concat!(
                r#"{"metadata":{"creationTimestamp":null,"labels":{"a":"b"}},"spec":{"volumes":[{"name":"v","#,
                r#""ephemeral":{"volumeClaimTemplate":{"metadata":{"creationTimestamp":null},"spec":"#,
                r#"{"resources":{}}}}}],"containers":null}}"#,
            )
        );
    }

    fn user_template() -> Value {
        json!({
            "metadata": {"labels": {"app": "web"}},
            "spec": {
                "containers": [{
                    "name": "web",
                    "image": "registry:5000/web",
                    "ports": [{"containerPort": 80}],
                    "resources": {"limits": {"memory": "1024Mi", "cpu": "100u"}},
                    "readinessProbe": {"grpc": {"port": 1}},
                }],
                "volumes": [{"name": "v"}, {"name": "s", "secret": {"secretName": "x"}}],
            },
        })
    }

    fn live_template() -> Value {
        json!({
            "metadata": {"labels": {"app": "web", "hash": "abc"}, "creationTimestamp": null, "annotations": {}},
            "spec": {
                "containers": [{
                    "name": "web",
                    "image": "registry:5000/web",
                    "imagePullPolicy": "Always",
                    "terminationMessagePath": "/dev/termination-log",
                    "terminationMessagePolicy": "File",
                    "ports": [{"containerPort": 80, "protocol": "TCP"}],
                    "resources": {"limits": {"memory": "1Gi", "cpu": "1m"}},
                    "readinessProbe": {
                        "grpc": {"port": 1, "service": ""},
                        "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3,
                    },
                }],
                "volumes": [
                    {"name": "v", "emptyDir": {}},
                    {"name": "s", "secret": {"secretName": "x", "defaultMode": 420}},
                ],
                "dnsPolicy": "ClusterFirst",
                "restartPolicy": "Always",
                "securityContext": {},
                "schedulerName": "default-scheduler",
                "terminationGracePeriodSeconds": 30,
                "serviceAccount": "default",
            },
        })
    }

    #[test]
    fn a_live_template_is_recognised_past_its_defaults_r236_r238() {
        assert!(matches_live(&user_template(), &live_template(), "hash"));
        assert!(!matches_live(&user_template(), &live_template(), "other"));
        let mut changed = live_template();
        changed["spec"]["containers"][0]["image"] = json!("registry:5000/web:2");
        assert!(!matches_live(&user_template(), &changed, "hash"));
    }

    #[test]
    fn host_ports_may_or_may_not_have_been_filled_in() {
        let (mut desired, mut live) = (user_template(), live_template());
        desired["spec"]["hostNetwork"] = json!(true);
        live["spec"]["hostNetwork"] = json!(true);
        assert!(matches_live(&desired, &live, "hash"));
        live["spec"]["containers"][0]["ports"][0]["hostPort"] = json!(80);
        assert!(matches_live(&desired, &live, "hash"));
        live["spec"]["containers"][0]["ports"][0]["hostPort"] = json!(81);
        assert!(!matches_live(&desired, &live, "hash"));
    }

    #[test]
    fn a_users_zero_in_an_optional_field_is_kept() {
        let template = json!({"spec": {
            "terminationGracePeriodSeconds": 0,
            "volumes": [{"name": "s", "secret": {"defaultMode": 0}}],
            "containers": [{"livenessProbe": {"timeoutSeconds": 0}}],
        }});
        let defaulted = defaulted(&template);
        assert_eq!(defaulted.pointer("/spec/terminationGracePeriodSeconds"), Some(&json!(0)));
        assert_eq!(defaulted.pointer("/spec/volumes/0/secret/defaultMode"), Some(&json!(0)));
        assert_eq!(defaulted.pointer("/spec/containers/0/livenessProbe/timeoutSeconds"), Some(&json!(1)));
    }

    #[test]
    fn pull_policy_follows_the_tag() {
        for (image, latest) in [
            ("nginx", true),
            ("nginx:latest", true),
            ("host:5000/nginx", true),
            ("nginx:1.19", false),
            ("host:5000/nginx:1", false),
            ("nginx@sha256:abc", false),
            ("nginx:latest@sha256:abc", true),
            ("", false),
        ] {
            assert_eq!(is_latest(image), latest, "{image}");
        }
    }
}
