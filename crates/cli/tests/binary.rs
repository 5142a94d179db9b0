//! The real program without a cluster: usage, errors, exit codes (O-006 to O-011).
#![expect(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::process::{Command, Output};

fn program(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kubectl-argo-rollouts"))
        .args(words)
        .env_clear()
        .env("HOME", env!("CARGO_TARGET_TMPDIR"))
        .output()
        .unwrap()
}

/// Exit code, stdout and stderr.
fn said(words: &[&str]) -> (i32, String, String) {
    let output = program(words);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn missing_words_get_the_usage_text_on_stderr_and_exit_1_o_009() {
    let cases: [(&[&str], &str); 13] = [
        (&[], "Usage:\n  kubectl-argo-rollouts COMMAND [flags]\n"),
        (&["get"], "Usage:\n  kubectl-argo-rollouts get <rollout|experiment> RESOURCE_NAME [flags]\n"),
        (
            &["get", "pods"],
            "Usage:\n  kubectl-argo-rollouts get <rollout|experiment> RESOURCE_NAME [flags]\n",
        ),
        (&["get", "rollout"], "Usage:\n  kubectl-argo-rollouts get rollout ROLLOUT_NAME [flags]\n"),
        (&["get", "ro", "a", "b"], "Usage:\n  kubectl-argo-rollouts get rollout ROLLOUT_NAME [flags]\n"),
        (&["promote"], "Usage:\n  kubectl-argo-rollouts promote ROLLOUT_NAME [flags]\n"),
        (&["promote", "a", "b"], "Usage:\n  kubectl-argo-rollouts promote ROLLOUT_NAME [flags]\n"),
        (&["abort"], "Usage:\n  kubectl-argo-rollouts abort ROLLOUT_NAME... [flags]\n"),
        (
            &["set", "image", "a"],
            "Usage:\n  kubectl-argo-rollouts set image ROLLOUT_NAME CONTAINER=IMAGE [flags]\n",
        ),
        (
            &["set", "image", "a", "b"],
            "Usage:\n  kubectl-argo-rollouts set image ROLLOUT_NAME CONTAINER=IMAGE [flags]\n",
        ),
        (&["create"], "Usage:\n  kubectl-argo-rollouts create [flags]\n"),
        (
            &["completion", "tcsh"],
            "Usage:\n  kubectl-argo-rollouts completion [bash|zsh|fish|powershell] [flags]\n",
        ),
        (
            &["terminate", "ar"],
            "Usage:\n  kubectl-argo-rollouts terminate analysisrun ANALYSISRUN_NAME [flags]\n",
        ),
    ];
    for (words, usage) in cases {
        let (code, out, err) = said(words);
        assert_eq!((code, out.as_str()), (1, ""), "{words:?}");
        assert!(err.starts_with(usage), "{words:?}: {err}");
        assert!(!err.contains("Error:"), "{words:?}: {err}");
    }
}

#[test]
fn help_goes_to_stdout_and_exits_0_o_009() {
    for words in [&["--help"][..], &["help"], &["get", "rollout", "-h"], &["promote", "a", "b", "--help"]] {
        let (code, out, err) = said(words);
        assert_eq!((code, err.as_str()), (0, ""), "{words:?}");
        assert!(out.contains("\nUsage:\n  kubectl-argo-rollouts"), "{words:?}: {out}");
    }
    assert_eq!(said(&["help", "undo"]).1, said(&["undo", "--help"]).1);
}

#[test]
fn what_is_unknown_is_named_o_010_o_011() {
    let cases: [(&[&str], &str); 8] = [
        (
            &["frobnicate"],
            "Error: unknown command \"frobnicate\" for \"kubectl-argo-rollouts\"\nRun 'kubectl-argo-rollouts --help' for usage.\n",
        ),
        (&["promote", "web", "--fast"], "Error: unknown flag: --fast\n"),
        (&["promote", "web", "--fast=1"], "Error: unknown flag: --fast\n"),
        (&["abort", "-x", "web"], "Error: unknown shorthand flag: 'x' in -x\n"),
        (&["--loglevel", "loud", "version"], "Error: not a valid logrus Level: \"loud\"\n"),
        (&["version", "--namespace"], "Error: flag needs an argument: --namespace\n"),
        (
            &["undo", "web", "--to-revision", "two"],
            "Error: invalid argument \"two\" for \"--to-revision\" flag: invalid digit found in string\n",
        ),
        (
            &["promote", "web", "--full=perhaps"],
            "Error: invalid argument \"perhaps\" for \"--full\" flag: strconv.ParseBool: parsing \"perhaps\": invalid syntax\n",
        ),
    ];
    for (words, expected) in cases {
        let (code, out, err) = said(words);
        assert_eq!((code, out.as_str(), err.as_str()), (1, "", expected), "{words:?}");
    }
}

#[test]
fn an_unusable_kubeconfig_is_one_line_that_says_what_to_do_o_007() {
    let cases: [(&[&str], &str); 3] = [
        (&["get", "rollout", "web"], "Error: no cluster to talk to: no kubeconfig was found"),
        (&["get", "rollout", "web", "--kubeconfig", "/nowhere"], "Error: cannot use the kubeconfig: "),
        (&["abort", "web", "--server", "http://127.0.0.1:1"], "Error: cannot reach the API server: "),
    ];
    for (words, expected) in cases {
        let (code, out, err) = said(words);
        assert_eq!((code, out.as_str()), (1, ""), "{words:?}");
        assert!(err.starts_with(expected), "{words:?}: {err}");
        assert_eq!(err.lines().count(), 1, "{words:?}: {err}");
    }
}

#[test]
fn version_needs_no_cluster_o_096() {
    let (code, out, err) = said(&["version", "--short"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.starts_with("kubectl-argo-rollouts: v") && out.lines().count() == 1, "{out}");
    assert_eq!(said(&["version"]).1.lines().count(), 7);
}

#[test]
fn completion_scripts_ask_the_program_o_095() {
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let (code, out, _) = said(&["completion", shell]);
        assert_eq!(code, 0);
        assert!(out.contains("__complete"), "{shell}");
    }
    let (code, out, err) = said(&["__complete", "get", "ro"]);
    assert_eq!((code, out.as_str()), (0, "rollout\tGet details about a rollout\n:4\n"));
    assert_eq!(err, "Completion ended with directive: ShellCompDirectiveNoFileComp\n");
    let (code, out, _) = said(&["__complete", "abort", ""]);
    assert_eq!((code, out.as_str()), (0, ":4\n"), "without a cluster there are no names");
}
