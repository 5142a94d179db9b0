//! The pods whose lives are compared.

use serde_json::{Value, json};

/// Something done to a pod.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    /// Deletes it, with this grace if given.
    Delete(Option<i64>),
    /// Sets the condition of a readiness gate.
    Gate(&'static str, &'static str),
    /// Gives its first container another image.
    Image(&'static str),
    /// Evicts it through the API.
    Evict,
}

/// One pod and what is done to it.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it is about; also the pod's name.
    pub name: &'static str,
    /// Tells the model what the command does where it cannot know.
    pub annotations: Value,
    /// The pod's spec.
    pub spec: Value,
    /// What is done how many seconds after creation.
    pub acts: Vec<(u64, Act)>,
    /// How long it is watched.
    pub seconds: u64,
}

impl Case {
    fn when(mut self, seconds: u64, act: Act) -> Self {
        self.acts.push((seconds, act));
        self
    }

    fn told(mut self, switch: &str, value: &str) -> Self {
        self.annotations[format!("sandbox.glidepath.dev/{switch}")] = json!(value);
        self
    }

    fn field(mut self, field: &str, value: Value) -> Self {
        self.spec[field] = value;
        self
    }

    fn beside(mut self, name: &str, container: Value) -> Self {
        let container = complete(name, container);
        self.spec["containers"].as_array_mut().unwrap().push(container);
        self
    }

    fn after(mut self, name: &str, container: Value) -> Self {
        let container = complete(name, container);
        match self.spec["initContainers"].as_array_mut() {
            Some(all) => all.push(container),
            None => self.spec["initContainers"] = json!([container]),
        }
        self
    }
}

fn complete(name: &str, mut container: Value) -> Value {
    container["name"] = json!(name);
    if container.get("image").is_none() {
        container["image"] = json!("app:1");
    }
    container
}

/// A pod of one container `app`, watched for `seconds`.
fn pod(name: &'static str, seconds: u64, policy: &str, container: Value) -> Case {
    let spec = json!({"restartPolicy": policy, "terminationGracePeriodSeconds": 5, "containers": [complete("app", container)]});
    Case { name, annotations: json!({}), spec, acts: Vec::new(), seconds }
}

fn shell(script: &str) -> Value {
    json!(["sh", "-c", script])
}

fn run(script: &str) -> Value {
    json!({"command": shell(script)})
}

/// A container that serves for ever and ends well when told to.
fn serve() -> Value {
    json!({"args": shell("trap 'exit 0' TERM; while true; do sleep 0.1; done")})
}

fn serve_with(field: &str, value: Value) -> Value {
    let mut container = serve();
    container[field] = value;
    container
}

/// Every case.
pub fn cases() -> Vec<Case> {
    [starts(), probes(), ends(), several(), hooks(), departures()].concat()
}

fn starts() -> Vec<Case> {
    vec![
        pod("plain server", 10, "Always", serve()),
        pod("missing image", 90, "Always", json!({"image": "app:does-not-exist"})),
        pod("missing image of a job", 40, "Never", json!({"image": "lab/app:does-not-exist"})),
        pod("missing image replaced", 30, "Always", serve_with("image", json!("app:does-not-exist")))
            .when(18, Act::Image("app:1")),
        pod("malformed image", 20, "Always", json!({"image": "Bad_Image:1"})),
        pod(
            "image never pulled",
            20,
            "Always",
            json!({"image": "app:does-not-exist", "imagePullPolicy": "Never"}),
        ),
        pod("command not found", 75, "Always", json!({"command": ["/bad-command"]})),
        pod("command not found by name", 20, "Never", json!({"command": ["bad-command", "x"]})),
        pod("command of a job not found", 20, "Never", json!({"command": ["/bad-command"]})),
        pod("command not found but retried", 30, "OnFailure", json!({"command": ["/bad-command"]})),
        pod(
            "config missing",
            20,
            "Always",
            serve_with(
                "env",
                json!([{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "absent", "key": "a"}}}]),
            ),
        )
        .told("config-error", "configmap \"absent\" not found"),
    ]
}

fn probes() -> Vec<Case> {
    let passes = |mut probe: Value| {
        probe["exec"] = json!({"command": ["true"]});
        probe
    };
    let fails = |mut probe: Value| {
        probe["exec"] = json!({"command": ["false"]});
        probe
    };
    vec![
        pod("readiness probe", 15, "Always", serve_with("readinessProbe", passes(json!({})))),
        pod("readiness after a delay", 25, "Always", serve_with("readinessProbe", passes(json!({"initialDelaySeconds": 10})))),
        pod("readiness after a delay of half periods", 20, "Always", serve_with("readinessProbe", passes(json!({"initialDelaySeconds": 5, "periodSeconds": 3})))),
        pod("readiness every second", 20, "Always", serve_with("readinessProbe", passes(json!({"initialDelaySeconds": 5, "periodSeconds": 1})))),
        pod("readiness after three successes", 20, "Always", serve_with("readinessProbe", passes(json!({"periodSeconds": 4, "successThreshold": 3})))),
        pod("readiness that never comes", 20, "Always", serve_with("readinessProbe", fails(json!({"periodSeconds": 2})))),
        pod("readiness lost", 25, "Always", json!({"command": shell("touch /tmp/ok; sleep 8; rm /tmp/ok; while true; do sleep 0.1; done"),
            "readinessProbe": {"exec": {"command": ["cat", "/tmp/ok"]}, "periodSeconds": 2, "failureThreshold": 2}}))
            .told("hang", "true").told("ready-after", "0").told("unready-after", "11s"),
        pod("startup probe", 25, "Always", serve_with("startupProbe", passes(json!({"initialDelaySeconds": 6, "periodSeconds": 3})))),
        pod("startup then readiness", 30, "Always", {
            let mut container = serve_with("startupProbe", passes(json!({"initialDelaySeconds": 4, "periodSeconds": 2})));
            container["readinessProbe"] = passes(json!({"initialDelaySeconds": 8, "periodSeconds": 5}));
            container
        }),
        pod("startup probe that never passes", 40, "Always", serve_with("startupProbe", fails(json!({"periodSeconds": 3, "failureThreshold": 3})))),
        pod("liveness probe that fails", 42, "Always", serve_with("livenessProbe", fails(json!({"initialDelaySeconds": 3, "periodSeconds": 3, "failureThreshold": 2})))),
        pod("liveness probe of a deaf one", 35, "Always", json!({"command": ["sleep", "600"], "livenessProbe": fails(json!({"periodSeconds": 3, "failureThreshold": 1}))}))
            .told("ignore-term", "true"),
        pod("readiness gate", 20, "Always", serve()).field("readinessGates", json!([{"conditionType": "lab/one"}, {"conditionType": "lab/two"}]))
            .when(4, Act::Gate("lab/one", "True")).when(8, Act::Gate("lab/two", "False")).when(12, Act::Gate("lab/two", "True")),
    ]
}

fn ends() -> Vec<Case> {
    vec![
        pod("crash loop", 130, "Always", run("sleep 3; exit 3")),
        pod("short crash loop", 60, "Always", run("sleep 1; exit 1")),
        pod("server that exits well", 60, "Always", run("sleep 3")),
        pod("retried job", 60, "OnFailure", run("sleep 3; exit 2")),
        pod("retried job that succeeds", 20, "OnFailure", run("sleep 3")),
        pod("job that succeeds", 20, "Never", run("sleep 3")),
        pod("job that fails", 20, "Never", run("sleep 3; exit 3")),
        pod(
            "killed for its memory",
            20,
            "Never",
            json!({"command": shell("sleep 3; x=a; while true; do x=$x$x; done"), "resources": {"limits": {"memory": "20Mi"}}}),
        )
        .told("oom-after", "3s"),
        pod("deadline", 30, "Never", serve()).field("activeDeadlineSeconds", json!(15)),
        pod("deadline under always", 30, "Always", serve()).field("activeDeadlineSeconds", json!(15)),
    ]
}

fn several() -> Vec<Case> {
    vec![
        pod("two servers", 10, "Always", serve()).beside("other", serve()),
        pod("server beside a missing image", 30, "Always", serve())
            .beside("other", json!({"image": "app:does-not-exist"})),
        pod("server beside a crash loop", 40, "Always", serve()).beside("other", run("sleep 2; exit 1")),
        pod("two jobs", 20, "Never", run("sleep 3")).beside("other", run("sleep 7; exit 1")),
        pod("init containers", 25, "Always", serve())
            .after("first", run("sleep 3"))
            .after("second", run("sleep 3")),
        pod("init container that fails", 20, "Never", serve()).after("first", run("sleep 3; exit 4")),
        pod("init container that is retried", 50, "Always", serve()).after("first", run("sleep 2; exit 1")),
        pod("init container without image", 30, "Always", serve())
            .after("first", json!({"image": "app:does-not-exist"})),
        pod("init container not started", 30, "Always", serve())
            .after("first", json!({"command": ["/bad-command"]})),
        pod("sidecar", 20, "Always", serve())
            .after("side", {
                let mut side = serve();
                side["restartPolicy"] = json!("Always");
                side
            })
            .after("second", run("sleep 3")),
        pod("sidecar with a startup probe", 25, "Always", serve()).after("side", {
            let mut side = serve_with(
                "startupProbe",
                json!({"exec": {"command": ["true"]}, "initialDelaySeconds": 4, "periodSeconds": 2}),
            );
            side["restartPolicy"] = json!("Always");
            side
        }),
        pod("job with a sidecar", 30, "Never", run("sleep 5")).after("side", {
            let mut side = serve();
            side["restartPolicy"] = json!("Always");
            side
        }),
    ]
}

fn hooks() -> Vec<Case> {
    let hook = |kind: &str, hook: Value| serve_with("lifecycle", json!({kind: hook}));
    let sleep = |seconds: &str| json!({"exec": {"command": ["sleep", seconds]}});
    vec![
        pod("post-start hook", 15, "Always", hook("postStart", sleep("5"))),
        pod(
            "post-start hook that fails",
            30,
            "Always",
            hook("postStart", json!({"exec": {"command": ["sh", "-c", "sleep 1; exit 1"]}})),
        ),
        pod("pre-stop hook", 20, "Always", hook("preStop", sleep("3"))).when(4, Act::Delete(None)),
        pod("pre-stop hook that sleeps", 20, "Always", hook("preStop", json!({"sleep": {"seconds": 3}})))
            .when(4, Act::Delete(None)),
        pod("pre-stop hook beyond the grace", 25, "Always", hook("preStop", sleep("60")))
            .when(4, Act::Delete(None)),
    ]
}

fn departures() -> Vec<Case> {
    vec![
        pod("deleted server", 15, "Always", serve()).when(4, Act::Delete(None)),
        pod("deleted server that ignores it", 20, "Always", json!({"command": ["sleep", "600"]}))
            .told("ignore-term", "true")
            .when(4, Act::Delete(None)),
        pod(
            "deleted server that takes its time",
            20,
            "Always",
            json!({"args": shell("trap 'sleep 3; exit 0' TERM; while true; do sleep 0.1; done")}),
        )
        .told("stop-after", "3s")
        .when(4, Act::Delete(None)),
        pod("deleted with a longer grace", 25, "Always", json!({"command": ["sleep", "600"]}))
            .told("ignore-term", "true")
            .when(4, Act::Delete(Some(9))),
        pod("deleted again with less grace", 30, "Always", json!({"command": ["sleep", "600"]}))
            .told("ignore-term", "true")
            .when(4, Act::Delete(Some(20)))
            .when(8, Act::Delete(Some(2))),
        pod("deleted by force", 15, "Always", json!({"command": ["sleep", "600"]}))
            .when(4, Act::Delete(Some(0))),
        pod("deleted while pulling", 20, "Always", json!({"image": "app:does-not-exist"}))
            .when(6, Act::Delete(None)),
        pod("deleted while initializing", 20, "Always", serve())
            .after("first", json!({"args": shell("trap 'exit 1' TERM; while true; do sleep 0.1; done")}))
            .told("hang.first", "true")
            .when(4, Act::Delete(None)),
        pod(
            "deleted job",
            20,
            "Never",
            json!({"command": shell("trap 'exit 143' TERM; while true; do sleep 0.1; done")}),
        )
        .when(4, Act::Delete(None)),
        pod("deleted finished job", 20, "Never", run("exit 0")).when(6, Act::Delete(None)),
        pod("deleted with a sidecar", 20, "Always", serve())
            .after("side", {
                let mut side = serve();
                side["restartPolicy"] = json!("Always");
                side
            })
            .when(6, Act::Delete(None)),
        pod(
            "deleted while not yet ready",
            20,
            "Always",
            serve_with("readinessProbe", json!({"exec": {"command": ["true"]}, "initialDelaySeconds": 30})),
        )
        .when(4, Act::Delete(None)),
        pod("evicted through the API", 20, "Always", serve()).when(4, Act::Evict),
    ]
}
