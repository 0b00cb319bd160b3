//! The objects that a referent means.

use retouch_instruction::{Ordinal, Quantity, Referent, Relation, Relative, Side, Size};

use super::GroundError;
use crate::camera::View;
use crate::colour::Colour;
use crate::names::{is_called, is_of};
use crate::scene::{Object, ObjectId, Scene};
use crate::truth::Extent;

/// How much larger than the next the largest must be to be called so.
const CLEARLY: f32 = 1.2;
/// How many widths of the image two things may be apart that stand next to each other.
const NEXT: f32 = 0.2;

/// The one object that a referent means.
pub(super) fn one(referent: &Referent, scene: &Scene, view: &View) -> Result<ObjectId, GroundError> {
    match find(referent, scene, view)?[..] {
        [only] => Ok(only),
        ref found => Err(GroundError::Ambiguous { what: described(referent), found: found.len() }),
    }
}

/// The objects that a referent means, in the order of the scene.
///
/// # Errors
/// [`GroundError`], where nothing fits, or not as many as the referent says.
pub fn find(referent: &Referent, scene: &Scene, view: &View) -> Result<Vec<ObjectId>, GroundError> {
    let mut fitting: Vec<&Object> =
        scene.objects.iter().filter(|object| fits(referent, object, view)).collect();
    if let Some(relative) = &referent.relative {
        keep_beside(&mut fitting, relative, scene, view)?;
    }
    if let Some(size) = referent.size {
        keep_size(&mut fitting, size);
    }
    if let Some(ordinal) = &referent.ordinal {
        keep_ordinal(&mut fitting, ordinal, view);
    }
    let found = fitting.len();
    let said = match referent.quantity {
        _ if found == 0 => return Err(GroundError::NotFound { what: described(referent) }),
        Quantity::One if found > 1 => {
            return Err(GroundError::Ambiguous { what: described(referent), found });
        }
        Quantity::One | Quantity::All => None,
        Quantity::Both => Some(2),
        Quantity::Exactly(count) => Some(count),
    };
    match said {
        Some(said) if said as usize != found => {
            Err(GroundError::CountMismatch { what: described(referent), said, found })
        }
        _ => Ok(fitting.iter().map(|object| object.id).collect()),
    }
}

/// A referent as errors tell it.
pub(super) fn described(referent: &Referent) -> String {
    serde_json::to_string(referent).unwrap_or_else(|_| format!("{referent:?}"))
}

/// Whether an object has what a referent says of it alone.
fn fits(referent: &Referent, object: &Object, view: &View) -> bool {
    let noun = referent.noun.as_ref().is_none_or(|noun| is_called(object, noun));
    let colour = referent.colour.as_ref().is_none_or(|term| Colour::named(term) == Some(object.colour));
    let material = referent.material.as_ref().is_none_or(|term| is_of(object, term));
    let located = referent.location.as_ref().is_none_or(|region| {
        let [u, v] = Extent::of(object, view).centre().map(f64::from);
        let bounds = region.bounds();
        (bounds.left..bounds.right).contains(&u) && (bounds.top..bounds.bottom).contains(&v)
    });
    noun && colour && material && located
}

fn keep_size(fitting: &mut Vec<&Object>, size: Size) {
    let sorted = |fitting: &mut Vec<&Object>| fitting.sort_by(|a, b| a.size.total_cmp(&b.size));
    match size {
        Size::Medium if fitting.len() == 3 => {
            sorted(fitting);
            *fitting = vec![fitting[1]];
        }
        Size::Medium => {}
        Size::Small | Size::Large => {
            let most = fitting.iter().fold(None, |most: Option<f32>, object| {
                Some(most.map_or(object.size, |most| {
                    if size == Size::Large { most.max(object.size) } else { most.min(object.size) }
                }))
            });
            let Some(most) = most else { return };
            let near = |object: &&Object| {
                let ratio = if size == Size::Large { most / object.size } else { object.size / most };
                ratio < CLEARLY
            };
            fitting.retain(near);
        }
    }
}

fn keep_ordinal(fitting: &mut Vec<&Object>, ordinal: &Ordinal, view: &View) {
    let key = |object: &Object| {
        let [u, v] = Extent::of(object, view).centre();
        let [_, feet] = view.ground_to_image(object.position);
        match ordinal.from {
            Side::Left => u,
            Side::Right => -u,
            Side::Top => v,
            Side::Bottom => -v,
            Side::Front => -feet,
            Side::Back => feet,
        }
    };
    fitting.sort_by(|a, b| key(a).total_cmp(&key(b)));
    let chosen = (ordinal.index as usize).checked_sub(1).and_then(|index| fitting.get(index).copied());
    *fitting = chosen.into_iter().collect();
}

fn keep_beside(
    fitting: &mut Vec<&Object>,
    relative: &Relative,
    scene: &Scene,
    view: &View,
) -> Result<(), GroundError> {
    let mut anchors = find(&relative.anchor, scene, view)?;
    if let Some(other) = &relative.other {
        anchors.extend(find(other, scene, view)?);
    }
    let middles: Vec<[f32; 2]> = anchors
        .iter()
        .filter_map(|id| scene.object(*id))
        .map(|anchor| Extent::of(anchor, view).centre())
        .collect();
    let stands = |object: &Object| {
        let [u, v] = Extent::of(object, view).centre();
        let all = |test: &dyn Fn(f32, f32) -> bool| middles.iter().all(|[x, y]| test(*x, *y));
        match relative.relation {
            Relation::LeftOf => all(&|x, _| u < x),
            Relation::RightOf => all(&|x, _| u > x),
            Relation::Above | Relation::Behind => all(&|_, y| v < y),
            Relation::Below | Relation::InFrontOf => all(&|_, y| v > y),
            Relation::NextTo => all(&|x, y| (u - x).abs().max((v - y).abs()) < NEXT + object.size),
            Relation::Between => {
                let us = middles.iter().map(|middle| middle[0]);
                u > us.clone().fold(f32::INFINITY, f32::min) && u < us.fold(f32::NEG_INFINITY, f32::max)
            }
            Relation::On | Relation::Inside => false,
        }
    };
    fitting.retain(|object| !anchors.contains(&object.id) && stands(object));
    Ok(())
}
