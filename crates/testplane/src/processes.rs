//! Processes that outlive the command that started them: started with a log of their own, remembered in a file,
//! stopped by number only if the number still means the same process.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

/// How long a process has to end by itself.
const GRACE: Duration = Duration::from_secs(8);
/// How often is looked whether it has.
const GLANCE: Duration = Duration::from_millis(50);

/// A process that was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    /// What it is called in messages and log files.
    pub(crate) name: String,
    id: i32,
    /// When it began, in the system's ticks since it booted: an id may be used again, id and beginning together not.
    began: u64,
}

impl Process {
    /// Whether it still runs.
    pub(crate) fn is_alive(&self) -> bool {
        began(self.id) == Some(self.began)
    }

    /// Asks it to end, and ends it if it does not.
    async fn stop(&self) {
        for signal in [Signal::TERM, Signal::KILL] {
            let Some(id) = Pid::from_raw(self.id).filter(|_| self.is_alive()) else { return };
            // One that has gone meanwhile is what was wanted.
            let _ = kill_process(id, signal);
            let deadline = Instant::now() + GRACE;
            while self.is_alive() && Instant::now() < deadline {
                sleep(GLANCE).await;
            }
        }
    }
}

/// The beginning of a running process by its id; `None` when there is none, or it has ended and only waits to be
/// noticed by its parent.
fn began(id: i32) -> Option<u64> {
    parse_beginning(&fs::read_to_string(format!("/proc/{id}/stat")).ok()?)
}

/// Whether a process with this id runs.
pub(crate) fn is_running(id: i32) -> bool {
    began(id).is_some()
}

/// Field 22 of a line of `/proc/<id>/stat`, unless the state in field 3 says that it has ended.
fn parse_beginning(line: &str) -> Option<u64> {
    // The second field is a name in brackets and may hold anything, brackets and blanks included.
    let fields: Vec<&str> = line.rsplit_once(')')?.1.split_whitespace().collect();
    if matches!(fields.first(), Some(&("Z" | "X"))) {
        return None;
    }
    fields.get(19)?.parse().ok()
}

/// The processes of one plane.
#[derive(Debug)]
pub(crate) struct Processes {
    folder: PathBuf,
    all: Vec<Process>,
}

impl Processes {
    /// Those that a folder remembers; none if it remembers nothing.
    pub(crate) fn remembered(folder: &Path) -> Result<Self> {
        let path = list_of(folder);
        let all = match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).with_context(|| format!("read {}", path.display()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
        };
        Ok(Self { folder: folder.to_path_buf(), all })
    }

    /// Starts a process in the plane's folder, in a process group of its own, with `log/NAME.log`.
    pub(crate) fn start(&mut self, name: &str, command: &mut Command) -> Result<()> {
        let log = self.log(name);
        fs::create_dir_all(self.folder.join("log"))?;
        let file = File::create(&log).with_context(|| format!("create {}", log.display()))?;
        let child = command
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .process_group(0)
            .spawn()
            .with_context(|| format!("start {name} ({})", command.get_program().display()))?;
        let id = i32::try_from(child.id())?;
        let began = began(id).with_context(|| format!("{name} ended at once, see {}", log.display()))?;
        self.all.push(Process { name: name.to_owned(), id, began });
        fs::write(list_of(&self.folder), serde_json::to_vec_pretty(&self.all)?)?;
        Ok(())
    }

    /// Fails with the end of its log if one of them has ended.
    pub(crate) fn check(&self) -> Result<()> {
        for process in &self.all {
            if !process.is_alive() {
                let log = fs::read_to_string(self.log(&process.name)).unwrap_or_default();
                let last: Vec<&str> = log.lines().rev().take(5).collect();
                let last: Vec<&str> = last.into_iter().rev().collect();
                bail!("{} has ended; its last words:\n{}", process.name, last.join("\n"));
            }
        }
        Ok(())
    }

    /// Whether any of them runs.
    pub(crate) fn any_alive(&self) -> bool {
        self.all.iter().any(Process::is_alive)
    }

    /// Stops them, the last one first.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        for process in self.all.drain(..).rev() {
            process.stop().await;
        }
        match fs::remove_file(list_of(&self.folder)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder.join("log").join(format!("{name}.log"))
    }
}

fn list_of(folder: &Path) -> PathBuf {
    folder.join("processes.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_by_its_beginning_and_a_finished_one_is_none() {
        let line = |state: &str| {
            format!("42 (a b) c) {state} 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 777 20 21")
        };
        assert_eq!(parse_beginning(&line("S")), Some(777));
        assert_eq!(parse_beginning(&line("Z")), None);
        assert_eq!(parse_beginning("42 (x)"), None);
        assert_eq!(parse_beginning(""), None);
    }

    #[tokio::test]
    async fn what_was_started_is_remembered_and_can_be_stopped_by_somebody_else() {
        let folder = tempfile::tempdir().unwrap();
        let mut starter = Processes::remembered(folder.path()).unwrap();
        starter.start("sleeper", Command::new("sleep").arg("600")).unwrap();
        let mut other = Processes::remembered(folder.path()).unwrap();
        assert_eq!(other.all, starter.all);
        assert!(other.any_alive());
        other.check().unwrap();
        other.stop().await.unwrap();
        assert!(!starter.any_alive());
        assert!(starter.check().unwrap_err().to_string().contains("sleeper has ended"));
        assert!(Processes::remembered(folder.path()).unwrap().all.is_empty());
    }
}
