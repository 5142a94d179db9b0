//! Releases as the reference carried them out on a real control plane, played here.
//!
//! `testdata/recorded.jsonl` holds one story per line: a Rollout, what was done to it, and what the objects were once
//! they had come to rest: the status without times, sizes and annotations of the
//! ReplicaSets, selectors of the Services, and in the end the events (R-771 to
//! Stories that hang on seconds, or that end
//! otherwise here on purpose (`docs/compatibility.md`), are not among them.

use std::collections::{BTreeMap, BTreeSet};

use glidepath_api::{Rollout, RolloutStatus, names};
use serde_json::{Value, json};

use crate::rollout::project::merge;
use crate::rollout::status::to_json;
use crate::world::{Fate, World};

/// How long the world is left alone after each thing that is done.
const REST_SECONDS: i64 = 4;

fn begin(story: &Value) -> World {
    let services: Vec<&str> =
        story["services"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let routers = usize::from(story["routed"] == json!(true));
    let mut world = World::new(story["spec"].clone(), &services, routers);
    for image in story["broken"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        world.fates.insert(image.to_owned(), Fate::Never);
    }
    world.run_for(REST_SECONDS);
    world
}

fn act(world: &mut World, what: &str, with: &Value) {
    match what {
        "spec" => world.edit(|rollout| {
            let mut document = serde_json::to_value(&*rollout).unwrap();
            merge(&mut document["spec"], with);
            *rollout = serde_json::from_value::<Rollout>(document).unwrap();
        }),
        "status" => {
            let status = &mut world.snapshot.rollout.status;
            let mut document = serde_json::to_value(&*status).unwrap();
            merge(&mut document, with);
            *status = serde_json::from_value::<RolloutStatus>(document).unwrap();
        }
        other => panic!("nobody knows how to {other}"),
    }
    world.run_for(REST_SECONDS);
}

/// The objects in the form they were recorded in.
fn seen(world: &World) -> Value {
    let mut status = to_json(&world.snapshot.rollout.status);
    if let Some(conditions) = status["conditions"].as_array_mut() {
        conditions.sort_by_key(|condition| condition["type"].as_str().map(str::to_owned));
        for condition in conditions.iter_mut().filter_map(Value::as_object_mut) {
            condition.retain(|member, _| !member.ends_with("Time"));
        }
    }
    if let Some(status) = status.as_object_mut() {
        status.remove("observedGeneration");
    }
    if let Some(duration) = status.get_mut("duration").and_then(Value::as_object_mut) {
        duration.remove("totalManualPauseDurationSeconds");
    }
    let sets: BTreeMap<String, Value> = world
        .snapshot
        .replica_sets
        .iter()
        .map(|set| {
            let annotations = &set.metadata.annotations;
            (set.metadata.name.clone(), json!({"replicas": set.replicas(), "annotations": annotations}))
        })
        .collect();
    let services: BTreeMap<&String, Value> = world
        .snapshot
        .services
        .iter()
        .filter_map(|(name, service)| {
            let service = service.as_ref()?;
            let manager = service.metadata.annotation(names::MANAGED_BY);
            Some((name, json!([service.selected_hash(), manager])))
        })
        .collect();
    let mut seen = json!({"status": status, "sets": sets, "services": services});
    forget_times(&mut seen);
    seen
}

fn forget_times(value: &mut Value) {
    match value {
        Value::Object(members) => members.values_mut().for_each(forget_times),
        Value::Array(items) => items.iter_mut().for_each(forget_times),
        Value::String(text) if text.parse::<jiff::Timestamp>().is_ok() => *value = json!("TIME"),
        _ => {}
    }
}

/// Reasons and messages of the events so far, each once; sizes on the way depend on when pods became ready.
fn told(world: &World) -> Value {
    let events = world.events.iter().zip(&world.messages);
    let told: BTreeSet<String> = events
        .filter(|(reason, _)| *reason != "ScalingReplicaSet")
        .map(|(reason, message)| format!("{reason}: {message}"))
        .collect();
    json!(told)
}

/// Where two documents differ, one line each.
fn differences(path: &str, want: &Value, got: &Value, found: &mut Vec<String>) {
    if let (Value::Object(want), Value::Object(got)) = (want, got) {
        for key in want.keys().chain(got.keys().filter(|key| !want.contains_key(*key))) {
            let missing = Value::Null;
            let (want, got) = (want.get(key).unwrap_or(&missing), got.get(key).unwrap_or(&missing));
            differences(&format!("{path}/{key}"), want, got, found);
        }
    } else if want != got {
        found.push(format!("  {path}: recorded {want}, here {got}"));
    }
}

#[test]
fn recorded_releases_of_the_reference_end_alike_here_r120_to_r150_r250_r257() {
    let recorded = include_str!("../../../testdata/recorded.jsonl");
    let mut wrong = Vec::new();
    for line in recorded.lines() {
        let story: Value = serde_json::from_str(line).unwrap();
        let mut world = begin(&story);
        let mut moments = 0;
        for step in story["steps"].as_array().unwrap() {
            let (what, with) = (step[0].as_str().unwrap(), &step[1]);
            let got = match what {
                "seen" => seen(&world),
                "told" => told(&world),
                _ => {
                    act(&mut world, what, with);
                    continue;
                }
            };
            moments += 1;
            let mut found = Vec::new();
            differences("", with, &got, &mut found);
            if !found.is_empty() {
                wrong.push(format!("{} at moment {moments}:\n{}", story["name"], found.join("\n")));
                break;
            }
        }
    }
    assert!(wrong.is_empty(), "{} stories end otherwise:\n{}", wrong.len(), wrong.join("\n"));
}
