//! How long an hour takes on the embedded plane when nobody waits for the clock.

use std::time::Instant;

use anyhow::{Result, anyhow};
use glidepath_scenarios::embedded::in_virtual_time;
use glidepath_scenarios::manifests::canary;
use glidepath_scenarios::run::tell;
use glidepath_scenarios::story::{Story, all, healthy, pods};
use serde_json::json;

use crate::figures::{Figures, median};

const ROUNDS: usize = 9;

/// Measures the start of a plane with its controllers, and an hour-long canary on it: the medians of a few.
pub(crate) fn measure(figures: &mut Figures) -> Result<()> {
    let mut rounds = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        // A runtime of its own, because its clock stands still.
        let round = std::thread::spawn(|| {
            let start = Instant::now();
            in_virtual_time(async |plane| {
                let started = start.elapsed();
                tell(&story(), plane, "hour").await?;
                let hour = start.elapsed() - started;
                Ok((started.as_secs_f64() * 1000.0, hour.as_secs_f64() * 1000.0))
            })
        });
        rounds.push(round.join().map_err(|_| anyhow!("the hour-long canary panicked"))??);
    }
    let (starts, hours) = rounds.into_iter().unzip();
    figures.set("the embedded plane starts in virtual time", "ms", median(starts));
    figures.set("an hour-long canary on it", "ms", median(hours));
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
