//! The engine against the reference libraries and against itself.

mod clip;
mod fixture;
mod models;
mod tokenizer;
