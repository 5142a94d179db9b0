//! The store's journal: an append-only file of checksummed records, synced before a write is
//! acknowledged.
//!
//! A folder holds one file, `objects.journal`. It starts with a line naming the format; then come
//! records of a length, a checksum and a payload. A record cut short by a crash was never
//! acknowledged and is dropped. At every start the file is rewritten with the live objects only.
//! Writes from many requests are synced together by one thread.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::watch;

const FILE: &str = "objects.journal";
const FORMAT: &[u8] = b"glidepath sandbox journal 1\n";
const CHECKSUM_BYTES: usize = 8;
/// No record is longer; a length above it is damage.
const LONGEST_RECORD: usize = 64 << 20;

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The disk or its permissions.
    #[error("cannot {action} {path}")]
    Disk {
        /// What was attempted.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The folder was written by another version of this program.
    #[error("{path} was written by another version (its first line is {found:?}); use an empty folder")]
    OtherVersion {
        /// The file.
        path: PathBuf,
        /// Its first line.
        found: String,
    },
    /// A record in the middle of the file is damaged.
    #[error("{path} is damaged at byte {offset}; restore it or use an empty folder")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the damaged record starts.
        offset: usize,
    },
    /// Another process has the folder open.
    #[error("{path} is in use by another process")]
    InUse {
        /// The lock file.
        path: PathBuf,
    },
}

/// A write, borrowed from the store.
pub(super) enum Record<'a> {
    Put { table: &'a str, version: u64, body: &'a Bytes },
    Remove { table: &'a str, version: u64, namespace: &'a str, name: &'a str },
}

/// A write, read back.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum OwnedRecord {
    Put { table: String, version: u64, body: Vec<u8> },
    Remove { table: String, version: u64, namespace: String, name: String },
}

/// The writing end: hands records to the thread that syncs them.
pub(super) struct Journal {
    records: mpsc::Sender<Vec<u8>>,
    appended: u64,
    durable: watch::Receiver<Result<u64, Arc<str>>>,
}

/// A journal that was read but not yet taken over.
pub(super) struct ClosedJournal {
    folder: PathBuf,
    lock: File,
}

fn disk(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> JournalError {
    let path = path.to_owned();
    move |source| JournalError::Disk { action, path, source }
}

impl Journal {
    /// Reads what the folder holds. Nothing is written yet.
    pub fn open(folder: &Path) -> Result<(ClosedJournal, Vec<OwnedRecord>), JournalError> {
        std::fs::create_dir_all(folder).map_err(disk("create", folder))?;
        let lock_path = folder.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(disk("open", &lock_path))?;
        lock.try_lock().map_err(|_| JournalError::InUse { path: lock_path })?;
        let path = folder.join(FILE);
        let mut text = Vec::new();
        match File::open(&path) {
            Ok(mut file) => {
                file.read_to_end(&mut text).map_err(disk("read", &path))?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(disk("open", &path)(error)),
        }
        let records = parse_journal(&text, &path)?;
        Ok((ClosedJournal { folder: folder.to_owned(), lock }, records))
    }

    /// Adds a record; returns its number, to be waited for with [`Self::durable`].
    pub fn append(&mut self, record: &Record<'_>) -> u64 {
        self.appended += 1;
        // A closed channel means the disk failed; whoever waits for durability is told.
        let _ = self.records.send(encode(record));
        self.appended
    }

    /// The number of the last record that is on disk, or why the disk refused.
    pub fn durable(&self) -> watch::Receiver<Result<u64, Arc<str>>> {
        self.durable.clone()
    }
}

impl ClosedJournal {
    /// Rewrites the file with the live objects and starts the thread that appends to it.
    pub fn start<'a>(self, live: impl Iterator<Item = Record<'a>>) -> Result<Journal, JournalError> {
        let path = self.folder.join(FILE);
        let fresh = self.folder.join(format!("{FILE}.new"));
        let file = File::create(&fresh).map_err(disk("create", &fresh))?;
        let mut out = BufWriter::new(file);
        let written = (|| -> io::Result<File> {
            out.write_all(FORMAT)?;
            for record in live {
                out.write_all(&encode(&record))?;
            }
            let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.sync_all()?;
            std::fs::rename(&fresh, &path)?;
            File::open(&self.folder)?.sync_all()?;
            Ok(file)
        })();
        let file = written.map_err(disk("write", &path))?;
        let (records, inbox) = mpsc::channel::<Vec<u8>>();
        let (tell, durable) = watch::channel(Ok(0));
        let lock = self.lock;
        std::thread::Builder::new()
            .name("sandbox-journal".into())
            .spawn(move || {
                sync_records(file, &inbox, &tell);
                drop(lock);
            })
            .map_err(disk("start the thread that writes", &path))?;
        Ok(Journal { records, appended: 0, durable })
    }
}

/// Appends whatever has piled up, syncs once, tells how far it got; until the store is gone.
fn sync_records(
    mut file: File,
    inbox: &mpsc::Receiver<Vec<u8>>,
    tell: &watch::Sender<Result<u64, Arc<str>>>,
) {
    let mut count = 0;
    while let Ok(first) = inbox.recv() {
        let mut batch = first;
        count += 1;
        while let Ok(next) = inbox.try_recv() {
            batch.extend_from_slice(&next);
            count += 1;
        }
        if let Err(error) = file.write_all(&batch).and_then(|()| file.sync_data()) {
            let _ = tell.send_replace(Err(Arc::from(error.to_string())));
            return;
        }
        let _ = tell.send_replace(Ok(count));
    }
}

fn encode(record: &Record<'_>) -> Vec<u8> {
    let mut payload = Vec::new();
    match record {
        Record::Put { table, version, body } => {
            payload.push(b'P');
            payload.extend_from_slice(&version.to_le_bytes());
            push_text(&mut payload, table.as_bytes());
            push_text(&mut payload, body);
        }
        Record::Remove { table, version, namespace, name } => {
            payload.push(b'R');
            payload.extend_from_slice(&version.to_le_bytes());
            push_text(&mut payload, table.as_bytes());
            push_text(&mut payload, namespace.as_bytes());
            push_text(&mut payload, name.as_bytes());
        }
    }
    let mut framed = Vec::with_capacity(payload.len() + 4 + CHECKSUM_BYTES);
    framed.extend_from_slice(&u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes());
    framed.extend_from_slice(&checksum(&payload));
    framed.extend_from_slice(&payload);
    framed
}

fn push_text(payload: &mut Vec<u8>, text: &[u8]) {
    payload.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
    payload.extend_from_slice(text);
}

fn checksum(payload: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let digest = Sha256::digest(payload);
    let mut short = [0; CHECKSUM_BYTES];
    short.copy_from_slice(&digest[..CHECKSUM_BYTES]);
    short
}

/// All whole records. A record that is cut short at the end of the file is dropped; a damaged one
/// that others follow is an error, because acknowledged writes may be lost with it.
fn parse_journal(text: &[u8], path: &Path) -> Result<Vec<OwnedRecord>, JournalError> {
    if text.is_empty() || FORMAT.starts_with(text) {
        return Ok(Vec::new());
    }
    let Some(mut rest) = text.strip_prefix(FORMAT) else {
        let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let found = String::from_utf8_lossy(&line[..line.len().min(80)]).into_owned();
        return Err(JournalError::OtherVersion { path: path.to_owned(), found });
    };
    let mut records = Vec::new();
    loop {
        let offset = text.len() - rest.len();
        let damaged = || JournalError::Damaged { path: path.to_owned(), offset };
        let Some((length, after)) = split_length(rest) else { break };
        if length > LONGEST_RECORD {
            return Err(damaged());
        }
        if after.len() < CHECKSUM_BYTES + length {
            break;
        }
        let (sum, after) = after.split_at(CHECKSUM_BYTES);
        let (payload, after) = after.split_at(length);
        if sum != checksum(payload) {
            // The last record may hold garbage where the disk had not yet written its pages.
            if after.is_empty() {
                break;
            }
            return Err(damaged());
        }
        records.push(parse_record(payload).ok_or_else(damaged)?);
        rest = after;
    }
    Ok(records)
}

fn split_length(text: &[u8]) -> Option<(usize, &[u8])> {
    let (length, rest) = text.split_first_chunk::<4>()?;
    Some((u32::from_le_bytes(*length) as usize, rest))
}

fn parse_record(payload: &[u8]) -> Option<OwnedRecord> {
    let (kind, rest) = payload.split_first()?;
    let (version, rest) = rest.split_first_chunk::<8>()?;
    let version = u64::from_le_bytes(*version);
    let (table, rest) = split_text(rest)?;
    let table = String::from_utf8(table.to_vec()).ok()?;
    match kind {
        b'P' => {
            let (body, _) = split_text(rest)?;
            Some(OwnedRecord::Put { table, version, body: body.to_vec() })
        }
        b'R' => {
            let (namespace, rest) = split_text(rest)?;
            let (name, _) = split_text(rest)?;
            Some(OwnedRecord::Remove {
                table,
                version,
                namespace: String::from_utf8(namespace.to_vec()).ok()?,
                name: String::from_utf8(name.to_vec()).ok()?,
            })
        }
        _ => None,
    }
}

fn split_text(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = split_length(text)?;
    (rest.len() >= length).then(|| rest.split_at(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal_of(records: &[Record<'_>]) -> Vec<u8> {
        let mut text = FORMAT.to_vec();
        for record in records {
            text.extend_from_slice(&encode(record));
        }
        text
    }

    #[test]
    fn a_journal_cut_anywhere_keeps_every_whole_record() {
        let body = Bytes::from_static(b"{\"a\":1}");
        let records = [
            Record::Put { table: "pods", version: 1, body: &body },
            Record::Remove { table: "pods", version: 2, namespace: "ns", name: "x" },
            Record::Put { table: "services", version: 3, body: &body },
        ];
        let text = journal_of(&records);
        let ends: Vec<usize> = (0..=records.len()).map(|n| journal_of(&records[..n]).len()).collect();
        for cut in 0..=text.len() {
            let whole = ends.iter().filter(|end| **end <= cut).count().saturating_sub(1);
            let read = parse_journal(&text[..cut], Path::new("j")).unwrap();
            assert_eq!(read.len(), whole, "cut at {cut}");
        }
    }

    #[test]
    fn a_damaged_record_in_the_middle_is_reported_and_another_version_is_refused() {
        let body = Bytes::from_static(b"{}");
        let mut text = journal_of(&[
            Record::Put { table: "pods", version: 1, body: &body },
            Record::Put { table: "pods", version: 2, body: &body },
        ]);
        text[FORMAT.len() + 14] ^= 1;
        assert!(matches!(
            parse_journal(&text, Path::new("j")),
            Err(JournalError::Damaged { offset, .. }) if offset == FORMAT.len()
        ));
        assert!(matches!(
            parse_journal(b"glidepath sandbox journal 9\nxx", Path::new("j")),
            Err(JournalError::OtherVersion { .. })
        ));
    }
}
