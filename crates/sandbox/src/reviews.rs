//! Reviews: questions that are answered and not stored. Every authenticated user may do everything
//! here, and the answers say so.

use serde_json::{Map, Value, json};

use crate::call::{Answer, Call, Target};
use crate::decode;
use crate::plane::Plane;
use crate::refusal::Reply;

/// POST of a review.
pub(crate) fn answer(plane: &Plane, call: &Call, target: &Target) -> Reply<Answer> {
    let mut review = decode::object(call, &target.resource.kind)?;
    crate::write::check_type(target, &mut review)?;
    let status = match target.resource.plural.as_str() {
        "selfsubjectaccessreviews" | "subjectaccessreviews" | "localsubjectaccessreviews" => {
            json!({ "allowed": true })
        }
        "selfsubjectrulesreviews" => json!({
            "resourceRules": [{ "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"] }],
            "nonResourceRules": [{ "verbs": ["*"], "nonResourceURLs": ["*"] }],
            "incomplete": false,
        }),
        "tokenreviews" => token_status(plane, &review),
        _ => json!({ "userInfo": { "username": call.user.name, "groups": call.user.groups } }),
    };
    review["status"] = status;
    if review.get("metadata").is_none() {
        review["metadata"] = Value::Object(Map::new());
    }
    Ok(Answer::value(201, &review))
}

fn token_status(plane: &Plane, review: &Value) -> Value {
    let token = crate::document::text(review, "/spec/token");
    match crate::tokens::user_of(plane, token) {
        Some(user) => {
            json!({ "authenticated": true, "user": { "username": user.name, "groups": user.groups } })
        }
        None => json!({ "user": {}, "error": "invalid bearer token" }),
    }
}
