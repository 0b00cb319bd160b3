//! Arbitrary bytes as an instruction and as intents in JSON.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| retouch_instruction::fuzzing::instruction_parse(bytes));
