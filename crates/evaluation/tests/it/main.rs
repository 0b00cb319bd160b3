//! The suite, as other crates use it.

#[cfg(test)]
mod suite;
