//! The log on stderr, one line per record, in the fields log pipelines index (O-462, O-463, O-488).

use std::fmt::{self, Write as _};
use std::io::Write as _;

use glidepath_clock::Clock;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// `time="…" level=info msg="…" key=value`
    Text,
    /// One JSON object.
    Json,
}

/// Starts logging. Must be called within a tokio runtime.
///
/// # Errors
/// When the level is not one the reference knows.
pub(crate) fn start(level: &str, format: Format, client_verbosity: u8) -> Result<(), String> {
    let level = parse_level(level)?;
    let client = match client_verbosity {
        0 => LevelFilter::OFF,
        1..=5 => LevelFilter::WARN,
        6..=8 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let targets = Targets::new().with_target("glidepath", level).with_default(client);
    let ours = ["api", "clock", "controller", "core", "kube", "metrics", "traffic"];
    let targets = targets.with_targets(ours.map(|name| (format!("glidepath_{name}"), level)));
    let lines = Lines { format, clock: Clock::system() };
    tracing_subscriber::registry()
        .with(lines.with_filter(targets))
        .try_init()
        .map_err(|error| error.to_string())
}

/// A level by logrus's names (O-011).
fn parse_level(text: &str) -> Result<LevelFilter, String> {
    Ok(match text.to_lowercase().as_str() {
        "panic" | "fatal" | "error" => LevelFilter::ERROR,
        "warn" | "warning" => LevelFilter::WARN,
        "info" => LevelFilter::INFO,
        "debug" => LevelFilter::DEBUG,
        "trace" => LevelFilter::TRACE,
        _ => return Err(format!("not a valid logrus Level: {text:?}")),
    })
}

struct Lines {
    format: Format,
    clock: Clock,
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let time = format!("{:.0}", self.clock.now());
        let line = render(self.format, *event.metadata().level(), &time, fields);
        // A log that cannot be written has nowhere to complain.
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, Value::String(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.put(field, u64::try_from(value).unwrap_or(u64::MAX).into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        if field.name() == "message" {
            self.message = value.as_str().unwrap_or_default().to_owned();
        } else {
            self.others.insert(field.name().to_owned(), value);
        }
    }
}

fn render(format: Format, level: Level, time: &str, fields: Fields) -> String {
    let level = match level {
        Level::ERROR => "error",
        Level::WARN => "warning",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    };
    let Fields { message, mut others } = fields;
    match format {
        Format::Json => {
            others.insert("level".to_owned(), level.into());
            others.insert("msg".to_owned(), message.into());
            others.insert("time".to_owned(), time.into());
            format!("{}\n", Value::Object(others))
        }
        Format::Text => {
            // Writing to a String cannot fail.
            let mut line = format!("time=\"{time}\" level={level} msg={}", quoted(&message));
            for (name, value) in others {
                let value = value.as_str().map_or_else(|| value.to_string(), quoted);
                let _ = write!(line, " {name}={value}");
            }
            line.push('\n');
            line
        }
    }
}

/// A text as logrus writes it: in quotes only when it needs them.
fn quoted(text: &str) -> String {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "-._/@^+".contains(character);
    if !text.is_empty() && text.chars().all(is_plain) { text.to_owned() } else { format!("{text:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> Fields {
        let mut others = Map::new();
        others.insert("rollout".to_owned(), "web".into());
        others.insert("time_ms".to_owned(), 3.into());
        Fields { message: "it is \"done\"".to_owned(), others }
    }

    #[test]
    fn a_line_carries_level_message_and_time_in_both_formats_o_488() {
        let time = "2026-01-01T00:00:00Z";
        assert_eq!(
            render(Format::Text, Level::WARN, time, fields()),
            "time=\"2026-01-01T00:00:00Z\" level=warning msg=\"it is \\\"done\\\"\" rollout=web time_ms=3\n"
        );
        let json: Value = serde_json::from_str(&render(Format::Json, Level::INFO, time, fields())).unwrap();
        assert_eq!(
            json,
            serde_json::json!({"time": time, "level": "info", "msg": "it is \"done\"", "rollout": "web", "time_ms": 3})
        );
    }

    #[test]
    fn levels_are_those_of_logrus_o_011() {
        assert_eq!(parse_level("warning"), Ok(LevelFilter::WARN));
        assert_eq!(parse_level("loud"), Err("not a valid logrus Level: \"loud\"".to_owned()));
    }
}
