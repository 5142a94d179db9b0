//! Colours (O-037): known words have a colour, the rest is wrapped all the same so that columns stay aligned.

/// Whether colours are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// Plain text.
    Plain,
    /// ANSI escape sequences.
    Ansi,
}

const RED: u8 = 31;
const GREEN: u8 = 32;
const YELLOW: u8 = 33;
const BRIGHT_BLUE: u8 = 94;
const UNMAPPED: u8 = 0;

/// A piece of text and how it is coloured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// The text.
    pub text: String,
    /// SGR code; `None` for text that never passes through the colourer.
    pub code: Option<u8>,
}

impl Word {
    /// Text without a colour.
    #[must_use]
    pub fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), code: None }
    }

    /// An icon or tag in its own colour.
    #[must_use]
    pub fn known(text: impl Into<String>) -> Self {
        let text = text.into();
        let code = Some(code_of(&text));
        Self { text, code }
    }

    /// Text in the colour of another word, for example a name in the colour of its state.
    #[must_use]
    pub fn toned(text: impl Into<String>, tone: &str) -> Self {
        Self { text: text.into(), code: Some(code_of(tone)) }
    }

    /// The text as it is written.
    #[must_use]
    pub fn render(&self, paint: Paint) -> String {
        match (paint, self.code) {
            (Paint::Ansi, Some(code)) => format!("\x1b[{code}m{}\x1b[0m", self.text),
            _ => self.text.clone(),
        }
    }
}

fn code_of(word: &str) -> u8 {
    match word {
        "◷" | "?" | "canary" => YELLOW,
        "◌" | "preview" | "ping" | "pong" | "Pending" | "Running" => BRIGHT_BLUE,
        "⚠" | "✖" => RED,
        "✔" | "stable" | "active" => GREEN,
        _ => UNMAPPED,
    }
}

/// Characters on the screen: escape sequences take no room (O-023).
#[must_use]
pub fn width(text: &str) -> usize {
    let mut count = 0;
    let mut in_escape = false;
    for character in text.chars() {
        match (in_escape, character) {
            (false, '\x1b') => in_escape = true,
            (false, _) => count += 1,
            (true, 'm') => in_escape = false,
            (true, _) => {}
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_words_have_their_colours_and_the_rest_is_wrapped_with_zero_o_037() {
        let cases = [
            ("◷", 33),
            ("◌", 94),
            ("⚠", 31),
            ("?", 33),
            ("✔", 32),
            ("✖", 31),
            ("॥", 0),
            ("•", 0),
            ("canary", 33),
            ("stable", 32),
            ("active", 32),
            ("preview", 94),
            ("ping", 94),
            ("pong", 94),
            (" ", 0),
        ];
        for (word, code) in cases {
            assert_eq!(Word::known(word).render(Paint::Ansi), format!("\x1b[{code}m{word}\x1b[0m"));
        }
        assert_eq!(Word::toned("run", "Running").render(Paint::Ansi), "\x1b[94mrun\x1b[0m");
        assert_eq!(Word::toned("run", "Failed").render(Paint::Ansi), "\x1b[0mrun\x1b[0m");
        assert_eq!(Word::known("✔").render(Paint::Plain), "✔");
        assert_eq!(Word::plain("x").render(Paint::Ansi), "x");
    }

    #[test]
    fn escape_sequences_take_no_room_o_023() {
        assert_eq!(width("├──\x1b[32m✔\x1b[0m a"), 6);
    }
}
