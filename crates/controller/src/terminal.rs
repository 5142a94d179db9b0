//! What people read: standard output, standard error, and the screen of a terminal. Nothing else here prints.

use std::io::{IsTerminal as _, Write as _};

/// Prints to standard output.
pub(crate) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    // A closed pipe is the reader's choice, not an error of the command.
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}

/// Prints to standard error.
pub(crate) fn complain(text: &str) {
    // There is nowhere left to say that even this could not be printed.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// An error and its causes in one line. What an API server refused is told in its own words, once.
pub(crate) fn explain(error: &anyhow::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    for cause in error.chain() {
        let refused = cause.downcast_ref::<kube::Error>();
        // Errors of libraries may be boxed on the way.
        let refused =
            refused.or_else(|| cause.downcast_ref::<Box<kube::Error>>().map(std::convert::AsRef::as_ref));
        let text = match refused {
            Some(kube::Error::Api(status)) => status.message.clone(),
            _ => cause.to_string(),
        };
        if parts.last().is_none_or(|last| !last.contains(&text)) {
            parts.push(text.replace('\n', " "));
        }
        if refused.is_some() {
            break;
        }
    }
    parts.join(": ")
}

/// Whether a person looks at a screen that can be drawn on.
pub(crate) fn is_screen() -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    std::io::stdout().is_terminal() && !dumb
}

/// Whether colours are wanted: on a terminal, unless `NO_COLOR` is set.
pub(crate) fn wants_colour() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Columns and rows of the terminal.
pub(crate) fn size() -> (usize, usize) {
    let asked = rustix::termios::tcgetwinsize(std::io::stdout()).ok();
    let known = asked.map(|size| (usize::from(size.ws_col), usize::from(size.ws_row)));
    known.filter(|(columns, rows)| *columns > 0 && *rows > 0).unwrap_or((100, 40))
}

/// The terminal's second screen. Dropping it brings back the first one as it was.
#[derive(Debug)]
pub(crate) struct Screen;

impl Screen {
    /// Switches to the second screen and hides the cursor.
    pub(crate) fn open() -> Self {
        say("\x1b[?1049h\x1b[?25l\x1b[2J");
        Self
    }

    /// Draws a frame over the one before.
    pub(crate) fn draw(&self, frame: &str) {
        // Each line is cleared to its end, so that nothing of the frame before stays and nothing flickers.
        let mut text = String::with_capacity(frame.len() + 512);
        text.push_str("\x1b[H");
        for line in frame.lines() {
            text.push_str(line);
            text.push_str("\x1b[K\r\n");
        }
        text.push_str("\x1b[J");
        say(&text);
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        say("\x1b[?25h\x1b[?1049l");
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn an_error_is_one_line_in_the_words_of_who_refused() {
        let refused = kube::Error::Api(Box::new(Status::failure("no space left", "InternalError")));
        let error = anyhow::Error::new(refused).context("cannot install x");
        assert_eq!(explain(&error), "cannot install x: no space left");
        let plain = anyhow::anyhow!("two\nlines").context("cannot start");
        assert_eq!(explain(&plain), "cannot start: two lines");
    }
}
