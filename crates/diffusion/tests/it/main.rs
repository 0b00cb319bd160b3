//! The engine against the reference libraries' outputs, and against hostile files.

mod clip;
mod fixtures;
mod tokenizer;
