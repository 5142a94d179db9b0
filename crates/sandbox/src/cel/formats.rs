//! Forms that texts can have, as the `format` library names them.

use std::sync::Arc;

use base64::Engine as _;

use super::value::Val;
use crate::names::{LABEL, LABEL_VALUE, QUALIFIED, SUBDOMAIN, is_dns_label, is_dns_subdomain};

/// Functions that give a form, and how large a pattern for it would be.
pub(super) const FORMATS: &[(&str, u64)] = &[
    ("format.dns1123Label", 30),
    ("format.dns1123Subdomain", 60),
    ("format.dns1035Label", 30),
    ("format.qualifiedName", 60),
    ("format.dns1123LabelPrefix", 30),
    ("format.dns1123SubdomainPrefix", 60),
    ("format.dns1035LabelPrefix", 30),
    ("format.labelValue", 40),
    ("format.uri", 1208),
    ("format.uuid", 70),
    ("format.byte", 69),
    ("format.date", 134),
    ("format.datetime", 134),
];

/// The form that a function without arguments gives.
pub(super) fn named(function: &str) -> Option<Val> {
    FORMATS.iter().find(|(name, _)| *name == function).map(|(name, _)| Val::Format(name))
}

/// How large a pattern for the form would be.
pub(super) fn pattern_size(format: &Val) -> u64 {
    match format {
        Val::Format(name) => FORMATS.iter().find(|(one, _)| one == name).map_or(1, |(_, size)| *size),
        _ => 1,
    }
}

/// What is wrong with a text; an empty optional when nothing is.
pub(super) fn validate(format: &str, text: &str) -> Val {
    let wrong = problem(format.trim_start_matches("format."), text);
    Val::Optional(wrong.map(|why| Arc::new(Val::list(vec![Val::Text(why.to_owned())]))))
}

fn problem(format: &str, text: &str) -> Option<&'static str> {
    // A prefix may end in a hyphen, as something follows.
    let whole = match text.strip_suffix('-') {
        Some(rest) if format.ends_with("Prefix") => format!("{rest}a"),
        _ => text.to_owned(),
    };
    let old_label = |text: &str| is_dns_label(text) && text.starts_with(|c: char| c.is_ascii_lowercase());
    let value = |text: &str| {
        let ends = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
        let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        text.len() <= 63
            && text.chars().all(inside)
            && ends(text.chars().next())
            && ends(text.chars().next_back())
    };
    let (good, why) = match format.trim_end_matches("Prefix") {
        "dns1123Label" => (is_dns_label(&whole), LABEL),
        "dns1123Subdomain" => (is_dns_subdomain(&whole), SUBDOMAIN),
        "dns1035Label" => (
            old_label(&whole),
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')",
        ),
        "labelValue" => (value(text), LABEL_VALUE),
        "qualifiedName" => {
            let (prefix, name) = text.split_once('/').unwrap_or(("a", text));
            (is_dns_subdomain(prefix) && !name.is_empty() && value(name), QUALIFIED)
        }
        "uri" => (super::library::parse_url(text).is_some(), "invalid URI for request"),
        "uuid" => (
            text.len() == 36 && text.chars().all(|c| c == '-' || c.is_ascii_hexdigit()),
            "does not match the UUID format",
        ),
        "byte" => (base64::engine::general_purpose::STANDARD.decode(text).is_ok(), "invalid base64"),
        "date" => (text.parse::<jiff::civil::Date>().is_ok() && text.len() == 10, "invalid date"),
        _ => (text.parse::<jiff::Timestamp>().is_ok(), "invalid datetime"),
    };
    (!good).then_some(why)
}
