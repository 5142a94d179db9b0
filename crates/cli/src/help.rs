//! Help and usage texts in the layout kubectl users know (O-009, O-097), rendered from the command tree.

use clap::{Arg, Command};

use crate::arguments::PROGRAM;

/// Heading of the flags every command takes.
const GLOBAL: &str = "Global Flags";
/// Command names are padded at least this far.
const LEAST_NAME_WIDTH: usize = 11;

/// Finds a command by the words that lead to it; aliases count.
#[must_use]
pub fn find_command<'a>(root: &'a Command, path: &[String]) -> Option<&'a Command> {
    path.iter().try_fold(root, |command, word| command.find_subcommand(word))
}

/// The help text: what it is, then the usage.
#[must_use]
pub fn render_help(root: &Command, path: &[String]) -> String {
    let Some(command) = find_command(root, path) else { return String::new() };
    let about = command.get_long_about().or_else(|| command.get_about());
    let about = about.map(ToString::to_string).unwrap_or_default();
    format!("{}\n\n{}", about.trim_end(), render_usage(root, path))
}

/// The usage text, as it is printed when something is missing.
#[must_use]
pub fn render_usage(root: &Command, path: &[String]) -> String {
    let Some(command) = find_command(root, path) else { return String::new() };
    let words: Vec<&str> = std::iter::once(PROGRAM).chain(path.iter().map(String::as_str)).collect();
    let full_name = words.join(" ");
    let mut text = format!("Usage:\n  {}\n", usage_line(command, &full_name));
    let mut commands: Vec<&Command> =
        command.get_subcommands().filter(|command| !command.is_hide_set()).collect();
    commands.sort_by_key(|command| command.get_name());
    if !commands.is_empty() {
        text.push_str(&format!("  {full_name} [command]\n"));
    }
    let aliases: Vec<&str> = command.get_visible_aliases().collect();
    if !aliases.is_empty() {
        text.push_str(&format!("\nAliases:\n  {}, {}\n", command.get_name(), aliases.join(", ")));
    }
    if let Some(examples) = command.get_after_help() {
        text.push_str(&format!("\nExamples:\n{}\n", examples.to_string().trim_end()));
    }
    if !commands.is_empty() {
        text.push_str("\nAvailable Commands:\n");
        let width =
            commands.iter().map(|command| command.get_name().len()).max().unwrap_or(0).max(LEAST_NAME_WIDTH);
        for command in &commands {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            text.push_str(&format!("  {:<width$} {about}\n", command.get_name()));
        }
    }
    text.push_str(&render_flags(root, command, path));
    if !commands.is_empty() {
        text.push_str(&format!(
            "\nUse \"{full_name} [command] --help\" for more information about a command.\n"
        ));
    }
    text
}

fn usage_line(command: &Command, full_name: &str) -> String {
    let positional = command.get_positionals().find(|arg| !arg.is_hide_set());
    let names = positional.and_then(Arg::get_value_names).unwrap_or_default();
    let names: String = names.iter().map(|name| format!(" {name}")).collect();
    format!("{full_name}{names} [flags]")
}

fn render_flags(root: &Command, command: &Command, path: &[String]) -> String {
    let is_global = |arg: &&Arg| arg.get_help_heading() == Some(GLOBAL);
    let shown = |arg: &&Arg| !arg.is_positional() && !arg.is_hide_set();
    let global: Vec<&Arg> = root.get_arguments().filter(is_global).filter(shown).collect();
    let name = path.last().map_or(PROGRAM, String::as_str);
    if path.is_empty() {
        return format!("\nFlags:\n{}", flag_lines(&global, name));
    }
    let (help, global): (Vec<&Arg>, Vec<&Arg>) = global.into_iter().partition(|arg| arg.get_id() == "help");
    let mut own: Vec<&Arg> =
        command.get_arguments().filter(shown).filter(|arg| !is_global(arg)).chain(help).collect();
    own.sort_by_key(|arg| arg.get_long());
    format!("\nFlags:\n{}\nGlobal Flags:\n{}", flag_lines(&own, name), flag_lines(&global, name))
}

/// Flags with their types, and their descriptions in a column of their own.
fn flag_lines(args: &[&Arg], command: &str) -> String {
    let heads: Vec<String> = args.iter().map(|arg| flag_head(arg)).collect();
    let width = heads.iter().map(|head| head.chars().count()).max().unwrap_or(0);
    let line = |(head, arg): (&String, &&Arg)| {
        let help = if arg.get_id() == "help" {
            format!("help for {command}")
        } else {
            arg.get_help().map(ToString::to_string).unwrap_or_default()
        };
        format!("{head:<width$}   {help}\n")
    };
    heads.iter().zip(args).map(line).collect()
}

fn flag_head(arg: &Arg) -> String {
    let long = arg.get_long().unwrap_or_default();
    let short = arg.get_short().map_or_else(|| "    ".to_owned(), |short| format!("-{short}, "));
    // A switch takes no value worth naming.
    let is_switch = arg.is_require_equals_set();
    let kind = arg.get_value_names().filter(|_| !is_switch).and_then(|names| names.first());
    let kind = kind.map(|kind| format!(" {kind}")).unwrap_or_default();
    format!("  {short}--{long}{kind}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::command_tree;

    fn path(words: &str) -> Vec<String> {
        words.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn help_is_laid_out_as_kubectl_users_know_it_o_097() {
        let help = render_help(&command_tree(), &path("get rollout"));
        let expected = "
Usage:
  kubectl-argo-rollouts get rollout ROLLOUT_NAME [flags]

Aliases:
  rollout, ro, rollouts

Examples:
  # Get a rollout
  kubectl-argo-rollouts get rollout guestbook
";
        assert!(help.contains(expected), "{help}");
        let flags = "
Flags:
      --color string          When to use colors: auto, always or never (default \"auto\")
  -h, --help                  help for rollout
      --no-color              Do not colorize output
      --timeout-seconds int   Timeout after specified seconds
  -w, --watch                 Watch live updates

Global Flags:
      --as string                      Username to impersonate";
        assert!(help.contains(flags), "{help}");
    }

    #[test]
    fn a_parent_lists_its_commands_and_hides_the_rest_o_097() {
        let usage = render_usage(&command_tree(), &[]);
        assert!(usage.starts_with(
            "Usage:\n  kubectl-argo-rollouts COMMAND [flags]\n  kubectl-argo-rollouts [command]\n\nExamples:\n"
        ));
        assert!(
            usage.contains("\nAvailable Commands:\n  abort       Abort a rollout\n  completion  Generate")
        );
        assert!(!usage.contains("__complete"));
        assert!(usage.ends_with(
            "\nUse \"kubectl-argo-rollouts [command] --help\" for more information about a command.\n"
        ));
        let promote = render_usage(&command_tree(), &path("promote"));
        assert!(!promote.contains("skip-all-steps"), "deprecated flags are hidden\n{promote}");
    }
}
