//! What the fuzz targets call with arbitrary bytes, so that plain tests can call the same over the committed corpus.
//!
//! Panics that the library turns into errors count as findings here: each function refuses `engine_failure` and `engine_panic`.

use std::path::Path;
use std::sync::Arc;

use safetensors::SafeTensors;
use tch::{Device, Kind};

use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result, quiet_panics};
use crate::models::clip::{ClipConfig, ClipModel, ClipText, ClipTextConfig};
use crate::models::unet::{UNet, UNetConfig};
use crate::models::vae::{Vae, VaeConfig};
use crate::samplers::{Sampler, SamplerConfig, SamplerKind, SamplerOptions};
use crate::tokenizer::Tokenizer;
use crate::weights::Weights;

pub use crate::pipeline::{exported_row, exported_row_seeds};

/// A vocabulary that the settings of a tokenizer can be tried on.
const VOCABULARY: &str = r#"{"<|startoftext|>": 0, "<|endoftext|>": 1, "a": 2, "b</w>": 3, "ab</w>": 4}"#;

/// The result, unless it is a panic or a failure of LibTorch.
fn named<T>(result: Result<T>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            let text = error.to_string();
            let panicked =
                matches!(error, Error::Torch { .. } | Error::Panic { .. } | Error::OutOfMemory { .. });
            assert!(!panicked, "{text}");
            assert!(text.len() < 16 << 10, "a message of {} bytes", text.len());
            None
        }
    }
}

fn write(folder: &Path, name: &str, bytes: &[u8]) {
    std::fs::create_dir_all(folder).expect("the folder of a fuzz target is writable");
    std::fs::write(folder.join(name), bytes).expect("the folder of a fuzz target is writable");
}

/// Reads `bytes` as every configuration file of a model folder; `folder` is written to.
///
/// # Panics
/// If something panics, or a network loads from a checkpoint that has nothing of it.
pub fn model_config(folder: &Path, bytes: &[u8]) {
    quiet_panics();
    write(folder, "config.json", bytes);
    // An empty header: no tensors.
    for stem in ["model", "diffusion_pytorch_model"] {
        write(folder, &format!("{stem}.safetensors"), b"\x02\0\0\0\0\0\0\0{}");
    }
    let config = folder.join("config.json");
    let (device, kind) = (Device::Cpu, Kind::Float);
    if named(UNetConfig::from_file(&config)).is_some() {
        assert!(named(UNet::load(folder, None, device, kind)).is_none());
    }
    if named(VaeConfig::from_file(&config)).is_some() {
        assert!(named(Vae::load(folder, None, device, kind)).is_none());
    }
    if named(ClipTextConfig::from_file(&config)).is_some() {
        assert!(named(ClipText::load(folder, None, device, kind)).is_none());
    }
    if named(ClipConfig::from_file(&config)).is_some() {
        assert!(named(ClipModel::load(folder, None, device, kind)).is_none());
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        scheduler(text);
    }
    tokenizer_settings(&folder.join("tokenizer"), bytes);
}

fn scheduler(text: &str) {
    let Some(config) = named(SamplerConfig::from_json(text).map_err(Error::from)) else { return };
    for kind in SamplerKind::ALL {
        let options = SamplerOptions { kind: Some(kind), ..SamplerOptions::default() };
        let Some(sampler) = named(Sampler::new(&config, &options, 3).map_err(Error::from)) else { continue };
        assert!(sampler.evaluations() > 0 && sampler.timesteps().iter().all(|t| t.is_finite()));
        assert!(sampler.init_noise_sigma().is_finite());
    }
}

fn tokenizer_settings(folder: &Path, bytes: &[u8]) {
    write(folder, "vocab.json", VOCABULARY.as_bytes());
    write(folder, "merges.txt", b"#version: 0.2\na b</w>\n");
    write(folder, "tokenizer_config.json", bytes);
    write(folder, "special_tokens_map.json", bytes);
    let Some(tokenizer) = named(Tokenizer::load(folder)) else { return };
    if let Some(encoded) = named(tokenizer.encode("ab a <|endoftext|> \u{1F980}")) {
        assert_eq!(encoded.ids.len(), tokenizer.model_max_length());
    }
}

/// Reads `bytes` as a checkpoint and as the index of one, and every tensor in it; `folder` is written to.
///
/// # Panics
/// If something panics, or a tensor that the header describes cannot be read as it says.
pub fn checkpoint(folder: &Path, bytes: &[u8]) {
    quiet_panics();
    let sharded = folder.join("sharded");
    write(&sharded, "model.safetensors.index.json", bytes);
    write(&sharded, "part", bytes);
    named(Checkpoint::open(&sharded, "model", None));

    write(folder, "model.safetensors", bytes);
    let Some(checkpoint) = named(Checkpoint::open(folder, "model", None)) else { return };
    let (checkpoint, header) = (Arc::new(checkpoint), SafeTensors::deserialize(bytes));
    let header = header.expect("the library takes what we take");
    assert!(checkpoint.parameters() <= bytes.len() as u64 && checkpoint.stored_bytes() <= bytes.len() as u64);
    let all_finite = checkpoint.first_non_finite().is_none();
    let weights = Weights::new(checkpoint.clone(), Device::Cpu, Kind::Double);
    let floats = checkpoint.kinds();
    for (name, view) in header.iter().filter(|(_, view)| !view.data().is_empty()) {
        let shape: Vec<i64> = view.shape().iter().map(|&d| d as i64).collect();
        let tensor = weights.root().get(name, &shape);
        assert_eq!((tensor.size(), tensor.kind()), (shape, Kind::Double));
        if all_finite && !floats.is_empty() {
            // Types that are no floats give a stand-in of zeros.
            assert!(tensor.isfinite().all().int64_value(&[]) != 0, "{name}");
        }
    }
    named(weights.finish());
}
