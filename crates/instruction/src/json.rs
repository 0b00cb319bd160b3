//! Intents as JSON, within limits.

use serde::{Deserialize, Serialize};

use crate::intent::{Destination, Focus, Intent, Place};
use crate::referent::{Quantity, Referent, Relative};
use crate::region::{FractionBox, Region};

/// The version of the JSON format that is written; the only one that is read.
const VERSION: u32 = 1;

/// Longer documents are refused unread.
pub const MAX_JSON_BYTES: usize = 256 * 1024;

/// More edits than this in one instruction are refused, and not looked for in text.
pub const MAX_INTENTS: usize = 64;

/// The most things that one edit can add or count.
const MAX_COUNT: u32 = 1000;

/// Objects told by objects told by objects.
const MAX_DEPTH: usize = 4;

/// Intents that are given instead of being read from text.
///
/// ```
/// use retouch_instruction::{Intent, Intents, Referent};
///
/// let json = r#"{"version": 1, "intents": [{"op": "remove", "target": {"noun": "vase"}}]}"#;
/// let intents = Intents::from_json(json)?;
/// assert_eq!(intents.intents, [Intent::Remove { target: Referent::named("vase") }]);
/// # Ok::<(), retouch_instruction::IntentsError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intents {
    version: u32,
    /// At most [`MAX_INTENTS`].
    pub intents: Vec<Intent>,
}

/// Why intents are refused; [`IntentsError::code`] is for programs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IntentsError {
    /// Not read at all.
    #[error("the intents are {bytes} bytes of JSON, the limit is {MAX_JSON_BYTES}; send fewer")]
    TooLong {
        /// Their length.
        bytes: usize,
    },
    /// Not JSON, or not of the documented shape.
    #[error(
        "the intents are not valid at line {line}, column {column}; compare them with the documented shape"
    )]
    Malformed {
        /// Where reading stopped, from 1.
        line: usize,
        /// Where reading stopped, from 1.
        column: usize,
        /// What is wrong there.
        #[source]
        source: serde_json::Error,
    },
    /// Written for another version of this software.
    #[error("the intents have version {version}, this software reads version {VERSION}")]
    Version {
        /// As given.
        version: u32,
    },
    /// Too many edits at once.
    #[error("there are {count} intents, the limit is {MAX_INTENTS}; split them over several edits")]
    TooMany {
        /// How many there are.
        count: usize,
    },
    /// A value that no edit can have.
    #[error("intent {index}: {field} is {value}, {rule}")]
    Value {
        /// From 0.
        index: usize,
        /// Path of the field within the intent.
        field: &'static str,
        /// As given.
        value: String,
        /// What it must be.
        rule: &'static str,
    },
}

impl IntentsError {
    /// A stable name of the kind of error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "intents_too_long",
            Self::Malformed { .. } => "intents_malformed",
            Self::Version { .. } => "intents_version",
            Self::TooMany { .. } => "intents_too_many",
            Self::Value { .. } => "intents_value",
        }
    }
}

impl Intents {
    /// Intents of the current version, unchecked.
    #[must_use]
    pub fn new(intents: Vec<Intent>) -> Self {
        Self { version: VERSION, intents }
    }

    /// Reads and checks `{"version": 1, "intents": […]}`.
    ///
    /// # Errors
    /// If the document is over [`MAX_JSON_BYTES`] or malformed, of another version, has over [`MAX_INTENTS`]
    /// intents or a value that no edit can have.
    pub fn from_json(json: &str) -> Result<Self, IntentsError> {
        if json.len() > MAX_JSON_BYTES {
            return Err(IntentsError::TooLong { bytes: json.len() });
        }
        let intents: Self = serde_json::from_str(json).map_err(|source| IntentsError::Malformed {
            line: source.line(),
            column: source.column(),
            source,
        })?;
        intents.check()?;
        Ok(intents)
    }

    /// The document that [`Intents::from_json`] reads.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("intents have string keys and no failing serializer")
    }

    /// Whether [`Intents::from_json`] would accept them.
    ///
    /// # Errors
    /// As [`Intents::from_json`].
    pub fn check(&self) -> Result<(), IntentsError> {
        if self.version != VERSION {
            return Err(IntentsError::Version { version: self.version });
        }
        if self.intents.len() > MAX_INTENTS {
            return Err(IntentsError::TooMany { count: self.intents.len() });
        }
        for (index, intent) in self.intents.iter().enumerate() {
            check_intent(intent).map_err(|Refused { field, value, rule }| IntentsError::Value {
                index,
                field,
                value,
                rule,
            })?;
        }
        Ok(())
    }
}

struct Refused {
    field: &'static str,
    value: String,
    rule: &'static str,
}

fn within(field: &'static str, value: f64, least: f64, most: f64, rule: &'static str) -> Result<(), Refused> {
    if value.is_finite() && (least..=most).contains(&value) {
        return Ok(());
    }
    Err(Refused { field, value: value.to_string(), rule })
}

fn check_intent(intent: &Intent) -> Result<(), Refused> {
    match intent {
        Intent::Move { target, to } => {
            check_referent("target", target, MAX_DEPTH)?;
            check_destination(to)
        }
        Intent::Add { count, object, place } => {
            check_count("count", *count)?;
            check_referent("object", object, MAX_DEPTH)?;
            check_place(place.as_ref())
        }
        Intent::Remove { target } | Intent::Recolour { target, .. } => {
            check_referent("target", target, MAX_DEPTH)
        }
        Intent::Resize { target, scale } => {
            check_referent("target", target, MAX_DEPTH)?;
            check_factor(scale.factor)
        }
        Intent::Swap { first, second } => {
            check_referent("first", first, MAX_DEPTH)?;
            second.iter().try_for_each(|second| check_referent("second", second, MAX_DEPTH))
        }
        Intent::RotateView { turn } => {
            within("turn.degrees", turn.degrees, -360.0, 360.0, "it must be from -360 to 360")
        }
        Intent::Zoom { scale, focus } => {
            check_factor(scale.factor)?;
            match focus {
                Some(Focus::Object(object)) => check_referent("focus.object", object, MAX_DEPTH),
                Some(Focus::Region(region)) => check_region("focus.region", region),
                None => Ok(()),
            }
        }
        Intent::AddEffect { place, .. } => check_place(place.as_ref()),
        Intent::Style { target, .. } => {
            target.iter().try_for_each(|target| check_referent("target", target, MAX_DEPTH))
        }
        Intent::ChangeBackground { .. } | Intent::Free { .. } => Ok(()),
    }
}

fn check_factor(factor: f64) -> Result<(), Refused> {
    within("scale.factor", factor, 0.01, 100.0, "it must be from 0.01 to 100")
}

fn check_count(field: &'static str, count: u32) -> Result<(), Refused> {
    within(field, f64::from(count), 1.0, f64::from(MAX_COUNT), "it must be from 1 to 1000")
}

fn check_destination(to: &Destination) -> Result<(), Refused> {
    match to {
        Destination::By(by) => {
            let rule = "it must be from -100000 to 100000";
            within("to.by.dx", by.dx, -1e5, 1e5, rule)?;
            within("to.by.dy", by.dy, -1e5, 1e5, rule)
        }
        Destination::Region(region) => check_region("to.region", region),
        Destination::Relative(relative) => check_relative("to.relative.anchor", relative, MAX_DEPTH),
    }
}

fn check_place(place: Option<&Place>) -> Result<(), Refused> {
    match place {
        Some(Place::Region(region)) => check_region("place.region", region),
        Some(Place::Relative(relative)) => check_relative("place.relative.anchor", relative, MAX_DEPTH),
        None => Ok(()),
    }
}

fn check_region(field: &'static str, region: &Region) -> Result<(), Refused> {
    let Region::Box(bounds) = region else { return Ok(()) };
    let FractionBox { left, top, right, bottom } = *bounds;
    let fractions = [left, top, right, bottom].iter().all(|side| (0.0..=1.0).contains(side));
    if fractions && left < right && top < bottom {
        return Ok(());
    }
    let value = format!("({left}, {top}) to ({right}, {bottom})");
    Err(Refused {
        field,
        value,
        rule: "its corners must be in 0..1, left before right and top before bottom",
    })
}

fn check_relative(field: &'static str, relative: &Relative, depth: usize) -> Result<(), Refused> {
    check_referent(field, &relative.anchor, depth)?;
    relative.other.iter().try_for_each(|other| check_referent(field, other, depth))
}

fn check_referent(field: &'static str, referent: &Referent, depth: usize) -> Result<(), Refused> {
    if let Quantity::Exactly(count) = referent.quantity {
        check_count(field, count)?;
    }
    if let Some(ordinal) = referent.ordinal {
        check_count(field, ordinal.index)?;
    }
    if let Some(location) = &referent.location {
        check_region(field, location)?;
    }
    let Some(relative) = &referent.relative else { return Ok(()) };
    if depth == 0 {
        return Err(Refused {
            field,
            value: "nested too deeply".to_owned(),
            rule: "it may be told by at most 4 other objects",
        });
    }
    check_relative(field, relative, depth - 1)
}
