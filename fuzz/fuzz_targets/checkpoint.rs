//! Arbitrary bytes as a checkpoint and as the index of one.

#![no_main]

use std::sync::LazyLock;

static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a temporary folder"));

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| retouch_diffusion::fuzzing::checkpoint(FOLDER.path(), bytes));
