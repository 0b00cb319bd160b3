//! From wheels to a folder with `lib/` and `include/`.
//!
//! | variant | on disk |
//! |---|---|
//! | CPU | `lib/` and `include/`; `lib/libtorch.so` is an empty library that only names `libtorch_cpu.so`, because the wheel's own needs the CUDA libraries |
//! | CUDA | `torch/` and `nvidia/` as in site-packages, where the wheel's libraries look for each other (`$ORIGIN/../../nvidia/*/lib`); `lib` and `include` link into `torch/` |

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use zip::ZipArchive;

use super::host::Tools;
use super::libtorch::Variant;
use crate::command;

type Wheel = ZipArchive<BufReader<File>>;

/// What the CPU variant keeps: path in the wheel, path in the folder.
const CPU_LIBRARIES: [(&str, &str); 5] = [
    ("torch/lib/libtorch_cpu.so", "lib/libtorch_cpu.so"),
    ("torch/lib/libc10.so", "lib/libc10.so"),
    ("torch/lib/libgomp.so.1", "lib/libgomp.so.1"),
    ("nvidia/cu13/lib/libcudart.so.13", "lib/libcudart.so.13"),
    ("nvidia/cu13/lib/libcupti.so.13", "lib/libcupti.so.13"),
];

/// Unpacks the wheels into `tree`.
pub(crate) fn assemble(variant: Variant, wheels: &[PathBuf], tree: &Path, tools: &Tools) -> Result<()> {
    unpack(wheels, tree, variant)?;
    match variant {
        Variant::Cpu => {
            for (_, library) in CPU_LIBRARIES {
                if !tree.join(library).is_file() {
                    bail!(
                        "the wheels hold no {library}; the pins of `cargo xtask setup` do not fit each other"
                    );
                }
            }
            link_empty_libtorch(tree, tools)
        }
        Variant::Cuda => {
            for name in ["lib", "include"] {
                let link = tree.join(name);
                symlink(Path::new("torch").join(name), &link)
                    .with_context(|| format!("linking {}", link.display()))?;
            }
            Ok(())
        }
    }
}

/// Where a file of a wheel goes, if it is kept.
fn place(variant: Variant, name: &str) -> Option<&str> {
    match variant {
        Variant::Cuda => (name.starts_with("torch/") || name.starts_with("nvidia/")).then_some(name),
        Variant::Cpu => CPU_LIBRARIES
            .iter()
            .find(|(from, _)| *from == name)
            .map(|(_, to)| *to)
            .or_else(|| name.strip_prefix("torch/").filter(|rest| rest.starts_with("include/"))),
    }
}

fn unpack(wheels: &[PathBuf], tree: &Path, variant: Variant) -> Result<()> {
    let mut archives = wheels.iter().map(|path| open(path)).collect::<Result<Vec<_>>>()?;
    let mut kept = Vec::new();
    let mut total = 0;
    for (archive, path) in archives.iter_mut().zip(wheels) {
        let (indices, bytes) =
            kept_entries(archive, variant).with_context(|| format!("reading {}", path.display()))?;
        kept.push(indices);
        total += bytes;
    }
    let bar = ProgressBar::new(total).with_message("unpacking");
    let style = ProgressStyle::with_template("{msg} [{bar:40}] {bytes}/{total_bytes}, {eta} left")
        .context("the template of the progress bar")?;
    bar.set_style(style.progress_chars("=> "));
    for ((archive, path), indices) in archives.iter_mut().zip(wheels).zip(kept) {
        for index in indices {
            unpack_entry(archive, index, tree, variant, &bar)
                .with_context(|| format!("unpacking {}", path.display()))?;
        }
    }
    bar.finish_and_clear();
    Ok(())
}

fn open(path: &Path) -> Result<Wheel> {
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    ZipArchive::new(BufReader::new(file)).with_context(|| format!("reading {} as a wheel", path.display()))
}

/// The indices of the files to keep, and their unpacked size.
fn kept_entries(archive: &mut Wheel, variant: Variant) -> Result<(Vec<usize>, u64)> {
    let (mut indices, mut bytes) = (Vec::new(), 0);
    for index in 0..archive.len() {
        let entry = archive.by_index(index)?;
        if entry.is_file() && place(variant, &entry.name()?).is_some() {
            indices.push(index);
            bytes += entry.size();
        }
    }
    Ok((indices, bytes))
}

fn unpack_entry(
    archive: &mut Wheel,
    index: usize,
    tree: &Path,
    variant: Variant,
    bar: &ProgressBar,
) -> Result<()> {
    let mut entry = archive.by_index(index)?;
    let name = entry.name()?.into_owned();
    // A name that would lead out of the folder has no enclosed form.
    let to = match (entry.enclosed_name(), place(variant, &name)) {
        (Some(_), Some(to)) => tree.join(to),
        _ => bail!("the wheel holds a file named {name}, which leads out of the folder"),
    };
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).with_context(|| format!("creating {}", parent.display()))?;
    }
    let mode = entry.unix_mode().unwrap_or(0o644);
    let mut file = File::create(&to).with_context(|| format!("creating {}", to.display()))?;
    io::copy(&mut bar.wrap_read(&mut entry), &mut file)
        .with_context(|| format!("writing {}", to.display()))?;
    file.set_permissions(fs::Permissions::from_mode(mode & 0o777 | 0o644))
        .with_context(|| format!("setting the mode of {}", to.display()))
}

fn link_empty_libtorch(tree: &Path, tools: &Tools) -> Result<()> {
    let source = tree.join("libtorch.cpp");
    let write = || fs::write(&source, "// Nothing: the library exists for what it depends on.\n");
    write().with_context(|| format!("writing {}", source.display()))?;
    let mut compiler = tools.compiler();
    compiler.args(["-shared", "-fPIC", "-o"]).arg(tree.join("lib/libtorch.so")).arg(&source);
    // Without the first option the linker drops a library that no symbol is taken from.
    compiler.args(["-Wl,--no-as-needed", "-Wl,-soname,libtorch.so", "-Wl,-rpath,$ORIGIN"]);
    compiler.arg(tree.join("lib/libtorch_cpu.so"));
    command::run(&mut compiler).context("linking lib/libtorch.so")?;
    fs::remove_file(&source).with_context(|| format!("removing {}", source.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_variant_keeps_five_libraries_and_the_headers() {
        let place = |name| place(Variant::Cpu, name);
        assert_eq!(place("torch/lib/libc10.so"), Some("lib/libc10.so"));
        assert_eq!(place("nvidia/cu13/lib/libcudart.so.13"), Some("lib/libcudart.so.13"));
        assert_eq!(place("torch/include/ATen/ATen.h"), Some("include/ATen/ATen.h"));
        for dropped in [
            "torch/lib/libtorch.so",
            "torch/lib/libtorch_cuda.so",
            "torch/nn/init.py",
            "nvidia/cu13/include/cuda.h",
        ] {
            assert_eq!(place(dropped), None, "{dropped}");
        }
    }

    #[test]
    fn the_cuda_variant_keeps_the_layout_of_site_packages() {
        let place = |name| place(Variant::Cuda, name);
        assert_eq!(place("torch/lib/libtorch_cuda.so"), Some("torch/lib/libtorch_cuda.so"));
        assert_eq!(place("nvidia/cudnn/lib/libcudnn.so.9"), Some("nvidia/cudnn/lib/libcudnn.so.9"));
        assert_eq!(place("torch-2.11.0.dist-info/METADATA"), None);
    }
}
