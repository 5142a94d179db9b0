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

/// Who issues tokens, and whom they are meant for unless somebody else is named.
pub(crate) const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
const DEFAULT_SECONDS: i64 = 3600;
const SHORTEST_SECONDS: i64 = 600;
const LONGEST_SECONDS: i64 = 1 << 32;

/// POST of `serviceaccounts/x/token`.
pub(crate) fn issue(plane: &Plane, call: &Call, target: &Target) -> Reply<Answer> {
    let mut request = decode::object(call, "TokenRequest")?;
    let subject = Subject { group: "authentication.k8s.io", plural: "", kind: "TokenRequest" };
    for (given, wanted, what) in [
        (document::name(&request), &target.name, "name"),
        (document::namespace(&request), &target.namespace, "namespace"),
    ] {
        if !given.is_empty() && given != wanted {
            let why = format!("must match the service account {what} if specified");
            let cause = Cause::invalid(format!("metadata.{what}"), &json!(given), why);
            return Err(Refusal::invalid(&subject, &target.name, &[cause]));
        }
    }
    let account = plane
        .store
        .lock()
        .get(&target.resource.table, &target.key())
        .ok_or_else(|| target.not_found())?
        .object();
    let seconds =
        request.pointer("/spec/expirationSeconds").and_then(Value::as_i64).unwrap_or(DEFAULT_SECONDS);
    let wrong = match seconds {
        ..SHORTEST_SECONDS => Some("may not specify a duration less than 10 minutes"),
        SHORTEST_SECONDS..=LONGEST_SECONDS => None,
        _ => Some("may not specify a duration larger than 2^32 seconds"),
    };
    if let Some(why) = wrong {
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
    let mut about = json!({
        "namespace": target.namespace,
        "serviceaccount": { "name": target.name, "uid": document::uid(&account) },
    });
    if let Some(bound) = request.pointer("/spec/boundObjectRef").filter(|bound| !bound.is_null()) {
        bind(plane, target, bound, &mut about)?;
    }
    let claims = json!({
        "aud": audiences, "exp": until.as_second(), "iat": now.as_second(), "nbf": now.as_second(), "iss": ISSUER,
        "jti": plane.new_uid(),
        "kubernetes.io": about,
        "sub": format!("system:serviceaccount:{}:{}", target.namespace, target.name),
    });
    request["kind"] = json!("TokenRequest");
    request["apiVersion"] = json!("authentication.k8s.io/v1");
    request["metadata"] = json!({
        "name": target.name, "namespace": target.namespace, "uid": document::uid(&account),
        "creationTimestamp": plane.timestamp(),
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

/// Where objects are kept that a token can be bound to, and whether they have namespaces.
const BINDABLE: [(&str, &str, bool); 3] =
    [("Pod", "pods", true), ("Secret", "secrets", true), ("Node", "nodes", false)];

/// Binds a token to an object: it is good only as long as that is there.
fn bind(plane: &Plane, target: &Target, bound: &Value, about: &mut Value) -> Reply<()> {
    let (api_version, kind) = (document::text(bound, "/apiVersion"), document::text(bound, "/kind"));
    let found = BINDABLE.iter().find(|(one, ..)| *one == kind && matches!(api_version, "v1" | ""));
    let Some((_, table, namespaced)) = found else {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        return Err(Refusal::bad_request(format!(
            "cannot bind token to object of type {group}/{version}, Kind={kind}"
        )));
    };
    let name = document::text(bound, "/name");
    let key = Key::new(if *namespaced { &target.namespace } else { "" }, name);
    let contents = plane.store.lock();
    let subject = Subject { group: "", plural: table, kind };
    let object = contents.get(table, &key).ok_or_else(|| Refusal::not_found(&subject, name))?.object();
    let uid = document::uid(&object);
    if *table == "pods" && document::text(&object, "/spec/serviceAccountName") != target.name {
        return Err(Refusal::bad_request(format!(
            "cannot bind token for serviceaccount {:?} to pod running with different serviceaccount name.",
            target.name
        )));
    }
    let given = document::text(bound, "/uid");
    if !given.is_empty() && given != uid {
        let why = format!(
            "the UID in the bound object reference ({given}) does not match the UID in record. The object might have been deleted and then recreated"
        );
        return Err(Refusal::conflict(&subject, name, &why));
    }
    about[kind.to_lowercase()] = json!({ "name": name, "uid": uid });
    let node = document::text(&object, "/spec/nodeName");
    if *table == "pods" && !node.is_empty() {
        let found = contents.get("nodes", &Key::new("", node)).map(|node| node.object());
        about["node"] = json!({ "name": node });
        if let Some(found) = found {
            about["node"]["uid"] = json!(document::uid(&found));
        }
    }
    Ok(())
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

/// Whose token it is.
#[derive(Debug)]
pub(crate) struct Holder {
    pub user: User,
    /// The ServiceAccount's uid.
    pub uid: String,
    /// What else is known of the token, as reviews show it.
    pub extra: Value,
    /// Whom the token is meant for.
    pub audiences: Vec<String>,
}

/// Whose token this is, if it is one of ours, still good, and what it is bound to still there.
pub(crate) fn holder_of(plane: &Plane, token: &str) -> Option<Holder> {
    let (signed, given) = token.rsplit_once('.')?;
    if signature(plane, signed) != given {
        return None;
    }
    let (_, body) = signed.split_once('.')?;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).ok()?).ok()?;
    if claims.get("exp")?.as_i64()? < plane.clock.now().as_second() {
        return None;
    }
    let about = claims.get("kubernetes.io")?;
    let namespace = document::text(about, "/namespace");
    let contents = plane.store.lock();
    let is_there = |table: &str, namespace: &str, part: &str| {
        let (name, uid) =
            (document::text(about, &format!("/{part}/name")), document::text(about, &format!("/{part}/uid")));
        let found = contents.get(table, &Key::new(namespace, name));
        found.is_some_and(|found| document::uid(&found.object()) == uid)
    };
    if !is_there("serviceaccounts", namespace, "serviceaccount") {
        return None;
    }
    let mut extra = json!({ "authentication.kubernetes.io/credential-id": [format!("JTI={}", document::text(&claims, "/jti"))] });
    for (kind, table, namespaced) in BINDABLE {
        let part = kind.to_lowercase();
        let bound = about.get(&part);
        // A pod's node is mentioned, the token is bound to the pod.
        let mentioned = kind == "Node" && about.get("pod").is_some();
        if bound.is_some() && !mentioned && !is_there(table, if namespaced { namespace } else { "" }, &part) {
            return None;
        }
        if let Some(bound) = bound.filter(|_| kind != "Secret") {
            for key in ["name", "uid"] {
                if let Some(value) = bound.get(key) {
                    extra[format!("authentication.kubernetes.io/{part}-{key}")] = json!([value]);
                }
            }
        }
    }
    let audiences = claims.get("aud")?.as_array()?;
    Some(Holder {
        user: User::service_account(namespace, document::text(about, "/serviceaccount/name")),
        uid: document::text(about, "/serviceaccount/uid").to_owned(),
        extra,
        audiences: audiences.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect(),
    })
}

/// Whose requests carry this token: only tokens meant for this API server count.
pub(crate) fn user_of(plane: &Plane, token: &str) -> Option<User> {
    let holder = holder_of(plane, token)?;
    holder.audiences.iter().any(|one| one == ISSUER).then_some(holder.user)
}
