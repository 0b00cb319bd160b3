//! The integration tests of the edit engine, in one binary.

#[cfg(test)]
mod samplers;
