//! Every target reads its seeds and a few hundred mutations of them; `cargo xtask fuzz` goes on from there.

use glidepath_clock::Clock;
use glidepath_fuzz::runner::{Limit, run};

#[tokio::test]
async fn no_target_panics_on_its_seeds_and_some_mutations() {
    let clock = Clock::system();
    let folder = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("fuzz");
    // Requests need a runtime of their own, which must not be started from within this one.
    let outcome = tokio::task::spawn_blocking(move || {
        for mut target in glidepath_fuzz::all() {
            let executions = target.seeds.len() as u64 + 400;
            let report =
                run(&mut target, 1, Limit::Executions(executions), &folder, &|| clock.now()).unwrap();
            assert_eq!(report.crash, None, "{} panicked on this input", target.name);
            assert_eq!(report.executions, executions, "{}", target.name);
            assert!(report.kept > 0, "no mutation made {} answer otherwise than before", target.name);
        }
    });
    outcome.await.unwrap();
}
