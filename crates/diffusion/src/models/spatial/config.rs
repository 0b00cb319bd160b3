//! The spatial layer's `config.json`.

use std::path::Path;

use serde_json::json;

use super::plan::TOKENS;
use crate::config::ConfigReader;
use crate::error::Result;

/// Fields of `spatial/config.json`. Everything else follows from the UNet that the layer belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpatialConfig {
    /// Width of the spatial tokens.
    pub token_dim: i64,
    /// Frequencies of the Fourier features of each number.
    pub frequencies: i64,
    /// Most pixels of a feature map that the attention works on.
    pub max_pixels: i64,
}

impl Default for SpatialConfig {
    /// 32² pixels: larger maps would cost more than they bring.
    fn default() -> Self {
        Self { token_dim: 128, frequencies: 8, max_pixels: 32 * 32 }
    }
}

impl SpatialConfig {
    /// The class that the file names.
    pub const CLASS: &str = "RetouchSpatialAttention";

    /// Reads the file; an unsupported value or an unknown field is an error that names it.
    pub fn from_file(path: &Path) -> Result<Self> {
        let mut r = ConfigReader::open(path)?;
        let default = Self::default();
        r.only("_class_name", &[json!(Self::CLASS)])?;
        r.only("tokens", &[json!(TOKENS)])?;
        let config = Self {
            token_dim: r.size("token_dim", default.token_dim)?,
            frequencies: r.layers("frequencies", default.frequencies)?,
            max_pixels: r.size("max_pixels", default.max_pixels)?,
        };
        r.finish()?;
        Ok(config)
    }

    /// The text of the file.
    pub fn to_json(&self) -> String {
        let Self { token_dim, frequencies, max_pixels } = self;
        let fields = json!({
            "_class_name": Self::CLASS, "tokens": TOKENS, "token_dim": token_dim, "frequencies": frequencies,
            "max_pixels": max_pixels,
        });
        format!("{fields:#}\n")
    }
}
