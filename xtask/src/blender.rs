//! `cargo xtask blender`: whether Blender's outlines of scenes are those of the ray caster.

use std::ffi::OsStr;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::command;
use crate::workspace::Workspace;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many scenes
    #[arg(long, default_value_t = 20)]
    scenes: u32,
    /// Blender's executable; Debian has it in the package `blender`
    #[arg(long, default_value = "blender")]
    blender: PathBuf,
    /// Where the pictures stay
    #[arg(long, default_value = "target/blender")]
    output: PathBuf,
}

pub(crate) fn run(args: &Args, workspace: &Workspace) -> Result<()> {
    let count = args.scenes.to_string();
    let words = ["run", "--release", "--package", "retouch-scenes", "--example", "compare_blender", "--"];
    let more: [&OsStr; 3] = [args.output.as_os_str(), count.as_ref(), args.blender.as_os_str()];
    command::run(workspace.cargo().args(words).args(more))
        .context("the renderers differ, or one of them failed")
}
