//! Which template says which edit.

use super::Writer;
use crate::{Background, Destination, Displacement, Focus, Intent, Place, Referent, Scale, Turn, Unit};

/// How an amount that is not said is put.
fn step(amount: f64, little: f64, default: f64, far: f64) -> &'static str {
    if amount < (little + default) / 2.0 {
        ".little"
    } else if amount > (default + far) / 2.0 {
        ".far"
    } else {
        ""
    }
}

impl Writer<'_> {
    pub(super) fn edit(&mut self, intent: &Intent) -> String {
        match intent {
            Intent::Move { target, to } => self.moved(target, to),
            Intent::Add { count, object, place } => {
                let slots = [("object", self.counted(object, *count))];
                self.placed("add", "add.place", slots, place.as_ref())
            }
            Intent::Remove { target } => {
                let target = self.named(target);
                self.fill("remove", &[("target", target)])
            }
            Intent::Recolour { target, colour } => {
                let slots = [("target", self.named(target)), ("colour", self.colour(colour))];
                self.fill("recolour", &slots)
            }
            Intent::Resize { target, scale } => self.resized(target, *scale),
            Intent::Swap { first, second: Some(second) } => {
                let slots = [("first", self.named(first)), ("second", self.named(second))];
                self.fill("swap", &slots)
            }
            Intent::Swap { first, second: None } => {
                let target = self.named(first);
                self.fill("swap.group", &[("target", target)])
            }
            Intent::RotateView { turn } => self.rotated(*turn),
            Intent::Zoom { scale, focus } => self.zoomed(*scale, focus.as_ref()),
            Intent::ChangeBackground { to } => self.background(to),
            Intent::AddEffect { effect, place } => {
                let slots = [("effect", self.effect(effect))];
                self.placed("effect", "effect.place", slots, place.as_ref())
            }
            Intent::Style { target: None, style } => {
                let style = self.style(style);
                self.fill("style", &[("style", style)])
            }
            Intent::Style { target: Some(target), style } => {
                let slots = [("target", self.named(target)), ("style", self.style(style))];
                self.fill("style.target", &slots)
            }
            Intent::Free { text } => text.clone(),
        }
    }

    fn placed(
        &mut self,
        bare: &str,
        with: &str,
        slots: [(&str, String); 1],
        place: Option<&Place>,
    ) -> String {
        let [slot] = slots;
        match place {
            None => self.fill(bare, &[slot]),
            Some(place) => {
                let place = match place {
                    Place::Region(region) => self.at(region),
                    Place::Relative(relative) => self.relative(relative),
                };
                self.fill(with, &[slot, ("place", place)])
            }
        }
    }

    fn moved(&mut self, target: &Referent, to: &Destination) -> String {
        let target = ("target", self.named(target));
        match to {
            Destination::Region(region) => {
                let slots = [target, ("region", self.region(region)), ("place", self.at(region))];
                self.fill("move.region", &slots)
            }
            Destination::Relative(relative) => {
                let place = ("place", self.relative(relative));
                self.fill("move.relative", &[target, place])
            }
            Destination::By(by) => self.moved_by(target, by),
        }
    }

    fn moved_by(&mut self, target: (&'static str, String), by: &Displacement) -> String {
        let across = self.fill(if by.dx < 0.0 { "dir.left" } else { "dir.right" }, &[]);
        let along = self.fill(if by.dy < 0.0 { "dir.up" } else { "dir.down" }, &[]);
        if by.dx != 0.0 && by.dy != 0.0 {
            let (dir, dir2) = (("dir", across), ("dir2", along));
            if !by.said {
                return self.fill("move.diagonal", &[target, dir, dir2]);
            }
            let slots = [
                target,
                dir,
                dir2,
                ("amount", self.amount(by.dx, by.unit)),
                ("amount2", self.amount(by.dy, by.unit)),
            ];
            return self.fill("move.diagonal.said", &slots);
        }
        let (dir, by_one) = if by.dy == 0.0 { (across, by.dx) } else { (along, by.dy) };
        if by.said {
            let amount = self.amount(by_one, by.unit);
            return self.fill("move.said", &[target, ("dir", dir), ("amount", amount)]);
        }
        let step = step(by_one.abs(), Displacement::LITTLE, Displacement::DEFAULT, Displacement::FAR);
        let step = if step.is_empty() { ".default" } else { step };
        self.fill(&format!("move{step}"), &[target, ("dir", dir)])
    }

    fn amount(&mut self, amount: f64, unit: Unit) -> String {
        match unit {
            Unit::Fraction => self.fill("amount.percent", &[("n", percent(amount.abs()))]),
            Unit::Pixels => self.fill("amount.pixels", &[("n", number(amount.abs()))]),
        }
    }

    fn resized(&mut self, target: &Referent, scale: Scale) -> String {
        let target = ("target", self.named(target));
        let (direction, change, growth) = change(scale);
        if scale.said && (scale.factor - 2.0).abs() < 1e-6 {
            return self.fill("resize.double", &[target]);
        }
        if scale.said && (scale.factor - 0.5).abs() < 1e-6 {
            return self.fill("resize.half", &[target]);
        }
        if scale.said {
            return self.fill(&format!("resize.{direction}.said"), &[target, ("percent", percent(change))]);
        }
        let step = step(growth, Scale::LITTLE, Scale::DEFAULT, Scale::FAR);
        self.fill(&format!("resize.{direction}{step}"), &[target])
    }

    fn rotated(&mut self, turn: Turn) -> String {
        let right = turn.degrees >= 0.0;
        let dir = ("dir", self.fill(if right { "dir.right" } else { "dir.left" }, &[]));
        if !turn.said {
            let step = step(turn.degrees.abs(), Turn::LITTLE, Turn::DEFAULT, Turn::FAR);
            return self.fill(&format!("rotate{step}"), &[dir]);
        }
        let degrees = ("degrees", number(turn.degrees.abs()));
        if right && self.below(2) == 0 {
            return self.fill("rotate.right.said", &[degrees]);
        }
        self.fill("rotate.said", &[degrees, dir])
    }

    fn zoomed(&mut self, scale: Scale, focus: Option<&Focus>) -> String {
        let (direction, change, growth) = change(scale);
        let direction = if direction == "up" { "in" } else { "out" };
        let percent = ("percent", percent(change));
        if let Some(focus) = focus.filter(|_| direction == "in") {
            let target = match focus {
                Focus::Object(object) => self.named(object),
                Focus::Region(region) => self.region(region),
            };
            let key = if scale.said { "zoom.in.said.focus" } else { "zoom.in.focus" };
            return self.fill(key, &[("target", target), percent]);
        }
        if scale.said {
            return self.fill(&format!("zoom.{direction}.said"), &[percent]);
        }
        let step = step(growth, Scale::LITTLE, Scale::DEFAULT, Scale::FAR);
        self.fill(&format!("zoom.{direction}{step}"), &[])
    }

    fn background(&mut self, to: &Background) -> String {
        match (&to.scene, &to.colour) {
            (None, Some(colour)) => {
                let colour = self.colour(colour);
                self.fill("background.colour", &[("colour", colour)])
            }
            (scene, colour) => {
                let scene = self.scenery(scene.as_ref(), colour.as_ref());
                self.fill("background.scene", &[("scene", scene)])
            }
        }
    }
}

/// "up" or "down", the change as a fraction, and how many times it grows or shrinks.
fn change(scale: Scale) -> (&'static str, f64, f64) {
    if scale.factor >= 1.0 {
        ("up", scale.factor - 1.0, scale.factor)
    } else {
        ("down", 1.0 - scale.factor, 1.0 / scale.factor)
    }
}

pub(super) fn percent(fraction: f64) -> String {
    number(fraction * 100.0)
}

/// At most two decimals.
fn number(value: f64) -> String {
    format!("{}", (value * 100.0).round() / 100.0)
}
