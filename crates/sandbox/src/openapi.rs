//! OpenAPI documents: version 3 by group, from the table of types and the definitions' schemas;
//! version 2 only as the empty frame that old clients ask for.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::call::{Answer, Call};
use crate::discovery::tagged;
use crate::plane::Plane;
use crate::refusal::{Refusal, Reply};
use crate::registry::{Resource, api_version};
use crate::request::accept_header;
use crate::types::{self, Field, Shape, Type};

/// Parameters that every write takes. `kubectl` looks for `fieldValidation` among them.
const WRITE_PARAMETERS: &[&str] = &["dryRun", "fieldManager", "fieldValidation", "pretty"];

const V2_PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
/// A version 2 document that says nothing but `swagger: "2.0"`, as protobuf.
const EMPTY_V2: &[u8] = b"\x0a\x032.0";

/// `/openapi/v2` and `/openapi/v3…`.
pub(crate) fn serve(plane: &Plane, call: &Call, parts: &[&str]) -> Reply<Answer> {
    match parts {
        ["openapi", "v2"] if accept_header(&call.headers).contains(V2_PROTOBUF) => {
            let mut answer = Answer::json(200, EMPTY_V2);
            answer.content_type = V2_PROTOBUF;
            Ok(answer)
        }
        ["openapi", "v2"] => Ok(tagged(
            call,
            &json!({ "swagger": "2.0", "info": { "title": "Kubernetes", "version": "v1.36.2" }, "paths": {}, "definitions": {} }),
            "application/json",
        )),
        ["openapi", "v3"] => Ok(tagged(call, &index(plane), "application/json")),
        ["openapi", "v3", "api", version] => document(plane, call, "", version),
        ["openapi", "v3", "apis", group, version] => document(plane, call, group, version),
        _ => Err(Refusal::no_such_path()),
    }
}

fn index(plane: &Plane) -> Value {
    let mut versions: BTreeSet<(String, String)> = BTreeSet::new();
    let resources = plane.registry.all();
    for resource in &resources {
        for version in resource.versions.iter().filter(|version| version.served) {
            versions.insert((resource.group.clone(), version.name.clone()));
        }
    }
    let paths: Map<String, Value> = versions
        .into_iter()
        .map(|(group, version)| {
            let path =
                if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") };
            let hash = content_hash(&resources, &group, &version);
            let url = format!("/openapi/v3/{path}?hash={hash}");
            (path, json!({ "serverRelativeURL": url }))
        })
        .collect();
    json!({ "paths": paths })
}

/// Changes whenever the document of that group version would.
fn content_hash(resources: &[Arc<Resource>], group: &str, version: &str) -> String {
    let mut digest = Sha256::new();
    digest.update(env!("CARGO_PKG_VERSION"));
    for resource in resources.iter().filter(|resource| resource.group == group) {
        digest.update(&resource.plural);
        for one in resource.versions.iter().filter(|one| one.name == version) {
            if let Some(source) = &one.schema_source {
                digest.update(source.to_string());
            }
        }
    }
    digest.finalize().iter().map(|byte| format!("{byte:02X}")).collect()
}

fn document(plane: &Plane, call: &Call, group: &str, version: &str) -> Reply<Answer> {
    let resources: Vec<Arc<Resource>> = plane
        .registry
        .all()
        .into_iter()
        .filter(|resource| {
            resource.group == group && resource.versions.iter().any(|one| one.served && one.name == version)
        })
        .collect();
    if resources.is_empty() {
        return Err(Refusal::no_such_path());
    }
    let mut paths = Map::new();
    let mut schemas = Schemas::default();
    for resource in &resources {
        add_paths(resource, version, &mut paths);
        schemas.add_resource(resource, version);
    }
    let document = json!({
        "openapi": "3.0.0", "info": { "title": "Kubernetes", "version": "v1.36.2" },
        "paths": paths, "components": { "schemas": schemas.done },
    });
    Ok(tagged(call, &document, "application/json"))
}

fn add_paths(resource: &Resource, version: &str, paths: &mut Map<String, Value>) {
    let prefix = if resource.group.is_empty() {
        format!("/api/{version}")
    } else {
        format!("/apis/{}/{version}", resource.group)
    };
    let collection = if resource.namespaced {
        format!("{prefix}/namespaces/{{namespace}}/{}", resource.plural)
    } else {
        format!("{prefix}/{}", resource.plural)
    };
    let kind = json!({ "group": resource.group, "version": version, "kind": resource.kind });
    let schema = json!({ "$ref": format!("#/components/schemas/{}", component_name(resource, version)) });
    let operation = |action: &str, writes: bool| {
        let parameters: Vec<Value> = WRITE_PARAMETERS
            .iter()
            .filter(|_| writes)
            .map(|name| json!({ "name": name, "in": "query", "schema": { "type": "string", "uniqueItems": true } }))
            .collect();
        json!({
            "tags": [resource.group], "operationId": format!("{action}{}{}", capital(version), resource.kind),
            "parameters": parameters,
            "responses": { "200": { "description": "OK", "content": { "application/json": { "schema": schema } } } },
            "x-kubernetes-action": action, "x-kubernetes-group-version-kind": kind,
        })
    };
    if resource.is_review() {
        paths.insert(collection, json!({ "post": operation("post", true) }));
        return;
    }
    paths.insert(
        collection.clone(),
        json!({ "get": operation("list", false), "post": operation("post", true), "delete": operation("deletecollection", true) }),
    );
    paths.insert(
        format!("{collection}/{{name}}"),
        json!({
            "get": operation("get", false), "put": operation("put", true),
            "patch": operation("patch", true), "delete": operation("delete", true),
        }),
    );
    let found = resource.versions.iter().find(|one| one.name == version);
    if found.is_some_and(|one| one.status) {
        paths.insert(
            format!("{collection}/{{name}}/status"),
            json!({ "get": operation("get", false), "put": operation("put", true), "patch": operation("patch", true) }),
        );
    }
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// The component that describes the kind.
fn component_name(resource: &Resource, version: &str) -> String {
    match types::of_kind(&api_version(&resource.group, version), &resource.kind) {
        Some(kind) if !resource.is_custom() => full_name(kind.name),
        _ => {
            let group: Vec<&str> = resource.group.split('.').rev().collect();
            format!("{}.{version}.{}", group.join("."), resource.kind)
        }
    }
}

/// `core.v1.Pod` is `io.k8s.api.core.v1.Pod` in full.
fn full_name(name: &str) -> String {
    match name.split_once('.') {
        Some(("meta", rest)) => format!("io.k8s.apimachinery.pkg.apis.meta.{rest}"),
        Some(("apiextensions", rest)) => {
            format!("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.{rest}")
        }
        Some(("apiregistration", rest)) => format!("io.k8s.kube-aggregator.pkg.apis.apiregistration.{rest}"),
        _ => format!("io.k8s.api.{name}"),
    }
}

/// Component schemas, each written once.
#[derive(Default)]
struct Schemas {
    done: Map<String, Value>,
}

impl Schemas {
    fn add_resource(&mut self, resource: &Resource, version: &str) {
        let name = component_name(resource, version);
        let own = json!([{ "group": resource.group, "version": version, "kind": resource.kind }]);
        let list_name = format!("{name}List");
        if resource.is_custom() {
            let source = resource
                .versions
                .iter()
                .find(|one| one.name == version)
                .and_then(|one| one.schema_source.clone());
            let mut schema =
                source.map(|source| Value::clone(&source)).unwrap_or_else(|| json!({ "type": "object" }));
            let properties = crate::document::map_at(&mut schema, "properties");
            properties.insert("apiVersion".into(), json!({ "type": "string" }));
            properties.insert("kind".into(), json!({ "type": "string" }));
            properties.insert("metadata".into(), self.reference("meta.v1.ObjectMeta"));
            self.done.insert(name.clone(), schema);
        } else if let Some(kind) = types::of_kind(&api_version(&resource.group, version), &resource.kind) {
            self.add_type(kind);
        }
        if let Some(schema) = self.done.get_mut(&name) {
            schema["x-kubernetes-group-version-kind"] = own;
        }
        if resource.is_review() {
            return;
        }
        let metadata = self.reference("meta.v1.ListMeta");
        let list = json!({
            "type": "object", "required": ["items"],
            "properties": {
                "apiVersion": { "type": "string" }, "kind": { "type": "string" }, "metadata": metadata,
                "items": { "type": "array", "items": { "allOf": [{ "$ref": format!("#/components/schemas/{name}") }] } },
            },
            "x-kubernetes-group-version-kind": [{ "group": resource.group, "version": version, "kind": resource.list_kind }],
        });
        self.done.insert(list_name, list);
    }

    fn reference(&mut self, name: &str) -> Value {
        if let Some(kind) = types::named(name) {
            self.add_type(kind);
        }
        json!({ "allOf": [{ "$ref": format!("#/components/schemas/{}", full_name(name)) }] })
    }

    fn add_type(&mut self, kind: &'static Type) {
        let name = full_name(kind.name);
        if self.done.contains_key(&name) {
            return;
        }
        // Types that contain themselves find the name taken.
        self.done.insert(name.clone(), Value::Null);
        let mut properties = Map::new();
        for field in &kind.fields {
            properties.insert(field.name.to_owned(), self.field_schema(field));
        }
        let required: Vec<&str> =
            kind.fields.iter().filter(|field| field.required).map(|field| field.name).collect();
        let mut schema = json!({ "type": "object", "properties": properties });
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        if kind.atomic {
            schema["x-kubernetes-map-type"] = json!("atomic");
        }
        self.done.insert(name, schema);
    }

    fn field_schema(&mut self, field: &Field) -> Value {
        let mut schema = self.shape_schema(&field.shape);
        if let Some(key) = field.merge_key {
            schema["x-kubernetes-patch-merge-key"] = json!(key);
        }
        let strategy: Vec<&str> = [(field.merges, "merge"), (field.retains_keys, "retainKeys")]
            .iter()
            .filter(|(on, _)| *on)
            .map(|(_, name)| *name)
            .collect();
        if !strategy.is_empty() {
            schema["x-kubernetes-patch-strategy"] = json!(strategy.join(","));
        }
        if let Some(kind) = field.list_type {
            schema["x-kubernetes-list-type"] = json!(kind);
        }
        if !field.list_keys.is_empty() {
            schema["x-kubernetes-list-map-keys"] = json!(field.list_keys);
        }
        if field.atomic {
            schema["x-kubernetes-map-type"] = json!("atomic");
        }
        if let Some(default) = &field.default {
            schema["default"] = default.clone();
        }
        schema
    }

    fn shape_schema(&mut self, shape: &Shape) -> Value {
        let scalar = |name: &str, schema: Value, done: &mut Map<String, Value>| {
            done.entry(name).or_insert(schema);
            json!({ "allOf": [{ "$ref": format!("#/components/schemas/{name}") }] })
        };
        match shape {
            Shape::String => json!({ "type": "string" }),
            Shape::Bytes => json!({ "type": "string", "format": "byte" }),
            Shape::Int32 => json!({ "type": "integer", "format": "int32" }),
            Shape::Int64 => json!({ "type": "integer", "format": "int64" }),
            Shape::Double => json!({ "type": "number", "format": "double" }),
            Shape::Bool => json!({ "type": "boolean" }),
            Shape::Any => json!({ "type": "object" }),
            Shape::Time => scalar(
                "io.k8s.apimachinery.pkg.apis.meta.v1.Time",
                json!({ "type": "string", "format": "date-time" }),
                &mut self.done,
            ),
            Shape::MicroTime => scalar(
                "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime",
                json!({ "type": "string", "format": "date-time" }),
                &mut self.done,
            ),
            Shape::Quantity => scalar(
                "io.k8s.apimachinery.pkg.api.resource.Quantity",
                json!({ "oneOf": [{ "type": "string" }, { "type": "number" }] }),
                &mut self.done,
            ),
            Shape::IntOrString => scalar(
                "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
                json!({ "format": "int-or-string", "oneOf": [{ "type": "integer" }, { "type": "string" }] }),
                &mut self.done,
            ),
            Shape::List(item) => json!({ "type": "array", "items": self.shape_schema(item) }),
            Shape::Map(value) => {
                json!({ "type": "object", "additionalProperties": self.shape_schema(value) })
            }
            Shape::Type(name) => self.reference(name),
        }
    }
}
