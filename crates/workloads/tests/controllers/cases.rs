//! What is made and changed, and whose statuses are compared.

use glidepath_workloads::api::Propagation;
use glidepath_workloads::resource::{
    CONFIG_MAPS, DEPLOYMENTS, ENDPOINT_SLICES, JOBS, NODES, POD_DISRUPTION_BUDGETS, PODS, REPLICA_SETS,
    Resource, SERVICE_ACCOUNTS, SERVICES,
};
use serde_json::{Value, json};

/// Something done to the plane. Names may be aliases (`web#2` is the second pod of `web`).
#[derive(Clone, Debug)]
pub enum Act {
    /// Creates an object.
    Create(Resource, Value),
    /// Patches one.
    Patch(Resource, &'static str, Value),
    /// Deletes one.
    Delete(Resource, &'static str, Option<Propagation>),
    /// Deletes the case's namespace.
    DeleteNamespace,
    /// Makes the kubelet of `node-b` fall silent, or speak again.
    SetLost(bool),
    /// Patches the spec of a node.
    SetNode(&'static str, Value),
}

/// How long a state usually must last to be compared.
const LASTING_SECONDS: f64 = 2.5;

/// One sequence of acts and whose states are compared.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it is about; also the namespace.
    pub name: &'static str,
    /// What is done after how many seconds.
    pub acts: Vec<(u64, Act)>,
    /// The kinds whose objects are compared.
    pub watched: Vec<Resource>,
    /// How long it goes on.
    pub seconds: u64,
    /// Whether it must have the plane for itself.
    pub is_alone: bool,
    /// How many seconds a state must last to be compared.
    pub lasting: f64,
}

fn case(name: &'static str, seconds: u64, watched: &[Resource], acts: Vec<(u64, Act)>) -> Case {
    Case { name, acts, watched: watched.to_vec(), seconds, is_alone: false, lasting: LASTING_SECONDS }
}

fn labelled(container: Value, policy: &str) -> Value {
    let mut container = container;
    container["name"] = json!("app");
    if container.get("image").is_none() {
        container["image"] = json!("web:1");
    }
    json!({"metadata": {"labels": {"app": "web"}}, "spec": {"restartPolicy": policy, "terminationGracePeriodSeconds": 1, "containers": [container], "nodeSelector": {"name": "node-a"}}})
}

fn template(container: Value) -> Value {
    labelled(container, "Always")
}

fn workload(kind: &str, replicas: i64, template: Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "web"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template}})
}

fn with(mut body: Value, field: &str, value: Value) -> Value {
    body["spec"][field] = value;
    body
}

fn set(replicas: i64) -> Act {
    Act::Create(REPLICA_SETS, workload("ReplicaSet", replicas, template(json!({}))))
}

fn job(spec: Value, container: Value) -> Act {
    let mut spec = spec;
    spec["template"] = labelled(container, "Never");
    spec["template"]["metadata"] = json!({});
    Act::Create(
        JOBS,
        json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "work"}, "spec": spec}),
    )
}

fn run(script: &str) -> Value {
    json!({"command": ["sh", "-c", script]})
}

fn lone_pod(name: &str, spec: Value) -> Act {
    let mut pod = template(json!({}));
    pod["spec"]["nodeSelector"] = Value::Null;
    for (field, value) in spec.as_object().into_iter().flatten() {
        pod["spec"][field] = value.clone();
    }
    pod["apiVersion"] = json!("v1");
    pod["kind"] = json!("Pod");
    pod["metadata"]["name"] = json!(name);
    Act::Create(PODS, pod)
}

/// Every case.
pub fn cases() -> Vec<Case> {
    [sets(), deployments(), jobs(), services(), budgets(), garbage(), namespaces(), placements(), losses()]
        .concat()
}

fn sets() -> Vec<Case> {
    let replicas = |count: i64| json!({"spec": {"replicas": count}});
    let cost = |value: &str| json!({"metadata": {"annotations": {"controller.kubernetes.io/pod-deletion-cost": value}}});
    let never_ready = json!({"metadata": {"annotations": {"sandbox.glidepath.dev/never-ready": "true"}}});
    let both = [REPLICA_SETS, PODS];
    vec![
        case(
            "set grows and shrinks",
            20,
            &both,
            vec![
                (0, set(2)),
                (5, Act::Patch(REPLICA_SETS, "web", replicas(3))),
                (10, Act::Patch(REPLICA_SETS, "web", replicas(1))),
                (15, Act::Patch(REPLICA_SETS, "web", replicas(0))),
            ],
        ),
        case(
            "set with min ready seconds",
            25,
            &both,
            vec![(
                0,
                Act::Create(
                    REPLICA_SETS,
                    with(workload("ReplicaSet", 2, template(json!({}))), "minReadySeconds", json!(10)),
                ),
            )],
        ),
        case(
            "set sheds by deletion cost",
            20,
            &both,
            vec![
                (0, set(3)),
                (4, Act::Patch(PODS, "web#1", cost("-5"))),
                (4, Act::Patch(PODS, "web#2", cost("10"))),
                (8, Act::Patch(REPLICA_SETS, "web", replicas(2))),
                (13, Act::Patch(REPLICA_SETS, "web", replicas(1))),
            ],
        ),
        case(
            "set sheds the unready first",
            15,
            &both,
            vec![
                (0, set(2)),
                (5, Act::Patch(PODS, "web#1", never_ready)),
                (10, Act::Patch(REPLICA_SETS, "web", replicas(1))),
            ],
        ),
        case(
            "set sheds the newest of equals",
            20,
            &both,
            vec![
                (0, set(1)),
                (5, Act::Patch(REPLICA_SETS, "web", replicas(2))),
                (10, Act::Patch(REPLICA_SETS, "web", replicas(1))),
            ],
        ),
        case(
            "set adopts and releases",
            20,
            &both,
            vec![
                (0, lone_pod("orphan", json!({}))),
                (5, set(2)),
                (10, Act::Patch(PODS, "orphan", json!({"metadata": {"labels": {"app": "other"}}}))),
            ],
        ),
        case(
            "set replaces a deleted pod",
            15,
            &both,
            vec![(0, set(1)), (5, Act::Delete(PODS, "web#1", None))],
        ),
        case(
            "set replaces a failed pod",
            15,
            &both,
            vec![(
                0,
                Act::Create(
                    REPLICA_SETS,
                    workload("ReplicaSet", 1, {
                        let mut template = template(json!({}));
                        template["metadata"]["annotations"] =
                            json!({"sandbox.glidepath.dev/evict-after": "9s"});
                        template
                    }),
                ),
            )],
        ),
        case(
            "set whose pods are refused",
            15,
            &both,
            vec![(
                0,
                Act::Create(
                    REPLICA_SETS,
                    workload("ReplicaSet", 1, {
                        let mut template = template(json!({}));
                        template["spec"]["serviceAccountName"] = json!("absent");
                        template
                    }),
                ),
            )],
        ),
    ]
}

fn deployments() -> Vec<Case> {
    let deployment = |replicas, container| workload("Deployment", replicas, template(container));
    let image = |image: &str| json!({"spec": {"template": {"spec": {"containers": [{"name": "app", "image": image}]}}}});
    let probe =
        json!({"readinessProbe": {"exec": {"command": ["true"]}, "periodSeconds": 4, "successThreshold": 2}});
    let both = [DEPLOYMENTS, REPLICA_SETS];
    let slowly = |image: &str| {
        let mut patch = self::with(json!({}), "template", json!({}));
        patch["spec"]["template"] = json!({"spec": {"containers": [{"name": "app", "image": image,
            "readinessProbe": {"exec": {"command": ["true"]}, "periodSeconds": 4, "successThreshold": 2}}]}});
        patch
    };
    vec![
        case("deployment", 15, &both, vec![(0, Act::Create(DEPLOYMENTS, deployment(2, probe.clone())))]),
        case(
            "deployment rolls",
            60,
            &both,
            vec![
                (0, Act::Create(DEPLOYMENTS, deployment(4, probe.clone()))),
                (12, Act::Patch(DEPLOYMENTS, "web", slowly("web:2"))),
            ],
        ),
        case(
            "deployment recreates",
            40,
            &both,
            vec![
                (
                    0,
                    Act::Create(
                        DEPLOYMENTS,
                        with(deployment(2, probe), "strategy", json!({"type": "Recreate"})),
                    ),
                ),
                (12, Act::Patch(DEPLOYMENTS, "web", slowly("web:2"))),
            ],
        ),
        case(
            "deployment goes back",
            60,
            &both,
            vec![
                (0, Act::Create(DEPLOYMENTS, deployment(1, json!({})))),
                (8, Act::Patch(DEPLOYMENTS, "web", image("web:2"))),
                (16, Act::Patch(DEPLOYMENTS, "web", image("web:1"))),
                (24, Act::Patch(DEPLOYMENTS, "web", image("web:3"))),
            ],
        ),
        case(
            "deployment keeps one old set",
            50,
            &both,
            vec![
                (
                    0,
                    Act::Create(
                        DEPLOYMENTS,
                        with(deployment(1, json!({})), "revisionHistoryLimit", json!(1)),
                    ),
                ),
                (8, Act::Patch(DEPLOYMENTS, "web", image("web:2"))),
                (16, Act::Patch(DEPLOYMENTS, "web", image("web:3"))),
                (24, Act::Patch(DEPLOYMENTS, "web", image("web:4"))),
            ],
        ),
        case(
            "deployment without progress",
            40,
            &both,
            vec![
                (
                    0,
                    Act::Create(
                        DEPLOYMENTS,
                        with(deployment(2, json!({})), "progressDeadlineSeconds", json!(10)),
                    ),
                ),
                (8, Act::Patch(DEPLOYMENTS, "web", image("web:does-not-exist"))),
                (28, Act::Patch(DEPLOYMENTS, "web", image("web:1"))),
            ],
        ),
        case(
            "deployment paused",
            30,
            &both,
            vec![
                (0, Act::Create(DEPLOYMENTS, deployment(2, json!({})))),
                (6, Act::Patch(DEPLOYMENTS, "web", json!({"spec": {"paused": true}}))),
                (10, Act::Patch(DEPLOYMENTS, "web", image("web:2"))),
                (15, Act::Patch(DEPLOYMENTS, "web", json!({"spec": {"replicas": 3}}))),
                (20, Act::Patch(DEPLOYMENTS, "web", json!({"spec": {"paused": false}}))),
            ],
        ),
        case(
            "deployment scaled while rolling",
            60,
            &both,
            vec![
                (0, Act::Create(DEPLOYMENTS, deployment(4, json!({})))),
                (8, Act::Patch(DEPLOYMENTS, "web", image("web:does-not-exist"))),
                (14, Act::Patch(DEPLOYMENTS, "web", json!({"spec": {"replicas": 8}}))),
                (20, Act::Patch(DEPLOYMENTS, "web", json!({"spec": {"replicas": 2}}))),
            ],
        ),
        case(
            "deployment unavailable",
            15,
            &both,
            vec![(0, Act::Create(DEPLOYMENTS, deployment(1, json!({"image": "web:does-not-exist"}))))],
        ),
        case(
            "deployment whose pods are refused",
            15,
            &both,
            vec![(
                0,
                Act::Create(DEPLOYMENTS, {
                    let mut body = deployment(1, json!({}));
                    body["spec"]["template"]["spec"]["serviceAccountName"] = json!("absent");
                    body
                }),
            )],
        ),
    ]
}

fn jobs() -> Vec<Case> {
    let both = [JOBS, PODS];
    let suspend = |suspend: bool| Act::Patch(JOBS, "work", json!({"spec": {"suspend": suspend}}));
    let ignore = json!({"rules": [{"action": "Ignore", "onExitCodes": {"operator": "In", "values": [42]}}]});
    let fail = json!({"rules": [{"action": "FailJob", "onExitCodes": {"containerName": "app", "operator": "In", "values": [42]}}]});
    vec![
        case("job", 15, &both, vec![(0, job(json!({}), run("sleep 4")))]),
        case(
            "job of three two at a time",
            25,
            &both,
            vec![(0, job(json!({"completions": 3, "parallelism": 2}), run("sleep 4")))],
        ),
        case(
            "job that fails at once",
            20,
            &both,
            vec![(0, job(json!({"backoffLimit": 0}), run("sleep 4; exit 1")))],
        ),
        case(
            "job that fails twice",
            45,
            &both,
            vec![(0, job(json!({"backoffLimit": 1}), run("sleep 4; exit 1")))],
        ),
        case(
            "job past its deadline",
            25,
            &both,
            vec![(0, job(json!({"activeDeadlineSeconds": 6}), run("sleep 600")))],
        ),
        case(
            "job suspended and resumed",
            35,
            &both,
            vec![
                (0, job(json!({"suspend": true}), run("sleep 8"))),
                (5, suspend(false)),
                (9, suspend(true)),
                (15, suspend(false)),
            ],
        ),
        case(
            "job made parallel",
            25,
            &both,
            vec![
                (0, job(json!({"parallelism": 1, "completions": 4}), run("sleep 600"))),
                (5, Act::Patch(JOBS, "work", json!({"spec": {"parallelism": 3}}))),
                (10, Act::Patch(JOBS, "work", json!({"spec": {"parallelism": 0}}))),
            ],
        ),
        case("job of a work queue", 20, &both, vec![(0, job(json!({"parallelism": 2}), run("sleep 4")))]),
        case(
            "job with a lost pod",
            25,
            &both,
            vec![(0, job(json!({}), run("sleep 600"))), (5, Act::Delete(PODS, "work#1", None))],
        ),
        case(
            "job with a missing image",
            15,
            &both,
            vec![(0, job(json!({}), json!({"image": "web:does-not-exist"})))],
        ),
        case(
            "job that a rule fails",
            20,
            &both,
            vec![(0, job(json!({"backoffLimit": 3, "podFailurePolicy": fail}), run("sleep 4; exit 42")))],
        ),
        case(
            "job whose failures a rule ignores",
            40,
            &both,
            vec![(0, job(json!({"backoffLimit": 0, "podFailurePolicy": ignore}), run("sleep 4; exit 42")))],
        ),
        case(
            "job that is not kept",
            20,
            &[JOBS, PODS],
            vec![(0, job(json!({"ttlSecondsAfterFinished": 5}), run("sleep 4")))],
        ),
        case(
            "job deleted",
            20,
            &both,
            vec![
                (0, job(json!({}), run("sleep 600"))),
                (5, Act::Delete(JOBS, "work", Some(Propagation::Background))),
            ],
        ),
        case(
            "job deleted as kubectl did long ago",
            20,
            &both,
            vec![
                (0, job(json!({}), run("sleep 600"))),
                (5, Act::Delete(JOBS, "work", Some(Propagation::Orphan))),
            ],
        ),
    ]
}

fn services() -> Vec<Case> {
    let service = |spec: Value| {
        let mut spec = spec;
        spec["selector"] = json!({"app": "web"});
        Act::Create(
            SERVICES,
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "front"}, "spec": spec}),
        )
    };
    let http = json!([{"name": "http", "port": 80, "targetPort": "web"}]);
    let named = json!({"ports": [{"name": "web", "containerPort": 8080}]});
    let pods = |container: Value| Act::Create(REPLICA_SETS, workload("ReplicaSet", 2, template(container)));
    let slices = [ENDPOINT_SLICES];
    let mut late = named.clone();
    late["readinessProbe"] = json!({"exec": {"command": ["false"]}});
    let mut slow = named.clone();
    slow["lifecycle"] = json!({"preStop": {"sleep": {"seconds": 5}}});
    let mut slow_set = workload("ReplicaSet", 2, template(slow));
    slow_set["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(10);
    vec![
        case(
            "service with named ports",
            15,
            &slices,
            vec![(0, service(json!({"ports": http}))), (3, pods(named.clone()))],
        ),
        case(
            "service with numbers",
            15,
            &slices,
            vec![
                (
                    0,
                    service(
                        json!({"ports": [{"name": "a", "port": 80, "targetPort": 8080}, {"name": "b", "port": 81, "protocol": "UDP"}]}),
                    ),
                ),
                (3, pods(named.clone())),
            ],
        ),
        case(
            "service of unready pods",
            15,
            &slices,
            vec![(0, service(json!({"ports": http}))), (3, pods(late.clone()))],
        ),
        case(
            "service that publishes the unready",
            15,
            &slices,
            vec![(0, service(json!({"ports": http, "publishNotReadyAddresses": true}))), (3, pods(late))],
        ),
        case(
            "service of terminating pods",
            25,
            &slices,
            vec![
                (0, service(json!({"ports": http}))),
                (1, Act::Create(REPLICA_SETS, slow_set)),
                (8, Act::Patch(REPLICA_SETS, "web", json!({"spec": {"replicas": 1}}))),
            ],
        ),
        case(
            "service that changes its selector",
            15,
            &slices,
            vec![
                (0, service(json!({"ports": http}))),
                (1, pods(named)),
                (8, Act::Patch(SERVICES, "front", json!({"spec": {"selector": {"app": "other"}}}))),
            ],
        ),
        case(
            "headless service",
            15,
            &slices,
            vec![(0, service(json!({"clusterIP": "None", "ports": [{"port": 80}]}))), (3, pods(json!({})))],
        ),
        case(
            "service deleted",
            15,
            &slices,
            vec![
                (0, service(json!({"ports": [{"port": 80}]}))),
                (3, pods(json!({}))),
                (8, Act::Delete(SERVICES, "front", None)),
            ],
        ),
    ]
}

fn budgets() -> Vec<Case> {
    let budget = |spec: Value| {
        let mut spec = spec;
        spec["selector"] = json!({"matchLabels": {"app": "web"}});
        Act::Create(
            POD_DISRUPTION_BUDGETS,
            json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "guard"}, "spec": spec}),
        )
    };
    let kinds = [POD_DISRUPTION_BUDGETS];
    vec![
        case("budget of a minimum", 15, &kinds, vec![(0, budget(json!({"minAvailable": 2}))), (4, set(3))]),
        case(
            "budget of a share",
            15,
            &kinds,
            vec![(0, set(3)), (4, budget(json!({"maxUnavailable": "50%"})))],
        ),
        case("budget without pods", 10, &kinds, vec![(0, budget(json!({"maxUnavailable": 1})))]),
        case(
            "budget of lone pods",
            15,
            &kinds,
            vec![(0, lone_pod("alone", json!({}))), (4, budget(json!({"maxUnavailable": 1})))],
        ),
        case(
            "budget of a deployment",
            15,
            &kinds,
            vec![
                (0, Act::Create(DEPLOYMENTS, workload("Deployment", 4, template(json!({}))))),
                (4, budget(json!({"minAvailable": "60%"}))),
            ],
        ),
    ]
}

fn garbage() -> Vec<Case> {
    let deployment = || Act::Create(DEPLOYMENTS, workload("Deployment", 1, template(json!({}))));
    let delete = |propagation| Act::Delete(DEPLOYMENTS, "web", Some(propagation));
    let map = |name: &str, finalizers: Value| {
        Act::Create(
            CONFIG_MAPS,
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "finalizers": finalizers}}),
        )
    };
    let all = [DEPLOYMENTS, REPLICA_SETS, PODS];
    vec![
        case(
            "deleted in the foreground",
            15,
            &all,
            vec![(0, deployment()), (6, delete(Propagation::Foreground))],
        ),
        case(
            "deleted in the background",
            15,
            &all,
            vec![(0, deployment()), (6, delete(Propagation::Background))],
        ),
        case(
            "deleted without dependents",
            15,
            &all,
            vec![(0, deployment()), (6, delete(Propagation::Orphan))],
        ),
        case(
            "owned by somebody absent",
            15,
            &[CONFIG_MAPS],
            vec![(
                0,
                Act::Create(
                    CONFIG_MAPS,
                    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "lost",
                "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "never", "uid": "00000000-0000-4000-8000-000000000001"}]}}),
                ),
            )],
        ),
        case(
            "held by a finalizer",
            15,
            &[CONFIG_MAPS],
            vec![
                (0, map("held", json!(["lab.example.com/hold"]))),
                (4, Act::Delete(CONFIG_MAPS, "held", None)),
                (8, Act::Patch(CONFIG_MAPS, "held", json!({"metadata": {"finalizers": null}}))),
            ],
        ),
    ]
}

fn namespaces() -> Vec<Case> {
    vec![
        case(
            "account and root certificate come back",
            15,
            &[SERVICE_ACCOUNTS, CONFIG_MAPS],
            vec![
                (3, Act::Delete(SERVICE_ACCOUNTS, "default", None)),
                (
                    7,
                    Act::Patch(
                        CONFIG_MAPS,
                        "kube-root-ca.crt",
                        json!({"data": {"mine": "too", "ca.crt": null}}),
                    ),
                ),
                (11, Act::Delete(CONFIG_MAPS, "kube-root-ca.crt", None)),
            ],
        ),
        case(
            "namespace deleted",
            30,
            &[DEPLOYMENTS, REPLICA_SETS, PODS, CONFIG_MAPS],
            vec![
                (
                    0,
                    Act::Create(
                        DEPLOYMENTS,
                        workload("Deployment", 1, {
                            let mut template =
                                template(json!({"lifecycle": {"preStop": {"sleep": {"seconds": 6}}}}));
                            template["spec"]["terminationGracePeriodSeconds"] = json!(10);
                            template
                        }),
                    ),
                ),
                (6, Act::DeleteNamespace),
            ],
        ),
    ]
}

fn placements() -> Vec<Case> {
    let kinds = [PODS];
    let cpu = |amount: &str| json!({"containers": [{"name": "app", "image": "web:1", "resources": {"requests": {"cpu": amount}}}]});
    let memory = json!({"containers": [{"name": "app", "image": "web:1", "resources": {"requests": {"cpu": "10", "memory": "100Gi"}}}]});
    let required = |terms: Value| json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}});
    vec![
        case("pod too big", 8, &kinds, vec![(0, lone_pod("big", cpu("100")))]),
        case("pod too big in two ways", 8, &kinds, vec![(0, lone_pod("big", memory))]),
        case(
            "pod for another node",
            8,
            &kinds,
            vec![(0, lone_pod("picky", json!({"nodeSelector": {"name": "node-z"}})))],
        ),
        case(
            "pod for another zone",
            8,
            &kinds,
            vec![(
                0,
                lone_pod(
                    "picky",
                    required(
                        json!([{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["z"]}]}]),
                    ),
                ),
            )],
        ),
        case(
            "pod too big for its node",
            8,
            &kinds,
            vec![(
                0,
                lone_pod("picky", {
                    let mut spec = cpu("100");
                    spec["nodeSelector"] = json!({"name": "node-a"});
                    spec
                }),
            )],
        ),
        case(
            "pod with a gate",
            12,
            &kinds,
            vec![
                (0, lone_pod("gated", json!({"schedulingGates": [{"name": "lab.example.com/wait"}]}))),
                (6, Act::Patch(PODS, "gated", json!({"spec": {"schedulingGates": null}}))),
            ],
        ),
        case(
            "pod of another scheduler",
            8,
            &kinds,
            vec![(0, lone_pod("foreign", json!({"schedulerName": "somebody-else"})))],
        ),
    ]
}

fn losses() -> Vec<Case> {
    let on_b = |tolerations: Value| json!({"nodeSelector": {"name": "node-b"}, "tolerations": tolerations});
    let brief = json!([{"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 20}]);
    let forever = json!([{"operator": "Exists"}]);
    let acts = vec![
        (0, lone_pod("brief", on_b(brief))),
        (0, lone_pod("loyal", on_b(forever))),
        (0, lone_pod("usual", on_b(json!([])))),
        (5, Act::SetLost(true)),
        (60, lone_pod("late", on_b(json!([])))),
        (95, Act::SetLost(false)),
    ];
    let lost = case("node lost and found", 120, &[NODES, PODS], acts);
    // The real controller looks at its nodes every five seconds.
    let lost = Case { lasting: 6.0, ..lost };
    let shut = case(
        "nodes cordoned and tainted",
        20,
        &[NODES, PODS],
        vec![
            (
                0,
                Act::SetNode(
                    "node-a",
                    json!({"taints": [{"key": "lab", "value": "busy", "effect": "NoSchedule"}]}),
                ),
            ),
            (0, Act::SetNode("node-b", json!({"unschedulable": true}))),
            (4, lone_pod("homeless", json!({}))),
            (
                8,
                lone_pod(
                    "tolerant",
                    json!({"nodeSelector": {"name": "node-b"}, "tolerations": [{"operator": "Exists"}]}),
                ),
            ),
            (12, Act::SetNode("node-b", json!({"unschedulable": null}))),
            (16, Act::SetNode("node-a", json!({"taints": null}))),
        ],
    );
    [lost, shut].into_iter().map(|case| Case { is_alone: true, ..case }).collect()
}
