//! The cells of the built-in kinds.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{age, age_of, pods};
use crate::document::{self, text};
use crate::scale::selector_text;

/// The cells of one object, as many as its kind has columns.
pub(super) fn cells(plural: &str, object: &Value, now: Timestamp) -> Vec<Value> {
    let row = Row { object, now };
    match plural {
        "pods" => pods::cells(object, now),
        "events" => row.event(),
        "nodes" => row.node(),
        "persistentvolumeclaims" | "persistentvolumes" => row.volume(plural == "persistentvolumes"),
        "services" => row.service(),
        "deployments" | "replicasets" | "replicationcontrollers" | "statefulsets" | "daemonsets" => {
            row.workload(plural)
        }
        "jobs" => row.job(),
        "cronjobs" => row.cron_job(),
        "horizontalpodautoscalers" => row.autoscaler(),
        "ingresses" => row.ingress(),
        "endpointslices" => row.slice(),
        "clusterrolebindings" | "rolebindings" => row.binding(),
        plural => row.small(plural),
    }
}

/// An object about to be printed.
struct Row<'a> {
    object: &'a Value,
    now: Timestamp,
}

impl Row<'_> {
    fn name(&self) -> Value {
        json!(document::name(self.object))
    }

    fn age(&self) -> Value {
        json!(age_of(self.object, self.now))
    }

    fn text(&self, pointer: &str) -> &str {
        text(self.object, pointer)
    }

    fn text_or(&self, pointer: &str, other: &str) -> Value {
        match self.object.pointer(pointer) {
            Some(Value::String(text)) if !text.is_empty() => json!(text),
            Some(Value::Null) | Some(Value::String(_)) | None => json!(other),
            Some(value) => json!(value.to_string()),
        }
    }

    fn number(&self, pointer: &str) -> i64 {
        self.object.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
    }

    fn list(&self, pointer: &str) -> &[Value] {
        self.object.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    fn size(&self, pointer: &str) -> usize {
        match self.object.pointer(pointer) {
            Some(Value::Array(list)) => list.len(),
            Some(Value::Object(map)) => map.len(),
            _ => 0,
        }
    }

    /// Names and images of the containers of the template at `pointer`.
    fn containers(&self, pointer: &str) -> [Value; 2] {
        let joined = |key: &str| {
            let list: Vec<&str> =
                self.list(&format!("{pointer}/spec/containers")).iter().map(|one| text(one, key)).collect();
            json!(list.join(","))
        };
        [joined("/name"), joined("/image")]
    }

    fn selector(&self, pointer: &str) -> Value {
        json!(or_none(selector_text(self.object.pointer(pointer))))
    }

    fn small(&self, plural: &str) -> Vec<Value> {
        let middle: Vec<Value> = match plural {
            "configmaps" => vec![json!(self.size("/data") + self.size("/binaryData"))],
            "secrets" => vec![json!(self.text("/type")), json!(self.size("/data"))],
            "namespaces" => vec![json!(self.text("/status/phase"))],
            "serviceaccounts" => vec![],
            "leases" => vec![json!(self.text("/spec/holderIdentity"))],
            "endpoints" => vec![json!(self.endpoints())],
            "mutatingwebhookconfigurations" | "validatingwebhookconfigurations" => {
                vec![json!(self.size("/webhooks"))]
            }
            "controllerrevisions" => {
                vec![json!(self.controller()), json!(self.number("/revision").to_string())]
            }
            "ingressclasses" => vec![json!(self.text("/spec/controller")), json!("<none>")],
            "networkpolicies" => vec![self.selector("/spec/podSelector")],
            "runtimeclasses" => vec![json!(self.text("/handler"))],
            "poddisruptionbudgets" => vec![
                self.text_or("/spec/minAvailable", "N/A"),
                self.text_or("/spec/maxUnavailable", "N/A"),
                json!(self.number("/status/disruptionsAllowed")),
            ],
            "resourcequotas" => vec![json!(self.quota(false)), json!(self.quota(true))],
            "storageclasses" => {
                let expands = self.object.get("allowVolumeExpansion") == Some(&json!(true));
                vec![
                    json!(self.text("/provisioner")),
                    self.text_or("/reclaimPolicy", "Delete"),
                    self.text_or("/volumeBindingMode", "Immediate"),
                    json!(expands.to_string()),
                ]
            }
            "priorityclasses" => {
                let default = self.object.get("globalDefault") == Some(&json!(true));
                return vec![
                    self.name(),
                    json!(self.number("/value")),
                    json!(default),
                    self.age(),
                    json!(self.text("/preemptionPolicy")),
                ];
            }
            "podtemplates" => {
                let [names, images] = self.containers("/template");
                let labels = or_none(selector_text(self.object.pointer("/template/metadata/labels")));
                return vec![self.name(), names, images, json!(labels)];
            }
            _ => return vec![self.name(), json!(self.text("/metadata/creationTimestamp"))],
        };
        let mut cells = vec![self.name()];
        cells.extend(middle);
        cells.push(self.age());
        cells
    }

    fn event(&self) -> Vec<Value> {
        let since = |pointer: &str| {
            let at = self.text(pointer);
            (!at.is_empty()).then(|| age::since(at, self.now))
        };
        let first = since("/firstTimestamp").or(since("/eventTime")).unwrap_or_else(|| "<unknown>".into());
        let last =
            since("/series/lastObservedTime").or(since("/lastTimestamp")).unwrap_or_else(|| first.clone());
        let count = match (self.number("/series/count"), self.number("/count")) {
            (0, 0) => 1,
            (0, count) | (count, _) => count,
        };
        let kind = self.text("/involvedObject/kind").to_lowercase();
        let about = match self.text("/involvedObject/name") {
            "" => kind,
            name => format!("{kind}/{name}"),
        };
        let (component, host) = (self.text("/source/component"), self.text("/source/host"));
        let component = if component.is_empty() { self.text("/reportingComponent") } else { component };
        let source = if host.is_empty() { component.to_owned() } else { format!("{component}, {host}") };
        vec![
            json!(last),
            json!(self.text("/type")),
            json!(self.text("/reason")),
            json!(about),
            json!(self.text("/involvedObject/fieldPath")),
            json!(source),
            json!(self.text("/message").trim()),
            json!(first),
            json!(count),
            self.name(),
        ]
    }

    fn node(&self) -> Vec<Value> {
        let ready = self.list("/status/conditions").iter().find(|one| text(one, "/type") == "Ready");
        let mut status = match ready.map(|one| text(one, "/status")) {
            Some("True") => "Ready".to_owned(),
            Some(_) => "NotReady".to_owned(),
            None => "Unknown".to_owned(),
        };
        if self.object.pointer("/spec/unschedulable") == Some(&json!(true)) {
            status.push_str(",SchedulingDisabled");
        }
        let labels = self.object.pointer("/metadata/labels").and_then(Value::as_object);
        let roles: Vec<&str> = labels
            .into_iter()
            .flatten()
            .filter_map(|(key, _)| key.strip_prefix("node-role.kubernetes.io/"))
            .filter(|role| !role.is_empty())
            .collect();
        let address = |kind: &str| {
            let found = self.list("/status/addresses").iter().find(|one| text(one, "/type") == kind);
            json!(found.map_or("<none>", |one| text(one, "/address")))
        };
        vec![
            self.name(),
            json!(status),
            json!(or_none(roles.join(","))),
            self.age(),
            json!(self.text("/status/nodeInfo/kubeletVersion")),
            address("InternalIP"),
            address("ExternalIP"),
            self.text_or("/status/nodeInfo/osImage", "<unknown>"),
            self.text_or("/status/nodeInfo/kernelVersion", "<unknown>"),
            self.text_or("/status/nodeInfo/containerRuntimeVersion", "<unknown>"),
        ]
    }

    fn volume(&self, is_volume: bool) -> Vec<Value> {
        let modes: Vec<&str> = self
            .list("/spec/accessModes")
            .iter()
            .filter_map(|mode| match mode.as_str()? {
                "ReadWriteOnce" => Some("RWO"),
                "ReadOnlyMany" => Some("ROX"),
                "ReadWriteMany" => Some("RWX"),
                "ReadWriteOncePod" => Some("RWOP"),
                _ => None,
            })
            .collect();
        let modes = json!(modes.join(","));
        let status =
            if document::is_being_deleted(self.object) { "Terminating" } else { self.text("/status/phase") };
        let class = json!(self.text("/spec/storageClassName"));
        let attributes = self.text_or("/spec/volumeAttributesClassName", "<unset>");
        let mode = self.text_or("/spec/volumeMode", "<unset>");
        if is_volume {
            let claim = match self.text("/spec/claimRef/name") {
                "" => String::new(),
                name => format!("{}/{name}", self.text("/spec/claimRef/namespace")),
            };
            return vec![
                self.name(),
                json!(self.text("/spec/capacity/storage")),
                modes,
                json!(self.text("/spec/persistentVolumeReclaimPolicy")),
                json!(status),
                json!(claim),
                class,
                attributes,
                json!(self.text("/status/reason")),
                self.age(),
                mode,
            ];
        }
        let capacity = json!(self.text("/status/capacity/storage"));
        vec![
            self.name(),
            json!(status),
            json!(self.text("/spec/volumeName")),
            capacity,
            modes,
            class,
            attributes,
            self.age(),
            mode,
        ]
    }

    fn service(&self) -> Vec<Value> {
        let kind = self.text("/spec/type");
        let mut external: Vec<String> =
            self.list("/spec/externalIPs").iter().filter_map(|one| one.as_str().map(str::to_owned)).collect();
        let external = match kind {
            "ExternalName" => self.text("/spec/externalName").to_owned(),
            "LoadBalancer" => {
                let given = self.list("/status/loadBalancer/ingress").iter().map(|one| {
                    let address = text(one, "/ip");
                    if address.is_empty() { text(one, "/hostname").to_owned() } else { address.to_owned() }
                });
                let mut all: Vec<String> = given.collect();
                all.append(&mut external);
                if all.is_empty() { "<pending>".into() } else { all.join(",") }
            }
            _ => or_none(external.join(",")),
        };
        let ports: Vec<String> = self
            .list("/spec/ports")
            .iter()
            .map(|port| {
                let number = port.get("port").and_then(Value::as_i64).unwrap_or(0);
                let protocol = text(port, "/protocol");
                match port.get("nodePort").and_then(Value::as_i64) {
                    Some(node) if node > 0 => format!("{number}:{node}/{protocol}"),
                    _ => format!("{number}/{protocol}"),
                }
            })
            .collect();
        vec![
            self.name(),
            json!(kind),
            self.text_or("/spec/clusterIP", "<none>"),
            json!(external),
            json!(or_none(ports.join(","))),
            self.age(),
            self.selector("/spec/selector"),
        ]
    }

    fn workload(&self, plural: &str) -> Vec<Value> {
        let desired = self.number("/spec/replicas");
        let ready = self.number("/status/readyReplicas");
        let of = json!(format!("{ready}/{desired}"));
        let middle = match plural {
            "deployments" => vec![
                of,
                json!(self.number("/status/updatedReplicas")),
                json!(self.number("/status/availableReplicas")),
            ],
            "statefulsets" => vec![of],
            "daemonsets" => vec![
                json!(self.number("/status/desiredNumberScheduled")),
                json!(self.number("/status/currentNumberScheduled")),
                json!(self.number("/status/numberReady")),
                json!(self.number("/status/updatedNumberScheduled")),
                json!(self.number("/status/numberAvailable")),
                json!(or_none(selector_text(self.object.pointer("/spec/template/spec/nodeSelector")))),
            ],
            _ => vec![json!(desired), json!(self.number("/status/replicas")), json!(ready)],
        };
        let mut cells = vec![self.name()];
        cells.extend(middle);
        cells.push(self.age());
        cells.extend(self.containers("/spec/template"));
        if plural != "statefulsets" {
            cells.push(self.selector("/spec/selector"));
        }
        cells
    }

    fn job(&self) -> Vec<Value> {
        let is = |kind: &str| {
            self.list("/status/conditions")
                .iter()
                .any(|one| text(one, "/type") == kind && text(one, "/status") == "True")
        };
        let status = ["Complete", "Failed", "Suspended", "FailureTarget", "SuccessCriteriaMet"]
            .into_iter()
            .find(|kind| is(kind))
            .unwrap_or(if document::is_being_deleted(self.object) { "Terminating" } else { "Running" });
        let succeeded = self.number("/status/succeeded");
        let completions = match self.object.pointer("/spec/completions").and_then(Value::as_i64) {
            Some(wanted) => format!("{succeeded}/{wanted}"),
            None => match self.number("/spec/parallelism") {
                parallel if parallel > 1 => format!("{succeeded}/1 of {parallel}"),
                _ => format!("{succeeded}/1"),
            },
        };
        let duration = match self.text("/status/startTime").parse::<Timestamp>() {
            Ok(start) => {
                let end = self.text("/status/completionTime").parse().unwrap_or(self.now);
                age::human(end.duration_since(start))
            }
            Err(_) => String::new(),
        };
        let [names, images] = self.containers("/spec/template");
        vec![
            self.name(),
            json!(status),
            json!(completions),
            json!(duration),
            self.age(),
            names,
            images,
            self.selector("/spec/selector"),
        ]
    }

    fn cron_job(&self) -> Vec<Value> {
        let last = match self.text("/status/lastScheduleTime") {
            "" => "<none>".to_owned(),
            at => age::since(at, self.now),
        };
        let [names, images] = self.containers("/spec/jobTemplate/spec/template");
        let suspended = self.object.pointer("/spec/suspend") == Some(&json!(true));
        vec![
            self.name(),
            json!(self.text("/spec/schedule")),
            self.text_or("/spec/timeZone", "<none>"),
            json!(if suspended { "True" } else { "False" }),
            json!(self.size("/status/active")),
            json!(last),
            self.age(),
            names,
            images,
            self.selector("/spec/jobTemplate/spec/selector"),
        ]
    }

    fn autoscaler(&self) -> Vec<Value> {
        let reference =
            format!("{}/{}", self.text("/spec/scaleTargetRef/kind"), self.text("/spec/scaleTargetRef/name"));
        let metrics = self.list("/spec/metrics");
        let shown: Vec<String> =
            metrics.iter().enumerate().take(2).map(|(index, metric)| self.metric(index, metric)).collect();
        let mut targets = or_none(shown.join(", "));
        if metrics.len() > 2 {
            targets = format!("{targets} + {} more...", metrics.len() - 2);
        }
        vec![
            self.name(),
            json!(reference),
            json!(targets),
            self.text_or("/spec/minReplicas", "<unset>"),
            json!(self.number("/spec/maxReplicas")),
            json!(self.number("/status/currentReplicas")),
            self.age(),
        ]
    }

    fn metric(&self, index: usize, metric: &Value) -> String {
        let current = self.list("/status/currentMetrics").get(index);
        let member = match text(metric, "/type") {
            "Resource" => "resource",
            "Pods" => "pods",
            "Object" => "object",
            "External" => "external",
            "ContainerResource" => "containerResource",
            _ => return "<unknown type>".into(),
        };
        let part = |value: Option<&Value>, key: &str| {
            value
                .and_then(|value| value.pointer(&format!("/{member}/{key}")))
                .filter(|value| !value.is_null())
                .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        };
        let prefix = if member == "resource" {
            format!("{}: ", text(metric, "/resource/name"))
        } else {
            String::new()
        };
        let unknown = || "<unknown>".to_owned();
        if let Some(target) = part(Some(metric), "target/averageUtilization") {
            let current =
                part(current, "current/averageUtilization").map_or_else(unknown, |now| format!("{now}%"));
            return format!("{prefix}{current}/{target}%");
        }
        if let Some(target) = part(Some(metric), "target/averageValue") {
            let current = part(current, "current/averageValue").unwrap_or_else(unknown);
            let average = if matches!(member, "object" | "external") { " (avg)" } else { "" };
            return format!("{prefix}{current}/{target}{average}");
        }
        let current = part(current, "current/value").unwrap_or_else(unknown);
        format!("{prefix}{current}/{}", part(Some(metric), "target/value").unwrap_or_default())
    }

    fn ingress(&self) -> Vec<Value> {
        let hosts: Vec<&str> = self
            .list("/spec/rules")
            .iter()
            .map(|rule| text(rule, "/host"))
            .filter(|host| !host.is_empty())
            .collect();
        let hosts = match hosts.len() {
            0 => "*".to_owned(),
            count if count > 3 => format!("{} + {} more...", hosts[..3].join(","), count - 3),
            _ => hosts.join(","),
        };
        let addresses: Vec<&str> = self
            .list("/status/loadBalancer/ingress")
            .iter()
            .map(|one| if text(one, "/ip").is_empty() { text(one, "/hostname") } else { text(one, "/ip") })
            .collect();
        let ports = if self.size("/spec/tls") > 0 { "80, 443" } else { "80" };
        vec![
            self.name(),
            self.text_or("/spec/ingressClassName", "<none>"),
            json!(hosts),
            json!(addresses.join(",")),
            json!(ports),
            self.age(),
        ]
    }

    fn slice(&self) -> Vec<Value> {
        let ports: Vec<String> = self
            .list("/ports")
            .iter()
            .map(|port| port.get("port").and_then(Value::as_i64).map_or("*".into(), |port| port.to_string()))
            .collect();
        let addresses: Vec<&str> = self
            .list("/endpoints")
            .iter()
            .flat_map(|one| one.get("addresses").and_then(Value::as_array).into_iter().flatten())
            .filter_map(Value::as_str)
            .collect();
        vec![
            self.name(),
            json!(self.text("/addressType")),
            json!(few(&ports, "<unset>")),
            json!(few(&addresses, "<unset>")),
            self.age(),
        ]
    }

    fn endpoints(&self) -> String {
        let mut all: Vec<String> = Vec::new();
        for subset in self.list("/subsets") {
            let list = |key: &str| subset.get(key).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            for address in list("addresses") {
                if list("ports").is_empty() {
                    all.push(text(address, "/ip").to_owned());
                }
                for port in list("ports") {
                    all.push(format!(
                        "{}:{}",
                        text(address, "/ip"),
                        port.get("port").cloned().unwrap_or_default()
                    ));
                }
            }
        }
        few(&all, "<none>")
    }

    fn binding(&self) -> Vec<Value> {
        let role = format!("{}/{}", self.text("/roleRef/kind"), self.text("/roleRef/name"));
        let of = |kind: &str| {
            let names: Vec<String> = self
                .list("/subjects")
                .iter()
                .filter(|subject| text(subject, "/kind") == kind)
                .map(|subject| match (kind, text(subject, "/name")) {
                    ("ServiceAccount", name) => format!("{}/{name}", text(subject, "/namespace")),
                    (_, name) => name.to_owned(),
                })
                .collect();
            json!(names.join(", "))
        };
        vec![self.name(), json!(role), self.age(), of("User"), of("Group"), of("ServiceAccount")]
    }

    fn controller(&self) -> String {
        let owner = self
            .list("/metadata/ownerReferences")
            .iter()
            .find(|owner| owner.get("controller") == Some(&json!(true)));
        match owner {
            Some(owner) => {
                let group = text(owner, "/apiVersion").split_once('/').map_or("", |(group, _)| group);
                let kind = text(owner, "/kind").to_lowercase();
                let dot = if group.is_empty() { "" } else { "." };
                format!("{kind}{dot}{group}/{}", text(owner, "/name"))
            }
            None => "<none>".into(),
        }
    }

    fn quota(&self, limits: bool) -> String {
        let hard = self.object.pointer("/status/hard").and_then(Value::as_object);
        let shown: Vec<String> = hard
            .into_iter()
            .flatten()
            .filter(|(name, _)| name.starts_with("limits.") == limits)
            .map(|(name, hard)| {
                let used = self.object.pointer(&format!("/status/used/{}", name.replace('/', "~1")));
                let plain = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                format!("{name}: {}/{}", used.map_or("0".into(), plain), plain(hard))
            })
            .collect();
        shown.join(", ")
    }
}

fn or_none(text: String) -> String {
    if text.is_empty() { "<none>".into() } else { text }
}

/// At most three, and how many more.
fn few(list: &[impl AsRef<str>], none: &str) -> String {
    let shown: Vec<&str> = list.iter().take(3).map(AsRef::as_ref).collect();
    match list.len() {
        0 => none.into(),
        count if count > 3 => format!("{} + {} more...", shown.join(","), count - 3),
        _ => shown.join(","),
    }
}
