//! What is taken for a LibTorch, and what is not.

use super::*;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

fn complete_but_version() -> tempfile::TempDir {
    let library = |name: &str| format!("lib/{DLL_PREFIX}{name}{DLL_SUFFIX}");
    folder(&[
        (&library("torch"), ""),
        (&library("torch_cpu"), ""),
        (&library("c10"), ""),
        ("include/ATen/ATen.h", ""),
    ])
}

#[test]
fn each_file_that_tells_the_version_is_read() {
    let header = "#pragma once\n#define TORCH_VERSION_MAJOR 2\n\n#define TORCH_VERSION_MINOR 11\n\
                  #define TORCH_VERSION_PATCH 0\n#define TORCH_VERSION \\\n  \"2.11.0\"\n";
    for (name, text) in [
        ("build-version", "2.11.0+cpu\n"),
        ("include/torch/headeronly/version.h", header),
        ("include/torch/csrc/api/include/torch/version.h", header),
        ("version.py", "from typing import Optional\n__version__ = '2.11.0+cu130'\ndebug = False\n"),
    ] {
        let dir = complete_but_version();
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        let found = look(dir.path()).unwrap();
        assert_eq!(found, Found::Contents(Contents { has_cuda: false, by_setup: false }), "{name}");
    }
}

#[test]
fn another_version_or_a_missing_library_is_named() {
    let dir = complete_but_version();
    assert!(
        matches!(look(dir.path()).unwrap(), Found::Other(reason) if reason.contains("tells its version"))
    );
    fs::write(dir.path().join("build-version"), "2.5.1+cpu\n").unwrap();
    assert_eq!(look(dir.path()).unwrap(), Found::Other("it is version 2.5.1".to_owned()));
    fs::write(dir.path().join("build-version"), "2.11.0\n").unwrap();
    fs::remove_file(dir.path().join(format!("lib/{DLL_PREFIX}c10{DLL_SUFFIX}"))).unwrap();
    assert!(matches!(look(dir.path()).unwrap(), Found::Other(reason) if reason.contains("c10")));
}

#[test]
fn an_absent_or_empty_folder_is_nothing_and_a_file_is_something() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(look(dir.path()).unwrap(), Found::Nothing);
    assert_eq!(look(&dir.path().join("absent")).unwrap(), Found::Nothing);
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(look(&file).unwrap(), Found::Other(_)));
}

#[test]
fn a_stamp_counts_only_with_its_libraries_and_its_layout() {
    let dir = complete_but_version();
    stamp(dir.path(), Variant::Cpu).unwrap();
    assert_eq!(look(dir.path()).unwrap(), Found::Contents(Contents { has_cuda: false, by_setup: true }));
    fs::write(dir.path().join(STAMP), "libtorch 2.11.0 cpu, layout 0\n").unwrap();
    assert!(matches!(look(dir.path()).unwrap(), Found::Outdated(reason) if reason.contains("layout 0")));
    stamp(dir.path(), Variant::Cpu).unwrap();
    fs::remove_file(dir.path().join(format!("lib/{DLL_PREFIX}torch{DLL_SUFFIX}"))).unwrap();
    assert!(matches!(look(dir.path()).unwrap(), Found::Outdated(reason) if reason.contains("missing")));
}
