//! Scene graphs, true edits on them, and a ray caster that gives pixels together with the exact truth about them.
//!
//! - [`Scene`]: objects on a ground, a light, a camera, a background; JSON of a fixed version, checked;
//! - [`Renderer`]: the ray caster; the same scene gives the same bits on every platform.
//!
//! Pure functions: no files, no clock, no global state; randomness comes from the caller's seed.

mod camera;
mod colour;
mod error;
mod model;
mod render;
mod scene;
mod truth;
mod validate;

pub use self::camera::View;
pub use self::colour::{Colour, Rgb};
pub use self::error::SceneError;
pub use self::render::{MOST_PIXELS_A_SIDE, Rendered, Renderer};
pub use self::scene::{
    Background, Camera, Gender, Ground, Hair, Light, Material, Object, ObjectId, Person, Profession, Scene,
    Shape, Skin, Sky, Texture, VERSION,
};
pub use self::truth::{Extent, Mask, ObjectTruth, Truth};
pub use self::validate::MOST_OBJECTS;
