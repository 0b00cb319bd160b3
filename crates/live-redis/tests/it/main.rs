//! Live state on a real Redis: the suite of the port, and the loss of Redis.

// Always true here; clippy takes the helpers beside the tests for test code only when it is written.
#[cfg(test)]
mod faults;
#[cfg(test)]
mod redis;
