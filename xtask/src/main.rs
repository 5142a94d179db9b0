//! Everyday commands, run as `cargo xtask <command>`.

mod check;
mod r#gen;
mod real;
mod run;

use std::process::ExitCode;

const USAGE: &str = "\
Usage: cargo xtask <command>

Commands:
  demo [ARGS]     the main job on this machine: a canary and a blue-green release with real traffic
  test [ARGS]     all tests that need nothing but this repository and package registries
  test --real [WORD …]
                  every release story on a real Kubernetes control plane (needs Go; built once, about 5 minutes);
                  with words only the stories whose names contain one of them; --long: the longest ones too
  real up|down|kubeconfig [NAME]
                  a real control plane on this machine, with model nodes and our controller
  check           format, lints, licences, generated files, documentation, each crate alone
  gen [--check]   write generated files (CRDs); with --check only say whether they are fresh
  bench [ARGS]    measure the controller; prints a table and writes JSON
  bench --real [--controller-cmd 'CMD …'] [ARGS]
                  the same on a real control plane, for our controller or another one
  soak [ARGS]     every story again with each possible mishap of the controller, and 100,000 random releases;
                  with words only the stories whose names contain one of them; --every N: every N-th mishap,
                  --only WORDS: mishaps told in these words
  fuzz [SECONDS]  throw mutated input at every parser, 60 seconds each unless said otherwise
";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let command = args.next().unwrap_or_default();
    let rest: Vec<String> = args.collect();
    let outcome = match command.as_str() {
        "demo" => run::demo(&rest),
        "test" if rest.first().is_some_and(|word| word == "--real") => return real::test(&rest[1..]),
        "test" => run::test(&rest),
        "bench" if rest.first().is_some_and(|word| word == "--real") => return real::bench(&rest[1..]),
        "real" => return real::plane(&rest),
        "check" => check::all(),
        "gen" => r#gen::run(&rest),
        "bench" => run::bench(&rest),
        "soak" => run::soak(&rest),
        "fuzz" => run::fuzz(&rest),
        "help" | "--help" | "-h" => {
            run::say(USAGE);
            return ExitCode::SUCCESS;
        }
        _ => {
            run::complain(USAGE);
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            run::complain(&format!("error: {error:#}\n"));
            ExitCode::FAILURE
        }
    }
}
