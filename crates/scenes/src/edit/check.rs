//! What an edited scene must keep to.

use super::EditError;
use crate::camera::View;
use crate::render::Renderer;
use crate::scene::{Object, ObjectId, Scene, Shape};
use crate::truth::Extent;

/// Pixels a side of the image that visible shares are measured in.
const MEASURED: u32 = 96;

/// What an edit may do to the objects it touches. What was out of bounds before the edit, and is not touched, is let be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Height over width of the image that the edit is for.
    pub aspect: f32,
    /// How far from the frame's edges whole objects must stay; `None` lets them leave it.
    pub margin: Option<f32>,
    /// The least share of an object that must be seen.
    pub visible: f32,
}

impl Default for Limits {
    /// A square image, objects within the frame, each at least half seen.
    fn default() -> Self {
        Self { aspect: 1.0, margin: Some(0.0), visible: 0.5 }
    }
}

/// The radius on the ground that an object needs for itself.
pub(crate) fn footprint(object: &Object) -> f32 {
    let per_size = match object.shape {
        Shape::Sphere | Shape::Ball | Shape::Cone => 0.5,
        Shape::Cube => 0.6,
        Shape::Cylinder => 0.42,
        Shape::Vase => 0.32,
        Shape::Tree => 0.36,
        Shape::House => 0.56,
        Shape::Cat => 0.56,
        Shape::Person => 0.28,
    };
    per_size * object.size
}

/// Whether two objects stand in each other.
pub(crate) fn overlap(a: &Object, b: &Object) -> bool {
    let [x, y] = [a.position[0] - b.position[0], a.position[1] - b.position[1]];
    let reach = footprint(a) + footprint(b);
    x * x + y * y < reach * reach
}

/// Checks the objects that an edit has touched, where they stand and how they are seen.
pub(super) fn check(
    before: &Scene,
    after: &Scene,
    touched: &[ObjectId],
    limits: &Limits,
    renderer: &mut Renderer,
) -> Result<(), EditError> {
    after.validate().map_err(|source| EditError::Scene { source })?;
    let view = View::new(&after.camera, limits.aspect);
    let camera_moved = before.camera != after.camera;
    for object in after.objects.iter().filter(|object| camera_moved || touched.contains(&object.id)) {
        check_place(object, &view, limits)?;
    }
    for object in after.objects.iter().filter(|object| touched.contains(&object.id)) {
        let in_way = |other: &&Object| other.id != object.id && overlap(object, other);
        if let Some(other) = after.objects.iter().find(in_way) {
            return Err(EditError::WouldOverlap { id: object.id, other: other.id });
        }
    }
    check_seen(before, after, limits, renderer)
}

fn check_place(object: &Object, view: &View, limits: &Limits) -> Result<(), EditError> {
    if view.ground_to_image(object.position)[1] < view.horizon_v() {
        return Err(EditError::BeyondHorizon { id: object.id });
    }
    let extent = Extent::of(object, view);
    if let Some(margin) = limits.margin
        && !extent.within_frame(margin)
    {
        return Err(EditError::OutOfFrame { id: object.id, extent: extent.0 });
    }
    Ok(())
}

/// No object may be hidden by the edit that was not before.
fn check_seen(
    before: &Scene,
    after: &Scene,
    limits: &Limits,
    renderer: &mut Renderer,
) -> Result<(), EditError> {
    if limits.visible <= 0.0 || after.objects.is_empty() {
        return Ok(());
    }
    let height = ((MEASURED as f32 * limits.aspect) as u32).clamp(8, MEASURED * 8);
    let mut measure = |scene: &Scene| {
        renderer.measure(scene, MEASURED, height).map_err(|source| EditError::Scene { source })
    };
    let (_, truth) = measure(after)?;
    let hidden = |object: &&crate::ObjectTruth| {
        let outside = limits.margin.is_none() && object.full_area == 0;
        object.visible < limits.visible && !outside
    };
    if !truth.objects.iter().any(|object| hidden(&object)) {
        return Ok(());
    }
    let (_, earlier) = measure(before)?;
    let newly = |object: &&crate::ObjectTruth| {
        hidden(object) && earlier.object(object.id).is_none_or(|was| was.visible > object.visible)
    };
    match truth.objects.iter().find(newly) {
        Some(object) => {
            Err(EditError::WouldHide { id: object.id, visible: object.visible, least: limits.visible })
        }
        None => Ok(()),
    }
}
