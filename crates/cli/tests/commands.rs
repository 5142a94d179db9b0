//! Whole commands against an embedded control plane, in virtual time: what is printed and what is changed.
#![expect(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use glidepath_cli::{Cluster, Output, run};
use glidepath_clock::Clock;
use glidepath_sandbox::Sandbox;
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio::sync::watch;

/// A writer whose text can be read while others write.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Page {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// A plane with our definitions, and what the last command printed.
struct Shop {
    sandbox: Sandbox,
    client: Client,
}

struct Said {
    good: bool,
    out: String,
    err: String,
}

const EPOCH: &str = "2026-06-01T12:00:00Z";

impl Shop {
    async fn open() -> Self {
        let clock = Clock::starting_at(EPOCH.parse().unwrap());
        let sandbox = Sandbox::builder().clock(clock).seed(1).build().unwrap();
        sandbox.install_crds(glidepath_api::crd::all()).await.unwrap();
        let client = sandbox.client("test", "shop");
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
        let shop = Self { sandbox, client };
        shop.create("", "v1", "Namespace", "namespaces", None, namespace).await;
        shop
    }

    fn api(
        &self,
        group: &str,
        version: &str,
        kind: &str,
        plural: &str,
        space: Option<&str>,
    ) -> Api<DynamicObject> {
        let gvk = GroupVersionKind::gvk(group, version, kind);
        let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
        match space {
            Some(space) => Api::namespaced_with(self.client.clone(), space, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        }
    }

    async fn create(
        &self,
        group: &str,
        version: &str,
        kind: &str,
        plural: &str,
        space: Option<&str>,
        object: Value,
    ) -> DynamicObject {
        let api = self.api(group, version, kind, plural, space);
        api.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap()
    }

    fn rollouts(&self) -> Api<DynamicObject> {
        self.api("argoproj.io", "v1alpha1", "Rollout", "rollouts", Some("shop"))
    }

    /// A canary of four steps with the given status.
    async fn rollout(&self, name: &str, status: Value) -> DynamicObject {
        let object = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
            "metadata": {"name": name, "namespace": "shop"},
            "spec": {"replicas": 2, "selector": {"matchLabels": {"app": name}},
                "template": {"metadata": {"labels": {"app": name}},
                    "spec": {"containers": [{"name": "web", "image": "web:1"}, {"name": "side", "image": "side:1"}]}},
                "strategy": {"canary": {"steps": [{"setWeight": 20}, {"pause": {}}, {"setWeight": 60},
                                                  {"pause": {"duration": 10}}]}}}});
        let created =
            self.create("argoproj.io", "v1alpha1", "Rollout", "rollouts", Some("shop"), object).await;
        self.set_status(name, status).await;
        created
    }

    async fn set_status(&self, name: &str, status: Value) {
        let patch = Patch::Merge(json!({"status": status}));
        self.rollouts().patch_status(name, &PatchParams::default(), &patch).await.unwrap();
    }

    async fn read(&self, name: &str) -> Value {
        serde_json::to_value(self.rollouts().get(name).await.unwrap()).unwrap()
    }

    async fn replica_set(&self, name: &str, owner: &DynamicObject, revision: &str, image: &str) {
        let labels = json!({"app": "web", "rollouts-pod-template-hash": name.trim_start_matches("web-")});
        let object = json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {"name": name, "namespace": "shop", "labels": labels,
                "annotations": {"rollout.argoproj.io/revision": revision},
                "ownerReferences": [{"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "web",
                                     "uid": owner.metadata.uid, "controller": true}]},
            "spec": {"replicas": 0, "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels},
                             "spec": {"containers": [{"name": "web", "image": image}]}}}});
        self.create("apps", "v1", "ReplicaSet", "replicasets", Some("shop"), object).await;
    }

    fn cluster(&self) -> Cluster {
        Cluster::Given(self.client.clone(), "shop".to_owned(), self.sandbox.clock())
    }

    async fn run(&self, line: &str) -> Said {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let (out, err) = (Page::default(), Page::default());
        let mut output = Output::new(Box::new(out.clone()), Box::new(err.clone()), false);
        let (_stopper, stop) = watch::channel(false);
        let code = run(&words, &mut output, self.cluster(), stop).await;
        Said { good: code == ExitCode::SUCCESS, out: out.text(), err: err.text() }
    }

    /// Runs a command that must succeed and returns what it printed.
    async fn good(&self, line: &str) -> String {
        let said = self.run(line).await;
        assert!(said.good, "{line}: {}", said.err);
        assert_eq!(said.err, "", "{line}");
        said.out
    }

    /// Runs a command that must fail and returns its complaint.
    async fn bad(&self, line: &str) -> String {
        let said = self.run(line).await;
        assert!(!said.good, "{line}: {}", said.out);
        said.err
    }
}

#[tokio::test(start_paused = true)]
async fn verbs_print_one_line_and_change_what_they_say_r501_to_r506_r509_o_060_to_o_070() {
    let shop = Shop::open().await;
    let paused = json!([{"reason": "CanaryPauseStep", "startTime": EPOCH}]);
    let status = json!({"currentStepIndex": 1, "controllerPause": true, "pauseConditions": paused,
                        "currentPodHash": "b", "stableRS": "a"});
    shop.rollout("web", status).await;

    assert_eq!(shop.good("promote web").await, "rollout 'web' promoted\n");
    assert_eq!(shop.read("web").await["status"].get("pauseConditions"), None);
    assert_eq!(shop.good("promote web").await, "rollout 'web' promoted\n");
    assert_eq!(shop.read("web").await["status"]["currentStepIndex"], 2);
    assert_eq!(shop.good("promote web --full").await, "rollout 'web' fully promoted\n");
    assert_eq!(shop.read("web").await["status"]["promoteFull"], true);
    assert_eq!(shop.good("abort web").await, "rollout 'web' aborted\n");
    assert_eq!(shop.read("web").await["status"]["abort"], true);
    assert_eq!(shop.good("retry rollout web").await, "rollout 'web' retried\n");
    assert_eq!(shop.read("web").await["status"]["abort"], false);
    assert_eq!(shop.good("pause web").await, "rollout 'web' paused\n");
    assert_eq!(shop.read("web").await["spec"]["paused"], true);
    assert_eq!(shop.good("promote web").await, "rollout 'web' promoted\n");
    assert_eq!(shop.read("web").await["spec"]["paused"], false);
    assert_eq!(shop.good("restart web --in 5m").await, "rollout 'web' restarts in 5m\n");
    assert_eq!(shop.read("web").await["spec"]["restartAt"], "2026-06-01T12:05:00Z");
    assert_eq!(shop.good("restart web").await, "rollout 'web' restarts in 0s\n");
}

#[tokio::test(start_paused = true)]
async fn old_promote_flags_work_and_say_that_they_are_old_r503_o_064() {
    let shop = Shop::open().await;
    shop.rollout("web", json!({"currentStepIndex": 0})).await;
    let said = shop.run("promote web -c").await;
    assert_eq!((said.good, said.out.as_str()), (true, "rollout 'web' promoted\n"));
    assert_eq!(
        said.err,
        "Flag --skip-current-step has been deprecated, use without the flag instead ex: promote ROLLOUT_NAME\n"
    );
    assert_eq!(shop.read("web").await["status"]["currentStepIndex"], 1);
    assert!(shop.run("promote web -a").await.good);
    assert_eq!(shop.read("web").await["status"]["currentStepIndex"], 4);
}

#[tokio::test(start_paused = true)]
async fn several_names_act_in_order_and_stop_at_the_first_error_o_013() {
    let shop = Shop::open().await;
    shop.rollout("a", json!({})).await;
    shop.rollout("c", json!({})).await;
    let said = shop.run("pause a b c").await;
    assert_eq!(said.out, "rollout 'a' paused\n");
    assert_eq!(said.err, "Error: rollouts.argoproj.io \"b\" not found\n");
    assert!(!said.good);
    assert_eq!(shop.read("c").await["spec"].get("paused"), None);
}

#[tokio::test(start_paused = true)]
async fn a_missing_object_is_named_as_scripts_expect_o_012() {
    let shop = Shop::open().await;
    let cases = [
        ("get rollout x", "Error: rollout.argoproj.io \"x\" not found\n"),
        ("get experiment x", "Error: experiment.argoproj.io \"x\" not found\n"),
        ("status x", "Error: rollout.argoproj.io \"x\" not found\n"),
        ("promote x", "Error: rollouts.argoproj.io \"x\" not found\n"),
        ("abort x", "Error: rollouts.argoproj.io \"x\" not found\n"),
        ("undo x", "Error: rollouts.argoproj.io \"x\" not found\n"),
        ("set image x web=y", "Error: rollouts.argoproj.io \"x\" not found\n"),
        ("retry experiment x", "Error: experiments.argoproj.io \"x\" not found\n"),
        ("terminate analysisrun x", "Error: analysisruns.argoproj.io \"x\" not found\n"),
    ];
    for (line, complaint) in cases {
        assert_eq!(shop.bad(line).await, complaint, "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_our_definitions_it_says_what_to_install() {
    let clock = Clock::starting_at(EPOCH.parse().unwrap());
    let sandbox = Sandbox::builder().clock(clock).seed(1).build().unwrap();
    let client = sandbox.client("test", "default");
    let shop = Shop { sandbox, client };
    for line in ["list rollouts", "get rollout web", "abort web"] {
        let complaint = shop.bad(line).await;
        assert!(complaint.contains("install the CRDs first"), "{line}: {complaint}");
    }
}

#[tokio::test(start_paused = true)]
async fn set_image_changes_one_container_or_all_and_keeps_unknown_members_o_078() {
    let shop = Shop::open().await;
    shop.rollout("web", json!({})).await;
    assert_eq!(shop.good("set image web web=web:2").await, "rollout \"web\" image updated\n");
    let containers = shop.read("web").await["spec"]["template"]["spec"]["containers"].clone();
    assert_eq!((&containers[0]["image"], &containers[1]["image"]), (&json!("web:2"), &json!("side:1")));
    assert_eq!(shop.good("set image web *=all:3").await, "rollout \"web\" image updated\n");
    let containers = shop.read("web").await["spec"]["template"]["spec"]["containers"].clone();
    assert_eq!((&containers[0]["image"], &containers[1]["image"]), (&json!("all:3"), &json!("all:3")));
    assert_eq!(shop.bad("set image web db=x").await, "Error: unable to find container named \"db\"\n");
}

#[tokio::test(start_paused = true)]
async fn undo_brings_an_earlier_template_back_o_073_o_076() {
    let shop = Shop::open().await;
    let owner = shop.rollout("web", json!({})).await;
    shop.replica_set("web-one", &owner, "1", "web:old").await;
    shop.replica_set("web-two", &owner, "2", "web:1").await;
    assert_eq!(
        shop.bad("undo web --to-revision 7").await,
        "Error: unable to find specified revision 7 in history\n"
    );
    assert_eq!(shop.good("undo web").await, "rollout 'web' undo\n");
    let template = shop.read("web").await["spec"]["template"].clone();
    assert_eq!(template["spec"]["containers"][0]["image"], "web:old");
    assert_eq!(template["metadata"]["labels"], json!({"app": "web"}));
    assert_eq!(
        shop.good("undo web --to-revision=1").await,
        "skipped rollback (current template already matches revision 1)\n"
    );
}

#[tokio::test(start_paused = true)]
async fn status_once_says_the_phase_and_fails_when_degraded_o_059() {
    let shop = Shop::open().await;
    shop.rollout("web", json!({"phase": "Paused", "message": "CanaryPauseStep"})).await;
    assert_eq!(shop.good("status web --watch=false").await, "Paused - CanaryPauseStep\n");
    shop.set_status("web", json!({"phase": "Healthy", "message": null})).await;
    assert_eq!(shop.good("status web --watch=false").await, "Healthy\n");
    shop.set_status("web", json!({"phase": "Degraded", "message": "RolloutAborted: why"})).await;
    let said = shop.run("status web --watch=false").await;
    assert_eq!((said.good, said.out.as_str()), (false, "Degraded\n"));
    assert_eq!(said.err, "Error: The rollout is in a degraded state with message: RolloutAborted: why\n");
}

#[tokio::test(start_paused = true)]
async fn status_watches_until_healthy_and_prints_each_change_once_o_057() {
    let shop = Shop::open().await;
    shop.rollout("web", json!({"phase": "Progressing", "message": "more replicas need to be updated"})).await;
    let story = async {
        for (phase, message) in
            [("Paused", "CanaryPauseStep"), ("Paused", "CanaryPauseStep"), ("Healthy", "")]
        {
            tokio::time::sleep(Duration::from_secs(5)).await;
            shop.set_status("web", json!({"phase": phase, "message": message, "replicas": 1})).await;
        }
    };
    let (said, ()) = tokio::join!(shop.run("status web"), story);
    assert!(said.good, "{}", said.err);
    assert_eq!(
        said.out,
        "Progressing - more replicas need to be updated\nPaused - CanaryPauseStep\nHealthy\n"
    );
}

#[tokio::test(start_paused = true)]
async fn status_gives_up_after_its_timeout_o_058() {
    let shop = Shop::open().await;
    shop.rollout("web", json!({"phase": "Paused", "message": "CanaryPauseStep"})).await;
    let before = shop.sandbox.clock().now();
    let said = shop.run("status web --timeout 60s").await;
    assert!(!said.good);
    assert_eq!(said.out, "Paused - CanaryPauseStep\n");
    assert_eq!(said.err, "Error: Rollout status watch exceeded timeout\n");
    assert_eq!(shop.sandbox.clock().now().duration_since(before).as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn get_shows_the_tree_once_and_redraws_what_changes_o_039_o_040() {
    let shop = Shop::open().await;
    let status = json!({"phase": "Progressing", "message": "more replicas need to be updated",
                        "currentStepIndex": 0, "replicas": 2, "availableReplicas": 2});
    let owner = shop.rollout("web", status).await;
    shop.replica_set("web-one", &owner, "1", "web:1").await;
    let expected = "\
Name:            web
Namespace:       shop
Status:          ◌ Progressing
Message:         more replicas need to be updated
Strategy:        Canary
  Step:          0/4
  SetWeight:     20
  ActualWeight:  0
Replicas:
  Desired:       2
  Current:       2
  Updated:       0
  Ready:         0
  Available:     2

NAME             KIND        STATUS         AGE  INFO
⟳ web            Rollout     ◌ Progressing  0s
└──# revision:1
   └──⧉ web-one  ReplicaSet  ◌ Progressing  0s
";
    let trim = |text: &str| text.lines().map(|line| format!("{}\n", line.trim_end())).collect::<String>();
    let once = trim(&shop.good("get rollout web").await);
    assert_eq!(once, expected);

    let story = async {
        tokio::time::sleep(Duration::from_secs(10)).await;
        shop.set_status("web", json!({"phase": "Paused", "message": "CanaryPauseStep"})).await;
    };
    let before = shop.sandbox.clock().now();
    let (said, ()) = tokio::join!(shop.run("get rollout web -w --timeout-seconds 30"), story);
    assert!(said.good, "the end of its time is a good end\n{}", said.err);
    assert_eq!(shop.sandbox.clock().now().duration_since(before).as_secs(), 30);
    let heads: Vec<&str> = said.out.lines().filter(|line| line.starts_with("Status:")).collect();
    assert_eq!(heads, ["Status:          ◌ Progressing", "Status:          ॥ Paused"]);
    assert!(!said.out.contains('\x1b'), "no control characters outside a terminal (O-852)");
}

#[tokio::test(start_paused = true)]
async fn list_says_when_there_is_nothing_and_appends_changes_o_053_to_o_055() {
    let shop = Shop::open().await;
    let said = shop.run("list rollouts").await;
    assert_eq!((said.good, said.out.as_str(), said.err.as_str()), (true, "", "No resources found.\n"));
    assert_eq!(shop.run("list experiments").await.err, "No resources found.\n");

    shop.rollout("web", json!({"phase": "Progressing", "currentStepIndex": 0})).await;
    shop.rollout("api", json!({"phase": "Healthy"})).await;
    let text = shop.good("list rollouts").await;
    assert!(text.starts_with("NAME        STRATEGY   STATUS        STEP  SET-WEIGHT"), "{text}");
    assert_eq!(text.lines().count(), 3);
    assert_eq!(shop.good("list ro --name web -A").await.lines().count(), 2);

    let (out, err) = (Page::default(), Page::default());
    let mut output = Output::new(Box::new(out.clone()), Box::new(err.clone()), false);
    let (stopper, stop) = watch::channel(false);
    let words = ["list", "rollouts", "-w"].map(str::to_owned);
    let story = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        shop.set_status("web", json!({"message": "not shown"})).await;
        shop.set_status("web", json!({"phase": "Paused"})).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        stopper.send_replace(true);
    };
    let (code, ()) = tokio::join!(run(&words, &mut output, shop.cluster(), stop), story);
    assert_eq!(code, ExitCode::SUCCESS);
    let text = out.text();
    let last: Vec<&str> = text.lines().skip(3).map(str::trim_end).collect();
    assert_eq!(
        last,
        ["web         Canary     Paused        0/4   20          0/0    2        0           0"]
    );
}

#[tokio::test(start_paused = true)]
async fn create_sends_files_and_refuses_other_kinds_o_080_o_081() {
    let shop = Shop::open().await;
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let metric = "spec: {metrics: [{name: m, provider: {web: {url: 'http://x'}}}]}\n";
    let template = write(
        "template.yaml",
        &format!("apiVersion: argoproj.io/v1alpha1\nkind: AnalysisTemplate\nmetadata: {{name: t}}\n{metric}"),
    );
    let wide = write(
        "wide.yaml",
        &format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: ClusterAnalysisTemplate\nmetadata: {{name: c}}\n{metric}"
        ),
    );
    let other = write("other.json", "{\"apiVersion\": \"v1\", \"kind\": \"Service\"}");
    assert_eq!(
        shop.good(&format!("create -f {template} -f {wide}")).await,
        "analysistemplate.argoproj.io/t created\nclusteranalysistemplate.argoproj.io/c created\n"
    );
    assert_eq!(
        shop.bad(&format!("create -f {template}")).await,
        "Error: analysistemplates.argoproj.io \"t\" already exists\n"
    );
    assert_eq!(shop.bad(&format!("create -f {other}")).await, "Error: creates of /Service unsupported\n");
    assert_eq!(
        shop.bad("create -f /nowhere.yaml").await,
        "Error: open /nowhere.yaml: no such file or directory\n"
    );
    assert_eq!(shop.bad("create -f a -f b -w").await, "Error: Cannot watch multiple resources\n");
}

#[tokio::test(start_paused = true)]
async fn runs_and_experiments_are_terminated_and_retried_o_068_o_071_o_072() {
    let shop = Shop::open().await;
    let metrics = json!([{"name": "m", "provider": {"web": {"url": "http://x"}}}]);
    let run = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisRun", "metadata": {"name": "r"},
                     "spec": {"metrics": metrics}});
    shop.create("argoproj.io", "v1alpha1", "AnalysisRun", "analysisruns", Some("shop"), run).await;
    let template = json!({"name": "a", "selector": {"matchLabels": {"app": "a"}},
        "template": {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}});
    let experiment = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Experiment", "metadata": {"name": "e"},
                            "spec": {"templates": [template]}, "status": {"phase": "Failed"}});
    shop.create("argoproj.io", "v1alpha1", "Experiment", "experiments", Some("shop"), experiment).await;
    assert_eq!(shop.good("terminate analysisrun r").await, "analysisRun 'r' terminated\n");
    assert_eq!(shop.good("terminate exp e").await, "experiment 'e' terminated\n");
    assert_eq!(shop.good("retry experiment e").await, "experiment 'e' retried\n");
    let api = shop.api("argoproj.io", "v1alpha1", "Experiment", "experiments", Some("shop"));
    let stored = serde_json::to_value(api.get("e").await.unwrap()).unwrap();
    assert_eq!((stored.get("status"), &stored["spec"]["terminate"]), (None, &json!(true)));
}

#[tokio::test(start_paused = true)]
async fn names_are_completed_from_the_cluster_o_015() {
    let shop = Shop::open().await;
    shop.rollout("web", json!({})).await;
    shop.rollout("worker", json!({})).await;
    shop.rollout("api", json!({})).await;
    assert_eq!(shop.run("__complete abort w").await.out, "web\nworker\n:4\n");
}
