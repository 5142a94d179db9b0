//! How long an hour takes on the embedded plane when nobody waits for the clock.

use std::time::Instant;

use anyhow::{Result, anyhow};
use glidepath_scenarios::embedded::in_virtual_time;
use glidepath_scenarios::manifests::canary;
use glidepath_scenarios::run::tell;
use glidepath_scenarios::story::{Story, all, healthy, pods};
use serde_json::json;

use crate::figures::Figures;

const ROUNDS: usize = 9;

/// Measures an hour-long canary, the start of the plane and its controllers included: the median of a few.
pub(crate) fn measure(figures: &mut Figures) -> Result<()> {
    let mut milliseconds = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        // A runtime of its own, because its clock stands still.
        std::thread::spawn(|| in_virtual_time(async |plane| tell(&story(), plane, "hour").await))
            .join()
            .map_err(|_| anyhow!("the hour-long canary panicked"))??;
        milliseconds.push(start.elapsed().as_secs_f64() * 1000.0);
    }
    milliseconds.sort_by(f64::total_cmp);
    figures.set(
        "an hour-long canary in virtual time, with the plane's start",
        "ms",
        milliseconds[ROUNDS / 2],
    );
    Ok(())
}

fn story() -> Story {
    let steps: Vec<_> = [5, 10, 20, 40, 60, 80]
        .into_iter()
        .flat_map(|weight| [json!({"setWeight": weight}), json!({"pause": {"duration": "10m"}})])
        .collect();
    Story::named("an hour-long canary", &["R-401"])
        .given([canary(10, steps.into())])
        .until(healthy("web"))
        .plugin("set image web web=web:2")
        .pass(3600)
        .until(all([healthy("web"), pods("web:2", 10), pods("web:1", 0)]))
}
