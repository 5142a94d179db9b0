//! The pods of the demo: its web service as a process of its own, which never outlives the program that started it.

use std::process::ExitCode;
use std::time::Duration;

use crate::terminal::complain;

/// How often a pod looks whether the program that started it is still there.
const LOOK: Duration = Duration::from_millis(500);

/// Runs the web service until it is told to stop, or nobody is left to tell it.
pub(crate) fn run_web() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("Error: cannot start: {error}\n"));
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(async {
        tokio::select! {
            outcome = glidepath_dataplane::demo_web::run_from_env() => outcome,
            () = orphaned() => Ok(()),
        }
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("Error: {error}\n"));
            ExitCode::FAILURE
        }
    }
}

/// Resolves once the parent process is gone: killed, it could not end its pods itself.
async fn orphaned() {
    let parent = rustix::process::getppid();
    while rustix::process::getppid() == parent {
        tokio::time::sleep(LOOK).await;
    }
}
