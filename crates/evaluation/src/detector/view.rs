//! What is done to everything at once: the view turned, zoomed, another background.

use retouch_scenes::{Backdrop, Background, Colour, Edit, Focus, Limits, Scene};

use super::Bench;
use crate::error::SuiteError;

/// Candidate turns: all round in coarse steps, then finer ones round the best.
const TURNS: i32 = 18;
const TURN_STEP: f32 = 10.0;
const FINE_TURNS: i32 = 4;
const FINE_TURN_STEP: f32 = 2.5;
/// Candidate sizes of everything, as logarithms.
const ZOOMS: i32 = 10;
const ZOOM_STEP: f32 = 0.12;
const FINE_ZOOMS: i32 = 4;
const FINE_ZOOM_STEP: f32 = 0.03;
/// Candidate shifts of the picture, in pixels at half the size, to each side.
const SHIFTS: i32 = 8;
/// Nothing about an edit of the view is impossible here: what it shows is compared, not judged.
const ANYTHING: Limits = Limits { aspect: 1.0, margin: None, visible: 0.0 };

impl Bench<'_> {
    /// How far a scene is from the result, as pictures of half the size.
    fn far(&mut self, scene: &Scene) -> Result<f32, SuiteError> {
        let picture = self.small_picture(scene)?.smooth(1);
        let all: Vec<usize> = (0..picture.rgb.len()).collect();
        Ok(self.small.smooth(1).distance(&picture, &all))
    }

    /// Takes the best of these scenes, if one is better than the best so far.
    fn nearest<T: Copy>(
        &mut self,
        best: &mut (f32, T, Scene),
        candidates: impl Iterator<Item = (T, Scene)>,
    ) -> Result<(), SuiteError> {
        for (value, scene) in candidates {
            let distance = self.far(&scene)?;
            if distance < best.0 {
                *best = (distance, value, scene);
            }
        }
        Ok(())
    }

    /// How much nearer the scene that was found is than the one before.
    fn view_changed(&mut self, distance: f32) -> Result<(), SuiteError> {
        let before = self.case.before.clone();
        let unchanged = self.far(&before)?;
        self.evidence("changed", if unchanged > 0.0 { 1.0 - distance / unchanged } else { 0.0 });
        Ok(())
    }

    /// Whether the view has turned by what was asked for.
    pub(super) fn turned(&mut self, degrees: f32) -> Result<(), SuiteError> {
        let truth = self.fitted.clone();
        let turned = |by: f32| {
            let mut scene = truth.clone();
            scene.camera.yaw = (scene.camera.yaw + by + 180.0).rem_euclid(360.0) - 180.0;
            (by, scene)
        };
        let mut best = (f32::INFINITY, 0.0, truth.clone());
        self.nearest(&mut best, (1 - TURNS..=TURNS).map(|at| turned(at as f32 * TURN_STEP)))?;
        let middle = best.1;
        let fine = (-FINE_TURNS..=FINE_TURNS).map(|at| turned(middle + at as f32 * FINE_TURN_STEP));
        self.nearest(&mut best, fine)?;
        let limit = self.within(self.tolerances.angle, degrees);
        self.at_most("angle", best.1.abs(), limit);
        self.fitted = best.2;
        self.view_changed(best.0)
    }

    /// Whether everything has the size, and the middle shows the thing, that was asked for.
    pub(super) fn zoomed(&mut self, factor: f32, focus: Option<Focus>) -> Result<(), SuiteError> {
        let before = self.case.before.clone();
        let zoomed = |log: f32, focus: Option<Focus>| {
            let edit = Edit::Zoom { factor: factor * log.exp(), focus };
            edit.apply(&before, &ANYTHING).ok().map(|scene| ((log, focus), scene))
        };
        let elsewhere: Vec<Option<Focus>> =
            before.objects.iter().map(|object| Some(Focus::Object(object.id))).chain([None]).collect();
        let mut best = (f32::INFINITY, (0.0, focus), self.fitted.clone());
        let coarse = (-ZOOMS..=ZOOMS).filter_map(|at| zoomed(at as f32 * ZOOM_STEP, focus));
        self.nearest(&mut best, coarse)?;
        let others = elsewhere.iter().filter(|other| **other != focus);
        self.nearest(
            &mut best,
            others.flat_map(|other| (-1..=1).filter_map(|at| zoomed(at as f32 * ZOOM_STEP, *other))),
        )?;
        let (middle, found) = best.1;
        let fine =
            (-FINE_ZOOMS..=FINE_ZOOMS).filter_map(|at| zoomed(middle + at as f32 * FINE_ZOOM_STEP, found));
        self.nearest(&mut best, fine)?;
        let (log, found) = best.1;
        let limit = self.within(self.tolerances.scale, factor.ln());
        self.at_most("size", log.abs(), limit);
        if found == focus {
            self.shifted_view(&mut best)?;
        } else {
            self.at_most("focus", 1.0, 0.0);
        }
        self.fitted = best.2;
        self.view_changed(best.0)
    }

    /// Whether the middle is where it must be; takes the best shift.
    fn shifted_view<T: Copy>(&mut self, best: &mut (f32, T, Scene)) -> Result<(), SuiteError> {
        let value = best.1;
        let mut shift = [0.0f32; 2];
        for axis in 0..2 {
            let from = best.2.clone();
            for at in (-SHIFTS..=SHIFTS).filter(|at| *at != 0) {
                let mut by = [0.0; 2];
                by[axis] = at as f32 / self.small.side as f32;
                let scene = looking_aside(&from, by);
                let distance = self.far(&scene)?;
                if distance < best.0 {
                    *best = (distance, value, scene);
                    shift[axis] = by[axis];
                }
            }
        }
        self.at_most("place", shift[0].hypot(shift[1]), self.tolerances.position);
        Ok(())
    }

    /// Whether the background is the one that was asked for: of all that have a name that which is nearest.
    pub(super) fn background(&mut self) -> Result<(), SuiteError> {
        let truth = self.fitted.clone();
        let wanted = truth.background;
        let (mask, _) = self
            .renderer
            .measure(&truth, self.size / 2, self.size / 2)
            .map_err(|source| SuiteError::Scene { case: self.case.id, source })?;
        let places: Vec<usize> = (0..mask.as_raw().len()).filter(|at| mask.as_raw()[*at] == 0).collect();
        let named = Colour::ALL.into_iter().map(Backdrop::Plain).chain(Backdrop::NAMED);
        let known: Vec<Background> =
            named.map(Backdrop::background).chain([wanted, self.case.before.background]).collect();
        let output = self.small.smooth(1);
        let (mut nearest, mut own, mut old) = ((f32::INFINITY, wanted), 0.0, 0.0);
        for background in known {
            let scene = Scene { background, ..truth.clone() };
            let distance = output.distance(&self.small_picture(&scene)?.smooth(1), &places);
            if background == wanted {
                own = distance;
            }
            if background == self.case.before.background {
                old = distance;
            }
            if distance < nearest.0 {
                nearest = (distance, background);
            }
        }
        self.at_most("background", f32::from(u8::from(nearest.1 != wanted)), 0.0);
        self.evidence("changed", if old > 0.0 { 1.0 - own / old } else { 0.0 });
        Ok(())
    }
}

/// The scene with its picture moved by fractions of the image.
fn looking_aside(scene: &Scene, [du, dv]: [f32; 2]) -> Scene {
    let mut scene = scene.clone();
    let view = retouch_scenes::View::new(&scene.camera, 1.0);
    let [x, y] = view.ground_motion(-du, -dv);
    let camera = &mut scene.camera;
    camera.target = [camera.target[0] + x, camera.target[1] + y];
    // The ground ends where it did: the motion ahead of the camera, whose yaw is 0 where a picture is zoomed.
    camera.horizon -= y;
    scene
}
