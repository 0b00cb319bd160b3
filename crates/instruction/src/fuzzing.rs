//! What the fuzz target calls, so that the plain tests can call the same over the committed corpus.

use crate::parse::read;
use crate::{Intents, normalise};

/// Phrases that may be compared per word: a bound on the work, not an estimate of it.
const MOST_WORK_PER_WORD: usize = 60_000;

/// How many phrases are compared to read an instruction.
#[must_use]
pub fn work(text: &str) -> usize {
    read(text).1
}

/// Feeds arbitrary bytes to everything that reads instructions or intents.
///
/// # Panics
/// If parsing takes more work than its text allows, its intents break the limits of [`Intents::from_json`] or do not
/// survive JSON, or normalising is not idempotent.
pub fn instruction_parse(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (parsed, work) = read(&text);
    let words = normalise(&text).split(' ').count();
    assert!(work <= MOST_WORK_PER_WORD * (words + 1), "{work} comparisons for {words} words");
    assert!((0.0..=1.0).contains(&parsed.complexity.score), "{:?}", parsed.complexity);
    let normal = normalise(&text);
    assert_eq!(normalise(&normal), normal, "normalising is idempotent");

    let intents = Intents::new(parsed.intents);
    let again = Intents::from_json(&intents.to_json()).expect("what is parsed is within the limits");
    assert_eq!(again, intents);
    // Arbitrary JSON is read or refused.
    if let Ok(given) = Intents::from_json(&text) {
        let again = Intents::from_json(&given.to_json()).expect("what was read is written readably");
        assert_eq!(again.intents.len(), given.intents.len());
    }
}
