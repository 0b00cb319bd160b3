//! Arbitrary bytes into everything that reads an image file.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| retouch_imaging::fuzzing::image_decode(bytes));
