//! Objects that are new: found one after the other, in any size, until the picture holds no more of them.

use retouch_instruction::{Intent, Place, Relation};
use retouch_scenes::{Colour, Extent, Object, ObjectId, Scene, Shape, Spot, View};

use super::Bench;
use super::objects::shifted;
use super::sprite::{Found, Sprite};
use crate::error::SuiteError;

/// Sizes that a new object is looked for in, over the true one.
const SIZES: [f32; 5] = [0.7, 0.84, 1.0, 1.19, 1.4];
/// More than asked for are counted up to this many.
const SURPLUS: u32 = 3;
/// How much worse than the best shape or colour the one that was asked for may fit: the sampled size and turn are guesses.
const SLACK: f32 = 1.25;
/// Rounds in which a find is refined, the second half of them in half the steps.
const ROUNDS: u32 = 4;
const SIZE_STEP: f32 = 0.06;
const TURN_STEP: f32 = 12.0;
/// Pixels round a new object whose looks are not compared.
const ROUND: i32 = 4;

impl Bench<'_> {
    /// Whether as many objects as asked for are there, where and as they must be.
    pub(super) fn added(&mut self, count: u32, spot: &Spot) -> Result<(), SuiteError> {
        let is_new = |object: &&Object| self.case.before.object(object.id).is_none();
        let Some(model) = self.case.after.objects.iter().find(is_new).cloned() else { return Ok(()) };
        let mut scene = self.fitted.clone();
        scene.objects.retain(|object| self.case.before.object(object.id).is_some());
        let mut found: Vec<Object> = Vec::new();
        while (found.len() as u32) < count + SURPLUS {
            let id = ObjectId(model.id.0 + found.len() as u32);
            let Some(object) = self.next(&scene, &Object { id, ..model.clone() })? else { break };
            let object = self.refined(&scene, object)?;
            // What remains of one that was found, for its true size and turn are others, is no second one.
            if found.iter().any(|other| is_same_place(&scene, other, &object)) {
                break;
            }
            scene.objects.push(object.clone());
            found.push(object);
        }
        let missed = (found.len() as i64 - i64::from(count)).unsigned_abs();
        self.at_most("count", missed as f32, 0.0);
        if !found.is_empty() {
            self.placed(&scene, &found, spot);
            self.are_asked_for(&scene, &found)?;
        }
        self.free_looks(&scene, &found)?;
        self.fitted = scene;
        Ok(())
    }

    /// The most visible object of these looks that the scene lacks.
    fn next(&mut self, scene: &Scene, model: &Object) -> Result<Option<Object>, SuiteError> {
        let rest = self.small_picture(scene)?;
        // Drawn where nothing hides it: alone.
        let empty = Scene { objects: Vec::new(), ..scene.clone() };
        let without = self.small_picture(&empty)?;
        let mut best: Option<(Found, Object)> = None;
        for look in looks(model) {
            let with = self.small_picture(&and(&empty, look.clone()))?;
            let Some(sprite) = Sprite::new(&with, &without, &rest) else { continue };
            let found = sprite.search(&self.small, [0, 0], self.small.side as i32 - 1);
            let better = best.as_ref().is_none_or(|(best, _)| found.gain > best.gain);
            if better && found.evidence() >= self.tolerances.evidence {
                best = Some((found, look));
            }
        }
        Ok(best.map(|(found, look)| {
            let [du, dv] = found.offset.map(|pixels| pixels as f32 / self.small.side as f32);
            let id = look.id;
            let moved = shifted(&and(scene, look.clone()), id, du, dv);
            moved.object(id).cloned().unwrap_or(look)
        }))
    }

    /// Whether the new objects are, all in all, where they were asked for.
    fn placed(&mut self, scene: &Scene, found: &[Object], spot: &Spot) {
        let view = View::new(&scene.camera, 1.0);
        let [left, top, right, bottom] = union(found.iter(), &view);
        let [u, v] = [(left + right) / 2.0, (top + bottom) / 2.0];
        let tolerance = self.tolerances.position;
        let region = self.case.intents.iter().find_map(|intent| match intent {
            Intent::Add { place: Some(Place::Region(region)), .. } => Some(region.bounds()),
            _ => None,
        });
        match (spot, region) {
            (Spot::Region(_), Some(bounds)) => {
                let [l, t, r, b] = [bounds.left, bounds.top, bounds.right, bounds.bottom].map(|x| x as f32);
                let outside = (l - u).max(u - r).max(t - v).max(v - b).max(0.0);
                self.at_most("place", outside, tolerance);
            }
            (Spot::Beside { relation, anchors }, _) => {
                let anchors = scene.objects.iter().filter(|object| anchors.contains(&object.id));
                let anchor = union(anchors, &view);
                let off = off_side(*relation, [left, top, right, bottom], anchor);
                self.at_most("place", off, tolerance);
            }
            _ => {}
        }
    }

    /// The object with the place, size and turn that fit best near those it was found with.
    fn refined(&mut self, scene: &Scene, object: Object) -> Result<Object, SuiteError> {
        let view = View::new(&scene.camera, 1.0);
        let pixel = 0.5 / self.small.side as f32;
        let places = self.around(&object, &view);
        let mut best = (self.distance_with(scene, &object, &places)?, object);
        for round in 0..ROUNDS {
            let step = if round < ROUNDS / 2 { 1.0 } else { 0.5 };
            for sign in [-step, step] {
                for way in 0..4 {
                    let mut other = best.1.clone();
                    match way {
                        0 | 1 => {
                            let by = sign * 2.0 * pixel;
                            let [x, y] = if way == 0 {
                                view.ground_motion(by, 0.0)
                            } else {
                                view.ground_motion(0.0, by)
                            };
                            other.position = [other.position[0] + x, other.position[1] + y];
                        }
                        2 => other.size *= (sign * SIZE_STEP).exp(),
                        _ => other.rotation += sign * TURN_STEP,
                    }
                    let distance = self.distance_with(scene, &other, &places)?;
                    if distance < best.0 {
                        best = (distance, other);
                    }
                }
            }
        }
        Ok(best.1)
    }

    /// The pixels, at half the size, of an object and a little around it.
    fn around(&self, object: &Object, view: &View) -> Vec<usize> {
        let side = self.small.side;
        let [left, top, right, bottom] = Extent::of(object, view).0.map(|edge| edge * side as f32);
        let margin = 0.04 * side as f32;
        let inside = |at: &usize| {
            let (x, y) = ((at % side) as f32, (at / side) as f32);
            (left - margin..=right + margin).contains(&x) && (top - margin..=bottom + margin).contains(&y)
        };
        (0..side * side).filter(inside).collect()
    }

    fn distance_with(&mut self, scene: &Scene, object: &Object, places: &[usize]) -> Result<f32, SuiteError> {
        let picture = self.small_picture(&and(scene, object.clone()))?;
        Ok(self.small.distance(&picture, places))
    }

    /// Whether they are the things, and have the colour, that were asked for: no others fit clearly better. The looks of
    /// people are not said.
    fn are_asked_for(&mut self, scene: &Scene, found: &[Object]) -> Result<(), SuiteError> {
        let (mut thing, mut tint) = (1.0f32, 1.0f32);
        for object in found.iter().filter(|object| object.shape != Shape::Person) {
            let mut rest = scene.clone();
            rest.objects.retain(|other| other.id != object.id);
            let places = self.around(object, &View::new(&scene.camera, 1.0));
            let own = self.distance_with(&rest, object, &places)?;
            let mut nearest = [own; 2];
            for shape in Shape::ALL.into_iter().filter(|shape| *shape != Shape::Person) {
                let other = Object { shape, ..object.clone() };
                nearest[0] = nearest[0].min(self.distance_with(&rest, &other, &places)?);
            }
            for colour in Colour::ALL {
                let other = Object { colour, ..object.clone() };
                nearest[1] = nearest[1].min(self.distance_with(&rest, &other, &places)?);
            }
            let over = |nearest: f32| if nearest > 0.0 { own / nearest } else { 1.0 };
            (thing, tint) = (thing.max(over(nearest[0])), tint.max(over(nearest[1])));
        }
        self.at_most("thing", thing, SLACK);
        self.at_most("colour", tint, SLACK);
        Ok(())
    }

    /// Round the new objects nothing is compared: size, turn and finish are not said.
    fn free_looks(&mut self, scene: &Scene, found: &[Object]) -> Result<(), SuiteError> {
        let mut rest = scene.clone();
        rest.objects.retain(|object| !found.iter().any(|new| new.id == object.id));
        let (with, without) = (self.picture(scene)?, self.picture(&rest)?);
        let side = with.side as i32;
        for place in with.changed(&without) {
            let (x, y) = (place as i32 % side, place as i32 / side);
            for (x, y) in (-ROUND..=ROUND).flat_map(|dy| (-ROUND..=ROUND).map(move |dx| (x + dx, y + dy))) {
                if (0..side).contains(&x) && (0..side).contains(&y) {
                    self.free.push((y * side + x) as usize);
                }
            }
        }
        Ok(())
    }
}

/// The looks that an object is searched for in.
fn looks(model: &Object) -> Vec<Object> {
    let sized = |size: f32| Object { size: model.size * size, ..model.clone() };
    if model.shape != Shape::Person {
        return SIZES.into_iter().map(sized).collect();
    }
    let dressed = |size: f32| Colour::ALL.into_iter().map(move |colour| (size, colour)).collect::<Vec<_>>();
    let all = SIZES[1..4].iter().flat_map(|size| dressed(*size));
    all.map(|(size, colour)| Object { colour, ..sized(size) }).collect()
}

/// Whether more than half of the smaller of two objects lies over the other.
fn is_same_place(scene: &Scene, a: &Object, b: &Object) -> bool {
    let view = View::new(&scene.camera, 1.0);
    let [a, b] = [a, b].map(|object| Extent::of(object, &view).0);
    let shared = |low: usize, high: usize| (a[high].min(b[high]) - a[low].max(b[low])).max(0.0);
    let area = |of: [f32; 4]| (of[2] - of[0]) * (of[3] - of[1]);
    shared(0, 2) * shared(1, 3) > 0.5 * area(a).min(area(b))
}

fn and(scene: &Scene, object: Object) -> Scene {
    let mut scene = scene.clone();
    scene.objects.push(object);
    scene
}

fn union<'o>(objects: impl Iterator<Item = &'o Object>, view: &View) -> [f32; 4] {
    let empty = [f32::INFINITY, f32::INFINITY, f32::NEG_INFINITY, f32::NEG_INFINITY];
    objects
        .map(|object| Extent::of(object, view).0)
        .fold(empty, |a, b| [a[0].min(b[0]), a[1].min(b[1]), a[2].max(b[2]), a[3].max(b[3])])
}

/// How far what was added is from being at a side of the anchor: within the anchor's span across, and clear of its middle.
fn off_side(relation: Relation, own: [f32; 4], anchor: [f32; 4]) -> f32 {
    let [u, v] = [(own[0] + own[2]) / 2.0, (own[1] + own[3]) / 2.0];
    let [x, y] = [(anchor[0] + anchor[2]) / 2.0, (anchor[1] + anchor[3]) / 2.0];
    let half = |low: usize, high: usize| (own[high] - own[low] + anchor[high] - anchor[low]) / 2.0;
    let (apart, high) = (half(0, 2), half(1, 3));
    // Along the side it must have passed half of what would touch, and must not be farther than twice that; across, no
    // farther than what would touch.
    let along = |way: f32, touching: f32| (0.5 * touching - way).max(way - 2.0 * touching);
    let across = |way: f32, touching: f32| way.abs() - touching;
    let off = match relation {
        Relation::LeftOf => along(x - u, apart).max(across(v - y, high)),
        Relation::RightOf => along(u - x, apart).max(across(v - y, high)),
        Relation::Above | Relation::Behind => along(y - v, high).max(across(u - x, apart)),
        Relation::Below | Relation::InFrontOf => along(v - y, high).max(across(u - x, apart)),
        Relation::NextTo => along((u - x).abs(), apart).max(across(v - y, high)),
        Relation::Between | Relation::On | Relation::Inside => 0.0,
    };
    off.max(0.0)
}
