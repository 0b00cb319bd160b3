//! Arbitrary bytes as every configuration file of a model folder.

#![no_main]

use std::sync::LazyLock;

static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a temporary folder"));

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| retouch_diffusion::fuzzing::model_config(FOLDER.path(), bytes));
