//! What a field means when it is not set. Only `spec.replicas` is ever written back;
//! everything else is read through these functions.

use crate::analysis::Metric;
use crate::experiment::{Experiment, TemplateSpec};
use crate::meta::IntOrString;
use crate::rollout::{
    AnalysisRunStrategy, BlueGreenStrategy, CanaryStrategy, PingPongType, Rollout, RolloutExperimentTemplate,
    RolloutPause, RolloutTrafficRouting,
};

/// Pods when `replicas` is not set.
pub const DEFAULT_REPLICAS: i32 = 1;
/// Old ReplicaSets to keep.
pub const DEFAULT_REVISION_HISTORY_LIMIT: i32 = 10;
/// Finished runs to keep, of each outcome.
pub const DEFAULT_RUN_HISTORY_LIMIT: i32 = 5;
/// Seconds without progress until a rollout counts as stuck.
pub const DEFAULT_PROGRESS_DEADLINE_SECONDS: i32 = 600;
/// Seconds an old set stays after the switch.
pub const DEFAULT_SCALE_DOWN_DELAY_SECONDS: i32 = 30;
/// Seconds a new set stays after an abort.
pub const DEFAULT_ABORT_SCALE_DOWN_DELAY_SECONDS: i32 = 30;
/// `maxSurge` and `maxUnavailable`: a bare number in a text is a percentage.
pub const DEFAULT_FENCEPOST: &str = "25";
/// What traffic weights add up to.
pub const DEFAULT_MAX_WEIGHT: i32 = 100;
/// Errors in a row a metric survives.
pub const DEFAULT_CONSECUTIVE_ERROR_LIMIT: i32 = 4;
/// Prefix of ingress-nginx annotations.
pub const DEFAULT_NGINX_ANNOTATION_PREFIX: &str = "nginx.ingress.kubernetes.io";
/// Prefix of AWS load balancer annotations.
pub const DEFAULT_ALB_ANNOTATION_PREFIX: &str = "alb.ingress.kubernetes.io";

impl Rollout {
    /// Wanted pods.
    #[must_use]
    pub fn replicas(&self) -> i32 {
        self.spec.replicas.unwrap_or(DEFAULT_REPLICAS)
    }

    /// Old ReplicaSets to keep.
    #[must_use]
    pub fn revision_history_limit(&self) -> i32 {
        self.spec.revision_history_limit.unwrap_or(DEFAULT_REVISION_HISTORY_LIMIT)
    }

    /// Seconds without progress until the rollout counts as stuck.
    #[must_use]
    pub fn progress_deadline_seconds(&self) -> i32 {
        self.spec.progress_deadline_seconds.unwrap_or(DEFAULT_PROGRESS_DEADLINE_SECONDS)
    }

    /// Successful runs to keep.
    #[must_use]
    pub fn successful_run_history_limit(&self) -> i32 {
        self.run_history(|limits| limits.successful_run_history_limit)
    }

    /// Unsuccessful runs to keep.
    #[must_use]
    pub fn unsuccessful_run_history_limit(&self) -> i32 {
        self.run_history(|limits| limits.unsuccessful_run_history_limit)
    }

    fn run_history(&self, limit: impl Fn(&AnalysisRunStrategy) -> Option<i32>) -> i32 {
        self.spec.analysis.as_ref().and_then(limit).unwrap_or(DEFAULT_RUN_HISTORY_LIMIT)
    }

    /// Revisions back that a rollback may skip the steps for; 0 when off.
    #[must_use]
    pub fn rollback_window_revisions(&self) -> i32 {
        self.spec.rollback_window.as_ref().map_or(0, |window| window.revisions)
    }

    /// The blue-green strategy, if that is the one.
    #[must_use]
    pub fn blue_green(&self) -> Option<&BlueGreenStrategy> {
        self.spec.strategy.blue_green.as_ref()
    }

    /// The canary strategy, if that is the one.
    #[must_use]
    pub fn canary(&self) -> Option<&CanaryStrategy> {
        self.spec.strategy.canary.as_ref()
    }

    /// Traffic routing of the canary strategy ("TR" in the rows).
    #[must_use]
    pub fn traffic_routing(&self) -> Option<&RolloutTrafficRouting> {
        self.canary()?.traffic_routing.as_ref()
    }

    /// Ping and pong, the canary's side first: they change places with each promotion.
    #[must_use]
    pub fn ping_pong_services(&self) -> Option<(&str, &str)> {
        let pair = self.canary()?.ping_pong.as_ref()?;
        let (ping, pong) = (pair.ping_service.as_str(), pair.pong_service.as_str());
        let ping_is_stable = self.status.canary.stable_ping_pong == Some(PingPongType::Ping);
        Some(if ping_is_stable { (pong, ping) } else { (ping, pong) })
    }

    /// The Services routers name, the canary's first: ping and pong count only where neither of the other two is set
    /// (R-612, T-091, T-807).
    #[must_use]
    pub fn traffic_services(&self) -> Option<(&str, &str)> {
        let canary = self.canary()?;
        let set = (canary.canary_service.as_str(), canary.stable_service.as_str());
        if set == ("", "") { self.ping_pong_services().or(Some(set)) } else { Some(set) }
    }

    /// What the traffic weights add up to (`M` in the rows).
    #[must_use]
    pub fn max_weight(&self) -> i32 {
        self.traffic_routing().and_then(|routing| routing.max_traffic_weight).unwrap_or(DEFAULT_MAX_WEIGHT)
    }

    /// Seconds an old set stays after the switch; 0 without traffic routing.
    #[must_use]
    pub fn scale_down_delay_seconds(&self) -> i32 {
        if self.traffic_routing().is_some() {
            return self
                .canary()
                .and_then(|canary| canary.scale_down_delay_seconds)
                .unwrap_or(DEFAULT_SCALE_DOWN_DELAY_SECONDS);
        }
        self.blue_green().map_or(0, |blue_green| {
            blue_green.scale_down_delay_seconds.unwrap_or(DEFAULT_SCALE_DOWN_DELAY_SECONDS)
        })
    }

    /// Old sets that may wait for their delay at once.
    #[must_use]
    pub fn scale_down_delay_revision_limit(&self) -> i32 {
        let blue_green = self.blue_green().and_then(|strategy| strategy.scale_down_delay_revision_limit);
        let canary = self.canary().and_then(|strategy| strategy.scale_down_delay_revision_limit);
        blue_green.or(canary).unwrap_or(i32::MAX)
    }

    /// Seconds a new set stays after an abort; `None` keeps it for good. 0 for a basic canary.
    #[must_use]
    pub fn abort_scale_down_delay_seconds(&self) -> Option<i32> {
        if self.blue_green().is_none() && self.traffic_routing().is_none() {
            return Some(0);
        }
        match self.abort_scale_down_delay_as_set() {
            Some(0) => None,
            Some(seconds) => Some(seconds),
            None => Some(DEFAULT_ABORT_SCALE_DOWN_DELAY_SECONDS),
        }
    }

    /// The delay after an abort exactly as set, where it has an effect at all.
    #[must_use]
    pub fn abort_scale_down_delay_as_set(&self) -> Option<i32> {
        match self.blue_green() {
            Some(blue_green) => blue_green.abort_scale_down_delay_seconds,
            None => self
                .canary()
                .filter(|canary| canary.traffic_routing.is_some())
                .and_then(|canary| canary.abort_scale_down_delay_seconds),
        }
    }

    /// Whether a delay after an abort was asked for by number, 0 excepted.
    #[must_use]
    pub fn has_explicit_abort_scale_down_delay(&self) -> bool {
        self.abort_scale_down_delay_as_set().is_some_and(|seconds| seconds != 0)
    }

    /// Whether blue-green promotes without a person.
    #[must_use]
    pub fn auto_promotion_enabled(&self) -> bool {
        self.blue_green().and_then(|blue_green| blue_green.auto_promotion_enabled).unwrap_or(true)
    }

    /// `maxSurge` as set, or its default.
    #[must_use]
    pub fn max_surge_setting(&self) -> IntOrString {
        let set = self.canary().and_then(|canary| canary.max_surge.clone());
        set.unwrap_or_else(|| DEFAULT_FENCEPOST.into())
    }

    /// `maxUnavailable` as set, or its default.
    #[must_use]
    pub fn max_unavailable_setting(&self) -> IntOrString {
        let blue_green = self.blue_green().and_then(|strategy| strategy.max_unavailable.clone());
        let canary = || self.canary().and_then(|strategy| strategy.max_unavailable.clone());
        blue_green.or_else(canary).unwrap_or_else(|| DEFAULT_FENCEPOST.into())
    }

    /// Pods that may exist beyond the wanted ones; 0 for blue-green.
    #[must_use]
    pub fn max_surge(&self) -> i32 {
        if self.canary().is_none() {
            return 0;
        }
        resolve_fenceposts(&self.max_surge_setting(), &self.max_unavailable_setting(), self.replicas()).surge
    }

    /// Pods that may be missing.
    #[must_use]
    pub fn max_unavailable(&self) -> i32 {
        let replicas = self.replicas();
        let setting = self.max_unavailable_setting();
        if self.canary().is_some() {
            return resolve_fenceposts(&self.max_surge_setting(), &setting, replicas).unavailable;
        }
        scaled(&setting, replicas, Rounding::Down).unwrap_or(0).min(replicas)
    }

    /// Prefix of the nginx annotations to write.
    #[must_use]
    pub fn nginx_annotation_prefix(&self) -> &str {
        let set = self.traffic_routing().and_then(|routing| routing.nginx.as_ref());
        match set.map(|nginx| nginx.annotation_prefix.as_str()) {
            Some(prefix) if !prefix.is_empty() => prefix,
            _ => DEFAULT_NGINX_ANNOTATION_PREFIX,
        }
    }
}

impl Experiment {
    /// Seconds a version may take to become available.
    #[must_use]
    pub fn progress_deadline_seconds(&self) -> i32 {
        self.spec.progress_deadline_seconds.unwrap_or(DEFAULT_PROGRESS_DEADLINE_SECONDS)
    }

    /// Seconds the pods stay after the end.
    #[must_use]
    pub fn scale_down_delay_seconds(&self) -> i32 {
        self.spec.scale_down_delay_seconds.unwrap_or(DEFAULT_SCALE_DOWN_DELAY_SECONDS)
    }
}

impl TemplateSpec {
    /// Wanted pods.
    #[must_use]
    pub fn replicas(&self) -> i32 {
        self.replicas.unwrap_or(DEFAULT_REPLICAS)
    }
}

impl RolloutPause {
    /// Seconds to wait: 0 when no duration is given, negative when it is malformed or negative.
    ///
    /// A text of digits is seconds, any other a Go duration cut to whole seconds. What does not fit into 32 bits
    /// comes out negative, as it does in the reference.
    #[must_use]
    pub fn duration_seconds(&self) -> i32 {
        match &self.duration {
            None => 0,
            Some(IntOrString::Int(seconds)) => *seconds,
            Some(IntOrString::Str(text)) => text.parse().unwrap_or_else(|_| {
                let nanoseconds = glidepath_gocompat::duration::parse(text);
                nanoseconds.map_or(-1, |ns| i32::try_from(ns / 1_000_000_000).unwrap_or(i32::MIN))
            }),
        }
    }
}

impl RolloutExperimentTemplate {
    /// Wanted pods.
    #[must_use]
    pub fn replicas(&self) -> i32 {
        self.replicas.unwrap_or(DEFAULT_REPLICAS)
    }
}

impl Metric {
    /// Errors in a row the metric survives.
    #[must_use]
    pub fn consecutive_error_limit(&self) -> i32 {
        self.consecutive_error_limit.as_ref().map_or(DEFAULT_CONSECUTIVE_ERROR_LIMIT, IntOrString::int_value)
    }
}

/// How far a rolling update may leave the wanted size, in pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fenceposts {
    /// Pods that may be too many.
    pub surge: i32,
    /// Pods that may be missing.
    pub unavailable: i32,
}

/// Resolves `maxSurge` and `maxUnavailable` of a canary.
///
/// When either is malformed both are 0, which stops the update (B-18); validation refuses that beforehand.
#[must_use]
pub fn resolve_fenceposts(
    max_surge: &IntOrString,
    max_unavailable: &IntOrString,
    replicas: i32,
) -> Fenceposts {
    if replicas == 0 {
        return Fenceposts::default();
    }
    let (Some(surge), Some(unavailable)) =
        (scaled(max_surge, replicas, Rounding::Up), scaled(max_unavailable, replicas, Rounding::Down))
    else {
        return Fenceposts::default();
    };
    // Rounding can leave no room at all; then one pod may be missing, or the update could never move.
    let unavailable = if surge == 0 && unavailable == 0 { 1 } else { unavailable };
    Fenceposts { surge, unavailable: unavailable.min(replicas) }
}

#[derive(Clone, Copy)]
enum Rounding {
    Up,
    Down,
}

/// A number as it is, a text as a percentage of the total whether or not it says `%`. `None` when malformed.
fn scaled(setting: &IntOrString, total: i32, rounding: Rounding) -> Option<i32> {
    match setting {
        IntOrString::Int(number) => Some(*number),
        IntOrString::Str(text) => {
            let percent: i64 = text.replace('%', "").parse().ok()?;
            let hundredths = percent.checked_mul(i64::from(total))?;
            let pods = match rounding {
                Rounding::Up => hundredths.div_euclid(100) + i64::from(hundredths.rem_euclid(100) != 0),
                Rounding::Down => hundredths.div_euclid(100),
            };
            i32::try_from(pods).ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Fenceposts, resolve_fenceposts};
    use crate::meta::IntOrString;
    use crate::rollout::Rollout;

    fn setting(text: &str) -> IntOrString {
        match text.strip_prefix('"') {
            Some(quoted) => quoted.trim_end_matches('"').into(),
            None => text.parse::<i32>().map_or_else(|_| text.into(), IntOrString::Int),
        }
    }

    #[test]
    fn fenceposts_resolve_as_the_examples_say() {
        for (row, surge, unavailable, replicas, want) in [
            ("E-01", "25%", "25%", 1, (1, 0)),
            ("E-02", "25%", "25%", 3, (1, 0)),
            ("E-03", "25%", "25%", 5, (2, 1)),
            ("E-04", "25%", "25%", 10, (3, 2)),
            ("E-05", "1%", "0%", 10, (1, 0)),
            ("E-06", "0%", "1%", 10, (0, 1)),
            ("E-07", "0", "10%", 5, (0, 1)),
            ("E-08", "\"2\"", "\"2\"", 10, (1, 0)),
            ("E-09", "0", "15", 10, (0, 10)),
            ("E-10", "25%", "25%", 0, (0, 0)),
            ("B-18", "many", "25%", 10, (0, 0)),
            ("B-18", "25%", "", 10, (0, 0)),
            ("R-330 surge is not capped", "15", "0", 10, (15, 0)),
        ] {
            let got = resolve_fenceposts(&setting(surge), &setting(unavailable), replicas);
            assert_eq!(got, Fenceposts { surge: want.0, unavailable: want.1 }, "{row}");
        }
    }

    fn rollout(spec: serde_json::Value) -> Rollout {
        serde_json::from_value(json!({ "spec": spec })).unwrap()
    }

    #[test]
    fn blue_green_has_no_surge_and_no_correction_when_both_are_zero() {
        let ro = rollout(json!({"replicas": 3, "strategy": {"blueGreen": {"activeService": "a"}}}));
        assert_eq!((ro.max_surge(), ro.max_unavailable()), (0, 0), "R-330");
    }

    #[test]
    fn delays_depend_on_the_strategy() {
        let basic = json!({"strategy": {"canary": {"scaleDownDelaySeconds": 7}}});
        let routed = json!({"strategy": {"canary": {"trafficRouting": {}}}});
        let routed_set = json!({"strategy": {"canary": {"trafficRouting": {}, "scaleDownDelaySeconds": 7,
            "abortScaleDownDelaySeconds": 9}}});
        let kept = json!({"strategy": {"canary": {"trafficRouting": {}, "abortScaleDownDelaySeconds": 0}}});
        let blue_green = json!({"strategy": {"blueGreen": {"activeService": "a"}}});
        for (row, spec, delay, abort_delay, explicit) in [
            ("R-068 basic", basic, 0, Some(0), false),
            ("R-068", routed, 30, Some(30), false),
            ("R-070 set", routed_set, 7, Some(9), true),
            ("R-070 zero", kept, 30, None, false),
            ("R-046", blue_green, 30, Some(30), false),
        ] {
            let ro = rollout(spec);
            assert_eq!(ro.scale_down_delay_seconds(), delay, "{row}");
            assert_eq!(ro.abort_scale_down_delay_seconds(), abort_delay, "{row}");
            assert_eq!(ro.has_explicit_abort_scale_down_delay(), explicit, "{row}");
        }
    }

    #[test]
    fn an_empty_rollout_has_the_documented_defaults() {
        let ro = rollout(json!({"strategy": {"canary": {}}}));
        assert_eq!(ro.replicas(), 1, "R-020");
        assert_eq!(ro.revision_history_limit(), 10, "R-025");
        assert_eq!(ro.progress_deadline_seconds(), 600, "R-027");
        assert_eq!((ro.successful_run_history_limit(), ro.unsuccessful_run_history_limit()), (5, 5), "R-031");
        assert_eq!(ro.rollback_window_revisions(), 0, "R-030");
        assert_eq!(ro.scale_down_delay_revision_limit(), i32::MAX, "R-047");
        assert_eq!(ro.max_weight(), 100);
        assert!(ro.auto_promotion_enabled(), "R-043");
        assert_eq!(
            (ro.max_surge_setting(), ro.max_unavailable_setting()),
            (IntOrString::from("25"), IntOrString::from("25")),
            "R-063, R-064"
        );
        assert!(!ro.canary().unwrap().dynamic_stable_scale, "R-071");
        assert_eq!(ro.canary().unwrap().min_pods_per_replica_set, None, "R-073");
        let ro = rollout(json!({"replicas": 8, "strategy": {"blueGreen": {"activeService": "a"}}}));
        assert_eq!(ro.max_unavailable(), 2, "R-045");
        assert_eq!(ro.blue_green().unwrap().preview_replica_count, None, "R-042");
    }
}
