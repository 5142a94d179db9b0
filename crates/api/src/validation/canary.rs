//! Rules for the canary strategy outside its steps.

use super::field_error::FieldError;
use super::steps::validate_steps;
use super::{STRATEGY, validate_anti_affinity, validate_fencepost};
use crate::meta::IntOrString;
use crate::rollout::{CanaryStrategy, PingPongSpec, Rollout, RolloutTrafficRouting};

pub(super) fn validate_canary(rollout: &Rollout, canary: &CanaryStrategy) -> Result<(), FieldError> {
    validate_fenceposts(rollout, canary)?;
    if !canary.canary_service.is_empty() && canary.canary_service == canary.stable_service {
        return Err(FieldError::invalid(
            &format!("{STRATEGY}.stableService"),
            &canary.stable_service,
            "This rollout uses the same service for the stable and canary services, but two different services \
             are required.",
        ));
    }
    if let Some(ping_pong) = &canary.ping_pong {
        validate_ping_pong(ping_pong, canary.traffic_routing.as_ref())?;
    }
    if needs_services(canary) {
        for (field, service) in
            [("stableService", &canary.stable_service), ("canaryService", &canary.canary_service)]
        {
            if service.is_empty() {
                return Err(FieldError::invalid(
                    &format!("{STRATEGY}.{field}"),
                    service,
                    "Canary service and Stable service must to be set to use Traffic Routing",
                ));
            }
        }
    }
    validate_delays(canary)?;
    validate_steps(rollout, canary)?;
    validate_anti_affinity(canary.anti_affinity.as_ref())
}

fn validate_fenceposts(rollout: &Rollout, canary: &CanaryStrategy) -> Result<(), FieldError> {
    let surge = rollout.max_surge_setting();
    if bare_number(&surge) == 0 && bare_number(&rollout.max_unavailable_setting()) == 0 {
        return Err(FieldError::invalid(
            &format!("{STRATEGY}.maxSurge"),
            &surge,
            "MaxSurge and MaxUnavailable both can not be zero",
        ));
    }
    validate_fencepost(canary.max_surge.as_ref(), "maxSurge")?;
    validate_fencepost(canary.max_unavailable.as_ref(), "maxUnavailable")
}

/// The number before a percent sign, or the number itself; 0 for any other text.
fn bare_number(setting: &IntOrString) -> i32 {
    match setting {
        IntOrString::Int(number) => *number,
        IntOrString::Str(text) => match text.strip_suffix('%') {
            Some(digits) if digits.chars().all(|c| c.is_ascii_digit()) => digits.parse().unwrap_or(0),
            _ => text.parse().unwrap_or(0),
        },
    }
}

fn validate_ping_pong(
    ping_pong: &PingPongSpec,
    routing: Option<&RolloutTrafficRouting>,
) -> Result<(), FieldError> {
    let invalid = |field: &str, value: &str, detail: &str| {
        Err(FieldError::invalid(&format!("{STRATEGY}.{field}"), &value, detail))
    };
    if let Some(routing) = routing
        && routing.alb.is_none()
        && routing.istio.is_none()
        && routing.plugins.is_empty()
    {
        return Err(FieldError::invalid(
            &format!("{STRATEGY}.trafficRouting.alb"),
            &(),
            "Ping-pong feature works with the ALB, Istio, and plugin-based traffic routers only",
        ));
    }
    let both = "Ping service and Pong service must to be set to use Ping-Pong feature";
    if ping_pong.ping_service.is_empty() {
        return invalid("pingPong.pingService", "", both);
    }
    if ping_pong.pong_service.is_empty() {
        return invalid("pingPong.pongService", "", both);
    }
    if ping_pong.ping_service == ping_pong.pong_service {
        return invalid(
            "pingPong.pingService",
            &ping_pong.ping_service,
            "This rollout uses the same service for the ping and pong services, but two different services are \
             required.",
        );
    }
    match routing.and_then(|routing| routing.alb.as_ref()) {
        Some(alb) if alb.root_service.is_empty() => invalid(
            "trafficRouting.alb.rootService",
            "",
            "Root service field is required for the configuration with ALB and ping-pong feature enabled",
        ),
        _ => Ok(()),
    }
}

/// Whether a router of this rollout works through a canary and a stable Service.
fn needs_services(canary: &CanaryStrategy) -> bool {
    let Some(routing) = &canary.traffic_routing else { return false };
    let swapping = canary.ping_pong.is_some();
    let istio_by_host = routing.istio.as_ref().is_some_and(|istio| istio.destination_rule.is_none());
    ((routing.alb.is_some() || istio_by_host) && !swapping)
        || routing.smi.is_some()
        || routing.apisix.is_some()
        || routing.ambassador.is_some()
        || routing.nginx.is_some()
        || routing.app_mesh.is_some()
        || routing.traefik.is_some()
}

fn validate_delays(canary: &CanaryStrategy) -> Result<(), FieldError> {
    let dynamic =
        |detail: &str| FieldError::invalid(&format!("{STRATEGY}.dynamicStableScale"), &true, detail);
    let Some(routing) = &canary.traffic_routing else {
        if let Some(seconds) = canary.scale_down_delay_seconds {
            let detail = "Canary scaleDownDelaySeconds can only be used with traffic routing";
            return Err(FieldError::invalid(&format!("{STRATEGY}.scaleDownDelaySeconds"), &seconds, detail));
        }
        if canary.dynamic_stable_scale {
            return Err(dynamic("Canary dynamicStableScale can only be used with traffic routing"));
        }
        return Ok(());
    };
    if canary.scale_down_delay_seconds.is_some() && canary.dynamic_stable_scale {
        return Err(dynamic("Canary dynamicStableScale cannot be used with scaleDownDelaySeconds"));
    }
    match routing.max_traffic_weight {
        Some(weight) if routing.nginx.is_none() && routing.plugins.is_empty() => Err(FieldError::invalid(
            &format!("{STRATEGY}.trafficRouting.maxTrafficWeight"),
            &weight,
            "Canary maxTrafficWeight in traffic routing only supported in Nginx and Plugins",
        )),
        _ => Ok(()),
    }
}
