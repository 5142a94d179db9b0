//! Secrets and sizes of the texts that go into status (A-141, B-07, B-08).

use std::collections::BTreeMap;

/// What takes the place of a secret.
const MASK: &str = "*****";

/// Shorter secrets are masked only where they stand alone: "on" is also in "connection" (B-07).
const SHORT_SECRET_CHARS: usize = 4;

/// The most of one text that is stored, in bytes. Conditions saw all of it (B-08).
pub const STORED_TEXT_LIMIT: usize = 8 * 1024;

/// The text with every secret masked.
#[must_use]
pub fn redact(text: &str, secrets: &[String]) -> String {
    let mut by_length: Vec<&str> =
        secrets.iter().map(String::as_str).filter(|secret| !secret.is_empty()).collect();
    // The longest first: a secret may be part of another.
    by_length.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    by_length.iter().fold(text.to_owned(), |text, secret| {
        if secret.chars().count() < SHORT_SECRET_CHARS {
            replace_words(&text, secret)
        } else {
            text.replace(secret, MASK)
        }
    })
}

fn replace_words(text: &str, word: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(word) {
        masked.push_str(before);
        let joined_before = masked.chars().next_back().is_some_and(char::is_alphanumeric);
        let joined_after = after.chars().next().is_some_and(char::is_alphanumeric);
        masked.push_str(if joined_before || joined_after { word } else { MASK });
        rest = after;
    }
    masked.push_str(rest);
    masked
}

/// A measured value for status: secrets masked, unless the value is nothing but numbers, and cut to size.
#[must_use]
pub fn stored_value(value: &str, secrets: &[String]) -> String {
    let is_number = |text: &str| text.trim().parse::<f64>().is_ok();
    let inner = value.strip_prefix('[').and_then(|value| value.strip_suffix(']')).unwrap_or(value);
    if inner.split(',').all(is_number) { cut(value) } else { stored_text(value, secrets) }
}

/// A text for status: secrets masked, and cut to size.
#[must_use]
pub fn stored_text(text: &str, secrets: &[String]) -> String {
    cut(&redact(text, secrets))
}

/// Texts for status by key.
#[must_use]
pub fn stored_texts(texts: &BTreeMap<String, String>, secrets: &[String]) -> BTreeMap<String, String> {
    texts.iter().map(|(key, text)| (key.clone(), stored_text(text, secrets))).collect()
}

fn cut(text: &str) -> String {
    if text.len() <= STORED_TEXT_LIMIT {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(STORED_TEXT_LIMIT);
    format!("{} (cut: {} bytes in all)", text.get(..end).unwrap_or_default(), text.len())
}

#[cfg(test)]
mod tests {
    use super::{STORED_TEXT_LIMIT, redact, stored_value};

    #[test]
    fn secrets_are_masked_and_short_ones_only_as_words_b07() {
        let secrets = ["s3cret".to_owned(), "s3cret-long".to_owned(), String::new(), "on".to_owned()];
        for (text, want) in [
            ("token s3cret!", "token *****!"),
            ("s3cret-long", "*****"),
            ("xs3crety", "x*****y"),
            ("connection on port", "connection ***** port"),
            ("onon", "onon"),
            ("", ""),
        ] {
            assert_eq!(redact(text, &secrets), want);
        }
    }

    #[test]
    fn numbers_stay_and_long_values_are_cut_b08() {
        let secrets = ["1".to_owned(), "0.97".to_owned()];
        assert_eq!(stored_value("[0.97,1]", &secrets), "[0.97,1]");
        assert_eq!(stored_value("{\"a\":1}", &secrets), "{\"a\":*****}");
        let long = "ä".repeat(STORED_TEXT_LIMIT);
        let stored = stored_value(&long, &[]);
        assert!(stored.len() < STORED_TEXT_LIMIT + 40, "{}", stored.len());
        assert!(stored.ends_with("(cut: 16384 bytes in all)"));
    }
}
