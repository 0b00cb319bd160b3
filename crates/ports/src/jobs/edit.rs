//! The kind `edit`: an image and an instruction.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The name of the kind.
pub const KIND: &str = "edit";
/// The version of [`Edit`].
pub const VERSION: u16 = 1;
/// Most images of one job.
pub const MAX_IMAGES: u32 = 16;
/// Longest instruction or negative prompt, in bytes.
pub const MAX_TEXT_BYTES: usize = 4096;

/// What is to be edited, and how. What is absent is as `retouch engine edit` has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// The image to edit.
    pub image: Source,
    /// What to change.
    pub instruction: String,
    /// The name of the model.
    pub model: String,
    /// What the instruction asks for, as the JSON of `retouch_instruction::Intents`; read from it if absent.
    #[serde(default)]
    pub intents: Option<Value>,
    /// What the result should not show.
    #[serde(default)]
    pub negative: String,
    /// Sampler steps.
    #[serde(default = "defaults::steps")]
    pub steps: u32,
    /// The sampler by name; the model's own if absent.
    #[serde(default)]
    pub sampler: Option<String>,
    /// Text guidance s_T.
    #[serde(default = "defaults::guidance_text")]
    pub guidance_text: f64,
    /// Image guidance s_I.
    #[serde(default = "defaults::guidance_image")]
    pub guidance_image: f64,
    /// Whether the text scale follows the instruction and the emerging image.
    #[serde(default)]
    pub guidance: GuidanceMode,
    /// Whether a model that has a spatial layer uses it.
    #[serde(default = "defaults::spatial")]
    pub spatial: bool,
    /// Where the thing to edit is: left, top, right and bottom edge as fractions of the image.
    #[serde(default)]
    pub source_box: Option<[f64; 4]>,
    /// The seed of the first image, image i has seed + i; chosen by the job's id if absent.
    #[serde(default)]
    pub seed: Option<u64>,
    /// Width and height to edit at; as diffusers sizes the image if absent.
    #[serde(default)]
    pub size: Option<(u32, u32)>,
    /// Images to make.
    #[serde(default = "defaults::images")]
    pub images: u32,
    /// The files to make.
    #[serde(default)]
    pub format: FileFormat,
    /// Quality of JPEG and WebP, 1 to 100.
    #[serde(default = "defaults::quality")]
    pub quality: u8,
}

/// Where an image comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A file of the tenant, by its name in [`crate::files::tenant_file`].
    File(String),
    /// A URL.
    Url(String),
}

/// How the guidance scales apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GuidanceMode {
    /// The same at every step.
    #[default]
    Fixed,
    /// Following the instruction and the image.
    Dynamic,
}

/// A format of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileFormat {
    /// PNG.
    #[default]
    Png,
    /// JPEG.
    Jpeg,
    /// WebP, lossy.
    Webp,
}

mod defaults {
    pub(super) fn steps() -> u32 {
        20
    }

    pub(super) fn guidance_text() -> f64 {
        7.5
    }

    pub(super) fn guidance_image() -> f64 {
        1.5
    }

    pub(super) fn spatial() -> bool {
        true
    }

    pub(super) fn images() -> u32 {
        1
    }

    pub(super) fn quality() -> u8 {
        95
    }
}

/// What came of an edit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Edited {
    /// The images, in the order of their seeds.
    pub files: Vec<EditedFile>,
    /// SHA-256 of the input image's bytes, in hexadecimal.
    pub input_hash: String,
    /// The hash of the model.
    pub model_hash: String,
    /// Where the time went.
    pub timings: Timings,
}

/// One image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EditedFile {
    /// Its key in the blob store.
    pub key: String,
    /// Its media type.
    pub media_type: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// SHA-256 of its bytes, in hexadecimal.
    pub hash: String,
    /// Its width in pixels.
    pub width: u32,
    /// Its height in pixels.
    pub height: u32,
    /// The seed of its noise.
    pub seed: u64,
    /// Forwards that it took, over all workers.
    pub forwards: u64,
    /// The end of the instruction that the model's text encoder had no room for, if any.
    pub truncated: Option<String>,
}

/// Milliseconds of the run that finished the job. Those of the device are the sums over its images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Timings {
    /// Until the input was there.
    pub fetch: u64,
    /// To read it and to size it.
    pub prepare: u64,
    /// Until the model was there.
    pub model: u64,
    /// In the queue of the device.
    pub queue: u64,
    /// To encode images and text.
    pub encode: u64,
    /// From the first forward to the last.
    pub denoise: u64,
    /// To decode the results.
    pub decode: u64,
    /// To write and upload files.
    pub store: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_absent_is_as_the_command_line_has_it() {
        let text = r#"{"image": {"file": "photo"}, "instruction": "add a tree", "model": "m"}"#;
        let edit: Edit = serde_json::from_str(text).unwrap();
        assert_eq!((edit.steps, edit.guidance_text, edit.guidance_image, edit.quality), (20, 7.5, 1.5, 95));
        assert_eq!((edit.images, edit.seed, edit.spatial, edit.format), (1, None, true, FileFormat::Png));
        let whole: Edit = serde_json::from_value(serde_json::to_value(&edit).unwrap()).unwrap();
        assert_eq!(whole, edit);
    }

    #[test]
    fn unknown_fields_are_refused() {
        for text in [
            r#"{"image": {"file": "photo"}, "instruction": "x", "model": "m", "step": 3}"#,
            r#"{"image": {"path": "/etc/passwd"}, "instruction": "x", "model": "m"}"#,
            r#"{"image": {"file": "photo"}, "instruction": "x"}"#,
        ] {
            assert!(serde_json::from_str::<Edit>(text).is_err(), "{text}");
        }
    }
}
