//! Where inputs come from before they are mutated: the recorded answers of the repository.

use std::path::PathBuf;

use serde_json::Value;

/// The folder of recorded answers: the one named by `GLIDEPATH_CORPORA`, else the repository's.
fn folder() -> PathBuf {
    std::env::var_os("GLIDEPATH_CORPORA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/corpora")),
        PathBuf::from,
    )
}

/// The rows of a file of JSON lines; none when it is not there.
#[must_use]
pub fn rows(name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(folder().join(name)).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// A whole JSON file; null when it is not there.
#[must_use]
pub fn document(name: &str) -> Value {
    let text = std::fs::read_to_string(folder().join(name)).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or(Value::Null)
}

/// The texts of the published manifests.
#[must_use]
pub fn manifest_texts() -> Vec<String> {
    let Ok(files) = std::fs::read_dir(folder().join("manifests")) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = files.filter_map(|file| Some(file.ok()?.path())).collect();
    paths.sort();
    paths.iter().filter_map(|path| std::fs::read_to_string(path).ok()).collect()
}

/// The published manifests, document by document.
#[must_use]
pub fn manifests() -> Vec<Value> {
    let texts = manifest_texts();
    texts.iter().filter_map(|text| glidepath_gocompat::yaml::parse_documents(text).ok()).flatten().collect()
}
