//! What may be typed: commands, flags and their help texts, in one tree (O-006, O-016 to O-018).
//!
//! Positionals are never required here: their number is checked by the commands, so that a wrong one gets the
//! usage text (O-009) rather than a parser's complaint.

use clap::{Arg, ArgAction, Args, Command, CommandFactory, Parser, Subcommand};

/// Name of the program, as help and errors say it.
pub const PROGRAM: &str = "kubectl-argo-rollouts";

/// This command consists of multiple subcommands which can be used to manage Argo Rollouts.
#[derive(Debug, Parser)]
#[command(name = PROGRAM, disable_help_flag = true, disable_help_subcommand = true)]
#[command(after_help = "  # Get guestbook rollout and watch progress
  kubectl-argo-rollouts get rollout guestbook -w

  # Pause the guestbook rollout
  kubectl-argo-rollouts pause guestbook

  # Promote the guestbook rollout
  kubectl-argo-rollouts promote guestbook

  # Abort the guestbook rollout
  kubectl-argo-rollouts abort guestbook

  # Retry the guestbook rollout
  kubectl-argo-rollouts retry rollout guestbook")]
pub struct Cli {
    /// Flags of every command.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Option<Verb>,
    /// A word that is no command.
    #[arg(value_name = "COMMAND")]
    pub words: Vec<String>,
}

/// Flags of every command: kubectl's, and the log levels.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Global Flags")]
pub struct Global {
    /// Username to impersonate for the operation. User could be a regular user or a service account in a namespace.
    #[arg(long = "as", global = true, value_name = "string")]
    pub as_user: Option<String>,
    /// Group to impersonate for the operation, this flag can be repeated to specify multiple groups.
    #[arg(long, global = true, value_name = "stringArray")]
    pub as_group: Vec<String>,
    /// UID to impersonate for the operation.
    #[arg(long, global = true, value_name = "string")]
    pub as_uid: Option<String>,
    /// Default cache directory (default "$HOME/.kube/cache")
    #[arg(long, global = true, value_name = "string")]
    pub cache_dir: Option<String>,
    /// Path to a cert file for the certificate authority
    #[arg(long, global = true, value_name = "string")]
    pub certificate_authority: Option<String>,
    /// Path to a client certificate file for TLS
    #[arg(long, global = true, value_name = "string")]
    pub client_certificate: Option<String>,
    /// Path to a client key file for TLS
    #[arg(long, global = true, value_name = "string")]
    pub client_key: Option<String>,
    /// The name of the kubeconfig cluster to use
    #[arg(long, global = true, value_name = "string")]
    pub cluster: Option<String>,
    /// The name of the kubeconfig context to use
    #[arg(long, global = true, value_name = "string")]
    pub context: Option<String>,
    /// If true, opt-out of response compression for all requests to the server
    #[arg(long, global = true)]
    pub disable_compression: bool,
    /// Show this help
    #[arg(short, long, global = true)]
    pub help: bool,
    /// If true, the server's certificate will not be checked for validity. This will make your HTTPS connections insecure
    #[arg(long, global = true)]
    pub insecure_skip_tls_verify: bool,
    /// Log level for kubernetes client library
    #[arg(short = 'v', long, global = true, value_name = "int")]
    pub kloglevel: Option<i64>,
    /// Path to the kubeconfig file to use for CLI requests.
    #[arg(long, global = true, value_name = "string")]
    pub kubeconfig: Option<String>,
    /// Log level for kubectl argo rollouts (default "info")
    #[arg(long, global = true, value_name = "string")]
    pub loglevel: Option<String>,
    /// If present, the namespace scope for this CLI request
    #[arg(short, long, global = true, value_name = "string")]
    pub namespace: Option<String>,
    /// The length of time to wait before giving up on a single server request. Non-zero values should contain a corresponding time unit (e.g. 1s, 2m, 3h). A value of zero means don't timeout requests. (default "0")
    #[arg(long, global = true, value_name = "string")]
    pub request_timeout: Option<String>,
    /// The address and port of the Kubernetes API server
    #[arg(short, long, global = true, value_name = "string")]
    pub server: Option<String>,
    /// Server name to use for server certificate validation. If it is not provided, the hostname used to contact the server is used
    #[arg(long, global = true, value_name = "string")]
    pub tls_server_name: Option<String>,
    /// Bearer token for authentication to the API server
    #[arg(long, global = true, value_name = "string")]
    pub token: Option<String>,
    /// The name of the kubeconfig user to use
    #[arg(long, global = true, value_name = "string")]
    pub user: Option<String>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Abort a rollout
    #[command(
        long_about = "This command stops progressing the current rollout and reverts all steps. The previous ReplicaSet will be active.

Note the 'spec.template' still represents the new rollout version. If the Rollout leaves the aborted state, it will try to go to the new version.
Updating the 'spec.template' back to the previous version will fully revert the rollout.",
        after_help = "  # Abort a rollout
  kubectl-argo-rollouts abort guestbook"
    )]
    Abort(RolloutNames),
    /// Generate completion script
    #[command(
        long_about = "This command prints a script that completes commands, flags and names in the given shell.",
        after_help = "  # Complete commands in this bash session
  source <(kubectl-argo-rollouts completion bash)"
    )]
    Completion {
        /// Which shell.
        #[arg(value_name = "[bash|zsh|fish|powershell]")]
        words: Vec<String>,
    },
    /// Create a Rollout, Experiment, AnalysisTemplate, ClusterAnalysisTemplate, or AnalysisRun resource
    #[command(
        long_about = "This command creates a new Rollout, Experiment, AnalysisTemplate, ClusterAnalysisTemplate, or AnalysisRun resource from a file.",
        after_help = "  # Create an experiment and watch it
  kubectl-argo-rollouts create -f my-experiment.yaml -w"
    )]
    Create(Create),
    /// Get details about rollouts and experiments
    #[command(
        long_about = "This command consists of multiple subcommands which can be used to get extended information about a rollout or experiment.",
        after_help = "  # Get a rollout
  kubectl-argo-rollouts get rollout guestbook

  # Watch a rollouts progress
  kubectl-argo-rollouts get rollout guestbook -w

  # Get an experiment
  kubectl-argo-rollouts get experiment my-experiment"
    )]
    Get {
        /// What to get.
        #[command(subcommand)]
        kind: Option<Get>,
        /// A word that is no kind.
        #[arg(value_name = "<rollout|experiment> RESOURCE_NAME")]
        words: Vec<String>,
    },
    /// List rollouts or experiments
    #[command(
        long_about = "This command consists of multiple subcommands which can be used to lists all of the rollouts or experiments for a specified namespace (uses current namespace context if namespace not specified).",
        after_help = "  # List rollouts
  kubectl-argo-rollouts list rollouts

  # List experiments
  kubectl-argo-rollouts list experiments"
    )]
    List {
        /// What to list.
        #[command(subcommand)]
        kind: Option<List>,
        /// A word that is no kind.
        #[arg(value_name = "<rollout|experiment>")]
        words: Vec<String>,
    },
    /// Pause a rollout
    #[command(
        long_about = "Set the rollout paused state to 'true'",
        after_help = "  # Pause a rollout
  kubectl-argo-rollouts pause guestbook"
    )]
    Pause(RolloutNames),
    /// Say what a change of a rollout will do, without applying it
    #[command(
        long_about = "This command says what will happen if a manifest is applied, an image or the number of replicas is changed, or a rollout is promoted or aborted: the steps with their times, traffic and pods, the most pods at once, pauses, analyses and what they ask, the earliest end, the first moment a person is needed, and what happens if something goes wrong.

It runs the controller on a plane of its own in virtual time. The cluster is only read.",
        after_help = "  # What will applying this file do?
  kubectl-argo-rollouts plan -f rollout.yaml

  # What will a new image do?
  kubectl-argo-rollouts plan guestbook --image guestbook=guestbook:v2

  # What will promoting or aborting do?
  kubectl-argo-rollouts plan guestbook --promote
  kubectl-argo-rollouts plan guestbook --abort

  # The same for a program
  kubectl-argo-rollouts plan guestbook --scale 10 -o json"
    )]
    Plan(Plan),
    /// Promote a rollout
    #[command(
        long_about = "Promote a rollout

Promotes a rollout paused at a canary step, or a paused blue-green pre-promotion.
To skip analysis, pauses and steps entirely, use '--full' to fully promote the rollout",
        after_help = "  # Promote a paused rollout
  kubectl-argo-rollouts promote guestbook

  # Fully promote a rollout to desired version, skipping analysis, pauses, and steps
  kubectl-argo-rollouts promote guestbook --full"
    )]
    Promote(Promote),
    /// Restart the pods of a rollout
    #[command(
        long_about = "Restart the pods of a rollout",
        after_help = "  # Restart the pods of a rollout in now
  kubectl-argo-rollouts restart ROLLOUT_NAME

  # Restart the pods of a rollout in ten seconds
  kubectl-argo-rollouts restart ROLLOUT_NAME --in 10s"
    )]
    Restart {
        /// Amount of time before a restart. (e.g. 30s, 5m, 1h)
        #[arg(short, long = "in", value_name = "string")]
        r#in: Option<String>,
        /// The rollout.
        #[arg(value_name = "ROLLOUT")]
        names: Vec<String>,
    },
    /// Retry a rollout or experiment
    #[command(
        long_about = "This command consists of multiple subcommands which can be used to restart an aborted rollout or a failed experiment.",
        after_help = "  # Retry an aborted rollout
  kubectl-argo-rollouts retry rollout guestbook

  # Retry a failed experiment
  kubectl-argo-rollouts retry experiment my-experiment"
    )]
    Retry {
        /// What to retry.
        #[command(subcommand)]
        kind: Option<Retry>,
        /// A word that is no kind.
        #[arg(value_name = "<rollout|experiment> RESOURCE_NAME")]
        words: Vec<String>,
    },
    /// Update various values on resources
    #[command(
        long_about = "This command consists of multiple subcommands which can be used to update rollout resources.",
        after_help = "  # Set rollout image
  kubectl-argo-rollouts set image my-rollout demo=argoproj/rollouts-demo:yellow"
    )]
    Set {
        /// What to set.
        #[command(subcommand)]
        kind: Option<Set>,
        /// A word that is no kind.
        #[arg(value_name = "<image> RESOURCE_NAME")]
        words: Vec<String>,
    },
    /// Show the status of a rollout
    #[command(
        long_about = "Watch rollout until it finishes or the timeout is exceeded. Returns success if
the rollout is healthy upon completion and an error otherwise.",
        after_help = "  # Watch the rollout until it succeeds
  kubectl-argo-rollouts status guestbook

  # Show the rollout status
  kubectl-argo-rollouts status guestbook --watch=false

  # Watch the rollout until it succeeds, fail if it takes more than 60 seconds
  kubectl-argo-rollouts status --timeout 60s guestbook"
    )]
    Status(Status),
    /// Terminate an AnalysisRun or Experiment
    #[command(
        long_about = "This command consists of multiple subcommands which can be used to terminate an AnalysisRun or Experiment that is in progress.",
        after_help = "  # Terminate an analysisRun
  kubectl-argo-rollouts terminate analysisrun guestbook-877894d5b-4-success-rate.1

  # Terminate a failed experiment
  kubectl-argo-rollouts terminate experiment my-experiment"
    )]
    Terminate {
        /// What to terminate.
        #[command(subcommand)]
        kind: Option<Terminate>,
        /// A word that is no kind.
        #[arg(value_name = "<analysisrun|experiment> RESOURCE_NAME")]
        words: Vec<String>,
    },
    /// Undo a rollout
    #[command(
        long_about = "Rollback to the previous rollout.",
        after_help = "  # Undo a rollout
  kubectl-argo-rollouts undo guestbook

  # Undo a rollout to revision 3
  kubectl-argo-rollouts undo guestbook --to-revision=3"
    )]
    Undo {
        /// The revision to rollback to. Default to 0 (last revision).
        #[arg(long, value_name = "int", default_value_t = 0)]
        to_revision: i64,
        /// The rollout.
        #[arg(value_name = "ROLLOUT_NAME")]
        names: Vec<String>,
    },
    /// Print version
    #[command(
        long_about = "Show the version and build information of the Argo Rollouts plugin.",
        after_help = "  # Get full version info
  kubectl-argo-rollouts version

  # Get just plugin version number
  kubectl-argo-rollouts version --short"
    )]
    Version {
        /// print just the version number
        #[arg(long)]
        short: bool,
        /// Nothing is expected here.
        #[arg(hide = true)]
        words: Vec<String>,
    },
    /// Say what a rollout is waiting for, and what to do about it
    #[command(
        long_about = "This command says in plain words what a rollout is waiting for, since when, who or what can end it, until when, and what happens then, with the causes found and the next commands to run.

It reads what the controller reads and makes the same decision, so it cannot disagree with it. It writes nothing.",
        after_help = "  # Why does the rollout not go on?
  kubectl-argo-rollouts why guestbook

  # The same for a program
  kubectl-argo-rollouts why guestbook -o json

  # Follow it until nothing is left to wait for
  kubectl-argo-rollouts why guestbook --wait"
    )]
    Why(Why),
    /// Help about any command
    #[command(long_about = "Help provides help for any command in the application.")]
    Help {
        /// Words of the command.
        #[arg(value_name = "[command]")]
        words: Vec<String>,
    },
    /// Candidates for a shell.
    #[command(name = "__complete", hide = true, aliases = ["__completeNoDesc"])]
    Complete {
        /// What has been typed.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
}

/// Arguments of `plan`.
#[derive(Debug, Args)]
pub struct Plan {
    /// Files with the manifests that would be applied
    #[arg(short, long, value_name = "stringArray")]
    pub filename: Vec<String>,
    /// Another image, as CONTAINER=IMAGE; can be repeated
    #[arg(long, value_name = "stringArray")]
    pub image: Vec<String>,
    /// Another number of replicas
    #[arg(long, value_name = "int")]
    pub scale: Option<i32>,
    /// Promote past what the rollout waits for
    #[arg(long)]
    pub promote: bool,
    /// Promote to the end, skipping analysis, pauses and steps
    #[arg(long)]
    pub full: bool,
    /// Abort the update
    #[arg(long)]
    pub abort: bool,
    /// Output format. One of: text, json
    #[arg(short, long, value_name = "string")]
    pub output: Option<String>,
    /// The rollout.
    #[arg(value_name = "ROLLOUT_NAME")]
    pub names: Vec<String>,
}

/// Arguments of `why`.
#[derive(Debug, Args)]
pub struct Why {
    /// Output format. One of: text, json
    #[arg(short, long, value_name = "string")]
    pub output: Option<String>,
    /// Show every change until nothing is left to wait for; fails when the rollout ends degraded
    #[arg(long)]
    pub wait: bool,
    /// The rollout.
    #[arg(value_name = "ROLLOUT_NAME")]
    pub names: Vec<String>,
}

/// Names of rollouts.
#[derive(Debug, Args)]
pub struct RolloutNames {
    /// The rollouts.
    #[arg(value_name = "ROLLOUT_NAME...")]
    pub names: Vec<String>,
}

/// Names of experiments.
#[derive(Debug, Args)]
pub struct ExperimentNames {
    /// The experiments.
    #[arg(value_name = "EXPERIMENT_NAME")]
    pub names: Vec<String>,
}

/// Arguments of `create`.
#[derive(Debug, Args)]
pub struct Create {
    /// Files to use to create the resource
    #[arg(short, long, value_name = "stringArray")]
    pub filename: Vec<String>,
    /// Do not colorize output
    #[arg(long)]
    pub no_color: bool,
    /// Watch live updates to the resource after creating
    #[arg(short, long)]
    pub watch: bool,
    /// Nothing is expected here.
    #[arg(hide = true)]
    pub words: Vec<String>,
}

/// Arguments of `get rollout` and `get experiment`.
#[derive(Debug, Args)]
pub struct GetOne {
    /// Do not colorize output
    #[arg(long)]
    pub no_color: bool,
    /// When to use colors: auto, always or never (default "auto")
    #[arg(long, value_name = "string")]
    pub color: Option<String>,
    /// Timeout after specified seconds
    #[arg(long, value_name = "int", default_value_t = 0)]
    pub timeout_seconds: i64,
    /// Watch live updates
    #[arg(short, long)]
    pub watch: bool,
}

/// What can be got.
#[derive(Debug, Subcommand)]
pub enum Get {
    /// Get details about a rollout
    #[command(
        visible_aliases = ["ro", "rollouts"],
        long_about = LONG_GET_ROLLOUT,
        after_help = "  # Get a rollout
  kubectl-argo-rollouts get rollout guestbook

  # Watch progress of a rollout
  kubectl-argo-rollouts get rollout guestbook -w

  # Watch the rollout, stop after 60 seconds
  kubectl-argo-rollouts get rollout guestbook -w --timeout-seconds 60"
    )]
    Rollout {
        /// How.
        #[command(flatten)]
        options: GetOne,
        /// The rollout.
        #[arg(value_name = "ROLLOUT_NAME")]
        names: Vec<String>,
    },
    /// Get details about an Experiment
    #[command(
        visible_aliases = ["exp", "experiments"],
        long_about = LONG_GET_EXPERIMENT,
        after_help = "  # Get an experiment
  kubectl-argo-rollouts get experiment my-experiment

  # Watch progress of an experiment
  kubectl-argo-rollouts get experiment my-experiment -w"
    )]
    Experiment {
        /// How.
        #[command(flatten)]
        options: GetOne,
        /// The experiment.
        #[arg(value_name = "EXPERIMENT_NAME")]
        names: Vec<String>,
    },
}

const LONG_GET_ROLLOUT: &str = "Get details about and visual representation of a rollout. It returns a bunch of metadata on a resource and a tree view of the child resources created by the parent.

Tree view icons

| Icon | Kind |
|:----:|:-----------:|
| ⟳ | Rollout |
| Σ | Experiment |
| α | AnalysisRun |
| # | Revision |
| ⧉ | ReplicaSet |
| □ | Pod |
| ⊞ | Job |";

const LONG_GET_EXPERIMENT: &str = "Get details about and visual representation of a experiment. It returns a bunch of metadata on a resource and a tree view of the child resources created by the parent.

Tree view icons

| Icon | Kind |
|:----:|:-----------:|
| ⟳ | Rollout |
| Σ | Experiment |
| α | AnalysisRun |
| # | Revision |
| ⧉ | ReplicaSet |
| □ | Pod |
| ⊞ | Job |";

/// What can be listed.
#[derive(Debug, Subcommand)]
pub enum List {
    /// List rollouts
    #[command(
        visible_aliases = ["ro", "rollout"],
        long_about = "This command lists all of the rollouts for a specified namespace (uses current namespace context if namespace not specified).",
        after_help = "  # List rollouts
  kubectl-argo-rollouts list rollouts

  # List rollouts from all namespaces
  kubectl-argo-rollouts list rollouts --all-namespaces

  # List rollouts and watch for changes
  kubectl-argo-rollouts list rollouts --watch"
    )]
    Rollouts(ListRollouts),
    /// List experiments
    #[command(
        visible_aliases = ["exp", "experiment"],
        long_about = "This command lists all of the experiments for a specified namespace (uses current namespace context if namespace not specified).",
        after_help = "  # List experiments
  kubectl-argo-rollouts list experiments

  # List experiments from all namespaces
  kubectl-argo-rollouts list experiments --all-namespaces"
    )]
    Experiments {
        /// Include all namespaces
        #[arg(short = 'A', long)]
        all_namespaces: bool,
        /// Nothing is expected here.
        #[arg(hide = true)]
        words: Vec<String>,
    },
}

/// Arguments of `list rollouts`.
#[derive(Clone, Debug, Default, Args)]
pub struct ListRollouts {
    /// Include all namespaces
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    /// Only show rollout with specified name
    #[arg(long, value_name = "string")]
    pub name: Option<String>,
    /// Print timestamps on updates
    #[arg(long)]
    pub timestamps: bool,
    /// Watch for changes
    #[arg(short, long)]
    pub watch: bool,
    /// Nothing is expected here.
    #[arg(hide = true)]
    pub words: Vec<String>,
}

/// Arguments of `promote`.
#[derive(Debug, Args)]
pub struct Promote {
    /// Perform a full promotion, skipping analysis, pauses, and steps
    #[arg(long)]
    pub full: bool,
    /// Skip remaining steps
    #[arg(short = 'a', long, hide = true)]
    pub skip_all_steps: bool,
    /// Skip currently running canary step
    #[arg(short = 'c', long, hide = true)]
    pub skip_current_step: bool,
    /// The rollout.
    #[arg(value_name = "ROLLOUT_NAME")]
    pub names: Vec<String>,
}

/// What can be retried.
#[derive(Debug, Subcommand)]
pub enum Retry {
    /// Retry an aborted rollout
    #[command(
        visible_aliases = ["ro", "rollouts"],
        long_about = "This command retries a rollout that has been aborted.",
        after_help = "  # Retry an aborted rollout
  kubectl-argo-rollouts retry rollout guestbook"
    )]
    Rollout(RolloutNames),
    /// Retry an experiment
    #[command(
        visible_aliases = ["exp", "experiments"],
        long_about = "This command retries a failed experiment.",
        after_help = "  # Retry an experiment
  kubectl-argo-rollouts retry experiment my-experiment"
    )]
    Experiment(ExperimentNames),
}

/// What can be set.
#[derive(Debug, Subcommand)]
pub enum Set {
    /// Update the image of a rollout
    #[command(
        long_about = "Update the image of a rollout",
        after_help = "  # Set rollout image (containers contains 'initContainer', 'container', 'ephemeralContainer')
  kubectl-argo-rollouts set image my-rollout containerName=imageName

  # Set rollout image for all containers
  kubectl-argo-rollouts set image my-rollout *=imageName"
    )]
    Image {
        /// The rollout, and container and image.
        #[arg(value_name = "ROLLOUT_NAME CONTAINER=IMAGE")]
        words: Vec<String>,
    },
}

/// Arguments of `status`.
#[derive(Debug, Args)]
pub struct Status {
    /// The length of time to watch before giving up. Non-zero values should contain a corresponding time unit (e.g. 1s, 2m, 3h). Zero means wait forever
    #[arg(short, long, value_name = "duration", default_value = "0")]
    pub timeout: String,
    /// Watch the status of the rollout until it's done (default true)
    #[arg(short, long, default_value = "true")]
    pub watch: bool,
    /// The rollout.
    #[arg(value_name = "ROLLOUT_NAME")]
    pub names: Vec<String>,
}

/// What can be terminated.
#[derive(Debug, Subcommand)]
pub enum Terminate {
    /// Terminate an AnalysisRun
    #[command(
        visible_aliases = ["ar", "analysisruns"],
        long_about = "This command terminates an AnalysisRun.",
        after_help = "  # Terminate an AnalysisRun
  kubectl-argo-rollouts terminate analysisrun guestbook-877894d5b-4-success-rate.1"
    )]
    Analysisrun {
        /// The analysis runs.
        #[arg(value_name = "ANALYSISRUN_NAME")]
        names: Vec<String>,
    },
    /// Terminate an experiment
    #[command(
        visible_aliases = ["exp", "experiments"],
        long_about = "This command terminates an Experiment.",
        after_help = "  # Terminate an experiment
  kubectl-argo-rollouts terminate experiment my-experiment"
    )]
    Experiment(ExperimentNames),
}

/// The tree of commands, with switches that also take `=true` and `=false` as Go programs do.
#[must_use]
pub fn command_tree() -> Command {
    as_go_reads(Cli::command())
}

fn as_go_reads(command: Command) -> Command {
    let command = command
        .disable_help_flag(true)
        .disable_help_subcommand(true)
        .disable_version_flag(true)
        .args_override_self(true)
        .mut_args(as_go_switch);
    command.mut_subcommands(as_go_reads)
}

fn as_go_switch(arg: Arg) -> Arg {
    if !matches!(arg.get_action(), ArgAction::SetTrue) {
        return arg;
    }
    let default = if arg.get_default_values().iter().any(|value| value == "true") { "true" } else { "false" };
    arg.action(ArgAction::Set)
        .num_args(0..=1)
        .require_equals(true)
        .value_parser(parse_go_bool)
        .default_value(default)
        .default_missing_value("true")
}

/// The spellings Go's `strconv.ParseBool` knows.
fn parse_go_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        other => Err(format!("strconv.ParseBool: parsing {other:?}: invalid syntax")),
    }
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches;

    use super::*;

    fn parsed(line: &str) -> Cli {
        let words = std::iter::once(PROGRAM).chain(line.split_whitespace());
        Cli::from_arg_matches(&command_tree().try_get_matches_from(words).unwrap()).unwrap()
    }

    #[test]
    fn the_tree_is_consistent() {
        command_tree().debug_assert();
    }

    #[test]
    fn global_flags_stand_anywhere_o_006() {
        for line in
            ["-n shop abort web", "abort -n shop web", "abort web -n shop", "abort web --namespace=shop"]
        {
            let cli = parsed(line);
            assert_eq!(cli.global.namespace.as_deref(), Some("shop"), "{line}");
            assert!(matches!(cli.command, Some(Verb::Abort(names)) if names.names == ["web"]), "{line}");
        }
    }

    #[test]
    fn switches_take_values_after_an_equals_sign_only() {
        for (line, expected) in [
            ("status web", true),
            ("status web --watch=false", false),
            ("status --watch=0 web", false),
            ("status -w web", true),
            ("status -w=false web", false),
        ] {
            let Some(Verb::Status(status)) = parsed(line).command else { panic!("{line}") };
            assert_eq!(status.watch, expected, "{line}");
            assert_eq!(status.names, ["web"], "{line}");
        }
        let Some(Verb::List { kind: Some(List::Rollouts(list)), .. }) = parsed("list ro -wA").command else {
            panic!()
        };
        assert!(list.watch && list.all_namespaces);
    }

    #[test]
    fn aliases_reach_their_commands_o_016_o_017() {
        for line in ["get ro x", "get rollouts x", "get rollout x"] {
            assert!(matches!(parsed(line).command, Some(Verb::Get { kind: Some(Get::Rollout { .. }), .. })));
        }
        for line in ["terminate ar x", "terminate analysisruns x"] {
            let verb = parsed(line).command;
            assert!(matches!(verb, Some(Verb::Terminate { kind: Some(Terminate::Analysisrun { .. }), .. })));
        }
        for line in ["retry exp x", "retry experiments x"] {
            assert!(matches!(
                parsed(line).command,
                Some(Verb::Retry { kind: Some(Retry::Experiment(_)), .. })
            ));
        }
    }
}
