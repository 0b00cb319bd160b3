//! Where the workspace is, and how its own cargo is called.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

/// The checkout that the tasks work on.
pub(crate) struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// Finds the checkout through the manifest folder that `cargo run` names.
    pub(crate) fn locate() -> Result<Self> {
        let manifest = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let root = Path::new(&manifest)
            .parent()
            .with_context(|| format!("{} has no parent folder", manifest.display()))?;
        Ok(Self::at(root))
    }

    /// The workspace whose root manifest lies in `root`.
    pub(crate) fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder of the root manifest.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where `.cargo/config.toml` says LibTorch is when the environment does not.
    pub(crate) fn default_libtorch(&self) -> PathBuf {
        self.root.join(".libtorch")
    }

    /// `LIBTORCH` as the user set it; `None` where the value only comes from `.cargo/config.toml`.
    pub(crate) fn user_libtorch(&self) -> Option<PathBuf> {
        let value = env::var_os("LIBTORCH").filter(|value| !value.is_empty())?;
        let path = PathBuf::from(value);
        (path != self.default_libtorch()).then_some(path)
    }

    /// A cargo command in the root, in the environment that a cargo called by hand would have.
    ///
    /// `cargo run` describes the running package in its child's environment. Left there, build scripts that
    /// watch those variables would run again whenever one changes between `cargo xtask` and plain `cargo`.
    pub(crate) fn cargo(&self) -> Command {
        let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut cargo = Command::new(program);
        cargo.current_dir(&self.root);
        for (name, _) in env::vars_os().filter(|(name, _)| describes_running_package(name)) {
            cargo.env_remove(name);
        }
        if self.user_libtorch().is_none() {
            cargo.env_remove("LIBTORCH");
        }
        cargo
    }

    /// Cargo's target folder, wherever the user put it.
    pub(crate) fn target_dir(&self) -> Result<PathBuf> {
        let metadata = cargo_metadata::MetadataCommand::new()
            .current_dir(&self.root)
            .no_deps()
            .exec()
            .context("reading the target folder from cargo metadata")?;
        Ok(metadata.target_directory.into_std_path_buf())
    }
}

fn describes_running_package(name: &OsString) -> bool {
    let name = name.to_string_lossy();
    name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
}
