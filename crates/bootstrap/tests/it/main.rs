//! Settings that become backends.

// Always true here; clippy takes the helpers beside the tests for test code only when it is written.
#[cfg(test)]
mod backends;
