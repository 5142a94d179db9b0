//! Where tests find the recorded answers.

use std::path::PathBuf;

/// The folder of recorded answers: the one named by `GLIDEPATH_CORPORA`, else the repository's.
pub(crate) fn folder() -> PathBuf {
    std::env::var_os("GLIDEPATH_CORPORA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/corpora")),
        Into::into,
    )
}

/// A recorded file, or `None` with a line that says it was skipped.
pub(crate) fn read(name: &str) -> Option<String> {
    let path = folder().join(name);
    let text = std::fs::read_to_string(&path).ok();
    if text.is_none() {
        println!("skipped: no {}", path.display());
    }
    text
}
