//! Template composition: which templates a reference reaches, and what they amount to together.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use glidepath_api::{
    AnalysisRunSpec, AnalysisTemplateRef, AnalysisTemplateSpec, Argument, DryRun, MeasurementRetention,
    Metric,
};

/// Every template that may be looked up: those of the consumer's namespace and the cluster-wide ones.
#[derive(Clone, Copy, Debug)]
pub struct Catalog<'a> {
    /// AnalysisTemplates by name.
    pub namespaced: &'a BTreeMap<String, AnalysisTemplateSpec>,
    /// ClusterAnalysisTemplates by name.
    pub cluster: &'a BTreeMap<String, AnalysisTemplateSpec>,
}

impl<'a> Catalog<'a> {
    fn get(self, id: &TemplateId) -> Option<(&'a str, &'a AnalysisTemplateSpec)> {
        let templates = if id.cluster_scope { self.cluster } else { self.namespaced };
        templates.get_key_value(&id.name).map(|(name, spec)| (name.as_str(), spec))
    }
}

/// Which template: an AnalysisTemplate and a ClusterAnalysisTemplate of one name are two.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TemplateId {
    /// Name of the template.
    pub name: String,
    /// Whether it is a ClusterAnalysisTemplate.
    pub cluster_scope: bool,
}

impl TemplateId {
    /// Kind of the template.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        if self.cluster_scope { "ClusterAnalysisTemplate" } else { "AnalysisTemplate" }
    }
}

impl From<&AnalysisTemplateRef> for TemplateId {
    fn from(reference: &AnalysisTemplateRef) -> Self {
        Self { name: reference.template_name.clone(), cluster_scope: reference.is_cluster_scope() }
    }
}

/// Why references do not lead to templates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CollectError {
    /// A template is not there.
    Missing {
        /// Which one.
        id: TemplateId,
        /// Whether another template refers to it (the field path is then `spec.templates`).
        nested: bool,
    },
    /// Templates refer to each other in a circle (B-01).
    Cycle {
        /// The way round; the first and the last are the same template.
        path: Vec<TemplateId>,
    },
}

impl fmt::Display for CollectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { id, .. } => write!(f, "{} '{}' not found", id.kind(), id.name),
            Self::Cycle { path } => {
                let (kind, name) = path.first().map_or(("", ""), |id| (id.kind(), id.name.as_str()));
                let way: Vec<&str> = path.iter().map(|id| id.name.as_str()).collect();
                write!(f, "{kind} '{name}' refers to itself: {}", way.join(" -> "))
            }
        }
    }
}

impl std::error::Error for CollectError {}

/// The templates that references reach, each once, in the order in which they count.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Collected<'a> {
    /// AnalysisTemplates, by name, in order of expansion.
    pub namespaced: Vec<(&'a str, &'a AnalysisTemplateSpec)>,
    /// ClusterAnalysisTemplates, by name, in order of expansion.
    pub cluster: Vec<(&'a str, &'a AnalysisTemplateSpec)>,
}

impl<'a> Collected<'a> {
    /// Names of the templates: AnalysisTemplates first.
    #[must_use]
    pub fn names(&self) -> Vec<&'a str> {
        self.iter().map(|(name, _)| name).collect()
    }

    /// The templates: AnalysisTemplates first.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a AnalysisTemplateSpec)> + '_ {
        self.namespaced.iter().chain(&self.cluster).copied()
    }
}

/// Collects the templates that `references` name, and those they name in turn, depth first.
///
/// # Errors
/// When a template is missing, or templates refer to each other in a circle.
pub fn collect<'a>(
    references: &[AnalysisTemplateRef],
    catalog: Catalog<'a>,
) -> Result<Collected<'a>, CollectError> {
    let mut walk = Walk { catalog, seen: BTreeSet::new(), path: Vec::new(), collected: Collected::default() };
    for reference in references {
        walk.visit(reference.into())?;
    }
    Ok(walk.collected)
}

struct Walk<'a> {
    catalog: Catalog<'a>,
    seen: BTreeSet<TemplateId>,
    path: Vec<TemplateId>,
    collected: Collected<'a>,
}

impl Walk<'_> {
    fn visit(&mut self, id: TemplateId) -> Result<(), CollectError> {
        if let Some(start) = self.path.iter().position(|on_path| *on_path == id) {
            let mut path = self.path.split_off(start);
            path.push(id);
            return Err(CollectError::Cycle { path });
        }
        if self.seen.contains(&id) {
            return Ok(());
        }
        let Some((name, spec)) = self.catalog.get(&id) else {
            return Err(CollectError::Missing { id, nested: !self.path.is_empty() });
        };
        self.seen.insert(id.clone());
        let list =
            if id.cluster_scope { &mut self.collected.cluster } else { &mut self.collected.namespaced };
        list.push((name, spec));
        self.path.push(id);
        for reference in &spec.templates {
            self.visit(reference.into())?;
        }
        self.path.pop();
        Ok(())
    }
}

/// Names of all templates that references may reach, for whoever fetches them: those known to `catalog` are
/// followed, unknown ones are named too. Never fails and ends on circles.
#[must_use]
pub fn reachable(references: &[AnalysisTemplateRef], catalog: Catalog<'_>) -> BTreeSet<TemplateId> {
    let mut found = BTreeSet::new();
    let mut open: Vec<TemplateId> = references.iter().map(TemplateId::from).collect();
    while let Some(id) = open.pop() {
        if let Some((_, spec)) = catalog.get(&id) {
            open.extend(spec.templates.iter().map(TemplateId::from).filter(|next| !found.contains(next)));
        }
        found.insert(id);
    }
    found
}

/// What templates amount to together: all metrics, arguments and rules.
///
/// # Errors
/// When metrics or rules repeat, or arguments contradict each other.
pub fn flatten(collected: &Collected<'_>) -> Result<AnalysisTemplateSpec, String> {
    let metrics = flatten_metrics(collected)?;
    let dry_run = merge_dry_run(collected.iter().flat_map(|(_, spec)| spec.dry_run.clone()))?;
    let measurement_retention =
        merge_retention(collected.iter().flat_map(|(_, spec)| spec.measurement_retention.clone()))?;
    let args = flatten_args(collected)?;
    Ok(AnalysisTemplateSpec { metrics, args, dry_run, measurement_retention, templates: Vec::new() })
}

fn flatten_metrics(collected: &Collected<'_>) -> Result<Vec<Metric>, String> {
    let mut names = BTreeSet::new();
    let mut metrics = Vec::new();
    for metric in collected.iter().flat_map(|(_, spec)| &spec.metrics) {
        if !names.insert(&metric.name) {
            return Err(format!("two metrics have the same name '{}'", metric.name));
        }
        metrics.push(metric.clone());
    }
    Ok(metrics)
}

/// A later argument replaces an earlier one of its name that has no value, whatever else that one has.
fn flatten_args(collected: &Collected<'_>) -> Result<Vec<Argument>, String> {
    let mut args: Vec<Argument> = Vec::new();
    for arg in collected.iter().flat_map(|(_, spec)| &spec.args) {
        let Some(earlier) = args.iter_mut().find(|earlier| earlier.name == arg.name) else {
            args.push(arg.clone());
            continue;
        };
        match (&earlier.value, &arg.value) {
            (Some(one), Some(other)) if one != other => {
                return Err(format!(
                    "Argument `{}` specified multiple times with different values: '{one}', '{other}'",
                    arg.name
                ));
            }
            (None, _) => *earlier = arg.clone(),
            _ => {}
        }
    }
    Ok(args)
}

fn merge_dry_run(rules: impl IntoIterator<Item = DryRun>) -> Result<Vec<DryRun>, String> {
    let mut merged: Vec<DryRun> = Vec::new();
    for rule in rules {
        if merged.iter().any(|earlier| earlier.metric_name == rule.metric_name) {
            return Err(format!("two Dry-Run metric rules have the same name '{}'", rule.metric_name));
        }
        merged.push(rule);
    }
    Ok(merged)
}

fn merge_retention(
    rules: impl IntoIterator<Item = MeasurementRetention>,
) -> Result<Vec<MeasurementRetention>, String> {
    let mut merged: Vec<MeasurementRetention> = Vec::new();
    for rule in rules {
        if merged.iter().any(|earlier| earlier.metric_name == rule.metric_name) {
            return Err(format!(
                "two Measurement Retention metric rules have the same name '{}'",
                rule.metric_name
            ));
        }
        merged.push(rule);
    }
    Ok(merged)
}

/// Overlays incoming arguments on declared ones; those that are not declared are dropped.
///
/// An explicit value also takes the place of a declared secret. The reference keeps both and then uses the
/// secret; here what was written last and most explicitly wins (B-06).
///
/// # Errors
/// When a declared argument ends up with neither a value nor a source.
pub fn merge_args(incoming: &[Argument], declared: &[Argument]) -> Result<Vec<Argument>, String> {
    let mut merged = declared.to_vec();
    for arg in incoming {
        let Some(target) = merged.iter_mut().find(|target| target.name == arg.name) else { continue };
        if arg.value.is_some() {
            target.value.clone_from(&arg.value);
            target.value_from = None;
        } else if arg.value_from.is_some() {
            target.value_from.clone_from(&arg.value_from);
        }
    }
    match merged.iter().find(|arg| arg.value.is_none() && arg.value_from.is_none()) {
        Some(open) => Err(format!("args.{} was not resolved", open.name)),
        None => Ok(merged),
    }
}

/// Names of incoming arguments that no template declares and that are therefore dropped (A-110, B-06).
#[must_use]
pub fn dropped_args<'a>(incoming: &'a [Argument], declared: &[Argument]) -> Vec<&'a str> {
    let known = |arg: &&Argument| !declared.iter().any(|target| target.name == arg.name);
    incoming.iter().filter(known).map(|arg| arg.name.as_str()).collect()
}

/// The spec of a run of these templates: their metrics with the arguments overlaid, the caller's rules before
/// the templates'.
///
/// # Errors
/// Whatever [`flatten`] and [`merge_args`] say, and rules that repeat.
pub fn build_run_spec(
    collected: &Collected<'_>,
    args: &[Argument],
    dry_run: &[DryRun],
    retention: &[MeasurementRetention],
) -> Result<AnalysisRunSpec, String> {
    let together = flatten(collected)?;
    Ok(AnalysisRunSpec {
        metrics: together.metrics,
        args: merge_args(args, &together.args)?,
        dry_run: merge_dry_run(dry_run.iter().cloned().chain(together.dry_run))?,
        measurement_retention: merge_retention(
            retention.iter().cloned().chain(together.measurement_retention),
        )?,
        ..AnalysisRunSpec::default()
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use glidepath_api::{AnalysisTemplateRef, AnalysisTemplateSpec, Argument};
    use serde_json::{Value, json};

    use super::{Catalog, build_run_spec, collect, dropped_args, flatten, merge_args, reachable};

    fn specs(templates: Value) -> BTreeMap<String, AnalysisTemplateSpec> {
        serde_json::from_value(templates).unwrap()
    }

    fn references(names: Value) -> Vec<AnalysisTemplateRef> {
        serde_json::from_value(names).unwrap()
    }

    fn metric(name: &str) -> Value {
        json!({"name": name, "provider": {}})
    }

    #[test]
    fn references_are_expanded_depth_first_and_once_each_a101_a102_a104() {
        let namespaced = specs(json!({
            "a": {"metrics": [metric("a")], "templates": [{"templateName": "c", "clusterScope": true}, {"templateName": "b"}]},
            "b": {"metrics": [metric("b")]},
            "x": {"metrics": [metric("x")], "templates": [{"templateName": "b"}]}
        }));
        let cluster = specs(json!({
            "c": {"metrics": [metric("c")], "templates": [{"templateName": "x"}]},
            "b": {"metrics": [metric("cluster-b")]}
        }));
        let catalog = Catalog { namespaced: &namespaced, cluster: &cluster };
        let refs = references(
            json!([{"templateName": "a"}, {"templateName": "b", "clusterScope": true}, {"templateName": "a"}]),
        );
        let collected = collect(&refs, catalog).unwrap();
        assert_eq!(collected.names(), ["a", "x", "b", "c", "b"]);
        let flat = flatten(&collected).unwrap();
        let names: Vec<&str> = flat.metrics.iter().map(|metric| metric.name.as_str()).collect();
        assert_eq!(names, ["a", "x", "b", "c", "cluster-b"]);
        assert_eq!(reachable(&refs, catalog).len(), 5);
    }

    #[test]
    fn circles_are_named_and_never_walked_for_ever_b01() {
        let namespaced = specs(json!({
            "me": {"templates": [{"templateName": "me"}]},
            "a": {"templates": [{"templateName": "b"}]},
            "b": {"templates": [{"templateName": "c"}]},
            "c": {"templates": [{"templateName": "b"}]}
        }));
        let cluster = BTreeMap::new();
        let catalog = Catalog { namespaced: &namespaced, cluster: &cluster };
        for (start, want) in [("me", "me -> me"), ("a", "b -> c -> b")] {
            let refs = references(json!([{"templateName": start}]));
            let error = collect(&refs, catalog).unwrap_err().to_string();
            assert!(error.ends_with(want), "{error}");
            assert!(!reachable(&refs, catalog).is_empty());
        }
    }

    fn together(one: Value, two: Value) -> Result<Value, String> {
        let namespaced = specs(json!({"one": one, "two": two}));
        let cluster = BTreeMap::new();
        let refs = references(json!([{"templateName": "one"}, {"templateName": "two"}]));
        let collected = collect(&refs, Catalog { namespaced: &namespaced, cluster: &cluster }).unwrap();
        flatten(&collected).map(|spec| serde_json::to_value(spec.args).unwrap())
    }

    #[test]
    fn arguments_of_several_templates_are_joined_a105() {
        let secret = json!({"name": "a", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}});
        let literal = |value: &str| json!({"name": "a", "value": value});
        let bare = json!({"name": "a"});
        for (case, one, two, want) in [
            ("equal values", literal("1"), literal("1"), Ok(json!([literal("1")]))),
            ("a value stays", literal("1"), bare.clone(), Ok(json!([literal("1")]))),
            ("a default drops a secret", secret.clone(), literal("1"), Ok(json!([literal("1")]))),
            ("bare replaces secret", secret.clone(), bare.clone(), Ok(json!([bare]))),
            ("a secret fills a bare name", bare, secret.clone(), Ok(json!([secret]))),
            (
                "contradiction",
                literal("1"),
                literal("2"),
                Err("Argument `a` specified multiple times with different values: '1', '2'".to_owned()),
            ),
        ] {
            assert_eq!(together(json!({"args": [one]}), json!({"args": [two]})), want, "{case}");
        }
    }

    #[test]
    fn what_repeats_is_refused_a104_a106() {
        for (template, want) in [
            (json!({"metrics": [metric("m")]}), "two metrics have the same name 'm'"),
            (json!({"dryRun": [{"metricName": "m"}]}), "two Dry-Run metric rules have the same name 'm'"),
            (
                json!({"measurementRetention": [{"metricName": "m", "limit": 2}]}),
                "two Measurement Retention metric rules have the same name 'm'",
            ),
        ] {
            assert_eq!(together(template.clone(), template).unwrap_err(), want);
        }
    }

    #[test]
    fn incoming_arguments_overlay_declared_ones_a110_to_a114_b06() {
        let args = |list: Value| -> Vec<Argument> { serde_json::from_value(list).unwrap() };
        let secret = json!({"secretKeyRef": {"name": "s", "key": "k"}});
        for (case, incoming, declared, want) in [
            (
                "overridden",
                json!([{"name": "a", "value": "2"}]),
                json!([{"name": "a", "value": "1"}]),
                Ok(json!([{"name": "a", "value": "2"}])),
            ),
            (
                "unknown names are dropped",
                json!([{"name": "z", "value": "2"}]),
                json!([{"name": "a", "value": "1"}]),
                Ok(json!([{"name": "a", "value": "1"}])),
            ),
            (
                "an empty text is a value",
                json!([{"name": "a", "value": ""}]),
                json!([{"name": "a", "value": "1"}]),
                Ok(json!([{"name": "a", "value": ""}])),
            ),
            (
                "a source beside a default",
                json!([{"name": "a", "valueFrom": secret}]),
                json!([{"name": "a", "value": "1"}]),
                Ok(json!([{"name": "a", "value": "1", "valueFrom": secret}])),
            ),
            (
                "B-06: a literal takes a secret's place",
                json!([{"name": "a", "value": "2"}]),
                json!([{"name": "a", "valueFrom": secret}]),
                Ok(json!([{"name": "a", "value": "2"}])),
            ),
            ("open", json!([]), json!([{"name": "a"}]), Err("args.a was not resolved".to_owned())),
        ] {
            let merged = merge_args(&args(incoming), &args(declared));
            assert_eq!(merged.map(|merged| serde_json::to_value(merged).unwrap()), want, "{case}");
        }
        let dropped = args(json!([{"name": "a", "value": "1"}, {"name": "z"}]));
        assert_eq!(dropped_args(&dropped, &args(json!([{"name": "a"}]))), ["z"]);
    }

    #[test]
    fn the_callers_rules_come_first_a106() {
        let namespaced = specs(json!({"t": {"metrics": [metric("m")], "dryRun": [{"metricName": "b"}]}}));
        let cluster = BTreeMap::new();
        let collected = collect(
            &references(json!([{"templateName": "t"}])),
            Catalog { namespaced: &namespaced, cluster: &cluster },
        )
        .unwrap();
        let caller = serde_json::from_value::<Vec<_>>(json!([{"metricName": "a"}])).unwrap();
        let spec = build_run_spec(&collected, &[], &caller, &[]).unwrap();
        let rules: Vec<&str> = spec.dry_run.iter().map(|rule| rule.metric_name.as_str()).collect();
        assert_eq!(rules, ["a", "b"]);
    }
}
