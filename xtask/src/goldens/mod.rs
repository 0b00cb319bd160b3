//! `cargo xtask goldens`: runs the reference scripts again and compares with what is committed beside them.
//!
//! A script is `crates/*/tests/goldens/make_*.py`; called with `--out FOLDER` it writes its goldens there.
//! Everything else in the script's folder that is not Python is a golden.

mod compare;
mod files;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use self::compare::Difference;
use crate::workspace::Workspace;
use crate::{command, venv};

/// Which scripts run, and what becomes of differences.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Copy what differs over the committed files, and remove those that no script makes
    #[arg(long)]
    update: bool,
    /// Run only the scripts whose path contains this
    filter: Option<String>,
}

/// A golden and how it compares with what the scripts just made.
#[derive(Debug, PartialEq)]
enum Verdict {
    /// Equal, or within the tolerance by this largest difference.
    Same(Option<f64>),
    Differs(String),
    /// Made, but not committed.
    New,
    /// Committed, but made by no script.
    Stale,
}

impl Verdict {
    fn words(&self) -> String {
        match self {
            Self::Same(None) => "same".to_owned(),
            Self::Same(Some(difference)) => format!("same, max|Δ|/max(1, max|ref|) = {difference:.1e}"),
            Self::Differs(reason) => format!("DIFFERS: {reason}"),
            Self::New => "NEW: a script makes it, and it is not committed".to_owned(),
            Self::Stale => "STALE: no script makes it".to_owned(),
        }
    }
}

/// The scripts of one folder that run, and whether these are all of them.
struct Folder {
    path: PathBuf,
    scripts: Vec<PathBuf>,
    complete: bool,
}

/// Runs the scripts and prints a table; a difference is an error unless it is taken over.
pub(crate) fn run(args: &Args, workspace: &Workspace) -> Result<()> {
    let folders = folders(workspace.root(), args.filter.as_deref())?;
    if folders.is_empty() {
        bail!("no crates/*/tests/goldens/make_*.py matches; the filter is part of a script's path");
    }
    let python = venv::python(workspace)?;
    let (mut breaches, mut compared) = (0, 0);
    for folder in &folders {
        let made = tempfile::tempdir().context("creating a folder for the goldens")?;
        let outputs = make(&python, folder, made.path())?;
        let verdicts = verdicts(folder, &outputs)?;
        print_table(workspace.root(), folder, &verdicts);
        compared += verdicts.len();
        if args.update {
            update(folder, &outputs, &verdicts)?;
        } else {
            breaches += verdicts.values().filter(|verdict| !matches!(verdict, Verdict::Same(_))).count();
        }
    }
    match breaches {
        0 if args.update => Ok(()),
        0 => {
            println!("all {compared} goldens are equal to what the scripts make");
            Ok(())
        }
        n => bail!(
            "{n} goldens are not what the scripts make; look at the table, then `cargo xtask goldens --update`"
        ),
    }
}

fn folders(root: &Path, filter: Option<&str>) -> Result<Vec<Folder>> {
    let mut by_folder: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    for package in files::sorted_entries(&root.join("crates"))? {
        let folder = package.join("tests/goldens");
        if folder.is_dir() {
            let scripts = files::sorted_entries(&folder)?.into_iter().filter(|path| files::is_script(path));
            by_folder.insert(folder.clone(), scripts.collect());
        }
    }
    let chosen = |script: &PathBuf| {
        let path = script.strip_prefix(root).unwrap_or(script).to_string_lossy().into_owned();
        filter.is_none_or(|filter| path.contains(filter))
    };
    let folders = by_folder.into_iter().map(|(path, all)| {
        let scripts: Vec<PathBuf> = all.iter().filter(|script| chosen(script)).cloned().collect();
        Folder { path, complete: scripts.len() == all.len(), scripts }
    });
    Ok(folders.filter(|folder| !folder.scripts.is_empty()).collect())
}

/// Runs each script into a folder of its own and returns what they made, by relative path.
fn make(python: &Path, folder: &Folder, out: &Path) -> Result<BTreeMap<PathBuf, PathBuf>> {
    let mut outputs = BTreeMap::new();
    for script in &folder.scripts {
        let name = script.file_stem().context("a script has a name")?;
        let own = out.join(name);
        fs::create_dir(&own).with_context(|| format!("creating {}", own.display()))?;
        let mut call = std::process::Command::new(python);
        call.current_dir(&folder.path).arg(script).arg("--out").arg(&own);
        // Importing a helper beside a script would leave __pycache__ in the checkout.
        call.env("PYTHONDONTWRITEBYTECODE", "1");
        command::run(&mut call)?;
        for file in files::goldens_under(&own)? {
            let path = own.join(&file);
            if outputs.insert(file.clone(), path).is_some() {
                bail!(
                    "{} makes {}, which another script of its folder makes too",
                    script.display(),
                    file.display()
                );
            }
        }
    }
    Ok(outputs)
}

fn verdicts(folder: &Folder, outputs: &BTreeMap<PathBuf, PathBuf>) -> Result<BTreeMap<PathBuf, Verdict>> {
    let committed: BTreeSet<PathBuf> = files::goldens_under(&folder.path)?.into_iter().collect();
    let mut verdicts = BTreeMap::new();
    for (name, made) in outputs {
        let verdict = if !committed.contains(name) {
            Verdict::New
        } else {
            match compare::files(&folder.path.join(name), made)? {
                Difference::None => Verdict::Same(None),
                Difference::Within(difference) => Verdict::Same(Some(difference)),
                Difference::Beyond(reason) => Verdict::Differs(reason),
            }
        };
        verdicts.insert(name.clone(), verdict);
    }
    // With a script left out, nobody knows whether it would make the rest.
    if folder.complete {
        for name in committed {
            verdicts.entry(name).or_insert(Verdict::Stale);
        }
    }
    Ok(verdicts)
}

fn print_table(root: &Path, folder: &Folder, verdicts: &BTreeMap<PathBuf, Verdict>) {
    println!("{}", folder.path.strip_prefix(root).unwrap_or(&folder.path).display());
    let width = verdicts.keys().map(|name| name.as_os_str().len()).max().unwrap_or(0);
    for (name, verdict) in verdicts {
        println!("  {:<width$}  {}", name.display().to_string(), verdict.words());
    }
}

/// Files that compare as the same keep their committed bytes.
fn update(
    folder: &Folder,
    outputs: &BTreeMap<PathBuf, PathBuf>,
    verdicts: &BTreeMap<PathBuf, Verdict>,
) -> Result<()> {
    for (name, verdict) in verdicts {
        let committed = folder.path.join(name);
        match verdict {
            Verdict::Same(_) => {}
            Verdict::Stale => {
                fs::remove_file(&committed).with_context(|| format!("removing {}", committed.display()))?;
            }
            Verdict::New | Verdict::Differs(_) => files::copy(&outputs[name], &committed)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
