//! What came of a row, told by intent, level, wording and language.

use std::collections::BTreeMap;
use std::fmt::Write;

use retouch_instruction::Language;
use retouch_scenes::{Kind, Level};
use serde::{Serialize, Serializer};

use crate::detector::Verdict;
use crate::question::Row;
use crate::score::Tally;
use crate::suite::{Case, Phrasing};

/// The kinds of edits that are about where things are.
const SPATIAL: [Kind; 7] =
    [Kind::MoveBy, Kind::MoveTo, Kind::MoveBeside, Kind::Add, Kind::Swap, Kind::RotateView, Kind::Zoom];

/// The scores of one row. Shares are those of results that are right in every respect.
#[derive(Clone, Debug, Serialize)]
pub struct Scores {
    /// Which row.
    pub row: Row,
    /// All cases.
    #[serde(serialize_with = "told")]
    pub overall: Tally,
    /// The cases whose edit is about where things are.
    #[serde(serialize_with = "told")]
    pub spatial: Tally,
    /// By level.
    #[serde(serialize_with = "all_told")]
    pub levels: BTreeMap<Level, Tally>,
    /// By the kind of the first edit.
    #[serde(serialize_with = "all_told")]
    pub kinds: BTreeMap<Kind, Tally>,
    /// By whose words the instruction is in.
    #[serde(serialize_with = "all_told")]
    pub phrasings: BTreeMap<Phrasing, Tally>,
    /// By language.
    #[serde(serialize_with = "all_told")]
    pub languages: BTreeMap<Language, Tally>,
    /// How many results fail each check of the detector; one result may fail several.
    pub failed_checks: BTreeMap<&'static str, u32>,
    /// Fréchet distance to the true results, on features of our own.
    pub frechet: Option<f64>,
    /// Mean seconds for one image, where a model made them.
    pub seconds: Option<f64>,
}

impl Scores {
    /// Without any result yet.
    pub fn new(row: Row) -> Self {
        Self {
            row,
            overall: Tally::default(),
            spatial: Tally::default(),
            levels: BTreeMap::new(),
            kinds: BTreeMap::new(),
            phrasings: BTreeMap::new(),
            languages: BTreeMap::new(),
            failed_checks: BTreeMap::new(),
            frechet: None,
            seconds: None,
        }
    }

    /// Counts the verdict on a case.
    pub fn count(&mut self, case: &Case, verdict: &Verdict) {
        let done = verdict.done;
        self.overall.count(done);
        if SPATIAL.contains(&case.kind) {
            self.spatial.count(done);
        }
        self.levels.entry(case.level).or_default().count(done);
        self.kinds.entry(case.kind).or_default().count(done);
        self.phrasings.entry(case.phrasing).or_default().count(done);
        self.languages.entry(case.language).or_default().count(done);
        let mut failed: Vec<&'static str> =
            verdict.checks.iter().filter(|check| !check.passed).map(|check| check.what).collect();
        failed.sort_unstable();
        failed.dedup();
        failed.into_iter().for_each(|what| *self.failed_checks.entry(what).or_default() += 1);
    }
}

#[derive(Serialize)]
struct Told {
    hits: u32,
    total: u32,
    share: Option<f64>,
    /// The 95 % interval by Wilson's score.
    interval: [f64; 2],
}

impl From<Tally> for Told {
    fn from(tally: Tally) -> Self {
        let (low, high) = tally.interval();
        Self { hits: tally.hits, total: tally.total, share: tally.share(), interval: [low, high] }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out a reference")]
fn told<S: Serializer>(tally: &Tally, serializer: S) -> Result<S::Ok, S::Error> {
    Told::from(*tally).serialize(serializer)
}

fn all_told<K: Serialize, S: Serializer>(of: &BTreeMap<K, Tally>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(of.iter().map(|(key, tally)| (key, Told::from(*tally))))
}

/// Rows side by side: percent, with the 95 % interval.
pub fn table(scores: &[Scores]) -> String {
    let mut text = format!("{:<24}", "percent right");
    // A string takes all that is written to it.
    for row in scores {
        let _ = write!(text, "{:>16}", row.row.name());
    }
    text.push('\n');
    let mut line = |label: &str, of: &dyn Fn(&Scores) -> Tally| {
        if scores.iter().all(|row| of(row).total == 0) {
            return;
        }
        let _ = write!(text, "{label:<24}");
        for tally in scores.iter().map(of) {
            let (low, high) = tally.interval();
            let cell = tally.share().map_or("-".to_owned(), |share| {
                format!("{:.1} ({:.0}-{:.0})", share * 100.0, low * 100.0, high * 100.0)
            });
            let _ = write!(text, "{cell:>16}");
        }
        text.push('\n');
    };
    line("overall", &|row| row.overall);
    line("spatial edits", &|row| row.spatial);
    for level in Level::ALL {
        line(&format!("level: {}", name(level)), &|row| tally(&row.levels, &level));
    }
    for kind in Kind::ALL {
        line(&format!("edit: {}", name(kind)), &|row| tally(&row.kinds, &kind));
    }
    for phrasing in [Phrasing::Seen, Phrasing::Unseen, Phrasing::Proposal] {
        line(&format!("words: {}", name(phrasing)), &|row| tally(&row.phrasings, &phrasing));
    }
    for language in [Language::English, Language::Vietnamese, Language::VietnameseUnaccented] {
        line(&name(language), &|row| tally(&row.languages, &language));
    }
    numbers(&mut text, "Frechet distance", scores, |row| row.frechet);
    numbers(&mut text, "seconds an image", scores, |row| row.seconds);
    text
}

fn numbers(text: &mut String, label: &str, scores: &[Scores], of: impl Fn(&Scores) -> Option<f64>) {
    let _ = write!(text, "{label:<24}");
    for value in scores.iter().map(of) {
        let cell = value.map_or("-".to_owned(), |value| format!("{value:.3}"));
        let _ = write!(text, "{cell:>16}");
    }
    text.push('\n');
}

fn tally<K: Ord>(of: &BTreeMap<K, Tally>, key: &K) -> Tally {
    of.get(key).copied().unwrap_or_default()
}

/// The name that JSON has for it.
fn name(value: impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| Some(value.as_str()?.to_owned())).unwrap_or_default()
}
