//! Where inputs come from before they are mutated: the recorded answers of the repository.

use std::path::PathBuf;

use serde_json::Value;

/// The texts of the published manifests.
#[must_use]
pub fn manifest_texts() -> Vec<String> {
    let Ok(files) = std::fs::read_dir(glidepath_corpora::folder().join("manifests")) else {
        return Vec::new();
    };
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
