//! The arguments of `retouch train`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use retouch_diffusion::Device;
use retouch_diffusion::training::StageName;

use crate::args::Dtype;

/// Trains the networks of a recipe: autoencoder, text-to-image model, editor, spatial layer, dual encoder.
#[derive(Args)]
pub(crate) struct TrainArgs {
    /// The recipe, a TOML file
    pub(crate) recipe: PathBuf,
    /// Folder for states, encoded pairs and finished parts; the same command goes on where it was interrupted
    #[arg(long)]
    pub(crate) work: PathBuf,
    /// Folder of pairs with an `index.jsonl`, as `retouch scenes render` writes it; scenes are rendered on the way if absent
    #[arg(long)]
    pub(crate) data: Option<PathBuf>,
    /// Last stage to run: tokenizer, vae, latents, text-to-image, editor, spatial or clip
    #[arg(long)]
    pub(crate) until: Option<Until>,
    /// Where to write the editor as a model folder, weights as float16
    #[arg(long)]
    pub(crate) editor: Option<PathBuf>,
    /// Where to write the text-to-image model as a model folder, weights as float16
    #[arg(long)]
    pub(crate) text_to_image: Option<PathBuf>,
    /// Where to write the dual encoder, weights as float16
    #[arg(long)]
    pub(crate) clip: Option<PathBuf>,
    /// Type of the forward passes; weights stay float32
    #[arg(long, value_enum, default_value_t = Dtype::F32)]
    pub(crate) dtype: Dtype,
    /// auto, cpu or cuda:N
    #[arg(long, default_value = "auto", value_parser = retouch_diffusion::parse_device)]
    pub(crate) device: Device,
    /// CPU threads; all cores if absent
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// Threads that make examples ahead
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) example_threads: u16,
    /// Print one JSON object a line instead of bars
    #[arg(long)]
    pub(crate) json: bool,
}

/// A stage by its name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Until(pub(crate) StageName);

impl FromStr for Until {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let names = || StageName::ALL.map(StageName::name).join(", ");
        let found = StageName::ALL.into_iter().find(|stage| stage.name() == name);
        found.map(Self).ok_or_else(|| format!("no stage of that name: use one of {}", names()))
    }
}
