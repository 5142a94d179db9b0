//! From words to a command, and from its outcome to an exit code (O-008 to O-011).

use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, FromArgMatches};
use glidepath_clock::Clock;
use kube::Client;
use tokio::sync::watch;

use crate::arguments::{Cli, Get, Global, List, PROGRAM, Retry, Set, Terminate, Verb, command_tree};
use crate::commands::{
    abort, completion, create, get, list, pause, plan, promote, restart, retry, set_image, status, terminate,
    undo, version, why,
};
use crate::connect::connect;
use crate::failure::Failure;
use crate::help::{render_help, render_usage};
use crate::output::Output;
use crate::session::Session;

/// Names of log levels, as the reference's library knows them (O-011).
const LEVELS: [&str; 8] = ["panic", "fatal", "error", "warn", "warning", "info", "debug", "trace"];

/// Where a command's client comes from: flags, or a test's own plane.
#[derive(Clone)]
pub enum Cluster {
    /// As flags and kubeconfig say.
    Configured,
    /// This client, for this namespace unless a flag names another.
    Given(Client, String, Clock),
}

/// Runs one command line (without the program's name) to its end.
pub async fn run(
    words: &[String],
    output: &mut Output,
    cluster: Cluster,
    stop: watch::Receiver<bool>,
) -> ExitCode {
    let tree = command_tree();
    let line = std::iter::once(PROGRAM.to_owned()).chain(words.iter().cloned());
    let matches = match tree.clone().try_get_matches_from(line) {
        Ok(matches) => matches,
        Err(error) => {
            output.note(&format!("Error: {}", parse_complaint(&error)));
            return ExitCode::FAILURE;
        }
    };
    let path = command_path(&matches);
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => {
            output.note(&format!("Error: {}", parse_complaint(&error)));
            return ExitCode::FAILURE;
        }
    };
    if cli.global.help {
        output.text(&render_help(&tree, &path));
        return ExitCode::SUCCESS;
    }
    match dispatch(cli, output, cluster, stop).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage) => {
            output.note_text(&render_usage(&tree, &path));
            ExitCode::FAILURE
        }
        Err(Failure::Message(message)) => {
            output.note(&format!("Error: {message}"));
            ExitCode::FAILURE
        }
    }
}

/// The words that lead to the command that was meant, by their proper names.
fn command_path(matches: &ArgMatches) -> Vec<String> {
    let mut path = Vec::new();
    let mut here = matches;
    while let Some((name, inner)) = here.subcommand() {
        path.push(name.to_owned());
        here = inner;
    }
    path
}

/// The parser's complaint in the words of the reference's parser (O-010).
fn parse_complaint(error: &clap::Error) -> String {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        _ => String::new(),
    };
    let argument = context(ContextKind::InvalidArg);
    let flag = argument.split([' ', '=', '[']).next().unwrap_or_default();
    let value = context(ContextKind::InvalidValue);
    match error.kind() {
        ErrorKind::UnknownArgument if flag.starts_with("--") => format!("unknown flag: {flag}"),
        ErrorKind::UnknownArgument if flag.starts_with('-') => {
            format!("unknown shorthand flag: '{}' in {flag}", flag.trim_start_matches('-'))
        }
        ErrorKind::InvalidValue if value.is_empty() => format!("flag needs an argument: {flag}"),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
            format!("invalid argument {value:?} for \"{flag}\" flag: {cause}")
        }
        _ => error.to_string().lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned(),
    }
}

async fn dispatch(
    cli: Cli,
    output: &mut Output,
    cluster: Cluster,
    stop: watch::Receiver<bool>,
) -> Result<(), Failure> {
    if let Some(level) = cli.global.loglevel.as_deref().filter(|level| !LEVELS.contains(level)) {
        return Err(Failure::message(format!("not a valid logrus Level: {level:?}")));
    }
    let Some(verb) = cli.command else {
        return match cli.words.first() {
            Some(word) => Err(Failure::message(format!(
                "unknown command {word:?} for {PROGRAM:?}\nRun '{PROGRAM} --help' for usage."
            ))),
            None => Err(Failure::Usage),
        };
    };
    match verb {
        Verb::Version { short, words } => version::version(output, &words, short),
        Verb::Completion { words } => completion::completion(output, &words),
        Verb::Help { words } => help(output, &words),
        Verb::Complete { words } => complete(output, cluster, &cli.global, &words).await,
        verb => {
            check_usage(&verb)?;
            let (client, namespace, clock) = match cluster {
                Cluster::Configured => {
                    let (client, namespace) = connect(&cli.global).await?;
                    (client, namespace, Clock::system())
                }
                Cluster::Given(client, namespace, clock) => {
                    (client, cli.global.namespace.clone().unwrap_or(namespace), clock)
                }
            };
            // Watches end well when told to stop; anything else ends where it is.
            let mut told = stop.clone();
            let watches = is_watch(&verb);
            let mut session = Session { client, namespace, clock, output, stop };
            tokio::select! {
                done = perform(verb, &mut session) => done,
                Ok(_) = told.wait_for(|stop| *stop), if !watches => Err(Failure::message("interrupted")),
            }
        }
    }
}

fn is_watch(verb: &Verb) -> bool {
    match verb {
        Verb::Create(arguments) => arguments.watch,
        Verb::Status(arguments) => arguments.watch,
        Verb::Why(arguments) => arguments.wait,
        Verb::Get { kind: Some(Get::Rollout { options, .. } | Get::Experiment { options, .. }), .. } => {
            options.watch
        }
        Verb::List { kind: Some(List::Rollouts(arguments)), .. } => arguments.watch,
        _ => false,
    }
}

/// A wrong number of words is said before a cluster is looked for (O-009).
fn check_usage(verb: &Verb) -> Result<(), Failure> {
    let fits = match verb {
        Verb::Abort(names) | Verb::Pause(names) | Verb::Retry { kind: Some(Retry::Rollout(names)), .. } => {
            !names.names.is_empty()
        }
        Verb::Retry { kind: Some(Retry::Experiment(names)), .. }
        | Verb::Terminate { kind: Some(Terminate::Experiment(names)), .. } => !names.names.is_empty(),
        Verb::Terminate { kind: Some(Terminate::Analysisrun { names }), .. } => !names.is_empty(),
        Verb::Promote(arguments) => arguments.names.len() == 1,
        Verb::Status(arguments) => arguments.names.len() == 1,
        Verb::Why(arguments) => arguments.names.len() == 1,
        Verb::Plan(arguments) => plan::fits(arguments),
        Verb::Restart { names, .. }
        | Verb::Undo { names, .. }
        | Verb::Get { kind: Some(Get::Rollout { names, .. } | Get::Experiment { names, .. }), .. } => {
            names.len() == 1
        }
        Verb::Set { kind: Some(Set::Image { words }), .. } => {
            words.len() == 2 && set_image::parse_assignment(&words[1]).is_ok()
        }
        Verb::Create(arguments) => !arguments.filename.is_empty() && arguments.words.is_empty(),
        Verb::List { kind: Some(_), .. } => true,
        _ => false,
    };
    if fits { Ok(()) } else { Err(Failure::Usage) }
}

async fn perform(verb: Verb, session: &mut Session<'_>) -> Result<(), Failure> {
    match verb {
        Verb::Abort(arguments) => abort::abort(session, &arguments.names).await,
        Verb::Create(arguments) => create::create(session, &arguments).await,
        Verb::Get { kind: Some(Get::Rollout { options, names }), .. } => {
            get::get_rollout(session, &names, &options).await
        }
        Verb::Get { kind: Some(Get::Experiment { options, names }), .. } => {
            get::get_experiment(session, &names, &options).await
        }
        Verb::List { kind: Some(List::Rollouts(arguments)), .. } => {
            list::list_rollouts(session, &arguments).await
        }
        Verb::List { kind: Some(List::Experiments { all_namespaces, words }), .. } => {
            list::list_experiments(session, &words, all_namespaces).await
        }
        Verb::Pause(arguments) => pause::pause(session, &arguments.names).await,
        Verb::Promote(arguments) => promote::promote(session, &arguments).await,
        Verb::Restart { r#in, names } => restart::restart(session, &names, r#in.as_deref()).await,
        Verb::Retry { kind: Some(Retry::Rollout(arguments)), .. } => {
            retry::retry_rollouts(session, &arguments.names).await
        }
        Verb::Retry { kind: Some(Retry::Experiment(arguments)), .. } => {
            retry::retry_experiments(session, &arguments.names).await
        }
        Verb::Set { kind: Some(Set::Image { words }), .. } => set_image::set_image(session, &words).await,
        Verb::Status(arguments) => status::status(session, &arguments).await,
        Verb::Terminate { kind: Some(Terminate::Analysisrun { names }), .. } => {
            terminate::terminate_analysis_runs(session, &names).await
        }
        Verb::Terminate { kind: Some(Terminate::Experiment(arguments)), .. } => {
            terminate::terminate_experiments(session, &arguments.names).await
        }
        Verb::Plan(arguments) => plan::plan(session, &arguments).await,
        Verb::Why(arguments) => why::why(session, &arguments).await,
        Verb::Undo { to_revision, names } => undo::undo(session, &names, to_revision).await,
        _ => Err(Failure::Usage),
    }
}

fn help(output: &mut Output, words: &[String]) -> Result<(), Failure> {
    let text = render_help(&command_tree(), words);
    if text.is_empty() {
        return Err(Failure::message(format!("Unknown help topic {words:?}")));
    }
    output.text(&text);
    Ok(())
}

async fn complete(
    output: &mut Output,
    cluster: Cluster,
    flags: &Global,
    words: &[String],
) -> Result<(), Failure> {
    let candidates = match completion::decide_next(&command_tree(), words) {
        completion::Next::Words(words) => words,
        completion::Next::Names(kind, prefix) => {
            let (client, namespace) = match cluster {
                Cluster::Given(client, namespace, _) => (client, namespace_in(words).unwrap_or(namespace)),
                Cluster::Configured => {
                    let flags = Global { namespace: namespace_in(words), ..flags.clone() };
                    // Without a cluster there are no names, and that is all there is to say to a shell.
                    match connect(&flags).await {
                        Ok(connected) => connected,
                        Err(_) => {
                            completion::print_candidates(output, &[]);
                            return Ok(());
                        }
                    }
                }
            };
            let names = completion::fetch_names(&client, &namespace, kind, &prefix).await;
            names.into_iter().map(|name| (name, String::new())).collect()
        }
    };
    completion::print_candidates(output, &candidates);
    Ok(())
}

/// The namespace flag among words that are still being typed.
fn namespace_in(words: &[String]) -> Option<String> {
    words.iter().enumerate().find_map(|(index, word)| match word.as_str() {
        "-n" | "--namespace" => words.get(index + 1).cloned(),
        _ => word.strip_prefix("--namespace=").map(str::to_owned),
    })
}
