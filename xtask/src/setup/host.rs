//! What the machine must have before anything is fetched; everything that is missing is told at once.

use std::env;
use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::VERSION;
use super::libtorch::Variant;
use crate::command;

const GIB: u64 = 1 << 30;

/// The programs that the set-up calls.
pub(crate) struct Tools {
    /// The C++ compiler and the arguments it is always given, as `CXX` may hold both.
    compiler: Vec<String>,
}

impl Tools {
    /// A call of the machine's Python.
    pub(crate) fn python(&self) -> Command {
        Command::new("python3")
    }

    /// A call of the machine's C++ compiler.
    pub(crate) fn compiler(&self) -> Command {
        compiler_call(&self.compiler)
    }
}

/// The kind of machine, apart from what is installed on it.
struct Machine {
    os: &'static str,
    arch: &'static str,
    c_library: &'static str,
}

impl Machine {
    fn this() -> Self {
        let c_library = if cfg!(target_env = "musl") { "musl" } else { "glibc" };
        Self { os: env::consts::OS, arch: env::consts::ARCH, c_library }
    }
}

/// Finds the tools; `dir` is an existing folder on the disk that will hold LibTorch.
pub(crate) fn check(dir: &Path, variant: Variant) -> Result<Tools> {
    check_machine(&Machine::this())?;
    let compiler = find_compiler(env::var_os("CXX").as_deref());
    let missing: Vec<String> = [
        check_python().err(),
        compiler.as_ref().err().cloned(),
        check_disk(free_bytes(dir)?, variant, dir).err(),
    ]
    .into_iter()
    .flatten()
    .collect();
    match compiler {
        Ok(compiler) if missing.is_empty() => Ok(Tools { compiler }),
        _ => bail!("LibTorch {VERSION} cannot be set up yet:\n  - {}", missing.join("\n  - ")),
    }
}

fn check_machine(machine: &Machine) -> Result<()> {
    let Machine { os, arch, c_library } = machine;
    if (*os, *arch, *c_library) != ("linux", "x86_64", "glibc") {
        bail!(
            "this machine is {arch} {os} ({c_library}), and `cargo xtask setup` knows where to get LibTorch only for \
             x86_64 linux (glibc 2.28 or newer); install LibTorch {VERSION} in another way and set LIBTORCH to its folder"
        );
    }
    Ok(())
}

fn check_python() -> Result<(), String> {
    if !command::succeeds(Command::new("python3").arg("--version")) {
        return Err(
            "python3 is not on PATH: install Python 3 with pip (Debian: apt-get install python3 python3-pip)"
                .to_owned(),
        );
    }
    if !command::succeeds(Command::new("python3").args(["-m", "pip", "--version"])) {
        return Err(
            "`python3 -m pip` does not work: install pip (Debian: apt-get install python3-pip)".to_owned()
        );
    }
    Ok(())
}

/// The compiler that `CXX` names, or else the first usual one that starts.
fn find_compiler(named: Option<&OsStr>) -> Result<Vec<String>, String> {
    let named =
        named.map(|value| value.to_string_lossy().into_owned()).filter(|value| !value.trim().is_empty());
    if let Some(named) = named {
        let words: Vec<String> = named.split_whitespace().map(str::to_owned).collect();
        return if starts(&words) {
            Ok(words)
        } else {
            Err(format!("the C++ compiler CXX={named} does not start: correct CXX or unset it"))
        };
    }
    ["c++", "g++", "clang++"]
        .into_iter()
        .map(|name| vec![name.to_owned()])
        .find(|words| starts(words))
        .ok_or_else(|| {
            "no C++ compiler (c++, g++, clang++) is on PATH: install one (Debian: apt-get install g++)"
                .to_owned()
        })
}

fn starts(words: &[String]) -> bool {
    command::succeeds(compiler_call(words).arg("--version"))
}

fn compiler_call(words: &[String]) -> Command {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command
}

fn free_bytes(dir: &Path) -> Result<u64> {
    let disk = rustix::fs::statvfs(dir)
        .with_context(|| format!("asking for the free space of {}", dir.display()))?;
    Ok(disk.f_bavail * disk.f_frsize)
}

/// The wheels, pip's second copy of each while it downloads, its cache and the unpacked files.
fn needed_bytes(variant: Variant) -> u64 {
    match variant {
        Variant::Cpu => 5 * GIB / 2,
        Variant::Cuda => 11 * GIB,
    }
}

fn check_disk(free: u64, variant: Variant, dir: &Path) -> Result<(), String> {
    let needed = needed_bytes(variant);
    if free < needed {
        let gib = |bytes: u64| bytes as f64 / GIB as f64;
        return Err(format!(
            "{:.1} GiB are free in {} and {:.1} GiB are needed: free some, or name a folder on another disk with --dir",
            gib(free),
            dir.display(),
            gib(needed)
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_machine_of_the_wheel_is_supported() {
        let machine = |os, arch, c_library| Machine { os, arch, c_library };
        check_machine(&machine("linux", "x86_64", "glibc")).unwrap();
        for other in [
            machine("macos", "aarch64", "glibc"),
            machine("linux", "aarch64", "glibc"),
            machine("linux", "x86_64", "musl"),
        ] {
            let error = check_machine(&other).unwrap_err().to_string();
            assert!(error.contains(other.arch) && error.contains("set LIBTORCH to its folder"), "{error}");
        }
    }

    #[test]
    fn too_little_disk_names_both_sizes_and_the_way_out() {
        let dir = Path::new("/data");
        let error = check_disk(GIB, Variant::Cpu, dir).unwrap_err();
        assert!(error.contains("1.0 GiB are free in /data and 2.5 GiB are needed"), "{error}");
        assert!(error.contains("--dir"), "{error}");
        check_disk(3 * GIB, Variant::Cpu, dir).unwrap();
        check_disk(3 * GIB, Variant::Cuda, dir).unwrap_err();
    }

    #[test]
    fn the_disk_of_a_real_folder_has_a_size() {
        assert!(free_bytes(Path::new("/")).is_ok());
        free_bytes(Path::new("/nonexistent/folder")).unwrap_err();
    }

    #[test]
    fn cxx_may_hold_arguments_and_must_start() {
        assert_eq!(find_compiler(Some(OsStr::new("true -O2"))).unwrap(), ["true", "-O2"]);
        let error = find_compiler(Some(OsStr::new("/nonexistent/c++"))).unwrap_err();
        assert!(error.contains("CXX=/nonexistent/c++ does not start"), "{error}");
    }
}
