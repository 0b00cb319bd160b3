//! Numbers, fractions and amounts, in digits and in words.

use crate::words::Token;

use super::reader::Reader;
use super::vocabulary::{Mark, Step};

/// What "some", "a few", "vài" count.
pub(super) const SEVERAL: u32 = 3;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Amount {
    Fraction(f64),
    Pixels(f64),
    Step(Step),
}

/// Four decimals: more than any instruction means, and few enough to survive every text format.
pub(super) fn rounded(value: f64) -> f64 {
    let rounded = (value * 1e4).round() / 1e4;
    if rounded == 0.0 { 0.0 } else { rounded }
}

impl Reader<'_> {
    /// A number in digits or words.
    pub(super) fn number(&mut self) -> Option<f64> {
        if let Some(Token::Number { value, .. }) = self.peek().map(|word| word.token) {
            self.at += 1;
            return Some(value);
        }
        self.number_in_words()
    }

    /// "twenty-five", "one hundred and ten", "hai mươi lăm", "một trăm".
    fn number_in_words(&mut self) -> Option<f64> {
        let vocabulary = self.vocabulary;
        let mut total = self.take(&vocabulary.number)?;
        let mut last = total;
        for _ in 0..4 {
            let Some(next) = self.take(&vocabulary.number) else { break };
            let fits = if next == 100.0 {
                total < 10.0
            } else if next == 10.0 && !self.english() {
                (2.0..10.0).contains(&last)
            } else {
                next < 10.0 && last >= 10.0 && (last < 100.0 && last % 10.0 == 0.0)
                    || (last == 100.0 && next < 100.0)
            };
            if !fits {
                self.at -= 1;
                break;
            }
            if next == 100.0 {
                total *= 100.0;
                last = 100.0;
            } else if next == 10.0 && !self.english() {
                total += last * 9.0;
                last = 10.0;
            } else {
                total += next;
                last = next;
            }
        }
        Some(total)
    }

    /// A number of things: whole, from 1.
    pub(super) fn count(&mut self) -> Option<u32> {
        self.attempt(|reader| {
            let value = reader.number()?;
            let whole = value.fract() == 0.0 && (1.0..=1000.0).contains(&value);
            let unit = [Mark::Percent, Mark::Pixel, Mark::Degree, Mark::Times, Mark::Part];
            if !whole || unit.iter().any(|unit| reader.is_mark(*unit)) {
                return None;
            }
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "checked to be 1 to 1000"
            )]
            Some(value as u32)
        })
    }

    /// "a tenth", "two thirds", "half", "một phần tư", "một nửa".
    pub(super) fn fraction(&mut self) -> Option<f64> {
        let vocabulary = self.vocabulary;
        if let Some(Token::Number { value, fraction: true }) = self.peek().map(|word| word.token) {
            self.at += 1;
            return Some(value);
        }
        self.attempt(|reader| {
            if !reader.english() {
                if let Some(part) = reader.take(&vocabulary.fraction) {
                    return Some(1.0 / part);
                }
                let over = reader.number()?;
                let under = reader.mark(Mark::Part).then(|| reader.number()).flatten()?;
                return (under > 0.0).then(|| over / under);
            }
            let over = if reader.mark(Mark::A) { 1.0 } else { reader.number().unwrap_or(1.0) };
            Some(over / reader.take(&vocabulary.fraction)?)
        })
    }

    /// "10 %", "by 40 px", "a tenth of the width", "a bit".
    pub(super) fn amount(&mut self) -> Option<Amount> {
        self.attempt(|reader| {
            let step = reader.vocabulary;
            if let Some(step) = reader.take(&step.step) {
                return Some(Amount::Step(step));
            }
            reader.skip(&[Mark::By]);
            let amount = reader.bare_amount()?;
            reader.skip_whole();
            Some(amount)
        })
    }

    fn bare_amount(&mut self) -> Option<Amount> {
        let vocabulary = self.vocabulary;
        if let Some(step) = self.take(&vocabulary.step) {
            return Some(Amount::Step(step));
        }
        let measured = self.attempt(|reader| {
            let value = reader.number()?;
            let unit = reader.marks(&[Mark::Percent, Mark::Pixel])?;
            if !(value > 0.0 && value <= 1e4) {
                return None;
            }
            Some(if unit == Mark::Percent {
                Amount::Fraction(rounded(value / 100.0))
            } else {
                Amount::Pixels(value)
            })
        });
        if measured.is_some() {
            return measured;
        }
        let fraction = match self.fraction() {
            Some(fraction) => fraction,
            None => self.number().filter(|value| value.fract() != 0.0)?,
        };
        (fraction > 0.0 && fraction <= 1.0).then(|| Amount::Fraction(rounded(fraction)))
    }

    /// "of the image width".
    pub(super) fn skip_whole(&mut self) {
        let _ = self.attempt(|reader| {
            reader.skip(&[Mark::Of]);
            reader.skip(&[Mark::The]);
            reader.marks(&[Mark::Width, Mark::Image])?;
            reader.possessive();
            reader.skip(&[Mark::Of, Mark::Width, Mark::Image]);
            Some(())
        });
    }

    /// "twice", "3 times", "2x", "gấp đôi", "gấp ba lần", "a factor of two".
    pub(super) fn times(&mut self) -> Option<f64> {
        let value = self.attempt(|reader| {
            reader.skip(&[Mark::By]);
            if reader.mark(Mark::Twice) {
                return Some(2.0);
            }
            let folded = reader.mark(Mark::Fold);
            let up = !reader.english() && !folded && reader.mark(Mark::To);
            let value = reader.number()?;
            let timed = reader.mark(Mark::Times);
            (folded || timed).then_some(value).filter(|_| timed || !up)
        })?;
        (0.01..=100.0).contains(&value).then_some(value)
    }
}
