//! `cargo xtask` as a program: what it says and does on machines that lack something.

// Always true here; clippy takes the helpers beside the tests for test code only when it is written.
#[cfg(test)]
mod machine;
#[cfg(test)]
mod services;
#[cfg(test)]
mod setup;
