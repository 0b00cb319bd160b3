//! The Python that has the reference libraries in their pinned versions.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command;
use crate::workspace::Workspace;

/// Names a virtual environment that is used as it is.
const OVERRIDE: &str = "RETOUCH_GOLDENS_VENV";
const REQUIREMENTS: &str = "tests/goldens-requirements.txt";
/// A copy of the requirements, laid into the environment when they are all installed.
const INSTALLED: &str = "goldens-requirements.txt";

/// The interpreter of the environment, which is made where it is missing or outdated.
pub(crate) fn python(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(venv) = env::var_os(OVERRIDE).filter(|value| !value.is_empty()) {
        let python = interpreter(Path::new(&venv));
        if !python.is_file() {
            bail!(
                "{OVERRIDE} is set, but {} does not exist; name a virtual environment or unset it",
                python.display()
            );
        }
        return Ok(python);
    }
    let venv = workspace.root().join(".venv");
    let requirements = workspace.root().join(REQUIREMENTS);
    let wanted = fs::read(&requirements).with_context(|| format!("reading {}", requirements.display()))?;
    if fs::read(venv.join(INSTALLED)).ok().as_ref() != Some(&wanted) {
        eprintln!("the reference libraries are installed into {} (5 GB)", venv.display());
        create(&venv)?;
        install(&venv, &requirements)?;
        fs::write(venv.join(INSTALLED), &wanted).with_context(|| format!("marking {}", venv.display()))?;
    }
    Ok(interpreter(&venv))
}

fn interpreter(venv: &Path) -> PathBuf {
    venv.join("bin/python")
}

fn create(venv: &Path) -> Result<()> {
    let mut call = Command::new("python3");
    call.args(["-m", "venv", "--clear"]).arg(venv);
    command::run(&mut call)
        .context("making a Python environment; on Debian: apt-get install python3 python3-venv")
}

fn install(venv: &Path, requirements: &Path) -> Result<()> {
    let mut pip = Command::new(interpreter(venv));
    pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--requirement"]).arg(requirements);
    command::run(&mut pip).context("installing the reference libraries")
}
