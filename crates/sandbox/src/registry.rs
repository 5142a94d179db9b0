//! Which resources are served right now: the built-in ones and those that CustomResourceDefinitions add.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::Value;

use crate::kinds::{BUILT_IN, BuiltIn, table_name};
use crate::refusal::Subject;
use crate::schema::Schema;

/// A served resource.
#[derive(Debug)]
pub(crate) struct Resource {
    pub group: String,
    pub plural: String,
    pub singular: String,
    pub kind: String,
    pub list_kind: String,
    pub short_names: Vec<String>,
    pub categories: Vec<String>,
    pub namespaced: bool,
    pub generation: bool,
    /// Served and unserved versions, in the order discovery prefers them.
    pub versions: Vec<Version>,
    /// Index of the version that is stored.
    pub storage: usize,
    pub table: Arc<str>,
    pub built_in: Option<&'static BuiltIn>,
    /// Its definition is going away: nothing new is created.
    pub terminating: bool,
}

/// One version of a resource.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    pub name: String,
    pub served: bool,
    pub status: bool,
    pub scale: Option<ScalePaths>,
    /// The structural schema of a custom resource.
    pub schema: Option<Arc<Schema>>,
    /// The same schema as its definition wrote it.
    pub schema_source: Option<Arc<Value>>,
    /// `additionalPrinterColumns` of a custom resource.
    pub columns: Vec<Value>,
    /// What a deprecated version warns with.
    pub deprecation: Option<String>,
}

/// Where a `/scale` subresource finds its numbers, as JSON pointers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ScalePaths {
    pub spec_replicas: String,
    pub status_replicas: String,
    pub selector: Option<String>,
}

impl Resource {
    fn from_built_in(kind: &'static BuiltIn) -> Self {
        let scale = kind.scale.then(|| ScalePaths {
            spec_replicas: "/spec/replicas".into(),
            status_replicas: "/status/replicas".into(),
            selector: None,
        });
        let versions = kind
            .versions
            .iter()
            .map(|name| Version {
                name: (*name).to_owned(),
                served: true,
                status: kind.status,
                scale: scale.clone(),
                schema: None,
                schema_source: None,
                columns: Vec::new(),
                deprecation: deprecation(kind, name),
            })
            .collect();
        Self {
            group: kind.group.into(),
            plural: kind.plural.into(),
            singular: kind.singular.into(),
            kind: kind.kind.into(),
            list_kind: format!("{}List", kind.kind),
            short_names: kind.short_names.iter().map(|name| (*name).to_owned()).collect(),
            categories: if kind.in_all { vec!["all".into()] } else { Vec::new() },
            namespaced: kind.namespaced,
            generation: kind.generation,
            versions,
            storage: 0,
            table: Arc::from(table_name(kind.group, kind.plural)),
            built_in: Some(kind),
            terminating: false,
        }
    }

    pub fn is_custom(&self) -> bool {
        self.built_in.is_none()
    }

    pub fn is_review(&self) -> bool {
        self.built_in.is_some_and(|kind| kind.review)
    }

    pub fn subject(&self) -> Subject<'_> {
        Subject { group: &self.group, plural: &self.plural, kind: &self.kind }
    }

    /// `v1` or `apps/v1`.
    pub fn api_version(&self, version: usize) -> String {
        api_version(&self.group, &self.versions[version].name)
    }

    pub fn selectable(&self) -> &'static [&'static str] {
        self.built_in.map_or(&[], |kind| kind.selectable)
    }

    /// Group and plural, as in `deployments.apps`.
    pub fn qualified_plural(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }

    pub fn is(&self, group: &str, plural: &str) -> bool {
        self.group == group && self.plural == plural
    }
}

fn deprecation(kind: &BuiltIn, version: &str) -> Option<String> {
    match (kind.group, kind.plural, version) {
        ("", "componentstatuses", _) => Some("v1 ComponentStatus is deprecated in v1.19+".into()),
        ("", "endpoints", _) => {
            Some("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice".into())
        }
        _ => None,
    }
}

pub(crate) fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

/// The served resources by group and plural.
#[derive(Debug)]
pub(crate) struct Registry {
    resources: RwLock<BTreeMap<(String, String), Arc<Resource>>>,
}

impl Registry {
    /// Only what is built in.
    pub fn built_in() -> Self {
        let resources = BUILT_IN
            .iter()
            .map(|kind| {
                ((kind.group.to_owned(), kind.plural.to_owned()), Arc::new(Resource::from_built_in(kind)))
            })
            .collect();
        Self { resources: RwLock::new(resources) }
    }

    /// The resource and the index of its version, if that version is served.
    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<(Arc<Resource>, usize)> {
        let resource = self.get(group, plural)?;
        let index = resource.versions.iter().position(|one| one.served && one.name == version)?;
        Some((resource, index))
    }

    pub fn get(&self, group: &str, plural: &str) -> Option<Arc<Resource>> {
        let resources = self.resources.read().unwrap_or_else(PoisonError::into_inner);
        resources.get(&(group.to_owned(), plural.to_owned())).map(Arc::clone)
    }

    /// Everything served, by group and plural.
    pub fn all(&self) -> Vec<Arc<Resource>> {
        let resources = self.resources.read().unwrap_or_else(PoisonError::into_inner);
        resources.values().map(Arc::clone).collect()
    }

    /// Adds or replaces a custom resource.
    pub fn insert(&self, resource: Resource) {
        let mut resources = self.resources.write().unwrap_or_else(PoisonError::into_inner);
        resources.insert((resource.group.clone(), resource.plural.clone()), Arc::new(resource));
    }

    pub fn remove(&self, group: &str, plural: &str) {
        let mut resources = self.resources.write().unwrap_or_else(PoisonError::into_inner);
        resources.remove(&(group.to_owned(), plural.to_owned()));
    }
}
