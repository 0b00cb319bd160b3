//! The engine against the reference library and against itself.

mod clip;
mod fixture;
mod models;
mod pipelines;
mod tokenizer;
