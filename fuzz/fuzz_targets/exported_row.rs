//! Arbitrary bytes as an exported row.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    retouch_diffusion::fuzzing::exported_row(bytes);
});
