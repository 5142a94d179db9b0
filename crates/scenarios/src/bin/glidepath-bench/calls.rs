//! API calls by resource and verb.

use std::collections::BTreeMap;

/// How often each verb was used on each resource; leases are left out.
#[derive(Clone, Default)]
pub(crate) struct Calls(BTreeMap<(String, String), f64>);

impl Calls {
    /// Reads the controller's own counter from its metrics.
    pub(crate) fn parse(text: &str) -> Self {
        let mut calls = Self::default();
        for line in text.lines().filter(|line| line.starts_with("controller_clientset_k8s_request_total{")) {
            let label = |name: &str| {
                let start = line.find(&format!("{name}=\""))? + name.len() + 2;
                Some(line[start..].split('"').next()?.to_owned())
            };
            let (Some(kind), Some(verb)) = (label("kind"), label("verb")) else { continue };
            let count: f64 = line.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0.0);
            if kind != "leases" {
                *calls.0.entry((kind, verb.to_lowercase())).or_default() += count;
            }
        }
        calls
    }

    /// Counts a call.
    pub(crate) fn add(&mut self, resource: String, verb: String) {
        if resource != "leases" {
            *self.0.entry((resource, verb)).or_default() += 1.0;
        }
    }

    /// What was added since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let added = self
            .0
            .iter()
            .map(|(key, count)| (key.clone(), count - earlier.0.get(key).copied().unwrap_or(0.0)));
        Self(added.filter(|(_, count)| *count > 0.0).collect())
    }

    fn sum(&self, wanted: impl Fn(&str, &str) -> bool) -> f64 {
        self.0.iter().filter(|((kind, verb), _)| wanted(kind, verb)).map(|(_, count)| count).sum()
    }

    /// Creates, updates, patches and deletes.
    pub(crate) fn writes(&self) -> f64 {
        self.sum(|_, verb| matches!(verb, "create" | "update" | "patch" | "delete" | "deletecollection"))
    }

    /// Gets and lists.
    pub(crate) fn reads(&self) -> f64 {
        self.sum(|_, verb| matches!(verb, "get" | "list"))
    }

    /// Every call about a resource.
    pub(crate) fn of(&self, resource: &str) -> f64 {
        self.sum(|kind, _| kind == resource)
    }

    /// Calls divided by `count`, as `verb resource`.
    pub(crate) fn per(&self, count: f64) -> BTreeMap<String, f64> {
        self.0.iter().map(|((kind, verb), calls)| (format!("{verb} {kind}"), calls / count)).collect()
    }
}
