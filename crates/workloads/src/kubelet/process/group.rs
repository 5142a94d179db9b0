//! A local process with everything it starts: one process group, ended as a whole.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

/// Variables of the host that local programs cannot do without.
const INHERITED: [&str; 6] = ["PATH", "HOME", "TMPDIR", "LANG", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"];

/// What to start.
#[derive(Clone, Debug)]
pub struct Launch {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Environment on top of what programs cannot do without.
    pub env: BTreeMap<String, String>,
    /// Working directory, if not the host program's.
    pub working_dir: Option<String>,
    /// Whether its output is read; otherwise it is dropped.
    pub piped: bool,
    /// Whether it is given input; otherwise it finds none.
    pub stdin: bool,
}

/// The process groups that run. Cloning shares the list.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    groups: Arc<Mutex<HashSet<Pid>>>,
}

impl Registry {
    fn lock(&self) -> MutexGuard<'_, HashSet<Pid>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many groups run.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// Kills every group at once; for a host program that is about to exit.
    pub fn kill_all(&self) {
        for group in self.lock().drain() {
            // A group that has ended meanwhile needs no killing.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// A running process group. Dropping it kills whatever is left of it.
#[derive(Debug)]
pub struct ProcessGroup {
    child: Child,
    group: Option<Pid>,
    registry: Registry,
}

impl ProcessGroup {
    /// Starts a process as the leader of a group of its own.
    ///
    /// # Errors
    /// Why it cannot be started.
    pub fn start(registry: &Registry, launch: &Launch) -> io::Result<Self> {
        let program = launch.command.first().filter(|program| !program.is_empty());
        let program =
            program.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no command specified"))?;
        let output = || if launch.piped { Stdio::piped() } else { Stdio::null() };
        let mut command = Command::new(program);
        command.args(&launch.command[1..]).env_clear();
        command.envs(INHERITED.iter().filter_map(|name| std::env::var_os(name).map(|value| (*name, value))));
        let input = if launch.stdin { Stdio::piped() } else { Stdio::null() };
        command.envs(&launch.env).stdin(input).stdout(output()).stderr(output());
        command.process_group(0).kill_on_drop(true);
        if let Some(folder) = &launch.working_dir {
            command.current_dir(folder);
        }
        let child = command.spawn()?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        registry.lock().extend(group);
        Ok(Self { child, group, registry: registry.clone() })
    }

    /// The process's output, once.
    pub fn take_output(&mut self) -> (Option<ChildStdout>, Option<ChildStderr>) {
        (self.child.stdout.take(), self.child.stderr.take())
    }

    /// Where the process's input goes, once.
    pub fn take_input(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Waits for the leader and then ends what it left behind. Returns its exit code, 128 plus the signal's
    /// number if one ended it.
    pub async fn wait(&mut self) -> i32 {
        let code = match self.child.wait().await {
            Ok(status) => status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
            Err(_) => 255,
        };
        self.finish();
        code
    }

    /// Asks the whole group to end.
    pub fn terminate(&self) {
        self.send_signal(Signal::TERM);
    }

    /// Ends the whole group.
    pub fn kill(&self) {
        self.send_signal(Signal::KILL);
    }

    fn send_signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            // A group without members is what this is for.
            let _ = kill_process_group(group, signal);
        }
    }

    /// Kills what is left of the group and forgets it, so that its number is never signalled again.
    fn finish(&mut self) {
        self.send_signal(Signal::KILL);
        if let Some(group) = self.group.take() {
            self.registry.lock().remove(&group);
        }
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        self.finish();
    }
}
