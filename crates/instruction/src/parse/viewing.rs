//! The camera: rotating the view, zooming.

use crate::intent::{Focus, Intent};
use crate::measure::{Scale, Turn};

use super::amount::{Amount, rounded};
use super::reader::Reader;
use super::sizing::grown;
use super::vocabulary::{Comparative, Direction, Mark, Step, Verb};

impl Reader<'_> {
    /// "rotate the view 45 degrees to the left", "xoay góc nhìn 45 độ".
    pub(super) fn rotating(&mut self) -> Option<Vec<Intent>> {
        let step = self.take(&self.vocabulary.step).map(Amount::Step);
        let caused = self.verb(Verb::Make);
        let rotated = !caused && self.verb(Verb::Rotate);
        let soft = rotated && self.words[self.at - 1].fold == "nhe";
        self.skip(&[Mark::The]);
        let viewed = self.mark(Mark::View);
        let turned = rotated || self.verb(Verb::Rotate) || {
            self.skip(&[Mark::Should]);
            self.verb(Verb::Rotate)
        };
        if !turned || (caused && !viewed) {
            return None;
        }
        let mut angle = None;
        let mut side = None;
        let mut amount = step.or(soft.then_some(Amount::Step(Step::Little)));
        for _ in 0..4 {
            self.skip(&[Mark::Further]);
            if angle.is_none()
                && let Some(degrees) = self.attempt(Self::angle)
            {
                angle = Some(degrees);
            } else if side.is_none()
                && let Some(sign) = self.attempt(Self::turn_side)
            {
                side = Some(sign);
            } else if let Some(step) = self.take(&self.vocabulary.step) {
                amount = Some(Amount::Step(step));
            }
        }
        // Without a view only an angle tells that the camera turns.
        if !viewed && angle.is_none() {
            return None;
        }
        let degrees = angle.unwrap_or(match amount {
            Some(Amount::Step(Step::Little)) => Turn::LITTLE,
            Some(Amount::Step(Step::Far)) => Turn::FAR,
            _ => Turn::DEFAULT,
        });
        let turn = Turn { degrees: rounded(degrees * side.unwrap_or(1.0)), said: angle.is_some() };
        (turn.degrees.abs() <= 360.0).then(|| vec![Intent::RotateView { turn }])
    }

    fn angle(&mut self) -> Option<f64> {
        self.skip(&[Mark::By, Mark::From]);
        if let Some(turns) = self.attempt(|reader| {
            let turns = reader.fraction()?;
            reader.mark(Mark::Turn).then_some(turns)
        }) {
            return Some(turns * 360.0);
        }
        let degrees = self.number()?;
        self.mark(Mark::Degree).then_some(degrees)
    }

    /// 1 to the right, -1 to the left. Seen from above, a camera that goes to its right goes counterclockwise.
    fn turn_side(&mut self) -> Option<f64> {
        let vocabulary = self.vocabulary;
        match self.marks(&[Mark::Clockwise, Mark::Counterclockwise]) {
            Some(Mark::Clockwise) => return Some(-1.0),
            Some(_) => return Some(1.0),
            None => {}
        }
        match self.take(&vocabulary.direction)? {
            Direction::Left => Some(-1.0),
            Direction::Right => Some(1.0),
            Direction::Up | Direction::Down => None,
        }
    }

    /// "zoom in on the vase by 20%", "phóng to ảnh", "make the image bigger".
    pub(super) fn zooming(&mut self) -> Option<Vec<Intent>> {
        let vocabulary = self.vocabulary;
        if let Some(scale) = self.attempt(|reader| {
            reader.verb(Verb::Make).then_some(())?;
            reader.whole_image().then_some(())?;
            let before = reader.amount();
            let grows = reader.take(&vocabulary.comparative)?;
            let amount = before.or_else(|| reader.amount());
            grown(grows, amount)
        }) {
            return Some(vec![Intent::Zoom { scale, focus: None }]);
        }
        if let Some(scale) = self.attempt(|reader| {
            let verb = reader.verbs(&[Verb::Enlarge, Verb::Shrink])?;
            let named = reader.whole_image();
            if !named && (reader.english() || !reader.bare_zoom()) {
                return None;
            }
            reader.resize_scale(verb)
        }) {
            return Some(vec![Intent::Zoom { scale, focus: None }]);
        }
        let mut verb = self.verbs(&[Verb::ZoomIn, Verb::ZoomOut, Verb::Zoom])?;
        let mut scale = self.attempt(|reader| reader.zoom_scale(verb));
        if verb == Verb::Zoom && self.mark(Mark::Away) {
            // "zoom way out": the amount stood before the way.
            verb = Verb::ZoomOut;
            scale = scale.map(|scale| Scale { factor: rounded(1.0 / scale.factor), ..scale });
        }
        let _ = self.marks(&[Mark::Of, Mark::Into, Mark::At, Mark::To]);
        let mut focus = None;
        if !self.whole_image() {
            focus = self.attempt(Self::focus);
        }
        if scale.is_none() {
            scale = self.attempt(|reader| reader.zoom_scale(verb));
        }
        if verb == Verb::Zoom && scale.is_none() && focus.is_none() {
            return None;
        }
        let grows = if verb == Verb::ZoomOut { Comparative::Smaller } else { Comparative::Bigger };
        let scale = scale.or_else(|| grown(grows, None))?;
        Some(vec![Intent::Zoom { scale, focus }])
    }

    /// Whether "phóng to" stands alone or before an amount: then it is the image that grows.
    fn bare_zoom(&mut self) -> bool {
        let at = self.at;
        let bare = self.ends() || self.amount().is_some() || self.times().is_some();
        self.at = at;
        bare
    }

    fn whole_image(&mut self) -> bool {
        self.attempt(|reader| {
            reader.skip(&[Mark::The]);
            reader.image().then_some(())
        })
        .is_some()
    }

    fn focus(&mut self) -> Option<Focus> {
        if let Some(region) = self.attempt(|reader| reader.region(true)) {
            return Some(Focus::Region(region));
        }
        let noun = self.noun(self.readings.target)?;
        let object = self.resolved(vec![noun]).into_iter().next()?;
        self.last = vec![object.clone()];
        Some(Focus::Object(object))
    }

    fn zoom_scale(&mut self, verb: Verb) -> Option<Scale> {
        if let Some(factor) = self.attempt(Self::times) {
            let factor = if verb == Verb::ZoomOut { 1.0 / factor } else { factor };
            return (0.01..=100.0).contains(&factor).then(|| Scale { factor: rounded(factor), said: true });
        }
        if let Some(factor) = self.attempt(Self::new_share) {
            return (0.01..=100.0).contains(&factor).then_some(Scale { factor, said: true });
        }
        let amount = self.amount()?;
        grown(if verb == Verb::ZoomOut { Comparative::Smaller } else { Comparative::Bigger }, Some(amount))
    }
}
