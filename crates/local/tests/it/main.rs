//! The embedded backends against the suites of their ports, and what is theirs alone.

// Always true here; clippy takes the helpers beside the tests for test code only when it is written.
#[cfg(test)]
mod files;
#[cfg(test)]
mod live;
#[cfg(test)]
mod queue;
