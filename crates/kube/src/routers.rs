//! Where the shell meets the routers: their kinds of objects among the kinds it follows.

use glidepath_api::Rollout;
use glidepath_core::traffic::RouterKind;
use glidepath_traffic::{ObjectKind, ObjectRef};

use crate::object::ObjectKey;
use crate::references::Reference;
use crate::resource::Kind;

/// The followed kind that a router's kind is.
#[must_use]
pub const fn followed(kind: ObjectKind) -> Kind {
    match kind {
        ObjectKind::VirtualService => Kind::VirtualService,
        ObjectKind::DestinationRule => Kind::DestinationRule,
        ObjectKind::HttpRoute => Kind::HttpRoute,
        ObjectKind::GrpcRoute => Kind::GrpcRoute,
        ObjectKind::TcpRoute => Kind::TcpRoute,
        ObjectKind::TlsRoute => Kind::TlsRoute,
        ObjectKind::Ingress => Kind::Ingress,
    }
}

/// A router's object as a reference to something followed.
#[must_use]
pub fn reference(object: &ObjectRef) -> Reference {
    Reference { kind: followed(object.kind), key: ObjectKey::new(&object.namespace, &object.name) }
}

/// The objects that one router of a Rollout looks at.
#[must_use]
pub fn objects_of(rollout: &Rollout, router: &RouterKind) -> Vec<ObjectRef> {
    let routers = glidepath_traffic::routers(rollout);
    routers.into_iter().find(|(kind, _)| kind == router).map(|(_, objects)| objects).unwrap_or_default()
}
