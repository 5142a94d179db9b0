//! The screens of `get rollout` and `get experiment` (O-019 to O-035).

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::info::{ExperimentInfo, ReplicaSetInfo, RolloutInfo};
use crate::paint::{Paint, Word};
use crate::rows::{Row, experiment_rows, rollout_rows};
use crate::table::render_table;

/// The whole screen of a Rollout.
#[must_use]
pub fn render_rollout(info: &RolloutInfo, now: Timestamp, paint: Paint) -> String {
    let mut screen = head(
        &info.object_meta.name,
        &info.object_meta.namespace,
        (info.icon, &info.status),
        &info.message,
        paint,
    );
    screen.line("Strategy:", info.strategy);
    if info.strategy == "Canary" {
        screen.line("  Step:", &info.step);
        screen.line("  SetWeight:", &info.set_weight);
        screen.line("  ActualWeight:", &info.actual_weight);
    }
    let mut images = BTreeMap::new();
    for set in &info.replica_sets {
        merge_images(&mut images, set, &rollout_tags(set));
    }
    for set in info.experiments.iter().flat_map(|experiment| &experiment.replica_sets) {
        merge_images(&mut images, set, &experiment_tags(set));
    }
    screen.images(images, paint);
    screen.text.push_str("Replicas:\n");
    screen.line("  Desired:", &info.desired.to_string());
    screen.line("  Current:", &info.current.to_string());
    screen.line("  Updated:", &info.updated.to_string());
    screen.line("  Ready:", &info.ready.to_string());
    screen.line("  Available:", &info.available.to_string());
    screen.tree(&rollout_rows(info, now), paint)
}

/// The whole screen of an Experiment (O-035).
#[must_use]
pub fn render_experiment(info: &ExperimentInfo, now: Timestamp, paint: Paint) -> String {
    let mut screen = head(
        &info.object_meta.name,
        &info.object_meta.namespace,
        (info.icon, &info.status),
        &info.message,
        paint,
    );
    let mut images = BTreeMap::new();
    for set in &info.replica_sets {
        merge_images(&mut images, set, &experiment_tags(set));
    }
    screen.images(images, paint);
    screen.tree(&experiment_rows(info, now), paint)
}

fn head(name: &str, namespace: &str, status: (&'static str, &str), message: &str, paint: Paint) -> Screen {
    let mut screen = Screen::default();
    screen.line("Name:", name);
    screen.line("Namespace:", namespace);
    screen.line("Status:", &format!("{} {}", Word::known(status.0).render(paint), status.1));
    if !message.is_empty() {
        screen.line("Message:", message);
    }
    screen
}

/// Tags of an image; united and sorted once it comes from a second ReplicaSet (O-022).
type Images = BTreeMap<String, Vec<String>>;

fn merge_images(images: &mut Images, set: &ReplicaSetInfo, tags: &[String]) {
    if set.replicas <= 0 {
        return;
    }
    for image in &set.images {
        match images.get_mut(image) {
            None => {
                images.insert(image.clone(), tags.to_vec());
            }
            Some(known) => {
                known.extend_from_slice(tags);
                known.sort();
                known.dedup();
            }
        }
    }
}

fn rollout_tags(set: &ReplicaSetInfo) -> Vec<String> {
    let tags = [
        (set.canary, "canary"),
        (set.stable, "stable"),
        (set.active, "active"),
        (set.preview, "preview"),
        (set.ping, "ping"),
        (set.pong, "pong"),
    ];
    tags.iter().filter(|(is, _)| *is).map(|(_, tag)| (*tag).to_owned()).collect()
}

fn experiment_tags(set: &ReplicaSetInfo) -> Vec<String> {
    if set.template.is_empty() { Vec::new() } else { vec![format!("Σ:{}", set.template)] }
}

/// Text in the making.
#[derive(Default)]
struct Screen {
    text: String,
}

impl Screen {
    /// A label padded to 17 columns, and its value.
    fn line(&mut self, label: &str, value: &str) {
        self.text.push_str(&format!("{label:<17}{value}\n"));
    }

    fn images(&mut self, images: Images, paint: Paint) {
        for (index, (image, tags)) in images.into_iter().enumerate() {
            let tags: Vec<String> = tags.into_iter().map(|tag| Word::known(tag).render(paint)).collect();
            let value = if tags.is_empty() { image } else { format!("{image} ({})", tags.join(", ")) };
            self.line(if index == 0 { "Images:" } else { "" }, &value);
        }
    }

    fn tree(mut self, rows: &[Row], paint: Paint) -> String {
        let header = ["NAME", "KIND", "STATUS", "AGE", "INFO"].map(str::to_owned).to_vec();
        let cells: Vec<Vec<String>> =
            std::iter::once(header).chain(rows.iter().map(|row| row.cells(paint))).collect();
        self.text.push('\n');
        self.text.push_str(&render_table(&cells));
        self.text
    }
}
