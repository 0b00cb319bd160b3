//! Suites: edits on held-out scenes, generated from a file of fixed numbers.

mod forms;
mod spec;

use retouch_instruction::{Intent, Language, PhraseSet};
use retouch_scenes::{Kind, Level, Pair, PairOptions, Renderer, Scene, Split};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use self::forms::Form;
pub use self::spec::Tolerances;
use self::spec::{LANGUAGES, Spec};
use crate::error::SuiteError;

/// Seeds of one case.
const SEEDS: u64 = 1 << 16;
/// Seeds that are tried for one case: a form fits about one sampled scene in fifty.
const TRIES: u64 = 5000;
/// The pixels of every this many-th case are part of the digest.
const RENDERED: usize = 20;

/// Whose words an instruction is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phrasing {
    /// Wordings that training instructions have.
    Seen,
    /// Wordings that no training instruction has.
    Unseen,
    /// The proposal's own sentences.
    Proposal,
}

/// One edit and the truth about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// Its number in the suite, from 0.
    pub id: u32,
    /// What it was sampled from.
    pub seed: u64,
    /// How hard it is.
    pub level: Level,
    /// The kind of its first edit.
    pub kind: Kind,
    /// Whose words the instruction is in.
    pub phrasing: Phrasing,
    /// The language of the instruction.
    pub language: Language,
    /// What a model is told.
    pub instruction: String,
    /// What the instruction means, in order.
    pub intents: Vec<Intent>,
    /// The scene that a model sees the image of.
    pub before: Scene,
    /// The scene after the edit.
    pub after: Scene,
}

/// Edits on scenes that training never sees.
#[derive(Clone, Debug)]
pub struct Suite {
    /// The name that results are published under.
    pub name: String,
    /// The commit of the generator that it was frozen with.
    pub generator: String,
    /// Pixels a side of its images.
    pub size: u32,
    /// What counts as carried out.
    pub tolerances: Tolerances,
    /// The edits, level by level, kind by kind.
    pub cases: Vec<Case>,
    frozen: String,
}

impl Suite {
    /// The frozen suite of spatial edits: `suite/spatial-v1.toml`.
    ///
    /// # Errors
    /// [`SuiteError::Exhausted`], where the sampler of scenes is another than the one it was frozen with.
    pub fn spatial() -> Result<Self, SuiteError> {
        let spec = Spec::spatial()?;
        let mut generator = Generator { spec: &spec, renderer: Renderer::new(), cases: Vec::new() };
        for level in Level::ALL {
            generator.level(level)?;
        }
        let cases = generator.cases;
        let Spec { name, generator, size, tolerances, digest: frozen, .. } = spec;
        Ok(Self { name, generator, size, tolerances, cases, frozen })
    }

    /// SHA-256, in hexadecimal, over the instructions, scenes and truths of all cases and the pixels of every 20th.
    ///
    /// # Errors
    /// [`SuiteError::Scene`] for a scene that cannot be rendered: none that was sampled.
    pub fn digest(&self) -> Result<String, SuiteError> {
        let mut renderer = Renderer::new();
        let mut hash = Sha256::new();
        for (at, case) in self.cases.iter().enumerate() {
            let failed = |source| SuiteError::Scene { case: case.id, source };
            hash.update(json(case));
            for scene in [&case.before, &case.after] {
                let truth = if at % RENDERED == 0 {
                    let rendered = renderer.render(scene, self.size, self.size).map_err(failed)?;
                    hash.update(rendered.image.as_raw());
                    rendered.truth
                } else {
                    renderer.measure(scene, self.size, self.size).map_err(failed)?.1
                };
                hash.update(json(&truth));
            }
        }
        Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The cases of a level, or of all, and of these at most so many, evenly spread.
    pub fn some(&self, level: Option<Level>, limit: Option<usize>) -> Vec<&Case> {
        let of = self.cases.iter().filter(|case| level.is_none_or(|level| case.level == level));
        let all: Vec<&Case> = of.collect();
        let count = limit.unwrap_or(all.len()).min(all.len());
        // One from each of as many equal parts, now here, now there in it: wordings and languages alternate.
        let part = |at: usize| {
            let (first, end) = (at * all.len() / count, (at + 1) * all.len() / count);
            first + (at as u32).wrapping_mul(2_654_435_761).rotate_left(8) as usize % (end - first)
        };
        (0..count).map(|at| all[part(at)]).collect()
    }

    /// The digest that the file of the suite states.
    pub fn frozen_digest(&self) -> &str {
        &self.frozen
    }
}

/// The JSON of what has no maps with other keys than strings, and so is always JSON.
fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("cases and truths are JSON")
}

struct Generator<'a> {
    spec: &'a Spec,
    renderer: Renderer,
    cases: Vec<Case>,
}

impl Generator<'_> {
    fn level(&mut self, level: Level) -> Result<(), SuiteError> {
        for kind in Kind::ALL {
            for number in 0..self.spec.kinds.count(kind) as usize {
                let language = LANGUAGES[number / 2 % LANGUAGES.len()];
                let phrasing = if number % 2 == 0 { Phrasing::Seen } else { Phrasing::Unseen };
                self.case(level, kind, phrasing, language, None)?;
            }
        }
        let spec = self.spec;
        for form in &spec.forms.form {
            for number in 0..spec.forms.count as usize {
                const LANGUAGES: [Language; 3] =
                    [Language::English, Language::Vietnamese, Language::VietnameseUnaccented];
                let language = LANGUAGES[number % LANGUAGES.len()];
                self.case(level, form.edit.kind(), Phrasing::Proposal, language, Some(form))?;
            }
        }
        Ok(())
    }

    fn case(
        &mut self,
        level: Level,
        kind: Kind,
        phrasing: Phrasing,
        language: Language,
        form: Option<&Form>,
    ) -> Result<(), SuiteError> {
        let id = self.cases.len() as u32;
        let options = self.options(level, kind, phrasing, language);
        let first = self.spec.seed + u64::from(id) * SEEDS;
        let pair = (first..first + TRIES).find_map(|seed| {
            let pair = Pair::sample_with(seed, &options, &mut self.renderer).ok()?;
            let pair = Some(pair).filter(|pair| pair.kind == kind)?;
            match form {
                None => Some(pair),
                Some(form) => form.applied(pair, language, self.spec.size, &mut self.renderer),
            }
        });
        let pair = pair.ok_or(SuiteError::Exhausted { case: id, kind, level })?;
        let Pair { seed, instruction, intents, before, after, .. } = pair;
        self.cases.push(Case {
            id,
            seed,
            level,
            kind,
            phrasing,
            language,
            instruction,
            intents,
            before,
            after,
        });
        Ok(())
    }

    fn options(&self, level: Level, kind: Kind, phrasing: Phrasing, language: Language) -> PairOptions {
        let mut options = PairOptions {
            split: Split::HeldOut,
            level: Some(level),
            people: self.spec.people,
            phrases: if phrasing == Phrasing::Unseen { PhraseSet::Suite } else { PhraseSet::Training },
            ..PairOptions::default()
        };
        // At the hard level a second edit may follow, of any other kind: far more rarely than the wanted one.
        options.weights[kind as usize] *= 1e6;
        options.languages = match language {
            Language::English => [1.0, 0.0, 0.0],
            Language::Vietnamese => [0.0, 1.0, 0.0],
            Language::VietnameseUnaccented => [0.0, 0.0, 1.0],
        };
        options
    }
}
