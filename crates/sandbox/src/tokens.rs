//! Service-account tokens: issued by `serviceaccounts/x/token`, recognised as bearer tokens.
//!
//! A token looks like a JWT, because clients read its claims, and is signed with a keyed digest that
//! only this plane can make. It stays good until it expires or its ServiceAccount is gone.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::call::{Answer, Call, Target, User};
use crate::decode;
use crate::document;
use crate::plane::{Plane, format_seconds};
use crate::refusal::{Cause, Refusal, Reply, Subject};
use crate::store::Key;

const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
const DEFAULT_SECONDS: i64 = 3600;
const SHORTEST_SECONDS: i64 = 600;

/// POST of `serviceaccounts/x/token`.
pub(crate) fn issue(plane: &Plane, call: &Call, target: &Target) -> Reply<Answer> {
    let mut request = decode::object(call, "TokenRequest")?;
    let account = plane
        .store
        .lock()
        .get(&target.resource.table, &target.key())
        .ok_or_else(|| target.not_found())?
        .object();
    let seconds =
        request.pointer("/spec/expirationSeconds").and_then(Value::as_i64).unwrap_or(DEFAULT_SECONDS);
    if seconds < SHORTEST_SECONDS {
        let subject = Subject { group: "authentication.k8s.io", plural: "", kind: "TokenRequest" };
        let why = "may not specify a duration less than 10 minutes";
        let cause = Cause::invalid("spec.expirationSeconds", &json!(seconds), why);
        return Err(Refusal::invalid(&subject, "", &[cause]));
    }
    let audiences = request
        .pointer("/spec/audiences")
        .cloned()
        .filter(|list| list.as_array().is_some_and(|list| !list.is_empty()))
        .unwrap_or(json!([ISSUER]));
    let now = plane.clock.now();
    let until = now.saturating_add(jiff::SignedDuration::from_secs(seconds)).unwrap_or(now);
    let claims = json!({
        "aud": audiences, "exp": until.as_second(), "iat": now.as_second(), "nbf": now.as_second(), "iss": ISSUER,
        "jti": plane.new_uid(),
        "kubernetes.io": {
            "namespace": target.namespace,
            "serviceaccount": { "name": target.name, "uid": document::uid(&account) },
        },
        "sub": format!("system:serviceaccount:{}:{}", target.namespace, target.name),
    });
    request["kind"] = json!("TokenRequest");
    request["apiVersion"] = json!("authentication.k8s.io/v1");
    request["metadata"] = json!({
        "name": target.name, "namespace": target.namespace, "uid": plane.new_uid(), "creationTimestamp": plane.timestamp(),
    });
    if request.pointer("/spec/boundObjectRef").is_none() {
        request["spec"]["boundObjectRef"] = Value::Null;
    }
    request["spec"]["audiences"] = audiences;
    request["spec"]["expirationSeconds"] = json!(seconds);
    request["status"] =
        json!({ "token": sign(plane, &claims), "expirationTimestamp": format_seconds(until) });
    Ok(Answer::value(201, &request))
}

fn sign(plane: &Plane, claims: &Value) -> String {
    let header = URL_SAFE_NO_PAD.encode(json!({ "alg": "HS256", "kid": "sandbox" }).to_string());
    let body = URL_SAFE_NO_PAD.encode(claims.to_string());
    let signature = signature(plane, &format!("{header}.{body}"));
    format!("{header}.{body}.{signature}")
}

/// HMAC-SHA256 by hand (RFC 2104); the key is as long as the block allows.
fn signature(plane: &Plane, text: &str) -> String {
    let pad = |with: u8| {
        let mut block = [with; 64];
        for (byte, key) in block.iter_mut().zip(plane.token_key) {
            *byte ^= key;
        }
        block
    };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(text.as_bytes()).finalize();
    let outer = Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize();
    URL_SAFE_NO_PAD.encode(outer)
}

/// Whose token this is, if it is one of ours, still good, and its ServiceAccount still there.
pub(crate) fn user_of(plane: &Plane, token: &str) -> Option<User> {
    let (signed, given) = token.rsplit_once('.')?;
    if signature(plane, signed) != given {
        return None;
    }
    let (_, body) = signed.split_once('.')?;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).ok()?).ok()?;
    if claims.get("exp")?.as_i64()? < plane.clock.now().as_second() {
        return None;
    }
    let namespace = document::text(&claims, "/kubernetes.io/namespace");
    let name = document::text(&claims, "/kubernetes.io/serviceaccount/name");
    let account = plane.store.lock().get("serviceaccounts", &Key::new(namespace, name))?.object();
    if document::uid(&account) != document::text(&claims, "/kubernetes.io/serviceaccount/uid") {
        return None;
    }
    Some(User::service_account(namespace, name))
}
