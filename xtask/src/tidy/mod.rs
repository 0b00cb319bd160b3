//! `cargo xtask tidy`: the rules that neither rustc nor clippy knows.

mod arrows;
mod manifest;
mod sources;

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use cargo_metadata::MetadataCommand;

use crate::workspace::Workspace;

/// A breach of a rule and where it is.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Problem {
    /// Relative to the root of the workspace.
    file: PathBuf,
    line: usize,
    text: String,
}

impl Problem {
    fn new(file: impl Into<PathBuf>, line: usize, text: impl Into<String>) -> Self {
        Self { file: file.into(), line, text: text.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.text)
    }
}

/// Prints every breach; one is enough to fail.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let problems = problems(workspace.root())?;
    for problem in &problems {
        println!("{problem}");
    }
    match problems.len() {
        0 => Ok(()),
        1 => bail!("tidy found 1 problem"),
        n => bail!("tidy found {n} problems"),
    }
}

fn problems(root: &Path) -> Result<Vec<Problem>> {
    let metadata = MetadataCommand::new()
        .current_dir(root)
        .no_deps()
        .exec()
        .with_context(|| format!("reading the workspace in {}", root.display()))?;
    let mut problems = sources::check(root)?;
    for package in metadata.workspace_packages() {
        let manifest = manifest::Manifest::read(root, package.manifest_path.as_std_path())?;
        problems.extend(manifest.problems());
        problems.extend(arrows::check(package, &manifest));
    }
    problems.sort();
    problems.dedup();
    Ok(problems)
}

#[cfg(test)]
mod tests;
