//! Text to words: lower case, one form for each spelling, where each stood, and numbers read.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// What a word is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Token {
    /// Letters, or a symbol that is no punctuation.
    Word,
    /// Digits; `fraction`: written as a fraction, "1/4" or "½".
    Number { value: f64, fraction: bool },
    /// The end of a sentence.
    Stop,
    /// A pause within a sentence.
    Comma,
}

/// A word of a text.
#[derive(Clone, Debug)]
pub(crate) struct Word {
    pub(crate) token: Token,
    /// Lower case, NFC, the tone mark of "oa", "oe", "uy" on the first vowel.
    pub(crate) text: String,
    /// `text` without diacritics.
    pub(crate) fold: String,
    /// Bytes of the original text.
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// `text` without diacritics, as Vietnamese is typed on a bare keyboard: "đặt quả bóng" is "dat qua bong".
#[must_use]
pub fn unaccented(text: &str) -> String {
    text.nfd()
        .filter(|c| !is_combining_mark(*c))
        .map(|c| match c {
            'đ' => 'd',
            'Đ' => 'D',
            c => c,
        })
        .nfc()
        .collect()
}

/// The words of a text in lower case and one spelling, separated by single spaces; two texts that differ only in
/// case, typography or Unicode form are equal.
#[must_use]
pub fn normalise(text: &str) -> String {
    // Some compatibility characters become punctuation, which the next pass drops: a fixed point is the normal form.
    const MOST_PASSES: usize = 8;
    let mut normal = text.to_owned();
    for _ in 0..MOST_PASSES {
        let next = joined(&words(&normal, usize::MAX).0);
        if next == normal {
            break;
        }
        normal = next;
    }
    normal
}

fn joined(words: &[Word]) -> String {
    let mut text = String::new();
    for word in words {
        let glued = matches!(word.token, Token::Stop | Token::Comma) || word.text.starts_with('\'');
        if !glued && !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&word.text);
    }
    text
}

/// At most `limit` words of `text`; `true` if there are more.
pub(crate) fn words(text: &str, limit: usize) -> (Vec<Word>, bool) {
    let mut scanner = Scanner { text, at: 0, words: Vec::new() };
    while scanner.words.len() < limit {
        if !scanner.next() {
            return (scanner.words, false);
        }
    }
    (scanner.words, true)
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
    words: Vec<Word>,
}

impl Scanner<'_> {
    /// Reads one word or skips one character; `false` at the end.
    fn next(&mut self) -> bool {
        let start = self.at;
        let Some(c) = self.peek() else { return false };
        if digit(c).is_some() || (minus(c) && self.starts_negative()) || vulgar(c).is_some() {
            self.number();
        } else if apostrophe(c) && self.possessive() {
            self.at += c.len_utf8();
            self.take_while(is_letter);
            let text = format!("'{}", lower(&self.text[start + c.len_utf8()..self.at]));
            self.push(Token::Word, text, start);
        } else if let Some((token, text)) = pause(c) {
            self.at += c.len_utf8();
            let number = matches!(self.words.last(), Some(Word { token: Token::Stop, .. }));
            if !(number && token == Token::Stop) {
                self.push(token, text.to_owned(), start);
            }
        } else if let Some(symbol) = symbol(c) {
            self.at += c.len_utf8();
            self.push(Token::Word, symbol.to_owned(), start);
        } else if ignored(c) {
            self.at += c.len_utf8();
        } else {
            self.at += c.len_utf8();
            self.take_while(|c| is_letter(c) || (digit(c).is_some() && !c.is_whitespace()));
            let text = respelt(&lower(&self.text[start..self.at]));
            self.push(Token::Word, text, start);
        }
        true
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) {
        while let Some(c) = self.peek().filter(|c| wanted(*c)) {
            self.at += c.len_utf8();
        }
    }

    fn push(&mut self, token: Token, text: String, start: usize) {
        let fold = unaccented(&text);
        // A character that is nothing after normalisation says nothing.
        if !text.is_empty() {
            self.words.push(Word { token, text, fold, start, end: self.at });
        }
    }

    fn before(&self) -> Option<char> {
        self.text[..self.at].chars().next_back()
    }

    /// Whether a minus here belongs to a number: after a space, before a digit.
    fn starts_negative(&self) -> bool {
        self.before().is_none_or(char::is_whitespace)
            && self.text[self.at..].chars().nth(1).is_some_and(|c| digit(c).is_some())
    }

    /// Whether an apostrophe here stands between letters: "vase's", but no quotation mark.
    fn possessive(&self) -> bool {
        self.before().is_some_and(is_letter) && self.text[self.at..].chars().nth(1).is_some_and(is_letter)
    }

    fn number(&mut self) {
        let start = self.at;
        let negative = self.peek().is_some_and(minus);
        if negative {
            self.at += self.peek().map_or(0, char::len_utf8);
        }
        let whole = self.digits();
        let mut value = parse(&whole);
        let mut fraction = false;
        let (mark, after) = {
            let mut chars = self.text[self.at..].chars();
            (chars.next(), chars.next())
        };
        let digit_after = after.is_some_and(|c| digit(c).is_some());
        match mark {
            Some(mark @ ('.' | ',' | '．' | '，')) if digit_after && !whole.is_empty() => {
                self.at += mark.len_utf8();
                let decimals = self.digits();
                let thousands = matches!(mark, ',' | '，') && decimals.len() == 3 && whole != "0";
                value = if thousands {
                    parse(&format!("{whole}{decimals}"))
                } else {
                    parse(&format!("{whole}.{decimals}"))
                };
            }
            Some(mark @ ('/' | '⁄' | '／')) if digit_after && !whole.is_empty() => {
                self.at += mark.len_utf8();
                value /= parse(&self.digits());
                fraction = true;
            }
            Some(c) if vulgar(c).is_some() => {
                self.at += c.len_utf8();
                value = vulgar(c).unwrap_or(0.0) + if whole.is_empty() { 0.0 } else { value };
                fraction = whole.is_empty();
            }
            _ => {}
        }
        if negative {
            value = -value;
        }
        let value = if value.is_finite() { value } else { f64::MAX };
        let text = format!("{value}");
        self.push(Token::Number { value, fraction }, text, start);
    }

    fn digits(&mut self) -> String {
        let mut digits = String::new();
        while let Some((c, value)) = self.peek().and_then(|c| Some((c, digit(c)?))) {
            digits.extend(char::from_digit(value, 10));
            self.at += c.len_utf8();
        }
        digits
    }
}

fn parse(digits: &str) -> f64 {
    digits.parse().unwrap_or(0.0)
}

/// The value of an ASCII or full-width digit.
fn digit(c: char) -> Option<u32> {
    match c {
        '0'..='9' => c.to_digit(10),
        '０'..='９' => Some(u32::from(c) - u32::from('０')),
        _ => None,
    }
}

/// "½" and its like.
fn vulgar(c: char) -> Option<f64> {
    if !matches!(c, '¼'..='¾' | '⅐'..='⅞') {
        return None;
    }
    let parts: String = std::iter::once(c).nfkc().collect();
    let (over, under) = parts.split_once('⁄')?;
    Some(over.parse::<f64>().ok()? / under.parse::<f64>().ok()?)
}

fn minus(c: char) -> bool {
    matches!(c, '-' | '−' | '－')
}

fn apostrophe(c: char) -> bool {
    matches!(c, '\'' | '’' | 'ʼ' | '＇')
}

fn is_letter(c: char) -> bool {
    (c.is_alphabetic() || is_combining_mark(c)) && !matches!(c, 'º' | 'ª' | 'ʼ')
}

/// Punctuation that ends a sentence or a part of it.
fn pause(c: char) -> Option<(Token, &'static str)> {
    match c {
        '.' | ';' | '!' | '?' | '…' | '\n' | '。' | '；' | '！' | '？' | '．' => {
            Some((Token::Stop, "."))
        }
        ',' | ':' | '，' | '、' | '：' | '–' | '—' => Some((Token::Comma, ",")),
        _ => None,
    }
}

/// Symbols that are words.
fn symbol(c: char) -> Option<&'static str> {
    match c {
        '%' | '％' | '﹪' => Some("%"),
        '°' | 'º' | '˚' => Some("°"),
        '×' => Some("x"),
        '&' | '＆' => Some("&"),
        _ => None,
    }
}

/// Spaces, quotation marks, brackets and other punctuation say nothing.
fn ignored(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || c.is_ascii_punctuation()
        || matches!(c, '\u{2000}'..='\u{206f}' | '\u{3000}'..='\u{303f}' | '\u{feff}' | '«' | '»' | '¿' | '¡' | '·' | '−' | '－' | '＇' | 'ª' | 'ʼ')
        || is_combining_mark(c)
}

fn lower(text: &str) -> String {
    text.nfkc().flat_map(char::to_lowercase).nfkc().collect()
}

/// Both places of the tone mark are in use ("hoá" and "hóa"); the older one is kept.
fn respelt(word: &str) -> String {
    const PAIRS: [(&str, &str); 15] = [
        ("oá", "óa"),
        ("oà", "òa"),
        ("oả", "ỏa"),
        ("oã", "õa"),
        ("oạ", "ọa"),
        ("oé", "óe"),
        ("oè", "òe"),
        ("oẻ", "ỏe"),
        ("oẽ", "õe"),
        ("oẹ", "ọe"),
        ("uý", "úy"),
        ("uỳ", "ùy"),
        ("uỷ", "ủy"),
        ("uỹ", "ũy"),
        ("uỵ", "ụy"),
    ];
    for (new, old) in PAIRS {
        if let Some(head) = word.strip_suffix(new) {
            return format!("{head}{old}");
        }
    }
    word.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        words(text, 100).0.into_iter().map(|word| word.text).collect()
    }

    #[test]
    fn typography_is_one_form() {
        assert_eq!(texts("“Move”\u{a0}the vase’s BALL"), ["move", "the", "vase", "'s", "ball"]);
        assert_eq!(texts("bottom-left"), ["bottom", "left"]);
        assert_eq!(texts("xoá hoà thuỷ"), texts("xóa hòa thủy"));
        assert_eq!(normalise("ĐẶT\tquả  bóng"), "đặt quả bóng");
        assert_eq!(normalise("e\u{301}"), normalise("é"));
        assert_eq!(unaccented("đặt quả bóng"), "dat qua bong");
    }

    #[test]
    fn numbers() {
        let number = |text: &str| match words(text, 9).0[0].token {
            Token::Number { value, .. } => value,
            _ => f64::NAN,
        };
        assert_eq!(number("10%"), 10.0);
        assert_eq!(number("１２，５"), 12.5);
        assert_eq!(number("12,5"), 12.5);
        assert_eq!(number("1,000"), 1000.0);
        assert_eq!(number("0,125"), 0.125);
        assert_eq!(number("1/4"), 0.25);
        assert_eq!(number("½"), 0.5);
        assert_eq!(number("1½"), 1.5);
        assert_eq!(number("-15"), -15.0);
        assert_eq!(number("1/0"), f64::MAX);
        assert_eq!(texts("40px left."), ["40", "px", "left", "."]);
        assert_eq!(texts("5. Next"), ["5", ".", "next"]);
    }
}
