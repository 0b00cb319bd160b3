//! `retouch` itself stays clear of LibTorch.

use std::path::Path;
use std::process::Command;

use goblin::elf::Elf;

use crate::place::{RETOUCH, Run};

/// The shared libraries that an executable names.
fn libraries(path: &Path) -> Vec<String> {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    Elf::parse(&bytes).expect("an ELF file").libraries.into_iter().map(str::to_owned).collect()
}

#[test]
fn only_the_engine_needs_libtorch() {
    let torch = |library: &String| library.starts_with("libtorch") || library.starts_with("libc10");
    let engine = libraries(&Path::new(RETOUCH).with_file_name("retouch-engine"));
    assert!(engine.iter().any(torch), "{engine:?}");
    // Those of the C library and the unwinder, which need nothing but each other.
    let system = ["libc.so", "libgcc_s.so", "libm.so", "libpthread.so", "libdl.so", "ld-linux"];
    for library in libraries(Path::new(RETOUCH)) {
        assert!(system.iter().any(|name| library.starts_with(name)), "{library}");
    }
}

/// Alone in a folder, there is nothing that it could load.
#[test]
fn retouch_answers_alone_and_says_where_the_engine_is_missing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let alone = folder.path().join("retouch");
    std::fs::copy(RETOUCH, &alone).expect("copied");
    let run = |argument: &str| Run::of(Command::new(&alone).arg(argument));
    assert_eq!(run("--version").ok().stdout, concat!("retouch ", env!("CARGO_PKG_VERSION"), "\n"));
    assert!(run("--help").ok().stdout.contains("Usage: retouch <COMMAND>"));
    let engine = run("engine");
    assert_eq!((engine.status, engine.stdout.as_str()), (Some(69), ""));
    let missing = format!("error: cannot start {}-engine: No such file", alone.display());
    assert!(engine.stderr.starts_with(&missing), "{}", engine.stderr);
    assert!(engine.stderr.ends_with("makes both [engine_unavailable]\n"), "{}", engine.stderr);
}
