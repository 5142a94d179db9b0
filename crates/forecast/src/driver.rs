//! One course of events: the real controllers on the scratch plane, from the change until nothing moves any more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use glidepath_api::names;
use glidepath_core::plan::BlockerOwner;
use glidepath_core::snapshot::Settings;
use glidepath_kube::lease::LeaseOptions;
use glidepath_kube::queue::Controller;
use glidepath_kube::resource::Kind;
use glidepath_kube::{DecisionRecord, Decisions, Observer, Options, SnapshotRef};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, timeout_at};

use crate::forecast::ForecastError;
use crate::frame::Frame;
use crate::live::{Change, Live};
use crate::metrics::{Counter, Failing, decide_scripted};
use crate::scratch::Scratch;
use crate::timeline::label;

/// The controllers take over what is there before anything is changed.
const TAKE_OVER: Duration = Duration::from_secs(5);
/// How long nothing must move before a course is over.
const CALM: Duration = Duration::from_secs(60);
/// A course is given up this long after every pause in it has passed.
const PATIENCE: SignedDuration = SignedDuration::from_hours(24);
/// The annotation by which the model kubelet keeps a pod from becoming ready.
const NEVER_READY: &str = "sandbox.glidepath.dev/never-ready";

/// What is to go wrong.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) failing: Failing,
    pub(crate) never_ready: bool,
}

/// What happened.
#[derive(Debug)]
pub(crate) struct Course {
    /// When the change was made.
    pub(crate) start: Timestamp,
    /// How things stood when it was made.
    pub(crate) before: Option<Frame>,
    /// Every decision after it.
    pub(crate) frames: Vec<Frame>,
    /// Questions to metric providers by metric.
    pub(crate) questions: BTreeMap<String, u64>,
    /// AnalysisRuns that were started.
    pub(crate) runs: BTreeSet<String>,
    /// The first time a person had to act: when, at which stage, and what for.
    pub(crate) person: Option<(Timestamp, String, String)>,
    /// It came to rest; otherwise it was given up.
    pub(crate) rested: bool,
    /// Objects of the change that do not bear on a forecast.
    pub(crate) left_out: Vec<String>,
}

/// Plays one course to its end. Must not be called within a runtime: it brings its own, with a clock of its own.
pub(crate) fn play(live: &Live, change: &Change, script: &Script) -> Result<Course, ForecastError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.map_err(|error| ForecastError::Broken(error.to_string()))?.block_on(run(live, change, script))
}

async fn run(live: &Live, change: &Change, script: &Script) -> Result<Course, ForecastError> {
    let scratch = Scratch::of(live).await?;
    let (sender, mut frames) = unbounded_channel();
    let counter = Counter::default();
    let controller = tokio::spawn(glidepath_kube::run(
        scratch.sandbox.client("glidepath", &live.namespace),
        scratch.clock,
        options(live, change, script, sender),
        Arc::new(counter.clone()),
        std::future::pending(),
    ));
    tokio::time::sleep(TAKE_OVER).await;
    let mut before = None;
    while let Ok(frame) = frames.try_recv() {
        before = Some(frame);
    }
    let start = scratch.clock.now();
    let Made { left_out, version } = make(&scratch, live, change, script).await?;
    let mut course = Course {
        start,
        before,
        frames: Vec::new(),
        questions: BTreeMap::new(),
        runs: BTreeSet::new(),
        person: None,
        rested: false,
        left_out,
    };
    follow(&scratch, &mut frames, &mut course, &live.name, horizon(live, change), version).await?;
    controller.abort();
    course.questions = counter.counts();
    Ok(course)
}

fn options(live: &Live, change: &Change, script: &Script, sender: UnboundedSender<Frame>) -> Options {
    let mut lease = LeaseOptions::new(&live.namespace, "", "forecast");
    lease.elect = false;
    let rollouts = live.rollout.iter().chain(&change.apply);
    let instance = rollouts
        .filter_map(|object| object["metadata"]["labels"][names::INSTANCE_ID].as_str())
        .next()
        .unwrap_or_default();
    let failing = script.failing.clone();
    let name = live.name.clone();
    // Decisions come one after the other; the lock is never waited for.
    let sender = Mutex::new(sender);
    let observe = move |record: &DecisionRecord<'_>| {
        if let (Controller::Rollouts, SnapshotRef::Rollout(snapshot)) = (record.controller, record.snapshot)
            && *record.key.name == *name
            && let Ok(sender) = sender.lock()
        {
            // Nobody listens any more once the course is over.
            let _ = sender.send(Frame::of(snapshot, record.plan));
        }
    };
    Options {
        namespace: String::new(),
        settings: Settings { instance_id: instance.to_owned(), ..Settings::default() },
        lease,
        qps: 0.0,
        burst: 0,
        metrics_address: None,
        health_address: None,
        istio_version: String::new(),
        decisions: Decisions {
            analysis: Arc::new(move |snapshot| decide_scripted(snapshot, &failing)),
            ..Decisions::default()
        },
        only: None,
        on_decision: Some(Arc::new(observe) as Arc<Observer>),
    }
}

/// What came of making the change.
struct Made {
    /// What of it does not bear on a forecast.
    left_out: Vec<String>,
    /// Version of the Rollout with the change in it; 0 when it was not written itself.
    version: u64,
}

/// Makes the change.
async fn make(
    scratch: &Scratch,
    live: &Live,
    change: &Change,
    script: &Script,
) -> Result<Made, ForecastError> {
    let mut left_out = Vec::new();
    let mut written = Value::Null;
    // What a Rollout refers to comes first, wherever it stands in the file.
    let (rollouts, others): (Vec<&Value>, Vec<&Value>) =
        change.apply.iter().partition(|object| object["kind"] == "Rollout");
    for object in others.into_iter().chain(rollouts) {
        let mut object = object.clone();
        if script.never_ready && object.pointer("/spec/template").is_some_and(Value::is_object) {
            object["spec"]["template"]["metadata"]["annotations"][NEVER_READY] = "true".into();
        }
        match scratch.apply(&object).await {
            Err(ForecastError::UnknownKind(kind)) => {
                left_out.push(format!("{kind} {}", object["metadata"]["name"].as_str().unwrap_or_default()));
            }
            other => written = other?,
        }
    }
    if let Some(patch) = &change.status_patch {
        written = scratch.patch(Kind::Rollout, &live.name, Some("status"), patch).await?;
    }
    if let Some(patch) = &change.patch {
        written = scratch.patch(Kind::Rollout, &live.name, None, patch).await?;
    }
    let version = written["metadata"]["resourceVersion"].as_str().filter(|_| written["kind"] == "Rollout");
    Ok(Made { left_out, version: version.and_then(|text| text.parse().ok()).unwrap_or(0) })
}

/// When a course is given up, from its beginning on.
fn horizon(live: &Live, change: &Change) -> Duration {
    let rollout = change.apply.iter().chain(&live.rollout).find(|object| object["kind"] == "Rollout");
    let rollout: glidepath_api::Rollout =
        rollout.and_then(|object| serde_json::from_value(object.clone()).ok()).unwrap_or_default();
    let pauses = rollout.canary().map_or(&[][..], |canary| &canary.steps).iter();
    let paused: i64 =
        pauses.filter_map(|step| step.pause.as_ref()).map(|pause| i64::from(pause.duration_seconds())).sum();
    let waits = rollout.blue_green().map_or(0, |strategy| i64::from(strategy.auto_promotion_seconds));
    let whole = PATIENCE + SignedDuration::from_secs(paused.max(0) + waits.max(0));
    whole.try_into().unwrap_or(Duration::from_secs(86_400))
}

async fn follow(
    scratch: &Scratch,
    frames: &mut UnboundedReceiver<Frame>,
    course: &mut Course,
    name: &str,
    horizon: Duration,
    version: u64,
) -> Result<(), ForecastError> {
    let end = Instant::now() + horizon;
    let mut rest_at = None;
    let mut promoted: Option<glidepath_api::Time> = None;
    loop {
        let frame = match timeout_at(rest_at.unwrap_or(end).min(end), frames.recv()).await {
            Ok(Some(frame)) => frame,
            Ok(None) => return Ok(()),
            Err(_) => {
                course.rested = rest_at.is_some();
                return Ok(());
            }
        };
        if frame.version() < version {
            // Decided before the change was seen.
            continue;
        }
        course.runs.extend(frame.starts.iter().cloned());
        if let Some(waiting_for) = person_needed(&frame) {
            course.person.get_or_insert((frame.at, label(&frame), waiting_for));
            // Nobody is kept waiting: what comes afterwards is counted from when they act.
            let pause = frame.rollout.status.pause_conditions.first().map(|pause| pause.start_time);
            if promoted.is_none() || promoted != pause {
                promoted = pause;
                promote(scratch, name, frame.rollout.spec.paused).await?;
            }
        }
        rest_at = is_at_rest(&frame).then(|| rest_at.unwrap_or(Instant::now() + CALM));
        course.frames.push(frame);
    }
}

/// What a person has to promote, if the decision waits for that and nothing else.
fn person_needed(frame: &Frame) -> Option<String> {
    let blocker = frame.blocker.as_ref()?;
    let pauses = matches!(blocker.name.as_str(), "pause" | "paused-by-user" | "halted");
    (frame.idle && pauses && blocker.owner == BlockerOwner::Person).then(|| blocker.waiting_for.clone())
}

async fn promote(scratch: &Scratch, name: &str, paused: bool) -> Result<(), ForecastError> {
    let resume = json!({"status": {"pauseConditions": null}});
    scratch.patch(Kind::Rollout, name, Some("status"), &resume).await?;
    if paused {
        scratch.patch(Kind::Rollout, name, None, &json!({"spec": {"paused": false}})).await?;
    }
    Ok(())
}

/// Nothing more will happen by itself.
fn is_at_rest(frame: &Frame) -> bool {
    if !frame.idle || !frame.is_observed() && frame.blocker.is_none() {
        return false;
    }
    match &frame.blocker {
        None => frame.old_pods() == 0 || !frame.is_promoted(),
        Some(blocker) => {
            let waits_for_person = person_needed(frame).is_some();
            blocker.deadline.is_none()
                && !waits_for_person
                && (blocker.owner == BlockerOwner::Person || is_degraded(frame))
        }
    }
}

pub(crate) fn is_degraded(frame: &Frame) -> bool {
    frame.rollout.status.phase == Some(glidepath_api::RolloutPhase::Degraded)
}
