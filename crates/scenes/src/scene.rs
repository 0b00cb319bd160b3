//! The scene graph, as it stands in JSON.
//!
//! World axes: x to the right, y away from the viewer (at yaw 0), z up; the ground is z = 0. The unit of length is
//! the width of the image at zoom 1, so sizes and distances are image fractions from the start.

use serde::{Deserialize, Serialize};

use crate::colour::{Colour, Rgb};
use crate::error::SceneError;

/// The version of the JSON form that this crate writes and reads.
pub const VERSION: u32 = 1;

/// Everything that an image is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scene {
    /// [`VERSION`].
    pub version: u32,
    /// Where it is seen from.
    pub camera: Camera,
    /// What lights it.
    pub light: Light,
    /// What stands behind and below the objects.
    pub background: Background,
    /// The objects, in no particular order; ids are unique.
    pub objects: Vec<Object>,
}

impl Scene {
    /// Reads and checks a scene.
    ///
    /// # Errors
    /// [`SceneError::Json`] where the text is not a scene, and everything that [`Scene::validate`] finds.
    pub fn from_json(text: &str) -> Result<Self, SceneError> {
        let scene: Self = serde_json::from_str(text).map_err(|source| SceneError::Json { source })?;
        scene.validate()?;
        Ok(scene)
    }

    /// The JSON form, on one line.
    ///
    /// # Errors
    /// [`SceneError::Json`] for numbers that are not finite, which a valid scene has none of.
    pub fn to_json(&self) -> Result<String, SceneError> {
        serde_json::to_string(self).map_err(|source| SceneError::Json { source })
    }

    /// The object with this id.
    pub fn object(&self, id: ObjectId) -> Option<&Object> {
        self.objects.iter().find(|object| object.id == id)
    }

    /// The smallest id that is above every id in use.
    pub fn next_id(&self) -> ObjectId {
        ObjectId(self.objects.iter().map(|object| object.id.0).max().map_or(1, |id| id.saturating_add(1)))
    }
}

/// The identity of an object: it stays through every edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ObjectId(pub u32);

impl std::fmt::Display for ObjectId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// One thing that stands on the ground.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Object {
    /// Its identity.
    pub id: ObjectId,
    /// What it is.
    pub shape: Shape,
    /// The colour that it is named by: of a tree the leaves, of a figure the clothes.
    pub colour: Colour,
    /// How its coloured surface reflects.
    pub material: Material,
    /// Height in image widths, before the camera's zoom and foreshortening.
    pub size: f32,
    /// Where it stands on the ground: x, y.
    pub position: [f32; 2],
    /// Degrees about the vertical, counterclockwise seen from above; 0 faces the viewer at yaw 0.
    pub rotation: f32,
    /// Whether it casts a shadow.
    #[serde(default = "yes")]
    pub shadow: bool,
    /// What is planted on a [`Shape::Person`], and on nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<Person>,
}

fn yes() -> bool {
    true
}

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// A sphere.
    Sphere,
    /// A cube.
    Cube,
    /// A cylinder.
    Cylinder,
    /// A cone.
    Cone,
    /// A ball with stripes.
    Ball,
    /// A vase.
    Vase,
    /// A tree: trunk and leaves.
    Tree,
    /// A house with a gable roof.
    House,
    /// A figure like a cat.
    Cat,
    /// A figure like a person.
    Person,
}

impl Shape {
    /// Every shape, in a fixed order.
    pub const ALL: [Self; 10] = [
        Self::Sphere,
        Self::Cube,
        Self::Cylinder,
        Self::Cone,
        Self::Ball,
        Self::Vase,
        Self::Tree,
        Self::House,
        Self::Cat,
        Self::Person,
    ];
}

/// How a coloured surface reflects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Material {
    /// No highlight.
    Matte,
    /// A small white highlight, as on plastic.
    Shiny,
    /// Coloured reflections of sky and ground.
    Metal,
}

/// The attributes of a [`Shape::Person`], independent of each other so that a data set can balance them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// Shown by hair and cut of clothes: long hair and a dress, or short hair and trousers.
    pub gender: Gender,
    /// Shown by clothes and headgear.
    pub profession: Profession,
    /// Colour of the skin.
    pub skin: Skin,
    /// Colour of the hair.
    pub hair: Hair,
}

/// See [`Person::gender`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gender {
    /// Long hair and a dress.
    Woman,
    /// Short hair and trousers.
    Man,
}

/// See [`Person::profession`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profession {
    /// Nothing says what they do.
    None,
    /// A white coat and a stethoscope.
    Doctor,
    /// A white cap and apron with a red cross.
    Nurse,
    /// A tall white hat and a white apron.
    Chef,
    /// A yellow helmet and an orange vest.
    Builder,
    /// A red helmet and a dark coat with bright bands.
    Firefighter,
    /// A straw hat and a pitchfork.
    Farmer,
}

impl Profession {
    /// Every profession, in a fixed order.
    pub const ALL: [Self; 7] =
        [Self::None, Self::Doctor, Self::Nurse, Self::Chef, Self::Builder, Self::Firefighter, Self::Farmer];
}

/// See [`Person::skin`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Skin {
    /// Light.
    Light,
    /// Tan.
    Tan,
    /// Brown.
    Brown,
    /// Dark.
    Dark,
}

/// See [`Person::hair`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hair {
    /// Black.
    Black,
    /// Brown.
    Brown,
    /// Blond.
    Blond,
    /// Red.
    Red,
    /// Grey.
    Grey,
}

/// An orthographic camera above the ground.
///
/// Orthographic, because then a motion on the ground is an exact motion in the image and no object changes its
/// apparent size or form by moving: "right by 10 %" has one meaning wherever the object stands.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Camera {
    /// The ground point in the middle of the image: x, y.
    pub target: [f32; 2],
    /// Degrees by which the camera has gone round the target, counterclockwise seen from above.
    pub yaw: f32,
    /// Degrees by which it looks down.
    pub pitch: f32,
    /// Image widths per unit of length.
    pub zoom: f32,
    /// Where the ground ends and the sky begins, in units of ground ahead of the target.
    pub horizon: f32,
}

/// A distant light, large enough for soft shadows. It stays where it is when the camera goes round.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Light {
    /// Degrees of the direction it comes from, counterclockwise seen from above; 0 is the right.
    pub azimuth: f32,
    /// Degrees above the ground.
    pub elevation: f32,
    /// Degrees that its disc spans to each side of its middle: how soft shadows are.
    pub spread: f32,
    /// Share of the light that comes from everywhere, 0 to 1.
    pub ambient: f32,
}

/// Sky and ground.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Background {
    /// The sky.
    pub sky: Sky,
    /// The ground.
    pub ground: Ground,
}

/// A vertical gradient; plain where both colours are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sky {
    /// At the top of the image.
    pub top: Rgb,
    /// At the horizon.
    pub bottom: Rgb,
}

/// A texture of two colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ground {
    /// How the colours are laid out.
    pub texture: Texture,
    /// The two colours; [`Texture::Plain`] uses the first.
    pub colours: [Rgb; 2],
}

/// See [`Ground::texture`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Texture {
    /// One colour.
    Plain,
    /// Squares.
    Checker,
    /// Blades and tufts.
    Grass,
    /// Planks with grain.
    Wood,
    /// From the first colour at the front to the second at the horizon.
    Gradient,
}
