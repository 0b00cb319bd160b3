//! The fuzz targets' committed corpus, run as plain tests.

use std::path::Path;

#[test]
fn image_decode() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/image_decode");
    let mut files = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        retouch_imaging::fuzzing::image_decode(&std::fs::read(entry.unwrap().path()).unwrap());
        files += 1;
    }
    assert!(files >= 12, "only {files} files in {}", folder.display());
}
