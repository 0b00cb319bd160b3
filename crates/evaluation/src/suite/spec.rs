//! The file that fixes a suite.

use retouch_instruction::Language;
use retouch_scenes::Kind;
use serde::{Deserialize, Serialize};

use super::forms::Form;
use crate::error::SuiteError;

const SPATIAL: &str = include_str!("../../suite/spatial-v1.toml");

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Spec {
    pub(super) name: String,
    pub(super) generator: String,
    pub(super) size: u32,
    pub(super) seed: u64,
    pub(super) people: f32,
    pub(super) digest: String,
    pub(super) kinds: Kinds,
    pub(super) forms: Forms,
    pub(super) tolerances: Tolerances,
}

/// Edits of each kind at each level.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kinds {
    move_by: u32,
    move_to: u32,
    move_beside: u32,
    add: u32,
    remove: u32,
    recolour: u32,
    resize: u32,
    swap: u32,
    rotate_view: u32,
    zoom: u32,
    background: u32,
    shadow: u32,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Forms {
    pub(super) count: u32,
    pub(super) form: Vec<Form>,
}

/// What counts as carried out; the file of the suite says what each number means.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tolerances {
    /// Of the place of an object, in widths of the image.
    pub position: f32,
    /// The most that any tolerance may be of the change that was asked for.
    pub share: f32,
    /// Of a turn of the view, in degrees.
    pub angle: f32,
    /// Of the logarithm of a change of size.
    pub scale: f32,
    /// The least share of a change of pixels that must be there.
    pub evidence: f32,
    /// The difference of smoothed pixels, in levels of 8 bits, above which one is harmed.
    pub harm: f32,
    /// How many times the VAE's own difference is forgiven.
    pub vae: f32,
    /// The share of pixels that may be harmed.
    pub harmed: f32,
    /// The mean difference, above the VAE's own.
    pub mean: f32,
}

impl Spec {
    pub(super) fn spatial() -> Result<Self, SuiteError> {
        toml::from_str(SPATIAL).map_err(|source| SuiteError::Spec { source: Box::new(source) })
    }
}

impl Kinds {
    pub(super) fn count(&self, kind: Kind) -> u32 {
        match kind {
            Kind::MoveBy => self.move_by,
            Kind::MoveTo => self.move_to,
            Kind::MoveBeside => self.move_beside,
            Kind::Add => self.add,
            Kind::Remove => self.remove,
            Kind::Recolour => self.recolour,
            Kind::Resize => self.resize,
            Kind::Swap => self.swap,
            Kind::RotateView => self.rotate_view,
            Kind::Zoom => self.zoom,
            Kind::Background => self.background,
            Kind::Shadow => self.shadow,
        }
    }
}

/// The languages of ten cases, each in both kinds of wording.
pub(super) const LANGUAGES: [Language; 5] = [
    Language::English,
    Language::Vietnamese,
    Language::English,
    Language::VietnameseUnaccented,
    Language::Vietnamese,
];
