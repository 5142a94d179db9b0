//! What the pods of each node request, kept up to date change by change.

use std::collections::HashMap;

use serde_json::Value;

use super::pod_set::is_finished;
use crate::cache::Change;
use crate::object::{Key, Object};

/// CPU in thousandths of a core and memory in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Amounts {
    /// Thousandths of a core.
    pub cpu_milli: f64,
    /// Bytes.
    pub memory: f64,
    /// Pods.
    pub pods: f64,
}

/// A Kubernetes quantity as a number; `None` if it is not one.
#[must_use]
pub fn parse_quantity(text: &str) -> Option<f64> {
    let split = text.find(|c: char| c.is_ascii_alphabetic() && c != 'e' && c != 'E').unwrap_or(text.len());
    let (number, suffix) = text.split_at(split);
    let (number, suffix) = match number.strip_suffix('E') {
        Some(stripped) if suffix.is_empty() || suffix == "i" => {
            (stripped, if suffix.is_empty() { "E" } else { "Ei" })
        }
        _ => (number, suffix),
    };
    let factor = match suffix {
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "" => 1.0,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1024.0 * 1024.0,
        "Gi" => 1024.0 * 1024.0 * 1024.0,
        "Ti" => 1024f64.powi(4),
        "Pi" => 1024f64.powi(5),
        "Ei" => 1024f64.powi(6),
        _ => return None,
    };
    number.parse::<f64>().ok().filter(|number| number.is_finite()).map(|number| number * factor)
}

/// A quantity field as a number; zero when absent or malformed.
#[must_use]
pub fn quantity(value: Option<&Value>) -> f64 {
    match value {
        Some(Value::Number(number)) => number.as_f64().unwrap_or(0.0),
        Some(Value::String(text)) => parse_quantity(text).unwrap_or(0.0),
        _ => 0.0,
    }
}

/// What a pod's containers request.
#[must_use]
pub fn requests_of(pod: &Object) -> Amounts {
    let mut total = Amounts { pods: 1.0, ..Amounts::default() };
    for container in pod.list("/spec/containers") {
        total.cpu_milli += quantity(container.pointer("/resources/requests/cpu")) * 1000.0;
        total.memory += quantity(container.pointer("/resources/requests/memory"));
    }
    total
}

/// What is taken of every node.
#[derive(Debug, Default)]
pub struct Usage {
    by_pod: HashMap<Key, (String, Amounts)>,
    by_node: HashMap<String, Amounts>,
}

impl Usage {
    /// What is taken of `node`.
    #[must_use]
    pub fn of(&self, node: &str) -> Amounts {
        self.by_node.get(node).copied().unwrap_or_default()
    }

    /// Notes a change of a pod; returns whether a node got room.
    pub fn note(&mut self, change: &Change) -> bool {
        let Some(key) = change.latest().map(Object::key) else { return false };
        let node =
            |pod: &Object| pod.text("/spec/nodeName").filter(|node| !node.is_empty()).map(str::to_owned);
        let taken = change
            .new
            .as_ref()
            .filter(|pod| !is_finished(pod))
            .and_then(|pod| Some((node(pod)?, requests_of(pod))));
        if self.by_pod.get(&key) == taken.as_ref() {
            return false;
        }
        let freed = self.by_pod.remove(&key);
        if let Some((node, amounts)) = &freed {
            self.add(node, amounts, -1.0);
        }
        if let Some((node, amounts)) = taken {
            self.add(&node, &amounts, 1.0);
            self.by_pod.insert(key, (node, amounts));
        }
        freed.is_some()
    }

    fn add(&mut self, node: &str, amounts: &Amounts, sign: f64) {
        let sum = self.by_node.entry(node.to_owned()).or_default();
        sum.cpu_milli += sign * amounts.cpu_milli;
        sum.memory += sign * amounts.memory;
        sum.pods += sign * amounts.pods;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn quantities_read_as_kubernetes_reads_them() {
        let table = [
            ("1", 1.0),
            ("250m", 0.25),
            ("1Gi", 1_073_741_824.0),
            ("1e3", 1000.0),
            ("2E", 2e18),
            ("1Ei", 1_152_921_504_606_846_976.0),
            ("5k", 5000.0),
        ];
        for (text, value) in table {
            assert_eq!(parse_quantity(text), Some(value), "{text}");
        }
        for text in ["", "x", "1Q", "1.2.3"] {
            assert_eq!(parse_quantity(text), None, "{text}");
        }
    }

    #[test]
    fn a_node_is_taken_by_its_unfinished_pods() {
        let pod = |node: &str, phase: &str| -> Option<Object> {
            let containers = json!([{"resources": {"requests": {"cpu": "250m"}}}]);
            Some(json!({"metadata": {"name": "p"}, "spec": {"nodeName": node, "containers": containers}, "status": {"phase": phase}}).into())
        };
        let mut usage = Usage::default();
        assert!(!usage.note(&Change { old: None, new: pod("", "Pending") }));
        assert!(!usage.note(&Change { old: None, new: pod("a", "Pending") }));
        assert!(!usage.note(&Change { old: None, new: pod("a", "Running") }));
        assert_eq!((usage.of("a").cpu_milli, usage.of("a").pods), (250.0, 1.0));
        assert!(usage.note(&Change { old: None, new: pod("a", "Succeeded") }));
        assert_eq!(usage.of("a").pods, 0.0);
        assert!(!usage.note(&Change { old: pod("a", "Succeeded"), new: None }));
    }
}
