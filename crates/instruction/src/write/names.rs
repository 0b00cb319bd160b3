//! Things, places and properties in words.

use super::Writer;
use super::edits::percent;
use crate::lexicon::{self, Entry, Kind};
use crate::{FractionBox, Ordinal, Quantity, Referent, Region, Relation, Relative, Side, Size, Term};

/// In how many numbers are written as words.
const ENGLISH: [&str; 10] = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];
const VIETNAMESE: [&str; 10] = ["một", "hai", "ba", "bốn", "năm", "sáu", "bảy", "tám", "chín", "mười"];
const ORDINALS: [(&str, &str); 5] = [
    ("first", "thứ nhất"),
    ("second", "thứ hai"),
    ("third", "thứ ba"),
    ("fourth", "thứ tư"),
    ("fifth", "thứ năm"),
];

/// The four halves of an image and their keys.
const HALVES: [(&str, [f64; 4]); 4] = [
    ("at.left_half", [0.0, 0.0, 0.5, 1.0]),
    ("at.right_half", [0.5, 0.0, 1.0, 1.0]),
    ("at.top_half", [0.0, 0.0, 1.0, 0.5]),
    ("at.bottom_half", [0.0, 0.5, 1.0, 1.0]),
];

impl Writer<'_> {
    /// "the two red balls", "hai quả bóng màu đỏ".
    pub(super) fn named(&mut self, referent: &Referent) -> String {
        let many = referent.quantity != Quantity::One;
        if self.english() {
            let Some(noun) = self.thing(referent, many) else {
                return if many { "them" } else { "it" }.to_owned();
            };
            let (before, after) = ordinal_in_english(referent.ordinal);
            let quantity = match referent.quantity {
                Quantity::One => "the ".to_owned(),
                Quantity::All => "all the ".to_owned(),
                Quantity::Both => "both ".to_owned(),
                Quantity::Exactly(count) => format!("the {} ", in_words(&ENGLISH, count)),
            };
            let position = self.position(referent);
            return format!("{quantity}{before}{noun}{after}{position}");
        }
        let Some(noun) = self.thing(referent, many) else {
            return if many { "chúng" } else { "nó" }.to_owned();
        };
        let quantity = match referent.quantity {
            Quantity::One => String::new(),
            Quantity::All => "tất cả ".to_owned(),
            Quantity::Both => "cả hai ".to_owned(),
            Quantity::Exactly(count) => format!("{} ", in_words(&VIETNAMESE, count)),
        };
        let ordinal = ordinal_in_vietnamese(referent.ordinal);
        let position = self.position(referent);
        format!("{quantity}{noun}{ordinal}{position}")
    }

    /// "a red ball", "hai con mèo".
    pub(super) fn counted(&mut self, object: &Referent, count: u32) -> String {
        let noun = self.thing(object, count > 1).unwrap_or_else(|| {
            let entry = lexicon::find(Kind::Noun, "object");
            entry.map_or_else(String::new, |entry| self.word(entry, count > 1))
        });
        match (self.english(), count) {
            (true, 1) => format!("{} {noun}", lexicon::article(&noun)),
            (true, _) => format!("{} {noun}", in_words(&ENGLISH, count)),
            (false, _) => format!("{} {noun}", in_words(&VIETNAMESE, count)),
        }
    }

    /// Where it is: " on the left", " next to the vase".
    fn position(&mut self, referent: &Referent) -> String {
        let location = referent.location.map(|location| format!(" {}", self.at(&location)));
        let relative = referent.relative.as_ref().map(|relative| format!(" {}", self.relative(relative)));
        format!("{}{}", location.unwrap_or_default(), relative.unwrap_or_default())
    }

    /// Noun and adjectives; `None` without a noun and adjectives.
    fn thing(&mut self, referent: &Referent, many: bool) -> Option<String> {
        let size = referent.size.map(|size| match size {
            Size::Small => "small",
            Size::Medium => "medium",
            Size::Large => "large",
        });
        let adjectives = [
            size.and_then(|size| Some(self.one_of(lexicon::find(Kind::Size, size)?))),
            referent.colour.as_ref().map(|colour| self.colour_adjective(colour)),
            referent.material.as_ref().map(|material| self.term(Kind::Material, material)),
        ];
        let others = referent.adjectives.iter().map(|term| term.as_str().to_owned());
        let adjectives: Vec<String> = adjectives.into_iter().flatten().chain(others).collect();
        if referent.noun.is_none() && adjectives.is_empty() {
            return None;
        }
        let noun = match &referent.noun {
            Some(noun) => match lexicon::find(Kind::Noun, noun.as_str()) {
                Some(entry) => self.word(entry, many),
                None if many && self.english() => lexicon::plural(noun.as_str()),
                None => noun.as_str().to_owned(),
            },
            None if self.english() => if many { "ones" } else { "one" }.to_owned(),
            None => "cái".to_owned(),
        };
        let mut words = adjectives;
        words.insert(if self.english() { words.len() } else { 0 }, noun);
        Some(words.join(" "))
    }

    /// One of the words of a noun in the right number.
    fn word(&mut self, entry: &Entry, many: bool) -> String {
        if !self.english() {
            return self.pick(&entry.vietnamese).clone();
        }
        let word = self.pick(&entry.english);
        if many { &word.plural } else { &word.singular }.clone()
    }

    fn one_of(&mut self, entry: &Entry) -> String {
        self.word(entry, false)
    }

    fn term(&mut self, kind: Kind, term: &Term) -> String {
        match lexicon::find(kind, term.as_str()) {
            Some(entry) => self.one_of(entry),
            None => term.as_str().to_owned(),
        }
    }

    /// "red", "đỏ".
    pub(super) fn colour(&mut self, colour: &Term) -> String {
        self.term(Kind::Colour, colour)
    }

    /// "red", "màu đỏ".
    fn colour_adjective(&mut self, colour: &Term) -> String {
        let colour = self.colour(colour);
        if self.english() { colour } else { format!("màu {colour}") }
    }

    pub(super) fn effect(&mut self, effect: &Term) -> String {
        self.with_article(Kind::Effect, effect)
    }

    pub(super) fn style(&mut self, style: &Term) -> String {
        self.with_article(Kind::Style, style)
    }

    /// A word of an open vocabulary, in English with an article if it can be counted.
    fn with_article(&mut self, kind: Kind, term: &Term) -> String {
        let Some(entry) = lexicon::find(kind, term.as_str()) else { return term.as_str().to_owned() };
        if !self.english() {
            return self.one_of(entry);
        }
        let word = self.pick(&entry.english);
        if word.is_uncountable() {
            return word.singular.clone();
        }
        format!("{} {}", lexicon::article(&word.singular), word.singular)
    }

    /// "a green meadow".
    pub(super) fn scenery(&mut self, scene: Option<&Term>, colour: Option<&Term>) -> String {
        let scene = Referent { noun: scene.cloned(), colour: colour.cloned(), ..Referent::default() };
        let known = scene.noun.as_ref().and_then(|noun| lexicon::find(Kind::Noun, noun.as_str()));
        let text = self.thing(&scene, false).unwrap_or_default();
        let counted = known.is_some_and(|entry| !entry.english[0].is_uncountable());
        if self.english() && counted { format!("{} {text}", lexicon::article(&text)) } else { text }
    }

    /// "the upper left corner".
    pub(super) fn region(&mut self, region: &Region) -> String {
        match region {
            Region::Box(_) => self.at(region),
            place => self.fill(&format!("name.{}", place.name()), &[]),
        }
    }

    /// "in the upper left corner".
    pub(super) fn at(&mut self, region: &Region) -> String {
        let Region::Box(FractionBox { left, top, right, bottom }) = *region else {
            return self.fill(&format!("at.{}", region.name()), &[]);
        };
        let same = |half: &[f64; 4]| {
            half.iter().zip([left, top, right, bottom]).all(|(half, side)| (half - side).abs() < 1e-6)
        };
        if let Some((key, _)) = HALVES.iter().find(|(_, half)| same(half)) {
            return self.fill(key, &[]);
        }
        let sides = [("left", left), ("top", top), ("right", right), ("bottom", bottom)];
        self.fill("at.box", &sides.map(|(name, side)| (name, percent(side))))
    }

    /// "to the left of the vase".
    pub(super) fn relative(&mut self, relative: &Relative) -> String {
        // One relation is told; more would be ambiguous in words.
        let bare = |referent: &Referent| Referent { relative: None, ..referent.clone() };
        let anchor = ("anchor", self.named(&bare(&relative.anchor)));
        let key = format!("rel.{}", relative.relation.name());
        match &relative.other {
            Some(other) => {
                let other = ("other", self.named(&bare(other)));
                self.fill(&key, &[anchor, other])
            }
            None if relative.relation == Relation::Between => self.fill("rel.between.group", &[anchor]),
            None => self.fill(&key, &[anchor]),
        }
    }
}

fn in_words(words: &[&str; 10], count: u32) -> String {
    let word = usize::try_from(count).ok().and_then(|count| words.get(count.checked_sub(1)?));
    word.map_or_else(|| count.to_string(), |word| (*word).to_owned())
}

/// What stands before the noun and after it.
fn ordinal_in_english(ordinal: Option<Ordinal>) -> (String, String) {
    let Some(Ordinal { index, from }) = ordinal else { return (String::new(), String::new()) };
    let (most, side) = match from {
        Side::Left => ("leftmost", "left"),
        Side::Right => ("rightmost", "right"),
        Side::Top => ("topmost", "top"),
        Side::Bottom => ("bottommost", "bottom"),
        Side::Front => ("nearest", "front"),
        Side::Back => ("farthest", "back"),
    };
    if index == 1 {
        return (format!("{most} "), String::new());
    }
    let rank = usize::try_from(index).ok().and_then(|index| ORDINALS.get(index.checked_sub(1)?));
    let rank = rank.map_or_else(|| format!("{index}th"), |(english, _)| (*english).to_owned());
    (format!("{rank} "), format!(" from the {side}"))
}

fn ordinal_in_vietnamese(ordinal: Option<Ordinal>) -> String {
    let Some(Ordinal { index, from }) = ordinal else { return String::new() };
    let (most, side) = match from {
        Side::Left => ("ngoài cùng bên trái", "từ trái sang"),
        Side::Right => ("ngoài cùng bên phải", "từ phải sang"),
        Side::Top => ("trên cùng", "từ trên xuống"),
        Side::Bottom => ("dưới cùng", "từ dưới lên"),
        Side::Front => ("gần nhất", "từ trước ra sau"),
        Side::Back => ("xa nhất", "từ sau ra trước"),
    };
    if index == 1 {
        return format!(" {most}");
    }
    let rank = usize::try_from(index).ok().and_then(|index| ORDINALS.get(index.checked_sub(1)?));
    let rank = rank.map_or_else(|| format!("thứ {index}"), |(_, vietnamese)| (*vietnamese).to_owned());
    format!(" {rank} {side}")
}
