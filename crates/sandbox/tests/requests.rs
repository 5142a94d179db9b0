//! Raw requests and what a real kube-apiserver answers to them: code, headers that clients read, and the whole
//! body. The embedded plane is held against it.
//!
//! The answers stand in `requests/*.txt`. To record them again, start a control plane and run this test with
//! `GLIDEPATH_REAL_KUBECONFIG` naming its kubeconfig and `GLIDEPATH_RECORD=1`; without `GLIDEPATH_RECORD` the
//! real plane is held against them too.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step fails the test")]

mod support;

use std::path::{Path, PathBuf};

use glidepath_sandbox::Sandbox;
use support::exchange::{Names, ask, connect, furnish};
use support::script::{parse_script, render_script};

/// Waits until a new kind is served, or until a real server has seen that a known one changed.
async fn settle(client: &kube::Client, word: &str, path: &str, real: bool) {
    if word == "SETTLE" && real {
        tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    }
    for _ in 0..100 {
        if ask(client, &format!("GET {path}"), "", &mut Names::default()).await[0] == "200" {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    // A kind that is never served shows in the answers that follow.
}

async fn hold(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/requests").join(format!("{name}.txt"));
    let text = std::fs::read_to_string(&path).unwrap();
    let mut exchanges = parse_script(&text);
    assert_eq!(render_script(&exchanges), text, "a script is written as it is read");
    let real = std::env::var_os("GLIDEPATH_REAL_KUBECONFIG").map(PathBuf::from);
    let recording = real.is_some() && std::env::var_os("GLIDEPATH_RECORD").is_some();
    let client = match &real {
        Some(path) => connect(path).await,
        None => Sandbox::builder().build().unwrap().client("requests", "default"),
    };
    furnish(&client, name).await;
    let mut names = Names { counted: name != "built-in", ..Names::default() };
    let mut differences = String::new();
    for exchange in &mut exchanges {
        if let Some((word @ ("AWAIT" | "SETTLE"), path)) = exchange.line.split_once(' ') {
            settle(&client, word, path, real.is_some()).await;
            continue;
        }
        let answer = ask(&client, &exchange.line, &exchange.body, &mut names).await;
        if recording {
            exchange.answer = answer;
            continue;
        }
        let explained = exchange.differs.is_some() && real.is_none();
        let same =
            if explained { answer.first() == exchange.answer.first() } else { answer == exchange.answer };
        if !same {
            differences += &exchange.difference(&answer);
        }
    }
    if recording {
        std::fs::write(&path, render_script(&exchanges)).unwrap();
    }
    assert!(differences.is_empty(), "answers differ:\n{differences}");
}

/// Rows of the table of measured semantics on writes, deletions and refusals.
#[tokio::test]
async fn objects_live_as_on_a_real_server() {
    hold("objects").await;
}

/// Defaults, validation and what may not change, for the built-in kinds that rollouts touch.
#[tokio::test]
async fn built_in_kinds_are_defaulted_and_refused_as_on_a_real_server() {
    hold("built-in").await;
}

/// Lists, pages and watches.
#[tokio::test]
async fn lists_and_watches_answer_as_on_a_real_server() {
    hold("lists").await;
}

/// Rules of definitions: refused ones, what they say of objects, and what they may cost.
#[tokio::test]
async fn rules_of_definitions_are_read_and_held_as_on_a_real_server() {
    hold("rules").await;
}

/// What random requests were answered differently, once.
#[tokio::test]
async fn odd_requests_are_answered_as_by_a_real_server() {
    hold("odd").await;
}
