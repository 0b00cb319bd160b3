//! The bounds of a scene that can be rendered.

use crate::error::SceneError;
use crate::scene::{Camera, Light, Object, Scene, Shape, VERSION};

/// The most objects in a scene.
pub const MOST_OBJECTS: usize = 64;

impl Scene {
    /// Checks every bound. What passes can be rendered.
    ///
    /// # Errors
    /// The first breach: [`SceneError::VersionUnsupported`], [`SceneError::OutOfRange`],
    /// [`SceneError::TooManyObjects`], [`SceneError::DuplicateId`], [`SceneError::PersonMismatch`].
    pub fn validate(&self) -> Result<(), SceneError> {
        if self.version != VERSION {
            return Err(SceneError::VersionUnsupported { found: self.version });
        }
        if self.objects.len() > MOST_OBJECTS {
            return Err(SceneError::TooManyObjects { found: self.objects.len(), limit: MOST_OBJECTS });
        }
        validate_camera(&self.camera)?;
        validate_light(&self.light)?;
        for (index, object) in self.objects.iter().enumerate() {
            validate_object(index, object)?;
            if self.objects[..index].iter().any(|other| other.id == object.id) {
                return Err(SceneError::DuplicateId { id: object.id });
            }
        }
        Ok(())
    }
}

fn validate_camera(camera: &Camera) -> Result<(), SceneError> {
    within("camera.target[0]", camera.target[0], -10.0, 10.0)?;
    within("camera.target[1]", camera.target[1], -10.0, 10.0)?;
    within("camera.yaw", camera.yaw, -360.0, 360.0)?;
    within("camera.pitch", camera.pitch, 10.0, 85.0)?;
    within("camera.zoom", camera.zoom, 0.1, 10.0)?;
    within("camera.horizon", camera.horizon, -20.0, 20.0)
}

fn validate_light(light: &Light) -> Result<(), SceneError> {
    within("light.azimuth", light.azimuth, -360.0, 360.0)?;
    within("light.elevation", light.elevation, 10.0, 90.0)?;
    within("light.spread", light.spread, 0.0, 20.0)?;
    within("light.ambient", light.ambient, 0.0, 1.0)
}

fn validate_object(index: usize, object: &Object) -> Result<(), SceneError> {
    let field = |name: &str| format!("objects[{index}].{name}");
    within(field("size"), object.size, 0.01, 2.0)?;
    within(field("position[0]"), object.position[0], -10.0, 10.0)?;
    within(field("position[1]"), object.position[1], -10.0, 10.0)?;
    within(field("rotation"), object.rotation, -360.0, 360.0)?;
    if object.person.is_some() != (object.shape == Shape::Person) {
        return Err(SceneError::PersonMismatch { id: object.id });
    }
    Ok(())
}

fn within(field: impl Into<String>, value: f32, min: f32, max: f32) -> Result<(), SceneError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(SceneError::OutOfRange { field: field.into(), value, min, max })
}
