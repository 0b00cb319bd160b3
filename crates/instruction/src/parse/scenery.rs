//! The whole image: its background and its style.

use crate::intent::{Background, Intent};
use crate::lexicon::{self, Kind};
use crate::term::Term;

use super::reader::Reader;
use super::vocabulary::{Mark, Verb};

impl Reader<'_> {
    /// "change the background to a city", "make the background blue", "use a desert as the background".
    pub(super) fn background(&mut self) -> Option<Vec<Intent>> {
        let to = self
            .attempt(Self::background_first)
            .or_else(|| self.attempt(Self::background_last))
            .or_else(|| self.attempt(Self::background_used))?;
        Some(vec![Intent::ChangeBackground { to }])
    }

    fn background_first(&mut self) -> Option<Background> {
        let verb = self.verbs(&[Verb::Change, Verb::Make, Verb::Paint, Verb::Put, Verb::Swap]);
        self.skip(&[Mark::The]);
        self.mark(Mark::Background).then_some(())?;
        let should = self.mark(Mark::Should);
        if verb.is_none() && !should {
            return None;
        }
        let from = self.at;
        let _ = self.marks(&[Mark::Into]).or_else(|| self.marks(&[Mark::Be]));
        let led = self.at > from;
        // Without "to" only a colour tells what becomes of it.
        let backdrop = self.backdrop()?;
        (led || backdrop.scene.is_none()).then_some(backdrop)
    }

    /// "give it a black background".
    fn background_last(&mut self) -> Option<Background> {
        self.verbs(&[Verb::Give, Verb::Add])?;
        self.skip(&[Mark::It, Mark::The, Mark::Image, Mark::A]);
        let colour = self.colour(true)?;
        self.mark(Mark::Background).then_some(())?;
        Some(Background { scene: None, colour: Some(colour) })
    }

    /// "use a desert as the background", "there should be a city in the background", "dùng bãi biển làm nền".
    fn background_used(&mut self) -> Option<Background> {
        self.verbs(&[Verb::Use, Verb::Add])?;
        let backdrop = self.scene_until_background()?;
        Some(backdrop)
    }

    fn scene_until_background(&mut self) -> Option<Background> {
        const MOST: usize = 8;
        self.skip(&[Mark::A, Mark::The]);
        let colour = self.attempt(|reader| reader.colour(false));
        let from = self.at;
        while self.at - from < MOST && self.peek().is_some() {
            let until = self.at;
            let led = self.marks(&[Mark::Into, Mark::At]).is_some() || self.verb(Verb::Make);
            self.skip(&[Mark::The]);
            if led && until > from && self.mark(Mark::Background) {
                let end = std::mem::replace(&mut self.at, until);
                let scene = self.term(from);
                self.at = end;
                return Some(Background { scene: Some(scene), colour });
            }
            self.at = until + 1;
        }
        None
    }

    /// A colour, a scene, or a scene of a colour.
    fn backdrop(&mut self) -> Option<Background> {
        self.skip(&[Mark::A, Mark::The]);
        if !self.english() {
            if let Some(colour) = self.attempt(|reader| reader.colour(true)) {
                return Some(Background { scene: None, colour: Some(colour) });
            }
            self.attempt(|reader| reader.number().filter(|number| *number == 1.0));
            return self.vietnamese_backdrop();
        }
        let colour = self.attempt(|reader| reader.colour(true));
        if colour.is_some() && self.ends() {
            return Some(Background { scene: None, colour });
        }
        Some(Background { scene: Some(self.open_text()?), colour })
    }

    fn vietnamese_backdrop(&mut self) -> Option<Background> {
        let vocabulary = self.vocabulary;
        let scene =
            self.attempt(|reader| reader.take(&vocabulary.noun).filter(|_| reader.finished_or_colour()));
        let Some(scene) = scene else {
            return Some(Background { scene: Some(self.open_text()?), colour: None });
        };
        let colour = self.attempt(|reader| reader.colour(true));
        Some(Background { scene: Some(Term::new(scene.canonical)), colour })
    }

    fn finished_or_colour(&mut self) -> bool {
        let at = self.at;
        let _ = self.attempt(|reader| reader.colour(true));
        let finished = self.finished();
        self.at = at;
        finished
    }

    /// "in the style of Van Gogh", "make it look like a watercolor", "biến ảnh thành tranh sơn dầu".
    pub(super) fn styling(&mut self) -> Option<Vec<Intent>> {
        let style = self.attempt(Self::whole_style).or_else(|| self.attempt(Self::led_style))?;
        Some(vec![Intent::Style { target: None, style }])
    }

    /// A change of the whole image: "turn the photo into a cartoon", "make it look like …".
    fn whole_style(&mut self) -> Option<Term> {
        let verb = self.verbs(&[Verb::Change, Verb::Make, Verb::Other])?;
        let named = self.attempt(|reader| {
            reader.skip(&[Mark::The]);
            reader.image().then_some(())
        });
        let pronoun = named.is_none() && self.english() && self.neuter();
        if named.is_none() && !pronoun {
            return None;
        }
        self.skip(&[Mark::Should]);
        let led = self.marks(&[Mark::StyleWord, Mark::LookLike, Mark::Into]).is_some();
        if verb == Verb::Make && !led {
            return None;
        }
        self.skip(&[Mark::StyleWord]);
        let style = self.style_name()?;
        // "it" is the last thing named, unless what it becomes is a style of images.
        let known = lexicon::find(Kind::Style, style.as_str()).is_some();
        (!pronoun || known || self.last.is_empty()).then_some(style)
    }

    /// "it" and "this", which may be the image.
    fn neuter(&mut self) -> bool {
        let word = self.peek().map(|word| word.text.as_str());
        let neuter = matches!(word, Some("it" | "this"));
        self.at += usize::from(neuter);
        neuter
    }

    /// "in the style of …"; after "make it" only what is known to be a style.
    fn led_style(&mut self) -> Option<Term> {
        let from = self.at;
        self.verb(Verb::Style).then_some(())?;
        let sure = self.words[from..self.at]
            .iter()
            .any(|word| matches!(word.fold.as_str(), "style" | "phong" | "kieu"));
        let loose = self.words[self.at - 1].text == "it";
        let rest = self.at;
        self.skip(&[Mark::A]);
        if self.colour(true).is_some() && self.ends() {
            return None;
        }
        self.at = rest;
        let style = self.style_name()?;
        let known = lexicon::find(Kind::Style, style.as_str()).is_some();
        (sure || known || !loose && self.words[from].text != "as").then_some(style)
    }

    /// The name of a style: open text without its article.
    pub(super) fn style_name(&mut self) -> Option<Term> {
        self.skip(&[Mark::A, Mark::The]);
        let vocabulary = self.vocabulary;
        if let Some(known) = self.attempt(|reader| reader.take(&vocabulary.style).filter(|_| reader.ends())) {
            return Some(Term::new(known.canonical));
        }
        let from = self.at;
        let text = self.open_text()?;
        // "… style" says only that it is one.
        let stripped = text.as_str().strip_suffix(" style").map(Term::new);
        (self.at > from).then(|| stripped.unwrap_or(text))
    }
}
