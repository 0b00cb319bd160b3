//! Integration tests of retouch-instruction: cases by hand, phrase sets, properties, JSON, the fuzz corpus.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod cases;
mod corpus;
mod json;
mod properties;
mod samples;
mod sets;
