//! GET of one object and of lists, with paging.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::call::{Answer, Call, Target};
use crate::plane::Plane;
use crate::refusal::{Cause, Refusal, Reply, Subject};
use crate::represent::{Include, Lens};
use crate::selectors::Selector;
use crate::store::Stored;

/// How the answers to this call show objects.
pub(crate) fn lens(plane: &Plane, call: &Call, target: &Target) -> Lens {
    Lens {
        resource: Arc::clone(&target.resource),
        version: target.version,
        view: call.view,
        include: Include::parse(call.query.get("includeObject")),
        now: plane.clock.now(),
    }
}

/// The selectors of a list, watch or deletecollection.
pub(crate) fn parse_selector(call: &Call, target: &Target) -> Reply<Selector> {
    Selector::parse(
        call.query.get("labelSelector"),
        call.query.get("fieldSelector"),
        target.resource.selectable(),
        &target.api_version(),
    )
}

/// One object.
pub(crate) fn get(plane: &Plane, call: &Call, target: &Target) -> Reply<Answer> {
    let contents = plane.store.lock();
    if let Some(wanted) = parse_version(call.query.get("resourceVersion"))? {
        not_in_the_future(wanted, contents.resource_version())?;
    }
    let stored = contents.get(&target.resource.table, &target.key()).ok_or_else(|| target.not_found())?;
    drop(contents);
    Ok(Answer::json(200, lens(plane, call, target).one(&stored)))
}

/// `resourceVersion` as a number; `None` when it was not given.
pub(crate) fn parse_version(text: &str) -> Reply<Option<u64>> {
    match text {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| {
            Refusal::bad_request(format!(
                "invalid resource version: resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax"
            ))
        }),
    }
}

fn not_in_the_future(wanted: u64, current: u64) -> Reply<()> {
    if wanted > current { Err(Refusal::too_large_version(wanted, current)) } else { Ok(()) }
}

/// Where the next page goes on.
#[derive(Debug, PartialEq, Eq)]
struct PageToken {
    version: u64,
    after: (String, String),
}

impl PageToken {
    fn encode(&self) -> String {
        let token =
            json!({ "v": "meta.k8s.io/v1", "rv": self.version, "ns": self.after.0, "start": self.after.1 });
        URL_SAFE_NO_PAD.encode(token.to_string())
    }

    fn decode(text: &str) -> Reply<Self> {
        let wrong = |why: &str| {
            Refusal::bad_request(format!("invalid continue token: continue key is not valid: {why}"))
        };
        let bytes =
            URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).map_err(|error| wrong(&error.to_string()))?;
        let token: Value = serde_json::from_slice(&bytes).map_err(|error| wrong(&error.to_string()))?;
        let text = |key: &str| token.get(key).and_then(Value::as_str).map(str::to_owned);
        match (token.get("rv").and_then(Value::as_u64), text("ns"), text("start")) {
            (Some(version), Some(namespace), Some(start)) if token["v"] == "meta.k8s.io/v1" => {
                Ok(Self { version, after: (namespace, start) })
            }
            _ => Err(wrong("incorrect encoded start resourceVersion")),
        }
    }
}

/// A list; a page of it when `limit` says so.
pub(crate) fn list(plane: &Plane, call: &Call, target: &Target) -> Reply<Answer> {
    let selector = parse_selector(call, target)?;
    let limit = call.query.number("limit")?.unwrap_or(0).max(0);
    call.query.number("timeoutSeconds")?;
    if call.query.flag("sendInitialEvents") {
        let subject = Subject { group: "meta.k8s.io", plural: "", kind: "ListOptions" };
        let cause = Cause::forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list");
        return Err(Refusal::invalid(&subject, "", &[cause]));
    }
    let token = call.query.get("continue");
    let asked = parse_version(call.query.get("resourceVersion"))?;
    let matching = call.query.get("resourceVersionMatch");
    check_version_match(matching, asked, token)?;
    // From the watch cache (`resourceVersion=0`) lists come whole, whatever the limit.
    let limit = if asked == Some(0) && matching != "Exact" { 0 } else { limit };

    let mut contents = plane.store.lock();
    let current = contents.resource_version();
    let page = if token.is_empty() { None } else { Some(PageToken::decode(token)?) };
    let at = match (&page, asked) {
        (Some(page), _) if page.version > 0 => page.version,
        (None, Some(exact)) if matching == "Exact" => exact,
        _ => current,
    };
    if let Some(asked) = asked {
        not_in_the_future(asked, current)?;
    }
    let table = contents.table(&target.resource.table);
    let all = table.snapshot(&target.namespace, at).map_err(|_| expired_page(page.as_ref(), target))?;
    drop(contents);
    let after = page.map(|page| page.after);
    let chosen = all.into_iter().filter(|stored| {
        let key = (stored.key.namespace(), stored.key.name());
        after.as_ref().is_none_or(|(namespace, name)| key > (namespace.as_str(), name.as_str()))
            && selector.matches(stored)
    });
    Ok(page_of(plane, call, target, chosen.collect(), limit, at, &selector))
}

fn page_of(
    plane: &Plane,
    call: &Call,
    target: &Target,
    mut chosen: Vec<Arc<Stored>>,
    limit: i64,
    at: u64,
    selector: &Selector,
) -> Answer {
    let mut metadata = json!({ "resourceVersion": at.to_string() });
    if target.resource.is_custom() {
        // Lists of custom objects always say where they go on.
        metadata["continue"] = json!("");
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if limit > 0 && chosen.len() > limit {
        let rest = chosen.len() - limit;
        chosen.truncate(limit);
        if let Some(last) = chosen.last() {
            let after = (last.key.namespace().to_owned(), last.key.name().to_owned());
            metadata["continue"] = json!(PageToken { version: at, after }.encode());
        }
        // The count is only known without selectors, as in the real server.
        if selector.is_everything() {
            metadata["remainingItemCount"] = json!(rest);
        }
    }
    Answer::json(200, lens(plane, call, target).many(&chosen, &metadata))
}

fn expired_page(page: Option<&PageToken>, _target: &Target) -> Refusal {
    match page {
        Some(page) => Refusal::expired(
            "The provided continue parameter is too old to display a consistent list result. You can start a new list without \
             the continue parameter, or use the continue token in this response to retrieve the remainder of the results. \
             Continuing with the provided token results in an inconsistent list - objects that were created, modified, or \
             deleted between the time the first chunk was returned and now may show up in the list.",
        )
        .with_next_page(PageToken { version: 0, after: page.after.clone() }.encode()),
        None => Refusal::expired("The resourceVersion for the provided list is too old."),
    }
}

fn check_version_match(matching: &str, asked: Option<u64>, token: &str) -> Reply<()> {
    let refuse = |cause: Cause| {
        Err(Refusal::invalid(
            &Subject { group: "meta.k8s.io", plural: "", kind: "ListOptions" },
            "",
            &[cause],
        ))
    };
    match matching {
        "" => Ok(()),
        "NotOlderThan" | "Exact" if !token.is_empty() => refuse(Cause::forbidden(
            "resourceVersionMatch",
            "resourceVersionMatch is forbidden when continue is provided",
        )),
        "NotOlderThan" | "Exact" if asked.is_none() => refuse(Cause::forbidden(
            "resourceVersionMatch",
            "resourceVersionMatch is forbidden unless resourceVersion is provided",
        )),
        "Exact" if asked == Some(0) => refuse(Cause::forbidden(
            "resourceVersionMatch",
            "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
        )),
        "NotOlderThan" | "Exact" => Ok(()),
        other => refuse(Cause::unsupported(
            "resourceVersionMatch",
            &json!(other),
            &["Exact".into(), "NotOlderThan".into(), String::new()],
        )),
    }
}
