//! Adding, removing and swapping things.

use crate::intent::{Intent, Place};
use crate::referent::{Quantity, Referent, Relation, Relative};
use crate::term::Term;

use super::changing::swap;
use super::noun::Noun;
use super::reader::Reader;
use super::vocabulary::{Mark, Verb};

/// Something to add and where.
enum New {
    Thing { count: u32, object: Referent },
    Effect(Term),
}

impl Reader<'_> {
    pub(super) fn adding(&mut self) -> Option<Vec<Intent>> {
        let fronted = self.attempt(|reader| {
            let place = reader.place(true)?;
            reader.comma();
            reader.skip(&[Mark::Please]);
            reader.is_verb().then_some(place)
        });
        let verb = self.verbs(&[Verb::Add, Verb::Put])?;
        if verb == Verb::Put {
            let at = self.at;
            let effect = self.english() && self.attempt(Self::effect).is_some();
            if !effect {
                self.noun(false)
                    .filter(|noun| noun.indefinite && noun.referent.quantity != Quantity::Both)?;
            }
            self.at = at;
        }
        self.additions(fronted)
    }

    /// "have a cat appear on the left", "cho con mèo xuất hiện ở bên trái".
    pub(super) fn appearing(&mut self) -> Option<Vec<Intent>> {
        self.verb(Verb::Make).then_some(())?;
        let new = self.new_thing()?;
        let effect = matches!(new, New::Effect(_));
        if !self.mark(Mark::Appear) {
            (effect && self.mark(Mark::Go)).then_some(())?;
        }
        let place = self.place(true);
        self.added(vec![(new, place)])
    }

    /// "two cats on the right" behind "add a tree on the left and".
    pub(super) fn additions(&mut self, fronted: Option<Place>) -> Option<Vec<Intent>> {
        let mut news = vec![self.new_and_place()?];
        while let Some(next) = self.attempt(|reader| {
            let comma = reader.comma();
            let and = reader.mark(Mark::And);
            if (!comma && !and) || reader.is_verb() {
                return None;
            }
            reader.new_and_place()
        }) {
            news.push(next);
        }
        // "a cat and a dog on the left": the place is for both.
        let mut place = fronted;
        for (_, own) in news.iter_mut().rev() {
            if own.is_none() {
                own.clone_from(&place);
            } else {
                place.clone_from(own);
            }
        }
        self.added(news)
    }

    fn added(&mut self, news: Vec<(New, Option<Place>)>) -> Option<Vec<Intent>> {
        let things: Vec<Referent> = news
            .iter()
            .filter_map(|(new, _)| match new {
                New::Thing { count: 1, object } => Some(object.clone()),
                New::Thing { count, object } => {
                    Some(Referent { quantity: Quantity::Exactly(*count), ..object.clone() })
                }
                New::Effect(_) => None,
            })
            .collect();
        if !things.is_empty() {
            self.last = things;
        }
        let intent = |(new, place)| match new {
            New::Thing { count, object } => Intent::Add { count, object, place },
            New::Effect(effect) => Intent::AddEffect { effect, place },
        };
        Some(news.into_iter().map(intent).collect())
    }

    fn new_and_place(&mut self) -> Option<(New, Option<Place>)> {
        let new = self.new_thing()?;
        self.skip(&[Mark::FromThePicture]);
        // An effect of a thing is under it, a thing for a thing on it.
        let relation = if matches!(new, New::Effect(_)) { Relation::Below } else { Relation::On };
        let place = self.attempt(|reader| reader.place(true));
        let place = place.or_else(|| self.attempt(|reader| reader.owner(relation)));
        Some((new, place))
    }

    /// "a shadow to the tree", "một chiếc mũ cho con mèo".
    fn owner(&mut self, relation: Relation) -> Option<Place> {
        self.mark(Mark::For).then_some(())?;
        let noun = self.noun(self.readings.anchor)?;
        let anchor = self.resolved(vec![noun]).into_iter().next()?;
        Some(Place::Relative(Relative { relation, anchor: Box::new(anchor), other: None }))
    }

    fn new_thing(&mut self) -> Option<New> {
        if let Some(effect) = self.attempt(Self::effect) {
            return Some(New::Effect(effect));
        }
        let Noun { referent, count, pronoun: None, .. } = self.noun(false)? else { return None };
        referent.noun.as_ref()?;
        let named = matches!(referent.quantity, Quantity::Both | Quantity::All) && count.is_none();
        let object = Referent { quantity: Quantity::One, ..referent };
        (!named).then_some(New::Thing { count: count.unwrap_or(1), object })
    }

    /// "a soft shadow", "some fog", "bóng đổ".
    fn effect(&mut self) -> Option<Term> {
        let vocabulary = self.vocabulary;
        self.skip(&[Mark::A, Mark::Several]);
        if !self.english() {
            self.attempt(|reader| reader.number().filter(|number| *number == 1.0));
        }
        let from = self.at;
        for _ in 0..3 {
            let start = self.at;
            // "khói" is smoke, "khối trụ" a thing, and they look alike without diacritics.
            let thing = !self.english() && self.longer_noun();
            if let Some(known) = self.take(&vocabulary.effect).filter(|_| !thing) {
                let last = self.at;
                // A compound is a thing: "snow globe".
                let thing = self.english() && (self.is_open() || self.is(&vocabulary.noun));
                let plain =
                    !self.english() && self.words[start..last].iter().all(|word| word.text == word.fold);
                let ball =
                    plain && known.canonical == "shadow" && !self.is(&vocabulary.relation) && !self.ends();
                return (!thing && !ball).then(|| Term::new(known.canonical));
            }
            // "bóng" before "dưới" is a shadow, and a ball elsewhere.
            if !self.english() && self.at == from && self.peek()?.fold == "bong" {
                self.at += 1;
                let under = [Relation::Below].contains(&self.take(&vocabulary.relation)?);
                self.at = from + 1;
                return under.then(|| Term::new("shadow"));
            }
            if !self.english() || !(self.is_open() || self.is(&vocabulary.size)) || self.is(&vocabulary.noun)
            {
                return None;
            }
            self.at += 1;
        }
        None
    }

    /// Whether a noun of more than one word stands here.
    fn longer_noun(&mut self) -> bool {
        let vocabulary = self.vocabulary;
        let at = self.at;
        let longer = self.take(&vocabulary.noun).is_some() && self.at > at + 1 && {
            let end = std::mem::replace(&mut self.at, at);
            self.take(&vocabulary.effect).is_none() || self.at < end
        };
        self.at = at;
        longer
    }

    /// "give the tree a shadow".
    pub(super) fn giving(&mut self) -> Option<Vec<Intent>> {
        self.verb(Verb::Give).then_some(())?;
        let noun = self.noun(self.readings.target)?;
        let anchor = self.resolved(vec![noun]).into_iter().next()?;
        let effect = self.effect()?;
        self.last = vec![anchor.clone()];
        let relative = Relative { relation: Relation::Below, anchor: Box::new(anchor), other: None };
        Some(vec![Intent::AddEffect { effect, place: Some(Place::Relative(relative)) }])
    }

    /// "remove the cat", "take the vase away", "lấy cái bình đi".
    pub(super) fn removing(&mut self) -> Option<Vec<Intent>> {
        let verb = self.verbs(&[Verb::Remove]).or_else(|| self.verbs(&[Verb::Take]))?;
        let targets = self.targets()?;
        self.skip(&[Mark::FromThePicture]);
        let away = self.marks(&[Mark::Away]).is_some();
        self.skip(&[Mark::Away, Mark::FromThePicture]);
        if verb == Verb::Take && !away {
            return None;
        }
        let _ = self.attempt(|reader| {
            reader.mark(Mark::From).then_some(())?;
            reader.skip(&[Mark::The]);
            reader.image().then_some(())
        });
        let removed = targets.iter().map(|target| Intent::Remove { target: target.clone() }).collect();
        self.last = targets;
        Some(removed)
    }

    /// "swap the ball and the cube", "đổi chỗ hai quả bóng".
    pub(super) fn swapping(&mut self) -> Option<Vec<Intent>> {
        self.verb(Verb::Swap).then_some(())?;
        self.skip(&[Mark::Positions]);
        let mut targets = self.targets()?;
        if targets.len() == 1
            && let Some(second) = self.attempt(|reader| {
                reader.mark(Mark::With).then_some(())?;
                let noun = reader.noun(reader.readings.target)?;
                reader.resolved(vec![noun]).into_iter().next()
            })
        {
            targets.push(second);
        }
        self.skip(&[Mark::InPosition]);
        let swapped = swap(&targets)?;
        self.last = targets;
        Some(swapped)
    }
}
