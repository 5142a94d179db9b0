//! What `why` says of rollouts in trouble: each trouble is brought about on the embedded plane, with our controller at
//! work, and the screen is compared whole.
#![expect(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::time::Duration;

use anyhow::Result;
use glidepath_scenarios::embedded::{EmbeddedPlane, in_virtual_time};
use glidepath_scenarios::manifests::{canary, rollout, service, virtual_service, with};
use glidepath_scenarios::plane::Plane as _;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};

/// A namespace with a plane below it.
struct Shop<'a> {
    plane: &'a EmbeddedPlane,
}

fn api(client: kube::Client, api_version: &str, kind: &str) -> Api<DynamicObject> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    Api::namespaced_with(client, "default", &resource)
}

impl Shop<'_> {
    fn of(&self, who: &str, api_version: &str, kind: &str) -> Api<DynamicObject> {
        api(self.plane.sandbox().client(who, "default"), api_version, kind)
    }

    fn rollouts(&self) -> Api<DynamicObject> {
        self.of("shop", "argoproj.io/v1alpha1", "Rollout")
    }

    async fn create(&self, objects: impl IntoIterator<Item = Value>) {
        for object in objects {
            let text = |field: &str| object[field].as_str().unwrap().to_owned();
            let api = self.of("shop", &text("apiVersion"), &text("kind"));
            api.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
        }
    }

    async fn pass(&self, seconds: u64) {
        self.plane.pass(Duration::from_secs(seconds)).await;
    }

    async fn patch(&self, patch: Value) {
        self.rollouts().patch("web", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    async fn set_image(&self, image: &str) {
        let containers = json!([{"name": "web", "image": image, "ports": [{"containerPort": 8080}]}]);
        self.patch(json!({"spec": {"template": {"spec": {"containers": containers}}}})).await;
        self.pass(20).await;
    }

    async fn why(&self) -> String {
        let screen = self.say("why web").await;
        assert!(screen.lines().count() <= 32, "more than one screen:\n{screen}");
        screen
    }

    async fn why_json(&self) -> Value {
        serde_json::from_str(&self.say("why web -o json").await).unwrap()
    }

    async fn say(&self, line: &str) -> String {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        self.plane.plugin("default", &words).await.unwrap()
    }
}

fn told(trouble: impl AsyncFnOnce(Shop<'_>)) {
    let outcome = in_virtual_time(async |plane| -> Result<()> {
        trouble(Shop { plane }).await;
        Ok(())
    });
    outcome.unwrap();
}

/// A screen without what differs from run to run of another version: moments and generated names of pods.
fn steady(screen: &str) -> String {
    let word = |word: &str| {
        let bare = word.trim_matches(|c: char| "(),:;".contains(c));
        let is_time = bare.starts_with("2026-") && bare.ends_with('Z');
        let is_pod = bare.starts_with("web-") && bare.split('-').count() == 3 && bare.len() >= 17;
        match (is_time, is_pod) {
            (true, _) => word.replace(bare, "<time>"),
            (_, true) => word.replace(bare, "<pod>"),
            _ => word.to_owned(),
        }
    };
    let line = |line: &str| line.split(' ').map(word).collect::<Vec<_>>().join(" ");
    screen.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn causes(explained: &Value) -> Vec<&str> {
    explained["causes"].as_array().unwrap().iter().map(|cause| cause["name"].as_str().unwrap()).collect()
}

fn routed(steps: Value) -> Value {
    let routing = json!({"istio": {"virtualService": {"name": "web", "routes": ["primary"]}}});
    rollout(
        4,
        json!({"canary": {"canaryService": "canary", "stableService": "stable", "trafficRouting": routing,
            "steps": steps}}),
    )
}

fn analysed(condition: &str, metric: Value) -> [Value; 2] {
    let web = json!({"web": {"url": "http://metrics.test/rate", "jsonPath": "{$.value}"}});
    let metric =
        with(json!({"name": "success-rate", "successCondition": condition, "provider": web}), &metric);
    [
        json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate",
            "metadata": {"name": "success-rate"}, "spec": {"metrics": [metric]}}),
        canary(
            4,
            json!([{"setWeight": 25}, {"analysis": {"templates": [{"templateName": "success-rate"}]}}, {"setWeight": 50}]),
        ),
    ]
}

#[test]
fn symptom_stuck_at_a_weight_step_because_the_image_is_missing() {
    told(async |shop| {
        shop.create([canary(4, json!([{"setWeight": 25}, {"pause": {"duration": "1h"}}]))]).await;
        shop.pass(20).await;
        shop.set_image("web:missing").await;
        insta::assert_snapshot!("stuck_at_a_weight_step", steady(&shop.why().await));
        let explained = shop.why_json().await;
        assert_eq!(causes(&explained)[0], "image-not-pulled");
        assert_eq!(explained["waiting"]["owner"], "cluster");
        assert!(explained["waiting"]["until"].is_string());
        // Ten minutes later the deadline has passed, and the cause is still the image.
        shop.pass(660).await;
        let explained = shop.why_json().await;
        assert_eq!(explained["phase"], "Degraded");
        assert_eq!(causes(&explained), ["image-not-pulled", "progress-deadline-exceeded"]);
    });
}

#[test]
fn symptom_analysis_always_fails_immediately_because_the_query_has_no_data() {
    told(async |shop| {
        let errors = json!({"consecutiveErrorLimit": 0});
        shop.plane.script_metric("/rate", vec![(200, r#"{"value": null}"#.to_owned())]);
        shop.create(analysed("result >= 0.95", errors)).await;
        shop.pass(20).await;
        shop.set_image("web:2").await;
        insta::assert_snapshot!("analysis_always_fails_immediately", steady(&shop.why().await));
        let explained = shop.why_json().await;
        assert_eq!(causes(&explained), ["analysis-no-data"]);
        assert_eq!(explained["waiting"]["name"], "aborted");
    });
}

#[test]
fn a_failed_measurement_is_named_with_its_value() {
    told(async |shop| {
        shop.plane.script_metric("/rate", vec![(200, r#"{"value": 0.82}"#.to_owned())]);
        shop.create(analysed("result >= 0.95", json!({}))).await;
        shop.pass(20).await;
        shop.set_image("web:2").await;
        insta::assert_snapshot!("failed_analysis", steady(&shop.why().await));
        assert_eq!(causes(&shop.why_json().await), ["analysis-failed"]);
    });
}

#[test]
fn symptom_traffic_not_split_as_expected_because_someone_resets_the_route() {
    told(async |shop| {
        shop.create([
            service("canary"),
            service("stable"),
            virtual_service("stable", "canary"),
            routed(json!([{"setWeight": 25}, {"pause": {}}, {"setWeight": 50}])),
        ])
        .await;
        shop.pass(20).await;
        shop.set_image("web:2").await;
        // A tool that applies the route from a repository whenever it looks, and it has just looked.
        let routes =
            shop.of("argocd-application-controller", "networking.istio.io/v1alpha3", "VirtualService");
        let route = json!([{"name": "primary", "route": [
            {"destination": {"host": "stable"}, "weight": 100}, {"destination": {"host": "canary"}, "weight": 0}]}]);
        let reset = || async {
            let patch = Patch::Merge(json!({"spec": {"http": route}}));
            routes.patch("web", &PatchParams::default(), &patch).await.unwrap();
        };
        reset().await;
        shop.pass(5).await;
        reset().await;
        insta::assert_snapshot!("traffic_not_split_as_expected", steady(&shop.why().await));
        let explained = shop.why_json().await;
        assert_eq!(causes(&explained), ["weights-not-carried"]);
        assert_eq!(explained["doing"][0], "setTraffic Istio to canary 25 and stable 75");
        // The controller puts it right, and then there is nothing to explain but the pause.
        shop.pass(5).await;
        assert_eq!(causes(&shop.why_json().await), [] as [&str; 0]);
    });
}

#[test]
fn traffic_that_pods_cannot_split_is_explained_by_their_number() {
    told(async |shop| {
        shop.create([canary(2, json!([{"setWeight": 5}, {"pause": {}}]))]).await;
        shop.pass(20).await;
        shop.set_image("web:2").await;
        insta::assert_snapshot!("share_made_of_pods", steady(&shop.why().await));
        assert_eq!(causes(&shop.why_json().await), ["share-made-of-pods"]);
    });
}

#[test]
fn symptom_the_blue_green_switch_did_not_move_traffic_because_the_selector_is_overwritten() {
    told(async |shop| {
        shop.create([service("active"), rollout(2, json!({"blueGreen": {"activeService": "active"}}))]).await;
        shop.pass(20).await;
        let services = shop.of("helm", "v1", "Service");
        let before = services.get("active").await.unwrap();
        let old = before.data["spec"]["selector"]["rollouts-pod-template-hash"].clone();
        shop.set_image("web:2").await;
        let switched = services.get("active").await.unwrap();
        assert_ne!(switched.data["spec"]["selector"]["rollouts-pod-template-hash"], old);
        let patch = Patch::Merge(json!({"spec": {"selector": {"rollouts-pod-template-hash": old}}}));
        services.patch("active", &PatchParams::default(), &patch).await.unwrap();
        insta::assert_snapshot!("blue_green_switch_did_not_move_traffic", steady(&shop.why().await));
        assert_eq!(causes(&shop.why_json().await), ["service-selector-overwritten"]);
    });
}

#[test]
fn a_pause_that_waits_for_a_person_says_how_to_end_it() {
    told(async |shop| {
        shop.create([canary(4, json!([{"setWeight": 25}, {"pause": {}}, {"setWeight": 50}]))]).await;
        shop.pass(20).await;
        shop.set_image("web:2").await;
        shop.pass(300).await;
        insta::assert_snapshot!("pause_for_a_person", steady(&shop.why().await));
        shop.say("promote web").await;
        shop.pass(60).await;
        let explained = shop.why_json().await;
        assert_eq!((explained["phase"].as_str(), &explained["waiting"]), (Some("Healthy"), &Value::Null));
        assert!(shop.why().await.contains("Waiting for  nothing"));
    });
}

#[test]
fn pods_that_crash_are_quota_bound_or_unschedulable_are_told_apart() {
    let cases: [(&str, Value, &str); 4] = [
        (
            "crash",
            json!({"containers": [{"name": "web", "image": "web:2", "command": ["false"]}]}),
            "container-crashes",
        ),
        (
            "unschedulable",
            json!({"nodeSelector": {"disk": "fast"}, "containers": [{"name": "web", "image": "web:2"}]}),
            "pods-unschedulable",
        ),
        (
            "not ready",
            json!({"containers": [{"name": "web", "image": "web:2",
                "readinessProbe": {"exec": {"command": ["false"]}}}]}),
            "pods-not-ready",
        ),
        (
            "not startable",
            json!({"containers": [{"name": "web", "image": "web:2", "command": ["no-such-program"]}]}),
            "container-not-started",
        ),
    ];
    for (case, pod, want) in cases {
        told(async |shop| {
            shop.create([canary(2, json!([{"setWeight": 50}, {"pause": {}}]))]).await;
            shop.pass(20).await;
            shop.patch(json!({"spec": {"template": {"spec": pod}}})).await;
            shop.pass(60).await;
            let explained = shop.why_json().await;
            assert_eq!(causes(&explained)[0], want, "{case}: {explained:#}");
            assert!(!explained["causes"][0]["next"].as_array().unwrap().is_empty(), "{case}");
        });
    }
}

#[test]
fn an_autoscaler_that_aims_at_a_replica_set_of_ours_is_a_conflict() {
    told(async |shop| {
        shop.create([canary(2, json!([{"setWeight": 50}, {"pause": {}}]))]).await;
        shop.pass(20).await;
        let sets = shop.of("shop", "apps/v1", "ReplicaSet").list(&Default::default()).await.unwrap();
        let name = sets.items[0].metadata.name.clone().unwrap();
        shop.create([json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "web"}, "spec": {"minReplicas": 1, "maxReplicas": 3, "metrics": [],
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": name}}})])
            .await;
        let explained = shop.why_json().await;
        assert!(causes(&explained).contains(&"autoscaler-conflict"), "{explained:#}");
    });
}

#[test]
fn looking_writes_nothing_and_asks_little() {
    told(async |shop| {
        shop.create([
            service("canary"),
            service("stable"),
            virtual_service("stable", "canary"),
            routed(json!([{"setWeight": 25}, {"pause": {}}])),
        ])
        .await;
        shop.pass(20).await;
        shop.set_image("web:2").await;
        shop.plane.sandbox().reset_audit();
        shop.why().await;
        let audit = shop.plane.sandbox().audit();
        let ours: Vec<_> = audit.iter().filter(|(entry, _)| entry.user_agent == "plugin").collect();
        assert!(ours.iter().all(|(entry, _)| !entry.is_write()), "{ours:?}");
        let calls: u64 = ours.iter().map(|(_, count)| **count).sum();
        assert!((5..=30).contains(&calls), "{calls} calls");
    });
}

#[test]
fn waiting_follows_until_nothing_is_left_to_wait_for() {
    told(async |shop| {
        shop.create([canary(2, json!([{"setWeight": 50}, {"pause": {"duration": "1m"}}]))]).await;
        shop.pass(20).await;
        shop.set_image("web:2").await;
        let screens = shop.say("why web --wait").await;
        assert!(screens.contains("seconds to pass"), "{screens}");
        assert!(screens.trim_end().ends_with("Waiting for  nothing"), "{screens}");
    });
}
