//! The wheels that LibTorch is taken from, each pinned by its SHA-256, and their download through pip.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::host::Tools;
use super::libtorch::Variant;
use crate::command;

/// One file of PyPI.
struct Wheel {
    project: &'static str,
    version: &'static str,
    sha256: &'static str,
}

const fn wheel(project: &'static str, version: &'static str, sha256: &'static str) -> Wheel {
    Wheel { project, version, sha256 }
}

/// What the CPU variant is made of: `libtorch_cpu.so` needs the CUDA runtime and CUPTI also where no GPU is.
const CPU: [Wheel; 3] = [
    wheel("torch", super::VERSION, "7aa2f9bbc6d4595ba72138026b2074be1233186150e9292865e04b7a63b8c67a"),
    wheel("nvidia-cuda-cupti", "13.0.85", "4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8"),
    wheel(
        "nvidia-cuda-runtime",
        "13.0.96",
        "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548",
    ),
];

/// What the CUDA variant has besides: the NVIDIA wheels among the dependencies of the torch wheel, direct ones
/// and those of `cuda-toolkit==13.0.2`. The dependencies left out are Python code that LibTorch does not call.
const CUDA: [Wheel; 13] = [
    wheel("nvidia-cublas", "13.1.0.3", "ee8722c1f0145ab246bccb9e452153b5e0515fd094c3678df50b2a0888b8b171"),
    wheel("nvidia-cuda-nvrtc", "13.0.88", "ad9b6d2ead2435f11cbb6868809d2adeeee302e9bb94bcf0539c7a40d80e8575"),
    wheel(
        "nvidia-cudnn-cu13",
        "9.19.0.56",
        "d20e1734305e9d68889a96e3f35094d733ff1f83932ebe462753973e53a572bf",
    ),
    wheel("nvidia-cufft", "12.0.0.61", "6c44f692dce8fd5ffd3e3df134b6cdb9c2f72d99cf40b62c32dde45eea9ddad3"),
    wheel("nvidia-cufile", "1.15.1.6", "08a3ecefae5a01c7f5117351c64f17c7c62efa5fffdbe24fc7d298da19cd0b44"),
    wheel("nvidia-curand", "10.4.0.35", "1aee33a5da6e1db083fe2b90082def8915f30f3248d5896bcec36a579d941bfc"),
    wheel("nvidia-cusolver", "12.0.4.66", "0a759da5dea5c0ea10fd307de75cdeb59e7ea4fcb8add0924859b944babf1112"),
    wheel("nvidia-cusparse", "12.6.3.3", "2b3c89c88d01ee0e477cb7f82ef60a11a4bcd57b6b87c33f789350b59759360b"),
    wheel(
        "nvidia-cusparselt-cu13",
        "0.8.0",
        "25e30a8a7323935d4ad0340b95a0b69926eee755767e8e0b1cf8dd85b197d3fd",
    ),
    wheel("nvidia-nccl-cu13", "2.28.9", "e4553a30f34195f3fa1da02a6da3d6337d28f2003943aa0a3d247bbc25fefc42"),
    wheel("nvidia-nvjitlink", "13.0.88", "13a74f429e23b921c1109976abefacc69835f2f433ebd323d3946e11d804e47b"),
    wheel("nvidia-nvshmem-cu13", "3.4.5", "290f0a2ee94c9f3687a02502f3b9299a9f9fe826e6d0287ee18482e78d495b80"),
    wheel("nvidia-nvtx", "13.0.85", "4936d1d6780fbe68db454f5e72a42ff64d1fd6397df9f363ae786930fd5c1cd4"),
];

/// What the wheels above are built for. pip is told, so that it takes the pinned file whatever its own Python is.
const PLATFORMS: [&str; 6] = [
    "manylinux_2_28_x86_64",
    "manylinux_2_27_x86_64",
    "manylinux_2_25_x86_64",
    "manylinux_2_18_x86_64",
    "manylinux_2_17_x86_64",
    "manylinux2014_x86_64",
];

/// Downloads what a variant needs into a folder of `partial` and returns the wheels' paths.
pub(crate) fn download(variant: Variant, partial: &Path, tools: &Tools) -> Result<Vec<PathBuf>> {
    let folder = partial.join("wheels");
    // pip keeps each file a second time while it downloads; it goes to the disk whose free space was checked.
    let scratch = partial.join("tmp");
    for dir in [&folder, &scratch] {
        fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
    }
    let requirements = partial.join("requirements.txt");
    fs::write(&requirements, requirements_text(variant))
        .with_context(|| format!("writing {}", requirements.display()))?;
    let mut pip = tools.python();
    pip.args(["-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--require-hashes"]);
    pip.args(["--python-version", "3.11", "--implementation", "cp", "--abi", "cp311"]);
    pip.args(PLATFORMS.iter().flat_map(|platform| ["--platform", platform]));
    pip.arg("--dest").arg(&folder).arg("--requirement").arg(&requirements);
    pip.env("TMPDIR", &scratch).env("PIP_DISABLE_PIP_VERSION_CHECK", "1");
    eprintln!("pip downloads LibTorch and refuses any file whose SHA-256 is not the pinned one");
    command::run(&mut pip).context("downloading LibTorch; is the package index reachable?")?;
    wheels(variant).map(|wheel| find(wheel, &folder)).collect()
}

fn wheels(variant: Variant) -> impl Iterator<Item = &'static Wheel> {
    let more: &[Wheel] = match variant {
        Variant::Cpu => &[],
        Variant::Cuda => &CUDA,
    };
    CPU.iter().chain(more)
}

fn requirements_text(variant: Variant) -> String {
    wheels(variant)
        .map(|Wheel { project, version, sha256 }| format!("{project}=={version} --hash=sha256:{sha256}\n"))
        .collect()
}

fn find(wheel: &Wheel, folder: &Path) -> Result<PathBuf> {
    let prefix = format!("{}-{}-", wheel.project.replace('-', "_"), wheel.version);
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut paths = entries.flatten().map(|entry| entry.path());
    paths
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix)))
        .with_context(|| format!("pip left no {prefix}*.whl in {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_requirement_is_pinned_by_version_and_hash() {
        let cpu = requirements_text(Variant::Cpu);
        let cuda = requirements_text(Variant::Cuda);
        assert!(cuda.starts_with(&cpu) && cuda.lines().count() == 16);
        for line in cuda.lines() {
            let (requirement, hash) = line.split_once(" --hash=sha256:").unwrap();
            assert!(requirement.contains("=="), "{line}");
            assert!(hash.len() == 64 && hash.chars().all(|c| c.is_ascii_hexdigit()), "{line}");
        }
    }

    #[test]
    fn a_wheel_is_found_by_project_and_version() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("nvidia_cuda_cupti-13.0.85-py3-none-manylinux_2_25_x86_64.whl");
        fs::write(&file, "").unwrap();
        assert_eq!(find(&CPU[1], dir.path()).unwrap(), file);
        let error = find(&CPU[0], dir.path()).unwrap_err().to_string();
        assert!(error.contains("torch-2.11.0-*.whl"), "{error}");
    }
}
