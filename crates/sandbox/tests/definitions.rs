//! CustomResourceDefinitions through their lives, and planes that are kept on disk.

mod support;

use std::path::Path;

use glidepath_sandbox::{Error, JournalError, Sandbox};
use serde_json::json;
use support::{delete, get, merge, plane, post, widget_crd};

const WIDGETS: &str = "/apis/example.com/v1/namespaces/default/widgets";
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

fn widget(name: &str) -> serde_json::Value {
    json!({ "apiVersion": "example.com/v1", "kind": "Widget", "metadata": { "name": name }, "spec": {} })
}

#[tokio::test(start_paused = true)]
async fn a_definition_serves_its_kind_and_takes_its_objects_with_it() {
    let sandbox = plane();
    assert_eq!(get(&sandbox, WIDGETS).await.code, 404);
    sandbox.install_crds(&[widget_crd()]).await.unwrap();
    let definition = get(&sandbox, &format!("{DEFINITIONS}/widgets.example.com")).await.body;
    let conditions = definition["status"]["conditions"].as_array().unwrap();
    assert!(conditions.iter().any(|one| one["type"] == "Established" && one["status"] == "True"));
    assert_eq!(definition["spec"]["names"]["listKind"], "WidgetList");
    let mut held = widget("held");
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    post(&sandbox, WIDGETS, &widget("free")).await;
    post(&sandbox, WIDGETS, &held).await;
    let marked = delete(&sandbox, &format!("{DEFINITIONS}/widgets.example.com")).await.body;
    assert_eq!(marked["metadata"]["finalizers"], json!(["customresourcecleanup.apiextensions.k8s.io"]));
    assert_eq!(get(&sandbox, &format!("{WIDGETS}/free")).await.code, 404);
    assert_eq!(get(&sandbox, &format!("{WIDGETS}/held")).await.code, 200);
    let refused = post(&sandbox, WIDGETS, &widget("late")).await;
    assert_eq!((refused.code, &refused.body["reason"]), (405, &json!("MethodNotAllowed")));
    merge(&sandbox, &format!("{WIDGETS}/held"), &json!({ "metadata": { "finalizers": null } })).await;
    assert_eq!(get(&sandbox, WIDGETS).await.code, 404, "nothing serves the kind any more");
    assert_eq!(get(&sandbox, &format!("{DEFINITIONS}/widgets.example.com")).await.code, 404);
    sandbox.install_crds(&[widget_crd()]).await.unwrap();
    assert_eq!(get(&sandbox, WIDGETS).await.body["items"], json!([]));
}

fn kept(folder: &Path) -> Result<Sandbox, Error> {
    Sandbox::builder().data_dir(Some(folder.to_owned())).build()
}

#[tokio::test]
async fn a_kept_plane_holds_every_acknowledged_write_after_a_torn_one() {
    let folder = tempfile::tempdir().unwrap();
    let before = {
        let sandbox = kept(folder.path()).unwrap();
        sandbox.install_crds(&[widget_crd()]).await.unwrap();
        post(&sandbox, WIDGETS, &widget("a")).await;
        post(&sandbox, WIDGETS, &widget("b")).await;
        delete(&sandbox, &format!("{WIDGETS}/b")).await;
        assert!(matches!(kept(folder.path()), Err(Error::Journal(JournalError::InUse { .. }))));
        get(&sandbox, &format!("{WIDGETS}/a")).await.body
    };
    // The journal's thread lets go of the folder a moment after the plane is dropped.
    let journal = folder.path().join("objects.journal");
    let mut text = Vec::new();
    for _ in 0..100 {
        text = std::fs::read(&journal).unwrap();
        if let Ok(sandbox) = kept(folder.path()) {
            assert_eq!(get(&sandbox, &format!("{WIDGETS}/a")).await.body, before);
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    // A write that a crash cut short was never acknowledged.
    let torn = tempfile::tempdir().unwrap();
    text.extend_from_slice(&[200, 0, 0, 0, 1, 2, 3]);
    std::fs::write(torn.path().join("objects.journal"), &text).unwrap();
    let sandbox = kept(torn.path()).unwrap();
    assert_eq!(get(&sandbox, &format!("{WIDGETS}/a")).await.body, before);
    assert_eq!(get(&sandbox, &format!("{WIDGETS}/b")).await.code, 404);
    let version: u64 = before["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
    let next = post(&sandbox, WIDGETS, &widget("c")).await.body;
    assert!(next["metadata"]["resourceVersion"].as_str().unwrap().parse::<u64>().unwrap() > version);
}

#[tokio::test]
async fn a_folder_of_another_version_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("objects.journal");
    std::fs::write(&journal, "glidepath sandbox journal 99\nwhatever").unwrap();
    let refused = kept(folder.path()).unwrap_err();
    assert!(matches!(refused, Error::Journal(JournalError::OtherVersion { .. })));
    assert_eq!(std::fs::read_to_string(&journal).unwrap(), "glidepath sandbox journal 99\nwhatever");
}
