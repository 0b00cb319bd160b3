//! A scene laid out in view coordinates, ready for rays.

use glam::{Mat3, Vec2, Vec3};

use crate::camera::{View, sin_cos};
use crate::model::solid::Solid;
use crate::model::{Paint, Part, about_vertical, add_parts};
use crate::scene::{Light, Object, Scene};

/// Directions to the light's disc that soft shadows are made of.
pub(crate) const LIGHTS: usize = 12;

/// A rectangle in view coordinates.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) min: Vec2,
    pub(crate) max: Vec2,
}

impl Bounds {
    const EMPTY: Self = Self { min: Vec2::INFINITY, max: Vec2::NEG_INFINITY };

    #[inline]
    pub(crate) fn hold(&self, point: Vec2) -> bool {
        point.x >= self.min.x && point.x <= self.max.x && point.y >= self.min.y && point.y <= self.max.y
    }

    fn and(self, other: Self) -> Self {
        Self { min: self.min.min(other.min), max: self.max.max(other.max) }
    }
}

/// A sphere that holds a thing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ball {
    pub(crate) middle: Vec3,
    pub(crate) radius: f32,
}

impl Ball {
    /// Whether the cone from a place to a disc of light meets it.
    #[inline]
    pub(crate) fn may_shade(&self, place: Vec3, light: Vec3, tangent: f32) -> bool {
        let to = self.middle - place;
        let along = to.dot(light);
        let reach = self.radius + along.max(0.0) * tangent;
        along > -self.radius && to.length_squared() - along * along < reach * reach
    }
}

/// A part where it stands.
#[derive(Clone, Debug)]
pub(crate) struct PlacedPart {
    pub(crate) solid: Solid,
    pub(crate) paint: Paint,
    /// View to the solid's own axes, rotation only.
    pub(crate) to_local: Mat3,
    pub(crate) centre: Vec3,
    pub(crate) bounds: Bounds,
    pub(crate) ball: Ball,
    /// The viewing direction in the solid's axes.
    eye: Vec3,
    /// The directions to the light in the solid's axes.
    lights: [Vec3; LIGHTS],
}

impl PlacedPart {
    fn new(part: &Part, object: &Object, turn: Mat3, view: &View, lights: &[Vec3; LIGHTS]) -> Self {
        let (solid, bounds) = part_bounds(part, object, turn, view);
        let to_local = (view.rotation * turn * part.turn).transpose();
        let centre = view.to_view(stands(object) + turn * part.at * object.size);
        let (offset, radius) = solid.ball();
        Self {
            solid,
            paint: part.paint,
            to_local,
            centre,
            bounds,
            ball: Ball { middle: centre + to_local.transpose() * offset, radius },
            eye: to_local * Vec3::Z,
            lights: lights.map(|light| to_local * light),
        }
    }

    /// The depth at which the line of sight through `point` enters, and by which face.
    #[inline]
    pub(crate) fn seen(&self, point: Vec2) -> Option<(f32, u8)> {
        if !self.bounds.hold(point) {
            return None;
        }
        let origin = self.local(point.extend(0.0));
        self.solid.cross(origin, self.eye).map(|crossing| (crossing.enter, crossing.face))
    }

    /// A point in the solid's axes.
    #[inline]
    pub(crate) fn local(&self, point: Vec3) -> Vec3 {
        self.to_local * (point - self.centre)
    }

    /// Whether it stands between a point in its own axes and the light's direction of this index.
    #[inline]
    pub(crate) fn shades(&self, origin: Vec3, light: usize) -> bool {
        self.solid.cross(origin, self.lights[light]).is_some_and(|crossing| crossing.leave > 0.0)
    }

    /// The normal in view coordinates, and the point in the solid's axes.
    pub(crate) fn surface(&self, point: Vec3, face: u8) -> (Vec3, Vec3) {
        let local = self.local(point);
        (self.to_local.transpose() * self.solid.normal(local, face), local)
    }
}

/// An object where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    /// Its place in the scene's list.
    pub(crate) index: usize,
    /// Its parts in [`Stage::parts`].
    pub(crate) first: usize,
    pub(crate) last: usize,
    pub(crate) bounds: Bounds,
    pub(crate) ball: Ball,
    pub(crate) shadow: bool,
}

/// The scene in view coordinates.
#[derive(Debug, Default)]
pub(crate) struct Stage {
    pub(crate) bodies: Vec<Body>,
    pub(crate) parts: Vec<PlacedPart>,
    scratch: Vec<Part>,
}

impl Stage {
    /// Lays the scene out, in the buffers of the one before.
    pub(crate) fn set(&mut self, scene: &Scene, view: &View) {
        self.bodies.clear();
        self.parts.clear();
        let lights = light_directions(&scene.light, view);
        for (index, object) in scene.objects.iter().enumerate() {
            self.scratch.clear();
            add_parts(object, &mut self.scratch);
            let turn = about_vertical(object.rotation);
            let first = self.parts.len();
            let placed = self.scratch.iter().map(|part| PlacedPart::new(part, object, turn, view, &lights));
            self.parts.extend(placed);
            self.bodies.push(body(index, first, object.shadow, &self.parts[first..]));
        }
    }

    /// The parts of an object.
    pub(crate) fn parts_of(&self, body: &Body) -> &[PlacedPart] {
        &self.parts[body.first..body.last]
    }
}

/// The rectangle that an object fills in a view.
pub(crate) fn object_bounds(object: &Object, view: &View) -> Bounds {
    let mut parts = Vec::new();
    add_parts(object, &mut parts);
    let turn = about_vertical(object.rotation);
    let bounds = parts.iter().map(|part| part_bounds(part, object, turn, view).1);
    bounds.fold(Bounds::EMPTY, Bounds::and)
}

/// A part's solid in the view's scale, and the rectangle that it fills.
fn part_bounds(part: &Part, object: &Object, turn: Mat3, view: &View) -> (Solid, Bounds) {
    let solid = part.solid.scaled(object.size * view.zoom);
    let to_local = (view.rotation * turn * part.turn).transpose();
    let reach = |along: Vec3| solid.reach(to_local * along);
    let middle = view.to_view(stands(object) + turn * part.at * object.size).truncate();
    let bounds = Bounds {
        min: middle - Vec2::new(reach(Vec3::NEG_X), reach(Vec3::NEG_Y)),
        max: middle + Vec2::new(reach(Vec3::X), reach(Vec3::Y)),
    };
    (solid, bounds)
}

fn stands(object: &Object) -> Vec3 {
    Vec3::new(object.position[0], object.position[1], 0.0)
}

fn body(index: usize, first: usize, shadow: bool, parts: &[PlacedPart]) -> Body {
    let bounds = parts.iter().fold(Bounds::EMPTY, |bounds, part| bounds.and(part.bounds));
    let (low, high) =
        parts.iter().map(|part| part.ball).fold((Vec3::INFINITY, Vec3::NEG_INFINITY), |(low, high), ball| {
            (low.min(ball.middle - ball.radius), high.max(ball.middle + ball.radius))
        });
    let middle = (low + high) / 2.0;
    let reach = |part: &PlacedPart| part.ball.middle.distance(middle) + part.ball.radius;
    let radius = parts.iter().map(reach).fold(0.0, f32::max);
    Body { index, first, last: first + parts.len(), bounds, ball: Ball { middle, radius }, shadow }
}

/// The unit vector to the light's middle, in world coordinates.
pub(crate) fn light_direction(light: &Light) -> Vec3 {
    let (sin_azimuth, cos_azimuth) = sin_cos(light.azimuth);
    let (sin_elevation, cos_elevation) = sin_cos(light.elevation);
    Vec3::new(cos_azimuth * cos_elevation, sin_azimuth * cos_elevation, sin_elevation)
}

/// Directions spread evenly over the light's disc (Vogel's spiral), in view coordinates.
fn light_directions(light: &Light, view: &View) -> [Vec3; LIGHTS] {
    const GOLDEN_ANGLE: f32 = 137.507_77;
    let middle = view.rotation * light_direction(light);
    let side = middle.any_orthonormal_vector();
    let other = middle.cross(side);
    let (sin, cos) = sin_cos(light.spread);
    std::array::from_fn(|i| {
        let radius = ((i as f32 + 0.5) / LIGHTS as f32).sqrt() * sin / cos;
        let (sin, cos) = sin_cos(i as f32 * GOLDEN_ANGLE);
        (middle + (side * cos + other * sin) * radius).normalize()
    })
}
