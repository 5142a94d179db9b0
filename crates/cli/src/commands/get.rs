//! `get rollout` and `get experiment`: the tree, once or as it changes (O-019 to O-041).

use std::time::Duration;

use glidepath_view::{ExperimentInfo, Paint, RolloutInfo, render_experiment, render_rollout};
use jiff::Timestamp;
use serde_json::Value;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::only_name;
use crate::arguments::GetOne;
use crate::failure::Failure;
use crate::follow::{Screenful, values};
use crate::gather::{
    Gathered, fetch_experiment, fetch_rollout, fetch_workload_template, gather_for_experiment,
    gather_for_rollout,
};
use crate::session::Session;

/// Screens follow each other at least this far apart.
const LEAST_GAP: Duration = Duration::from_millis(200);
/// Ages are redrawn this often.
const TICK: Duration = Duration::from_secs(1);

/// What is on the screen.
#[derive(Clone, Debug, PartialEq)]
enum Picture {
    Rollout(RolloutInfo),
    Experiment(ExperimentInfo),
}

impl Picture {
    fn render(&self, now: Timestamp, paint: Paint) -> String {
        match self {
            Self::Rollout(info) => render_rollout(info, now, paint),
            Self::Experiment(info) => render_experiment(info, now, paint),
        }
    }
}

/// Shows a Rollout.
///
/// # Errors
/// On wrong arguments or what the API server answers.
pub async fn get_rollout(
    session: &mut Session<'_>,
    names: &[String],
    options: &GetOne,
) -> Result<(), Failure> {
    let name = only_name(names)?;
    let paint = paint(session, options)?;
    let (client, namespace) = (&session.client, session.namespace.clone());
    let rollout = fetch_rollout(client, &namespace, name).await?;
    let gathered = gather_for_rollout(client, &namespace, &rollout).await?;
    let template = fetch_workload_template(client, &namespace, &rollout).await?;
    let picture = Picture::Rollout(RolloutInfo::new(&rollout, gathered.cluster(), template.as_ref()));
    if !options.watch {
        session.output.text(&picture.render(session.clock.now(), paint));
        return Ok(());
    }
    let name = name.to_owned();
    watch_picture(session, options, paint, picture, move |screenful| {
        rollout_picture(screenful, &name, template.as_ref())
    })
    .await
}

/// Shows an Experiment.
///
/// # Errors
/// On wrong arguments or what the API server answers.
pub async fn get_experiment(
    session: &mut Session<'_>,
    names: &[String],
    options: &GetOne,
) -> Result<(), Failure> {
    let name = only_name(names)?;
    let paint = paint(session, options)?;
    let experiment = fetch_experiment(&session.client, &session.namespace, name).await?;
    let gathered = gather_for_experiment(&session.client, &session.namespace).await?;
    let picture = Picture::Experiment(ExperimentInfo::new(&experiment, gathered.cluster()));
    if !options.watch {
        session.output.text(&picture.render(session.clock.now(), paint));
        return Ok(());
    }
    let name = name.to_owned();
    watch_picture(session, options, paint, picture, move |screenful| experiment_picture(screenful, &name))
        .await
}

fn paint(session: &Session<'_>, options: &GetOne) -> Result<Paint, Failure> {
    match options.color.as_deref() {
        None | Some("auto" | "always" | "never") => {
            Ok(session.output.paint(options.no_color, options.color.as_deref()))
        }
        Some(other) => Err(Failure::message(format!(
            "invalid argument {other:?} for \"--color\" flag: must be auto, always or never"
        ))),
    }
}

fn everything(screenful: &Screenful) -> Gathered {
    Gathered {
        replica_sets: values(&screenful.replica_sets),
        pods: values(&screenful.pods),
        experiments: values(&screenful.experiments),
        analysis_runs: values(&screenful.analysis_runs),
    }
}

fn rollout_picture(screenful: &Screenful, name: &str, template: Option<&Value>) -> Option<Picture> {
    let rollout = screenful.rollouts.borrow().as_ref()?.get(name).cloned()?;
    Some(Picture::Rollout(RolloutInfo::new(&rollout, everything(screenful).cluster(), template)))
}

fn experiment_picture(screenful: &Screenful, name: &str) -> Option<Picture> {
    let experiment = screenful.experiments.borrow().as_ref()?.get(name).cloned()?;
    Some(Picture::Experiment(ExperimentInfo::new(&experiment, everything(screenful).cluster())))
}

/// Redraws when the picture changes and, on a terminal, as ages advance; until stopped or out of time (O-039,
/// O-040). Either is a good end. When the object is gone the last screen stays.
async fn watch_picture(
    session: &mut Session<'_>,
    options: &GetOne,
    paint: Paint,
    first: Picture,
    picture_of: impl Fn(&Screenful) -> Option<Picture>,
) -> Result<(), Failure> {
    let mut screenful = Screenful::new(&session.client, &session.namespace);
    let seconds = u64::try_from(options.timeout_seconds).ok().filter(|seconds| *seconds > 0);
    let end = seconds.and_then(|seconds| Instant::now().checked_add(Duration::from_secs(seconds)));
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks.tick().await;
    session.output.screen(&first.render(session.clock.now(), paint));
    let mut drawn = first;
    let mut drawn_at = Instant::now();
    let mut is_gone = false;
    loop {
        let out_of_time = async {
            match end {
                Some(end) => sleep_until(end).await,
                None => std::future::pending().await,
            }
        };
        let ticked = tokio::select! {
            () = session.stopped() => return Ok(()),
            () = out_of_time => return Ok(()),
            _ = ticks.tick() => true,
            () = screenful.changed() => false,
        };
        if !is_listed(&screenful) {
            continue;
        }
        let Some(picture) = picture_of(&screenful) else {
            if !std::mem::replace(&mut is_gone, true) {
                session.output.note("the object was deleted; this is how it was last seen");
            }
            continue;
        };
        is_gone = false;
        if picture == drawn && !(ticked && session.output.redraws_for_ages()) {
            continue;
        }
        // Changes come in bursts; what is drawn is the state after the pause.
        sleep_until(drawn_at + LEAST_GAP).await;
        drawn = picture_of(&screenful).unwrap_or(picture);
        session.output.screen(&drawn.render(session.clock.now(), paint));
        drawn_at = Instant::now();
    }
}

/// True once every kind was listed: a half-filled screen would show what is not so.
fn is_listed(screenful: &Screenful) -> bool {
    screenful.rollouts.borrow().is_some()
        && screenful.replica_sets.borrow().is_some()
        && screenful.pods.borrow().is_some()
        && screenful.experiments.borrow().is_some()
        && screenful.analysis_runs.borrow().is_some()
}
