//! One attempt at a pair: objects for the plans, the plans carried out, and the whole put into words.

use retouch_instruction::{Destination, Focus, Intent, Language, Place, Referent, Relation, Relative, write};

use super::caption::{CAPTIONS, caption};
use super::describe::{self, describe};
use super::draw::Draw;
use super::options::{Level, PairOptions};
use super::plan::{ALL, Action, AddPlace, Plan};
use super::split::{Combination, Split};
use super::{Captions, Pair, populate, world};
use crate::camera::View;
use crate::colour::Colour;
use crate::edit::{Edit, Limits, ground};
use crate::render::Renderer;
use crate::scene::{Object, ObjectId, Scene, Shape};
use crate::truth::{Extent, Truth};

/// Pixels a side of the image that visible shares are measured in.
const MEASURED: u32 = 64;
const IMAGE: (u32, u32) = (MEASURED, MEASURED);
/// The least share of each object that must be seen, before and after.
const VISIBLE: f32 = 0.7;
/// The least motion in the image that counts as one to a place or a side.
const MOTION: f32 = 0.12;

/// Plans, and what they are tried with.
pub(super) struct Attempt<'a> {
    pub(super) seed: u64,
    pub(super) level: Level,
    pub(super) options: &'a PairOptions,
    pub(super) plans: Vec<Plan>,
}

impl Attempt<'_> {
    /// The pair, if the drawn scene lets the plans be carried out and told clearly.
    pub(super) fn run(&self, draw: &mut Draw, renderer: &mut Renderer) -> Option<Pair> {
        let mut before = world::empty(draw);
        populate::populate(&mut before, &self.plans, self.level, self.options, draw)?;
        let mut taken = 0;
        let (mut after, mut intents, mut combinations) = (before.clone(), Vec::new(), Vec::new());
        for (index, plan) in self.plans.iter().enumerate() {
            let count = if plan.targets == ALL { before.objects.len() } else { plan.targets };
            let targets: Vec<ObjectId> =
                (taken..taken + count).map(|index| ObjectId(index as u32 + 1)).collect();
            taken += count;
            if matches!(plan.action, Action::Shadow) {
                if !world::shows_shadows(&before.background) {
                    return None;
                }
                for scene in [&mut before, &mut after] {
                    scene
                        .objects
                        .iter_mut()
                        .filter(|o| targets.contains(&o.id))
                        .for_each(|o| o.shadow = false);
                }
            }
            let step = self.step(plan, &targets, &before, &after, draw, renderer)?;
            // What the words mean must not depend on whether the edits before are carried out already.
            if index > 0 && !same_referents(&ground(&step.intent, &before, IMAGE).ok()?, &step.edit) {
                return None;
            }
            after = step.after;
            intents.push(step.intent);
            combinations.extend(step.combinations);
        }
        let truth = measure(&before, renderer)?;
        if !truth.objects.iter().all(|object| object.visible >= VISIBLE) {
            return None;
        }
        shuffle(&mut before, &mut after, draw);
        Some(self.written(before, after, intents, combinations, draw))
    }

    fn written(
        &self,
        before: Scene,
        after: Scene,
        intents: Vec<Intent>,
        combinations: Vec<Combination>,
        draw: &mut Draw,
    ) -> Pair {
        const LANGUAGES: [Language; 3] =
            [Language::English, Language::Vietnamese, Language::VietnameseUnaccented];
        let weight = |weight: &f32| if weight.is_finite() { weight.max(0.0) } else { 0.0 };
        let language = LANGUAGES[draw.weighted(self.options.languages.iter().map(weight))];
        let mut variant = draw.below(CAPTIONS);
        if self.plans.iter().any(Plan::is_of_places) {
            // An even one tells places: without them both captions would be the same.
            variant &= !1;
        }
        let instruction = write(&intents, self.options.phrases, language, &mut draw.0);
        let told = |scene: &Scene, language| caption(scene, language, variant);
        let captions = Captions {
            before: told(&before, Language::English),
            after: told(&after, Language::English),
            before_vietnamese: told(&before, Language::Vietnamese),
            after_vietnamese: told(&after, Language::Vietnamese),
        };
        let (seed, level, kind) = (self.seed, self.level, self.plans[0].kind);
        Pair { seed, level, kind, combinations, before, after, intents, instruction, language, captions }
    }

    /// One plan carried out on what the ones before it have left.
    fn step(
        &self,
        plan: &Plan,
        targets: &[ObjectId],
        before: &Scene,
        now: &Scene,
        draw: &mut Draw,
        renderer: &mut Renderer,
    ) -> Option<Step> {
        let Wanted { intent, added } = self.intent(plan, targets, before, draw)?;
        let mut edit = ground(&intent, now, IMAGE).ok()?;
        if let (Edit::Add { object, .. }, Some(added)) = (&mut edit, added) {
            **object = added;
        }
        let on_object = matches!(plan.action, Action::Zoom { on_object: true, .. });
        let limits = Limits {
            aspect: 1.0,
            margin: (!on_object).then_some(0.0),
            visible: if on_object { 0.0 } else { VISIBLE },
        };
        let after = edit.apply_with(now, &limits, renderer).ok()?;
        if on_object && !whole(&after, targets) {
            return None;
        }
        if matches!(plan.action, Action::MoveTo(_) | Action::MoveBeside(_) | Action::Swap)
            && !targets.iter().all(|id| motion(now, &after, *id) >= MOTION)
        {
            return None;
        }
        let looks = match &edit {
            Edit::Add { object, .. } => vec![(object.colour, object.shape)],
            _ => targets.iter().filter_map(|id| now.object(*id)).map(|o| (o.colour, o.shape)).collect(),
        };
        let combinations = looks
            .into_iter()
            .map(|(colour, shape)| Combination { operation: plan.operation, colour, shape })
            .collect();
        Some(Step { intent, edit, after, combinations })
    }

    fn intent(&self, plan: &Plan, targets: &[ObjectId], scene: &Scene, draw: &mut Draw) -> Option<Wanted> {
        let mut named = |ids: &[ObjectId]| describe(scene, ids, self.level, draw);
        let intent = match plan.action {
            Action::MoveBy(by) => Intent::Move { target: named(targets)?, to: Destination::By(by) },
            Action::MoveTo(region) => {
                Intent::Move { target: named(targets)?, to: Destination::Region(region) }
            }
            Action::MoveBeside(relation) => {
                let target = named(targets)?;
                let to = self.beside(relation, targets, scene, draw)?;
                Intent::Move { target, to: Destination::Relative(to) }
            }
            Action::Add { count, place } => return self.addition(plan, count, place, scene, draw),
            Action::Remove => Intent::Remove { target: named(targets)? },
            Action::Recolour(colour) => {
                Intent::Recolour { target: named(targets)?, colour: colour.name().into() }
            }
            Action::Resize(scale) => Intent::Resize { target: named(targets)?, scale },
            Action::Swap => {
                let both = if draw.chance(0.2) { describe(scene, targets, self.level, draw) } else { None };
                match both {
                    Some(both) => Intent::Swap { first: both, second: None },
                    None => Intent::Swap {
                        first: describe(scene, &targets[..1], self.level, draw)?,
                        second: Some(describe(scene, &targets[1..], self.level, draw)?),
                    },
                }
            }
            Action::Rotate(turn) => Intent::RotateView { turn },
            Action::Zoom { scale, on_object: true } => {
                Intent::Zoom { scale, focus: Some(Focus::Object(named(targets)?)) }
            }
            Action::Zoom { scale, on_object: false } => Intent::Zoom { scale, focus: None },
            Action::Background(backdrop) => Intent::ChangeBackground { to: backdrop.asked() },
            Action::Shadow => {
                let anchor = Box::new(named(targets).filter(is_told_whole)?);
                let place = Place::Relative(Relative { relation: Relation::Below, anchor, other: None });
                Intent::AddEffect { effect: "shadow".into(), place: Some(place) }
            }
        };
        Some(Wanted { intent, added: None })
    }

    /// By the last object, which no plan has as a target.
    fn beside(
        &self,
        relation: Relation,
        targets: &[ObjectId],
        scene: &Scene,
        draw: &mut Draw,
    ) -> Option<Relative> {
        let anchor = scene.objects.last().map(|object| object.id).filter(|id| !targets.contains(id))?;
        Some(Relative {
            relation,
            anchor: Box::new(describe(scene, &[anchor], self.level, draw).filter(is_told_whole)?),
            other: None,
        })
    }

    fn addition(
        &self,
        plan: &Plan,
        count: u32,
        place: AddPlace,
        scene: &Scene,
        draw: &mut Draw,
    ) -> Option<Wanted> {
        let (shape, colour) = (world::shape(self.options.people, draw), draw.pick(&Colour::ALL));
        let combination = Combination { operation: plan.operation, colour, shape };
        if Split::of(combination) != self.options.split || !world::shows_on(colour, &scene.background) {
            return None;
        }
        let object = world::object(shape, colour, self.level, draw);
        let mut referent = Referent {
            colour: describe::named_colour(&object),
            ..Referent::named(describe::noun_of(&object, draw))
        };
        if object.shape == Shape::Ball {
            referent.material = Some("striped".into());
        }
        let place = match place {
            AddPlace::Region(region) => Some(Place::Region(region)),
            AddPlace::Beside(relation) => Some(Place::Relative(self.beside(relation, &[], scene, draw)?)),
            AddPlace::Unsaid => None,
        };
        Some(Wanted { intent: Intent::Add { count, object: referent, place }, added: Some(object) })
    }
}

/// Of relations within relations, only the first is put into words.
fn is_told_whole(anchor: &Referent) -> bool {
    anchor.relative.is_none()
}

struct Wanted {
    intent: Intent,
    /// What is added, where the words leave it open.
    added: Option<Object>,
}

struct Step {
    intent: Intent,
    edit: Edit,
    after: Scene,
    combinations: Vec<Combination>,
}

fn measure(scene: &Scene, renderer: &mut Renderer) -> Option<Truth> {
    renderer.measure(scene, MEASURED, MEASURED).ok().map(|(_, truth)| truth)
}

fn centre(scene: &Scene, id: ObjectId) -> Option<[f32; 2]> {
    let view = View::new(&scene.camera, 1.0);
    scene.object(id).map(|object| Extent::of(object, &view).centre())
}

/// How far an object has moved in the image.
fn motion(before: &Scene, after: &Scene, id: ObjectId) -> f32 {
    match (centre(before, id), centre(after, id)) {
        (Some([u, v]), Some([x, y])) => ((x - u) * (x - u) + (y - v) * (y - v)).sqrt(),
        _ => 0.0,
    }
}

fn whole(scene: &Scene, ids: &[ObjectId]) -> bool {
    let view = View::new(&scene.camera, 1.0);
    ids.iter().filter_map(|id| scene.object(*id)).all(|object| Extent::of(object, &view).within_frame(0.0))
}

fn same_referents(a: &Edit, b: &Edit) -> bool {
    match (a, b) {
        // What is added differs in looks that the words leave open.
        (Edit::Add { spot: a, .. }, Edit::Add { spot: b, .. }) => a == b,
        (a, b) => a == b,
    }
}

/// The order of the list must not tell what is edited.
fn shuffle(before: &mut Scene, after: &mut Scene, draw: &mut Draw) {
    let count = before.objects.len();
    let mut ids: Vec<u32> = (1..=count as u32).collect();
    for last in (1..count).rev() {
        ids.swap(last, draw.below(last + 1));
    }
    for scene in [before, after] {
        for object in &mut scene.objects {
            if let Some(id) = (object.id.0 as usize).checked_sub(1).and_then(|index| ids.get(index)) {
                object.id = ObjectId(*id);
            }
        }
        scene.objects.sort_by_key(|object| object.id);
    }
}
