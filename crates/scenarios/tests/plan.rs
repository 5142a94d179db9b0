//! What `plan` says a change will do: computed on a scratch plane, against the objects of a live one that is only
//! read.
#![expect(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::Duration;

use anyhow::Result;
use glidepath_scenarios::embedded::{EmbeddedPlane, in_virtual_time};
use glidepath_scenarios::manifests::{canary, rollout, service, virtual_service, with};
use glidepath_scenarios::plane::Plane as _;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};

struct Shop<'a> {
    plane: &'a EmbeddedPlane,
}

impl Shop<'_> {
    fn of(&self, api_version: &str, kind: &str) -> Api<DynamicObject> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        Api::namespaced_with(self.plane.client(), "default", &resource)
    }

    async fn create(&self, objects: impl IntoIterator<Item = Value>) {
        for object in objects {
            let text = |field: &str| object[field].as_str().unwrap().to_owned();
            let api = self.of(&text("apiVersion"), &text("kind"));
            api.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
        }
        self.pass(20).await;
    }

    async fn pass(&self, seconds: u64) {
        self.plane.pass(Duration::from_secs(seconds)).await;
    }

    async fn patch(&self, patch: Value) {
        let api = self.of("argoproj.io/v1alpha1", "Rollout");
        api.patch("web", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
        self.pass(20).await;
    }

    async fn say(&self, line: &str) -> Result<String> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        self.plane.plugin("default", &words).await
    }

    async fn plan(&self, line: &str) -> String {
        self.say(&format!("plan {line}")).await.unwrap()
    }

    async fn plan_json(&self, line: &str) -> Value {
        serde_json::from_str(&self.plan(&format!("{line} -o json")).await).unwrap()
    }

    /// Requests of the plugin by verb, since the last time.
    fn calls(&self) -> BTreeMap<String, u64> {
        let mut calls = BTreeMap::new();
        for (entry, count) in self.plane.sandbox().audit() {
            if entry.user_agent == "plugin" {
                *calls.entry(entry.verb).or_default() += count;
            }
        }
        calls
    }
}

fn told(story: impl AsyncFnOnce(Shop<'_>)) {
    let outcome = in_virtual_time(async |plane| -> Result<()> {
        story(Shop { plane }).await;
        Ok(())
    });
    outcome.unwrap();
}

fn hour_long_canary() -> Value {
    let mut steps = Vec::new();
    for weight in [10, 30, 50, 80] {
        steps.push(json!({ "setWeight": weight }));
        steps.push(json!({"pause": {"duration": "1h"}}));
    }
    let routing = json!({"istio": {"virtualService": {"name": "web", "routes": ["primary"]}}});
    rollout(
        10,
        json!({"canary": {"canaryService": "canary", "stableService": "stable", "trafficRouting": routing,
            "steps": steps}}),
    )
}

async fn routed_shop(shop: &Shop<'_>) {
    shop.create([
        service("canary"),
        service("stable"),
        virtual_service("stable", "canary"),
        hour_long_canary(),
    ])
    .await;
}

#[test]
fn an_eight_step_canary_is_foreseen_hours_ahead_and_nothing_is_written() {
    told(async |shop| {
        routed_shop(&shop).await;
        let version = shop.plane.sandbox().resource_version();
        shop.plane.sandbox().reset_audit();
        insta::assert_snapshot!("eight_steps", shop.plan("web --image web=web:2").await);
        let calls = shop.calls();
        assert!(calls.keys().all(|verb| matches!(verb.as_str(), "get" | "list")), "{calls:?}");
        assert!(calls.values().sum::<u64>() <= 20, "{calls:?}");
        assert_eq!(shop.plane.sandbox().resource_version(), version, "the live plane was written to");
    });
}

#[test]
fn what_was_foreseen_is_what_happens() {
    told(async |shop| {
        routed_shop(&shop).await;
        let foreseen = shop.plan_json("web --image web=web:2").await;
        let end = foreseen["outcome"]["atSeconds"].as_u64().unwrap();
        shop.say("set image web web=web:2").await.unwrap();
        shop.pass(end - 10).await;
        let phase = async || shop.say("status web --watch=false").await.unwrap();
        assert!(!phase().await.contains("Healthy"));
        shop.pass(30).await;
        assert!(phase().await.contains("Healthy"));
    });
}

#[test]
fn a_person_is_named_where_one_is_needed_and_failing_analyses_are_played() {
    told(async |shop| {
        let metric = json!({"name": "success-rate", "interval": "1m", "count": 5, "failureLimit": 1,
            "successCondition": "result >= 0.95",
            "provider": {"prometheus": {"address": "http://prometheus:9090", "query": "rate"}}});
        let template = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate",
            "metadata": {"name": "success-rate"}, "spec": {"metrics": [metric]}});
        let analysis = json!({"templates": [{"templateName": "success-rate"}]});
        let steps = json!([{"setWeight": 25}, {"analysis": analysis}, {"pause": {}}, {"setWeight": 50}]);
        shop.create([template, canary(4, steps)]).await;
        let foreseen = shop.plan_json("web --image web=web:2").await;
        // The text says what the JSON says.
        let read = serde_json::from_value(foreseen.clone()).unwrap();
        insta::assert_snapshot!("analysis_and_person", glidepath_forecast::render_text(&read));
        assert_eq!(foreseen["analysis"]["queries"], 5);
        assert_eq!(foreseen["person"]["stage"], "step 3/4: pause");
        assert_eq!(foreseen["whatIf"][0]["outcome"]["ends"], "aborted");
        assert_eq!(foreseen["whatIf"][1]["outcome"]["ends"], "degraded");
    });
}

#[test]
fn blue_green_is_foreseen_with_its_pause_and_its_second_set_of_pods() {
    told(async |shop| {
        let strategy = json!({"blueGreen": {"activeService": "active", "previewService": "preview",
            "autoPromotionSeconds": 300, "scaleDownDelaySeconds": 60}});
        shop.create([service("active"), service("preview"), rollout(3, strategy)]).await;
        insta::assert_snapshot!("blue_green", shop.plan("web --image web=web:2").await);
    });
}

#[test]
fn promoting_aborting_and_scaling_in_the_middle_are_foreseen_from_where_the_rollout_stands() {
    told(async |shop| {
        shop.create([canary(4, json!([{"setWeight": 25}, {"pause": {}}, {"setWeight": 75}, {"pause": {}}]))])
            .await;
        shop.patch(
            json!({"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "web:2"}]}}}}),
        )
        .await;
        let promoted = shop.plan_json("web --promote").await;
        assert_eq!(promoted["outcome"]["ends"], "promoted");
        assert_eq!(promoted["person"]["stage"], "step 4/4: pause", "{promoted:#}");
        let aborted = shop.plan_json("web --abort").await;
        assert_eq!(aborted["outcome"]["ends"], "aborted", "{aborted:#}");
        assert!(aborted["outcome"]["backOnStableSeconds"].is_u64(), "{aborted:#}");
        let scaled = shop.plan_json("web --scale 8").await;
        assert_eq!(scaled["replicas"], 8);
        assert!(scaled["mostPods"].as_i64().unwrap() >= 8, "{scaled:#}");
        // The live rollout still stands where it stood.
        assert!(shop.say("why web").await.unwrap().contains("step 2/4: pause"));
    });
}

#[test]
fn a_file_is_foreseen_with_everything_in_it_before_anything_is_applied() {
    told(async |shop| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("web.yaml");
        let mut file = std::fs::File::create(&path).unwrap();
        let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}});
        for object in
            [service("active"), config, rollout(2, json!({"blueGreen": {"activeService": "active"}}))]
        {
            writeln!(file, "---\n{object}").unwrap();
        }
        let foreseen = shop.plan_json(&format!("-f {}", path.display())).await;
        assert_eq!(foreseen["outcome"]["ends"], "promoted", "{foreseen:#}");
        assert_eq!(foreseen["mostPods"], 2);
        assert!(foreseen["assumptions"].to_string().contains("v1 ConfigMap settings has no bearing on it"));
        assert!(shop.say("why web").await.is_err(), "nothing was applied");
        // What the API server would refuse is refused here in its words.
        let broken =
            with(canary(2, json!([])), &json!({"spec": {"strategy": {"canary": {"steps": "none"}}}}));
        std::fs::write(&path, broken.to_string()).unwrap();
        let error = shop.say(&format!("plan -f {}", path.display())).await.unwrap_err().to_string();
        assert!(error.contains("spec.strategy.canary.steps"), "{error}");
    });
}

#[test]
fn an_invalid_spec_ends_where_the_controller_would_leave_it() {
    told(async |shop| {
        shop.create([canary(2, json!([{"setWeight": 50}]))]).await;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("web.json");
        std::fs::write(&path, rollout(2, json!({"blueGreen": {"activeService": "missing"}})).to_string())
            .unwrap();
        let foreseen = shop.plan_json(&format!("-f {}", path.display())).await;
        assert_eq!(foreseen["outcome"]["ends"], "degraded", "{foreseen:#}");
        let message = foreseen["outcome"]["message"].as_str().unwrap();
        assert!(message.starts_with("InvalidSpec: ") && message.contains("missing"), "{message}");
    });
}
