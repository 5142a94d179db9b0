//! How many pods each side gets: pure arithmetic on numbers.
//!
//! Nothing here knows of objects or time, so every worked example of the rows is a line in a table.

use glidepath_api::{PROGRESS_TYPE_PERCENT, ReplicaProgressThreshold};

/// Size of a ReplicaSet as it was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// `spec.replicas`.
    pub spec: i32,
    /// `status.availableReplicas`.
    pub available: i32,
}

/// How far a basic canary may stray from the wanted number of pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Margins {
    /// Pods above the wanted number.
    pub surge: i32,
    /// Pods below the wanted number.
    pub unavailable: i32,
}

/// Sizes of the two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    /// Pods of the canary.
    pub canary: i32,
    /// Pods of the stable version.
    pub stable: i32,
}

/// The split of `replicas` pods that comes closest to `weight` of `max_weight`.
///
/// Where the reference finds no candidate at all and leaves the canary empty, the lower neighbour is taken (B-02).
#[must_use]
pub fn split_by_weight(replicas: i32, weight: i32, max_weight: i32, surge: i32) -> Split {
    if replicas == 0 || max_weight == 0 {
        return Split { canary: 0, stable: 0 };
    }
    let exact = i64::from(replicas) * i64::from(weight);
    let floor = clamp(exact.div_euclid(i64::from(max_weight)));
    let ceil = if exact.rem_euclid(i64::from(max_weight)) == 0 { floor } else { floor + 1 };
    let zero_allowed = weight == max_weight || weight == 0 || (replicas == 1 && surge == 0);
    let floor_allowed = floor != 0 || zero_allowed;

    let mut candidates = Vec::with_capacity(4);
    if ceil < replicas || zero_allowed {
        candidates.push((ceil, replicas));
    }
    if floor_allowed && !is_tie(weight, max_weight, replicas) {
        candidates.push((floor, replicas));
    }
    if surge > 0 {
        candidates.push((ceil, replicas + 1));
        if floor_allowed && !is_tie(weight, max_weight, replicas + 1) {
            candidates.push((floor, replicas + 1));
        }
    }
    let mut best = (if floor > 0 { floor } else { 0 }, replicas);
    let mut best_distance = f64::INFINITY;
    for (canary, total) in candidates {
        let actual = f64::from(canary) * f64::from(max_weight) / f64::from(total);
        let distance = (actual - f64::from(weight)).abs();
        if distance < best_distance {
            best = (canary, total);
            best_distance = distance;
        }
    }
    Split { canary: best.0, stable: best.1 - best.0 }
}

fn clamp(value: i64) -> i32 {
    i32::try_from(value).unwrap_or(if value < 0 { i32::MIN } else { i32::MAX })
}

/// Whether floor and ceiling are equally far away; then the canary gets the larger share.
#[expect(clippy::float_cmp, reason = "the reference compares exactly, and ties are decided by it")]
fn is_tie(weight: i32, max_weight: i32, total: i32) -> bool {
    (f64::from(total) * (f64::from(weight) / f64::from(max_weight))).fract() == 0.5
}

/// What a basic canary's next sizes are computed from.
#[derive(Clone, Copy, Debug)]
pub struct BasicCanary {
    /// Wanted number of pods.
    pub replicas: i32,
    /// Surge and unavailability.
    pub margins: Margins,
    /// The split asked for; ignored when there is no stable set beside the new one.
    pub target: Split,
    /// The new set, if it exists.
    pub new: Option<Size>,
    /// The stable set, if it exists and is not the new one.
    pub stable: Option<Size>,
    /// Pods asked of all other sets.
    pub old_spec: i32,
}

/// The sizes both sides may take now.
#[must_use]
pub fn next_basic_sizes(state: &BasicCanary) -> Split {
    let target = match state.stable {
        Some(_) => state.target,
        None => Split { canary: state.replicas, stable: 0 },
    };
    let new_spec = state.new.map_or(0, |size| size.spec);
    let stable_spec = state.stable.map_or(0, |size| size.spec);
    let cap = state.replicas + state.margins.surge;
    let minimum = state.replicas - state.margins.unavailable;

    let mut sizes = Split { canary: new_spec, stable: stable_spec };
    let mut budget = cap - (state.old_spec + new_spec + stable_spec);
    if state.stable.is_some() && stable_spec < target.stable && budget > 0 {
        sizes.stable = (stable_spec + budget).min(target.stable);
        budget -= sizes.stable - stable_spec;
    }
    if state.new.is_some() && new_spec < target.canary && budget > 0 {
        sizes.canary = (new_spec + budget).min(target.canary);
    }
    if state.old_spec > 0 {
        return sizes;
    }

    let rising = state.new.is_none_or(|size| target.canary >= size.spec);
    let ready = countable(state.new, !rising) + countable(state.stable, rising);
    if ready <= minimum {
        return sizes;
    }
    let surplus = ready - minimum;
    if rising {
        let Some(stable) = state.stable else { return sizes };
        if stable.spec > target.stable {
            sizes.stable = target.stable.max(stable.spec - surplus);
        }
        let (drained, other) =
            fit_limits(state.stable, state.new, (sizes.stable, sizes.canary), cap, minimum);
        return Split { canary: other, stable: drained };
    }
    if new_spec > target.canary {
        sizes.canary = target.canary.max(new_spec - surplus);
    }
    let (drained, other) = fit_limits(state.new, state.stable, (sizes.canary, sizes.stable), cap, minimum);
    Split { canary: drained, stable: other }
}

/// Pods that count when asking how many may go: a set that is already shrinking counts as what will be left, and a
/// set that is being drained counts whole, so that its broken pods never hold up the update.
fn countable(size: Option<Size>, ignore_availability: bool) -> i32 {
    match size {
        None => 0,
        Some(size) if size.spec < size.available || ignore_availability => size.spec,
        Some(size) => size.available,
    }
}

/// Keeps both sides within cap and floor after one was drained. `sizes` are (drained, other).
fn fit_limits(
    drained: Option<Size>,
    other: Option<Size>,
    sizes: (i32, i32),
    cap: i32,
    minimum: i32,
) -> (i32, i32) {
    let (mut drained_size, mut other_size) = sizes;
    let Some(other) = other else { return sizes };
    other_size -= (other_size + drained_size - cap).max(0);
    let usable = drained.map_or(0, |size| size.available.min(drained_size)) + other.available.min(other_size);
    other_size += (other.available - other_size).max(0).min((minimum - usable).max(0));
    drained_size -= (other_size + drained_size - cap).max(0);
    (drained_size, other_size)
}

/// Pods that carry `weight` of `max_weight` out of `replicas`, rounded up.
#[must_use]
pub fn pods_for_weight(replicas: i32, weight: i32, max_weight: i32) -> i32 {
    if max_weight == 0 {
        return 0;
    }
    let exact = i64::from(weight) * i64::from(replicas);
    let max_weight = i64::from(max_weight);
    clamp(exact.div_euclid(max_weight) + i64::from(exact.rem_euclid(max_weight) != 0))
}

/// `count`, raised to the minimum unless it is 0.
#[must_use]
pub fn at_least(count: i32, min_pods: Option<i32>, replicas: i32) -> i32 {
    match min_pods {
        Some(minimum) if count != 0 => count.max(minimum.min(replicas)),
        _ => count,
    }
}

/// What the sizes of a traffic-routed canary are computed from.
#[derive(Clone, Copy, Debug)]
pub struct RoutedCanary {
    /// Wanted number of pods.
    pub replicas: i32,
    /// M.
    pub max_weight: i32,
    /// `minPodsPerReplicaSet`.
    pub min_pods: Option<i32>,
    /// The stable side shrinks as traffic leaves it.
    pub dynamic_stable_scale: bool,
    /// Size set by `setCanaryScale.replicas`.
    pub fixed_canary: Option<i32>,
    /// Weight the canary is to be sized for.
    pub weight: i32,
    /// Weights recorded as handed to the router: canary and stable.
    pub recorded: Option<(i32, i32)>,
    /// The update is aborted.
    pub aborted: bool,
}

/// Sizes of both sides of a traffic-routed canary.
#[must_use]
pub fn routed_sizes(state: &RoutedCanary) -> Split {
    let pods = |weight| pods_for_weight(state.replicas, weight, state.max_weight);
    let raise = |count| at_least(count, state.min_pods, state.replicas);
    let weight = if state.fixed_canary.is_some() { 0 } else { state.weight };
    let canary = state.fixed_canary.unwrap_or_else(|| raise(pods(weight)));
    if !state.dynamic_stable_scale {
        return Split { canary, stable: state.replicas };
    }
    let mut stable = pods(state.max_weight - weight);
    let mut canary = canary;
    if let Some((recorded_canary, recorded_stable)) = state.recorded {
        stable = stable.max(pods(recorded_stable));
        if state.aborted {
            canary = canary.max(pods(recorded_canary));
        }
    }
    Split { canary: raise(canary), stable: raise(stable) }
}

/// What the weight during an abort with dynamic stable scale is computed from.
#[derive(Clone, Debug)]
pub struct DynamicAbort<'a> {
    /// Wanted number of pods.
    pub replicas: i32,
    /// M.
    pub max_weight: i32,
    /// `minPodsPerReplicaSet`.
    pub min_pods: Option<i32>,
    /// Available pods of the stable set.
    pub stable_available: i32,
    /// Available pods of the canary.
    pub canary_available: i32,
    /// Every `setWeight` in order.
    pub set_weights: &'a [i32],
    /// `abortScaleDownDelaySeconds` was set, to anything but 0.
    pub explicit_delay: bool,
    /// Weight recorded for the canary, if any.
    pub recorded_canary: Option<i32>,
}

/// The next lower weight of an aborted canary with dynamic stable scale.
///
/// Pods that only `minPodsPerReplicaSet` keeps do not hold the weight up (B-06), and a canary that has no traffic left
/// never gets any back because the Rollout was scaled up meanwhile (B-29).
#[must_use]
pub fn dynamic_abort_weight(state: &DynamicAbort<'_>) -> i32 {
    if state.recorded_canary == Some(0) {
        return 0;
    }
    let missing = state.replicas - state.stable_available;
    let kept_by_minimum = state.min_pods.map_or(0, |minimum| minimum.min(state.replicas));
    let canary = if state.canary_available <= kept_by_minimum { 0 } else { state.canary_available };
    let held = if state.explicit_delay { missing } else { missing.max(canary) };
    state
        .set_weights
        .iter()
        .rev()
        .copied()
        .find(|weight| pods_for_weight(state.replicas, *weight, state.max_weight) < held)
        .unwrap_or(0)
}

/// Whether a set of this size meets `desired`. A pod threshold above the desired size means all of it (B-43).
#[must_use]
pub fn meets_threshold(
    threshold: Option<&ReplicaProgressThreshold>,
    size: Option<Size>,
    desired: i32,
) -> bool {
    let Some(size) = size else { return false };
    match threshold {
        Some(threshold) if threshold.value >= 0 => {
            if threshold.type_ == PROGRESS_TYPE_PERCENT {
                if desired == 0 {
                    return true;
                }
                let percent = f64::from(size.available) / f64::from(desired) * 100.0;
                percent >= f64::from(threshold.value) || (percent - f64::from(threshold.value)).abs() <= 1e-10
            } else {
                size.available >= threshold.value.min(desired)
            }
        }
        _ => size.spec == desired && size.available == desired,
    }
}

#[cfg(test)]
#[path = "replicas_tests.rs"]
mod tests;
