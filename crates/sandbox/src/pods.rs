//! Subresources of pods: binding, eviction and logs.

use std::sync::{Arc, PoisonError};

use serde_json::{Value, json};

use crate::body::Body;
use crate::call::{Answer, Call, Target, WriteOptions};
use crate::decode;
use crate::delete::{DeleteOptions, delete_object};
use crate::document::{self, map_at};
use crate::logs::LogRequest;
use crate::plane::Plane;
use crate::refusal::{Refusal, Reply};
use crate::write::finish_update;

/// POST of `/binding`: puts the pod on a node.
pub(crate) fn bind(plane: &Plane, call: &Call, target: &Target) -> Reply<Answer> {
    let options = WriteOptions::parse(call)?;
    let binding = decode::object(call, "Binding")?;
    let node = document::text(&binding, "/target/name").to_owned();
    let mut contents = plane.store.lock();
    let current = contents.get(&target.resource.table, &target.key()).ok_or_else(|| target.not_found())?;
    let old = current.object();
    let assigned = document::text(&old, "/spec/nodeName");
    if !assigned.is_empty() {
        let why = format!("pod {} is already assigned to node {assigned:?}", target.name);
        return Err(Refusal::conflict(&target.resource.subject(), &target.name, &why));
    }
    if document::is_being_deleted(&old) {
        let why = format!("pod {} is being deleted, cannot be assigned to a host", target.name);
        return Err(Refusal::conflict(&target.resource.subject(), &target.name, &why));
    }
    let mut object = old.clone();
    map_at(&mut object, "spec").insert("nodeName".into(), json!(node));
    set_scheduled(plane, &mut object);
    finish_update(plane, &mut contents, target, &current, &old, object, &options);
    Ok(success(201))
}

/// The API server itself notes that a bound pod is scheduled.
fn set_scheduled(plane: &Plane, object: &mut Value) {
    let condition = json!({
        "type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": plane.timestamp(),
    });
    let status = map_at(object, "status");
    let list = status.entry("conditions").or_insert_with(|| json!([]));
    if let Some(list) = list.as_array_mut() {
        list.retain(|one| document::text(one, "/type") != "PodScheduled");
        list.push(condition);
    }
}

/// POST of `/eviction`: a deletion that disruption budgets may refuse.
pub(crate) fn evict(plane: &Plane, call: &Call, target: &Target) -> Reply<Answer> {
    let mut eviction = decode::object(call, "Eviction")?;
    let options = document::as_map(&mut eviction).remove("deleteOptions").unwrap_or(json!({}));
    let options_call = Call {
        method: call.method.clone(),
        headers: http::HeaderMap::new(),
        query: call.query.clone(),
        view: call.view,
        body: options.to_string().into(),
        user: call.user.clone(),
        upgrade: None,
    };
    let options = DeleteOptions::parse(&options_call)?;
    let mut contents = plane.store.lock();
    let pod = contents.get(&target.resource.table, &target.key()).ok_or_else(|| target.not_found())?;
    let running = !matches!(
        pod.object().pointer("/status/phase").and_then(Value::as_str),
        Some("Succeeded" | "Failed" | "Pending")
    );
    let budgets: Vec<Arc<crate::store::Stored>> = contents
        .table("poddisruptionbudgets.policy")
        .scope(&target.namespace)
        .filter(|budget| {
            let budget = budget.object();
            crate::selectors::label_selector_matches(budget.pointer("/spec/selector"), pod.labels())
        })
        .map(Arc::clone)
        .collect();
    if running && budgets.len() > 1 {
        return Err(Refusal::internal(
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
        ));
    }
    if let (true, Some(budget)) = (running, budgets.first()) {
        let mut object = budget.object();
        let allowed = object.pointer("/status/disruptionsAllowed").and_then(Value::as_i64).unwrap_or(0);
        if allowed <= 0 {
            let needed = object.pointer("/status/desiredHealthy").and_then(Value::as_i64).unwrap_or(0);
            let healthy = object.pointer("/status/currentHealthy").and_then(Value::as_i64).unwrap_or(0);
            return Err(Refusal::new(
                429,
                "TooManyRequests",
                "Cannot evict pod as it would violate the pod's disruption budget.",
            )
            .with_causes(&[crate::refusal::Cause {
                reason: "DisruptionBudget",
                message: format!(
                    "The disruption budget {} needs {needed} healthy pods and has {healthy} currently",
                    budget.key.name()
                ),
                field: String::new(),
            }]));
        }
        let status = map_at(&mut object, "status");
        status.insert("disruptionsAllowed".into(), json!(allowed - 1));
        let disrupted = document::as_map(status.entry("disruptedPods").or_insert_with(|| json!({})));
        disrupted.insert(target.name.clone(), json!(plane.timestamp()));
        contents.put("poddisruptionbudgets.policy", object);
    }
    delete_object(plane, &mut contents, target, &options)?;
    Ok(success(201))
}

fn success(code: u16) -> Answer {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": code,
    });
    Answer::value(code, &status)
}

/// GET of `/log`, answered by whoever hosts the kubelets.
pub(crate) async fn log(plane: &Plane, call: &Call, target: &Target) -> Reply<Answer> {
    let request = parse_log_request(plane, call, target)?;
    let source = plane.logs.read().unwrap_or_else(PoisonError::into_inner).clone();
    let Some(source) = source else {
        return Err(Refusal::new(
            503,
            "ServiceUnavailable",
            format!("no kubelet serves the logs of pod {:?}", target.name),
        ));
    };
    let stream = source.open(request).await.map_err(|error| Refusal::bad_request(error.message))?;
    let mut answer = Answer::text(200, "");
    answer.body = Body::stream(stream);
    Ok(answer)
}

fn parse_log_request(plane: &Plane, call: &Call, target: &Target) -> Reply<LogRequest> {
    let contents = plane.store.lock();
    let pod = contents.get(&target.resource.table, &target.key()).ok_or_else(|| target.not_found())?.object();
    drop(contents);
    let names = |pointer: &str| -> Vec<String> {
        pod.pointer(pointer)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .map(|container| document::text(container, "/name").to_owned())
            .collect()
    };
    let (main, init) = (names("/spec/containers"), names("/spec/initContainers"));
    let asked = call.query.get("container");
    let container = if asked.is_empty() {
        match main.as_slice() {
            [only] if init.is_empty() => only.clone(),
            _ => {
                let mut why = format!(
                    "a container name must be specified for pod {}, choose one of: [{}]",
                    target.name,
                    main.join(" ")
                );
                if !init.is_empty() {
                    why.push_str(&format!(" or one of the init containers: [{}]", init.join(" ")));
                }
                return Err(Refusal::bad_request(why));
            }
        }
    } else if main.iter().chain(&init).any(|name| name == asked) {
        asked.to_owned()
    } else {
        return Err(Refusal::bad_request(format!("container {asked} is not valid for pod {}", target.name)));
    };
    let since_time = call.query.get("sinceTime");
    Ok(LogRequest {
        namespace: target.namespace.clone(),
        pod: target.name.clone(),
        uid: document::uid(&pod).to_owned(),
        container,
        follow: call.query.flag("follow"),
        previous: call.query.flag("previous"),
        timestamps: call.query.flag("timestamps"),
        tail_lines: call.query.number("tailLines")?,
        since_seconds: call.query.number("sinceSeconds")?,
        since_time: (!since_time.is_empty()).then(|| since_time.to_owned()),
        limit_bytes: call.query.number("limitBytes")?,
    })
}
