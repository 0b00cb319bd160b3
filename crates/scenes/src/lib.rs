//! Scene graphs, true edits on them, and a ray caster that gives pixels together with the exact truth about them.
//!
//! - [`Scene`]: objects on a ground, a light, a camera, a background; JSON of a fixed version, checked;
//! - [`Edit`]: what an instruction asks for, carried out exactly, or a named error; [`ground`] makes it of an intent;
//! - [`Renderer`]: the ray caster; the same scene gives the same bits on every platform.
//! - [`Blender`]: the same scenes through Blender's path tracer;
//! - [`Pair::sample`]: a scene, an edit in words, and the scene after it, from a seed.
//!
//! Pure functions but for [`Blender`]: no files, no clock, no global state; randomness comes from the caller's seed.

mod backdrop;
mod blender;
mod camera;
mod colour;
mod edit;
mod error;
mod model;
mod names;
mod render;
mod sample;
mod scene;
mod truth;
mod validate;

pub use self::backdrop::Backdrop;
pub use self::blender::{Blender, BlenderError, BlenderImage};
pub use self::camera::View;
pub use self::colour::{Colour, Rgb};
pub use self::edit::{Edit, EditError, Focus, GroundError, Limits, Spot, find, ground};
pub use self::error::SceneError;
pub use self::render::{MOST_PIXELS_A_SIDE, Rendered, Renderer};
pub use self::sample::{
    CAPTIONS, Captions, Combination, Kind, Level, Operation, Pair, PairOptions, SampleError, Split, caption,
};
pub use self::scene::{
    Background, Camera, Gender, Ground, Hair, Light, Material, Object, ObjectId, Person, Profession, Scene,
    Shape, Skin, Sky, Texture, VERSION,
};
pub use self::truth::{Extent, Mask, ObjectTruth, Truth};
pub use self::validate::MOST_OBJECTS;
