//! What a folder holds: a LibTorch of the right version, one that `setup` made, or something else.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::VERSION;

/// Written last into a folder that `setup` made.
const STAMP: &str = ".retouch-setup";
/// Counted up when `setup` lays the folder out in another way, so that older folders are made anew.
const LAYOUT: u32 = 1;

/// Which libraries are kept of the wheel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variant {
    /// What runs on the CPU.
    Cpu,
    /// Everything, with the CUDA libraries it needs.
    Cuda,
}

impl Variant {
    fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
        }
    }
}

/// A complete LibTorch of the right version.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Contents {
    pub(crate) has_cuda: bool,
    pub(crate) by_setup: bool,
}

/// What a look at a folder found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// No folder, or an empty one.
    Nothing,
    Contents(Contents),
    /// Made by `setup`, but by an older one, or damaged since: to be made anew.
    Outdated(String),
    /// Not a LibTorch of the right version, for this reason.
    Other(String),
}

/// Looks at a folder without changing it.
pub(crate) fn look(dir: &Path) -> Result<Found> {
    let stamp = match fs::read_to_string(dir.join(STAMP)) {
        Ok(text) => Some(text),
        Err(error) if is_absence(&error) => None,
        Err(error) => return Err(error).with_context(|| format!("reading the stamp in {}", dir.display())),
    };
    if stamp.is_none() && is_empty(dir)? {
        return Ok(Found::Nothing);
    }
    let has_cuda = library(dir, "torch_cuda");
    Ok(match (stamp, shortcoming(dir)) {
        (Some(stamp), None) if [Variant::Cpu, Variant::Cuda].map(stamp_text).contains(&stamp) => {
            Found::Contents(Contents { has_cuda, by_setup: true })
        }
        (Some(stamp), None) => Found::Outdated(format!("an older set-up made it: {}", stamp.trim())),
        (Some(_), Some(reason)) => Found::Outdated(reason),
        (None, None) => Found::Contents(Contents { has_cuda, by_setup: false }),
        (None, Some(reason)) => Found::Other(reason),
    })
}

/// What speaks against a folder, for a message.
pub(crate) fn describe(dir: &Path) -> String {
    if dir.is_dir() {
        shortcoming(dir).unwrap_or_else(|| "it is complete".to_owned())
    } else {
        "there is no such folder".to_owned()
    }
}

/// Declares a folder finished.
pub(crate) fn stamp(dir: &Path, variant: Variant) -> Result<()> {
    for (name, text) in [("build-version", format!("{VERSION}\n")), (STAMP, stamp_text(variant))] {
        let path = dir.join(name);
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

fn stamp_text(variant: Variant) -> String {
    format!("libtorch {VERSION} {}, layout {LAYOUT}\n", variant.name())
}

/// The first thing that keeps a folder from being a LibTorch of the right version.
fn shortcoming(dir: &Path) -> Option<String> {
    match version(dir) {
        None => return Some("no build-version, torch/version.h or version.py tells its version".to_owned()),
        Some(version) if version != VERSION => return Some(format!("it is version {version}")),
        Some(_) => {}
    }
    if !dir.join("include").is_dir() {
        return Some("include/ is missing".to_owned());
    }
    ["torch", "torch_cpu", "c10"]
        .iter()
        .find(|name| !library(dir, name))
        .map(|name| format!("lib/{DLL_PREFIX}{name}{DLL_SUFFIX} is missing"))
}

fn library(dir: &Path, name: &str) -> bool {
    dir.join("lib").join(format!("{DLL_PREFIX}{name}{DLL_SUFFIX}")).is_file()
}

/// The version that a folder tells of itself, without a local part such as `+cpu`.
fn version(dir: &Path) -> Option<String> {
    let text = |name: &str| fs::read_to_string(dir.join(name)).ok();
    let version = text("build-version")
        .or_else(|| text("include/torch/headeronly/version.h").and_then(|header| version_in_header(&header)))
        .or_else(|| {
            text("include/torch/csrc/api/include/torch/version.h")
                .and_then(|header| version_in_header(&header))
        })
        .or_else(|| text("version.py").and_then(|module| version_in_module(&module)))?;
    Some(version.trim().split('+').next().unwrap_or_default().to_owned())
}

fn version_in_header(header: &str) -> Option<String> {
    let part = |name: &str| {
        let prefix = format!("#define TORCH_VERSION_{name} ");
        header.lines().find_map(|line| line.strip_prefix(&prefix)).map(str::trim)
    };
    Some(format!("{}.{}.{}", part("MAJOR")?, part("MINOR")?, part("PATCH")?))
}

fn version_in_module(module: &str) -> Option<String> {
    let value = module.lines().find_map(|line| line.strip_prefix("__version__ = "))?;
    Some(value.trim().trim_matches(['\'', '"']).to_owned())
}

fn is_empty(dir: &Path) -> Result<bool> {
    match fs::read_dir(dir) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
        // A file in the folder's place is reported by what is missing in it.
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => Ok(false),
        Err(error) => Err(error).with_context(|| format!("reading {}", dir.display())),
    }
}

fn is_absence(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests;
