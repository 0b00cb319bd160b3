//! CLIP: the text encoder of Stable Diffusion, and the dual encoder that compares images with texts.
//!
//! Source: transformers v5.23.0 `models/clip/modeling_clip.py`.

mod config;
mod dual;
mod encoder;
mod text;
mod vision;

pub use config::{ClipConfig, ClipTextConfig, ClipVisionConfig};
pub use dual::{ClipModel, cosine, normalize};
pub use text::ClipText;
