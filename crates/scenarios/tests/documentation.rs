//! The pages of `docs/` that show a release are run as they stand, on the embedded plane in virtual time.
//!
//! A `yaml` block is applied; one marked `merge KIND/NAME` is merged into an object. In a `console` block the lines after `$ `
//! are commands, and those below them must be found in their output, in order. Comments say what a reader waits for:
//! `until: PHASE ROLLOUT`, `pass: DURATION`, `metric: ADDRESS CODE BODY`.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use glidepath_gocompat::duration::parse as parse_duration;
use glidepath_gocompat::yaml::parse_documents;
use glidepath_lang::jsonpath::JsonPath;
use glidepath_scenarios::embedded::{EmbeddedPlane, in_virtual_time};
use glidepath_scenarios::plane::Plane as _;
use glidepath_scenarios::run::resource;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

const NAMESPACE: &str = "default";
const WRITER: &str = "reader-of-the-page";

/// What a page makes its reader do.
#[derive(Debug, PartialEq)]
enum Deed {
    Apply(String),
    Merge { target: String, patch: String },
    Type { command: String, output: Vec<String> },
    Until { phase: String, rollout: String },
    Pass(String),
    Metric { address: String, code: u16, body: String },
}

fn parse_page(text: &str) -> Result<Vec<Deed>> {
    let mut deeds = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(info) = line.strip_prefix("```") {
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            parse_block(info.trim(), &block, &mut deeds)?;
        } else if let Some(note) = line.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->")) {
            deeds.push(parse_note(note)?);
        }
    }
    Ok(deeds)
}

fn parse_block(info: &str, block: &[&str], deeds: &mut Vec<Deed>) -> Result<()> {
    match info.split_whitespace().collect::<Vec<_>>()[..] {
        ["yaml"] => deeds.push(Deed::Apply(block.join("\n"))),
        ["yaml", "merge", target] => {
            deeds.push(Deed::Merge { target: target.to_owned(), patch: block.join("\n") });
        }
        ["console"] => {
            for line in block {
                match (line.strip_prefix("$ "), deeds.last_mut()) {
                    (Some(command), _) => {
                        deeds.push(Deed::Type { command: command.to_owned(), output: Vec::new() });
                    }
                    (None, Some(Deed::Type { output, .. })) => output.push((*line).to_owned()),
                    (None, _) => bail!("output without a command: {line}"),
                }
            }
        }
        ["text"] => {}
        _ => bail!("a block of an unknown kind is run by nobody: {info:?}"),
    }
    Ok(())
}

fn parse_note(note: &str) -> Result<Deed> {
    let (word, rest) = note.split_once(": ").with_context(|| format!("not understood: {note}"))?;
    Ok(match (word, &rest.splitn(3, ' ').collect::<Vec<_>>()[..]) {
        ("until", [phase, rollout]) => Deed::Until { phase: (*phase).into(), rollout: (*rollout).into() },
        ("pass", [time]) => Deed::Pass((*time).into()),
        ("metric", [address, code, body]) => {
            Deed::Metric { address: (*address).into(), code: code.parse()?, body: (*body).into() }
        }
        _ => bail!("not understood: {note}"),
    })
}

struct Reader<'a> {
    plane: &'a EmbeddedPlane,
}

impl Reader<'_> {
    fn api(&self, kind: &str) -> Result<Api<DynamicObject>> {
        Ok(Api::namespaced_with(self.plane.client(), NAMESPACE, &resource(kind)?))
    }

    async fn follow(&self, deed: &Deed) -> Result<()> {
        match deed {
            Deed::Apply(text) => self.apply(text).await,
            Deed::Merge { target, patch } => {
                let (kind, name) = kind_and_name(target)?;
                for patch in parse_documents(patch)? {
                    let merge = Patch::Merge(&patch);
                    self.api(kind)?.patch(name, &PatchParams::default(), &merge).await?;
                }
                Ok(())
            }
            Deed::Type { command, output } => compare(output, &self.run(command).await?),
            Deed::Until { phase, rollout } => self.until(phase, rollout).await,
            Deed::Pass(time) => {
                let nanoseconds = u64::try_from(parse_duration(time).context("a duration")?)?;
                self.plane.pass(Duration::from_nanos(nanoseconds)).await;
                Ok(())
            }
            Deed::Metric { address, code, body } => {
                self.plane.script_metric(address, vec![(*code, body.clone())]);
                Ok(())
            }
        }
    }

    async fn apply(&self, text: &str) -> Result<()> {
        for document in parse_documents(text)? {
            let field = |path: &str| document.pointer(path).and_then(Value::as_str).unwrap_or_default();
            let params = PatchParams {
                field_validation: Some(kube::api::ValidationDirective::Strict),
                ..PatchParams::apply(WRITER)
            };
            self.api(field("/kind"))?
                .patch(field("/metadata/name"), &params, &Patch::Apply(&document))
                .await?;
        }
        Ok(())
    }

    /// Runs a command and returns what it prints. One that fails is no failure here: its output tells.
    async fn run(&self, command: &str) -> Result<String> {
        let words: Vec<&str> = command.split_whitespace().collect();
        match words[..] {
            ["kubectl", "argo", "rollouts", ref verb @ ..] => {
                let verb: Vec<String> = verb.iter().map(|word| (*word).to_owned()).collect();
                let printed = self.plane.plugin(NAMESPACE, &verb).await;
                Ok(printed.unwrap_or_else(|error| error.to_string()))
            }
            ["kubectl", "scale", target, size] => {
                let (kind, name) = kind_and_name(target)?;
                let replicas: i64 = size.strip_prefix("--replicas=").context("a size")?.parse()?;
                let patch = json!({"spec": {"replicas": replicas}});
                self.api(kind)?.patch_scale(name, &PatchParams::default(), &Patch::Merge(&patch)).await?;
                Ok(String::new())
            }
            ["kubectl", "delete", kind, name] => {
                self.api(kind_of(kind)?)?.delete(name, &DeleteParams::background()).await?;
                Ok(String::new())
            }
            ["kubectl", "get", kind, name, "-o", form] => {
                let path = form.strip_prefix("jsonpath=").context("a form")?;
                let found = self.api(kind_of(kind)?)?.get(name).await?;
                Ok(JsonPath::parse(path)?.print(&serde_json::to_value(found)?)?)
            }
            _ => bail!("nobody runs `{command}`"),
        }
    }

    async fn until(&self, phase: &str, rollout: &str) -> Result<()> {
        let mut seen = String::new();
        for _ in 0..2400 {
            let found = serde_json::to_value(self.api("Rollout")?.get(rollout).await?)?;
            let generation = found["metadata"]["generation"].to_string();
            seen = format!("{} {}", found["status"]["phase"], found["status"]["message"]);
            if found["status"]["observedGeneration"] == generation.as_str()
                && found["status"]["phase"] == phase
            {
                return Ok(());
            }
            self.plane.pass(self.plane.glance()).await;
        }
        bail!("{rollout} is {seen}")
    }
}

fn kind_and_name(target: &str) -> Result<(&str, &str)> {
    let (kind, name) = target.split_once('/').with_context(|| format!("KIND/NAME, not {target}"))?;
    Ok((kind_of(kind)?, name))
}

fn kind_of(word: &str) -> Result<&'static str> {
    Ok(match word {
        "rollout" => "Rollout",
        "deployment" => "Deployment",
        "service" => "Service",
        "httproute" => "HTTPRoute",
        _ => bail!("nobody knows the kind {word}"),
    })
}

/// Every line that the page shows must be part of a printed line, in order; blanks between words do not count.
fn compare(shown: &[String], printed: &str) -> Result<()> {
    let plain = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut lines = printed.lines().map(plain);
    for line in shown {
        let wanted = plain(line);
        ensure!(
            lines.any(|found| found.contains(&wanted)),
            "the page shows\n  {line}\nbut printed was\n{printed}"
        );
    }
    Ok(())
}

fn run_page(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
    let followed = in_virtual_time(async |plane| {
        let deeds = parse_page(&std::fs::read_to_string(path)?)?;
        ensure!(deeds.len() > 3, "the page shows next to nothing");
        for deed in &deeds {
            Reader { plane }.follow(deed).await.with_context(|| format!("{name}: {deed:?}"))?;
        }
        Ok(())
    });
    if let Err(error) = followed {
        panic!("{error:#}");
    }
}

#[test]
fn the_page_on_canary_releases_holds() {
    run_page("canary.md");
}

#[test]
fn the_page_on_blue_green_releases_holds() {
    run_page("blue-green.md");
}

#[test]
fn the_page_on_ways_back_holds() {
    run_page("rollback.md");
}

#[test]
fn the_page_on_scaling_holds() {
    run_page("scaling.md");
}

#[test]
fn the_page_on_migration_holds() {
    run_page("migration.md");
}

#[test]
fn a_block_or_a_comment_that_nobody_runs_is_an_error() {
    assert!(parse_page("```sh\nrm -rf /\n```\n").is_err());
    assert!(parse_page("<!-- unless: it rains -->\n").is_err());
    assert!(compare(&["Paused".to_owned()], "Status: ॥ Paused\n").is_ok());
    assert!(compare(&["Healthy".to_owned()], "Status: ॥ Paused\n").is_err());
}
