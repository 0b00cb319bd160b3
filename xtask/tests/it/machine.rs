//! A made-up machine: a checkout, and a PATH that holds only what a test puts there.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// A Python whose pip copies the wheels beside it and notes how it was called.
const PYTHON: &str = r#"#!/bin/sh
set -eu
here=${0%/*}
[ "$1" = --version ] && exit 0
[ "$1 $2" = "-m pip" ]
[ "$3" = --version ] && exit 0
[ "$3" = download ]
echo "$@" >> "$here/../pip-calls"
while [ $# -gt 0 ]; do
    case $1 in
        --dest) dest=$2 ;;
        --requirement) /bin/cat "$2" >> "$here/../pip-requirements" ;;
    esac
    shift
done
/bin/cp "$here"/../wheels/*.whl "$dest"
"#;

/// A C++ compiler that writes its arguments to the file it is asked for.
const COMPILER: &str = r#"#!/bin/sh
set -eu
[ "$1" = --version ] && exit 0
args=$*
while [ $# -gt 0 ]; do
    case $1 in -o) out=$2 ;; esac
    shift
done
echo "$args" > "$out"
"#;

pub(crate) struct Machine {
    dir: TempDir,
}

impl Machine {
    /// A machine without any program.
    pub(crate) fn bare() -> Self {
        let machine = Self { dir: tempfile::tempdir().unwrap() };
        for folder in ["bin", "wheels", "checkout/xtask"] {
            fs::create_dir_all(machine.path(folder)).unwrap();
        }
        machine
    }

    /// A machine with Python, a C++ compiler and an index that has the wheels of the CPU variant.
    pub(crate) fn complete() -> Self {
        let machine = Self::bare();
        machine.program("python3", PYTHON);
        machine.program("c++", COMPILER);
        machine.wheel(
            "torch-2.11.0-cp311-cp311-manylinux_2_28_x86_64.whl",
            &[
                "torch/lib/libtorch.so",
                "torch/lib/libtorch_cpu.so",
                "torch/lib/libtorch_cuda.so",
                "torch/lib/libc10.so",
                "torch/lib/libgomp.so.1",
                "torch/include/ATen/ATen.h",
                "torch/nn/init.py",
            ],
        );
        machine.wheel(
            "nvidia_cuda_runtime-13.0.96-py3-none-manylinux_2_17_x86_64.whl",
            &["nvidia/cu13/lib/libcudart.so.13"],
        );
        machine.wheel(
            "nvidia_cuda_cupti-13.0.85-py3-none-manylinux_2_25_x86_64.whl",
            &["nvidia/cu13/lib/libcupti.so.13", "nvidia/cu13/lib/libnvperf_host.so"],
        );
        machine
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn libtorch(&self) -> PathBuf {
        self.path("checkout/.libtorch")
    }

    pub(crate) fn program(&self, name: &str, script: &str) {
        let path = self.path("bin").join(name);
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub(crate) fn without(self, program: &str) -> Self {
        fs::remove_file(self.path("bin").join(program)).unwrap();
        self
    }

    /// A wheel in the index; each file's content is its name.
    pub(crate) fn wheel(&self, name: &str, files: &[&str]) {
        let mut wheel = ZipWriter::new(File::create(self.path("wheels").join(name)).unwrap());
        for file in files {
            wheel.start_file(*file, SimpleFileOptions::default().unix_permissions(0o755)).unwrap();
            wheel.write_all(file.as_bytes()).unwrap();
        }
        wheel.finish().unwrap();
    }

    /// A folder of the user's that looks like LibTorch of a version.
    pub(crate) fn foreign_libtorch(&self, name: &str, version: &str) -> PathBuf {
        let dir = self.path(name);
        fs::create_dir_all(dir.join("include")).unwrap();
        fs::create_dir_all(dir.join("lib")).unwrap();
        for library in ["libtorch.so", "libtorch_cpu.so", "libc10.so"] {
            fs::write(dir.join("lib").join(library), "").unwrap();
        }
        fs::write(dir.join("build-version"), version).unwrap();
        dir
    }

    pub(crate) fn link(&self, to: &Path, name: &str) {
        symlink(to, self.path(name)).unwrap();
    }

    /// Runs `cargo xtask setup`, with `LIBTORCH` as `.cargo/config.toml` sets it unless another is given.
    pub(crate) fn setup(&self, args: &[&str], env: &[(&str, &str)]) -> Run {
        let mut call = Command::new(env!("CARGO_BIN_EXE_xtask"));
        call.arg("setup").args(args).current_dir(self.path("checkout"));
        call.env_clear().env("PATH", self.path("bin"));
        call.env("CARGO_MANIFEST_DIR", self.path("checkout/xtask")).env("LIBTORCH", self.libtorch());
        Run::from(call.envs(env.iter().copied()).output().unwrap())
    }
}

/// How a call ended and what it said.
pub(crate) struct Run {
    pub(crate) ok: bool,
    pub(crate) said: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        let said = [output.stdout, output.stderr].concat();
        Self { ok: output.status.success(), said: String::from_utf8(said).unwrap() }
    }
}

impl Run {
    #[track_caller]
    pub(crate) fn succeeds_saying(&self, part: &str) {
        assert!(self.ok && self.said.contains(part), "{}", self.said);
    }

    #[track_caller]
    pub(crate) fn fails_saying(&self, part: &str) {
        assert!(!self.ok && self.said.contains(part), "{}", self.said);
    }
}
