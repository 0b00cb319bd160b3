//! Intents as scenes make them, from a seed.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use retouch_instruction::lexicon::{self, Kind};
use retouch_instruction::{
    Background, Destination, Displacement, Focus, Intent, Ordinal, Place, Quantity, Referent, Region,
    Relation, Relative, Scale, Side, Size, Term, Turn, Unit,
};

const NOUNS: [&str; 9] = ["ball", "cube", "cylinder", "cone", "vase", "tree", "house", "cat", "person"];
const COLOURS: [&str; 12] =
    ["red", "green", "blue", "yellow", "purple", "orange", "cyan", "pink", "brown", "black", "white", "grey"];
const RELATIONS: [Relation; 9] = [
    Relation::LeftOf,
    Relation::RightOf,
    Relation::Above,
    Relation::Below,
    Relation::On,
    Relation::Inside,
    Relation::InFrontOf,
    Relation::Behind,
    Relation::NextTo,
];

/// This many instructions of one or two intents.
pub fn intents(count: usize, seed: u64) -> Vec<Vec<Intent>> {
    let mut rng = SmallRng::seed_from_u64(seed);
    (0..count)
        .map(|_| {
            let many = if rng.random_bool(0.2) { 2 } else { 1 };
            (0..many).map(|_| intent(&mut rng)).collect()
        })
        .collect()
}

fn pick<T: Copy>(rng: &mut SmallRng, items: &[T]) -> T {
    items[rng.random_range(0..items.len())]
}

fn thing(rng: &mut SmallRng) -> Referent {
    let mut thing = Referent::named(pick(rng, &NOUNS));
    if rng.random_bool(0.6) {
        thing.colour = Some(Term::new(pick(rng, &COLOURS)));
    }
    if rng.random_bool(0.2) {
        thing.size = Some(pick(rng, &[Size::Small, Size::Large]));
    }
    if rng.random_bool(0.1) {
        thing.material = Some(Term::new(pick(rng, &["matte", "shiny"])));
    }
    thing
}

fn target(rng: &mut SmallRng) -> Referent {
    let mut target = thing(rng);
    match rng.random_range(0..12) {
        0 => target.quantity = Quantity::All,
        1 => target.quantity = pick(rng, &[Quantity::Both, Quantity::Exactly(3)]),
        2 => {
            target.ordinal =
                Some(Ordinal { index: rng.random_range(1..4), from: pick(rng, &[Side::Left, Side::Right]) })
        }
        _ => {}
    }
    target
}

fn relative(rng: &mut SmallRng) -> Relative {
    if rng.random_bool(0.1) {
        let other = Some(Box::new(thing(rng)));
        return Relative { relation: Relation::Between, anchor: Box::new(thing(rng)), other };
    }
    Relative { relation: pick(rng, &RELATIONS), anchor: Box::new(thing(rng)), other: None }
}

fn place(rng: &mut SmallRng) -> Place {
    if rng.random_bool(0.6) {
        Place::Region(pick(rng, &Region::PLACES))
    } else {
        Place::Relative(relative(rng))
    }
}

fn displacement(rng: &mut SmallRng) -> Displacement {
    let said = rng.random_bool(0.6);
    let amount = |rng: &mut SmallRng| {
        let amount = if said { f64::from(rng.random_range(1..10_u32)) * 0.05 } else { 0.2 };
        if rng.random_bool(0.5) { amount } else { -amount }
    };
    let (mut dx, mut dy) = (amount(rng), amount(rng));
    match rng.random_range(0..5) {
        0 => {}
        1 | 2 => dx = 0.0,
        _ => dy = 0.0,
    }
    if !said && (dx == 0.0 || dy == 0.0) {
        let step = pick(rng, &[0.5, 1.0, 2.0]);
        (dx, dy) = (dx * step, dy * step);
    }
    Displacement { dx, dy, unit: Unit::Fraction, said }
}

fn scale(rng: &mut SmallRng) -> Scale {
    let said = rng.random_bool(0.5);
    let factor = if said {
        pick(rng, &[2.0, 0.5, 1.2, 1.5, 0.7, 0.8])
    } else {
        pick(rng, &[1.5, 1.25, 2.0, 1.0 / 1.5, 0.8, 0.5])
    };
    Scale { factor, said }
}

fn intent(rng: &mut SmallRng) -> Intent {
    match rng.random_range(0..16) {
        0..=3 => Intent::Move { target: target(rng), to: Destination::By(displacement(rng)) },
        4 | 5 => Intent::Move { target: target(rng), to: place(rng).into() },
        6 | 7 => {
            let place = rng.random_bool(0.7).then(|| place(rng));
            Intent::Add { count: rng.random_range(1..4), object: thing(rng), place }
        }
        8 => Intent::Remove { target: target(rng) },
        9 => {
            let target = target(rng);
            let colour = pick(rng, &COLOURS);
            Intent::Recolour { target, colour: Term::new(colour) }
        }
        10 => Intent::Resize { target: target(rng), scale: scale(rng) },
        11 if rng.random_bool(0.3) => {
            Intent::Swap { first: Referent { quantity: Quantity::Exactly(2), ..thing(rng) }, second: None }
        }
        11 => Intent::Swap { first: thing(rng), second: Some(thing(rng)) },
        12 => {
            let said = rng.random_bool(0.7);
            let degrees =
                if said { pick(rng, &[15.0, 20.0, 45.0, 90.0]) } else { pick(rng, &[15.0, 30.0, 60.0]) };
            let degrees = if rng.random_bool(0.5) { degrees } else { -degrees };
            Intent::RotateView { turn: Turn { degrees, said } }
        }
        13 => zoom(rng),
        14 => {
            let scene = pick(rng, &["city", "beach", "forest", "desert", "sky"]);
            let to = if rng.random_bool(0.5) {
                Background { scene: Some(Term::new(scene)), colour: None }
            } else {
                Background { scene: None, colour: Some(Term::new(pick(rng, &COLOURS))) }
            };
            Intent::ChangeBackground { to }
        }
        _ => whole(rng),
    }
}

fn zoom(rng: &mut SmallRng) -> Intent {
    let factor = pick(rng, &[1.2, 1.5, 1.8]);
    if rng.random_bool(0.4) {
        let focus = Some(Focus::Object(thing(rng)));
        let said = rng.random_bool(0.5);
        return Intent::Zoom { scale: Scale { factor: if said { factor } else { 1.5 }, said }, focus };
    }
    let scale = match rng.random_range(0..3) {
        0 => Scale { factor, said: true },
        1 => Scale { factor: 0.8, said: true },
        _ => Scale { factor: pick(rng, &[1.5, 1.25, 2.0, 1.0 / 1.5, 0.8, 0.5]), said: false },
    };
    Intent::Zoom { scale, focus: None }
}

fn whole(rng: &mut SmallRng) -> Intent {
    if rng.random_bool(0.5) {
        let effects = lexicon::entries(Kind::Effect);
        let effect = Term::new(&effects[rng.random_range(0..effects.len())].canonical);
        return Intent::AddEffect { effect, place: rng.random_bool(0.5).then(|| place(rng)) };
    }
    let styles = lexicon::entries(Kind::Style);
    Intent::Style { target: None, style: Term::new(&styles[rng.random_range(0..styles.len())].canonical) }
}
