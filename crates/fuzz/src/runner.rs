//! Runs a target: mutate, read, keep what is new, catch what panics.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::mutate::Mutator;
use crate::target::Target;

/// An input that takes longer than this is worth looking at.
pub const CEILING: Duration = Duration::from_secs(1);

/// Inputs of this length are written down before they are read: a stack that overflows cannot be caught.
const LARGE: usize = 1024;

/// More kept inputs than this make the pool stale rather than rich.
const POOL_LIMIT: usize = 4096;

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub enum Limit {
    /// After this long.
    Time(Duration),
    /// After this many inputs.
    Executions(u64),
}

/// What a run of one target came to.
#[derive(Debug, Default)]
pub struct Report {
    /// Inputs read.
    pub executions: u64,
    /// Inputs kept because their answer was new.
    pub kept: u64,
    /// The longest time one input took.
    pub slowest: Duration,
    /// Where the input that took too long was written.
    pub too_slow: Option<PathBuf>,
    /// Where the input that panicked was written.
    pub crash: Option<PathBuf>,
}

/// Runs one target. Inputs that panic or take too long are written to `folder`; the first panic ends the run.
///
/// # Errors
/// When an input cannot be written.
pub fn run(
    target: &mut Target,
    seed: u64,
    limit: Limit,
    folder: &Path,
    now: &dyn Fn() -> Timestamp,
) -> io::Result<Report> {
    let mut mutator = Mutator::new(seed, target.dictionary);
    let mut pool = target.seeds.clone();
    let mut shapes = HashSet::new();
    let mut report = Report::default();
    let began = now();
    let mut before = began;
    let running = folder.join(format!("{}-running", target.name));
    while !is_over(limit, &report, began, before) {
        let turn = usize::try_from(report.executions).unwrap_or(usize::MAX);
        let input = match target.seeds.get(turn) {
            Some(seed) => seed.clone(),
            None => mutator.next(&pool, target.json),
        };
        if input.len() >= LARGE {
            write(&running, &input)?;
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| (target.read)(&input)));
        report.executions += 1;
        let after = now();
        let took = elapsed(before, after);
        before = after;
        report.slowest = report.slowest.max(took);
        let Ok(shape) = outcome else {
            report.crash = Some(save(folder, target.name, "panic", &input)?);
            break;
        };
        if took > CEILING && report.too_slow.is_none() {
            report.too_slow = Some(save(folder, target.name, "slow", &input)?);
        }
        if shapes.insert(shape) && turn >= target.seeds.len() {
            report.kept += 1;
            if pool.len() < POOL_LIMIT {
                pool.push(input);
            }
        }
    }
    // It was never written when no input was large.
    let _ = fs::remove_file(&running);
    Ok(report)
}

fn is_over(limit: Limit, report: &Report, began: Timestamp, now: Timestamp) -> bool {
    match limit {
        Limit::Executions(count) => report.executions >= count,
        Limit::Time(time) => elapsed(began, now) >= time,
    }
}

fn elapsed(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from).max(SignedDuration::ZERO)).unwrap_or_default()
}

fn save(folder: &Path, target: &str, why: &str, input: &[u8]) -> io::Result<PathBuf> {
    let mark = crate::shape::of_all(input.iter().map(|byte| u64::from(*byte)));
    let path = folder.join(format!("{target}-{why}-{:08x}", mark & 0xffff_ffff));
    write(&path, input)?;
    Ok(path)
}

fn write(path: &Path, input: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, input)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_caught_and_its_input_written() {
        let folder = std::env::temp_dir().join(format!("glidepath-fuzz-{}", std::process::id()));
        let mut target = Target::text("brittle", &["!"], ["calm".to_owned()], |input| {
            assert!(!input.contains('!'), "does not like being shouted at");
            0
        });
        let report =
            run(&mut target, 1, Limit::Executions(10_000), &folder, &|| Timestamp::UNIX_EPOCH).unwrap();
        let written = fs::read_to_string(report.crash.expect("it must have been shouted at")).unwrap();
        assert!(written.contains('!'));
        fs::remove_dir_all(&folder).unwrap();
    }
}
