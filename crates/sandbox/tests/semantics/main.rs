//! Measured semantics of a real kube-apiserver with its controllers, row by row: requests, and the answers with
//! code, headers that clients read, and the whole body. Either plane is held against them.
//!
//! The rows stand in `rows/*.txt`, one file and one test each. To record them again, start a control plane without nodes
//! and run this test with `GLIDEPATH_REAL_KUBECONFIG` naming its kubeconfig and `GLIDEPATH_RECORD=1`; without
//! `GLIDEPATH_RECORD` the real plane is held against them too.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step fails the test")]

mod planes;
#[path = "../support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use planes::Asked;
use serde_json::Value;
use support::exchange::{Names, begin_request, furnish, mask_numbers, send};
use support::script::{Exchange, parse_script, render_script};

/// How often controllers are given time before an answer is taken as it is.
const PATIENCE: u32 = 300;
const GLANCE: Duration = Duration::from_millis(100);

/// The namespace that a script is played in, and what stands for it in answers.
struct Place<'a> {
    actual: &'a str,
    shown: &'a str,
}

async fn ask(asked: &Asked, exchange: &Exchange, place: &Place<'_>, names: &mut Names) -> Vec<String> {
    let mut tries = 0;
    loop {
        let answer = ask_once(asked, exchange, place, names).await;
        tries += 1;
        let there = match &exchange.until {
            None => true,
            Some(code) if code.parse::<u16>().is_ok() => answer.first() == Some(code),
            Some(text) => answer.iter().any(|line| line.contains(text.as_str())),
        };
        if there || tries == PATIENCE {
            return answer;
        }
        tokio::time::sleep(GLANCE).await;
    }
}

async fn ask_once(asked: &Asked, exchange: &Exchange, place: &Place<'_>, names: &mut Names) -> Vec<String> {
    let fill = |text: &str| names.fill(text).replace("$ns", place.actual);
    let mut client = &asked.admin;
    let mut request = begin_request(&exchange.line, fill);
    for with in &exchange.with {
        match with.as_str() {
            "anonymous" => client = asked.nobody.as_ref().unwrap(),
            "bad token" => client = asked.impostor.as_ref().unwrap(),
            header => {
                let (name, value) = header.split_once(": ").unwrap();
                request = request.header(name, fill(value));
            }
        }
    }
    let (parts, text) = send(client, request, fill(&exchange.body)).await;
    let mut answer = vec![parts.status.as_u16().to_string()];
    let shown = exchange.shows.iter().map(String::as_str).filter(|shows| *shows != "managedFields");
    for name in ["warning", "retry-after"].into_iter().chain(shown) {
        for value in parts.headers.get_all(name) {
            answer.push(format!("{name}: {}", mask_numbers(value.to_str().unwrap())));
        }
    }
    names.shows_managers = exchange.shows.iter().any(|shows| shows == "managedFields");
    answer.extend(names.lines(&text.replace(place.actual, place.shown)));
    answer
}

/// Plays a script; writes the answers down when that is wished for, and compares them otherwise.
async fn play(path: &Path, asked: &Asked, place: &Place<'_>, mut names: Names) {
    let text = std::fs::read_to_string(path).unwrap();
    let mut exchanges = parse_script(&text);
    assert_eq!(render_script(&exchanges), text, "a script is written as it is read");
    let recording = asked.is_real && std::env::var_os("GLIDEPATH_RECORD").is_some();
    furnish(&asked.admin, place.actual).await;
    let mut differences = String::new();
    for exchange in &mut exchanges {
        let answer = ask(asked, exchange, place, &mut names).await;
        if recording {
            // Of an answer that is another one here the rest is of no use, and may be long.
            exchange.answer = if exchange.differs.is_some() { head(&answer).to_vec() } else { answer };
            continue;
        }
        let same = match (&exchange.differs, asked.is_real) {
            (None, _) => in_any_order(&answer) == in_any_order(&exchange.answer),
            (Some(_), true) => answer.starts_with(&exchange.answer),
            (Some(_), false) => shown(&answer, exchange) == shown(&exchange.answer, exchange),
        };
        if !same {
            differences += &exchange.difference(&answer);
        }
    }
    if recording {
        std::fs::write(path, render_script(&exchanges)).unwrap();
    }
    assert!(differences.is_empty(), "answers differ:\n{differences}");
}

/// Managers in any order: it follows from the second in which each wrote.
fn in_any_order(answer: &[String]) -> Vec<String> {
    let line = |line: &String| {
        let Ok(mut document) = serde_json::from_str::<Value>(line) else { return line.clone() };
        if let Some(Value::Array(managers)) = document.pointer_mut("/metadata/managedFields") {
            managers.sort_by_key(ToString::to_string);
        }
        document.to_string()
    };
    answer.iter().map(line).collect()
}

/// The status and the headers of an answer.
fn head(answer: &[String]) -> &[String] {
    let is_header = |line: &&String| {
        let name = line.split_once(": ").map_or("", |(name, _)| name);
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
    };
    let headers = answer.iter().skip(1).take_while(is_header).count();
    answer.get(..=headers).unwrap_or(answer)
}

/// Of an answer that differs for a reason: the status, and the headers that were asked for.
fn shown<'a>(answer: &'a [String], exchange: &Exchange) -> Vec<&'a String> {
    let asked_for = |line: &&String| {
        let name = line.split_once(": ").map_or("", |(name, _)| name);
        exchange.shows.iter().any(|shows| shows == name)
    };
    answer.iter().take(1).chain(head(answer).iter().skip(1).filter(asked_for)).collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/semantics/rows")
}

/// One row, over HTTPS and with controllers at work.
async fn hold_row(name: &str) {
    let path = folder().join(format!("{name}.txt"));
    let text = std::fs::read_to_string(&path).unwrap();
    let unversioned = text.contains("\n# Versions are not compared: controllers write too.\n");
    // A plane that is up for long may see a row again.
    let actual = format!("{name}-{:06}", std::process::id());
    let place = Place { actual: &actual, shown: "NS" };
    let names = Names { counted: true, unversioned, ..Names::default() };
    play(&path, &Asked::with_controllers().await, &place, names).await;
}

/// A test per row, named like its file.
macro_rules! rows {
    ($($row:ident),* $(,)?) => {
        const ROWS: &[&str] = &[$(stringify!($row)),*];

        mod semantics {
            $(#[tokio::test]
            async fn $row() {
                super::hold_row(&stringify!($row).replace('_', "-")).await;
            })*
        }
    };
}

rows! {
    create_with_status,
    generation_of_patches,
    status_and_spec_have_doors_of_their_own,
    scale_is_a_manager,
    deletion_counts_as_a_change,
    no_new_finalizer_while_deleting,
    plain_deletion_of_a_custom_object,
    deletion_of_a_pod,
    stale_replacement,
    replacement_without_version,
    strategic_patch_of_a_custom_object,
    apply_conflict,
    unknown_field,
    field_selector_on_a_custom_kind,
    watch_from_version_one,
    version_in_the_future,
    pages,
    malformed_continue_token,
    unknown_path,
    bad_names,
    replica_set_defaults,
    pod_template_defaults,
    service,
    pod_admission,
    endpoint_slice_on_loopback,
    event_about_another_namespace,
    anonymous,
    response_headers,
    ownership_of_atomic_lists,
    apply_without_a_field,
    orphans,
    block_owner_deletion,
    owner_in_another_namespace,
    namespace_ends_in_order,
}

#[test]
fn every_row_of_the_table_is_a_test() {
    let mut files: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().replace('-', "_"))
        .collect();
    files.sort();
    let mut rows = ROWS.to_vec();
    rows.sort_unstable();
    assert_eq!(files, rows);
}
