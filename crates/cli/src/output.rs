//! Everything that is printed goes through here: results to stdout, the rest to stderr (O-008).

use std::io::{self, IsTerminal, Write};

use glidepath_view::Paint;

/// Where results and complaints go.
pub struct Output {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    terminal: bool,
    /// The surroundings ask for plain text.
    plain: bool,
    screens: usize,
}

impl Output {
    /// The process's own stdout and stderr.
    #[must_use]
    pub fn of_process() -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            out: Box::new(io::stdout()),
            err: Box::new(io::stderr()),
            terminal: io::stdout().is_terminal(),
            plain: dumb || set("NO_COLOR"),
            screens: 0,
        }
    }

    /// Writes to the given writers; `terminal` says whether the first is one.
    #[must_use]
    pub fn new(out: Box<dyn Write + Send>, err: Box<dyn Write + Send>, terminal: bool) -> Self {
        Self { out, err, terminal, plain: false, screens: 0 }
    }

    /// Whether to use colours: on a terminal, unless told otherwise (O-038, O-852).
    #[must_use]
    pub fn paint(&self, no_color: bool, color: Option<&str>) -> Paint {
        let wanted = match color {
            _ if no_color => false,
            Some("always") => true,
            Some("never") => false,
            _ => self.terminal && !self.plain,
        };
        if wanted { Paint::Ansi } else { Paint::Plain }
    }

    // A reader that went away is no reason to fail: what is left to say has no listener.

    /// A line of results.
    pub fn line(&mut self, text: &str) {
        let _ = writeln!(self.out, "{text}").and_then(|()| self.out.flush());
    }

    /// Results that already end as they should.
    pub fn text(&mut self, text: &str) {
        let _ = write!(self.out, "{text}").and_then(|()| self.out.flush());
    }

    /// A line for the person at the keyboard.
    pub fn note(&mut self, text: &str) {
        let _ = writeln!(self.err, "{text}").and_then(|()| self.err.flush());
    }

    /// Text for the person at the keyboard that already ends as it should.
    pub fn note_text(&mut self, text: &str) {
        let _ = write!(self.err, "{text}").and_then(|()| self.err.flush());
    }

    /// A screen in place of the last one: on a terminal it is cleared first (O-039), elsewhere screens follow
    /// one another with a blank line between (O-852).
    pub fn screen(&mut self, text: &str) {
        if self.terminal {
            self.text("\x1b[H\x1b[2J\x1b[0;0H");
        } else if self.screens > 0 {
            self.text("\n");
        }
        self.screens += 1;
        self.text(text);
    }

    /// True if a redraw makes sense although only ages changed.
    #[must_use]
    pub fn redraws_for_ages(&self) -> bool {
        self.terminal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_need_a_terminal_unless_they_are_asked_for_o_852() {
        let output = |terminal| Output::new(Box::new(io::sink()), Box::new(io::sink()), terminal);
        let cases = [
            (true, false, None, Paint::Ansi),
            (true, true, None, Paint::Plain),
            (true, false, Some("never"), Paint::Plain),
            (false, false, None, Paint::Plain),
            (false, false, Some("always"), Paint::Ansi),
            (false, true, Some("always"), Paint::Plain),
        ];
        for (terminal, no_color, color, expected) in cases {
            assert_eq!(output(terminal).paint(no_color, color), expected, "{terminal} {no_color} {color:?}");
        }
    }
}
