//! `cargo xtask setup` without a network: Python, pip, the compiler and the wheels are made up.

use std::fs;
use std::path::{Path, PathBuf};

use crate::machine::Machine;

/// Every file and link under a folder with its time of change, sorted.
fn listing(dir: &Path) -> Vec<(PathBuf, std::time::SystemTime)> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            found.push((entry.path(), entry.metadata().unwrap().modified().unwrap()));
            if entry.file_type().unwrap().is_dir() {
                open.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

fn files(dir: &Path) -> Vec<String> {
    let relative = |path: PathBuf| path.strip_prefix(dir).unwrap().display().to_string();
    listing(dir).into_iter().filter(|(path, _)| path.is_file()).map(|(path, _)| relative(path)).collect()
}

#[test]
fn the_cpu_variant_is_laid_out_and_then_left_alone() {
    let machine = Machine::complete();
    machine.setup(&[], &[]).succeeds_saying("is set up in");
    let dir = machine.libtorch();
    assert_eq!(
        files(&dir),
        [
            ".retouch-setup",
            "build-version",
            "include/ATen/ATen.h",
            "lib/libc10.so",
            "lib/libcudart.so.13",
            "lib/libcupti.so.13",
            "lib/libgomp.so.1",
            "lib/libtorch.so",
            "lib/libtorch_cpu.so",
        ]
    );
    assert_eq!(fs::read_to_string(dir.join("build-version")).unwrap(), "2.11.0\n");
    let link = fs::read_to_string(dir.join("lib/libtorch.so")).unwrap();
    assert!(link.contains("-Wl,--no-as-needed") && link.contains("lib/libtorch_cpu.so"), "{link}");

    let before = listing(machine.path("checkout").as_path());
    machine.setup(&[], &[]).succeeds_saying("is already set up");
    assert_eq!(listing(machine.path("checkout").as_path()), before);
    assert_eq!(fs::read_to_string(machine.path("pip-calls")).unwrap().lines().count(), 1);
}

#[test]
fn pip_is_told_to_check_every_hash() {
    let machine = Machine::complete();
    machine.setup(&[], &[]).succeeds_saying("SHA-256");
    let calls = fs::read_to_string(machine.path("pip-calls")).unwrap();
    for word in
        ["--require-hashes", "--no-deps", "--only-binary=:all:", "--abi cp311", "manylinux_2_28_x86_64"]
    {
        assert!(calls.contains(word), "{calls}");
    }
    let requirements = fs::read_to_string(machine.path("pip-requirements")).unwrap();
    assert!(requirements.lines().count() == 3, "{requirements}");
    assert!(requirements.lines().all(|line| line.contains(" --hash=sha256:")), "{requirements}");
    assert!(requirements.starts_with("torch==2.11.0 "), "{requirements}");
}

#[test]
fn a_run_cut_off_is_not_taken_for_finished() {
    let machine = Machine::complete();
    // What a killed run leaves: the sibling, complete but for its stamp and its name.
    let tree = machine.path("checkout/.libtorch.partial/tree");
    fs::create_dir_all(tree.join("lib")).unwrap();
    fs::write(tree.join("lib/libtorch_cpu.so"), "half").unwrap();
    machine.setup(&[], &[]).succeeds_saying("is set up in");
    let library = fs::read_to_string(machine.libtorch().join("lib/libtorch_cpu.so")).unwrap();
    assert_eq!(library, "torch/lib/libtorch_cpu.so");
    assert!(!machine.path("checkout/.libtorch.partial").exists());
}

#[test]
fn two_runs_at_once_fetch_once() {
    let machine = Machine::complete();
    let runs = std::thread::scope(|scope| {
        let both = [(); 2].map(|()| scope.spawn(|| machine.setup(&[], &[])));
        both.map(|run| run.join().unwrap())
    });
    for run in runs {
        run.succeeds_saying("LibTorch 2.11.0 is ");
    }
    assert_eq!(fs::read_to_string(machine.path("pip-calls")).unwrap().lines().count(), 1);
}

#[test]
fn a_failed_run_leaves_nothing() {
    let machine = Machine::complete();
    machine.program("c++", "#!/bin/sh\n[ \"$1\" = --version ]\n");
    machine.setup(&[], &[]).fails_saying("linking lib/libtorch.so");
    assert!(!machine.libtorch().exists());
    assert!(!machine.path("checkout/.libtorch.partial").exists());
}

#[test]
fn a_wheel_that_is_no_archive_is_named() {
    let machine = Machine::complete();
    let name = "nvidia_cuda_cupti-13.0.85-py3-none-manylinux_2_25_x86_64.whl";
    fs::write(machine.path("wheels").join(name), "not a zip file").unwrap();
    machine.setup(&[], &[]).fails_saying(name);
    assert!(!machine.libtorch().exists());
}

#[test]
fn a_wheel_cannot_write_outside_the_folder() {
    let machine = Machine::complete();
    let name = "torch-2.11.0-cp311-cp311-manylinux_2_28_x86_64.whl";
    machine.wheel(name, &["torch/include/../../../../escaped.h"]);
    machine.setup(&[], &[]).fails_saying("leads out of the folder");
    assert!(!machine.path("escaped.h").exists() && !machine.path("checkout/escaped.h").exists());
}

#[test]
fn damage_is_noticed_and_repaired() {
    let machine = Machine::complete();
    machine.setup(&[], &[]).succeeds_saying("is set up in");
    fs::remove_file(machine.libtorch().join("lib/libc10.so")).unwrap();
    machine.setup(&[], &[]).succeeds_saying("is made anew: lib/libc10.so is missing");
    assert!(machine.libtorch().join("lib/libc10.so").is_file());
}

#[test]
fn missing_python_is_told() {
    let machine = Machine::complete().without("python3");
    machine.setup(&[], &[]).fails_saying("python3 is not on PATH: install Python 3 with pip");
}

#[test]
fn missing_pip_is_told() {
    let machine = Machine::complete();
    machine.program("python3", "#!/bin/sh\n[ \"$1\" = --version ]\n");
    machine.setup(&[], &[]).fails_saying("`python3 -m pip` does not work: install pip");
}

#[test]
fn a_missing_compiler_is_told() {
    let machine = Machine::complete().without("c++");
    machine.setup(&[], &[]).fails_saying("no C++ compiler (c++, g++, clang++) is on PATH");
}

#[test]
fn cxx_names_the_compiler() {
    let machine = Machine::complete();
    machine.setup(&[], &[("CXX", "my-c++")]).fails_saying("CXX=my-c++ does not start");
    fs::rename(machine.path("bin/c++"), machine.path("bin/my-c++")).unwrap();
    machine.setup(&[], &[("CXX", "my-c++")]).succeeds_saying("my-c++ -shared");
}

#[test]
fn everything_missing_is_told_at_once() {
    let run = Machine::bare().setup(&[], &[]);
    run.fails_saying("python3 is not on PATH");
    run.fails_saying("no C++ compiler");
}

#[test]
fn the_users_libtorch_is_used_and_nothing_is_fetched() {
    let machine = Machine::bare();
    let theirs = machine.foreign_libtorch("theirs", "2.11.0+cpu\n");
    machine.setup(&[], &[("LIBTORCH", &theirs.display().to_string())]).succeeds_saying("theirs is used");
    assert!(!machine.libtorch().exists());
}

#[test]
fn a_wrong_libtorch_of_the_users_is_an_error() {
    let machine = Machine::complete();
    let theirs = machine.foreign_libtorch("theirs", "2.5.1+cpu\n").display().to_string();
    let run = machine.setup(&[], &[("LIBTORCH", &theirs)]);
    run.fails_saying("holds no LibTorch 2.11.0 (it is version 2.5.1); unset LIBTORCH");
    machine.setup(&[], &[("LIBTORCH", "/nonexistent")]).fails_saying("there is no such folder");
    let right = machine.foreign_libtorch("right", "2.11.0\n").display().to_string();
    machine.setup(&["--cuda"], &[("LIBTORCH", &right)]).fails_saying("without CUDA");
}

#[test]
fn a_folder_that_setup_did_not_make_is_not_touched() {
    let machine = Machine::complete();
    fs::create_dir(machine.libtorch()).unwrap();
    fs::write(machine.libtorch().join("notes.txt"), "mine").unwrap();
    machine.setup(&[], &[]).fails_saying("move it away or name another folder with --dir");
    assert_eq!(files(&machine.libtorch()), ["notes.txt"]);
}

#[test]
fn a_libtorch_put_at_the_default_place_is_used() {
    let machine = Machine::bare();
    let theirs = machine.foreign_libtorch("theirs", "2.11.0\n");
    machine.link(&theirs, "checkout/.libtorch");
    machine.setup(&[], &[]).succeeds_saying("is already set up");
}

#[test]
fn another_folder_is_filled_and_named() {
    let machine = Machine::complete();
    let run = machine.setup(&["--dir", "../elsewhere/libtorch"], &[]);
    run.succeeds_saying("cargo uses it after `export LIBTORCH=");
    assert!(machine.path("elsewhere/libtorch/lib/libtorch.so").is_file());
    assert!(!machine.libtorch().exists());
    let there = machine.path("elsewhere/libtorch").display().to_string();
    let again = machine.setup(&["--dir", &there], &[("LIBTORCH", &there)]);
    again.succeeds_saying("is already set up");
    assert!(!again.said.contains("export LIBTORCH"), "{}", again.said);
}
