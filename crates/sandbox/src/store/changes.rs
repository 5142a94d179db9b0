//! What happened to a table, newest last, with a floor below which nothing is remembered.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Stored;

/// The most changes one table remembers, and the most bytes of objects they may hold on to.
const CHANGES_KEPT: usize = 8192;
const BYTES_KEPT: usize = 24 << 20;

/// One write.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub version: u64,
    pub deleted: bool,
    /// The state after the write; for a removal the last state, numbered by the removal.
    pub object: Arc<Stored>,
    pub previous: Option<Arc<Stored>>,
}

/// The asked-for changes are no longer remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Compacted {
    /// The oldest version that can still be asked for.
    pub floor: u64,
}

/// A bounded log.
#[derive(Debug)]
pub(crate) struct ChangeLog {
    changes: VecDeque<Change>,
    /// Every change numbered above this is here.
    floor: u64,
    bytes: usize,
}

impl ChangeLog {
    pub fn starting_at(floor: u64) -> Self {
        Self { changes: VecDeque::new(), floor, bytes: 0 }
    }

    pub fn push(&mut self, change: Change) {
        self.bytes += change.object.body().len();
        self.changes.push_back(change);
        while self.changes.len() > CHANGES_KEPT || self.bytes > BYTES_KEPT {
            let Some(oldest) = self.changes.pop_front() else { break };
            self.bytes -= oldest.object.body().len();
            self.floor = oldest.version;
        }
    }

    /// The changes after `version`, oldest first.
    pub fn since(&self, version: u64) -> Result<impl DoubleEndedIterator<Item = &Change>, Compacted> {
        if version < self.floor {
            return Err(Compacted { floor: self.floor });
        }
        let from = self.changes.partition_point(|change| change.version <= version);
        Ok(self.changes.range(from..))
    }

    pub fn forget_until(&mut self, version: u64) {
        self.changes.clear();
        self.bytes = 0;
        self.floor = self.floor.max(version);
    }
}
