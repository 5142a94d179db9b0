//! What the program prints.

use std::io::Write as _;

/// Prints to standard output.
pub(crate) fn say(text: &str) {
    // A closed pipe is the reader's choice, not an error of the command.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Prints to standard error.
pub(crate) fn complain(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}
