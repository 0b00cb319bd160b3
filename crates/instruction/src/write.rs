//! Typed intents to an instruction, from the templates of a [`PhraseSet`].

mod edits;
mod names;

use rand::RngCore;

use crate::phrases::PhraseSet;
use crate::words::unaccented;
use crate::{Intent, Language, Referent};

/// One edit in this many is wrapped in words such as "please".
const WRAPPED: usize = 5;

/// Writes an instruction that asks for `intents`; several are joined by "and", "then", "và", "rồi".
///
/// The same state of `rng` gives the same text. [`Intent::Free`] is written as it is. Amounts that the templates have
/// no words for are written as the nearest they have, and of nested relations only the first is told.
///
/// ```
/// use rand::SeedableRng;
/// use retouch_instruction::{Intent, Language, PhraseSet, Referent, write};
///
/// let edit = [Intent::Remove { target: Referent::named("cat") }];
/// let mut rng = rand::rngs::SmallRng::seed_from_u64(7);
/// let text = write(&edit, PhraseSet::Training, Language::Vietnamese, &mut rng);
/// assert!(text.contains("mèo"), "{text}");
/// ```
pub fn write(intents: &[Intent], set: PhraseSet, language: Language, rng: &mut dyn RngCore) -> String {
    let mut writer = Writer { set, language, rng };
    let mut edits = intents.iter().map(|intent| writer.edit(intent)).collect::<Vec<_>>().into_iter();
    let mut text = edits.next().unwrap_or_default();
    for next in edits {
        text = writer.fill("join", &[("edit", text), ("next", next)]);
    }
    if !intents.is_empty() && writer.below(WRAPPED) == 0 {
        text = writer.fill("wrap", &[("edit", text)]);
    }
    in_letters_of(language, text)
}

/// What is there, by its name: "the red ball on the left", "cả hai quả bóng". For sentences of one's own.
pub fn name(referent: &Referent, set: PhraseSet, language: Language, rng: &mut dyn RngCore) -> String {
    in_letters_of(language, Writer { set, language, rng }.named(referent))
}

/// What is new, by its number and name: "a red ball", "hai quả bóng". For sentences of one's own.
pub fn count(
    object: &Referent,
    count: u32,
    set: PhraseSet,
    language: Language,
    rng: &mut dyn RngCore,
) -> String {
    in_letters_of(language, Writer { set, language, rng }.counted(object, count))
}

fn in_letters_of(language: Language, text: String) -> String {
    match language {
        Language::VietnameseUnaccented => unaccented(&text),
        Language::English | Language::Vietnamese => text,
    }
}

struct Writer<'a> {
    set: PhraseSet,
    language: Language,
    rng: &'a mut dyn RngCore,
}

type Slots<'a> = [(&'a str, String)];

impl Writer<'_> {
    /// A number under `count`. The bias of the remainder is far under what templates could show.
    fn below(&mut self, count: usize) -> usize {
        let count = u64::try_from(count.max(1)).expect("a template list fits 64 bits");
        usize::try_from(self.rng.next_u64() % count).expect("it is under a usize")
    }

    fn pick<'t, T>(&mut self, items: &'t [T]) -> &'t T {
        &items[self.below(items.len())]
    }

    fn english(&self) -> bool {
        self.language == Language::English
    }

    /// A template of `key` with its slots filled.
    fn fill(&mut self, key: &str, slots: &Slots<'_>) -> String {
        let templates = self.set.templates(key, self.language).unwrap_or_default();
        debug_assert!(!templates.is_empty(), "no template for {key}");
        if templates.is_empty() {
            return slots.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(" ");
        }
        let template = self.pick(templates);
        let mut text = String::new();
        let mut rest = template.as_str();
        while let Some((before, (name, after))) =
            rest.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?)))
        {
            text.push_str(before);
            match slots.iter().find(|(slot, _)| *slot == name) {
                Some((_, value)) => text.push_str(value),
                None => debug_assert!(false, "{key} has no value for the slot {name}"),
            }
            rest = after;
        }
        text + rest
    }
}
