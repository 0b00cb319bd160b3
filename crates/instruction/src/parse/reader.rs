//! A position in the words of an instruction, and the small steps that grammar is made of.

use crate::referent::Referent;
use crate::term::Term;
use crate::words::{Token, Word};

use super::vocabulary::{Index, Mark, Verb, Vocabulary};

/// Whether things are read with where they are: "the ball on the left" can be one thing, or a thing and its goal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Readings {
    /// For what an edit is about.
    pub(super) target: bool,
    /// For what a place is told by.
    pub(super) anchor: bool,
}

pub(super) struct Reader<'a> {
    pub(super) text: &'a str,
    pub(super) words: &'a [Word],
    pub(super) vocabulary: &'static Vocabulary,
    pub(super) at: usize,
    /// Whether diacritics must be there.
    pub(super) exact: bool,
    pub(super) readings: Readings,
    /// Whether something may become bigger here, so that "to lên" is no adjective and a way up.
    pub(super) making: bool,
    /// What "it" and "them" mean: the things of the last edit.
    pub(super) last: Vec<Referent>,
    /// What "one" means: the last noun.
    pub(super) noun: Option<Term>,
    /// Phrases compared so far; bounded by a multiple of the words.
    pub(super) work: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn english(&self) -> bool {
        self.vocabulary.english
    }

    pub(super) fn rest(&self) -> &'a [Word] {
        self.words.get(self.at..).unwrap_or_default()
    }

    pub(super) fn peek(&self) -> Option<&'a Word> {
        self.words.get(self.at)
    }

    /// Runs `read`; without a result nothing is consumed.
    pub(super) fn attempt<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let at = self.at;
        let result = read(self);
        if result.is_none() {
            self.at = at;
        }
        result
    }

    /// Takes the longest phrase of a table.
    pub(super) fn take<T: Copy>(&mut self, index: &Index<T>) -> Option<T> {
        self.take_where(index, |_| true)
    }

    pub(super) fn take_where<T: Copy>(&mut self, index: &Index<T>, wanted: impl Fn(&T) -> bool) -> Option<T> {
        let (found, work) = index.longest(self.rest(), self.exact, wanted);
        self.work += work;
        let (value, length) = found?;
        self.at += length;
        Some(value)
    }

    pub(super) fn is<T: Copy>(&mut self, index: &Index<T>) -> bool {
        let (found, work) = index.longest(self.rest(), self.exact, |_| true);
        self.work += work;
        found.is_some()
    }

    pub(super) fn mark(&mut self, mark: Mark) -> bool {
        self.take_where(&self.vocabulary.mark, |found| *found == mark).is_some()
    }

    pub(super) fn marks(&mut self, marks: &[Mark]) -> Option<Mark> {
        self.take_where(&self.vocabulary.mark, |found| marks.contains(found))
    }

    /// Takes any number of these.
    pub(super) fn skip(&mut self, marks: &[Mark]) {
        while self.marks(marks).is_some() {}
    }

    pub(super) fn is_mark(&mut self, mark: Mark) -> bool {
        let at = self.at;
        let found = self.mark(mark);
        self.at = at;
        found
    }

    /// The "'s" of "the vase's color".
    pub(super) fn possessive(&mut self) -> bool {
        let possessive = self.peek().is_some_and(|word| word.text == "'s");
        self.at += usize::from(possessive);
        possessive
    }

    /// A word for the whole image; "hình" is one, "hình trụ" is a thing.
    pub(super) fn image(&mut self) -> bool {
        let vocabulary = self.vocabulary;
        !self.is(&vocabulary.noun) && self.mark(Mark::Image)
    }

    pub(super) fn verb(&mut self, verb: Verb) -> bool {
        self.take_where(&self.vocabulary.verb, |found| *found == verb).is_some()
    }

    pub(super) fn verbs(&mut self, verbs: &[Verb]) -> Option<Verb> {
        self.take_where(&self.vocabulary.verb, |found| verbs.contains(found))
    }

    pub(super) fn is_verb(&mut self) -> bool {
        self.is(&self.vocabulary.verb)
    }

    pub(super) fn comma(&mut self) -> bool {
        let comma = self.peek().is_some_and(|word| word.token == Token::Comma);
        self.at += usize::from(comma);
        comma
    }

    /// Whether the word here is letters that no table of the grammar claims.
    pub(super) fn is_open(&mut self) -> bool {
        let Some(word) = self.peek() else { return false };
        let vocabulary = self.vocabulary;
        word.token == Token::Word
            && word.text.chars().any(char::is_alphabetic)
            && !word.text.starts_with('\'')
            && !self.is(&vocabulary.verb)
            && !self.is(&vocabulary.mark)
            && !self.is(&vocabulary.direction)
            && !self.is(&vocabulary.relation)
            && !self.is(&vocabulary.step)
            && !self.is(&vocabulary.comparative)
            && !self.is(&vocabulary.number)
            && !self.is(&vocabulary.fraction)
            && !self.is(&vocabulary.ordinal)
    }

    /// Whether an edit may end here, behind words of politeness.
    pub(super) fn finished(&mut self) -> bool {
        self.skip(&[Mark::Tail, Mark::FromThePicture]);
        if self.comma() {
            // "…, please": what follows a comma is another edit otherwise.
            self.skip(&[Mark::Tail]);
            return true;
        }
        match self.peek() {
            None => true,
            Some(word) if word.token == Token::Stop => true,
            // "next" joins edits, "next to" tells a place.
            Some(_) => {
                self.is_mark(Mark::And) || (self.is_mark(Mark::Then) && !self.is(&self.vocabulary.relation))
            }
        }
    }

    /// [`Reader::finished`], and nothing is consumed.
    pub(super) fn ends(&mut self) -> bool {
        let at = self.at;
        let ends = self.finished();
        self.at = at;
        ends
    }

    /// The original text between two words.
    pub(super) fn source(&self, from: usize, to: usize) -> &'a str {
        let Some(words) = self.words.get(from..to) else { return "" };
        let start = words.first().map_or(0, |word| word.start);
        let end = words.last().map_or(start, |word| word.end);
        self.text.get(start..end).unwrap_or_default()
    }

    /// The words up to the end of the sentence or the next edit, as a term.
    pub(super) fn open_text(&mut self) -> Option<Term> {
        const MOST: usize = 12;
        let from = self.at;
        while self.at - from < MOST
            && self.peek().is_some_and(|word| !matches!(word.token, Token::Stop | Token::Comma))
        {
            if self.at > from && (self.is_mark(Mark::Tail) || self.before_edit()) {
                break;
            }
            self.at += 1;
        }
        let text: Vec<&str> = self.words[from..self.at].iter().map(|word| word.text.as_str()).collect();
        (!text.is_empty()).then(|| Term::new(&text.join(" ")))
    }

    /// Whether a connector and a verb stand here.
    pub(super) fn before_edit(&mut self) -> bool {
        let at = self.at;
        let connected = self.marks(&[Mark::Then, Mark::And]).is_some();
        self.skip(&[Mark::Then, Mark::And, Mark::Please]);
        let edit = connected && self.is_verb();
        self.at = at;
        edit
    }
}
