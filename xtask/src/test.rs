//! `cargo xtask test`: every check and every test, cheapest first, with the minutes that each part took.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::services::Services;
use crate::workspace::Workspace;
use crate::{command, deny, setup, tidy};

/// The one package that builds in two ways, as it is where LibTorch is not.
const WITHOUT_ENGINE: [&str; 3] = ["--package", "retouch", "--no-default-features"];

/// Which of it runs.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run only the tests whose name contains this, and none of the checks
    filter: Option<String>,
    /// Run only this part (may be given several times)
    #[arg(long, value_name = "PART")]
    only: Vec<Part>,
    /// Let cargo-deny also ask the database of security advisories, which it downloads from a git host
    #[arg(long)]
    advisories: bool,
}

/// The parts, in the order in which they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// LibTorch, as `cargo xtask setup` brings it
    Setup,
    /// cargo fmt --check
    Fmt,
    /// cargo xtask tidy
    Tidy,
    /// cargo clippy, warnings are errors
    Clippy,
    /// cargo deny: licences, bans, sources
    Deny,
    /// Unit, integration and documentation tests
    Tests,
    /// cargo doc, warnings are errors
    Docs,
}

impl Part {
    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    fn needs_libtorch(self) -> bool {
        matches!(self, Self::Clippy | Self::Tests | Self::Docs)
    }

    fn run(self, args: &Args, workspace: &Workspace) -> Result<()> {
        let cargo = |words: &[&str]| command::run(workspace.cargo().args(words));
        match self {
            Self::Setup => setup::run(&setup::Args::default(), workspace),
            Self::Fmt => cargo(&["fmt", "--all", "--check"]),
            Self::Tidy => tidy::run(workspace),
            Self::Clippy => {
                cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
                cargo(
                    &[&["clippy"], &WITHOUT_ENGINE[..], &["--all-targets", "--", "-D", "warnings"]].concat(),
                )
            }
            Self::Deny => deny::check(workspace, args.advisories),
            Self::Tests => run_tests(args.filter.as_deref(), workspace),
            Self::Docs => {
                let mut doc = workspace.cargo();
                doc.args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings");
                command::run(&mut doc)
            }
        }
    }
}

/// Runs the parts in order up to the first that fails.
pub(crate) fn run(args: &Args, workspace: &Workspace) -> Result<()> {
    let mut times = Vec::new();
    let mut outcome = Ok(());
    for part in parts(&args.only, args.filter.is_some()) {
        eprintln!("\n== {} ==", part.name());
        let start = Instant::now();
        outcome = part.run(args, workspace).with_context(|| format!("part `{}` failed", part.name()));
        times.push((part, start.elapsed()));
        if outcome.is_err() {
            break;
        }
    }
    eprint!("{}", table(&times));
    outcome
}

fn parts(only: &[Part], filtered: bool) -> Vec<Part> {
    let wanted = |part: &Part| match only {
        [] => !filtered || *part == Part::Tests,
        only => only.contains(part),
    };
    let chosen: Vec<Part> = Part::value_variants().iter().copied().filter(wanted).collect();
    let needs_setup = !chosen.contains(&Part::Setup) && chosen.iter().any(|part| part.needs_libtorch());
    needs_setup.then_some(Part::Setup).into_iter().chain(chosen).collect()
}

/// LibTorch computes in one thread where a test asks for no number: tests that run side by side would otherwise wait for
/// each other's threads, which spin. Twenty times as long, with two tests on two cores.
const ONE_THREAD: (&str, &str) = ("OMP_NUM_THREADS", "1");

/// nextest where it is installed; it leaves the documentation tests to `cargo test`.
fn run_tests(filter: Option<&str>, workspace: &Workspace) -> Result<()> {
    let services = Services::for_run(workspace)?;
    let cargo = |words: &[&str]| {
        let environment = services.environment().iter().cloned();
        let (name, number) = ONE_THREAD;
        command::run(workspace.cargo().envs(environment).env(name, number).args(words).args(filter))
    };
    // First, so that the executable that stays in the target folder is the whole one.
    cargo(&[&["test"], &WITHOUT_ENGINE[..]].concat())?;
    if command::succeeds(workspace.cargo().args(["nextest", "--version"])) {
        cargo(&["nextest", "run", "--workspace", "--no-fail-fast"])?;
        cargo(&["test", "--workspace", "--doc", "--no-fail-fast"])
    } else {
        cargo(&["test", "--workspace", "--no-fail-fast"])
    }
}

fn table(times: &[(Part, Duration)]) -> String {
    let row = |name: &str, time: Duration| format!("{name:<8} {:>7.1}\n", time.as_secs_f64() / 60.0);
    let rows: String = times.iter().map(|(part, time)| row(&part.name(), *time)).collect();
    let total = row("total", times.iter().map(|(_, time)| *time).sum());
    format!("\n{:<8} {:>7}\n{rows}{total}", "part", "minutes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_runs_in_order_by_default() {
        use Part::{Clippy, Deny, Docs, Fmt, Setup, Tests, Tidy};
        assert_eq!(parts(&[], false), [Setup, Fmt, Tidy, Clippy, Deny, Tests, Docs]);
    }

    #[test]
    fn a_filter_leaves_the_tests() {
        assert_eq!(parts(&[], true), [Part::Setup, Part::Tests]);
    }

    #[test]
    fn only_brings_libtorch_where_the_part_links_it() {
        assert_eq!(parts(&[Part::Fmt], false), [Part::Fmt]);
        assert_eq!(parts(&[Part::Clippy, Part::Tidy], false), [Part::Setup, Part::Tidy, Part::Clippy]);
    }

    #[test]
    fn the_table_is_in_minutes() {
        let table = table(&[(Part::Fmt, Duration::from_secs(30)), (Part::Tests, Duration::from_secs(600))]);
        assert_eq!(table, "\npart     minutes\nfmt          0.5\ntests       10.0\ntotal       10.5\n");
    }
}
