//! Reviews: questions that are answered and not stored.

use serde_json::{Map, Value, json};

use crate::access::{self, Question};
use crate::call::{Answer, Call, Target, User};
use crate::decode;
use crate::document;
use crate::plane::Plane;
use crate::refusal::{Cause, Refusal, Reply, Subject};
use crate::tokens;

/// POST of a review.
pub(crate) fn answer(plane: &Plane, call: &Call, target: &Target) -> Reply<Answer> {
    let mut review = decode::object(call, &target.resource.kind)?;
    crate::write::check_type(target, &mut review)?;
    let status = match target.resource.plural.as_str() {
        "selfsubjectaccessreviews" => access_status(plane, target, &review, &call.user)?,
        "subjectaccessreviews" | "localsubjectaccessreviews" => {
            access_status(plane, target, &review, &asked_about(&review))?
        }
        "selfsubjectrulesreviews" => {
            let namespace = document::text(&review, "/spec/namespace");
            if namespace.is_empty() {
                return Err(Refusal::bad_request("no namespace on request"));
            }
            access::rules_review(&mut plane.store.lock(), &call.user, namespace)
        }
        "tokenreviews" => token_status(plane, &review)?,
        _ => json!({ "userInfo": { "username": call.user.name, "groups": call.user.groups } }),
    };
    review["status"] = status;
    if review.get("metadata").is_none() {
        review["metadata"] = Value::Object(Map::new());
    }
    Ok(Answer::value(201, &review))
}

/// The user and groups that a review names.
fn asked_about(review: &Value) -> User {
    User {
        name: document::text(review, "/spec/user").to_owned(),
        groups: review
            .pointer("/spec/groups")
            .and_then(Value::as_array)
            .map(|groups| groups.iter().filter_map(Value::as_str).map(str::to_owned).collect())
            .unwrap_or_default(),
    }
}

fn access_status(plane: &Plane, target: &Target, review: &Value, user: &User) -> Reply<Value> {
    let spec = review.get("spec").unwrap_or(&Value::Null);
    let mut causes = Vec::new();
    let question = Question::of_review(spec);
    if question.is_none() {
        let why = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
        causes.push(Cause::invalid("spec.resourceAttributes", &Value::Null, why));
    }
    if user.name.is_empty() && user.groups.is_empty() {
        let why = "at least one of user or group must be specified";
        causes.push(Cause::invalid("spec.user", &json!(""), why));
    }
    let Some(question) = question.filter(|_| causes.is_empty()) else {
        // The real server leaves the kind out here.
        let subject = Subject { kind: "", ..target.resource.subject() };
        return Err(Refusal::invalid(&subject, "", &causes));
    };
    let decision = access::decide(&mut plane.store.lock(), user, &question);
    let mut status = json!({ "allowed": decision.allowed });
    if !decision.reason.is_empty() {
        status["reason"] = json!(decision.reason);
    }
    Ok(status)
}

fn token_status(plane: &Plane, review: &Value) -> Reply<Value> {
    let token = document::text(review, "/spec/token");
    if token.is_empty() {
        return Err(Refusal::bad_request("token is required for TokenReview in authentication"));
    }
    let asked: Vec<String> = review
        .pointer("/spec/audiences")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|one| one.as_str().map(str::to_owned))
        .collect();
    let asked = if asked.is_empty() { vec![tokens::ISSUER.to_owned()] } else { asked };
    let Some(holder) = tokens::holder_of(plane, token) else {
        return Ok(json!({ "user": {}, "error": "invalid bearer token" }));
    };
    let shared: Vec<&String> = asked.iter().filter(|one| holder.audiences.contains(one)).collect();
    if shared.is_empty() {
        let why = format!(
            "[invalid bearer token, token audiences {:?} is invalid for the target audiences {asked:?}]",
            holder.audiences
        );
        return Ok(json!({ "user": {}, "error": why.replace("\", \"", "\" \"") }));
    }
    Ok(json!({
        "authenticated": true,
        "audiences": shared,
        "user": {
            "username": holder.user.name, "uid": holder.uid, "groups": holder.user.groups, "extra": holder.extra,
        },
    }))
}
