//! `cargo xtask setup`: LibTorch from the user, or from the PyPI wheel.
//!
//! The wheel is unpacked in a sibling folder that is renamed at the very end, so a folder that has its final
//! name is complete, and a run that was cut off leaves nothing that a later one could take for finished.

mod assemble;
mod host;
mod libtorch;
mod wheels;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use self::libtorch::{Contents, Found, Variant};
use crate::workspace::Workspace;

/// The LibTorch version that tch 0.24 binds.
pub(crate) const VERSION: &str = "2.11.0";

/// Where LibTorch goes, and which one.
#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// Keep the GPU libraries and bring the CUDA libraries they need (11 GB of disk while it runs, 4 GB after)
    #[arg(long)]
    cuda: bool,
    /// Folder to set up [default: .libtorch in the checkout, where cargo looks for it]
    #[arg(long)]
    dir: Option<PathBuf>,
}

impl Args {
    fn variant(&self) -> Variant {
        if self.cuda { Variant::Cuda } else { Variant::Cpu }
    }
}

/// Leaves a LibTorch of the right version in place, or says what is missing.
pub(crate) fn run(args: &Args, workspace: &Workspace) -> Result<()> {
    if let (None, Some(user)) = (&args.dir, workspace.user_libtorch()) {
        return accept_user_libtorch(&user, args.variant());
    }
    let dir = args.dir.clone().unwrap_or_else(|| workspace.default_libtorch());
    let dir = std::path::absolute(&dir).with_context(|| format!("resolving {}", dir.display()))?;
    if !is_ready(&dir, args.variant())? {
        let parent = dir.parent().with_context(|| format!("{} has no parent folder", dir.display()))?;
        fs::create_dir_all(parent).with_context(|| format!("creating {}", parent.display()))?;
        let tools = host::check(parent, args.variant())?;
        // Two clones may share one folder: the second waits here and then finds it ready.
        let lock = File::open(parent).with_context(|| format!("opening {}", parent.display()))?;
        lock.lock().with_context(|| format!("locking {}", parent.display()))?;
        if !is_ready(&dir, args.variant())? {
            install(&dir, args.variant(), &tools)?;
        }
    }
    let used_by_default = dir == workspace.default_libtorch() && workspace.user_libtorch().is_none();
    if !used_by_default && workspace.user_libtorch().as_ref() != Some(&dir) {
        eprintln!("cargo uses it after `export LIBTORCH={}`", dir.display());
    }
    Ok(())
}

fn accept_user_libtorch(user: &Path, variant: Variant) -> Result<()> {
    match libtorch::look(user)? {
        Found::Contents(Contents { has_cuda, .. }) if has_cuda || variant == Variant::Cpu => {
            eprintln!("LibTorch {VERSION} of LIBTORCH={} is used", user.display());
            Ok(())
        }
        Found::Contents(_) => bail!(
            "LIBTORCH={} is LibTorch {VERSION} without CUDA; unset LIBTORCH or let it name one with CUDA",
            user.display()
        ),
        Found::Nothing | Found::Outdated(_) | Found::Other(_) => bail!(
            "LIBTORCH={} holds no LibTorch {VERSION} ({}); unset LIBTORCH to have one set up, or let it name one",
            user.display(),
            libtorch::describe(user)
        ),
    }
}

/// Whether `dir` already serves; an error if something else of the user's lies there.
fn is_ready(dir: &Path, variant: Variant) -> Result<bool> {
    match libtorch::look(dir)? {
        Found::Nothing | Found::Outdated(_) => Ok(false),
        Found::Contents(contents) if contents.has_cuda || variant == Variant::Cpu => {
            eprintln!("LibTorch {VERSION} is already set up in {}", dir.display());
            Ok(true)
        }
        Found::Contents(contents) if contents.by_setup => Ok(false),
        Found::Contents(_) => bail!(
            "{} holds a LibTorch {VERSION} without CUDA that `cargo xtask setup` did not make; move it away or name \
             another folder with --dir",
            dir.display()
        ),
        Found::Other(reason) => bail!(
            "{} is no LibTorch {VERSION} ({reason}) and `cargo xtask setup` did not make it; move it away or name \
             another folder with --dir",
            dir.display()
        ),
    }
}

fn install(dir: &Path, variant: Variant, tools: &host::Tools) -> Result<()> {
    if let Found::Outdated(reason) = libtorch::look(dir)? {
        eprintln!("{} is made anew: {reason}", dir.display());
    }
    let partial = sibling(dir, ".partial");
    remove_if_there(&partial)?;
    let outcome = install_through(&partial, dir, variant, tools);
    // Also after a failure: a later run starts from nothing anyway, and the wheels are large.
    remove_if_there(&partial)?;
    outcome?;
    eprintln!("LibTorch {VERSION} is set up in {}", dir.display());
    Ok(())
}

fn install_through(partial: &Path, dir: &Path, variant: Variant, tools: &host::Tools) -> Result<()> {
    let tree = partial.join("tree");
    fs::create_dir_all(&tree).with_context(|| format!("creating {}", tree.display()))?;
    let wheels = wheels::download(variant, partial, tools)?;
    assemble::assemble(variant, &wheels, &tree, tools)?;
    libtorch::stamp(&tree, variant)?;
    if dir.symlink_metadata().is_ok() {
        rename(dir, &partial.join("replaced"))?;
    }
    rename(&tree, dir)
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).with_context(|| format!("renaming {} to {}", from.display(), to.display()))
}

fn sibling(dir: &Path, suffix: &str) -> PathBuf {
    let mut name = dir.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn remove_if_there(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", dir.display()))
        }
        _ => Ok(()),
    }
}
