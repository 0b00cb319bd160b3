//! Carrying edits out.

use glam::Vec2;
use retouch_instruction::Relation;

use super::check::{Limits, check};
use super::{Edit, EditError, Focus, Spot, place};
use crate::camera::{View, normalised_degrees};
use crate::render::Renderer;
use crate::scene::{Object, ObjectId, Scene};
use crate::truth::Extent;
use crate::validate::MOST_OBJECTS;

impl Edit {
    /// The scene after the edit.
    ///
    /// # Errors
    /// [`EditError`], for edits that are impossible in this scene or break `limits`.
    pub fn apply(&self, scene: &Scene, limits: &Limits) -> Result<Scene, EditError> {
        self.apply_with(scene, limits, &mut Renderer::new())
    }

    /// As [`Edit::apply`], with the buffers of a renderer.
    ///
    /// # Errors
    /// As [`Edit::apply`].
    pub fn apply_with(
        &self,
        scene: &Scene,
        limits: &Limits,
        renderer: &mut Renderer,
    ) -> Result<Scene, EditError> {
        scene.validate().map_err(|source| EditError::Scene { source })?;
        let mut after = scene.clone();
        let touched = self.change(&mut after, limits)?;
        if after == *scene {
            return Err(EditError::NoChange { reason: "everything is so already" });
        }
        check(scene, &after, &touched, limits, renderer)?;
        Ok(after)
    }

    /// Changes the scene; the objects whose place or size changed.
    fn change(&self, scene: &mut Scene, limits: &Limits) -> Result<Vec<ObjectId>, EditError> {
        let view = View::new(&scene.camera, limits.aspect);
        match self {
            Self::MoveBy { objects, du, dv } => {
                amount("du", *du)?;
                amount("dv", *dv)?;
                each(scene, objects, |object| place::shift(object, &view, *du, *dv))
            }
            Self::MoveTo { objects, spot } => move_to(scene, objects, spot, &view, limits),
            Self::Add { object, count, spot } => add(scene, object, *count, spot, &view, limits),
            Self::Remove { objects } => {
                each(scene, objects, |_| {})?;
                scene.objects.retain(|object| !objects.contains(&object.id));
                Ok(Vec::new())
            }
            Self::Recolour { objects, colour } => {
                each(scene, objects, |object| object.colour = *colour)?;
                Ok(Vec::new())
            }
            Self::Resize { objects, factor } => {
                positive("factor", *factor)?;
                each(scene, objects, |object| object.size *= factor)
            }
            Self::Restyle { objects, material } => {
                each(scene, objects, |object| object.material = *material)?;
                Ok(Vec::new())
            }
            Self::Shadow { objects, on } => {
                each(scene, objects, |object| object.shadow = *on)?;
                Ok(Vec::new())
            }
            Self::Swap { first, second } => swap(scene, *first, *second),
            Self::RotateView { degrees } => {
                amount("degrees", *degrees)?;
                scene.camera.yaw = normalised_degrees(scene.camera.yaw + degrees);
                Ok(Vec::new())
            }
            Self::Zoom { factor, focus } => zoom(scene, *factor, *focus, &view),
            Self::ChangeBackground { background } => {
                scene.background = *background;
                Ok(Vec::new())
            }
        }
    }
}

fn amount(what: &'static str, value: f32) -> Result<(), EditError> {
    if value.is_finite() { Ok(()) } else { Err(EditError::ValueInvalid { what, value, rule: "finite" }) }
}

fn positive(what: &'static str, value: f32) -> Result<(), EditError> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(EditError::ValueInvalid { what, value, rule: "above 0" })
}

/// Changes each of the objects named.
fn each(
    scene: &mut Scene,
    ids: &[ObjectId],
    mut change: impl FnMut(&mut Object),
) -> Result<Vec<ObjectId>, EditError> {
    if ids.is_empty() {
        return Err(EditError::NothingNamed);
    }
    let mut changed = Vec::with_capacity(ids.len());
    for &id in ids {
        let object = scene.objects.iter_mut().find(|object| object.id == id);
        let object = object.ok_or(EditError::NoSuchObject { id })?;
        // One that is named twice changes once.
        if !changed.contains(&id) {
            change(object);
            changed.push(id);
        }
    }
    Ok(changed)
}

fn move_to(
    scene: &mut Scene,
    ids: &[ObjectId],
    spot: &Spot,
    view: &View,
    limits: &Limits,
) -> Result<Vec<ObjectId>, EditError> {
    if ids.is_empty() {
        return Err(EditError::NothingNamed);
    }
    let find = |id: &ObjectId| scene.object(*id).cloned().ok_or(EditError::NoSuchObject { id: *id });
    let mut formation = ids.iter().map(find).collect::<Result<Vec<_>, _>>()?;
    place::put(&mut formation, spot, scene, view, limits)?;
    each(scene, ids, |object| {
        if let Some(moved) = formation.iter().find(|moved| moved.id == object.id) {
            object.position = moved.position;
        }
    })
}

fn add(
    scene: &mut Scene,
    template: &Object,
    count: u32,
    spot: &Spot,
    view: &View,
    limits: &Limits,
) -> Result<Vec<ObjectId>, EditError> {
    if count == 0 || scene.objects.len().saturating_add(count as usize) > MOST_OBJECTS {
        return Err(EditError::NoRoom { count });
    }
    let mut formation = place::row(template, count, scene.next_id(), view);
    place::put(&mut formation, spot, scene, view, limits)?;
    let ids = formation.iter().map(|object| object.id).collect();
    scene.objects.extend(formation);
    Ok(ids)
}

fn swap(scene: &mut Scene, first: ObjectId, second: ObjectId) -> Result<Vec<ObjectId>, EditError> {
    let place = |id: ObjectId| {
        let object = scene.object(id).ok_or(EditError::NoSuchObject { id })?;
        Ok::<_, EditError>(object.position)
    };
    let (of_first, of_second) = (place(first)?, place(second)?);
    if first == second {
        return Err(EditError::NoChange { reason: "an object swapped with itself stays where it is" });
    }
    each(scene, &[first, second], |object| {
        object.position = if object.id == first { of_second } else { of_first };
    })
}

fn zoom(
    scene: &mut Scene,
    factor: f32,
    focus: Option<Focus>,
    view: &View,
) -> Result<Vec<ObjectId>, EditError> {
    positive("factor", factor)?;
    let focus = match focus {
        None => [0.5, 0.5],
        Some(Focus::Region(region)) => {
            let (u, v) = region.centre();
            [u as f32, v as f32]
        }
        Some(Focus::Object(id)) => {
            let object = scene.object(id).ok_or(EditError::NoSuchObject { id })?;
            Extent::of(object, view).centre()
        }
    };
    let motion = Vec2::from_array(view.ground_motion(focus[0] - 0.5, focus[1] - 0.5));
    let camera = &mut scene.camera;
    camera.target = (Vec2::from_array(camera.target) + motion).to_array();
    // The ground ends where it did.
    camera.horizon -= view.ahead().dot(motion);
    camera.zoom *= factor;
    Ok(Vec::new())
}

impl Spot {
    /// The side of one object.
    pub fn beside(relation: Relation, anchor: ObjectId) -> Self {
        Self::Beside { relation, anchors: vec![anchor] }
    }
}
