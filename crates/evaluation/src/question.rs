//! What a model is asked, and who asks it: the only way from a suite to a model.

use retouch_imaging::RgbImage;
use retouch_scenes::{Extent, ObjectId, Renderer, Scene, View, ground};
use serde::{Deserialize, Serialize};

use crate::error::SuiteError;
use crate::suite::{Case, Suite};

/// Everything that a model is told of a case. There is no way from here to the scene or to the truth.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// The image to edit.
    pub image: RgbImage,
    /// What to do.
    pub instruction: String,
    /// Where the thing to edit is, as a user would mark it: left, top, right and bottom as fractions. Only in rows that
    /// say so ([`Row::Marked`]).
    pub source_box: Option<[f64; 4]>,
}

/// One way to answer the questions: one column of the results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Row {
    /// The input itself: what is right without doing anything.
    Input,
    /// The VAE's round trip of the input.
    VaeInput,
    /// The VAE's round trip of the true result: what no model with this VAE surpasses.
    VaeTruth,
    /// The editor without its spatial layer, guidance fixed.
    Plain,
    /// With the spatial layer.
    Spatial,
    /// With dynamic guidance.
    Dynamic,
    /// With both.
    Both,
    /// With both, and nothing read from the instruction.
    Unparsed,
    /// With both, and the thing to edit marked by a box, as a user may.
    Marked,
}

impl Row {
    /// Every row, in the order of the results.
    pub const ALL: [Self; 9] = [
        Self::Input,
        Self::VaeInput,
        Self::VaeTruth,
        Self::Plain,
        Self::Spatial,
        Self::Dynamic,
        Self::Both,
        Self::Unparsed,
        Self::Marked,
    ];

    /// Its name, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::VaeInput => "vae-input",
            Self::VaeTruth => "vae-truth",
            Self::Plain => "plain",
            Self::Spatial => "spatial",
            Self::Dynamic => "dynamic",
            Self::Both => "both",
            Self::Unparsed => "unparsed",
            Self::Marked => "marked",
        }
    }

    /// How a model is to answer; `None` for floors and ceiling, which no model answers.
    pub fn manner(self) -> Option<Manner> {
        let manner = |spatial, dynamic| Manner { spatial, dynamic, parsed: true };
        Some(match self {
            Self::Input | Self::VaeInput | Self::VaeTruth => return None,
            Self::Plain => manner(false, false),
            Self::Spatial => manner(true, false),
            Self::Dynamic => manner(false, true),
            Self::Both | Self::Marked => manner(true, true),
            Self::Unparsed => Manner { parsed: false, ..manner(true, true) },
        })
    }
}

/// How a model is to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manner {
    /// Whether its spatial layer takes part.
    pub spatial: bool,
    /// Whether guidance follows the row.
    pub dynamic: bool,
    /// Whether intents are read from the instruction; else it is `Free` as a whole.
    pub parsed: bool,
}

/// What answers questions.
pub trait Editor {
    /// Why it does not.
    type Error;

    /// The edited images, in the order of the questions; `seeds` are those of their noise.
    ///
    /// # Errors
    /// Its own.
    fn edit(
        &mut self,
        questions: &[Question],
        seeds: &[u64],
        manner: Manner,
    ) -> Result<Vec<RgbImage>, Self::Error>;
}

impl Suite {
    /// What a model is told of a case in a row.
    ///
    /// # Errors
    /// [`SuiteError::Scene`] for a scene that cannot be rendered.
    pub fn question(&self, case: &Case, row: Row, renderer: &mut Renderer) -> Result<Question, SuiteError> {
        Ok(Question {
            image: self.image(case, &case.before, renderer)?,
            instruction: case.instruction.clone(),
            source_box: if row == Row::Marked { mark(case, self.size) } else { None },
        })
    }

    /// The true result of a case.
    ///
    /// # Errors
    /// [`SuiteError::Scene`] for a scene that cannot be rendered.
    pub fn truth(&self, case: &Case, renderer: &mut Renderer) -> Result<RgbImage, SuiteError> {
        self.image(case, &case.after, renderer)
    }

    fn image(&self, case: &Case, scene: &Scene, renderer: &mut Renderer) -> Result<RgbImage, SuiteError> {
        let rendered = renderer.render(scene, self.size, self.size);
        Ok(rendered.map_err(|source| SuiteError::Scene { case: case.id, source })?.image)
    }
}

/// The box that a user would draw round what the first intent is about, if that is there already.
fn mark(case: &Case, size: u32) -> Option<[f64; 4]> {
    use retouch_scenes::{Edit, Focus};
    let edit = ground(case.intents.first()?, &case.before, (size, size)).ok()?;
    let objects: Vec<ObjectId> = match edit {
        Edit::MoveBy { objects, .. }
        | Edit::MoveTo { objects, .. }
        | Edit::Remove { objects }
        | Edit::Recolour { objects, .. }
        | Edit::Resize { objects, .. }
        | Edit::Shadow { objects, .. } => objects,
        Edit::Swap { first, .. } => vec![first],
        Edit::Zoom { focus: Some(Focus::Object(object)), .. } => vec![object],
        _ => return None,
    };
    let view = View::new(&case.before.camera, 1.0);
    let extents = objects.iter().filter_map(|id| case.before.object(*id));
    extents
        .map(|object| Extent::of(object, &view).0.map(|edge| f64::from(edge).clamp(0.0, 1.0)))
        .reduce(|a, b| [a[0].min(b[0]), a[1].min(b[1]), a[2].max(b[2]), a[3].max(b[3])])
}
