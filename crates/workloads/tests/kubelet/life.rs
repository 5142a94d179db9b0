//! One pod's life as text: what it showed, when, and whether two lives are the same.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use glidepath_workloads::object::{Object, text};
use serde_json::Value;

use crate::is_set;

/// What a pod showed from some moment on.
#[derive(Clone, Debug, PartialEq)]
pub struct Sight {
    /// Seconds since the pod had an address.
    pub seconds: f64,
    /// Its status, rendered.
    pub text: String,
}

/// Everything a pod showed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Life {
    /// Why the model shows the same at other times, if it does.
    pub differs: Option<String>,
    /// In order.
    pub sights: Vec<Sight>,
}

/// A pod's status without what differs from run to run: one line for the pod, one for each condition and container.
pub fn render_pod(pod: &Object) -> String {
    let uid = pod.uid().to_owned();
    let quote = |message: &str| {
        let message = message.replace(&format!("_{}({uid})", pod.namespace()), "_NAMESPACE(UID)");
        if message.is_empty() { String::new() } else { format!(" {message:?}") }
    };
    let mut out = pod.text("/status/phase").unwrap_or("no phase").to_owned();
    for (pointer, word) in
        [("/status/reason", ""), ("/status/podIP", "addressed"), ("/status/startTime", "taken up")]
    {
        match pod.text(pointer) {
            Some(value) if word.is_empty() => write!(out, " {value}").unwrap(),
            Some(_) => write!(out, ", {word}").unwrap(),
            None => {}
        }
    }
    if pod.text("/spec/nodeName").is_none() {
        out += ", unbound";
    }
    if pod.is_deleting() {
        write!(
            out,
            ", deleting within {} s",
            pod.integer("/metadata/deletionGracePeriodSeconds").unwrap_or(-1)
        )
        .unwrap();
    }
    if let Some(generation) = pod.integer("/status/observedGeneration") {
        write!(out, ", generation {generation} of {}", pod.generation()).unwrap();
    }
    writeln!(out, "{}", quote(pod.text("/status/message").unwrap_or_default())).unwrap();
    for condition in pod.list("/status/conditions") {
        write!(out, "  {} {}", text(condition, "type"), text(condition, "status")).unwrap();
        if is_set(condition.get("reason")) {
            write!(out, " {}", text(condition, "reason")).unwrap();
        }
        writeln!(out, "{}", quote(text(condition, "message"))).unwrap();
    }
    for list in ["/status/initContainerStatuses", "/status/containerStatuses"] {
        for status in pod.list(list) {
            let flag = |field: &str| status.get(field).and_then(Value::as_bool);
            write!(out, "  - {} {} x{}", text(status, "name"), text(status, "image"), status["restartCount"])
                .unwrap();
            for (field, yes, no) in [("ready", "ready", "unready"), ("started", "started", "unstarted")] {
                if let Some(value) = flag(field) {
                    write!(out, " {}", if value { yes } else { no }).unwrap();
                }
            }
            for (field, word) in [("imageID", "pulled"), ("containerID", "created")] {
                if is_set(status.get(field)) {
                    write!(out, " {word}").unwrap();
                }
            }
            writeln!(out).unwrap();
            for (field, word) in [("state", "is"), ("lastState", "was")] {
                let state = status.get(field).and_then(Value::as_object).into_iter().flatten();
                for (kind, detail) in state {
                    write!(out, "    {word} {kind}").unwrap();
                    if is_set(detail.get("exitCode")) {
                        write!(out, " {}", detail["exitCode"]).unwrap();
                    }
                    if is_set(detail.get("reason")) {
                        write!(out, " {}", text(detail, "reason")).unwrap();
                    }
                    for time in ["startedAt", "finishedAt"] {
                        match detail.get(time).and_then(Value::as_str) {
                            Some("1970-01-01T00:00:00Z") => write!(out, " {time} never").unwrap(),
                            None if kind == "terminated" => write!(out, " {time} null").unwrap(),
                            _ => {}
                        }
                    }
                    writeln!(out, "{}", quote(text(detail, "message"))).unwrap();
                }
            }
        }
    }
    out
}

/// Writes lives down.
pub fn render_lives(lives: &BTreeMap<String, Life>) -> String {
    let mut out = "# What a real kubelet (1.36.2, containerd 1.6) wrote; see main.rs. `@` opens a sight with its second.\n".to_owned();
    for (name, life) in lives {
        writeln!(out, "\n== {name}").unwrap();
        if let Some(differs) = &life.differs {
            writeln!(out, "~ {differs}").unwrap();
        }
        for sight in &life.sights {
            write!(out, "@{:.1} {}", sight.seconds, sight.text).unwrap();
        }
    }
    out
}

/// Reads lives back.
pub fn parse_lives(text: &str) -> BTreeMap<String, Life> {
    let mut lives: BTreeMap<String, Life> = BTreeMap::new();
    let mut name = String::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(next) = line.strip_prefix("== ") {
            next.clone_into(&mut name);
            lives.entry(name.clone()).or_default();
            continue;
        }
        let Some(life) = lives.get_mut(&name) else { continue };
        if let Some(reason) = line.strip_prefix("~ ") {
            life.differs = Some(reason.to_owned());
        } else if let Some((seconds, text)) = line.strip_prefix('@').and_then(|line| line.split_once(' ')) {
            life.sights.push(Sight { seconds: seconds.parse().unwrap(), text: format!("{text}\n") });
        } else if let Some(sight) = life.sights.last_mut() {
            writeln!(sight.text, "{line}").unwrap();
        }
    }
    lives
}

/// How far the model's clock may be from the real one's: a real kubelet looks once a second, and waits are jittered.
fn is_about(real: f64, model: f64) -> bool {
    (real - model).abs() <= 2.5 + real * 0.2
}

/// Where the model's life is not the real one's, if it is not.
pub fn difference(real: &Life, model: &[Sight], passing: f64) -> Option<String> {
    let mut rest = real.sights.iter().enumerate();
    let lasted = |at: usize| {
        real.sights.get(at + 1).map_or(f64::INFINITY, |next| next.seconds - real.sights[at].seconds)
    };
    for (index, sight) in model.iter().enumerate() {
        // What is over the moment it begins cannot be seen.
        if model.get(index + 1).is_some_and(|next| next.seconds - sight.seconds < 0.001) {
            continue;
        }
        loop {
            let Some((index, expected)) = rest.next() else {
                // At other times the model may have come further.
                if real.differs.is_some() {
                    return None;
                }
                return Some(format!(
                    "the real pod was never seen (again) as the model's at {:.1} s\n{}",
                    sight.seconds, sight.text
                ));
            };
            if expected.text == sight.text {
                if real.differs.is_none() && !is_about(expected.seconds, sight.seconds) {
                    return Some(format!(
                        "at {:.1} s instead of {:.1} s\n{}",
                        sight.seconds, expected.seconds, sight.text
                    ));
                }
                break;
            }
            if lasted(index) >= passing {
                return Some(format!(
                    "the real pod showed at {:.1} s\n{}but the model at {:.1} s\n{}",
                    expected.seconds, expected.text, sight.seconds, sight.text
                ));
            }
        }
    }
    let missed = rest.find(|(index, _)| lasted(*index) >= passing)?;
    Some(format!(
        "the model never showed what the real pod did at {:.1} s\n{}",
        missed.1.seconds, missed.1.text
    ))
}
