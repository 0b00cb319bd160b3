//! CLIP's preprocessing: shortest edge by Lanczos or bicubic, centre crop with padding, rescale, normalise.
//!
//! Equal to the bit to transformers v5.23 `src/transformers/models/clip/image_processing_pil_clip.py`,
//! `CLIPImageProcessorPil` (the class that resizes with Pillow; the other one resizes with torchvision and
//! differs by a level here and there).

use image::{RgbImage, imageops};
use serde::Deserialize;

use crate::error::ImageError;
use crate::resample::{CropBox, Filter, Window, resize_window};
use crate::tensor::planes_by_channel;

/// The largest side in a configuration, far above any CLIP's.
const MAX_SIDE: u32 = 4096;

/// A CLIP image processor, as `preprocessor_config.json` describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct ClipPreprocessor {
    size: Size,
    crop: Sides,
    filter: Filter,
    rescale_factor: Option<f64>,
    normalization: Option<Normalization>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Normalization {
    mean: [f32; 3],
    std: [f32; 3],
}

/// The keys of `preprocessor_config.json` with the defaults of the reference class.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Config {
    crop_size: CropSize,
    do_center_crop: bool,
    // Nothing to do: images are RGB here.
    #[serde(rename = "do_convert_rgb")]
    _do_convert_rgb: bool,
    do_normalize: bool,
    do_rescale: bool,
    do_resize: bool,
    feature_extractor_type: Option<String>,
    image_mean: [f64; 3],
    image_processor_type: Option<String>,
    image_std: [f64; 3],
    // The class of tokenizer and image processor together: nothing to this part.
    #[serde(rename = "processor_class")]
    _processor_class: Option<String>,
    resample: u32,
    rescale_factor: f64,
    size: SizeConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            crop_size: CropSize::Square(224),
            do_center_crop: true,
            _do_convert_rgb: true,
            do_normalize: true,
            do_rescale: true,
            do_resize: true,
            feature_extractor_type: None,
            image_mean: [0.48145466, 0.4578275, 0.40821073],
            image_processor_type: None,
            image_std: [0.26862954, 0.26130258, 0.27577711],
            _processor_class: None,
            resample: BICUBIC,
            rescale_factor: 1.0 / 255.0,
            size: SizeConfig::Int(224),
        }
    }
}

/// Pillow's numbers for its filters.
const LANCZOS: u32 = 1;
const BICUBIC: u32 = 3;

#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Sides {
    height: u32,
    width: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShortestEdge {
    shortest_edge: u32,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "size is a number, {\"shortest_edge\": n} or {\"height\": n, \"width\": n}")]
enum SizeConfig {
    Int(u32),
    Shortest(ShortestEdge),
    Exact(Sides),
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "crop_size is a number or {\"height\": n, \"width\": n}")]
enum CropSize {
    Square(u32),
    Exact(Sides),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Size {
    ShortestEdge(u32),
    Exact(Sides),
}

impl ClipPreprocessor {
    /// Reads the text of a `preprocessor_config.json`. `size` and `crop_size` may be numbers (old files) or
    /// objects.
    ///
    /// # Errors
    /// [`ImageError::ClipConfigMalformed`] for unknown keys and wrong types,
    /// [`ImageError::ClipConfigUnsupported`] for values that would give something else than the reference.
    pub fn from_json(json: &str) -> Result<Self, ImageError> {
        let config: Config =
            serde_json::from_str(json).map_err(|source| ImageError::ClipConfigMalformed { source })?;
        config.check_kind()?;
        let size = match config.size {
            SizeConfig::Int(edge) | SizeConfig::Shortest(ShortestEdge { shortest_edge: edge }) => {
                check_sides("size", &[edge])?;
                Size::ShortestEdge(edge)
            }
            SizeConfig::Exact(sides) => {
                check_sides("size", &[sides.height, sides.width])?;
                Size::Exact(sides)
            }
        };
        let crop = match config.crop_size {
            CropSize::Square(side) => Sides { height: side, width: side },
            CropSize::Exact(sides) => sides,
        };
        check_sides("crop_size", &[crop.height, crop.width])?;
        let filter = match config.resample {
            LANCZOS => Filter::Lanczos,
            BICUBIC => Filter::Bicubic,
            other => return Err(unsupported("resample", other, "use 3 (bicubic) or 1 (Lanczos)")),
        };
        if config.do_normalize && config.image_std.iter().any(|&std| !(std as f32).is_normal()) {
            let std = format!("{:?}", config.image_std);
            return Err(unsupported("image_std", std, "give three numbers that are not 0"));
        }
        Ok(Self {
            size,
            crop,
            filter,
            rescale_factor: config.do_rescale.then_some(config.rescale_factor),
            normalization: config.do_normalize.then(|| Normalization {
                mean: config.image_mean.map(|mean| mean as f32),
                std: config.image_std.map(|std| std as f32),
            }),
        })
    }

    /// `(width, height)` of every result.
    pub fn output_size(&self) -> (u32, u32) {
        (self.crop.width, self.crop.height)
    }

    /// The model's input `[3, h, w]` for an image, of [`ClipPreprocessor::output_size`].
    ///
    /// # Errors
    /// [`ImageError::Empty`] for an image without pixels.
    pub fn apply(&self, image: &RgbImage) -> Result<Vec<f32>, ImageError> {
        let (width, height) = self.resized_size(image)?;
        let columns = CropSpan::new(width, self.crop.width);
        let rows = CropSpan::new(height, self.crop.height);
        // Only what the crop keeps is resampled, so a panorama costs no more than a square.
        let window = Window { x: columns.from, y: rows.from, width: columns.len, height: rows.len };
        let kept = resize_window(image, CropBox::whole(image), (width, height), window, self.filter)?;
        let cropped = if (columns.len, rows.len) == self.output_size() {
            kept
        } else {
            let mut padded = RgbImage::new(self.crop.width, self.crop.height);
            imageops::replace(&mut padded, &kept, i64::from(columns.to), i64::from(rows.to));
            padded
        };
        Ok(planes_by_channel(&cropped, |channel, sample| self.value(channel, sample)))
    }

    /// `get_resize_output_image_size` of transformers' `image_transforms.py`, as (width, height).
    fn resized_size(&self, image: &RgbImage) -> Result<(u32, u32), ImageError> {
        let (width, height) = image.dimensions();
        if width == 0 || height == 0 {
            return Err(ImageError::Empty);
        }
        let edge = match self.size {
            Size::Exact(sides) => return Ok((sides.width, sides.height)),
            Size::ShortestEdge(edge) => edge,
        };
        let long = |long: u32, short: u32| (f64::from(edge) * f64::from(long) / f64::from(short)) as u32;
        Ok(if width <= height { (edge, long(height, width)) } else { (long(width, height), edge) })
    }

    /// `rescale` is in double precision and rounded to single, `normalize` is in single: their order counts.
    fn value(&self, channel: usize, sample: u8) -> f32 {
        let value = match self.rescale_factor {
            Some(factor) => (f64::from(sample) * factor) as f32,
            None => f32::from(sample),
        };
        self.normalization.map_or(value, |Normalization { mean, std }| (value - mean[channel]) / std[channel])
    }
}

impl Config {
    fn check_kind(&self) -> Result<(), ImageError> {
        const KINDS: [&str; 4] =
            ["CLIPImageProcessor", "CLIPImageProcessorPil", "CLIPImageProcessorFast", "CLIPFeatureExtractor"];
        let keys = [
            ("image_processor_type", &self.image_processor_type),
            ("feature_extractor_type", &self.feature_extractor_type),
        ];
        for (key, kind) in keys {
            if let Some(kind) = kind.as_deref().filter(|kind| !KINDS.contains(kind)) {
                return Err(unsupported(key, kind, "only CLIP image processors are"));
            }
        }
        for (key, on) in [("do_resize", self.do_resize), ("do_center_crop", self.do_center_crop)] {
            if !on {
                return Err(unsupported(key, on, "every image must come out in one size"));
            }
        }
        Ok(())
    }
}

fn check_sides(key: &'static str, sides: &[u32]) -> Result<(), ImageError> {
    match sides.iter().find(|side| !(1..=MAX_SIDE).contains(*side)) {
        Some(side) => Err(unsupported(key, side, "give 1 to 4096 pixels")),
        None => Ok(()),
    }
}

fn unsupported(key: &'static str, value: impl ToString, supported: &'static str) -> ImageError {
    ImageError::ClipConfigUnsupported { key, value: value.to_string(), supported }
}

/// Where a centre crop takes pixels on one axis, and where it puts them: `center_crop` of transformers'
/// `image_transforms.py`. What is missing is 0, one pixel more of it before than after if odd.
struct CropSpan {
    from: u32,
    to: u32,
    len: u32,
}

impl CropSpan {
    fn new(size: u32, crop: u32) -> Self {
        if size >= crop {
            Self { from: (size - crop) / 2, to: 0, len: crop }
        } else {
            Self { from: 0, to: (crop - size).div_ceil(2), len: size }
        }
    }
}
