//! The documented switches of the model kubelet, seen through the API: what a pod shows how long after its start.

use glidepath_workloads::resource::PODS;
use serde_json::{Value, json};

use crate::world::World;

const PREFIX: &str = "sandbox.glidepath.dev/";

/// What to look at: the whole pod or its only container.
const PHASE: &str = "/status/phase";
const REASON: &str = "/status/reason";
const READY: &str = "/status/containerStatuses/0/ready";
const STARTED: &str = "/status/containerStatuses/0/started";
const RESTARTS: &str = "/status/containerStatuses/0/restartCount";
const WAITING: &str = "/status/containerStatuses/0/state/waiting/reason";
const MESSAGE: &str = "/status/containerStatuses/0/state/waiting/message";
const EXIT: &str = "/status/containerStatuses/0/lastState/terminated/exitCode";
const ENDED: &str = "/status/containerStatuses/0/state/terminated/exitCode";

const ENDED_BY: &str = "/status/containerStatuses/0/state/terminated/reason";

struct Row {
    switches: &'static [(&'static str, &'static str)],
    spec: Value,
    /// Seconds after creation, what to look at, what is there.
    seen: Vec<(u64, &'static str, Value)>,
}

fn rows() -> Vec<Row> {
    let plain = || json!({"containers": [{"name": "app", "image": "web:1"}]});
    let with = |key: &str, value: Value| {
        let mut spec = plain();
        spec["containers"][0][key] = value;
        spec
    };
    let never = || json!({"restartPolicy": "Never", "containers": [{"name": "app", "image": "web:1"}]});
    let failing = |kind: &str, probe: Value| {
        let mut probe = probe;
        probe["exec"] = json!({"command": ["false"]});
        with(kind, probe)
    };
    let row = |switches, spec, seen| Row { switches, spec, seen };
    vec![
        row(&[], plain(), vec![(1, PHASE, json!("Running")), (1, READY, json!(true))]),
        row(&[("start-after", "5s")], plain(), vec![(3, PHASE, json!("Pending")), (6, READY, json!(true))]),
        row(&[("ready-after", "5s")], plain(), vec![(3, READY, json!(false)), (6, READY, json!(true))]),
        row(
            &[("ready-after.app", "5s"), ("ready-after", "1s")],
            plain(),
            vec![(3, READY, json!(false)), (6, READY, json!(true))],
        ),
        row(
            &[("never-ready", "true")],
            plain(),
            vec![(99, READY, json!(false)), (99, PHASE, json!("Running"))],
        ),
        row(&[("unready-after", "5s")], plain(), vec![(3, READY, json!(true)), (7, READY, json!(false))]),
        row(
            &[("crash-after", "5s"), ("exit-code", "7")],
            plain(),
            vec![
                (3, RESTARTS, json!(0)),
                (7, RESTARTS, json!(1)),
                (12, WAITING, json!("CrashLoopBackOff")),
                (12, EXIT, json!(7)),
            ],
        ),
        row(
            &[("exit-after", "5s"), ("exit-code", "3")],
            never(),
            vec![(3, PHASE, json!("Running")), (7, PHASE, json!("Failed")), (7, ENDED, json!(3))],
        ),
        row(&[("exit-after", "5s")], never(), vec![(7, PHASE, json!("Succeeded")), (7, ENDED, json!(0))]),
        row(&[("hang", "true")], never(), vec![(99, PHASE, json!("Running"))]),
        row(
            &[("image-missing", "true")],
            plain(),
            vec![
                (1, WAITING, json!("ErrImagePull")),
                (14, WAITING, json!("ImagePullBackOff")),
                (14, PHASE, json!("Pending")),
                (
                    14,
                    MESSAGE,
                    json!(
                        "Back-off pulling image \"web:1\": ErrImagePull: rpc error: code = NotFound desc = failed to pull and unpack image \"docker.io/library/web:1\": failed to resolve reference \"docker.io/library/web:1\": docker.io/library/web:1: not found"
                    ),
                ),
            ],
        ),
        row(
            &[("start-error", "true")],
            with("command", json!(["/x"])),
            vec![(3, WAITING, json!("CrashLoopBackOff")), (3, EXIT, json!(128))],
        ),
        row(
            &[("evict-after", "5s")],
            plain(),
            vec![(3, PHASE, json!("Running")), (7, PHASE, json!("Failed")), (7, REASON, json!("Evicted"))],
        ),
        row(
            &[("oom-after", "5s")],
            never(),
            vec![(3, PHASE, json!("Running")), (7, ENDED, json!(137)), (7, ENDED_BY, json!("OOMKilled"))],
        ),
        row(
            &[("config-error", "configmap \"absent\" not found")],
            plain(),
            vec![
                (3, WAITING, json!("CreateContainerConfigError")),
                (3, MESSAGE, json!("configmap \"absent\" not found")),
            ],
        ),
        row(
            &[("image-missing", "true")],
            with("imagePullPolicy", json!("Never")),
            vec![(3, WAITING, json!("ErrImageNeverPull"))],
        ),
        row(
            &[],
            with(
                "readinessProbe",
                json!({"initialDelaySeconds": 4, "periodSeconds": 3, "successThreshold": 2, "httpGet": {"port": 80}}),
            ),
            vec![(8, READY, json!(false)), (10, READY, json!(true))],
        ),
        row(
            &[],
            failing(
                "livenessProbe",
                json!({"initialDelaySeconds": 2, "periodSeconds": 3, "failureThreshold": 2}),
            ),
            vec![(3, RESTARTS, json!(0)), (7, RESTARTS, json!(1)), (12, EXIT, json!(0))],
        ),
        row(
            &[],
            failing("startupProbe", json!({"periodSeconds": 3, "failureThreshold": 3})),
            vec![(3, STARTED, json!(false)), (3, READY, json!(false)), (10, RESTARTS, json!(1))],
        ),
        row(
            &[],
            with("lifecycle", json!({"postStart": {"exec": {"command": ["sleep", "5"]}}})),
            vec![(3, WAITING, json!("ContainerCreating")), (7, READY, json!(true))],
        ),
        row(
            &[],
            json!({
                "initContainers": [
                    {"name": "first", "image": "web:1", "command": ["sleep", "3"]},
                    {"name": "side", "image": "web:1", "restartPolicy": "Always"},
                    {"name": "second", "image": "web:1", "command": ["sleep", "3"]},
                ],
                "containers": [{"name": "app", "image": "web:1"}],
            }),
            vec![
                (1, "/status/initContainerStatuses/1/state/waiting/reason", json!("PodInitializing")),
                (4, "/status/initContainerStatuses/0/state/terminated/exitCode", json!(0)),
                (4, "/status/initContainerStatuses/1/ready", json!(true)),
                (4, WAITING, json!("PodInitializing")),
                (8, READY, json!(true)),
                (8, "/status/initContainerStatuses/1/state/terminated", json!(null)),
            ],
        ),
    ]
}

#[tokio::test(start_paused = true)]
async fn every_switch_does_what_its_row_says() {
    let world = World::new();
    world.pass(2).await;
    for (index, row) in rows().into_iter().enumerate() {
        let name = format!("p{index}");
        let annotations: Value =
            row.switches.iter().map(|(key, value)| (format!("{PREFIX}{key}"), json!(value))).collect();
        let body = json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "annotations": annotations}, "spec": row.spec});
        world.create(&PODS, body).await;
        let mut elapsed = 0;
        for (seconds, pointer, wanted) in &row.seen {
            world.pass(seconds - elapsed).await;
            elapsed = *seconds;
            let pod = world.get(&PODS, &name).await.unwrap();
            let found = pod.at(pointer).cloned().unwrap_or(Value::Null);
            assert_eq!(found, *wanted, "{:?} after {seconds} s: {pointer} of {pod:#?}", row.switches);
        }
    }
}
