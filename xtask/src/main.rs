//! Development tasks: `cargo xtask <command>`.
fn main() {}
