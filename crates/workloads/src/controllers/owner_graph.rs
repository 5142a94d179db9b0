//! Who owns whom, as far as the caches show, and what garbage collection owes each object. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::{Map, Value, json};

use crate::api::Propagation;
use crate::object::{Object, OwnerRef};
use crate::resource::Resource;

/// Finalizer of an owner that waits for its blocking dependents.
pub const FOREGROUND: &str = "foregroundDeletion";
/// Finalizer of an owner whose dependents are to be orphaned first.
pub const ORPHAN: &str = "orphan";

/// The fields of an object's metadata that the graph keeps.
const KEPT: [&str; 7] =
    ["deletionTimestamp", "finalizers", "name", "namespace", "ownerReferences", "resourceVersion", "uid"];

/// One object of the graph.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its kind.
    pub resource: Resource,
    /// What the graph depends on and what a write needs of the object: part of its metadata.
    pub object: Object,
}

impl Node {
    /// Keeps the few fields that count, so that the graph does not hold on to whole pods.
    fn new(resource: &Resource, object: &Object) -> Self {
        let kept: Map<String, Value> = KEPT
            .iter()
            .filter_map(|field| Some(((*field).to_owned(), object.at("/metadata")?.get(field)?.clone())))
            .collect();
        Self { resource: resource.clone(), object: Object::from(json!({ "metadata": kept })) }
    }

    fn waits_for_dependents(&self) -> bool {
        self.object.is_deleting() && self.object.finalizers().any(|name| name == FOREGROUND)
    }

    fn orphans_dependents(&self) -> bool {
        self.object.is_deleting() && self.object.finalizers().any(|name| name == ORPHAN)
    }
}

/// What garbage collection owes one object.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Nothing.
    Nothing,
    /// Delete it: no owner is left.
    Delete(Propagation),
    /// Take away the references to these owners.
    DropOwners(BTreeSet<String>),
    /// Take away one of its finalizers.
    DropFinalizer(&'static str),
    /// Have a look at its dependents: it waits for them.
    VisitDependents,
    /// Take the references to it from its dependents, then its finalizer `orphan`.
    OrphanDependents,
    /// Ask the server whether these owners exist: the caches have not shown them.
    AskFor(Vec<String>),
}

/// The objects known, their owners and dependents, by UID.
#[derive(Default)]
pub struct OwnerGraph {
    nodes: HashMap<String, Node>,
    dependents: HashMap<String, BTreeSet<String>>,
    // Owners that are known to be gone while something still refers to them.
    gone: HashSet<String>,
    // Owners that exist although no cache shows them: their kind is not watched.
    elsewhere: HashSet<String>,
}

impl OwnerGraph {
    /// Takes in an object; returns the UIDs to visit.
    pub fn put(&mut self, resource: &Resource, object: &Object) -> Vec<String> {
        let uid = object.uid().to_owned();
        let old = self.nodes.remove(&uid);
        if let Some(old) = &old {
            if relevant(&old.object) == relevant(object) {
                self.nodes.insert(uid, Node::new(resource, object));
                return Vec::new();
            }
            self.unlink(&uid, &old.object);
        }
        for owner in object.owners() {
            self.dependents.entry(owner.uid.to_owned()).or_default().insert(uid.clone());
        }
        let mut visit = vec![uid.clone()];
        // An owner that waits may no longer have to wait for this one.
        for source in [old.as_ref().map(|old| &old.object), Some(object)].into_iter().flatten() {
            visit.extend(
                source.owners().map(|owner| owner.uid.to_owned()).filter(|owner| self.is_waiting(owner)),
            );
        }
        self.gone.remove(&uid);
        self.elsewhere.remove(&uid);
        self.nodes.insert(uid, Node::new(resource, object));
        visit
    }

    /// Forgets an object that is gone; returns the UIDs to visit.
    pub fn remove(&mut self, object: &Object) -> Vec<String> {
        let uid = object.uid();
        let mut visit: Vec<String> = self.dependents.get(uid).into_iter().flatten().cloned().collect();
        if let Some(old) = self.nodes.remove(uid) {
            self.unlink(uid, &old.object);
            visit.extend(
                old.object.owners().map(|owner| owner.uid.to_owned()).filter(|owner| self.is_waiting(owner)),
            );
        }
        if self.dependents.contains_key(uid) {
            self.gone.insert(uid.to_owned());
        }
        visit
    }

    fn unlink(&mut self, uid: &str, object: &Object) {
        for owner in object.owners() {
            if let Some(dependents) = self.dependents.get_mut(owner.uid) {
                dependents.remove(uid);
                if dependents.is_empty() {
                    self.dependents.remove(owner.uid);
                    self.gone.remove(owner.uid);
                    self.elsewhere.remove(owner.uid);
                }
            }
        }
    }

    fn is_waiting(&self, uid: &str) -> bool {
        self.nodes.get(uid).is_some_and(Node::waits_for_dependents)
    }

    /// Notes what the server said about an owner that no cache shows.
    pub fn note_answer(&mut self, uid: &str, exists: bool) {
        let set = if exists { &mut self.elsewhere } else { &mut self.gone };
        set.insert(uid.to_owned());
    }

    /// One object.
    #[must_use]
    pub fn node(&self, uid: &str) -> Option<&Node> {
        self.nodes.get(uid)
    }

    /// The objects that refer to `uid` as an owner.
    #[must_use]
    pub fn dependents(&self, uid: &str) -> Vec<Node> {
        let uids = self.dependents.get(uid).into_iter().flatten();
        uids.filter_map(|dependent| self.nodes.get(dependent).cloned()).collect()
    }

    /// Decides what garbage collection owes the object `uid`.
    #[must_use]
    pub fn plan(&self, uid: &str) -> Action {
        let Some(node) = self.nodes.get(uid) else { return Action::Nothing };
        if node.orphans_dependents() {
            return Action::OrphanDependents;
        }
        if node.waits_for_dependents() {
            let blocked = self.dependents(uid).iter().any(|dependent| {
                dependent.object.owners().any(|owner| owner.uid == uid && owner.block_owner_deletion)
            });
            return if blocked { Action::VisitDependents } else { Action::DropFinalizer(FOREGROUND) };
        }
        if node.object.is_deleting() {
            return Action::Nothing;
        }
        self.plan_by_owners(node)
    }

    fn plan_by_owners(&self, node: &Node) -> Action {
        let (mut solid, mut dangling, mut waiting, mut unknown) =
            (0, BTreeSet::new(), BTreeSet::new(), Vec::new());
        for owner in node.object.owners() {
            match self.standing(node, &owner) {
                Standing::Solid => solid += 1,
                Standing::Gone => drop(dangling.insert(owner.uid.to_owned())),
                Standing::Waiting => drop(waiting.insert(owner.uid.to_owned())),
                Standing::Unknown => unknown.push(owner.uid.to_owned()),
            }
        }
        if solid == 0 && dangling.is_empty() && waiting.is_empty() && unknown.is_empty() {
            return Action::Nothing;
        }
        if !unknown.is_empty() {
            return Action::AskFor(unknown);
        }
        if solid > 0 {
            dangling.append(&mut waiting);
            return if dangling.is_empty() { Action::Nothing } else { Action::DropOwners(dangling) };
        }
        let finalizers: BTreeMap<&str, ()> = node.object.finalizers().map(|name| (name, ())).collect();
        let has_dependents = self.dependents.contains_key(node.object.uid());
        Action::Delete(if finalizers.contains_key(ORPHAN) {
            Propagation::Orphan
        } else if finalizers.contains_key(FOREGROUND) || (!waiting.is_empty() && has_dependents) {
            Propagation::Foreground
        } else {
            Propagation::Background
        })
    }

    fn standing(&self, node: &Node, owner: &OwnerRef<'_>) -> Standing {
        match self.nodes.get(owner.uid) {
            // A reference across namespaces, or to another name, names nobody.
            Some(found)
                if !found.object.namespace().is_empty()
                    && found.object.namespace() != node.object.namespace() =>
            {
                Standing::Gone
            }
            Some(found) if found.object.name() != owner.name => Standing::Gone,
            Some(found) if found.waits_for_dependents() => Standing::Waiting,
            Some(_) => Standing::Solid,
            None if self.gone.contains(owner.uid) => Standing::Gone,
            None if self.elsewhere.contains(owner.uid) => Standing::Solid,
            None => Standing::Unknown,
        }
    }
}

enum Standing {
    Solid,
    Gone,
    Waiting,
    Unknown,
}

/// What of an object the graph depends on.
fn relevant(object: &Object) -> impl PartialEq + '_ {
    let metadata = object.at("/metadata");
    let field = |name: &str| metadata.and_then(|metadata| metadata.get(name)).cloned().unwrap_or(Value::Null);
    (field("ownerReferences"), field("finalizers"), object.is_deleting())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::{PODS, REPLICA_SETS};

    fn object(uid: &str, owners: &[&str], metadata: Value) -> Object {
        let owners: Vec<Value> = owners
            .iter()
            .map(|owner| json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": owner, "uid": owner, "blockOwnerDeletion": true}))
            .collect();
        let mut object =
            json!({"metadata": {"name": uid, "namespace": "n", "uid": uid, "ownerReferences": owners}});
        for (field, value) in metadata.as_object().unwrap() {
            object["metadata"][field] = value.clone();
        }
        object.into()
    }

    fn deleting(finalizer: &str) -> Value {
        json!({"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": [finalizer]})
    }

    fn graph(objects: &[Object]) -> OwnerGraph {
        let mut graph = OwnerGraph::default();
        for object in objects {
            graph.put(&PODS, object);
        }
        graph
    }

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn each_object_gets_what_its_owners_and_dependents_call_for() {
        let plain = || json!({});
        let table = [
            ("no owners", vec![object("a", &[], plain())], Action::Nothing),
            ("owner lives", vec![object("o", &[], plain()), object("a", &["o"], plain())], Action::Nothing),
            ("owner unknown", vec![object("a", &["o"], plain())], Action::AskFor(vec!["o".to_owned()])),
            (
                "owner waits",
                vec![object("o", &[], deleting(FOREGROUND)), object("a", &["o"], plain())],
                Action::Delete(Propagation::Background),
            ),
            (
                "owner waits and the dependent has dependents",
                vec![
                    object("o", &[], deleting(FOREGROUND)),
                    object("a", &["o"], plain()),
                    object("b", &["a"], plain()),
                ],
                Action::Delete(Propagation::Foreground),
            ),
            (
                "one owner lives, one waits",
                vec![
                    object("o", &[], deleting(FOREGROUND)),
                    object("p", &[], plain()),
                    object("a", &["o", "p"], plain()),
                ],
                Action::DropOwners(set(&["o"])),
            ),
            (
                "waits for a dependent",
                vec![object("a", &[], deleting(FOREGROUND)), object("b", &["a"], plain())],
                Action::VisitDependents,
            ),
            (
                "waits for nobody",
                vec![object("a", &[], deleting(FOREGROUND))],
                Action::DropFinalizer(FOREGROUND),
            ),
            (
                "orphans",
                vec![object("a", &[], deleting(ORPHAN)), object("b", &["a"], plain())],
                Action::OrphanDependents,
            ),
            ("being deleted", vec![object("a", &["o"], deleting("mine"))], Action::Nothing),
            (
                "owner in another namespace",
                vec![object("o", &[], json!({"namespace": "m"})), object("a", &["o"], plain())],
                Action::Delete(Propagation::Background),
            ),
        ];
        for (case, objects, expected) in table {
            assert_eq!(graph(&objects).plan("a"), expected, "{case}");
        }
    }

    #[test]
    fn losing_an_owner_sends_its_dependents_away() {
        let mut graph = graph(&[object("o", &[], json!({})), object("a", &["o"], json!({}))]);
        assert_eq!(graph.remove(&object("o", &[], json!({}))), ["a"]);
        assert_eq!(graph.plan("a"), Action::Delete(Propagation::Background));
        graph.remove(&object("a", &["o"], json!({})));
        assert!(graph.gone.is_empty(), "nothing is remembered of owners nobody refers to");
    }

    #[test]
    fn what_the_server_says_of_an_unknown_owner_settles_it() {
        let mut graph = graph(&[object("a", &["o"], json!({}))]);
        graph.note_answer("o", true);
        assert_eq!(graph.plan("a"), Action::Nothing);
        graph.remove(&object("o", &[], json!({})));
        assert_eq!(graph.plan("a"), Action::Delete(Propagation::Background));
    }

    #[test]
    fn a_status_change_visits_nobody_and_the_last_dependent_frees_a_waiting_owner() {
        let mut graph = graph(&[object("o", &[], deleting(FOREGROUND)), object("a", &["o"], json!({}))]);
        assert!(graph.put(&REPLICA_SETS, &object("a", &["o"], json!({"resourceVersion": "9"}))).is_empty());
        assert_eq!(graph.remove(&object("a", &["o"], json!({}))), ["o"]);
        assert_eq!(graph.plan("o"), Action::DropFinalizer(FOREGROUND));
    }
}
