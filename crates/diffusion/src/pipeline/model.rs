//! A model folder in the diffusers layout.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tch::{Device, Kind};

use super::index::ModelIndex;
use super::memory::Footprint;
use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::files::{read_small, read_small_text};
use crate::models::clip::ClipText;
use crate::models::spatial::Spatial;
use crate::models::unet::UNet;
use crate::models::vae::Vae;
use crate::samplers::SamplerConfig;
use crate::tokenizer::Tokenizer;

/// What a model does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Edits an image by an instruction.
    InstructPix2Pix,
    /// Makes an image from a caption.
    TextToImage,
}

/// Where and how to load a model.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// Device of all networks.
    pub device: Device,
    /// Type of weights and forward passes.
    pub kind: Kind,
    /// Which variant of the checkpoints (`fp16`); `None` for the plain ones.
    pub variant: Option<String>,
}

/// A loaded model.
pub struct Model {
    folder: PathBuf,
    family: Family,
    unet: UNet,
    /// The layer in `spatial/`, if there is one.
    spatial: Option<Spatial>,
    vae: Vae,
    text_encoder: ClipText,
    tokenizer: Tokenizer,
    sampler: SamplerConfig,
    device: Device,
    kind: Kind,
    unused: Vec<(&'static str, Vec<String>)>,
}

/// One network of a model.
#[derive(Debug, Clone)]
pub struct ComponentInfo {
    /// `unet`, `vae`, `text_encoder` or `spatial`.
    pub name: &'static str,
    /// Number of weights.
    pub parameters: u64,
    /// Storage types in the checkpoint.
    pub stored: Vec<Kind>,
    /// Bytes in the checkpoint.
    pub stored_bytes: u64,
    /// Tensors that the network has no place for.
    pub unused: Vec<String>,
}

/// What a model is.
#[derive(Debug, Clone)]
pub struct ModelInfo {
    /// What it does.
    pub family: Family,
    /// Its networks.
    pub components: Vec<ComponentInfo>,
    /// The sampler that its own configuration names.
    pub sampler: String,
    /// Image pixels per latent pixel.
    pub factor: i64,
    /// Width and height that it was trained at, in pixels.
    pub native_size: (i64, i64),
    /// Estimate of the bytes of memory that making one image of that size takes, weights included.
    pub run_bytes: u64,
    /// Identifies weights and configuration.
    pub fingerprint: String,
}

impl Model {
    /// Loads a folder with `model_index.json`, `unet/`, `vae/`, `text_encoder/`, `tokenizer/` and `scheduler/`, and
    /// `spatial/` if it is there.
    pub fn load(folder: &Path, options: &LoadOptions) -> Result<Self> {
        crate::error::quiet_panics();
        let index = ModelIndex::read(folder)?;
        let sampler_path = folder.join("scheduler/scheduler_config.json");
        let sampler = SamplerConfig::from_json(&read_small_text(&sampler_path)?)
            .map_err(|source| Error::Scheduler { path: sampler_path, source })?;
        index.check_scheduler(sampler.class_name())?;
        let tokenizer = Tokenizer::load(&folder.join("tokenizer"))?;
        let (variant, device, kind) = (options.variant.as_deref(), options.device, options.kind);
        let (text_encoder, text_report) =
            ClipText::load(&folder.join("text_encoder"), variant, device, kind)?;
        let (vae, vae_report) = Vae::load(&folder.join("vae"), variant, device, kind)?;
        let (unet, unet_report) = UNet::load(&folder.join("unet"), variant, device, kind)?;
        let spatial = match folder.join("spatial") {
            folder if folder.is_dir() => Some(Spatial::load(&folder, variant, device, kind, unet.config())?),
            _ => None,
        };
        let (spatial, spatial_report) = spatial.unzip();
        let model = Self {
            folder: folder.to_owned(),
            family: index.family,
            unet,
            spatial,
            vae,
            text_encoder,
            tokenizer,
            sampler,
            device,
            kind,
            unused: vec![
                ("unet", unet_report.unused),
                ("vae", vae_report.unused),
                ("text_encoder", text_report.unused),
                ("spatial", spatial_report.unwrap_or_default().unused),
            ],
        };
        model.check()?;
        Ok(model)
    }

    /// Refuses components that do not fit each other.
    fn check(&self) -> Result<()> {
        let (unet, vae, text) = (self.unet.config(), self.vae.config(), self.text_encoder.config());
        let misfit = |field: &str, value: i64, expected: String| Error::ConfigField {
            path: self.folder.join("unet/config.json"),
            field: field.into(),
            value: value.to_string(),
            expected,
        };
        let latent = vae.latent_channels;
        let inputs = if self.family == Family::InstructPix2Pix { 2 * latent } else { latent };
        if unet.in_channels != inputs {
            let expected = format!(
                "{inputs}, as the VAE has {latent} latent channels and the model is {:?}",
                self.family
            );
            return Err(misfit("in_channels", unet.in_channels, expected));
        }
        if self.spatial.is_some() && self.family != Family::InstructPix2Pix {
            return Err(Error::ModelIncomplete {
                folder: self.folder.clone(),
                what: "image to condition on, which its folder `spatial` needs".into(),
                hint: "remove `spatial`: it belongs to a model that edits".into(),
            });
        }
        if unet.out_channels != latent {
            let expected = format!("the {latent} latent channels of the VAE");
            return Err(misfit("out_channels", unet.out_channels, expected));
        }
        if let Some(&dim) = unet.cross_attention_dim.iter().find(|&&dim| dim != text.hidden_size) {
            let expected = format!("the text encoder's hidden_size {}", text.hidden_size);
            return Err(misfit("cross_attention_dim", dim, expected));
        }
        for (field, channels) in [("in_channels", vae.in_channels), ("out_channels", vae.out_channels)] {
            if channels != 3 {
                return Err(Error::ConfigField {
                    path: self.folder.join("vae/config.json"),
                    field: field.into(),
                    value: channels.to_string(),
                    expected: "3, for images in red, green and blue".into(),
                });
            }
        }
        self.tokenizer.check(text.vocab_size, text.max_position_embeddings)
    }

    /// What the model does.
    pub fn family(&self) -> Family {
        self.family
    }

    /// The denoising network.
    pub fn unet(&self) -> &UNet {
        &self.unet
    }

    /// The spatial layer, if the model has one.
    pub fn spatial(&self) -> Option<&Spatial> {
        self.spatial.as_ref()
    }

    /// The autoencoder.
    pub fn vae(&self) -> &Vae {
        &self.vae
    }

    /// The text encoder.
    pub fn text_encoder(&self) -> &ClipText {
        &self.text_encoder
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The sampler that the model's own configuration names.
    pub fn sampler(&self) -> &SamplerConfig {
        &self.sampler
    }

    /// The name of [`Model::sampler`].
    pub fn sampler_name(&self) -> Result<String> {
        Ok(self.sampler.kind()?.name().to_owned())
    }

    /// Width and height in pixels that the model was trained at.
    pub fn native_size(&self) -> (i64, i64) {
        let factor = self.vae.config().factor();
        let (height, width) = self.unet.config().sample_size;
        (width * factor, height * factor)
    }

    /// Device of the networks.
    pub fn device(&self) -> Device {
        self.device
    }

    /// Type of the weights.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// SHA-256 in hexadecimal of the configuration files, the tokenizer, the names, types and shapes of all tensors, and
    /// 64 samples of 4 KiB of each weight file.
    pub fn fingerprint(&self) -> Result<String> {
        let mut hasher = Sha256::new();
        for file in [
            "unet/config.json",
            "vae/config.json",
            "text_encoder/config.json",
            "scheduler/scheduler_config.json",
        ] {
            hasher.update(read_small(&self.folder.join(file))?);
        }
        if self.spatial.is_some() {
            hasher.update(read_small(&self.folder.join("spatial/config.json"))?);
        }
        for file in
            ["tokenizer.json", "vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json"]
        {
            let path = self.folder.join("tokenizer").join(file);
            if path.is_file() {
                let bytes = std::fs::read(&path).map_err(|e| Error::model_file(&path, e))?;
                hasher.update(format!("{file} {}\n", bytes.len()));
                hasher.update(bytes);
            }
        }
        for (_, checkpoint) in self.checkpoints() {
            checkpoint.fingerprint(&mut hasher);
        }
        Ok(hasher.finalize().iter().map(|b| format!("{b:02x}")).collect())
    }

    /// The networks' checkpoints by component.
    fn checkpoints(&self) -> Vec<(&'static str, &Checkpoint)> {
        let spatial = self.spatial.as_ref().map(|spatial| ("spatial", spatial.checkpoint()));
        [
            ("unet", self.unet.checkpoint()),
            ("vae", self.vae.checkpoint()),
            ("text_encoder", self.text_encoder.checkpoint()),
        ]
        .into_iter()
        .chain(spatial)
        .collect()
    }

    /// The first weight that is NaN or infinite, as `component: tensor`.
    pub fn first_non_finite(&self) -> Option<String> {
        self.checkpoints().iter().find_map(|(name, checkpoint)| {
            checkpoint.first_non_finite().map(|tensor| format!("{name}: {tensor}"))
        })
    }

    /// What the model is.
    pub fn info(&self) -> Result<ModelInfo> {
        let component = |(name, checkpoint): (&'static str, &Checkpoint)| ComponentInfo {
            name,
            parameters: checkpoint.parameters(),
            stored: checkpoint.kinds(),
            stored_bytes: checkpoint.stored_bytes(),
            unused: self.unused.iter().find(|(n, _)| *n == name).map(|(_, u)| u.clone()).unwrap_or_default(),
        };
        let components: Vec<_> = self.checkpoints().into_iter().map(component).collect();
        let footprint = Footprint {
            unet: self.unet.config(),
            vae: self.vae.config(),
            parameters: components.iter().map(|component| component.parameters).sum(),
            kind: self.kind,
            vae_kind: self.vae.kind(),
        };
        let (width, height) = self.native_size();
        Ok(ModelInfo {
            family: self.family,
            components,
            run_bytes: footprint.bytes(width.unsigned_abs(), height.unsigned_abs()),
            sampler: self.sampler_name()?,
            factor: self.vae.config().factor(),
            native_size: self.native_size(),
            fingerprint: self.fingerprint()?,
        })
    }
}
