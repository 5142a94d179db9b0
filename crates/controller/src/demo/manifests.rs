//! The objects of the story, from the YAML files next to this one.

use serde_json::{Value, json};

/// The namespace of everything in the story.
pub(crate) const NAMESPACE: &str = "demo";
/// The Rollout that goes step by step.
pub(crate) const WEB: &str = "web";
/// The Rollout that is switched.
pub(crate) const SHOP: &str = "shop";
/// The Service of the version on trial.
pub(crate) const CANARY_SERVICE: &str = "web-canary";

const WEB_YAML: &str = include_str!("manifests/web.yaml");
const SHOP_YAML: &str = include_str!("manifests/shop.yaml");
const WEB_GATE_YAML: &str = include_str!("manifests/gate-web.yaml");
const PROMETHEUS_GATE_YAML: &str = include_str!("manifests/gate-prometheus.yaml");

/// Who says how the canary does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    /// The data plane's admin address, as `host:port`.
    Web {
        /// The address.
        admin: String,
    },
    /// A Prometheus server at this URL.
    Prometheus {
        /// The URL.
        url: String,
    },
}

/// The canary's objects with its gate.
///
/// # Errors
/// If a file of this program is not YAML, which its tests rule out.
pub(crate) fn render_web(gate: &Gate) -> Result<Vec<Value>, String> {
    let gate = match gate {
        Gate::Web { admin } => WEB_GATE_YAML.replace("${ADMIN}", admin),
        Gate::Prometheus { url } => PROMETHEUS_GATE_YAML.replace("${PROMETHEUS}", url),
    };
    let mut objects = parse_documents(WEB_YAML)?;
    // The Rollout comes last, so that everything it names is there.
    let at = objects.len().saturating_sub(1);
    objects.splice(at..at, parse_documents(&gate)?);
    Ok(objects)
}

/// The blue-green service's objects; `proxy` is the data plane's address as `host:port`.
///
/// # Errors
/// If a file of this program is not YAML, which its tests rule out.
pub(crate) fn render_shop(proxy: &str) -> Result<Vec<Value>, String> {
    parse_documents(&SHOP_YAML.replace("${PROXY}", proxy))
}

/// A merge patch that moves a Rollout's container to another version.
pub(crate) fn render_image_patch(rollout: &str, version: &str) -> Value {
    // Lists are replaced whole by a merge patch, so the container is written out.
    let container = json!({
        "name": rollout, "image": format!("demo-web:{version}"),
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 1},
    });
    json!({"spec": {"template": {"spec": {"containers": [container]}}}})
}

/// Reads a file of YAML documents, empty ones left out.
///
/// # Errors
/// Where it is not YAML.
pub(crate) fn parse_documents(text: &str) -> Result<Vec<Value>, String> {
    glidepath_gocompat::yaml::parse_documents(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(objects: &[Value]) -> Vec<&str> {
        objects.iter().filter_map(|object| object["kind"].as_str()).collect()
    }

    #[test]
    fn every_file_is_read_and_what_a_rollout_names_comes_before_it() {
        let web = render_web(&Gate::Web { admin: "127.0.0.1:9".to_owned() }).unwrap();
        let expected = [
            "Namespace",
            "GatewayClass",
            "Gateway",
            "Service",
            "Service",
            "HTTPRoute",
            "AnalysisTemplate",
            "Rollout",
        ];
        assert_eq!(kinds(&web), expected);
        let url = &web[6]["spec"]["metrics"][0]["provider"]["web"]["url"];
        assert_eq!(url, "http://127.0.0.1:9/stats/recent?backend=web-canary&seconds=5");
        let shop = render_shop("127.0.0.1:8").unwrap();
        let expected = ["Service", "Service", "HTTPRoute", "HTTPRoute", "AnalysisTemplate", "Rollout"];
        assert_eq!(kinds(&shop), expected);
        assert_eq!(shop[4]["spec"]["metrics"][0]["provider"]["web"]["url"], "http://127.0.0.1:8/");
    }

    #[test]
    fn the_prometheus_gate_asks_prometheus() {
        let web = render_web(&Gate::Prometheus { url: "http://127.0.0.1:7".to_owned() }).unwrap();
        let metric = &web[6]["spec"]["metrics"][0];
        assert_eq!(metric["provider"]["prometheus"]["address"], "http://127.0.0.1:7");
        assert_eq!(metric["successCondition"], "result[0] < 0.01");
    }

    #[test]
    fn a_new_version_changes_only_the_image() {
        for (objects, name) in [
            (render_web(&Gate::Web { admin: String::new() }).unwrap(), WEB),
            (render_shop("").unwrap(), SHOP),
        ] {
            let mut before = objects.last().unwrap()["spec"]["template"]["spec"]["containers"].clone();
            let after = render_image_patch(name, "2")["spec"]["template"]["spec"]["containers"].clone();
            assert_eq!(before[0]["image"], "demo-web:1");
            before[0]["image"] = json!("demo-web:2");
            assert_eq!(before, after);
        }
    }
}
