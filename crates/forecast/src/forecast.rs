//! The forecast: the course as planned, and what if something goes wrong.

use glidepath_api::{Rollout, names};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::driver::{Course, Script, play};
use crate::frame::Frame;
use crate::live::{Change, Live};
use crate::metrics::Failing;
use crate::outcome::{Outcome, outcome};
use crate::scratch::since;
use crate::timeline::{Stage, stages};

/// Analyses at steps that are played as failing; more would say the same again.
const FAILING_STEPS: usize = 6;

/// Why there is no forecast.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForecastError {
    /// The scratch plane refused an object, as the live one would.
    #[error("{message}")]
    Refused {
        /// HTTP status code.
        code: u16,
        /// The API server's message.
        message: String,
    },
    /// The change holds a kind that forecasts do not know.
    #[error("cannot foresee what {0} will do: apply it first, or leave it out of the file")]
    UnknownKind(String),
    /// There is no Rollout, and the change brings none.
    #[error("there is no Rollout {0}, and the change does not bring it")]
    NoRollout(String),
    /// The scratch plane did not work.
    #[error("the scratch plane does not work: {0}")]
    Broken(String),
}

/// What a change will do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Forecast {
    /// Name of the Rollout.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// What is changed, in words.
    pub change: String,
    /// Images before; empty for a new Rollout.
    pub images_before: Vec<String>,
    /// Images afterwards.
    pub images_after: Vec<String>,
    /// Pods wanted.
    pub replicas: i32,
    /// `canary` or `blueGreen`.
    pub strategy: String,
    /// The course, in order.
    pub stages: Vec<Stage>,
    /// How it ends.
    pub outcome: Outcome,
    /// Seconds until the last old pod is gone and nothing moves any more.
    pub settled_seconds: i64,
    /// The most pods at once.
    pub most_pods: i32,
    /// Pods above the wanted number at that moment.
    pub surge: i32,
    /// The first moment at which a person is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<Person>,
    /// AnalysisRuns and what they ask.
    pub analysis: Analysis,
    /// Courses in which something goes wrong.
    pub what_if: Vec<WhatIf>,
    /// What was assumed.
    pub assumptions: Vec<String>,
}

/// When a person is needed, and for what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Person {
    /// Seconds from the change on.
    pub at_seconds: i64,
    /// At which stage.
    pub stage: String,
    /// For what.
    pub waiting_for: String,
}

/// What analyses cost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Analysis {
    /// AnalysisRuns that are started.
    pub runs: usize,
    /// Questions to metric providers, all together.
    pub queries: u64,
    /// The same by metric.
    pub by_metric: std::collections::BTreeMap<String, u64>,
}

/// A course in which something goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WhatIf {
    /// What goes wrong.
    #[serde(rename = "if")]
    pub event: String,
    /// How it ends.
    pub outcome: Outcome,
    /// The most pods at once.
    pub most_pods: i32,
}

/// Foresees what a change will do. Blocks for as long as that takes to compute, which is well under a second for most
/// rollouts; each course runs in a thread of its own.
///
/// # Errors
/// See [`ForecastError`].
pub fn foresee(live: &Live, change: &Change) -> Result<Forecast, ForecastError> {
    let target = target(live, change)?;
    let as_planned = Script { failing: Failing::Nothing, never_ready: false };
    let troubles = troubles(live, &target, change);
    let (course, what_if) = std::thread::scope(|scope| {
        let main = scope.spawn(|| play(live, change, &as_planned));
        let others: Vec<_> = troubles
            .iter()
            .map(|(event, script)| (event, scope.spawn(move || play(live, change, script))))
            .collect();
        let course = joined(main.join());
        let what_if: Result<Vec<WhatIf>, ForecastError> =
            others.into_iter().map(|(event, course)| Ok(what_if(event, &joined(course.join())?))).collect();
        (course, what_if)
    });
    Ok(forecast(live, change, &target, &course?, what_if?))
}

fn joined<T>(course: std::thread::Result<Result<T, ForecastError>>) -> Result<T, ForecastError> {
    course.unwrap_or_else(|_| Err(ForecastError::Broken("a course ended in a panic".to_owned())))
}

/// The Rollout as it will be.
fn target(live: &Live, change: &Change) -> Result<Rollout, ForecastError> {
    let brought = change.apply.iter().find(|object| object["kind"] == "Rollout");
    let Some(object) = brought.or(live.rollout.as_ref()) else {
        return Err(ForecastError::NoRollout(live.name.clone()));
    };
    // What does not fit the type is refused by the scratch plane, in the API server's words.
    Ok(serde_json::from_value(object.clone()).unwrap_or_default())
}

/// What is tried besides the course as planned.
fn troubles(live: &Live, target: &Rollout, change: &Change) -> Vec<(String, Script)> {
    let mut troubles = Vec::new();
    let mut fails = |event: String, failing| troubles.push((event, Script { failing, never_ready: false }));
    if let Some(canary) = &target.spec.strategy.canary {
        if canary.analysis.is_some() {
            fails("the background analysis fails".to_owned(), Failing::Type(names::ROLLOUT_TYPE_BACKGROUND));
        }
        let analysed = canary.steps.iter().enumerate().filter(|(_, step)| step.analysis.is_some());
        for (index, _) in analysed.take(FAILING_STEPS) {
            fails(format!("the analysis of step {} fails", index + 1), Failing::Step(index));
        }
    }
    if let Some(blue_green) = &target.spec.strategy.blue_green {
        if blue_green.pre_promotion_analysis.is_some() {
            fails(
                "the pre-promotion analysis fails".to_owned(),
                Failing::Type(names::ROLLOUT_TYPE_PRE_PROMOTION),
            );
        }
        if blue_green.post_promotion_analysis.is_some() {
            fails(
                "the post-promotion analysis fails".to_owned(),
                Failing::Type(names::ROLLOUT_TYPE_POST_PROMOTION),
            );
        }
    }
    // Only a new template can be made one whose pods do not become ready.
    if change.apply.iter().any(|object| brings_new_template(live, object)) {
        let script = Script { failing: Failing::Nothing, never_ready: true };
        troubles.push(("the new pods never become ready".to_owned(), script));
    }
    troubles
}

fn brings_new_template(live: &Live, object: &Value) -> bool {
    let Some(template) = object.pointer("/spec/template").filter(|template| template.is_object()) else {
        return false;
    };
    let is_same = |known: &&Value| {
        known["kind"] == object["kind"] && known["metadata"]["name"] == object["metadata"]["name"]
    };
    let stored = live.rollout.iter().chain(&live.others).find(is_same);
    stored.and_then(|stored| stored.pointer("/spec/template")) != Some(template)
}

fn what_if(event: &str, course: &Course) -> WhatIf {
    let most_pods = course.frames.iter().map(Frame::pods).max().unwrap_or(0);
    let mut outcome = outcome(course);
    // The rest names a ReplicaSet that only this course had.
    if let Some((reason, _)) = outcome.message.split_once(": ") {
        outcome.message = reason.to_owned();
    }
    WhatIf { event: event.to_owned(), outcome, most_pods }
}

fn forecast(
    live: &Live,
    change: &Change,
    target: &Rollout,
    course: &Course,
    what_if: Vec<WhatIf>,
) -> Forecast {
    let stages = stages(course);
    let last = course.frames.last();
    let replicas = last.map_or_else(|| target.replicas(), |frame| frame.rollout.replicas());
    let most_pods = course.frames.iter().map(Frame::pods).max().unwrap_or(0);
    let settled_seconds = course
        .frames
        .iter()
        .rposition(|frame| !frame.idle)
        .and_then(|index| course.frames.get(index + 1).or(course.frames.get(index)))
        .map_or(0, |frame| since(course.start, frame.at));
    let images = |rollout: Option<&Rollout>| rollout.map(images).unwrap_or_default();
    Forecast {
        name: live.name.clone(),
        namespace: live.namespace.clone(),
        change: change.words.clone(),
        images_before: images(course.before.as_ref().map(|frame| &frame.rollout)),
        images_after: images(last.map(|frame| &frame.rollout)),
        replicas,
        strategy: if target.blue_green().is_some() { "blueGreen" } else { "canary" }.to_owned(),
        outcome: outcome(course),
        settled_seconds,
        most_pods,
        surge: (most_pods - replicas).max(0),
        person: course.person.as_ref().map(|(at, stage, waiting_for)| Person {
            at_seconds: since(course.start, *at),
            stage: stage.clone(),
            waiting_for: waiting_for.clone(),
        }),
        analysis: Analysis {
            runs: course.runs.len(),
            queries: course.questions.values().sum(),
            by_metric: course.questions.clone(),
        },
        stages,
        what_if,
        assumptions: assumptions(live, course),
    }
}

fn images(rollout: &Rollout) -> Vec<String> {
    let containers = rollout.spec.template.pointer("/spec/containers").and_then(Value::as_array);
    let images = containers.into_iter().flatten().filter_map(|container| container["image"].as_str());
    images.map(str::to_owned).collect()
}

fn assumptions(live: &Live, course: &Course) -> Vec<String> {
    let mut assumptions = vec![
        "pods become ready after the initial delay of their readiness probe; images are there already"
            .to_owned(),
    ];
    if !course.runs.is_empty() {
        assumptions
            .push("every measurement is answered at once and succeeds; Jobs count as one query".to_owned());
    }
    let runs = ["canary/currentStepAnalysisRunStatus", "canary/currentBackgroundAnalysisRunStatus"];
    let is_running = |place: &str| {
        let status =
            live.rollout.as_ref().and_then(|rollout| rollout.pointer(&format!("/status/{place}/status")));
        status == Some(&Value::from("Running"))
    };
    if runs.into_iter().any(is_running) {
        assumptions.push("analyses that run now begin anew".to_owned());
    }
    if course.person.is_some() {
        assumptions.push("a person promotes at once whenever one is needed".to_owned());
    }
    if !course.rested {
        assumptions.push("it was followed for a day beyond its pauses, and was not at rest then".to_owned());
    }
    for object in &course.left_out {
        assumptions.push(format!("{object} has no bearing on it"));
    }
    assumptions
}
