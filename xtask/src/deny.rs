//! cargo-deny: licences, sources and bans as `deny.toml` says; installed once where it is missing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::command;
use crate::workspace::Workspace;

const VERSION: &str = "0.20.2";

/// Checks the lock file; `advisories` also downloads and asks the database of security advisories.
pub(crate) fn check(workspace: &Workspace, advisories: bool) -> Result<()> {
    let mut deny = match installed() {
        Some(deny) => deny,
        None => Command::new(own_copy(workspace)?),
    };
    // The bans name crates that are not in the lock file yet.
    let known = ["--allow", "unused-wrapper"];
    deny.current_dir(workspace.root()).args(["--locked", "check"]).args(known);
    deny.args(["bans", "licenses", "sources"]);
    if advisories {
        deny.arg("advisories");
    }
    command::run(&mut deny)
}

fn installed() -> Option<Command> {
    command::succeeds(Command::new("cargo-deny").arg("--version")).then(|| Command::new("cargo-deny"))
}

/// The cargo-deny in the target folder.
fn own_copy(workspace: &Workspace) -> Result<PathBuf> {
    let tools = workspace.target_dir()?.join("tools");
    let program = tools.join("bin/cargo-deny");
    if !is_pinned_version(&program) {
        install(workspace, &tools)?;
    }
    Ok(program)
}

fn is_pinned_version(program: &Path) -> bool {
    let output = Command::new(program).arg("--version").output();
    output.is_ok_and(|output| output.stdout.trim_ascii_end().ends_with(format!(" {VERSION}").as_bytes()))
}

/// Unoptimised and without its optional parts it compiles in a third of the time and checks in the same second.
fn install(workspace: &Workspace, tools: &Path) -> Result<()> {
    let build = tools.join("build");
    let mut cargo = workspace.cargo();
    cargo.args(["install", "cargo-deny", "--version", &format!("={VERSION}"), "--locked", "--force"]);
    cargo.args(["--debug", "--no-default-features", "--config", "profile.dev.debug=false"]);
    cargo.arg("--target-dir").arg(&build).arg("--root").arg(tools);
    command::run(&mut cargo).context("installing cargo-deny")?;
    fs::remove_dir_all(&build).with_context(|| format!("removing {}", build.display()))
}
