//! How a script of requests is written, and how answers that differ are shown.

#![allow(dead_code, reason = "each user takes its own part")]

/// One request of a script and what it is answered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exchange {
    /// Comments and blank lines before it.
    pub before: Vec<String>,
    /// Method, path and media type; `AWAIT` or `SETTLE` and a path, where only something is waited for.
    pub line: String,
    /// `@`: headers of the request, or who asks: `anonymous`, `bad token`.
    pub with: Vec<String>,
    /// The request's body.
    pub body: String,
    /// `?`: asked again until the status is this one, or the answer contains this, because controllers are at work.
    pub until: Option<String>,
    /// `&`: headers of the answer that are compared, or `managedFields`.
    pub shows: Vec<String>,
    /// `~`: why the embedded plane answers otherwise, if it does: then only the code is compared.
    pub differs: Option<String>,
    /// `<`: the status, headers and one line per document.
    pub answer: Vec<String>,
}

/// Reads a script.
pub fn parse_script(text: &str) -> Vec<Exchange> {
    let mut exchanges: Vec<Exchange> = Vec::new();
    let mut before = Vec::new();
    for line in text.lines() {
        let method = line.split(' ').next().unwrap_or_default();
        if matches!(method, "GET" | "POST" | "PUT" | "PATCH" | "DELETE" | "AWAIT" | "SETTLE") {
            let before = std::mem::take(&mut before);
            exchanges.push(Exchange { before, line: line.to_owned(), ..Exchange::default() });
        } else if line.is_empty() || line.starts_with('#') {
            before.push(line.to_owned());
        } else if let Some(exchange) = exchanges.last_mut() {
            match line.split_at_checked(2) {
                Some(("@ ", with)) => exchange.with.push(with.to_owned()),
                Some(("? ", until)) => exchange.until = Some(until.to_owned()),
                Some(("& ", shows)) => exchange.shows.push(shows.to_owned()),
                Some(("~ ", reason)) => exchange.differs = Some(reason.to_owned()),
                Some(("< ", answer)) => exchange.answer.push(answer.to_owned()),
                _ => line.clone_into(&mut exchange.body),
            }
        }
    }
    exchanges
}

/// Writes a script as it is read.
pub fn render_script(exchanges: &[Exchange]) -> String {
    let mut lines: Vec<String> = Vec::new();
    for exchange in exchanges {
        lines.extend(exchange.before.iter().cloned());
        lines.push(exchange.line.clone());
        lines.extend(exchange.with.iter().map(|with| format!("@ {with}")));
        lines.extend(Some(exchange.body.clone()).filter(|body| !body.is_empty()));
        lines.extend(exchange.until.iter().map(|until| format!("? {until}")));
        lines.extend(exchange.shows.iter().map(|shows| format!("& {shows}")));
        lines.extend(exchange.differs.iter().map(|reason| format!("~ {reason}")));
        lines.extend(exchange.answer.iter().map(|answer| format!("< {answer}")));
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

impl Exchange {
    /// The request and the lines in which the answer differs from the recorded one.
    pub fn difference(&self, answer: &[String]) -> String {
        let mut text = format!("{}\n{}\n", self.line, self.body);
        for line in self.answer.iter().filter(|line| !answer.contains(line)) {
            text += &format!("- {line}\n");
        }
        for line in answer.iter().filter(|line| !self.answer.contains(line)) {
            text += &format!("+ {line}\n");
        }
        text
    }
}
