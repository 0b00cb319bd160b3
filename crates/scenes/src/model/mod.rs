//! What the objects are made of: convex solids, each with a paint.

mod figures;
mod person;
pub(crate) mod solid;

use glam::{Mat3, Vec3};

use crate::camera::sin_cos;
use crate::colour::Rgb;
use crate::scene::{Object, Shape};
use solid::Solid;

/// A solid of an object that is 1 high, stands on z = 0 about the z axis and faces -y.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) solid: Solid,
    /// Where the solid's origin is.
    pub(crate) at: Vec3,
    /// The solid's axes.
    pub(crate) turn: Mat3,
    pub(crate) paint: Paint,
}

/// What colours a part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Paint {
    /// The object's colour and material.
    Own,
    /// The object's colour and white in bands across the solid's z.
    Striped,
    /// A colour of its own, matte.
    Fixed(Rgb),
}

impl Part {
    fn new(solid: Solid, at: [f32; 3], paint: Paint) -> Self {
        Self { solid, at: Vec3::from_array(at), turn: Mat3::IDENTITY, paint }
    }

    /// The solid's z axis leant by these degrees to the right (towards +x).
    fn leant(self, degrees: f32) -> Self {
        let (sin, cos) = sin_cos(degrees);
        let lean = Mat3::from_cols(Vec3::new(cos, 0.0, -sin), Vec3::Y, Vec3::new(sin, 0.0, cos));
        Self { turn: lean * self.turn, ..self }
    }
}

/// A rotation about z, counterclockwise seen from above.
pub(crate) fn about_vertical(degrees: f32) -> Mat3 {
    let (sin, cos) = sin_cos(degrees);
    Mat3::from_cols(Vec3::new(cos, sin, 0.0), Vec3::new(-sin, cos, 0.0), Vec3::Z)
}

/// Adds the parts of an object of height 1.
pub(crate) fn add_parts(object: &Object, parts: &mut Vec<Part>) {
    match (object.shape, &object.person) {
        (Shape::Sphere, _) => parts.push(ball(Paint::Own)),
        (Shape::Ball, _) => parts.push(ball(Paint::Striped).leant(28.0)),
        (Shape::Cube, _) => parts.push(Part::new(Solid::standing_box(0.5, 0.5, 1.0), [0.0; 3], Paint::Own)),
        (Shape::Cylinder, _) => parts.push(frustum(0.42, 0.42, 1.0, [0.0; 3], Paint::Own)),
        (Shape::Cone, _) => parts.push(frustum(0.5, 0.0, 1.0, [0.0; 3], Paint::Own)),
        (Shape::Vase, _) => figures::add_vase(parts),
        (Shape::Tree, _) => figures::add_tree(parts),
        (Shape::House, _) => figures::add_house(parts),
        (Shape::Cat, _) => figures::add_cat(parts),
        (Shape::Person, Some(attributes)) => person::add(attributes, parts),
        // `Scene::validate` refuses it; there is nothing to draw.
        (Shape::Person, None) => {}
    }
}

fn ball(paint: Paint) -> Part {
    Part::new(Solid::Ellipsoid { radii: Vec3::splat(0.5) }, [0.0, 0.0, 0.5], paint)
}

fn ellipsoid(radii: [f32; 3], at: [f32; 3], paint: Paint) -> Part {
    Part::new(Solid::Ellipsoid { radii: Vec3::from_array(radii) }, at, paint)
}

fn frustum(bottom: f32, top: f32, height: f32, at: [f32; 3], paint: Paint) -> Part {
    Part::new(Solid::Frustum { bottom, top, height }, at, paint)
}
