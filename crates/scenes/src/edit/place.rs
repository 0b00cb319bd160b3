//! Finding places in the image, and the ground points that give them.

use retouch_instruction::{Region, Relation};

use super::check::{Limits, overlap};
use super::{EditError, Spot};
use crate::camera::View;
use crate::scene::{Object, ObjectId, Scene};
use crate::truth::Extent;

/// Between an object and what it is put beside, in widths of the image.
pub(super) const GAP: f32 = 0.04;
/// Between the objects of a row.
const ROW_GAP: f32 = 0.02;
/// Candidates on each axis for [`Spot::Anywhere`].
const CANDIDATES: i32 = 15;

/// Moves an object in the image.
pub(crate) fn shift(object: &mut Object, view: &View, du: f32, dv: f32) {
    let [x, y] = view.ground_motion(du, dv);
    object.position[0] += x;
    object.position[1] += y;
}

/// What holds all of these objects.
pub(super) fn union(objects: &[Object], view: &View) -> Extent {
    let empty = [f32::INFINITY, f32::INFINITY, f32::NEG_INFINITY, f32::NEG_INFINITY];
    Extent(
        objects
            .iter()
            .map(|object| Extent::of(object, view).0)
            .fold(empty, |a, b| [a[0].min(b[0]), a[1].min(b[1]), a[2].max(b[2]), a[3].max(b[3])]),
    )
}

/// The objects of a row side by side, in the middle of the image.
pub(super) fn row(template: &Object, count: u32, first_id: ObjectId, view: &View) -> Vec<Object> {
    let width = Extent::of(template, view).size()[0] + ROW_GAP;
    (0..count)
        .map(|i| {
            let mut object = template.clone();
            object.id = ObjectId(first_id.0.saturating_add(i));
            let [x, y] = object.position;
            let offset = (i as f32 - (count - 1) as f32 / 2.0) * width;
            shift(&mut object, view, offset, 0.0);
            debug_assert!(count > 1 || [x, y] == object.position, "one object stays where it is");
            object
        })
        .collect()
}

/// Moves a formation to a spot, among the other objects of the scene.
pub(super) fn put(
    formation: &mut [Object],
    spot: &Spot,
    scene: &Scene,
    view: &View,
    limits: &Limits,
) -> Result<(), EditError> {
    match spot {
        Spot::Region(region) => put_in_region(formation, *region, view, limits),
        Spot::Beside { relation, anchors } => {
            let anchors = anchors
                .iter()
                .map(|id| scene.object(*id).cloned().ok_or(EditError::NoSuchObject { id: *id }));
            put_beside(formation, *relation, &anchors.collect::<Result<Vec<_>, _>>()?, scene, view, limits)
        }
        Spot::Anywhere => put_anywhere(formation, scene, view, limits),
    }
}

fn shift_all(formation: &mut [Object], view: &View, du: f32, dv: f32) {
    for object in formation {
        shift(object, view, du, dv);
    }
}

fn move_centre(formation: &mut [Object], view: &View, to: [f32; 2]) {
    let [u, v] = union(formation, view).centre();
    shift_all(formation, view, to[0] - u, to[1] - v);
}

fn put_in_region(
    formation: &mut [Object],
    region: Region,
    view: &View,
    limits: &Limits,
) -> Result<(), EditError> {
    let (u, v) = region.centre();
    move_centre(formation, view, [u as f32, v as f32]);
    let [left, top, right, bottom] = union(formation, view).0;
    let margin = limits.margin.unwrap_or(0.0);
    // The highest feet are the first to meet the horizon.
    let feet = |object: &Object| view.ground_to_image(object.position)[1];
    let highest = formation.iter().map(feet).fold(f32::INFINITY, f32::min);
    let down = (margin - top).max(view.horizon_v() + 0.005 - highest).max(0.0);
    let up = (bottom - (1.0 - margin)).max(0.0);
    let (rightwards, leftwards) = ((margin - left).max(0.0), (right - (1.0 - margin)).max(0.0));
    shift_all(formation, view, rightwards - leftwards, down - up);
    let [u, v] = union(formation, view).centre().map(f64::from);
    let bounds = region.bounds();
    let inside = (bounds.left..=bounds.right).contains(&u) && (bounds.top..=bounds.bottom).contains(&v);
    if inside { Ok(()) } else { Err(EditError::NoRoom { count: formation.len() as u32 }) }
}

fn put_beside(
    formation: &mut [Object],
    relation: Relation,
    anchors: &[Object],
    scene: &Scene,
    view: &View,
    limits: &Limits,
) -> Result<(), EditError> {
    let count = formation.len() as u32;
    if anchors.is_empty() || (relation == Relation::Between) != (anchors.len() == 2) {
        return Err(EditError::NoRoom { count });
    }
    let anchor = union(anchors, view);
    let [own_width, own_height] = union(formation, view).size();
    let [anchor_width, anchor_height] = anchor.size();
    let [u, v] = anchor.centre();
    let aside = (anchor_width + own_width) / 2.0 + GAP;
    let apart = (anchor_height + own_height) / 2.0 + GAP / view.aspect;
    match relation {
        Relation::LeftOf | Relation::RightOf => {
            let side = if relation == Relation::LeftOf { -1.0 } else { 1.0 };
            stand_beside(formation, anchors, view, u + side * aside);
        }
        Relation::Above | Relation::Behind => move_centre(formation, view, [u, v - apart]),
        Relation::Below | Relation::InFrontOf => move_centre(formation, view, [u, v + apart]),
        Relation::Between => stand_beside(formation, anchors, view, u),
        Relation::NextTo => {
            stand_beside(formation, anchors, view, u + aside);
            if !is_free(formation, scene, view, limits) {
                stand_beside(formation, anchors, view, u - aside);
            }
        }
        Relation::On | Relation::Inside => return Err(EditError::RelationUnsupported { relation }),
    }
    Ok(())
}

/// Puts a formation's centre at this u, and its feet, on the mean, as high as those of the anchors.
fn stand_beside(formation: &mut [Object], anchors: &[Object], view: &View, u: f32) {
    let feet = |objects: &[Object]| {
        let sum: f32 = objects.iter().map(|object| view.ground_to_image(object.position)[1]).sum();
        sum / objects.len() as f32
    };
    let [own, _] = union(formation, view).centre();
    let dv = feet(anchors) - feet(formation);
    shift_all(formation, view, u - own, dv);
}

fn put_anywhere(
    formation: &mut [Object],
    scene: &Scene,
    view: &View,
    limits: &Limits,
) -> Result<(), EditError> {
    let half = CANDIDATES / 2;
    let mut offsets: Vec<(i32, i32)> =
        (-half..=half).flat_map(|x| (-half..=half).map(move |y| (x, y))).collect();
    offsets.sort_by_key(|(x, y)| x * x + y * y);
    for (x, y) in offsets {
        let at = |offset: i32| 0.5 + offset as f32 * 0.9 / CANDIDATES as f32;
        move_centre(formation, view, [at(x), at(y)]);
        if is_free(formation, scene, view, limits) {
            return Ok(());
        }
    }
    Err(EditError::NoRoom { count: formation.len() as u32 })
}

/// Whether a formation is in the frame, on the ground, and neither in nor over another object.
fn is_free(formation: &[Object], scene: &Scene, view: &View, limits: &Limits) -> bool {
    let moving = |id: ObjectId| formation.iter().any(|object| object.id == id);
    formation.iter().all(|object| {
        let [left, top, right, bottom] = Extent::of(object, view).0;
        let clear = scene.objects.iter().filter(|other| !moving(other.id)).all(|other| {
            let [l, t, r, b] = Extent::of(other, view).0;
            !overlap(object, other) && (left >= r || right <= l || top >= b || bottom <= t)
        });
        clear
            && Extent([left, top, right, bottom]).within_frame(limits.margin.unwrap_or(0.0))
            && view.ground_to_image(object.position)[1] >= view.horizon_v()
    })
}
