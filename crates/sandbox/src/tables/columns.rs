//! The columns of the built-in kinds.

const NAME_AND_AGE: &str = "Name*|Age";
const NAME_AND_CREATION: &str = "Name*|Created At@";

/// The columns of a kind, in the short form that `parse_column` reads.
pub(super) fn of(plural: &str) -> &'static str {
    match plural {
        "configmaps" => "Name*|Data|Age",
        "endpoints" => "Name*|Endpoints|Age",
        "events" => "Last Seen|Type|Reason|Object|Subobject+|Source+|Message|First Seen+|Count+|Name*+",
        "namespaces" => "Name*|Status|Age",
        "nodes" => {
            "Name*|Status|Roles|Age|Version|Internal-IP+|External-IP+|OS-Image+|Kernel-Version+|Container-Runtime+"
        }
        "persistentvolumeclaims" => {
            "Name*|Status|Volume|Capacity|Access Modes|StorageClass|VolumeAttributesClass|Age|VolumeMode+"
        }
        "persistentvolumes" => {
            "Name*|Capacity|Access Modes|Reclaim Policy|Status|Claim|StorageClass|VolumeAttributesClass|Reason|Age|VolumeMode+"
        }
        "pods" => "Name*|Ready|Status|Restarts|Age|IP+|Node+|Nominated Node+|Readiness Gates+",
        "podtemplates" => "Name*|Containers|Images|Pod Labels",
        "replicationcontrollers" | "replicasets" => {
            "Name*|Desired#|Current#|Ready#|Age|Containers+|Images+|Selector+"
        }
        "resourcequotas" => "Name*|Request|Limit|Age",
        "secrets" => "Name*|Type|Data|Age",
        "serviceaccounts" => NAME_AND_AGE,
        "services" => "Name*|Type|Cluster-IP|External-IP|Port(s)|Age|Selector+",
        "mutatingwebhookconfigurations" | "validatingwebhookconfigurations" => "Name*|Webhooks#|Age",
        "controllerrevisions" => "Name*|Controller|Revision|Age",
        "daemonsets" => {
            "Name*|Desired#|Current#|Ready#|Up-to-date#|Available#|Node Selector|Age|Containers+|Images+|Selector+"
        }
        "deployments" => "Name*|Ready|Up-to-date|Available|Age|Containers+|Images+|Selector+",
        "statefulsets" => "Name*|Ready|Age|Containers+|Images+",
        "horizontalpodautoscalers" => "Name*|Reference|Targets|MinPods|MaxPods|Replicas|Age",
        "cronjobs" => {
            "Name*|Schedule|Timezone|Suspend?|Active#|Last Schedule|Age|Containers+|Images+|Selector+"
        }
        "jobs" => "Name*|Status|Completions|Duration|Age|Containers+|Images+|Selector+",
        "leases" => "Name*|Holder|Age",
        "endpointslices" => "Name*|AddressType|Ports|Endpoints|Age",
        "ingressclasses" => "Name*|Controller|Parameters|Age",
        "ingresses" => "Name*|Class|Hosts|Address|Ports|Age",
        "networkpolicies" => "Name*|Pod-Selector|Age",
        "runtimeclasses" => "Name*|Handler|Age",
        "poddisruptionbudgets" => "Name*|Min Available|Max Unavailable|Allowed Disruptions#|Age",
        "clusterrolebindings" | "rolebindings" => "Name*|Role|Age|Users+|Groups+|ServiceAccounts+",
        "priorityclasses" => "Name*|Value#|Global-Default?|Age|PreemptionPolicy",
        "storageclasses" => "Name*|Provisioner|ReclaimPolicy|VolumeBindingMode|AllowVolumeExpansion|Age",
        _ => NAME_AND_CREATION,
    }
}
