//! `model_index.json`: what a model is and which classes its components are of.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Family;
use crate::config::ConfigReader;
use crate::error::{Error, Result, shorten};

/// Pipelines by the class that `model_index.json` names.
const PIPELINES: [(&str, Family); 2] = [
    ("StableDiffusionInstructPix2PixPipeline", Family::InstructPix2Pix),
    ("StableDiffusionPipeline", Family::TextToImage),
];

/// The classes that a component may be of, where the file says. The scheduler's is compared with its own configuration.
const COMPONENTS: [(&str, &[&str]); 4] = [
    ("unet", &["UNet2DConditionModel"]),
    ("vae", &["AutoencoderKL"]),
    ("text_encoder", &["CLIPTextModel", "CLIPTextModelWithProjection"]),
    ("tokenizer", &["CLIPTokenizer", "CLIPTokenizerFast"]),
];

/// Components that pipelines of these families list and that take no part in making an image.
const ASIDE: [&str; 3] = ["feature_extractor", "image_encoder", "safety_checker"];

/// What `model_index.json` says.
pub(super) struct ModelIndex {
    pub(super) family: Family,
    /// The scheduler's class.
    scheduler: Option<String>,
    path: PathBuf,
}

impl ModelIndex {
    /// Reads the file in `folder`. A pipeline or component of another class, and a component that is not known, is an
    /// error that names it.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("model_index.json");
        if !path.is_file() {
            return Err(Error::ModelIncomplete {
                folder: folder.to_owned(),
                what: "model_index.json".into(),
                hint: "give the folder of a model in the diffusers layout".into(),
            });
        }
        let mut reader = ConfigReader::open(&path)?;
        let family = reader.choice("_class_name", "", &PIPELINES)?;
        for (component, classes) in COMPONENTS {
            expect_class(&mut reader, component, classes)?;
        }
        let scheduler = class(&mut reader, "scheduler")?;
        for component in ASIDE {
            class(&mut reader, component)?;
        }
        reader.flag("requires_safety_checker", false)?;
        reader.finish()?;
        Ok(Self { family, scheduler, path })
    }

    /// Refuses a scheduler whose own configuration is of another class: the reference would read that configuration as
    /// this file's class, and the file would mean another sampler than it says.
    pub(super) fn check_scheduler(&self, configured: Option<&str>) -> Result<()> {
        match (&self.scheduler, configured) {
            (Some(class), Some(configured)) if class != configured => Err(Error::ConfigField {
                path: self.path.clone(),
                field: "scheduler".into(),
                value: shorten(class.clone()),
                expected: format!("the {} of scheduler_config.json", shorten(configured.to_owned())),
            }),
            _ => Ok(()),
        }
    }
}

/// Refuses a component that is there, and of none of `classes`.
fn expect_class(reader: &mut ConfigReader, component: &str, classes: &[&str]) -> Result<()> {
    match class(reader, component)? {
        Some(name) if !classes.contains(&name.as_str()) => {
            Err(reader.refuse(component, &json!(name), format!("one of {}", classes.join(", "))))
        }
        _ => Ok(()),
    }
}

/// The class of `component`: an entry is `[library, class]`, or `[null, null]` where the component is left out.
fn class(reader: &mut ConfigReader, component: &str) -> Result<Option<String>> {
    let Some(entry) = reader.take(component) else { return Ok(None) };
    match entry.as_array().map(Vec::as_slice) {
        Some([Value::Null, Value::Null]) => Ok(None),
        Some([Value::String(_), Value::String(class)]) => Ok(Some(class.clone())),
        _ => Err(reader.refuse(component, &entry, "a list of library and class")),
    }
}
