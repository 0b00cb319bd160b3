//! `cargo xtask bench`: ours against the reference implementation, alternately in one run.
//!
//! `docs/benchmarks.md` says what is measured and how to read it.

mod cases;
mod cold;
mod compare;
mod machine;
mod measured;
mod report;
mod runner;
mod worker;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use self::cases::Case;
use self::runner::{Programs, Runner};
use crate::workspace::Workspace;
use crate::{processes, venv};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    subject: Subject,
}

#[derive(clap::Subcommand)]
enum Subject {
    /// The edit engine against diffusers in eager mode, on random weights
    Engine(EngineArgs),
    /// The queue plane with jobs that do nothing
    Queue(processes::Args),
    /// Batching steps against one request after the other and against batching requests
    Worker(processes::Args),
}

#[derive(clap::Args)]
struct EngineArgs {
    /// Run only the cases whose name contains this (may be given several times)
    #[arg(long, value_name = "NAME")]
    case: Vec<String>,
    /// Print the names of the cases and run none
    #[arg(long)]
    list: bool,
    /// Pairs of measurements of each case
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pairs: u32,
    /// CPU threads of both sides; all cores if absent
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// cpu or cuda:N
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Where the models are kept (4 GB); in the user's cache folder if absent
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Also write every measured number into this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Measures and prints; work that is not the same on both sides is an error.
pub(crate) fn run(args: &Args, workspace: &Workspace) -> Result<ExitCode> {
    match &args.subject {
        Subject::Engine(args) => engine(args, workspace).map(|()| ExitCode::SUCCESS),
        Subject::Worker(args) => processes::example("retouch-worker", "bench_worker", args, workspace),
        Subject::Queue(args) => processes::run("retouch-bench-queue", args, workspace),
    }
}

fn engine(args: &EngineArgs, workspace: &Workspace) -> Result<()> {
    let cases = chosen(&args.case)?;
    if args.list {
        cases.iter().for_each(|case| println!("{}", case.name()));
        return Ok(());
    }
    let threads = match args.threads {
        Some(threads) => threads,
        None => std::thread::available_parallelism().context("counting the cores")?.get().try_into()?,
    };
    let folder = args.dir.clone().map_or_else(cache_folder, Ok)?;
    let programs = Programs::build(workspace, venv::python(workspace)?)?;
    let machine = machine::describe(workspace.root(), threads, &args.device);
    let mut runner = Runner::new(programs, &folder, &cases, threads, args.device.clone())?;
    let mut results = Vec::new();
    for case in cases {
        eprintln!("measuring {}", case.name());
        results.push(runner.measure(case, args.pairs).with_context(|| format!("case {}", case.name()))?);
    }
    print!("{}", report::table(&machine, runner.libraries(), &results));
    if let Some(path) = &args.json {
        let json = report::json(&machine, runner.libraries(), &results);
        std::fs::write(path, format!("{json:#}\n")).with_context(|| format!("writing {}", path.display()))?;
    }
    match results.iter().filter(|result| !result.is_same_work()).count() {
        0 => Ok(()),
        n => bail!("the two sides' results differ in {n} cases: their times mean nothing"),
    }
}

fn chosen(wanted: &[String]) -> Result<Vec<Case>> {
    let matches = |case: &Case| wanted.is_empty() || wanted.iter().any(|part| case.name().contains(part));
    let cases: Vec<Case> = cases::all().into_iter().filter(matches).collect();
    if cases.is_empty() {
        bail!("no case's name contains {}; `--list` prints them", wanted.join(" or "));
    }
    Ok(cases)
}

fn cache_folder() -> Result<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")));
    Ok(cache
        .context("neither XDG_CACHE_HOME nor HOME is set; name a folder with --dir")?
        .join("retouch/bench"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_name_chooses_and_a_wrong_one_is_an_error() {
        let names: Vec<String> = chosen(&["tiny/step-f32".into()]).unwrap().iter().map(Case::name).collect();
        assert_eq!(names, ["tiny/step-f32-64x1", "tiny/step-f32-64x2", "tiny/step-f32-64x4"]);
        assert!(chosen(&["huge".into()]).is_err());
    }
}
