//! The ring of files: the newest decisions stay, the oldest go.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use glidepath_kube::DecisionRecord;

use crate::record::Recorded;

/// Decisions that may wait to be written; more than that are dropped and counted, so that no decision waits for a
/// disk.
const WAITING: usize = 256;
const ENDING: &str = ".json";

/// Why decisions cannot be recorded in a folder.
#[derive(Debug, thiserror::Error)]
#[error("cannot record decisions in {}", folder.display())]
pub struct RingError {
    /// The folder.
    folder: PathBuf,
    /// Why not.
    #[source]
    source: std::io::Error,
}

/// Writes decisions into a folder, at most a given number of files. Dropping it writes what still waits.
pub struct Recorder {
    sender: Option<SyncSender<Recorded>>,
    dropped: AtomicU64,
    writer: Option<JoinHandle<()>>,
}

impl Recorder {
    /// Starts to record into `folder`, which is created if need be; files that are there count.
    ///
    /// # Errors
    /// When the folder cannot be created or read.
    pub fn start(folder: &Path, keep: usize) -> Result<Self, RingError> {
        let wrong = |source| RingError { folder: folder.to_owned(), source };
        std::fs::create_dir_all(folder).map_err(wrong)?;
        let ring = Ring::open(folder, keep.max(1)).map_err(wrong)?;
        let (sender, receiver) = sync_channel(WAITING);
        let writer = std::thread::Builder::new()
            .name("decisions".to_owned())
            .spawn(move || write_all(ring, &receiver))
            .map_err(wrong)?;
        Ok(Self { sender: Some(sender), dropped: AtomicU64::new(0), writer: Some(writer) })
    }

    /// Records a decision; never waits.
    pub fn record(&self, record: &DecisionRecord<'_>) {
        let Some(sender) = &self.sender else { return };
        if let Err(TrySendError::Full(_)) = sender.try_send(Recorded::of(record)) {
            let dropped = self.dropped.fetch_add(1, Ordering::Relaxed) + 1;
            tracing::warn!(dropped, "a decision was not recorded: the disk does not keep up");
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        drop(self.sender.take());
        if let Some(writer) = self.writer.take() {
            // A writer that panicked has nothing left to write.
            let _ = writer.join();
        }
    }
}

fn write_all(mut ring: Ring, receiver: &Receiver<Recorded>) {
    let mut complained = false;
    while let Ok(recorded) = receiver.recv() {
        match ring.write(&recorded) {
            Ok(()) => complained = false,
            Err(error) if !complained => {
                complained = true;
                tracing::warn!(%error, folder = %ring.folder.display(), "cannot record a decision");
            }
            Err(_) => {}
        }
    }
}

struct Ring {
    folder: PathBuf,
    keep: usize,
    next: u64,
    /// Names, oldest first.
    files: VecDeque<String>,
}

impl Ring {
    fn open(folder: &Path, keep: usize) -> std::io::Result<Self> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if let Some(number) = number_of(&name) {
                files.push((number, name));
            }
        }
        files.sort();
        let next = files.last().map_or(0, |(number, _)| number + 1);
        let mut ring = Self {
            folder: folder.to_owned(),
            keep,
            next,
            files: files.into_iter().map(|(_, name)| name).collect(),
        };
        ring.trim();
        Ok(ring)
    }

    /// Writes one file as a whole: a reader never meets half of one.
    fn write(&mut self, recorded: &Recorded) -> std::io::Result<()> {
        let Recorded { controller, namespace, name, .. } = recorded;
        let file = format!("{:08}-{controller}-{namespace}-{name}{ENDING}", self.next);
        let text = serde_json::to_vec_pretty(recorded)?;
        let draft = self.folder.join(".next");
        std::fs::write(&draft, text)?;
        std::fs::rename(&draft, self.folder.join(&file))?;
        self.next += 1;
        self.files.push_back(file);
        self.trim();
        Ok(())
    }

    fn trim(&mut self) {
        while self.files.len() > self.keep {
            if let Some(oldest) = self.files.pop_front() {
                // Somebody may have taken it away.
                let _ = std::fs::remove_file(self.folder.join(oldest));
            }
        }
    }
}

/// The number a file of the ring begins with; anything else in the folder is left alone.
fn number_of(name: &str) -> Option<u64> {
    let (number, rest) = name.split_once('-')?;
    rest.ends_with(ENDING).then(|| number.parse().ok())?
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn recorded(name: &str) -> Recorded {
        Recorded {
            format: 1,
            version: String::new(),
            controller: "Rollouts".to_owned(),
            namespace: "shop".to_owned(),
            name: name.to_owned(),
            snapshot: Value::Null,
            plan: Value::Null,
        }
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_newest_files_stay_across_restarts_and_others_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("notes.txt"), "mine").unwrap();
        let mut ring = Ring::open(folder.path(), 3).unwrap();
        for name in ["a", "b", "c", "d"] {
            ring.write(&recorded(name)).unwrap();
        }
        let kept = [
            "00000001-Rollouts-shop-b.json",
            "00000002-Rollouts-shop-c.json",
            "00000003-Rollouts-shop-d.json",
        ];
        assert_eq!(names(folder.path())[..3], kept);
        let mut ring = Ring::open(folder.path(), 2).unwrap();
        ring.write(&recorded("e")).unwrap();
        let kept = ["00000003-Rollouts-shop-d.json", "00000004-Rollouts-shop-e.json", "notes.txt"];
        assert_eq!(names(folder.path()), kept);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let Err(error) = Recorder::start(&file.join("below"), 3) else { panic!() };
        assert!(error.to_string().starts_with("cannot record decisions in "), "{error}");
    }
}
