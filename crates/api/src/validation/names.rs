//! Which texts may be names, labels and ports, and what Kubernetes says about those that may not.

const QUALIFIED_NAME: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const DNS_LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";

/// What is wrong with a label or annotation key; `None` when nothing is.
pub(super) fn qualified_name_error(key: &str) -> Option<String> {
    let (prefix, name) = match key.split('/').collect::<Vec<_>>().as_slice() {
        [name] => (None, *name),
        [prefix, name] => (Some(*prefix), *name),
        _ => {
            return Some(format!(
                "a qualified name {} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
                qualified_name_text()
            ));
        }
    };
    if let Some(prefix) = prefix {
        if prefix.is_empty() {
            return Some("prefix part must be non-empty".to_owned());
        }
        if let Some(error) = dns_subdomain_error(prefix) {
            return Some(format!("prefix part {error}"));
        }
    }
    if name.is_empty() {
        return Some("name part must be non-empty".to_owned());
    }
    if name.len() > 63 {
        return Some(format!("name part {}", too_long(63)));
    }
    (!is_qualified(name)).then(|| format!("name part {}", qualified_name_text()))
}

/// What is wrong with a label's value; `None` when nothing is.
pub(super) fn label_value_error(value: &str) -> Option<String> {
    if value.len() > 63 {
        return Some(too_long(63));
    }
    (!value.is_empty() && !is_qualified(value)).then(|| {
        regex_text(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and \
             must start and end with an alphanumeric character",
            &format!("({QUALIFIED_NAME})?"),
            &["MyValue", "my_value", "12345"],
        )
    })
}

/// What is wrong with a container's or a volume's name; `None` when nothing is.
pub(super) fn dns_label_error(name: &str) -> Option<String> {
    if name.len() > 63 {
        return Some(too_long(63));
    }
    if is_dns_label(name) {
        return None;
    }
    if name.split('.').all(is_dns_label) {
        return Some("must not contain dots".to_owned());
    }
    Some(regex_text(
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start \
         and end with an alphanumeric character",
        DNS_LABEL,
        &["my-name", "123-abc"],
    ))
}

/// What is wrong with a port's name; `None` when nothing is.
pub(super) fn port_name_error(name: &str) -> Option<String> {
    if name.len() > 15 {
        return Some(too_long(15));
    }
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let text = if !name.chars().all(allowed) {
        "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"
    } else if !name.contains(|c: char| c.is_ascii_lowercase()) {
        "must contain at least one letter (a-z)"
    } else if name.contains("--") {
        "must not contain consecutive hyphens"
    } else if name.starts_with('-') || name.ends_with('-') {
        "must not begin or end with a hyphen"
    } else {
        return None;
    };
    Some(text.to_owned())
}

fn dns_subdomain_error(name: &str) -> Option<String> {
    if name.len() > 253 {
        return Some(too_long(253));
    }
    (!name.split('.').all(is_dns_label)).then(|| {
        regex_text(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and \
             must start and end with an alphanumeric character",
            &format!("{DNS_LABEL}(\\.{DNS_LABEL})*"),
            &["example.com"],
        )
    })
}

/// Letters, digits, `-`, `_` and `.`, beginning and ending with a letter or digit.
fn is_qualified(name: &str) -> bool {
    let outer = |c: char| c.is_ascii_alphanumeric();
    name.starts_with(outer) && name.ends_with(outer) && name.chars().all(|c| outer(c) || "-_.".contains(c))
}

fn is_dns_label(name: &str) -> bool {
    let outer = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.starts_with(outer) && name.ends_with(outer) && name.chars().all(|c| outer(c) || c == '-')
}

fn qualified_name_text() -> String {
    regex_text(
        "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric \
         character",
        QUALIFIED_NAME,
        &["MyName", "my.name", "123-abc"],
    )
}

fn regex_text(rule: &str, pattern: &str, examples: &[&str]) -> String {
    let examples: Vec<String> = examples.iter().map(|example| format!("'{example}', ")).collect();
    format!("{rule} (e.g. {}regex used for validation is '{pattern}')", examples.join(" or "))
}

fn too_long(characters: usize) -> String {
    format!("must be no more than {characters} characters")
}
