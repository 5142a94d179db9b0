//! The permissions we ship are enough, and none of them is too many: every story is told under them, every one of
//! them is used by some story or has its reason in `deploy/rbac/README.md`, and without any used one a story fails.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop where it is")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use glidepath_scenarios::embedded::{CONTROLLER, Terms, in_virtual_time_with};
use glidepath_scenarios::permissions::{Permission, granted, shipped, without};
use glidepath_scenarios::story::Story;
use glidepath_scenarios::{run, stories};
use serde_json::Value;

/// Stories longer than this are not told more than once.
const LONG: Duration = Duration::from_secs(10 * 60);

/// Tells a story with the lease held and these permissions; what the controller asked for, if it held. Nothing is
/// waited for longer than the longest delay by default needs.
fn tell(story: &Story, permissions: Vec<Value>) -> anyhow::Result<BTreeSet<Permission>> {
    let (patience, glance) = (Duration::from_secs(100), Duration::from_secs(1));
    let terms = Terms { permissions, elects: true, patience, glance, ..Terms::usual().unwrap() };
    in_virtual_time_with(terms, async |plane| {
        run::tell(story, plane, "story").await?;
        let counts = plane.sandbox().audit();
        Ok(counts.keys().filter(|entry| entry.user_agent == CONTROLLER).map(Permission::of).collect())
    })
}

/// The quickest and the longest story, by their places in the list.
type Users = (usize, usize);

/// For every permission that a story uses, who does.
fn used() -> &'static BTreeMap<Permission, Users> {
    static USED: OnceLock<BTreeMap<Permission, Users>> = OnceLock::new();
    USED.get_or_init(|| {
        let shipped = shipped().unwrap();
        let stories = stories::all();
        let next = Mutex::new(stories.iter().enumerate());
        let used: Mutex<BTreeMap<Permission, Users>> = Mutex::default();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    loop {
                        let Some((index, story)) = next.lock().unwrap().next() else { return };
                        // One that needs more patience shows nothing here; what only it shows is missed below.
                        let Ok(asked) = tell(story, shipped.clone()) else { continue };
                        let mut used = used.lock().unwrap();
                        for permission in asked {
                            let (quickest, longest) = used.entry(permission).or_insert((index, index));
                            if story.lasts() < stories[*quickest].lasts() {
                                *quickest = index;
                            }
                            if story.lasts() > stories[*longest].lasts() && story.lasts() < LONG {
                                *longest = index;
                            }
                        }
                    }
                });
            }
        });
        used.into_inner().unwrap()
    })
}

/// The rows of the README's table of permissions that no story shows the need of.
fn documented() -> BTreeSet<Permission> {
    let readme = include_str!("../../../deploy/rbac/README.md");
    let mut documented = BTreeSet::new();
    for line in readme.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [resources, verbs, reason] = cells.as_slice() else { continue };
        assert!(!reason.is_empty(), "no reason: {line}");
        let words = |cell: &str| -> Vec<String> {
            cell.split(", ").map(|word| word.trim_matches('`').to_owned()).collect()
        };
        for resource in words(resources) {
            let (plain, subresource) = resource.split_once('/').unwrap_or((&resource, ""));
            let (plural, group) = plain.split_once('.').unwrap_or((plain, ""));
            let resource =
                if subresource.is_empty() { plural.to_owned() } else { format!("{plural}/{subresource}") };
            for verb in words(verbs) {
                documented.insert(Permission { group: group.to_owned(), resource: resource.clone(), verb });
            }
        }
    }
    documented
}

fn list<'a>(permissions: impl IntoIterator<Item = &'a Permission>) -> String {
    permissions.into_iter().map(|permission| format!("\n  {permission}")).collect()
}

#[test]
fn every_permission_is_used_by_a_story_or_has_a_documented_reason() {
    let granted = granted(&shipped().unwrap());
    let (used, documented) = (used(), documented());
    let idle = granted.iter().filter(|one| !used.contains_key(one) && !documented.contains(one));
    // No request is about finalizers; they are asked about when a child names its owner.
    let idle: Vec<_> = idle.filter(|one| !one.resource.ends_with("/finalizers")).collect();
    assert!(idle.is_empty(), "granted, but no story uses it and no reason is documented:{}", list(idle));
    let gone: Vec<_> = documented.iter().filter(|one| !granted.contains(one)).collect();
    assert!(gone.is_empty(), "documented, but not granted:{}", list(gone));
}

/// Takes each permission on one resource away in turn: the story that uses it must fail, unless a reason says why
/// it goes on.
fn hold_without(resource: &str) {
    let shipped = shipped().unwrap();
    let documented = documented();
    let stories = stories::all();
    let (plain, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let (plural, group) = plain.split_once('.').unwrap_or((plain, ""));
    let resource = if subresource.is_empty() { plural.to_owned() } else { format!("{plural}/{subresource}") };
    let needed: Vec<_> = used()
        .iter()
        .filter(|(one, _)| one.group == group && one.resource == resource && !documented.contains(one))
        .collect();
    assert!(!needed.is_empty(), "no story uses {resource}");
    let mut holds = Vec::new();
    for (permission, (quickest, longest)) in needed {
        let holds_without = |story: &Story| tell(story, without(&shipped, |one| one == permission)).is_ok();
        // A lease, for instance, is renewed only by those who stay.
        if holds_without(&stories[*quickest]) && holds_without(&stories[*longest]) {
            let names = (stories[*quickest].name, stories[*longest].name);
            holds.push(format!("\n  {permission}: {names:?} hold without it"));
        }
    }
    assert!(holds.is_empty(), "not needed:{}", holds.concat());
}

/// A test per resource, named after what is taken away.
macro_rules! removed {
    ($($name:ident: $resource:literal),* $(,)?) => {
        const REMOVED: &[&str] = &[$($resource),*];

        mod a_story_fails_without {
            $(#[test]
            fn $name() {
                super::hold_without($resource);
            })*
        }
    };
}

removed! {
    rollouts: "rollouts.argoproj.io",
    rollout_statuses: "rollouts.argoproj.io/status",
    analysis_runs: "analysisruns.argoproj.io",
    experiments: "experiments.argoproj.io",
    analysis_templates: "analysistemplates.argoproj.io",
    cluster_analysis_templates: "clusteranalysistemplates.argoproj.io",
    replica_sets: "replicasets.apps",
    deployments: "deployments.apps",
    services: "services",
    leases: "leases.coordination.k8s.io",
    secrets: "secrets",
    pods: "pods",
    evictions: "pods/eviction",
    events: "events",
    pod_templates: "podtemplates",
    jobs: "jobs.batch",
    virtual_services: "virtualservices.networking.istio.io",
    destination_rules: "destinationrules.networking.istio.io",
    http_routes: "httproutes.gateway.networking.k8s.io",
    ingresses: "ingresses.networking.k8s.io",
}

/// The test of a right to write the finalizers of owners.
fn fails_without_finalizers_of(owners: &str, story: &Story) {
    let shipped = shipped().unwrap();
    assert!(tell(story, shipped.clone()).is_ok());
    let resource = format!("{owners}/finalizers");
    let taken = without(&shipped, |one| one.resource == resource);
    assert_eq!(granted(&taken).len() + 1, granted(&shipped).len(), "{resource}");
    assert!(tell(story, taken).is_err(), "\"{}\" holds without {resource}", story.name);
}

#[test]
fn replica_sets_need_the_finalizers_of_their_rollout() {
    fails_without_finalizers_of("rollouts", &stories::canary::the_first_deployment_skips_the_steps());
}

#[test]
fn jobs_need_the_finalizers_of_their_analysis_run() {
    fails_without_finalizers_of("analysisruns", &stories::runs::a_job_that_succeeds_lets_the_canary_pass());
}

#[test]
fn replica_sets_need_the_finalizers_of_their_experiment() {
    fails_without_finalizers_of("experiments", &stories::runs::an_experiment_of_its_own_ends_when_told());
}

#[test]
fn every_used_resource_has_a_test_that_takes_it_away() {
    let documented = documented();
    let taken: BTreeSet<&str> = REMOVED.iter().copied().collect();
    for permission in used().keys().filter(|one| !documented.contains(one)) {
        let text = permission.to_string();
        let resource = text.rsplit_once(' ').unwrap().0;
        assert!(taken.contains(resource), "{permission} is never taken away");
    }
}
