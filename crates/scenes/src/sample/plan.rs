//! What is to be done, decided before there is anything to do it to.

use retouch_instruction::{Displacement, Region, Relation, Scale, Turn};

use super::draw::Draw;
use super::options::{Kind, Level};
use super::split::Operation;
use super::world;
use crate::backdrop::Backdrop;
use crate::colour::Colour;

/// An edit without its objects.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) kind: Kind,
    pub(super) operation: Operation,
    pub(super) action: Action,
    /// How many objects it is done to: [`ALL`] of them, those of a group, or one.
    pub(super) targets: usize,
    /// Whether it needs another object to stand by.
    pub(super) anchor: bool,
}

/// Every object of the scene is a target.
pub(super) const ALL: usize = usize::MAX;

#[derive(Clone, Copy, Debug)]
pub(super) enum Action {
    MoveBy(Displacement),
    MoveTo(Region),
    MoveBeside(Relation),
    Add { count: u32, place: AddPlace },
    Remove,
    Recolour(Colour),
    Resize(Scale),
    Swap,
    Rotate(Turn),
    Zoom { scale: Scale, on_object: bool },
    Background(Backdrop),
    Shadow,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum AddPlace {
    Region(Region),
    Beside(Relation),
    Unsaid,
}

/// The sides that are told apart in the image; `Above` and `Behind` are one.
const SIDES: [Relation; 7] = [
    Relation::LeftOf,
    Relation::RightOf,
    Relation::Behind,
    Relation::InFrontOf,
    Relation::Above,
    Relation::Below,
    Relation::NextTo,
];

impl Plan {
    pub(super) fn draw(kind: Kind, level: Level, draw: &mut Draw) -> Self {
        let one = |operation, action| Self { kind, operation, action, targets: 1, anchor: false };
        let all = |operation, action| Self { targets: ALL, ..one(operation, action) };
        let group = level != Level::Easy && draw.chance(0.15);
        let grouped = |plan: Self| Self { targets: if group { 2 } else { 1 }, ..plan };
        match kind {
            Kind::MoveBy => {
                let (operation, by) = displacement(level, draw);
                grouped(one(operation, Action::MoveBy(by)))
            }
            Kind::MoveTo => {
                let place = draw.below(9);
                one(Operation::MoveTo(place as u8), Action::MoveTo(Region::PLACES[place]))
            }
            Kind::MoveBeside => {
                let side = draw.pick(&SIDES);
                Self { anchor: true, ..one(Operation::MoveBeside(side), Action::MoveBeside(side)) }
            }
            Kind::Add => add(level, draw, one),
            Kind::Remove => grouped(one(Operation::Remove, Action::Remove)),
            Kind::Recolour => {
                let colour = draw.pick(&Colour::ALL);
                grouped(one(Operation::Recolour(colour), Action::Recolour(colour)))
            }
            Kind::Resize => {
                let scale = scale(level, draw);
                let operation = if scale.factor > 1.0 { Operation::Grow } else { Operation::Shrink };
                one(operation, Action::Resize(scale))
            }
            Kind::Swap => Self { targets: 2, ..one(Operation::Swap, Action::Swap) },
            Kind::RotateView => {
                let turn = turn(level, draw);
                let operation =
                    if turn.degrees > 0.0 { Operation::RotateRight } else { Operation::RotateLeft };
                all(operation, Action::Rotate(turn))
            }
            Kind::Zoom => {
                let scale = scale(level, draw);
                let inwards = scale.factor > 1.0;
                let on_object = inwards && draw.chance(0.4);
                let operation = if inwards { Operation::ZoomIn } else { Operation::ZoomOut };
                // There are no words for "a bit" into an object.
                let scale =
                    if on_object && !scale.said { Scale { factor: Scale::DEFAULT, ..scale } } else { scale };
                let action = Action::Zoom { scale, on_object };
                if on_object { one(operation, action) } else { all(operation, action) }
            }
            Kind::Background => {
                let backdrop = match draw.below(3) {
                    0 => Backdrop::Plain(draw.pick(&Colour::ALL)),
                    _ => draw.pick(&[Backdrop::Meadow, Backdrop::Beach, Backdrop::Desert, Backdrop::Sea]),
                };
                all(Operation::Background, Action::Background(backdrop))
            }
            Kind::Shadow => one(Operation::Shadow, Action::Shadow),
        }
    }

    /// Whether only the places of things change.
    pub(super) fn is_of_places(&self) -> bool {
        let moves = matches!(
            self.action,
            Action::MoveBy(_) | Action::MoveTo(_) | Action::MoveBeside(_) | Action::Swap
        );
        moves || self.moves_view()
    }

    /// Whether the camera moves.
    pub(super) fn moves_view(&self) -> bool {
        matches!(self.action, Action::Rotate(_) | Action::Zoom { .. })
    }

    /// The background that it changes to.
    pub(super) fn new_background(&self) -> Option<crate::scene::Background> {
        match self.action {
            Action::Background(backdrop) => Some(backdrop.background()),
            _ => None,
        }
    }

    /// Whether an object of this colour is told from all that the edit makes of it and its ground.
    pub(super) fn shows(&self, colour: Colour) -> bool {
        self.new_background().is_none_or(|background| world::shows_on(colour, &background))
    }
}

fn add(level: Level, draw: &mut Draw, one: impl Fn(Operation, Action) -> Plan) -> Plan {
    let count = match level {
        Level::Easy => 1,
        Level::Middle | Level::Hard => [1, 2, 3][draw.weighted([5.0, 3.0, 1.0].into_iter())],
    };
    let plan = match draw.weighted([6.0, 3.0, 1.0].into_iter()) {
        0 => {
            let index = draw.below(9);
            let place = AddPlace::Region(Region::PLACES[index]);
            one(Operation::AddAt(index as u8), Action::Add { count, place })
        }
        1 => {
            let side = draw.pick(&SIDES);
            let action = Action::Add { count, place: AddPlace::Beside(side) };
            Plan { anchor: true, ..one(Operation::AddBeside(side), action) }
        }
        _ => one(Operation::Add, Action::Add { count, place: AddPlace::Unsaid }),
    };
    // What it is done to is new.
    Plan { targets: 0, ..plan }
}

fn displacement(level: Level, draw: &mut Draw) -> (Operation, Displacement) {
    let (operation, x, y) = draw.pick(&[
        (Operation::MoveLeft, -1.0, 0.0),
        (Operation::MoveRight, 1.0, 0.0),
        (Operation::MoveUp, 0.0, -1.0),
        (Operation::MoveDown, 0.0, 1.0),
    ]);
    let percent = match level {
        Level::Easy => draw.pick(&[25, 30, 35, 40, 45]),
        Level::Middle => draw.pick(&[15, 20, 25, 30]),
        Level::Hard => draw.pick(&[10, 12, 15, 18, 20]),
    };
    let (amount, said) = match draw.weighted([6.0, 1.0, 0.7, 0.7].into_iter()) {
        0 => (f64::from(percent) / 100.0, true),
        1 => (Displacement::DEFAULT, false),
        2 if level != Level::Easy => (Displacement::LITTLE, false),
        _ => (Displacement::FAR, false),
    };
    // No −0: it would read as a direction.
    let along = |sign: f64| if sign == 0.0 { 0.0 } else { sign * amount };
    (operation, Displacement { dx: along(x), dy: along(y), unit: Default::default(), said })
}

fn scale(level: Level, draw: &mut Draw) -> Scale {
    let larger = draw.chance(0.5);
    let (factor, said) = match (level, draw.below(3)) {
        (Level::Easy, 0) => (2.0, true),
        (Level::Easy, 1) => (Scale::FAR, false),
        (Level::Hard, 0) => (if larger { 1.25 } else { 1.0 / 0.75 }, true),
        (Level::Hard, 1) => (Scale::LITTLE, false),
        (_, 0) => (if larger { 1.5 } else { 2.0 }, true),
        _ => (Scale::DEFAULT, false),
    };
    // Four decimals, as an instruction is read.
    let smaller = (1e4 / factor).round() / 1e4;
    Scale { factor: if larger { factor } else { smaller }, said }
}

fn turn(level: Level, draw: &mut Draw) -> Turn {
    let (degrees, said) = match (level, draw.below(4)) {
        (Level::Easy, 0) => (Turn::FAR, false),
        (Level::Easy, _) => (draw.pick(&[45.0, 60.0, 90.0]), true),
        (Level::Hard, 0) => (Turn::LITTLE, false),
        (Level::Hard, _) => (draw.pick(&[15.0, 20.0, 30.0]), true),
        (_, 0) => (Turn::DEFAULT, false),
        _ => (draw.pick(&[30.0, 40.0, 45.0]), true),
    };
    Turn { degrees: if draw.chance(0.5) { degrees } else { -degrees }, said }
}
