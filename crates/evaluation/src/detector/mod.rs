//! Whether an edit was carried out, from the pixels of its result.
//!
//! The detector knows the true scenes before and after the edit and asks which scene the result is a picture of: it
//! renders what could be there (the thing here or there, in this size or that, the view from this side or that), takes
//! what lies nearest to the pixels, and compares its numbers with those that the edit asked for. Then it renders the
//! scene it found and compares everything else with the pixels: whatever else changed is harm.

mod add;
mod field;
mod objects;
mod sprite;
mod view;

use retouch_imaging::RgbImage;
use retouch_scenes::{Edit, Renderer, Scene, ground};
use serde::Serialize;

use self::field::{Field, spread};
use crate::error::SuiteError;
use crate::suite::{Case, Suite, Tolerances};

/// Pixels to each side over which differences are smoothed: 5 × 5 in all.
const SMOOTH: usize = 2;

/// What the detector says of a result.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// Whether every check passed.
    pub done: bool,
    /// The checks, in the order that they were made.
    pub checks: Vec<Check>,
}

/// One thing that was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// What: `place`, `count`, `colour`, `harm` ...
    pub what: &'static str,
    /// Whether it is as it must be.
    pub passed: bool,
    /// What was measured.
    pub measured: f32,
    /// What it is compared with.
    pub limit: f32,
}

/// Judges results of a suite; it keeps the renderer's buffers.
pub struct Detector {
    size: u32,
    tolerances: Tolerances,
    renderer: Renderer,
}

impl Detector {
    /// For the results of a suite.
    pub fn new(suite: &Suite) -> Self {
        Self { size: suite.size, tolerances: suite.tolerances, renderer: Renderer::new() }
    }

    /// Judges the result of a case. `round_trip` is what the model's VAE makes of the input: where it harms the image by
    /// itself, the edit is not to blame.
    ///
    /// # Errors
    /// [`SuiteError::Scene`] for a scene that cannot be rendered, [`SuiteError::ImageSize`] for images of another size
    /// than the suite's.
    pub fn judge(
        &mut self,
        case: &Case,
        output: &RgbImage,
        round_trip: Option<&RgbImage>,
    ) -> Result<Verdict, SuiteError> {
        for image in [Some(output), round_trip].into_iter().flatten() {
            if image.dimensions() != (self.size, self.size) {
                let (width, height) = image.dimensions();
                return Err(SuiteError::ImageSize { case: case.id, width, height, size: self.size });
            }
        }
        let edits = edits(case, self.size);
        let output = Field::of(output);
        let mut bench = Bench {
            case,
            size: self.size,
            tolerances: self.tolerances,
            renderer: &mut self.renderer,
            small: output.half(),
            output,
            fitted: case.after.clone(),
            free: Vec::new(),
            checks: Vec::new(),
        };
        for edit in &edits {
            bench.edit(edit)?;
        }
        bench.harm(round_trip)?;
        let checks = bench.checks;
        Ok(Verdict { done: checks.iter().all(|check| check.passed), checks })
    }
}

/// What the instruction of a case asks for in its scene.
fn edits(case: &Case, size: u32) -> Vec<Edit> {
    case.intents.iter().filter_map(|intent| ground(intent, &case.before, (size, size)).ok()).collect()
}

/// One result under examination.
struct Bench<'a> {
    case: &'a Case,
    size: u32,
    tolerances: Tolerances,
    renderer: &'a mut Renderer,
    output: Field,
    /// The result at half the size: what is searched for coarsely is searched for there.
    small: Field,
    /// The scene that the result shows: the true one, but for what was found to be otherwise.
    fitted: Scene,
    /// Places whose looks the instruction leaves open.
    free: Vec<usize>,
    checks: Vec<Check>,
}

impl Bench<'_> {
    fn edit(&mut self, edit: &Edit) -> Result<(), SuiteError> {
        match edit {
            Edit::MoveBy { objects, .. } | Edit::MoveTo { objects, .. } => {
                objects.iter().try_for_each(|id| self.moved(*id))
            }
            Edit::Swap { first, second } => [first, second].into_iter().try_for_each(|id| self.moved(*id)),
            Edit::Add { spot, count, .. } => self.added(*count, spot),
            Edit::Remove { objects } => objects.iter().try_for_each(|id| self.removed(*id)),
            Edit::Recolour { objects, colour } => {
                objects.iter().try_for_each(|id| self.recoloured(*id, *colour))
            }
            Edit::Resize { objects, factor } => objects.iter().try_for_each(|id| self.resized(*id, *factor)),
            Edit::RotateView { degrees } => self.turned(*degrees),
            Edit::Zoom { factor, focus } => self.zoomed(*factor, *focus),
            Edit::ChangeBackground { .. } => self.background(),
            Edit::Shadow { objects, .. } => objects.iter().try_for_each(|id| self.shadowed(*id)),
            // No suite asks for it: harm alone decides.
            Edit::Restyle { .. } => Ok(()),
        }
    }

    /// The picture of a scene in the size of the result.
    fn picture(&mut self, scene: &Scene) -> Result<Field, SuiteError> {
        self.render(scene, self.size)
    }

    /// The same at half the size.
    fn small_picture(&mut self, scene: &Scene) -> Result<Field, SuiteError> {
        self.render(scene, self.size / 2)
    }

    fn render(&mut self, scene: &Scene, size: u32) -> Result<Field, SuiteError> {
        let rendered = self.renderer.render(scene, size, size);
        let rendered = rendered.map_err(|source| SuiteError::Scene { case: self.case.id, source })?;
        Ok(Field::of(&rendered.image))
    }

    /// Notes that a value must be at most this.
    fn at_most(&mut self, what: &'static str, measured: f32, limit: f32) {
        self.checks.push(Check { what, passed: measured <= limit, measured, limit });
    }

    /// Notes how much of a change is there, from 0 to 1.
    fn evidence(&mut self, what: &'static str, share: f32) {
        let limit = self.tolerances.evidence;
        self.checks.push(Check { what, passed: share >= limit, measured: share, limit });
    }

    /// A tolerance, and never more than a share of the change that was asked for.
    fn within(&self, tolerance: f32, change: f32) -> f32 {
        tolerance.min(self.tolerances.share * change.abs())
    }

    /// Everything else: unmoved, unharmed, nothing new.
    fn harm(&mut self, round_trip: Option<&RgbImage>) -> Result<(), SuiteError> {
        let fitted = self.fitted.clone();
        let expected = self.picture(&fitted)?;
        let difference = self.output.smooth(SMOOTH).difference(&expected.smooth(SMOOTH));
        let forgiven = self.forgiven(round_trip)?;
        let Tolerances { harm, vae, harmed, mean, .. } = self.tolerances;
        let mut open = vec![false; difference.len()];
        self.free.iter().for_each(|at| open[*at] = true);
        let (mut count, mut sum, mut beyond) = (0u32, 0.0, 0u32);
        for (at, difference) in difference.iter().enumerate().filter(|(at, _)| !open[*at]) {
            count += 1;
            sum += (difference - vae * forgiven[at]).max(0.0);
            beyond += u32::from(*difference > harm + vae * forgiven[at]);
        }
        let pixels = (self.size * self.size) as f32;
        self.at_most("harm", beyond as f32 / pixels, harmed);
        self.at_most("mean", sum / count.max(1) as f32, mean);
        Ok(())
    }

    /// What the VAE does to the input, where it does it, and elsewhere what it does to all but the worst tenth of it.
    fn forgiven(&mut self, round_trip: Option<&RgbImage>) -> Result<Vec<f32>, SuiteError> {
        let Some(round_trip) = round_trip else {
            return Ok(vec![0.0; self.output.rgb.len()]);
        };
        let input = self.picture(&self.case.before)?;
        let own = Field::of(round_trip).smooth(SMOOTH).difference(&input.smooth(SMOOTH));
        let mut sorted = own.clone();
        sorted.sort_by(f32::total_cmp);
        let usual = sorted[sorted.len() * 9 / 10];
        let near = spread(&own, self.output.side, SMOOTH);
        Ok(near.into_iter().map(|difference| difference.max(usual)).collect())
    }
}
