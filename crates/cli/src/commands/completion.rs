//! `completion` prints a script for a shell; the script asks `__complete` what could come next (O-015, O-095).

use clap::Command;
use glidepath_api::{AnalysisRun, Experiment, Rollout};

use crate::failure::Failure;
use crate::help::find_command;
use crate::objects::{Kind, Selection, fetch_list};
use crate::output::Output;
use kube::Client;

/// Tells the shell not to offer files.
const NO_FILES: &str = ":4";

/// What could come next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Words with descriptions.
    Words(Vec<(String, String)>),
    /// Names of objects that begin like this.
    Names(Named, String),
}

/// Kinds whose names are completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// Rollouts.
    Rollouts,
    /// Experiments.
    Experiments,
    /// AnalysisRuns.
    AnalysisRuns,
}

/// Decides what could come next after the words; the last one is being typed.
#[must_use]
pub fn decide_next(root: &Command, words: &[String]) -> Next {
    let (typed, done) = words.split_last().map_or(("", &[][..]), |(last, rest)| (last.as_str(), rest));
    let mut path: Vec<String> = Vec::new();
    let mut positionals = 0;
    let mut skip = false;
    for word in done {
        if std::mem::take(&mut skip) {
            continue;
        }
        if word.starts_with('-') {
            skip = takes_value(root, &path, word);
            continue;
        }
        let here = find_command(root, &path).and_then(|command| command.find_subcommand(word));
        match here {
            Some(command) if positionals == 0 => path.push(command.get_name().to_owned()),
            _ => positionals += 1,
        }
    }
    let Some(command) = find_command(root, &path) else { return Next::Words(Vec::new()) };
    if typed.starts_with('-') {
        return Next::Words(flags(root, command, typed));
    }
    if skip || positionals > 0 {
        return Next::Words(Vec::new());
    }
    let children: Vec<(String, String)> = command
        .get_subcommands()
        .filter(|child| !child.is_hide_set() && child.get_name().starts_with(typed))
        .map(|child| (child.get_name().to_owned(), about(child)))
        .collect();
    match named(&path) {
        Some(kind) if children.is_empty() => Next::Names(kind, typed.to_owned()),
        _ => Next::Words(children),
    }
}

fn about(command: &Command) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default()
}

fn takes_value(root: &Command, path: &[String], flag: &str) -> bool {
    if flag.contains('=') {
        return false;
    }
    let command = find_command(root, path);
    let known = command.into_iter().chain([root]).flat_map(Command::get_arguments).find(|arg| {
        let short = arg.get_short().map(|short| format!("-{short}"));
        let long = arg.get_long().map(|long| format!("--{long}"));
        short.as_deref() == Some(flag) || long.as_deref() == Some(flag)
    });
    known.is_some_and(|arg| !arg.is_require_equals_set() && !arg.is_positional())
}

fn flags(root: &Command, command: &Command, typed: &str) -> Vec<(String, String)> {
    let mut flags: Vec<(String, String)> = (command.get_arguments())
        .chain(root.get_arguments())
        .filter(|arg| !arg.is_hide_set())
        .filter_map(|arg| {
            let flag = format!("--{}", arg.get_long()?);
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            flag.starts_with(typed).then_some((flag, help))
        })
        .collect();
    flags.sort();
    flags.dedup();
    flags
}

/// Whose names the command takes (O-015).
fn named(path: &[String]) -> Option<Named> {
    let words: Vec<&str> = path.iter().map(String::as_str).collect();
    match words[..] {
        ["abort" | "pause" | "promote" | "restart" | "status" | "undo"]
        | ["get" | "retry", "rollout"]
        | ["set", "image"] => Some(Named::Rollouts),
        ["get" | "retry" | "terminate", "experiment"] => Some(Named::Experiments),
        ["terminate", "analysisrun"] => Some(Named::AnalysisRuns),
        _ => None,
    }
}

/// Names that begin like this; none when the cluster does not answer.
pub async fn fetch_names(client: &Client, namespace: &str, kind: Named, prefix: &str) -> Vec<String> {
    match kind {
        Named::Rollouts => names_of::<Rollout>(client, namespace, prefix).await,
        Named::Experiments => names_of::<Experiment>(client, namespace, prefix).await,
        Named::AnalysisRuns => names_of::<AnalysisRun>(client, namespace, prefix).await,
    }
}

async fn names_of<T: Kind>(client: &Client, namespace: &str, prefix: &str) -> Vec<String> {
    let list = fetch_list::<T>(client, Some(namespace), &Selection::default()).await;
    let items = list.map(|list| list.items).unwrap_or_default();
    items.iter().map(|item| item.meta().name.clone()).filter(|name| name.starts_with(prefix)).collect()
}

/// Prints candidates as the scripts read them.
pub fn print_candidates(output: &mut Output, candidates: &[(String, String)]) {
    for (word, description) in candidates {
        if description.is_empty() {
            output.line(word);
        } else {
            output.line(&format!("{word}\t{description}"));
        }
    }
    output.line(NO_FILES);
    output.note("Completion ended with directive: ShellCompDirectiveNoFileComp");
}

/// Prints the script for a shell.
///
/// # Errors
/// Unless exactly one known shell is named.
pub fn completion(output: &mut Output, words: &[String]) -> Result<(), Failure> {
    let [shell] = words else { return Err(Failure::Usage) };
    let script = match shell.as_str() {
        "bash" => include_str!("completion/bash.sh"),
        "zsh" => include_str!("completion/zsh.sh"),
        "fish" => include_str!("completion/fish.fish"),
        "powershell" => include_str!("completion/powershell.ps1"),
        _ => return Err(Failure::Usage),
    };
    output.text(script);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::command_tree;

    fn next(line: &str) -> Next {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        decide_next(&command_tree(), &words)
    }

    fn words(line: &str) -> Vec<String> {
        match next(line) {
            Next::Words(words) => words.into_iter().map(|(word, _)| word).collect(),
            Next::Names(kind, prefix) => panic!("{kind:?} {prefix}"),
        }
    }

    #[test]
    fn commands_and_flags_are_offered_by_what_was_typed_o_095() {
        assert_eq!(words("re"), ["restart", "retry"]);
        assert_eq!(words("get "), ["rollout", "experiment"]);
        assert_eq!(words("get rollout --no"), ["--no-color"]);
        assert_eq!(words("promote --s"), ["--server"], "hidden flags stay hidden");
        assert_eq!(words("promote web "), Vec::<String>::new());
        assert!(!words("").contains(&"__complete".to_owned()));
    }

    #[test]
    fn names_are_offered_where_names_are_taken_o_015() {
        let cases = [
            ("abort w", Named::Rollouts, "w"),
            ("-n shop get ro ", Named::Rollouts, ""),
            ("get rollout -w web", Named::Rollouts, "web"),
            ("set image ", Named::Rollouts, ""),
            ("terminate ar x", Named::AnalysisRuns, "x"),
            ("retry experiment ", Named::Experiments, ""),
        ];
        for (line, kind, prefix) in cases {
            assert_eq!(next(line), Next::Names(kind, prefix.to_owned()), "{line}");
        }
    }
}
