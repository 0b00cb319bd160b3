//! Which files are scripts, which are goldens.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use ignore::WalkBuilder;

/// What lies directly in a folder, sorted; nothing if there is no such folder.
pub(super) fn sorted_entries(dir: &Path) -> Result<Vec<PathBuf>> {
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))?;
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .with_context(|| format!("reading {}", dir.display()))?;
    paths.sort();
    Ok(paths)
}

/// Whether a path is a script that makes goldens.
pub(super) fn is_script(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with("make_") && name.ends_with(".py")
}

/// The goldens under a folder, as sorted relative paths: all files that git would commit, but Python.
pub(super) fn goldens_under(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut goldens = Vec::new();
    for entry in WalkBuilder::new(dir).require_git(false).build() {
        let path = entry.with_context(|| format!("walking {}", dir.display()))?.into_path();
        if path.is_file() && path.extension().is_none_or(|extension| extension != "py") {
            goldens.push(path.strip_prefix(dir).unwrap_or(&path).to_owned());
        }
    }
    goldens.sort();
    Ok(goldens)
}

/// Copies a file, making the folders it needs.
pub(super) fn copy(from: &Path, to: &Path) -> Result<()> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).with_context(|| format!("creating {}", parent.display()))?;
    }
    fs::copy(from, to).with_context(|| format!("copying {} to {}", from.display(), to.display()))?;
    Ok(())
}
