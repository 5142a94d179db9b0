//! Walking objects along their types: what changed, what an object sets, merging and removing.

use serde_json::{Map, Value, json};

use super::node::{Node, Ownership};
use super::set::FieldSet;

/// What a write did.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    /// Added or changed.
    pub written: FieldSet,
    pub removed: FieldSet,
}

/// What is different in `new`.
pub(crate) fn compare(node: Node<'_>, old: &Value, new: &Value) -> Comparison {
    let mut found = Comparison::default();
    compare_members(node, Some(old), Some(new), &mut found.written, &mut found.removed, true);
    found
}

fn compare_values(
    node: Node<'_>,
    old: Option<&Value>,
    new: Option<&Value>,
    written: &mut FieldSet,
    removed: &mut FieldSet,
) {
    match (old, new) {
        (None, None) => return,
        (None, Some(_)) => written.own = true,
        (Some(_), None) => removed.own = true,
        (Some(_), Some(_)) => {}
    }
    let Some(sample) = [new, old].into_iter().flatten().find(|value| !value.is_null()) else { return };
    let same_shape = match (old, new) {
        (Some(old), Some(new)) => {
            old.is_null()
                || new.is_null()
                || (old.is_object() == new.is_object() && old.is_array() == new.is_array())
        }
        _ => true,
    };
    let ownership = node.ownership(sample);
    let both_empty = is_empty(old) && is_empty(new);
    if ownership == Ownership::Atomic || !same_shape || both_empty {
        if let (Some(old), Some(new)) = (old, new)
            && old != new
        {
            written.own = true;
        }
        return;
    }
    match ownership {
        Ownership::Members => compare_members(node, old, new, written, removed, false),
        ownership => compare_items(node, &ownership, old, new, written, removed),
    }
}

fn is_empty(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::Object(map)) => map.is_empty(),
        Some(Value::Array(list)) => list.is_empty(),
        Some(_) => false,
    }
}

fn compare_members(
    node: Node<'_>,
    old: Option<&Value>,
    new: Option<&Value>,
    written: &mut FieldSet,
    removed: &mut FieldSet,
    is_root: bool,
) {
    let empty = Map::new();
    let old = old.and_then(Value::as_object).unwrap_or(&empty);
    let new = new.and_then(Value::as_object).unwrap_or(&empty);
    for (key, value) in new {
        let before = old.get(key);
        if before == Some(value) {
            continue;
        }
        let element = format!("f:{key}");
        compare_values(
            node.member(key, is_root),
            before,
            Some(value),
            written.enter(element.clone()),
            removed.enter(element),
        );
    }
    for (key, value) in old.iter().filter(|(key, _)| !new.contains_key(*key)) {
        let element = format!("f:{key}");
        compare_values(
            node.member(key, is_root),
            Some(value),
            None,
            written.enter(element.clone()),
            removed.enter(element),
        );
    }
    written.drop_empty();
    removed.drop_empty();
}

fn compare_items(
    node: Node<'_>,
    ownership: &Ownership,
    old: Option<&Value>,
    new: Option<&Value>,
    written: &mut FieldSet,
    removed: &mut FieldSet,
) {
    let list = |value: Option<&Value>| -> Vec<(String, Value)> {
        value
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|item| Some((node.element(ownership, item)?, item.clone())))
            .collect()
    };
    let (old, new) = (list(old), list(new));
    let find = |list: &[(String, Value)], element: &str| {
        list.iter().find(|(one, _)| one == element).map(|(_, item)| item.clone())
    };
    let all =
        new.iter().chain(&old).map(|(element, _)| element.clone()).collect::<std::collections::BTreeSet<_>>();
    for element in all {
        let (before, after) = (find(&old, &element), find(&new, &element));
        compare_values(
            node.item(),
            before.as_ref(),
            after.as_ref(),
            written.enter(element.clone()),
            removed.enter(element),
        );
    }
    written.drop_empty();
    removed.drop_empty();
}

/// The fields that an object sets.
pub(crate) fn fields_of(node: Node<'_>, object: &Value) -> FieldSet {
    let mut set = FieldSet::default();
    collect_members(node, object, &mut set, true);
    set.drop_empty();
    set
}

fn collect(node: Node<'_>, value: &Value, set: &mut FieldSet) {
    match node.ownership(value) {
        Ownership::Atomic => set.own = true,
        Ownership::Members => collect_members(node, value, set, false),
        ownership => {
            for item in value.as_array().into_iter().flatten() {
                if let Some(element) = node.element(&ownership, item) {
                    let child = set.enter(element);
                    child.own = true;
                    collect(node.item(), item, child);
                }
            }
        }
    }
}

fn collect_members(node: Node<'_>, value: &Value, set: &mut FieldSet, is_root: bool) {
    for (key, value) in value.as_object().into_iter().flatten() {
        let child = set.enter(format!("f:{key}"));
        collect(node.member(key, is_root), value, child);
        let empty = value.is_null() || value.as_object().is_some_and(Map::is_empty);
        if empty || !node.has_field(key) {
            child.own = true;
        }
    }
}

/// Lays `config` over `live`: members and items merge, what is owned as a whole is replaced.
pub(crate) fn merge(node: Node<'_>, live: &mut Value, config: &Value) {
    merge_at(node, live, config, true);
}

fn merge_at(node: Node<'_>, live: &mut Value, config: &Value, is_root: bool) {
    let same_shape = live.is_object() == config.is_object() && live.is_array() == config.is_array();
    match (node.ownership(config), live, config) {
        (Ownership::Members, Value::Object(live), Value::Object(config)) => {
            for (key, value) in config {
                let member = node.member(key, is_root);
                merge_at(member, live.entry(key).or_insert(Value::Null), value, false);
            }
        }
        (ownership @ (Ownership::Keyed(_) | Ownership::Set), Value::Array(live), Value::Array(config))
            if same_shape =>
        {
            for item in config {
                let element = node.element(&ownership, item);
                let found =
                    live.iter_mut().find(|one| element.is_some() && node.element(&ownership, one) == element);
                match found {
                    Some(found) => merge_at(node.item(), found, item, false),
                    None => live.push(item.clone()),
                }
            }
        }
        (_, live, config) => *live = config.clone(),
    }
}

/// Takes out everything in `gone` that is not in `kept`, nor leads to something in it.
pub(crate) fn remove(node: Node<'_>, object: &mut Value, gone: &FieldSet, kept: &FieldSet) {
    remove_at(node, object, gone, Some(kept), true);
}

fn remove_at(node: Node<'_>, value: &mut Value, gone: &FieldSet, kept: Option<&FieldSet>, is_root: bool) {
    for (element, child) in gone.children() {
        let kept = kept.and_then(|kept| kept.child(element));
        let held = kept.is_some_and(|kept| !kept.is_empty());
        if let (Some(name), Value::Object(map)) = (element.strip_prefix("f:"), &mut *value) {
            if child.own && !held {
                map.remove(name);
            } else if let Some(inner) = map.get_mut(name) {
                remove_at(node.member(name, is_root), inner, child, kept, false);
                // A map that this left empty was there for its members only.
                let emptied = inner.as_object().is_some_and(Map::is_empty) || *inner == json!([]);
                if emptied && !held {
                    map.remove(name);
                }
            }
            continue;
        }
        let ownership = node.ownership(value);
        if let Value::Array(list) = value {
            let at = list.iter().position(|item| node.element(&ownership, item).as_deref() == Some(element));
            match at {
                Some(at) if child.own && !held => {
                    list.remove(at);
                }
                Some(at) => remove_at(node.item(), &mut list[at], child, kept, false),
                None => {}
            }
        }
    }
}
