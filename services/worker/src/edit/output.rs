//! From what the engine makes to files with their parameters.

use retouch_imaging::{EncodeOptions, OutputFormat, encode, from_unit_range};
use retouch_ports::BlobStore;
use retouch_ports::blob::{PutOptions, bytes_stream};
use retouch_ports::engine_source::ModelFacts;
use retouch_ports::jobs::edit::{Edit, EditedFile, FileFormat, GuidanceMode};
use retouch_ports::step_engine::{Output, RowRequest};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::error::EditError;

/// SHA-256 in hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What stands in a result's metadata, but for its seed; the names are those of `retouch engine edit`.
pub(super) fn parameters(edit: &Edit, request: &RowRequest, facts: &ModelFacts) -> Value {
    json!({
        "software": concat!("retouch ", env!("CARGO_PKG_VERSION")),
        "task": "edit",
        "prompt": edit.instruction,
        "negative": edit.negative,
        "model": facts.hash,
        "sampler": edit.sampler.as_ref().unwrap_or(&facts.sampler),
        "steps": edit.steps,
        "guidance": match edit.guidance {
            GuidanceMode::Fixed => "fixed",
            GuidanceMode::Dynamic => "dynamic",
        },
        "guidance_text": edit.guidance_text,
        "guidance_image": edit.guidance_image,
        "intents": edit.intents,
        "spatial": if edit.spatial && facts.spatial { "on" } else { "off" },
        "source_box": edit.source_box,
        "width": request.width,
        "height": request.height,
    })
}

/// Where a run's files go.
pub(super) struct Sink<'a> {
    pub(super) blobs: &'a dyn BlobStore,
    /// Ends with a slash.
    pub(super) folder: String,
    pub(super) parameters: Value,
    pub(super) format: FileFormat,
    pub(super) quality: u8,
}

impl Sink<'_> {
    /// What makes the file of the image with this seed.
    pub(super) fn encoder(&self, seed: u64) -> Encoder {
        let mut parameters = self.parameters.clone();
        parameters["seed"] = seed.into();
        Encoder { parameters, seed, format: output_format(self.format), quality: self.quality }
    }

    /// Uploads image number `index`; the file with its key.
    pub(super) async fn put(
        &self,
        index: usize,
        bytes: Vec<u8>,
        file: EditedFile,
    ) -> Result<EditedFile, EditError> {
        let name = format!("{}{index}.{}", self.folder, output_format(self.format).extension());
        let key = name.parse().map_err(|_| EditError::FileName { name })?;
        let options = PutOptions { content_type: Some(file.media_type.clone()), ..PutOptions::default() };
        self.blobs.put(&key, bytes_stream(bytes), &options).await.map_err(EditError::Store)?;
        Ok(EditedFile { key: key.to_string(), ..file })
    }
}

/// Makes a file.
pub(super) struct Encoder {
    parameters: Value,
    seed: u64,
    format: OutputFormat,
    quality: u8,
}

impl Encoder {
    /// The file, without a key yet, and its bytes.
    pub(super) fn encode(self, output: &Output, forwards: u64) -> Result<(EditedFile, Vec<u8>), EditError> {
        let image = from_unit_range(&output.image, output.width, output.height).map_err(EditError::Image)?;
        let options = EncodeOptions { quality: self.quality, ..EncodeOptions::new(self.format) };
        let bytes = encode(&image, &options, Some(&self.parameters.to_string())).map_err(EditError::Image)?;
        let file = EditedFile {
            key: String::new(),
            media_type: self.format.mime().to_owned(),
            bytes: bytes.len() as u64,
            hash: sha256(&bytes),
            width: output.width,
            height: output.height,
            seed: self.seed,
            forwards,
            truncated: output.truncated.as_ref().map(|rest| rest.chars().take(200).collect()),
        };
        Ok((file, bytes))
    }
}

fn output_format(format: FileFormat) -> OutputFormat {
    match format {
        FileFormat::Png => OutputFormat::Png,
        FileFormat::Jpeg => OutputFormat::Jpeg,
        FileFormat::Webp => OutputFormat::WebP,
    }
}
