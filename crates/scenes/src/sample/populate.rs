//! Objects for a scene: those that something is done to first, then the others.

use glam::Vec2;

use super::draw::Draw;
use super::options::{Level, PairOptions};
use super::plan::{ALL, Action, Plan};
use super::split::{Combination, Split};
use super::world;
use crate::camera::View;
use crate::colour::Colour;
use crate::edit::{overlap, shift};
use crate::scene::{Object, ObjectId, Scene, Shape};
use crate::truth::Extent;

/// Draws before a look or a place is given up.
const TRIES: usize = 60;
const MARGIN: f32 = 0.02;

/// How objects look to one who names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) shape: Shape,
    pub(super) colour: Colour,
}

/// Fills a scene for plans: the targets of the first plan come first, then those of the second, then the others; `None`
/// where there is no room.
pub(super) fn populate(
    scene: &mut Scene,
    plans: &[Plan],
    level: Level,
    options: &PairOptions,
    draw: &mut Draw,
) -> Option<()> {
    let total = count(plans, level, draw);
    let central = plans.iter().any(Plan::moves_view);
    let mut looks: Vec<Look> = Vec::with_capacity(total);
    for plan in plans {
        let targets = if plan.targets == ALL { total } else { plan.targets };
        let first = look(Some(plan), &looks, scene, level, options, draw)?;
        for index in 0..targets {
            // A group looks alike; what is swapped or seen anew does not.
            let alike = index == 0 || (plan.targets == 2 && !matches!(plan.action, Action::Swap));
            looks.push(if alike { first } else { look(Some(plan), &looks, scene, level, options, draw)? });
        }
    }
    while looks.len() < total {
        looks.push(look(None, &looks, scene, level, options, draw)?);
    }
    for (index, look) in looks.iter().enumerate() {
        let mut object = world::object(look.shape, look.colour, level, draw);
        object.id = ObjectId(index as u32 + 1);
        place(&mut object, scene, central, draw)?;
        scene.objects.push(object);
    }
    Some(())
}

fn count(plans: &[Plan], level: Level, draw: &mut Draw) -> usize {
    let (low, more) = match level {
        Level::Easy => (1, 2),
        Level::Middle => (2, 2),
        Level::Hard => (3, 2),
    };
    let needed = plans.iter().map(|plan| {
        let targets = if plan.targets == ALL { 1 } else { plan.targets };
        targets + usize::from(plan.anchor)
    });
    (low + draw.below(more)).max(needed.sum())
}

/// A look that a plan's split allows and that can be told from the others.
fn look(
    plan: Option<&Plan>,
    others: &[Look],
    scene: &Scene,
    level: Level,
    options: &PairOptions,
    draw: &mut Draw,
) -> Option<Look> {
    for _ in 0..TRIES {
        let look = Look { shape: world::shape(options.people, draw), colour: draw.pick(&Colour::ALL) };
        let same_name = |other: &&Look| other.shape.name() == look.shape.name();
        let told_apart = match level {
            Level::Easy => !others.iter().any(|other| same_name(&other)),
            Level::Middle => !others.iter().any(|other| same_name(&other) && other.colour == look.colour),
            // Some share a name, a few even the colour: place and order tell them apart.
            Level::Hard => true,
        };
        let allowed = plan.is_none_or(|plan| allows(plan, look, options.split));
        if told_apart && allowed && world::shows_on(look.colour, &scene.background) {
            return Some(distractor(plan, look, others, level, draw));
        }
    }
    None
}

/// At the hard level an object that nothing is done to often takes the name of one that something is done to.
fn distractor(plan: Option<&Plan>, look: Look, others: &[Look], level: Level, draw: &mut Draw) -> Look {
    match others.first() {
        Some(first) if plan.is_none() && level == Level::Hard && draw.chance(0.6) => {
            Look { shape: first.shape, ..look }
        }
        _ => look,
    }
}

fn allows(plan: &Plan, look: Look, split: Split) -> bool {
    let recoloured = match plan.action {
        Action::Recolour(colour) => colour == look.colour || look.shape == Shape::Person,
        _ => false,
    };
    // What is added gets its own look later.
    let counted = plan.targets > 0;
    let combination = Combination { operation: plan.operation, colour: look.colour, shape: look.shape };
    !recoloured && plan.shows(look.colour) && (!counted || Split::of(combination) == split)
}

/// Finds a free place in the image.
fn place(object: &mut Object, scene: &Scene, central: bool, draw: &mut Draw) -> Option<()> {
    let view = View::new(&scene.camera, 1.0);
    let origin = object.position;
    for _ in 0..TRIES {
        object.position = origin;
        let [u, v] = Extent::of(object, &view).centre();
        let (to_u, to_v) = if central {
            (draw.between(0.3, 0.7), draw.between(0.32, 0.68))
        } else {
            (draw.between(0.08, 0.92), draw.between(0.2, 0.92))
        };
        shift(object, &view, to_u - u, to_v - v);
        if is_free(object, scene, &view) {
            return Some(());
        }
    }
    None
}

fn is_free(object: &Object, scene: &Scene, view: &View) -> bool {
    let extent = Extent::of(object, view);
    let on_ground = view.ground_to_image(object.position)[1] > view.horizon_v() + 0.01;
    on_ground
        && extent.within_frame(MARGIN)
        && scene
            .objects
            .iter()
            .all(|other| !overlap(object, other) && !covers(extent, Extent::of(other, view)))
}

/// Whether two extents share more than a little.
fn covers(a: Extent, b: Extent) -> bool {
    let shared = |low: usize, high: usize| a.0[high].min(b.0[high]) - a.0[low].max(b.0[low]);
    let least = Vec2::from_array(a.size()).min(Vec2::from_array(b.size()));
    shared(0, 2) > least.x * 0.3 && shared(1, 3) > least.y * 0.3
}
