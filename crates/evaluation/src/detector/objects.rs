//! Objects that are there before and after: moved, removed, recoloured, resized, given a shadow.

use retouch_scenes::{Colour, Extent, Object, ObjectId, Scene, View};

use super::Bench;
use super::sprite::Sprite;
use crate::error::SuiteError;

/// Candidate sizes: this many steps to each side, each of this logarithm.
const SIZES: i32 = 12;
const SIZE_STEP: f32 = 0.08;
/// Finer ones round the best.
const FINE_SIZES: i32 = 4;
const FINE_SIZE_STEP: f32 = 0.02;

/// A scene without an object.
pub(super) fn without(scene: &Scene, id: ObjectId) -> Scene {
    let mut scene = scene.clone();
    scene.objects.retain(|object| object.id != id);
    scene
}

/// A scene with an object changed.
fn with(scene: &Scene, id: ObjectId, change: impl Fn(&mut Object)) -> Scene {
    let mut scene = scene.clone();
    scene.objects.iter_mut().filter(|object| object.id == id).for_each(change);
    scene
}

/// The middle of an object in the image.
fn centre(scene: &Scene, id: ObjectId) -> Option<[f32; 2]> {
    let view = View::new(&scene.camera, 1.0);
    scene.object(id).map(|object| Extent::of(object, &view).centre())
}

/// Moves an object by fractions of the image.
pub(super) fn shifted(scene: &Scene, id: ObjectId, du: f32, dv: f32) -> Scene {
    let [x, y] = View::new(&scene.camera, 1.0).ground_motion(du, dv);
    with(scene, id, |object| {
        object.position[0] = (object.position[0] + x).clamp(-10.0, 10.0);
        object.position[1] = (object.position[1] + y).clamp(-10.0, 10.0);
    })
}

impl Bench<'_> {
    /// Whether a moved object is where it must be: searched for in the whole picture.
    pub(super) fn moved(&mut self, id: ObjectId) -> Result<(), SuiteError> {
        let (Some([u, v]), Some([x, y])) = (centre(&self.case.before, id), centre(&self.case.after, id))
        else {
            return Ok(());
        };
        let limit = self.within(self.tolerances.position, (x - u).hypot(y - v));
        let (here, gone) = (self.fitted.clone(), without(&self.fitted, id));
        let (small, small_gone) = (self.small_picture(&here)?, self.small_picture(&gone)?);
        let Some(sprite) = Sprite::new(&small, &small_gone, &small_gone) else { return Ok(()) };
        let coarse = sprite.search(&self.small, [0, 0], self.small.side as i32 - 1);
        let (large, large_gone) = (self.picture(&here)?, self.picture(&gone)?);
        let Some(sprite) = Sprite::new(&large, &large_gone, &large_gone) else { return Ok(()) };
        let found = sprite.search(&self.output, coarse.offset.map(|pixels| pixels * 2), 2);
        let [du, dv] = found.offset.map(|pixels| pixels as f32 / self.output.side as f32);
        self.at_most("place", du.hypot(dv), limit);
        self.evidence("there", found.evidence());
        self.fitted = shifted(&self.fitted, id, du, dv);
        Ok(())
    }

    /// Whether an object is gone.
    pub(super) fn removed(&mut self, id: ObjectId) -> Result<(), SuiteError> {
        let Some(object) = self.case.before.object(id).cloned() else { return Ok(()) };
        let gone = self.fitted.clone();
        let mut there = gone.clone();
        there.objects.push(object);
        self.changed("gone", &there, &gone)
    }

    /// Whether an object casts a shadow.
    pub(super) fn shadowed(&mut self, id: ObjectId) -> Result<(), SuiteError> {
        let cast = self.fitted.clone();
        let bare = with(&cast, id, |object| object.shadow = false);
        self.changed("shadow", &bare, &cast)
    }

    /// How much of the way from one scene to the other the pixels have gone, where the two differ.
    fn changed(&mut self, what: &'static str, from: &Scene, to: &Scene) -> Result<(), SuiteError> {
        let (from, to) = (self.picture(from)?, self.picture(to)?);
        let places = to.changed(&from);
        if places.is_empty() {
            return Ok(());
        }
        let output = self.output.smooth(1);
        let (from, to) = (from.smooth(1), to.smooth(1));
        let before = output.distance(&from, &places);
        let share = if before > 0.0 { 1.0 - output.distance(&to, &places) / before } else { 0.0 };
        self.evidence(what, share);
        Ok(())
    }

    /// Whether an object has the colour that was asked for: of all colours that which is nearest.
    pub(super) fn recoloured(&mut self, id: ObjectId, wanted: Colour) -> Result<(), SuiteError> {
        let (here, gone) = (self.fitted.clone(), without(&self.fitted, id));
        let gone = self.small_picture(&gone)?;
        let right = self.small_picture(&here)?;
        let places = right.changed(&gone);
        let mut nearest = (f32::INFINITY, wanted);
        let mut own = f32::INFINITY;
        for colour in Colour::ALL {
            let picture = self.small_picture(&with(&here, id, |object| object.colour = colour))?;
            let distance = self.small.distance(&picture, &places);
            if colour == wanted {
                own = distance;
            }
            if distance < nearest.0 {
                nearest = (distance, colour);
            }
        }
        let wrong = f32::from(u8::from(nearest.1 != wanted));
        self.at_most("colour", wrong, 0.0);
        let absent = self.small.distance(&gone, &places);
        self.evidence("there", if absent > 0.0 { 1.0 - own / absent } else { 0.0 });
        Ok(())
    }

    /// Whether an object has the size that was asked for.
    pub(super) fn resized(&mut self, id: ObjectId, factor: f32) -> Result<(), SuiteError> {
        let (here, gone) = (self.fitted.clone(), without(&self.fitted, id));
        let scaled = |log: f32| with(&here, id, |object| object.size = (object.size * log.exp()).min(2.0));
        let widest = self.small_picture(&scaled(SIZES as f32 * SIZE_STEP))?;
        let gone = self.small_picture(&gone)?;
        let places = widest.changed(&gone);
        let mut best = (f32::INFINITY, 0.0);
        for (count, step) in [(SIZES, SIZE_STEP), (FINE_SIZES, FINE_SIZE_STEP)] {
            let middle = best.1;
            for at in -count..=count {
                let log = middle + at as f32 * step;
                let picture = self.small_picture(&scaled(log))?;
                let distance = self.small.distance(&picture, &places);
                if distance < best.0 {
                    best = (distance, log);
                }
            }
        }
        let limit = self.within(self.tolerances.scale, factor.ln());
        self.at_most("size", best.1.abs(), limit);
        self.fitted = scaled(best.1);
        let fitted = self.fitted.clone();
        let found = self.small_picture(&fitted)?;
        let places = found.changed(&gone);
        let absent = self.small.distance(&gone, &places);
        let present = self.small.distance(&found, &places);
        self.evidence("there", if absent > 0.0 { 1.0 - present / absent } else { 0.0 });
        Ok(())
    }
}
