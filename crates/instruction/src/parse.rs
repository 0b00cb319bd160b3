//! An instruction to typed intents: a grammar over words, without a model behind it.
//!
//! The text is cut into words ([`crate::normalise`]), its language is told by the words it has, and edits are read one
//! after another. Each family of edits has a file; a family either reads a whole edit, up to the end of the sentence or
//! a connector, or nothing. What no family reads is [`Intent::Free`], up to the next connector before a verb.
//! Every family looks at a bounded number of phrases per word, so the work is linear in the text.

mod adding;
mod amount;
mod changing;
mod moving;
mod noun;
mod place;
mod reader;
mod scenery;
mod sizing;
mod viewing;
mod vocabulary;

use crate::complexity::Complexity;
use crate::intent::Intent;
use crate::json::MAX_INTENTS;
use crate::words::{Token, Word, words};
use crate::{Language, Parsed};

use self::reader::{Reader, Readings};
use self::vocabulary::{Mark, Vocabulary};

/// Words behind this many are not read: they become one [`Intent::Free`].
pub const MAX_WORDS: usize = 2048;

/// The text of an [`Intent::Free`] is cut here.
pub const MAX_FREE_BYTES: usize = 2048;

/// The families of edits, in the order they are tried: what is told by more words comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Background,
    Styling,
    Zooming,
    Rotating,
    Swapping,
    Adding,
    Appearing,
    Moving,
    Removing,
    Resizing,
    Colouring,
    Giving,
    Making,
}

impl Family {
    const ALL: [Self; 13] = [
        Self::Background,
        Self::Styling,
        Self::Zooming,
        Self::Rotating,
        Self::Swapping,
        Self::Adding,
        Self::Appearing,
        Self::Moving,
        Self::Removing,
        Self::Resizing,
        Self::Colouring,
        Self::Giving,
        Self::Making,
    ];

    /// A whole edit.
    fn read(self, reader: &mut Reader<'_>) -> Option<Vec<Intent>> {
        reader.making = self == Self::Making;
        match self {
            Self::Background => reader.background(),
            Self::Styling => reader.styling(),
            Self::Zooming => reader.zooming(),
            Self::Rotating => reader.rotating(),
            Self::Swapping => reader.swapping(),
            Self::Adding => reader.adding(),
            Self::Appearing => reader.appearing(),
            Self::Moving => reader.moving(),
            Self::Removing => reader.removing(),
            Self::Resizing => reader.resizing(),
            Self::Colouring => reader.colouring(),
            Self::Giving => reader.giving(),
            Self::Making => reader.making(),
        }
    }

    /// An edit that leaves its verb out: "the cube right" behind "move the ball left and".
    fn read_on(self, reader: &mut Reader<'_>) -> Option<Vec<Intent>> {
        reader.making = self == Self::Making;
        match self {
            Self::Moving => reader.moving_on(),
            Self::Making | Self::Colouring => reader.making_on(),
            Self::Adding => reader.additions(None),
            _ => None,
        }
    }
}

/// How things may be told apart from places, in the order of trying.
const READINGS: [Readings; 3] = [
    Readings { target: false, anchor: false },
    Readings { target: false, anchor: true },
    Readings { target: true, anchor: false },
];

/// Reads an instruction in English or Vietnamese, with or without diacritics. Total: any text gives an answer.
///
/// ```
/// use retouch_instruction::{Language, parse};
///
/// let parsed = parse("add a tree at the lower right and move the vase left by 10%");
/// let intents: Vec<String> = parsed.intents.iter().map(ToString::to_string).collect();
/// assert_eq!(intents, ["add(1 tree, at bottom_right)", "move(vase, by -0.1 0)"]);
/// assert_eq!(parsed.language, Some(Language::English));
///
/// let parsed = parse("di chuyen vat sang phai 10%");
/// assert_eq!(parsed.intents[0].to_string(), "move(object, by 0.1 0)");
/// assert_eq!(parsed.language, Some(Language::VietnameseUnaccented));
/// ```
#[must_use]
pub fn parse(text: &str) -> Parsed {
    read(text).0
}

/// [`parse`], and how many phrases were compared for it.
pub(crate) fn read(text: &str) -> (Parsed, usize) {
    let (words, more) = words(text, MAX_WORDS);
    let language = language(&words);
    // A text with diacritics means its bare words as they are ("voi" is an elephant, "với" is with), unless they then
    // make no sense: not everybody types all marks.
    let (mut intents, mut work) = edits(text, &words, language, language == Some(Language::Vietnamese));
    if language == Some(Language::Vietnamese) && unread(&intents) > 0 {
        let (lenient, more) = edits(text, &words, language, false);
        work += more;
        if unread(&lenient) < unread(&intents) {
            intents = lenient;
        }
    }
    let spoken = words.iter().filter(|word| !matches!(word.token, Token::Stop | Token::Comma)).count();
    if more {
        let from = words.last().map_or(0, |word| word.end);
        limit(&mut intents, text.get(from..).unwrap_or_default());
    } else if intents.is_empty() && spoken > 0 {
        intents.push(free(text));
    }
    let complexity = Complexity::of(&intents, spoken);
    (Parsed { intents, language, complexity }, work)
}

/// How much of the text no family read.
fn unread(intents: &[Intent]) -> usize {
    let free = |intent: &Intent| if let Intent::Free { text } = intent { text.len() } else { 0 };
    intents.iter().map(free).sum()
}

fn edits(text: &str, words: &[Word], language: Option<Language>, exact: bool) -> (Vec<Intent>, usize) {
    let vocabulary = match language {
        Some(Language::Vietnamese | Language::VietnameseUnaccented) => Vocabulary::vietnamese(),
        Some(Language::English) | None => Vocabulary::english(),
    };
    let reader = Reader {
        text,
        words,
        vocabulary,
        at: 0,
        exact,
        readings: READINGS[0],
        making: false,
        last: Vec::new(),
        noun: None,
        work: 0,
    };
    let mut edits = Edits { reader, intents: Vec::new(), polite: 0, free: None, family: None };
    edits.read_all();
    (edits.intents, edits.reader.work)
}

/// The text behind the limit as a last intent.
fn limit(intents: &mut Vec<Intent>, rest: &str) {
    intents.truncate(MAX_INTENTS - 1);
    intents.push(free(rest));
}

fn free(text: &str) -> Intent {
    let text = text.trim();
    let mut end = text.len().min(MAX_FREE_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    Intent::Free { text: text[..end].to_owned() }
}

/// The language that more words belong to.
fn language(words: &[Word]) -> Option<Language> {
    let count = |vocabulary: &Vocabulary| words.iter().filter(|word| vocabulary.knows(word)).count();
    let (english, vietnamese) = (count(Vocabulary::english()), count(Vocabulary::vietnamese()));
    let accented = words.iter().any(|word| word.text != word.fold && Vocabulary::vietnamese().knows(word));
    if english == 0 && vietnamese == 0 {
        return None;
    }
    if english > vietnamese || (english == vietnamese && !accented) {
        return Some(Language::English);
    }
    Some(if accented { Language::Vietnamese } else { Language::VietnameseUnaccented })
}

/// The edits of a text, in order.
struct Edits<'a> {
    reader: Reader<'a>,
    intents: Vec<Intent>,
    /// Where the words of politeness before the next edit start.
    polite: usize,
    /// The words of a [`Intent::Free`] that may go on: first and behind the last.
    free: Option<(usize, usize)>,
    /// Who read the last edit; it may leave its verb out: "move the ball left and the cube right".
    family: Option<Family>,
}

impl Edits<'_> {
    fn read_all(&mut self) {
        while self.skip_connectors() {
            if self.intents.len() + 1 >= MAX_INTENTS {
                self.free = Some((self.reader.at, self.reader.words.len()));
                break;
            }
            let from = self.reader.at;
            match self.edit() {
                Some(intents) => {
                    self.end_free();
                    self.intents.extend(intents);
                    self.intents.truncate(MAX_INTENTS - 1);
                }
                None => {
                    self.reader.at = from;
                    self.skip_unread();
                    let first = self.free.map_or(self.polite, |(first, _)| first);
                    self.free = Some((first, self.reader.at));
                    self.family = None;
                }
            }
        }
        self.end_free();
    }

    /// Skips what only joins edits; `false` at the end.
    fn skip_connectors(&mut self) -> bool {
        let reader = &mut self.reader;
        loop {
            reader.skip(&[Mark::And, Mark::Then]);
            self.polite = reader.at;
            reader.skip(&[Mark::Please]);
            if reader.is_mark(Mark::And) || reader.is_mark(Mark::Then) {
                continue;
            }
            match reader.peek().map(|word| word.token) {
                None => return false,
                Some(Token::Stop) => {
                    self.family = None;
                    reader.at += 1;
                }
                Some(Token::Comma) => reader.at += 1,
                Some(_) => return true,
            }
        }
    }

    fn edit(&mut self) -> Option<Vec<Intent>> {
        let (last, noun) = (self.reader.last.clone(), self.reader.noun.clone());
        for readings in READINGS {
            self.reader.readings = readings;
            for family in Family::ALL {
                if let Some(intents) = self.whole(|reader| family.read(reader)) {
                    self.family = Some(family);
                    return Some(intents);
                }
                self.reader.last.clone_from(&last);
                self.reader.noun.clone_from(&noun);
            }
        }
        self.reader.readings = READINGS[0];
        let family = self.family?;
        self.whole(|reader| family.read_on(reader))
    }

    /// An edit, if the family reads all of it.
    fn whole(&mut self, read: impl Fn(&mut Reader<'_>) -> Option<Vec<Intent>>) -> Option<Vec<Intent>> {
        self.reader.attempt(|reader| {
            let intents = read(reader)?;
            reader.finished().then_some(intents)
        })
    }

    /// Goes to the end of the sentence, or to where another edit may start.
    fn skip_unread(&mut self) {
        let reader = &mut self.reader;
        while let Some(word) = reader.peek() {
            match word.token {
                Token::Stop => break,
                Token::Comma if reader.words.get(reader.at + 1).is_some() => {
                    reader.at += 1;
                    let edit = reader.is_verb();
                    if edit {
                        break;
                    }
                }
                _ if reader.before_edit() => break,
                _ => reader.at += 1,
            }
        }
    }

    fn end_free(&mut self) {
        if let Some((from, to)) = self.free.take() {
            let spoken = self.reader.words[from..to]
                .iter()
                .any(|word| matches!(word.token, Token::Word | Token::Number { .. }));
            if spoken {
                self.intents.push(free(self.reader.source(from, to)));
            }
        }
    }
}
