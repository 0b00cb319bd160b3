//! The engine against the reference library and against itself.

mod fixture;
mod models;
