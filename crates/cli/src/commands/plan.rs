//! `plan`: what a change will do, before anything is applied.

use glidepath_api::Rollout;
use glidepath_forecast::{Change, Live, foresee, gather_live, render_text};
use glidepath_gocompat::yaml;
use serde_json::{Value, json};

use super::create::read_file;
use super::promote::{Extent, plan_patches};
use super::set_image::{parse_assignment, plan_workload};
use super::why::{Form, parse_form};
use crate::arguments::Plan;
use crate::failure::{Failure, chain};
use crate::gather::gone;
use crate::session::Session;

/// What a plan is about.
#[derive(Clone, Debug, PartialEq)]
struct Subject {
    namespace: String,
    name: String,
    /// Objects of the files.
    objects: Vec<Value>,
}

/// Says what a change of a Rollout will do.
///
/// # Errors
/// On wrong arguments, unreadable files, what the API server answers, or what it would answer to the change.
pub async fn plan(session: &mut Session<'_>, arguments: &Plan) -> Result<(), Failure> {
    let form = parse_form(arguments.output.as_deref())?;
    let objects = read_objects(&arguments.filename)?;
    let subject = decide_subject(arguments, objects, &session.namespace)?;
    let live =
        gather_live(&session.client, session.clock, &subject.namespace, &subject.name, &subject.objects)
            .await
            .map_err(|error| Failure::message(chain(&error)))?;
    let change = plan_change(arguments, &live, subject.objects)?;
    // Computing it takes this thread; nothing else is to be done meanwhile.
    let forecast = foresee(&live, &change).map_err(|error| Failure::message(chain(&error)))?;
    match form {
        Form::Text => session.output.text(&render_text(&forecast)),
        Form::Json => {
            // Plain data always has a text.
            session.output.line(&serde_json::to_string_pretty(&forecast).unwrap_or_default());
        }
    }
    Ok(())
}

/// Whether the arguments name one thing to plan.
#[must_use]
pub fn fits(arguments: &Plan) -> bool {
    let Plan { filename, names, image, scale, promote, full, abort, .. } = arguments;
    let changes = [!image.is_empty(), scale.is_some(), *promote || *full, *abort];
    let changed = changes.into_iter().filter(|given| *given).count();
    if filename.is_empty() {
        names.len() == 1 && (changed == 1 || (changed == 2 && !image.is_empty() && scale.is_some()))
    } else {
        names.len() <= 1 && changed == 0
    }
}

fn read_objects(paths: &[String]) -> Result<Vec<Value>, Failure> {
    let mut objects = Vec::new();
    for path in paths {
        let text = read_file(path)?;
        let documents = yaml::parse_documents(&text)
            .map_err(|error| Failure::message(format!("error parsing {path}: {error}")))?;
        for document in documents {
            match document.get("items").and_then(Value::as_array).filter(|_| document["kind"] == "List") {
                Some(items) => objects.extend(items.iter().cloned()),
                None => objects.push(document),
            }
        }
    }
    Ok(objects)
}

fn decide_subject(arguments: &Plan, objects: Vec<Value>, namespace: &str) -> Result<Subject, Failure> {
    let named = arguments.names.first();
    let is_meant = |object: &&Value| {
        object["kind"] == "Rollout" && named.is_none_or(|name| object["metadata"]["name"] == name.as_str())
    };
    let rollouts: Vec<&Value> = objects.iter().filter(is_meant).collect();
    let name = match (named, rollouts.as_slice()) {
        (Some(name), _) => name.clone(),
        (None, [rollout]) => rollout["metadata"]["name"].as_str().unwrap_or_default().to_owned(),
        (None, []) => return Err(Failure::message("the file holds no Rollout; name the one it bears on")),
        (None, _) => return Err(Failure::message("the file holds several Rollouts; name one of them")),
    };
    let own = rollouts.first().and_then(|rollout| rollout["metadata"]["namespace"].as_str());
    let namespace = own.filter(|own| !own.is_empty()).unwrap_or(namespace).to_owned();
    // Of several Rollouts in a file the others have no bearing on this one.
    let objects = objects
        .into_iter()
        .filter(|object| object["kind"] != "Rollout" || object["metadata"]["name"] == name.as_str());
    Ok(Subject { namespace, objects: objects.collect(), name })
}

/// The flags as a change of the live objects.
fn plan_change(arguments: &Plan, live: &Live, objects: Vec<Value>) -> Result<Change, Failure> {
    if !arguments.filename.is_empty() {
        let words = format!("apply -f {}", arguments.filename.join(" -f "));
        return Ok(Change { words, apply: objects, ..Change::default() });
    }
    let stored = live.rollout.as_ref().ok_or_else(|| gone("rollout", &live.name))?;
    let rollout: Rollout = serde_json::from_value(stored.clone())
        .map_err(|error| Failure::message(format!("rollout {:?} cannot be read: {error}", live.name)))?;
    if arguments.abort {
        let status_patch = Some(json!({"status": {"abort": true}}));
        return Ok(Change { words: "abort".to_owned(), status_patch, ..Change::default() });
    }
    if arguments.promote || arguments.full {
        let (extent, words) =
            if arguments.full { (Extent::Full, "promote --full") } else { (Extent::Next, "promote") };
        let patches = plan_patches(&rollout, extent)?;
        return Ok(Change {
            words: words.to_owned(),
            status_patch: patches.status,
            patch: patches.spec,
            ..Change::default()
        });
    }
    plan_edit(arguments, live, stored, &rollout)
}

/// New images and another number of pods.
fn plan_edit(arguments: &Plan, live: &Live, stored: &Value, rollout: &Rollout) -> Result<Change, Failure> {
    let mut words = Vec::new();
    let mut changed = stored.clone();
    let mut apply = Vec::new();
    if !arguments.image.is_empty() {
        let referred = rollout.spec.workload_ref.as_ref().and_then(|workload| {
            live.others.iter().find(|object| {
                object["kind"] == workload.kind.as_str()
                    && object["metadata"]["name"] == workload.name.as_str()
            })
        });
        let mut target = referred.unwrap_or(stored).clone();
        for assignment in &arguments.image {
            let (container, image) = parse_assignment(assignment)?;
            target = plan_workload(&target, container, image)?;
            words.push(format!("set image {assignment}"));
        }
        match referred {
            Some(_) => apply.push(target),
            None => changed = target,
        }
    }
    if let Some(replicas) = arguments.scale {
        words.push(format!("scale to {replicas}"));
        changed["spec"]["replicas"] = replicas.into();
    }
    if apply.is_empty() || arguments.scale.is_some() {
        apply.push(changed);
    }
    Ok(Change { words: words.join(", "), apply, ..Change::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(line: &str) -> Plan {
        use clap::FromArgMatches as _;
        let words = ["kubectl-argo-rollouts", "plan"].into_iter().chain(line.split_whitespace());
        let matches = crate::arguments::command_tree().try_get_matches_from(words).unwrap();
        match crate::arguments::Cli::from_arg_matches(&matches).unwrap().command {
            Some(crate::arguments::Verb::Plan(plan)) => plan,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn exactly_one_change_is_planned() {
        for (line, want) in [
            ("-f a.yaml", true),
            ("-f a.yaml web", true),
            ("web --image web=app:2", true),
            ("web --image web=app:2 --scale 3", true),
            ("web --scale 0", true),
            ("web --promote", true),
            ("web --full", true),
            ("web --abort", true),
            ("web", false),
            ("", false),
            ("--abort", false),
            ("web --abort --promote", false),
            ("-f a.yaml --abort", false),
            ("web --scale 3 --abort", false),
        ] {
            assert_eq!(fits(&arguments(line)), want, "{line}");
        }
    }

    #[test]
    fn the_rollout_of_a_file_is_the_subject_unless_it_holds_several() {
        let rollout =
            |name: &str| json!({"kind": "Rollout", "metadata": {"name": name, "namespace": "shop"}});
        let service = json!({"kind": "Service", "metadata": {"name": "web"}});
        let subject = |line: &str, objects: Vec<Value>| decide_subject(&arguments(line), objects, "default");
        let found = subject("-f x", vec![service.clone(), rollout("web")]).unwrap();
        assert_eq!((found.namespace.as_str(), found.name.as_str(), found.objects.len()), ("shop", "web", 2));
        let found = subject("web -f x", vec![service.clone(), rollout("web"), rollout("other")]).unwrap();
        assert_eq!((found.name.as_str(), found.objects.len()), ("web", 2));
        let message = |objects| subject("-f x", objects).unwrap_err().to_string();
        assert_eq!(message(vec![service]), "the file holds no Rollout; name the one it bears on");
        assert_eq!(
            message(vec![rollout("a"), rollout("b")]),
            "the file holds several Rollouts; name one of them"
        );
    }
}
