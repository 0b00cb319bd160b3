//! Where the committed fixtures lie.

use std::path::{Path, PathBuf};

/// The folder of fixtures and expected outputs.
pub(crate) fn goldens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens")
}

/// A copy of the fixture folder `name` that a test may break.
pub(crate) fn copy_of_fixture(name: &str) -> tempfile::TempDir {
    let copy = tempfile::tempdir().expect("there is room for a folder");
    for entry in std::fs::read_dir(goldens().join(name)).expect("the fixture exists") {
        let entry = entry.expect("the fixture is readable");
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).expect("a fixture holds files only");
    }
    copy
}
