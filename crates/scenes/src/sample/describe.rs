//! Naming objects so that nothing else can be meant.

use retouch_instruction::{Ordinal, Quantity, Referent, Region, Relation, Relative, Side, Size, Term};

use super::draw::Draw;
use super::options::Level;
use crate::camera::View;
use crate::edit::find;
use crate::scene::{Gender, Object, ObjectId, Scene, Shape};
use crate::truth::Extent;

/// A referent that means exactly these objects, if there is one.
pub(super) fn describe(scene: &Scene, ids: &[ObjectId], level: Level, draw: &mut Draw) -> Option<Referent> {
    let view = View::new(&scene.camera, 1.0);
    let object = scene.object(*ids.first()?)?;
    let quantity = match ids.len() {
        1 => Quantity::One,
        2 => draw.pick(&[Quantity::Both, Quantity::All, Quantity::Exactly(2)]),
        count => draw.pick(&[Quantity::All, Quantity::Exactly(count as u32)]),
    };
    let noun = noun(object, scene, draw);
    let plain = Referent { quantity, ..Referent::named(noun) };
    let mut candidates = Vec::with_capacity(8);
    let coloured = Referent { colour: named_colour(object), ..plain.clone() };
    // Now and then more is said than is needed, as people do.
    if coloured == plain {
        candidates.push(plain.clone());
    } else if draw.chance(if level == Level::Easy { 0.6 } else { 0.35 }) {
        candidates.extend([plain.clone(), coloured.clone()]);
    } else {
        candidates.extend([coloured.clone(), plain.clone()]);
    }
    if ids.len() == 1 {
        let richer = richer(&plain, object, scene, &view, draw);
        if level == Level::Hard && draw.chance(0.5) {
            candidates.splice(0..0, richer);
        } else {
            candidates.extend(richer);
        }
    }
    let means = |referent: &Referent| {
        find(referent, scene, &view).is_ok_and(|mut found| {
            found.sort_unstable();
            let mut wanted = ids.to_vec();
            wanted.sort_unstable();
            found == wanted
        })
    };
    candidates.into_iter().find(means)
}

/// What an object is called: now and then by the general word, where it is alone.
fn noun(object: &Object, scene: &Scene, draw: &mut Draw) -> &'static str {
    if scene.objects.len() == 1 && draw.chance(0.25) { "object" } else { noun_of(object, draw) }
}

/// What an object is called among others.
pub(super) fn noun_of(object: &Object, draw: &mut Draw) -> &'static str {
    match (object.shape, &object.person) {
        (Shape::Person, Some(person)) if draw.chance(0.6) => match person.gender {
            Gender::Woman => "woman",
            Gender::Man => "man",
        },
        (shape, _) => shape.name(),
    }
}

/// The colour that an object is named by. People are not: the colour is that of their clothes.
pub(super) fn named_colour(object: &Object) -> Option<Term> {
    (object.shape != Shape::Person).then(|| object.colour.name().into())
}

/// By stripes, size, place, order and neighbours, in a random order.
fn richer(plain: &Referent, object: &Object, scene: &Scene, view: &View, draw: &mut Draw) -> Vec<Referent> {
    let mut ways = Vec::with_capacity(6);
    if object.shape == Shape::Ball {
        ways.push(Referent { material: Some("striped".into()), ..plain.clone() });
    }
    let size = draw.pick(&[Size::Small, Size::Large]);
    ways.push(Referent { size: Some(size), ..plain.clone() });
    let [u, v] = Extent::of(object, view).centre().map(f64::from);
    let holds = |region: &&Region| {
        let bounds = region.bounds();
        // Not close to the edge of the region: there it would be a matter of opinion.
        let well = |low: f64, x: f64, high: f64| {
            let inset = 0.04;
            (low == 0.0 || x > low + inset) && (high == 1.0 || x < high - inset)
        };
        well(bounds.left, u, bounds.right) && well(bounds.top, v, bounds.bottom)
    };
    if let Some(region) = Region::PLACES.iter().find(holds) {
        ways.push(Referent { location: Some(*region), ..plain.clone() });
    }
    let from = draw.pick(&[Side::Left, Side::Right]);
    let index = 1 + draw.below(2) as u32;
    ways.push(Referent { ordinal: Some(Ordinal { index, from }), ..plain.clone() });
    let others: Vec<&Object> = scene.objects.iter().filter(|other| other.id != object.id).collect();
    if !others.is_empty() {
        let other = others[draw.below(others.len())];
        let anchor = Referent { colour: named_colour(other), ..Referent::named(other.shape.name()) };
        let relation = draw.pick(&[Relation::LeftOf, Relation::RightOf]);
        let relative = Relative { relation, anchor: Box::new(anchor), other: None };
        // An anchor by a name that its object shares would not be clear by itself.
        ways.push(Referent { relative: Some(relative), ..plain.clone() });
    }
    for last in (1..ways.len()).rev() {
        ways.swap(last, draw.below(last + 1));
    }
    ways
}
