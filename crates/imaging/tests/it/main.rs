//! Integration tests of retouch-imaging: against goldens of Pillow, diffusers and transformers, over hostile
//! files, and by properties.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod clip;
mod corpus;
mod decode;
mod encode;
mod goldens;
mod hostile;
mod properties;
mod resize;
mod sizing;
mod tensor;
