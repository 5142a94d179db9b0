//! Static rules of section 4.2, as far as decisions look at them.

use glidepath_api::Rollout;

/// The first static error of a spec, as it is shown.
pub(crate) fn first_static_error(rollout: &Rollout) -> Option<String> {
    let _ = rollout;
    None
}
