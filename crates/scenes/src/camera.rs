//! From the world to the image and back.
//!
//! View coordinates: x to the right and y up in the image, z away from the viewer, in image widths from the middle.
//! Image coordinates: u to the right and v *down* from the upper left corner, both as fractions (of width and height).

use glam::{Mat3, Vec2, Vec3};

use crate::scene::Camera;

/// A camera together with the proportions of the image.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// World to view, rotation only.
    pub(crate) rotation: Mat3,
    target: Vec3,
    pub(crate) zoom: f32,
    /// Height over width.
    pub(crate) aspect: f32,
    sin_pitch: f32,
    /// The view's y of the line where the ground ends.
    pub(crate) horizon: f32,
}

impl View {
    /// The view of a camera in an image whose height is `aspect` times its width.
    pub fn new(camera: &Camera, aspect: f32) -> Self {
        let (sin_yaw, cos_yaw) = sin_cos(camera.yaw);
        let (sin_pitch, cos_pitch) = sin_cos(camera.pitch);
        let right = Vec3::new(cos_yaw, sin_yaw, 0.0);
        let ahead = Vec3::new(-sin_yaw, cos_yaw, 0.0);
        let up = ahead * sin_pitch + Vec3::Z * cos_pitch;
        let away = ahead * cos_pitch - Vec3::Z * sin_pitch;
        Self {
            rotation: Mat3::from_cols(right, up, away).transpose(),
            target: Vec3::new(camera.target[0], camera.target[1], 0.0),
            zoom: camera.zoom,
            aspect,
            sin_pitch,
            horizon: camera.horizon * sin_pitch * camera.zoom,
        }
    }

    /// The view coordinates of a world point.
    pub(crate) fn to_view(self, world: Vec3) -> Vec3 {
        self.rotation * (world - self.target) * self.zoom
    }

    /// The world point of view coordinates.
    pub(crate) fn to_world(self, view: Vec3) -> Vec3 {
        self.rotation.transpose() * (view / self.zoom) + self.target
    }

    /// Image coordinates (u, v) of view coordinates.
    pub(crate) fn to_image(self, view: Vec2) -> [f32; 2] {
        [0.5 + view.x, 0.5 - view.y / self.aspect]
    }

    /// The motion on the ground that moves an object by (du, dv) in the image: exact, because the projection is linear.
    pub fn ground_motion(&self, du: f32, dv: f32) -> [f32; 2] {
        let right = self.rotation.row(0);
        let x = du / self.zoom;
        let y = -dv * self.aspect / (self.sin_pitch * self.zoom);
        let motion = Vec2::new(right.x, right.y) * x + self.ahead() * y;
        [motion.x, motion.y]
    }

    /// The direction on the ground that the camera looks in, of length 1.
    pub(crate) fn ahead(&self) -> Vec2 {
        let up = self.rotation.row(1);
        Vec2::new(up.x, up.y) / self.sin_pitch
    }

    /// Image coordinates of a point on the ground.
    pub fn ground_to_image(&self, position: [f32; 2]) -> [f32; 2] {
        let view = self.to_view(Vec3::new(position[0], position[1], 0.0));
        self.to_image(view.truncate())
    }

    /// The v of the line where the ground ends.
    pub fn horizon_v(&self) -> f32 {
        0.5 - self.horizon / self.aspect
    }
}

/// Sine and cosine of degrees, with the same bits on every platform.
pub(crate) fn sin_cos(degrees: f32) -> (f32, f32) {
    let radians = f64::from(degrees).to_radians();
    (libm::sin(radians) as f32, libm::cos(radians) as f32)
}

/// An angle in degrees brought into (-180, 180].
pub(crate) fn normalised_degrees(degrees: f32) -> f32 {
    let turned = degrees % 360.0;
    if turned > 180.0 {
        turned - 360.0
    } else if turned <= -180.0 {
        turned + 360.0
    } else {
        turned
    }
}
