//! What became of objects over time, as text without what differs from run to run.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use glidepath_workloads::object::{Object, text};
use glidepath_workloads::resource::Resource;
use serde_json::Value;

use crate::{owner_of, title};

/// Stories by the name of their case.
pub type Stories = BTreeMap<String, Story>;

/// What an object showed from some moment on.
#[derive(Clone, Debug, PartialEq)]
pub struct Sight {
    /// Seconds since the beginning.
    pub seconds: f64,
    /// Rendered.
    pub text: String,
}

/// What became of the objects of one case.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Story {
    /// Why ours is another one, if it is.
    pub differs: Option<String>,
    /// By title.
    pub objects: BTreeMap<String, Vec<Sight>>,
    aliases: BTreeMap<String, String>,
    uids: BTreeMap<String, String>,
}

impl Story {
    /// Gives an object with a generated name an alias: its owner's and the number of its birth.
    pub fn meet(&mut self, kind: &Resource, object: &Object) {
        self.uids.insert(object.uid().to_owned(), object.name().to_owned());
        let generated = object.at("/metadata/generateName").is_some()
            || (kind.kind == "ReplicaSet" && owner_of(object).is_some());
        if !generated || self.aliases.contains_key(object.name()) {
            return;
        }
        let owner = owner_of(object).unwrap_or_else(|| kind.plural.clone().into_owned());
        let owner = self.aliases.get(&owner).cloned().unwrap_or(owner);
        let mark = match kind.kind.as_ref() {
            "Pod" => '#',
            "ReplicaSet" => '@',
            _ => '~',
        };
        let prefix = format!("{owner}{mark}");
        let is_sibling = |alias: &&String| {
            alias.strip_prefix(&prefix).is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit()))
        };
        let number = 1 + self.aliases.values().filter(is_sibling).count();
        self.aliases.insert(object.name().to_owned(), format!("{prefix}{number}"));
    }

    /// The real name of an alias.
    pub fn name_of(&self, alias: &str) -> Option<String> {
        self.aliases.iter().find(|(_, known)| *known == alias).map(|(name, _)| name.clone())
    }

    /// Notes what an object shows.
    pub fn see(&mut self, kind: &Resource, object: &Object, gone: bool, seconds: f64) {
        let alias = self.aliases.get(object.name()).cloned().unwrap_or_else(|| object.name().to_owned());
        let text = if gone { "gone\n".to_owned() } else { self.render(kind, object) };
        let sights = self.objects.entry(title(kind, &alias)).or_default();
        if sights.last().is_none_or(|last| last.text != text) {
            sights.push(Sight { seconds, text });
        }
    }

    /// Drops what did not last.
    pub fn close(&mut self, lasting: f64) {
        for sights in self.objects.values_mut() {
            let ends: Vec<f64> =
                sights.iter().skip(1).map(|sight| sight.seconds).chain([f64::INFINITY]).collect();
            let mut kept: Vec<Sight> = Vec::new();
            for (sight, end) in sights.iter().zip(ends) {
                let lasted = sight.text == "gone\n" || end - sight.seconds >= lasting;
                if lasted && kept.last().is_none_or(|last| last.text != sight.text) {
                    kept.push(sight.clone());
                }
            }
            *sights = kept;
        }
        self.objects.retain(|_, sights| !sights.is_empty());
    }

    /// Keeps what was remarked about an older recording.
    pub fn keep_remarks(&mut self, old: Option<&Self>) {
        self.differs = old.and_then(|old| old.differs.clone());
    }

    fn render(&self, kind: &Resource, object: &Object) -> String {
        let mut out = String::new();
        if object.is_deleting() {
            writeln!(out, "  deleting").unwrap();
        }
        for owner in object.owners() {
            let alias = self.aliases.get(owner.name).map_or(owner.name, String::as_str);
            let blocks = if owner.block_owner_deletion { " blocks" } else { "" };
            let controls = if owner.controller { " controls" } else { "" };
            writeln!(out, "  owner {} {alias}{controls}{blocks}", owner.kind).unwrap();
        }
        let finalizers: Vec<&str> = object.finalizers().collect();
        if !finalizers.is_empty() {
            writeln!(out, "  finalizers {}", finalizers.join(" ")).unwrap();
        }
        for (name, value) in object.annotations().into_iter().flatten() {
            if name.starts_with("deployment.kubernetes.io/") {
                writeln!(out, "  {name} {}", value.as_str().unwrap_or_default()).unwrap();
            }
        }
        match kind.kind.as_ref() {
            "Pod" => {
                let phase = object.text("/status/phase").unwrap_or("no phase");
                let ready = if object.condition_is_true("Ready") { " ready" } else { "" };
                writeln!(out, "  {phase}{ready}").unwrap();
                for condition in object.list("/status/conditions") {
                    if matches!(text(condition, "type"), "DisruptionTarget")
                        || (text(condition, "type") == "PodScheduled" && text(condition, "status") != "True")
                    {
                        writeln!(out, "  {}", self.render_condition(condition)).unwrap();
                    }
                }
            }
            "Node" => {
                for condition in object.list("/status/conditions") {
                    writeln!(out, "  {}", self.render_condition(condition)).unwrap();
                }
                let mut taints: Vec<String> = object
                    .list("/spec/taints")
                    .iter()
                    .map(|taint| {
                        let timed = if taint.get("timeAdded").is_some() { " timed" } else { "" };
                        format!("  taint {}:{}{timed}\n", text(taint, "key"), text(taint, "effect"))
                    })
                    .collect();
                // Two passes add them, in either order.
                taints.sort();
                taints.iter().for_each(|taint| out += taint);
            }
            "EndpointSlice" => {
                for field in ["/addressType", "/ports", "/endpoints"] {
                    self.flatten(
                        &mut out,
                        field.trim_start_matches('/'),
                        object.at(field).unwrap_or(&Value::Null),
                    );
                }
            }
            "ReplicaSet" | "Deployment" => {
                self.flatten(&mut out, "spec.replicas", object.at("/spec/replicas").unwrap_or(&Value::Null));
                let mut status = object.at("/status").cloned().unwrap_or_default();
                if kind.kind == "ReplicaSet" {
                    // A Deployment may size a set in one step or in two.
                    status["observedGeneration"] = Value::Null;
                }
                self.flatten(&mut out, "status", &status);
            }
            "ConfigMap" | "ServiceAccount" => {
                let keys: Vec<&String> = object
                    .at("/data")
                    .and_then(Value::as_object)
                    .into_iter()
                    .flatten()
                    .map(|(key, _)| key)
                    .collect();
                writeln!(out, "  data {keys:?}").unwrap();
            }
            _ => self.flatten(&mut out, "status", object.at("/status").unwrap_or(&Value::Null)),
        }
        out
    }

    fn render_condition(&self, condition: &Value) -> String {
        let mut line = format!("{} {}", text(condition, "type"), text(condition, "status"));
        for field in ["reason", "message"] {
            if let Some(value) = condition.get(field).and_then(Value::as_str) {
                line += if field == "reason" { " " } else { " “" };
                line += &self.plain(value);
                line += if field == "reason" { "" } else { "”" };
            }
        }
        line
    }

    /// Text without generated names, addresses and times.
    fn plain(&self, value: &str) -> String {
        let mut value = value.to_owned();
        // Longer names first: a ReplicaSet's is the beginning of its pods'.
        let mut names: Vec<(&String, &String)> = self.aliases.iter().collect();
        names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        for (name, alias) in names {
            value = value.replace(name.as_str(), alias);
        }
        for uid in self.uids.keys() {
            value = value.replace(uid.as_str(), "UID");
        }
        let is_time = value.len() == 20 && value.ends_with('Z') && value.as_bytes()[10] == b'T';
        if is_time { "TIME".to_owned() } else { value }
    }

    fn flatten(&self, out: &mut String, path: &str, value: &Value) {
        match value {
            Value::Null => {}
            Value::Object(map) if map.contains_key("type") && map.contains_key("status") => {
                writeln!(out, "  {path} {}", self.render_condition(value)).unwrap();
            }
            Value::Object(map) if map.is_empty() => writeln!(out, "  {path} {{}}").unwrap(),
            Value::Object(map) => {
                for (key, value) in map {
                    if is_shown(path, key) {
                        self.flatten(out, &format!("{path}.{key}"), value);
                    }
                }
            }
            Value::Array(items) => {
                let is_condition = path.ends_with("conditions");
                let mut items: Vec<&Value> = items.iter().collect();
                if path == "endpoints" {
                    // Real ones come in the order of a hash.
                    items.sort_by_key(|item| {
                        self.plain(
                            item.pointer("/targetRef/name").and_then(Value::as_str).unwrap_or_default(),
                        )
                    });
                }
                for (index, item) in items.into_iter().enumerate() {
                    let path = if is_condition { path.to_owned() } else { format!("{path}.{index}") };
                    self.flatten(out, &path, item);
                }
            }
            Value::String(value) if path.contains("addresses.") => {
                let kind = if value.contains(':') { "IPv6" } else { "ADDRESS" };
                writeln!(out, "  {path} {kind}").unwrap();
            }
            Value::String(value) => writeln!(out, "  {path} {}", self.plain(value)).unwrap(),
            value => writeln!(out, "  {path} {value}").unwrap(),
        }
    }
}

/// Fields that depend on the run, or on how many steps a controller took.
fn is_shown(path: &str, field: &str) -> bool {
    !matches!(field, "resourceVersion" | "uid" | "zone" | "nodeName")
        && (field != "observedGeneration" || path == "status")
}

/// Writes stories down.
pub fn render_stories(stories: &Stories) -> String {
    let mut out = "# What the real controllers and scheduler (1.36.2) wrote; see main.rs. `@` opens a state with its second.\n".to_owned();
    for (name, story) in stories {
        writeln!(out, "\n== {name}").unwrap();
        if let Some(differs) = &story.differs {
            writeln!(out, "~ {differs}").unwrap();
        }
        for (title, sights) in &story.objects {
            writeln!(out, "-- {title}").unwrap();
            for sight in sights {
                write!(out, "@{:.1}\n{}", sight.seconds, sight.text).unwrap();
            }
        }
    }
    out
}

/// Reads stories back.
pub fn parse_stories(text: &str) -> Stories {
    let mut stories = Stories::new();
    let (mut name, mut object) = (String::new(), String::new());
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(next) = line.strip_prefix("== ") {
            next.clone_into(&mut name);
            stories.entry(name.clone()).or_default();
            continue;
        }
        let Some(story) = stories.get_mut(&name) else { continue };
        if let Some(reason) = line.strip_prefix("~ ") {
            story.differs = Some(reason.to_owned());
        } else if let Some(next) = line.strip_prefix("-- ") {
            next.clone_into(&mut object);
            story.objects.entry(object.clone()).or_default();
        } else if let Some(sights) = story.objects.get_mut(&object) {
            if let Some(seconds) = line.strip_prefix('@') {
                sights.push(Sight { seconds: seconds.parse().unwrap(), text: String::new() });
            } else if let Some(sight) = sights.last_mut() {
                writeln!(sight.text, "{line}").unwrap();
            }
        }
    }
    stories
}

/// How far apart the clocks of both may be.
fn is_about(real: f64, ours: f64) -> bool {
    (real - ours).abs() <= 2.5 + real * 0.2
}

/// Where our story is not the real one, if it is not.
pub fn difference(real: &Story, ours: &Story) -> Option<String> {
    if real.differs.is_some() {
        return None;
    }
    let titles = |story: &Story| story.objects.keys().cloned().collect::<Vec<_>>();
    if titles(real) != titles(ours) {
        return Some(format!("objects {:?} instead of {:?}", titles(ours), titles(real)));
    }
    for (title, expected) in &real.objects {
        let found = &ours.objects[title];
        for index in 0..expected.len().max(found.len()) {
            match (expected.get(index), found.get(index)) {
                (Some(expected), Some(found)) if expected.text == found.text => {
                    if !is_about(expected.seconds, found.seconds) {
                        return Some(format!(
                            "{title}: at {:.1} s instead of {:.1} s\n{}",
                            found.seconds, expected.seconds, found.text
                        ));
                    }
                }
                (expected, found) => {
                    let show = |sight: Option<&Sight>| {
                        sight.map_or("nothing\n".to_owned(), |sight| {
                            format!("at {:.1} s\n{}", sight.seconds, sight.text)
                        })
                    };
                    return Some(format!("{title}: the real one {}ours {}", show(expected), show(found)));
                }
            }
        }
    }
    None
}
