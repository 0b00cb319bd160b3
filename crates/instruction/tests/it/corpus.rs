//! The fuzz target's committed corpus, whole, cut and repeated.

use std::path::Path;

use retouch_instruction::fuzzing::instruction_parse;

#[test]
fn the_corpus_is_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/instruction_parse");
    let mut files = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        instruction_parse(&bytes);
        for part in 1..8 {
            instruction_parse(&bytes[..bytes.len() * part / 8]);
        }
        instruction_parse(&bytes.repeat(3));
        files += 1;
    }
    assert!(files >= 12, "only {files} files in {}", folder.display());
}
