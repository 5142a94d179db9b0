//! The tree as rows: name, kind, state, age and remarks, top to bottom (O-023 to O-034).

use glidepath_api::{ObjectMeta, Time};
use glidepath_gocompat::time::{human_duration, parse_rfc3339};
use jiff::Timestamp;

use crate::glyphs;
use crate::info::{AnalysisRunInfo, ExperimentInfo, JobInfo, ReplicaSetInfo, RolloutInfo};
use crate::paint::{Paint, Word};

/// One row of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Branches of the tree before the glyph.
    pub branch: String,
    /// Glyph of the kind.
    pub glyph: &'static str,
    /// Name, in its colour.
    pub name: Word,
    /// Kind; empty for revisions.
    pub kind: &'static str,
    /// Icon and state; `None` for revisions.
    pub status: Option<(&'static str, String)>,
    /// Age; empty for revisions.
    pub age: String,
    /// Remarks; each is a run of words.
    pub remarks: Vec<Vec<Word>>,
}

impl Row {
    /// The five cells as they are written.
    #[must_use]
    pub fn cells(&self, paint: Paint) -> Vec<String> {
        let status = match &self.status {
            Some((icon, status)) => format!("{} {status}", Word::known(*icon).render(paint)),
            None => " ".to_owned(),
        };
        let remark = |words: &Vec<Word>| words.iter().map(|word| word.render(paint)).collect::<String>();
        vec![
            format!("{}{} {}", self.branch, self.glyph, self.name.render(paint)),
            self.kind.to_owned(),
            status,
            self.age.clone(),
            self.remarks.iter().map(remark).collect::<Vec<_>>().join(","),
        ]
    }
}

/// A node with what hangs below it; rows come from walking it once.
struct Node {
    row: Row,
    children: Vec<Node>,
}

impl Node {
    fn new(glyph: &'static str, name: Word, kind: &'static str, children: Vec<Self>) -> Self {
        let row = Row {
            branch: String::new(),
            glyph,
            name,
            kind,
            status: None,
            age: String::new(),
            remarks: Vec::new(),
        };
        Self { row, children }
    }

    fn with(mut self, icon: &'static str, status: &str, age: String, remarks: Vec<Vec<Word>>) -> Self {
        self.row.status = Some((icon, status.to_owned()));
        self.row.age = age;
        self.row.remarks = remarks;
        self
    }

    /// Appends the node and its descendants. `branch` stands before the node itself, `below` before its children.
    fn walk(mut self, branch: String, below: &str, rows: &mut Vec<Row>) {
        self.row.branch = branch;
        rows.push(self.row);
        let count = self.children.len();
        for (index, child) in self.children.into_iter().enumerate() {
            let (fork, rail) = if index + 1 < count { ("├──", "│  ") } else { ("└──", "   ") };
            child.walk(format!("{below}{fork}"), &format!("{below}{rail}"), rows);
        }
    }

    fn rows(self) -> Vec<Row> {
        let mut rows = Vec::new();
        self.walk(String::new(), "", &mut rows);
        rows
    }
}

/// Rows of a Rollout's tree.
#[must_use]
pub fn rollout_rows(info: &RolloutInfo, now: Timestamp) -> Vec<Row> {
    let mut revisions: Vec<i64> = (info.replica_sets.iter().map(|set| set.revision))
        .chain(info.experiments.iter().map(|experiment| experiment.revision))
        .chain(info.analysis_runs.iter().map(|run| run.revision))
        .collect();
    revisions.sort_unstable();
    revisions.dedup();
    let children = revisions.iter().rev().map(|revision| revision_node(info, *revision, now)).collect();
    Node::new(glyphs::ROLLOUT, Word::plain(&info.object_meta.name), "Rollout", children)
        .with(info.icon, &info.status, age(&info.object_meta, now), Vec::new())
        .rows()
}

/// Rows of an Experiment's tree.
#[must_use]
pub fn experiment_rows(info: &ExperimentInfo, now: Timestamp) -> Vec<Row> {
    experiment_node(info, now).rows()
}

fn revision_node(info: &RolloutInfo, revision: i64, now: Timestamp) -> Node {
    let sets = info.replica_sets.iter().filter(|set| set.revision == revision);
    let experiments = info.experiments.iter().filter(|experiment| experiment.revision == revision);
    let runs = info.analysis_runs.iter().filter(|run| run.revision == revision);
    let children = (sets.map(|set| replica_set_node(set, now)))
        .chain(experiments.map(|experiment| experiment_node(experiment, now)))
        .chain(runs.map(|run| analysis_run_node(run, now)))
        .collect();
    Node::new(glyphs::REVISION, Word::plain(format!("revision:{revision}")), "", children)
}

fn experiment_node(info: &ExperimentInfo, now: Timestamp) -> Node {
    let children = (info.replica_sets.iter().map(|set| replica_set_node(set, now)))
        .chain(info.analysis_runs.iter().map(|run| analysis_run_node(run, now)))
        .collect();
    let name = Word::toned(&info.object_meta.name, &info.status);
    let age = age(&info.object_meta, now);
    Node::new(glyphs::EXPERIMENT, name, "Experiment", children).with(info.icon, &info.status, age, Vec::new())
}

fn replica_set_node(info: &ReplicaSetInfo, now: Timestamp) -> Node {
    let tags = tags(info);
    let mut remarks: Vec<Vec<Word>> = tags.iter().map(|tag| vec![Word::known(*tag)]).collect();
    if !info.scale_down_deadline.is_empty() {
        let delay = scale_down_delay(&info.scale_down_deadline, now);
        remarks.push(vec![Word::plain(format!("delay:{delay}"))]);
    }
    let children = info
        .pods
        .iter()
        .map(|pod| {
            let mut remarks = vec![vec![Word::plain(format!("ready:{}", pod.ready))]];
            if pod.restarts > 0 {
                remarks.push(vec![Word::plain(format!("restarts:{}", pod.restarts))]);
            }
            Node::new(glyphs::POD, Word::plain(&pod.object_meta.name), "Pod", Vec::new()).with(
                pod.icon,
                &pod.status,
                age(&pod.object_meta, now),
                remarks,
            )
        })
        .collect();
    // The name takes the colour of the last tag; without tags it is not coloured at all.
    let name = match tags.last() {
        Some(tag) => Word::toned(&info.object_meta.name, tag),
        None => Word::plain(&info.object_meta.name),
    };
    let age = age(&info.object_meta, now);
    Node::new(glyphs::REPLICA_SET, name, "ReplicaSet", children).with(info.icon, info.status, age, remarks)
}

/// The parts a ReplicaSet plays, in the order they are shown (O-029).
fn tags(info: &ReplicaSetInfo) -> Vec<&'static str> {
    let second = [(info.canary, "canary"), (info.active, "active"), (info.preview, "preview")];
    let mut tags = Vec::new();
    tags.extend(info.stable.then_some("stable"));
    tags.extend(second.iter().find(|(is, _)| *is).map(|(_, tag)| *tag));
    tags.extend(info.ping.then_some("ping"));
    tags.extend(info.pong.then_some("pong"));
    tags
}

fn analysis_run_node(info: &AnalysisRunInfo, now: Timestamp) -> Node {
    let counts = [
        (glyphs::OK, info.successful),
        (glyphs::BAD, info.failed),
        (glyphs::UNKNOWN, info.inconclusive),
        (glyphs::WARNING, info.error),
    ];
    let remarks = counts
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(icon, count)| vec![Word::known(*icon), Word::plain(format!(" {count}"))])
        .collect();
    let children = info.jobs.iter().map(|job| job_node(job, now)).collect();
    let name = Word::toned(&info.object_meta.name, &info.status);
    let age = age(&info.object_meta, now);
    Node::new(glyphs::ANALYSIS_RUN, name, "AnalysisRun", children).with(info.icon, &info.status, age, remarks)
}

fn job_node(info: &JobInfo, now: Timestamp) -> Node {
    let name = Word::toned(&info.object_meta.name, info.status);
    let age = age(&info.object_meta, now);
    Node::new(glyphs::JOB, name, "Job", Vec::new()).with(info.icon, info.status, age, Vec::new())
}

fn age(meta: &ObjectMeta, now: Timestamp) -> String {
    human_age(meta.creation_timestamp.unwrap_or_default(), now)
}

/// Time since then, as people read it (O-036).
#[must_use]
pub fn human_age(since: Time, now: Timestamp) -> String {
    human_duration(nanoseconds(now, since.timestamp()))
}

fn nanoseconds(later: Timestamp, earlier: Timestamp) -> i64 {
    let span = later.duration_since(earlier).as_nanos();
    i64::try_from(span).unwrap_or(if span < 0 { i64::MIN } else { i64::MAX })
}

fn scale_down_delay(deadline: &str, now: Timestamp) -> String {
    match parse_rfc3339(deadline) {
        None => String::new(),
        Some(deadline) if deadline < now => "passed".to_owned(),
        Some(deadline) => human_duration(nanoseconds(deadline, now)),
    }
}
