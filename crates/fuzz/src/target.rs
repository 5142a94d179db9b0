//! One thing to throw input at.

/// Something that reads input; it may refuse it, but not panic.
pub struct Target {
    /// Its name on the command line.
    pub name: &'static str,
    /// Inputs to begin with.
    pub seeds: Vec<Vec<u8>>,
    /// Pieces that mean something to it.
    pub dictionary: &'static [&'static str],
    /// True when inputs are JSON documents, which are mutated as trees more often than as bytes.
    pub json: bool,
    /// Reads one input and answers with the shape of the outcome.
    pub read: Box<dyn FnMut(&[u8]) -> u64>,
}

impl Target {
    /// A target over text. Bytes that are not UTF-8 reach it as replacement characters.
    pub fn text(
        name: &'static str,
        dictionary: &'static [&'static str],
        seeds: impl IntoIterator<Item = String>,
        mut read: impl FnMut(&str) -> u64 + 'static,
    ) -> Self {
        Self {
            name,
            seeds: seeds.into_iter().map(String::into_bytes).collect(),
            dictionary,
            json: false,
            read: Box::new(move |input| read(&String::from_utf8_lossy(input))),
        }
    }

    /// A target over JSON documents. Input that is not JSON is not its business.
    pub fn json(
        name: &'static str,
        dictionary: &'static [&'static str],
        seeds: impl IntoIterator<Item = serde_json::Value>,
        mut read: impl FnMut(&serde_json::Value) -> u64 + 'static,
    ) -> Self {
        Self {
            name,
            seeds: seeds.into_iter().map(|seed| seed.to_string().into_bytes()).collect(),
            dictionary,
            json: true,
            read: Box::new(move |input| serde_json::from_slice(input).map_or(0, |document| read(&document))),
        }
    }
}

/// What separates the parts of an input that has two.
pub const SEPARATOR: &str = "\n---\n";

/// The two parts of an input; the second is empty when there is none.
#[must_use]
pub fn parts(input: &str) -> (&str, &str) {
    input.split_once(SEPARATOR).unwrap_or((input, ""))
}
