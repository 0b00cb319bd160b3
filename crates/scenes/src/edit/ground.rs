//! From what an intent says to the objects that it means.

use retouch_instruction::{Destination, Focus as SaidFocus, Intent, Place, Referent, Relative, Size, Term};

use super::find::{described, find, one};
use super::{Edit, Focus, Spot};
use crate::backdrop::Backdrop;
use crate::camera::View;
use crate::colour::Colour;
use crate::names::{material_named, shape_named};
use crate::scene::{Gender, Hair, Material, Object, ObjectId, Person, Profession, Scene, Shape, Skin};

/// Why an intent means nothing in a scene. [`GroundError::code`] is for programs.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GroundError {
    /// Nothing fits a referent.
    #[error("nothing in the scene fits {what}")]
    NotFound {
        /// The referent, as JSON.
        what: String,
    },
    /// One object is meant and several fit.
    #[error("{found} objects of the scene fit {what}, say which")]
    Ambiguous {
        /// The referent, as JSON.
        what: String,
        /// How many fit.
        found: usize,
    },
    /// A number is said that is not the number of those that fit.
    #[error("{found} objects of the scene fit {what}, not {said}")]
    CountMismatch {
        /// The referent, as JSON.
        what: String,
        /// The number said.
        said: u32,
        /// How many fit.
        found: usize,
    },
    /// A word that scenes have nothing for.
    #[error("scenes have no {kind} {term:?}")]
    Unknown {
        /// What the word stands for.
        kind: &'static str,
        /// The word.
        term: String,
    },
    /// An operation that scenes cannot carry out.
    #[error("scenes have no edit for {operation}")]
    Unsupported {
        /// The operation.
        operation: &'static str,
    },
}

impl GroundError {
    /// A stable code for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "referent_not_found",
            Self::Ambiguous { .. } => "referent_ambiguous",
            Self::CountMismatch { .. } => "referent_count_mismatch",
            Self::Unknown { .. } => "term_unknown",
            Self::Unsupported { .. } => "intent_unsupported",
        }
    }
}

/// The edit that an intent asks for in a scene that is seen in an image of this width and height.
///
/// # Errors
/// [`GroundError`], where the intent means nothing here.
pub fn ground(intent: &Intent, scene: &Scene, (width, height): (u32, u32)) -> Result<Edit, GroundError> {
    let view = View::new(&scene.camera, height as f32 / width.max(1) as f32);
    let find = |referent: &Referent| find(referent, scene, &view);
    let factor = |factor: f64| factor as f32;
    Ok(match intent {
        Intent::Move { target, to: Destination::By(by) } => {
            let (du, dv) = by.fractions(width, height);
            Edit::MoveBy { objects: find(target)?, du: du as f32, dv: dv as f32 }
        }
        Intent::Move { target, to: Destination::Region(region) } => {
            Edit::MoveTo { objects: find(target)?, spot: Spot::Region(*region) }
        }
        Intent::Move { target, to: Destination::Relative(relative) } => {
            Edit::MoveTo { objects: find(target)?, spot: beside(relative, scene, &view)? }
        }
        Intent::Add { count, object, place } => Edit::Add {
            object: Box::new(new_object(object)?),
            count: *count,
            spot: match place {
                None => Spot::Anywhere,
                Some(Place::Region(region)) => Spot::Region(*region),
                Some(Place::Relative(relative)) => beside(relative, scene, &view)?,
            },
        },
        Intent::Remove { target } => Edit::Remove { objects: find(target)? },
        Intent::Recolour { target, colour } => {
            Edit::Recolour { objects: find(target)?, colour: known("colour", colour, Colour::named)? }
        }
        Intent::Resize { target, scale } => {
            Edit::Resize { objects: find(target)?, factor: factor(scale.factor) }
        }
        Intent::Swap { first, second } => swap(first, second.as_ref(), scene, &view)?,
        Intent::RotateView { turn } => Edit::RotateView { degrees: turn.degrees as f32 },
        Intent::Zoom { scale, focus } => Edit::Zoom {
            factor: factor(scale.factor),
            focus: match focus {
                None => None,
                Some(SaidFocus::Region(region)) => Some(Focus::Region(*region)),
                Some(SaidFocus::Object(object)) => Some(Focus::Object(one(object, scene, &view)?)),
            },
        },
        Intent::ChangeBackground { to } => {
            let said = to.scene.as_ref().or(to.colour.as_ref()).map_or("", Term::as_str);
            let unknown = || GroundError::Unknown { kind: "background", term: said.to_owned() };
            Edit::ChangeBackground { background: Backdrop::named(to).ok_or_else(unknown)?.background() }
        }
        Intent::AddEffect { effect, place } => shadow(effect, place.as_ref(), scene, &view)?,
        Intent::Style { target: Some(target), style } => {
            Edit::Restyle { objects: find(target)?, material: known("material", style, material_named)? }
        }
        Intent::Style { target: None, .. } => {
            return Err(GroundError::Unsupported { operation: "a style of the whole image" });
        }
        Intent::Free { .. } => return Err(GroundError::Unsupported { operation: "what was not understood" }),
    })
}

fn known<T>(
    kind: &'static str,
    term: &Term,
    named: impl FnOnce(&Term) -> Option<T>,
) -> Result<T, GroundError> {
    named(term).ok_or_else(|| GroundError::Unknown { kind, term: term.as_str().to_owned() })
}

fn swap(
    first: &Referent,
    second: Option<&Referent>,
    scene: &Scene,
    view: &View,
) -> Result<Edit, GroundError> {
    if let Some(second) = second {
        return Ok(Edit::Swap { first: one(first, scene, view)?, second: one(second, scene, view)? });
    }
    match find(first, scene, view)?[..] {
        [first, second] => Ok(Edit::Swap { first, second }),
        ref found => Err(GroundError::CountMismatch { what: described(first), said: 2, found: found.len() }),
    }
}

fn shadow(effect: &Term, place: Option<&Place>, scene: &Scene, view: &View) -> Result<Edit, GroundError> {
    if effect.as_str() != "shadow" {
        return Err(GroundError::Unknown { kind: "effect", term: effect.as_str().to_owned() });
    }
    let objects = match place {
        None => scene.objects.iter().map(|object| object.id).collect(),
        Some(Place::Relative(relative)) => find(&relative.anchor, scene, view)?,
        Some(Place::Region(_)) => {
            return Err(GroundError::Unsupported { operation: "a shadow without an object" });
        }
    };
    Ok(Edit::Shadow { objects, on: true })
}

fn beside(relative: &Relative, scene: &Scene, view: &View) -> Result<Spot, GroundError> {
    let mut anchors = find(&relative.anchor, scene, view)?;
    if let Some(other) = &relative.other {
        anchors.extend(find(other, scene, view)?);
    }
    Ok(Spot::Beside { relation: relative.relation, anchors })
}

/// What is added where the intent says no more than this.
fn new_object(referent: &Referent) -> Result<Object, GroundError> {
    let unsaid = || GroundError::Unsupported { operation: "adding something without a name" };
    let noun = referent.noun.as_ref().ok_or_else(unsaid)?;
    let striped = referent.material.as_ref().is_some_and(|material| material.as_str() == "striped");
    let shape = match known("thing", noun, shape_named)? {
        Shape::Sphere if striped => Shape::Ball,
        shape => shape,
    };
    let colour = referent.colour.as_ref().map(|colour| known("colour", colour, Colour::named)).transpose()?;
    let material = referent.material.as_ref().filter(|_| !striped);
    let material = material.map(|material| known("material", material, material_named)).transpose()?;
    let natural = match shape {
        Shape::Tree => Colour::Green,
        Shape::Cat => Colour::Orange,
        Shape::House => Colour::White,
        Shape::Vase | Shape::Person => Colour::Blue,
        _ => Colour::Red,
    };
    let profession = Profession::ALL.into_iter().find(|known| known.name() == Some(noun.as_str()));
    let gender = if noun.as_str() == "man" { Gender::Man } else { Gender::Woman };
    let size = match referent.size {
        Some(Size::Small) => 0.14,
        None | Some(Size::Medium) => 0.2,
        Some(Size::Large) => 0.28,
    };
    Ok(Object {
        id: ObjectId(0),
        shape,
        colour: colour.unwrap_or(natural),
        material: material.unwrap_or(Material::Matte),
        size,
        position: [0.0, 0.0],
        rotation: 0.0,
        shadow: true,
        person: (shape == Shape::Person).then(|| Person {
            gender,
            profession: profession.unwrap_or(Profession::None),
            skin: Skin::Tan,
            hair: Hair::Brown,
        }),
    })
}
