//! The short form of intents, for logs, tables and tests: `move(red ball, by -0.1 0)`.
//!
//! `~` after an amount: the instruction does not say it. `@`: where a thing is; `<`: what it stands by.

use std::fmt::{self, Display, Formatter};

use crate::intent::{Background, Destination, Focus, Intent, Place};
use crate::measure::{Displacement, Scale, Turn, Unit};
use crate::referent::{Quantity, Referent, Relation, Relative, Side, Size};
use crate::region::{FractionBox, Region};

impl Display for Intent {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Move { target, to } => write!(f, "move({target}, {to})"),
            Self::Add { count, object, place } => {
                write!(f, "add({count} {object}")?;
                end(f, place.as_ref())
            }
            Self::Remove { target } => write!(f, "remove({target})"),
            Self::Recolour { target, colour } => write!(f, "recolour({target}, {colour})"),
            Self::Resize { target, scale } => write!(f, "resize({target}, x{scale})"),
            Self::Swap { first, second } => {
                write!(f, "swap({first}")?;
                end(f, second.as_ref())
            }
            Self::RotateView { turn: Turn { degrees, said } } => {
                write!(f, "view({}{})", Short(*degrees), guess(*said))
            }
            Self::Zoom { scale, focus } => {
                write!(f, "zoom({scale}")?;
                end(f, focus.as_ref())
            }
            Self::ChangeBackground { to } => write!(f, "background({to})"),
            Self::AddEffect { effect, place } => {
                write!(f, "effect({effect}")?;
                end(f, place.as_ref())
            }
            Self::Style { target: Some(target), style } => write!(f, "style({target}, {style})"),
            Self::Style { target: None, style } => write!(f, "style({style})"),
            Self::Free { text } => write!(f, "free({text})"),
        }
    }
}

/// `, more)` or `)`.
fn end(f: &mut Formatter<'_>, more: Option<&impl Display>) -> fmt::Result {
    match more {
        Some(more) => write!(f, ", {more})"),
        None => f.write_str(")"),
    }
}

fn guess(said: bool) -> &'static str {
    if said { "" } else { "~" }
}

/// At most four decimals.
struct Short(f64);

impl Display for Short {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let rounded = (self.0 * 1e4).round() / 1e4;
        write!(f, "{}", if rounded == 0.0 { 0.0 } else { rounded })
    }
}

impl Display for Scale {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Short(self.factor), guess(self.said))
    }
}

impl Display for Displacement {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let unit = if self.unit == Unit::Pixels { "px" } else { "" };
        write!(f, "by{} {}", guess(self.said), Short(self.dx))?;
        write!(f, "{} {}", if self.dx == 0.0 { "" } else { unit }, Short(self.dy))?;
        f.write_str(if self.dy == 0.0 { "" } else { unit })
    }
}

impl Display for Destination {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::By(by) => by.fmt(f),
            Self::Region(region) => write!(f, "at {region}"),
            Self::Relative(relative) => relative.fmt(f),
        }
    }
}

impl Display for Place {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Region(region) => write!(f, "at {region}"),
            Self::Relative(relative) => relative.fmt(f),
        }
    }
}

impl Display for Focus {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(object) => object.fmt(f),
            Self::Region(region) => region.fmt(f),
        }
    }
}

impl Display for Background {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let words = [&self.colour, &self.scene].into_iter().flatten().map(|term| term.as_str());
        f.write_str(&words.collect::<Vec<_>>().join(" "))
    }
}

impl Display for Relative {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.relation, self.anchor)?;
        self.other.iter().try_for_each(|other| write!(f, " & {other}"))
    }
}

impl Display for Relation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Display for Region {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self::Box(FractionBox { left, top, right, bottom }) = *self else {
            return f.write_str(self.name());
        };
        write!(f, "box({} {} {} {})", Short(left), Short(top), Short(right), Short(bottom))
    }
}

impl Display for Referent {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.quantity {
            Quantity::One => {}
            Quantity::All => f.write_str("all ")?,
            Quantity::Both => f.write_str("both ")?,
            Quantity::Exactly(count) => write!(f, "{count} ")?,
        }
        if let Some(ordinal) = self.ordinal {
            let side = match ordinal.from {
                Side::Left => "left",
                Side::Right => "right",
                Side::Top => "top",
                Side::Bottom => "bottom",
                Side::Front => "front",
                Side::Back => "back",
            };
            write!(f, "#{}-{side} ", ordinal.index)?;
        }
        let size = self.size.map(|size| match size {
            Size::Small => "small",
            Size::Medium => "medium",
            Size::Large => "large",
        });
        let terms = [&self.colour, &self.material].into_iter().flatten().chain(&self.adjectives);
        for word in size.into_iter().chain(terms.map(|term| term.as_str())) {
            write!(f, "{word} ")?;
        }
        f.write_str(self.noun.as_ref().map_or("it", |noun| noun.as_str()))?;
        if let Some(location) = &self.location {
            write!(f, " @{location}")?;
        }
        if let Some(relative) = &self.relative {
            write!(f, " <{relative}>")?;
        }
        Ok(())
    }
}
