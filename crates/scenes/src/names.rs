//! The English names by which intents speak of what scenes hold, as `retouch_instruction` normalises them.

use retouch_instruction::Term;

use crate::colour::Colour;
use crate::scene::{Gender, Material, Object, Profession, Shape};

impl Colour {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Red => "red",
            Self::Orange => "orange",
            Self::Yellow => "yellow",
            Self::Green => "green",
            Self::Cyan => "cyan",
            Self::Blue => "blue",
            Self::Purple => "purple",
            Self::Pink => "pink",
            Self::Brown => "brown",
            Self::White => "white",
            Self::Grey => "grey",
            Self::Black => "black",
        }
    }

    /// The colour of this name.
    pub fn named(term: &Term) -> Option<Self> {
        match term.as_str() {
            "gray" => Some(Self::Grey),
            "turquoise" => Some(Self::Cyan),
            name => Self::ALL.into_iter().find(|colour| colour.name() == name),
        }
    }
}

impl Shape {
    /// Its name. A sphere is a ball too; the one with stripes is told by "striped".
    pub fn name(self) -> &'static str {
        match self {
            Self::Sphere => "ball",
            Self::Cube => "cube",
            Self::Cylinder => "cylinder",
            Self::Cone => "cone",
            Self::Ball => "ball",
            Self::Vase => "vase",
            Self::Tree => "tree",
            Self::House => "house",
            Self::Cat => "cat",
            Self::Person => "person",
        }
    }
}

/// Whether an object is of the material, or has the finish, of this name.
pub(crate) fn is_of(object: &Object, material: &Term) -> bool {
    match material.as_str() {
        "striped" => object.shape == Shape::Ball,
        "metal" => object.material == Material::Metal,
        "shiny" => matches!(object.material, Material::Shiny | Material::Metal),
        "matte" | "rubber" => object.material == Material::Matte,
        _ => false,
    }
}

/// The material of this name.
pub(crate) fn material_named(term: &Term) -> Option<Material> {
    match term.as_str() {
        "matte" | "rubber" => Some(Material::Matte),
        "shiny" => Some(Material::Shiny),
        "metal" => Some(Material::Metal),
        _ => None,
    }
}

impl Profession {
    /// Its name; `None` for [`Profession::None`].
    pub fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::None => return None,
            Self::Doctor => "doctor",
            Self::Nurse => "nurse",
            Self::Chef => "chef",
            Self::Builder => "builder",
            Self::Firefighter => "firefighter",
            Self::Farmer => "farmer",
        })
    }
}

/// Whether an object can be called by this noun.
pub(crate) fn is_called(object: &Object, noun: &Term) -> bool {
    let person = object.person.as_ref();
    match noun.as_str() {
        "object" => true,
        "man" => person.is_some_and(|person| person.gender == Gender::Man),
        "woman" => person.is_some_and(|person| person.gender == Gender::Woman),
        name => {
            object.shape.name() == name
                || person.and_then(|person| person.profession.name()).is_some_and(|known| known == name)
        }
    }
}

/// The shape that something new of this name gets.
pub(crate) fn shape_named(noun: &Term) -> Option<Shape> {
    match noun.as_str() {
        "man" | "woman" => Some(Shape::Person),
        name => Shape::ALL.into_iter().find(|shape| shape.name() == name).or_else(|| {
            let known = |profession: &Profession| profession.name() == Some(name);
            Profession::ALL.iter().any(known).then_some(Shape::Person)
        }),
    }
}
