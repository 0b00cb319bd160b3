//! What the spatial layer is told of an instruction: pure numbers and words.

use retouch_instruction::{
    Destination, Focus, FractionBox, Intent, Place, Quantity, Referent, Region, Relation, Relative, Size,
};

use super::transform::Affine;

/// Spatial tokens of a row.
pub const TOKENS: usize = 8;
/// Operations: the variants of [`Intent`].
pub(super) const OPERATIONS: usize = 12;
/// Sides of an object: the variants of [`Relation`].
pub(super) const RELATIONS: usize = 10;
/// Numbers of a token: a box's left, top, right and bottom edge, a displacement to the right and down, a turn, a scale
/// and a count.
pub(super) const NUMBERS: usize = 9;

/// One edit's place for numbers among [`Slot::numbers`].
const DISPLACEMENT: usize = 4;
const TURN: usize = 6;
const SCALE: usize = 7;
const COUNT: usize = 8;

/// An instruction as the spatial layer reads it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SpatialPlan {
    /// At most [`TOKENS`]: what each edit is about, and where or what it leads to.
    pub(super) slots: Vec<Slot>,
    /// How the first edit that has a geometry moves the content, from source to target.
    pub(super) transform: Option<Affine>,
    /// Where the subject is said to be.
    pub(super) source: Option<FractionBox>,
    /// Where it goes, or where something new comes.
    pub(super) target: Option<FractionBox>,
}

/// One token's content.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Slot {
    /// Index of the operation.
    pub(super) operation: usize,
    /// The destination of an edit rather than its subject.
    pub(super) is_destination: bool,
    pub(super) relation: Option<usize>,
    /// The thing's words.
    pub(super) phrase: Option<String>,
    /// Each about −1 to 1.
    pub(super) numbers: [Option<f64>; NUMBERS],
}

impl SpatialPlan {
    /// What `intents` say about an image of `size` pixels. `subject`, where the user marks it, is where the first edit's
    /// subject is.
    pub fn new(intents: &[Intent], subject: Option<FractionBox>, size: (u32, u32)) -> Self {
        let mut plan = Self::default();
        for (i, intent) in intents.iter().take(TOKENS / 2).enumerate() {
            plan.add(intent, subject.filter(|_| i == 0), size);
        }
        plan
    }

    /// The words of each token that has some.
    pub fn phrases(&self) -> impl Iterator<Item = (usize, &str)> {
        self.slots.iter().enumerate().filter_map(|(i, slot)| Some((i, slot.phrase.as_deref()?)))
    }

    fn add(&mut self, intent: &Intent, marked: Option<FractionBox>, size: (u32, u32)) {
        let operation = operation(intent);
        let mut subject = Slot { operation, ..Slot::default() };
        let mut destination = Slot { operation, is_destination: true, ..Slot::default() };
        let mut transform = None;
        let mut source = marked;
        let mut target = None;
        match intent {
            Intent::Move { target: referent, to } => {
                subject.name(referent);
                source = source.or(place_of(referent));
                transform = destination.lead_to(to, source, size);
                target = destination.bounds();
                if let Destination::By(by) = to {
                    target = source.map(|from| shifted(from, by.fractions(size.0, size.1)));
                }
            }
            Intent::Add { count, object, place } => {
                subject.name(object);
                subject.numbers[COUNT] = Some(f64::from(*count) / 10.0);
                place.iter().for_each(|place| destination.stand(place));
                target = destination.bounds();
            }
            Intent::Remove { target: referent } => {
                subject.name(referent);
                source = source.or(place_of(referent));
            }
            Intent::Recolour { target: referent, colour } => {
                subject.name(referent);
                source = source.or(place_of(referent));
                destination.phrase = Some(colour.to_string());
            }
            Intent::Resize { target: referent, scale } => {
                subject.name(referent);
                source = source.or(place_of(referent));
                subject.numbers[SCALE] = Some(logarithm(scale.factor));
                transform = source.map(|place| Affine::scaling(scale.factor, centre(place)));
            }
            Intent::Swap { first, second } => {
                subject.name(first);
                source = source.or(place_of(first));
                second.iter().for_each(|second| destination.name(second));
                target = destination.bounds();
            }
            Intent::RotateView { turn } => {
                subject.numbers[TURN] = Some(turn.degrees / 180.0);
                transform = Some(Affine::turn(turn.degrees));
            }
            Intent::Zoom { scale, focus } => {
                subject.numbers[SCALE] = Some(logarithm(scale.factor));
                match focus {
                    Some(Focus::Object(object)) => destination.name(object),
                    Some(Focus::Region(region)) => destination.place(region.bounds()),
                    None => {}
                }
                let about = source.or(destination.bounds()).map_or((0.5, 0.5), centre);
                transform = Some(Affine::scaling(scale.factor, about));
            }
            Intent::ChangeBackground { to } => {
                let words = [to.colour.as_ref(), to.scene.as_ref()].into_iter().flatten();
                destination.say(words.map(ToString::to_string));
            }
            Intent::AddEffect { effect, place } => {
                subject.phrase = Some(effect.to_string());
                place.iter().for_each(|place| destination.stand(place));
                target = destination.bounds();
            }
            Intent::Style { target: referent, style } => {
                referent.iter().for_each(|referent| subject.name(referent));
                source = source.or(referent.as_ref().and_then(place_of));
                destination.phrase = Some(style.to_string());
            }
            Intent::Free { .. } => {}
        }
        if let Some(bounds) = source {
            subject.place(bounds);
        }
        let empty = Slot { operation, is_destination: true, ..Slot::default() };
        self.slots.push(subject);
        self.slots.extend(Some(destination).filter(|slot| *slot != empty));
        self.transform = self.transform.or(transform);
        self.source = self.source.or(source);
        self.target = self.target.or(target);
    }
}

impl Slot {
    /// The thing's words, number and place.
    fn name(&mut self, referent: &Referent) {
        let size = referent.size.map(|size| match size {
            Size::Small => "small".to_owned(),
            Size::Medium => "medium".to_owned(),
            Size::Large => "large".to_owned(),
        });
        let terms = referent.adjectives.iter().chain(&referent.colour).chain(&referent.material);
        self.say(size.into_iter().chain(terms.chain(&referent.noun).map(ToString::to_string)));
        if let Quantity::Exactly(count) = referent.quantity {
            self.numbers[COUNT] = Some(f64::from(count) / 10.0);
        }
        if let Some(bounds) = place_of(referent) {
            self.place(bounds);
        }
    }

    fn say(&mut self, words: impl Iterator<Item = String>) {
        let phrase = words.collect::<Vec<_>>().join(" ");
        self.phrase = Some(phrase).filter(|phrase| !phrase.is_empty());
    }

    fn place(&mut self, bounds: FractionBox) {
        let edges = [bounds.left, bounds.top, bounds.right, bounds.bottom];
        for (number, edge) in self.numbers.iter_mut().zip(edges) {
            *number = Some(edge);
        }
    }

    fn bounds(&self) -> Option<FractionBox> {
        match self.numbers[..DISPLACEMENT] {
            [Some(left), Some(top), Some(right), Some(bottom)] => {
                Some(FractionBox { left, top, right, bottom })
            }
            _ => None,
        }
    }

    fn stand(&mut self, place: &Place) {
        match place {
            Place::Region(region) => self.place(region.bounds()),
            Place::Relative(relative) => self.relate(relative),
        }
    }

    fn relate(&mut self, relative: &Relative) {
        self.name(&relative.anchor);
        self.relation = Some(relation(relative.relation));
    }

    /// Notes where a move leads, and gives its map if that is known: by an amount, or from a known place to another.
    fn lead_to(
        &mut self,
        to: &Destination,
        from: Option<FractionBox>,
        (width, height): (u32, u32),
    ) -> Option<Affine> {
        let (dx, dy) = match to {
            Destination::By(by) => by.fractions(width, height),
            Destination::Region(region) => {
                self.place(region.bounds());
                let ((x, y), (from_x, from_y)) = (region.centre(), centre(from?));
                (x - from_x, y - from_y)
            }
            Destination::Relative(relative) => {
                self.relate(relative);
                return None;
            }
        };
        (self.numbers[DISPLACEMENT], self.numbers[DISPLACEMENT + 1]) = (Some(dx), Some(dy));
        Some(Affine::translation(dx, dy))
    }
}

fn place_of(referent: &Referent) -> Option<FractionBox> {
    referent.location.as_ref().map(Region::bounds)
}

fn centre(bounds: FractionBox) -> (f64, f64) {
    Region::Box(bounds).centre()
}

fn shifted(bounds: FractionBox, (dx, dy): (f64, f64)) -> FractionBox {
    let FractionBox { left, top, right, bottom } = bounds;
    FractionBox { left: left + dx, top: top + dy, right: right + dx, bottom: bottom + dy }
}

/// log₂ of a factor, over 3: 8 times is 1.
fn logarithm(factor: f64) -> f64 {
    factor.clamp(1.0 / 64.0, 64.0).log2() / 3.0
}

fn operation(intent: &Intent) -> usize {
    match intent {
        Intent::Move { .. } => 0,
        Intent::Add { .. } => 1,
        Intent::Remove { .. } => 2,
        Intent::Recolour { .. } => 3,
        Intent::Resize { .. } => 4,
        Intent::Swap { .. } => 5,
        Intent::RotateView { .. } => 6,
        Intent::Zoom { .. } => 7,
        Intent::ChangeBackground { .. } => 8,
        Intent::AddEffect { .. } => 9,
        Intent::Style { .. } => 10,
        Intent::Free { .. } => 11,
    }
}

fn relation(relation: Relation) -> usize {
    match relation {
        Relation::LeftOf => 0,
        Relation::RightOf => 1,
        Relation::Above => 2,
        Relation::Below => 3,
        Relation::On => 4,
        Relation::Inside => 5,
        Relation::InFrontOf => 6,
        Relation::Behind => 7,
        Relation::NextTo => 8,
        Relation::Between => 9,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(json: &str) -> SpatialPlan {
        let json = format!(r#"{{"version": 1, "intents": {json}}}"#);
        let intents = retouch_instruction::Intents::from_json(&json).expect("valid");
        SpatialPlan::new(&intents.intents, None, (200, 100))
    }

    fn moved(plan: &SpatialPlan) -> [f64; 2] {
        plan.transform.expect("a geometry").apply([0.0, 0.0])
    }

    #[test]
    fn a_move_is_a_subject_an_amount_and_a_map() {
        let plan = plan(
            r#"[{"op": "move", "target": {"noun": "ball", "colour": "red", "size": "small"},
            "to": {"by": {"dx": 20, "dy": 0, "unit": "pixels", "said": true}}}]"#,
        );
        assert_eq!(plan.phrases().collect::<Vec<_>>(), [(0, "small red ball")]);
        assert_eq!(plan.slots[1].numbers[DISPLACEMENT], Some(0.1));
        assert_eq!(moved(&plan), [0.2, 0.0]);
        assert_eq!((plan.source, plan.target), (None, None));
    }

    #[test]
    fn a_known_place_makes_a_map_of_a_move_to_a_region() {
        let to = r#""to": {"region": "bottom_left"}"#;
        let unknown = plan(&format!(r#"[{{"op": "move", "target": {{"noun": "ball"}}, {to}}}]"#));
        assert!(unknown.transform.is_none() && unknown.target.is_some());
        let from = r#"{"noun": "ball", "location": "top_right"}"#;
        let known = plan(&format!(r#"[{{"op": "move", "target": {from}, {to}}}]"#));
        let [x, y] = moved(&known);
        assert!((x + 4.0 / 3.0).abs() < 1e-12 && (y - 4.0 / 3.0).abs() < 1e-12, "{x} {y}");
        let intent =
            Intent::Move { target: Referent::named("ball"), to: Destination::Region(Region::Centre) };
        let marked = FractionBox { left: 0.0, top: 0.0, right: 0.2, bottom: 0.2 };
        let plan = SpatialPlan::new(&[intent], Some(marked), (100, 100));
        assert_eq!(plan.source, Some(marked));
        assert!((moved(&plan)[0] - 0.8).abs() < 1e-12);
    }

    #[test]
    fn more_edits_than_tokens_and_nothing_at_all() {
        let all = vec![Intent::Remove { target: Referent::named("vase") }; 64];
        assert_eq!(SpatialPlan::new(&all, None, (0, 0)).slots.len(), TOKENS / 2);
        assert_eq!(SpatialPlan::new(&[], None, (1, 1)), SpatialPlan::default());
        let free = SpatialPlan::new(&[Intent::Free { text: "?".into() }], None, (1, 1));
        assert_eq!((free.slots.len(), free.transform), (1, None));
    }
}
