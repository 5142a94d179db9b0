//! `why`: what a rollout waits for, since when, who can end it, until when, and what happens then.

use std::time::Duration;

use glidepath_explain::{Explanation, explain, gather_scene, render_text};
use glidepath_kube::gather::GatherError;
use glidepath_kube::object::ObjectKey;

use super::only_name;
use crate::arguments::Why;
use crate::failure::{Failure, chain};
use crate::follow::Screenful;
use crate::gather::gone;
use crate::session::Session;

/// Changes within this time are shown as one.
const SETTLE: Duration = Duration::from_millis(250);
/// How often to look again although nothing changed: routers and Services are not followed.
const REFRESH: Duration = Duration::from_secs(10);

/// How an explanation is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// For a person.
    Text,
    /// For a program.
    Json,
}

/// Reads `-o`.
///
/// # Errors
/// If the form is not known.
pub(crate) fn parse_form(output: Option<&str>) -> Result<Form, Failure> {
    match output {
        None | Some("" | "text") => Ok(Form::Text),
        Some("json") => Ok(Form::Json),
        Some(other) => {
            Err(Failure::message(format!("unable to print in the form {other:?}, allowed are: text, json")))
        }
    }
}

/// Explains a Rollout, once or until it waits for nothing.
///
/// # Errors
/// On wrong arguments, when there is no such Rollout, when a followed one ends badly, or what the API server answers.
pub async fn why(session: &mut Session<'_>, arguments: &Why) -> Result<(), Failure> {
    let name = only_name(&arguments.names)?;
    let form = parse_form(arguments.output.as_deref())?;
    let explanation = look(session, name).await?;
    show(session, &explanation, form);
    if arguments.wait { follow(session, name, form, explanation).await } else { Ok(()) }
}

async fn look(session: &Session<'_>, name: &str) -> Result<Explanation, Failure> {
    let key = ObjectKey::new(&session.namespace, name);
    let scene = gather_scene(&session.client, session.clock, &key).await.map_err(|error| unread(&error))?;
    let scene = scene.ok_or_else(|| gone("rollout", name))?;
    Ok(explain(&scene))
}

pub(crate) fn unread(error: &GatherError) -> Failure {
    Failure::message(chain(error))
}

fn show(session: &mut Session<'_>, explanation: &Explanation, form: Form) {
    match form {
        Form::Text => session.output.screen(&render_text(explanation)),
        Form::Json => {
            // Plain data always has a text.
            let text = serde_json::to_string_pretty(explanation).unwrap_or_default();
            session.output.line(&text);
        }
    }
}

/// Shows every change until nothing is left to wait for.
async fn follow(
    session: &mut Session<'_>,
    name: &str,
    form: Form,
    mut shown: Explanation,
) -> Result<(), Failure> {
    let mut screenful = Screenful::new(&session.client, &session.namespace);
    loop {
        if shown.is_done() {
            return Ok(());
        }
        if shown.phase == "Degraded" {
            return Err(Failure::message(format!(
                "The rollout is in a degraded state with message: {}",
                shown.message
            )));
        }
        tokio::select! {
            () = session.stopped() => return Ok(()),
            () = screenful.changed() => tokio::time::sleep(SETTLE).await,
            () = tokio::time::sleep(REFRESH) => {}
        }
        let seen = look(session, name).await?;
        if differs(&shown, &seen) {
            show(session, &seen, form);
            shown = seen;
        }
    }
}

/// Whether more than the time has changed.
fn differs(shown: &Explanation, seen: &Explanation) -> bool {
    let timeless = |explanation: &Explanation| {
        let mut explanation = explanation.clone();
        explanation.now = shown.now;
        // A retry that is pushed back is no news.
        if let Some(waiting) = explanation.waiting.as_mut().filter(|waiting| waiting.name != "pause") {
            waiting.until = None;
        }
        for cause in explanation.causes.iter_mut().filter(|cause| cause.name == "progress-deadline") {
            cause.summary.clear();
        }
        explanation
    };
    timeless(shown) != timeless(seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_json_are_the_forms() {
        assert_eq!(parse_form(None), Ok(Form::Text));
        assert_eq!(parse_form(Some("json")), Ok(Form::Json));
        let error = parse_form(Some("yaml")).unwrap_err().to_string();
        assert_eq!(error, "unable to print in the form \"yaml\", allowed are: text, json");
    }
}
