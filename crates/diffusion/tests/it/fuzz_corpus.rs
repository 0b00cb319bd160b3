//! The committed corpus of the fuzz targets, and cuts and flips of it.

use std::path::{Path, PathBuf};

use retouch_diffusion::fuzzing;

/// Set to write the seeds of a format that changed.
const WRITE: &str = "RETOUCH_WRITE_CORPUS";

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target)
}

/// The files in `fuzz/corpus/` of a target.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = folder(target);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let files: Vec<_> = files
        .map(|file| {
            let file = file.expect("listed");
            let name = file.file_name().into_string().expect("a plain name");
            (name, std::fs::read(file.path()).expect("committed"))
        })
        .collect();
    assert!(!files.is_empty(), "{target} has no corpus");
    files
}

/// Every file of the corpus, whole and with a few damages.
fn each(target: &str, mut call: impl FnMut(&[u8])) {
    for (_, bytes) in corpus(target) {
        call(&bytes);
        for i in 1..8 {
            call(&bytes[..bytes.len() * i / 8]);
            let mut flipped = bytes.clone();
            if let Some(byte) = flipped.get_mut(bytes.len() * i / 9) {
                *byte ^= 1 << i;
            }
            call(&flipped);
        }
    }
}

#[test]
fn model_config() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    each("model_config", |bytes| fuzzing::model_config(folder.path(), bytes));
}

#[test]
fn checkpoint() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    each("checkpoint", |bytes| fuzzing::checkpoint(folder.path(), bytes));
}

#[test]
fn exported_row() {
    each("exported_row", |bytes| {
        fuzzing::exported_row(bytes);
    });
    let seeds = fuzzing::exported_row_seeds().expect("exports");
    if std::env::var_os(WRITE).is_some() {
        seeds.iter().for_each(|(name, seed)| {
            std::fs::write(folder("exported_row").join(name), seed).expect("writable");
        });
    }
    let corpus = corpus("exported_row");
    for (name, seed) in seeds {
        assert!(fuzzing::exported_row(&seed), "{name}");
        let file = corpus.iter().find(|(file, _)| *file == name);
        // A corpus of an older format would be refused at once, and reach nothing.
        assert!(
            fuzzing::exported_row(&file.expect("in the corpus").1),
            "{name}: {WRITE}=1 writes the seeds again"
        );
    }
}
