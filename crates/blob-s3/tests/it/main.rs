//! The blob store against a server of S3's protocol in this process: the suite, and what is S3's alone.

// Always true here; clippy takes the helpers beside the tests for test code only when it is written.
#[cfg(test)]
mod s3;
#[cfg(test)]
mod server;
