//! The frozen suite: what is in it, and that it stays.

use std::collections::{HashMap, HashSet};

use retouch_evaluation::{Case, Phrasing, Suite};
use retouch_instruction::Language;
use retouch_scenes::{Kind, Level};

fn suite() -> Suite {
    Suite::spatial().expect("the frozen suite")
}

/// Whatever changes this digest changes what published results mean: it takes a new suite, not a new digest.
#[test]
fn the_suite_is_the_one_that_was_frozen() {
    let suite = suite();
    assert_eq!(suite.digest().expect("every scene renders"), suite.frozen_digest());
}

#[test]
fn every_kind_level_language_and_wording_has_its_share() {
    let suite = suite();
    assert!(suite.cases.len() >= 1000);
    let count = |of: &dyn Fn(&&Case) -> bool| suite.cases.iter().filter(of).count();
    for level in Level::ALL {
        assert_eq!(count(&|case| case.level == level), 400, "{level:?}");
        for kind in Kind::ALL {
            assert!(count(&|case| case.level == level && case.kind == kind) >= 14, "{kind:?} {level:?}");
        }
    }
    assert!(count(&|case| case.phrasing == Phrasing::Unseen) * 10 >= suite.cases.len() * 3);
    assert!(count(&|case| case.phrasing == Phrasing::Proposal) >= 100);
    for language in [Language::English, Language::Vietnamese, Language::VietnameseUnaccented] {
        assert!(count(&|case| case.language == language) >= 200, "{language:?}");
        for phrasing in [Phrasing::Seen, Phrasing::Unseen, Phrasing::Proposal] {
            let cases = count(&|case| case.language == language && case.phrasing == phrasing);
            assert!(cases >= 25, "{language:?} {phrasing:?}");
        }
    }
    let two = count(&|case| case.intents.len() == 2);
    assert!(two >= 60, "{two} cases ask for two edits");
}

#[test]
fn every_edit_changes_its_scene_and_no_two_cases_are_the_same() {
    let suite = suite();
    let mut seen = HashSet::new();
    for case in &suite.cases {
        assert_ne!(case.before, case.after, "case {}", case.id);
        assert!(!case.instruction.trim().is_empty() && !case.instruction.contains(['{', '}']));
        assert!(seen.insert(case.before.to_json().expect("valid")), "case {}", case.id);
    }
}

/// The seeds of a training start at (seed of its recipe) · 2^32.
#[test]
fn no_seed_is_one_of_a_training() {
    let suite = suite();
    assert!(suite.cases.iter().all(|case| case.seed >> 32 > u64::from(u32::MAX) / 4));
    let seeds: HashSet<u64> = suite.cases.iter().map(|case| case.seed).collect();
    assert_eq!(seeds.len(), suite.cases.len());
}

#[test]
fn the_proposal_is_quoted() {
    let suite = suite();
    let mut of: HashMap<&str, usize> = HashMap::new();
    let quoted = [
        " right by 10 %",
        "add two ",
        " in the lower left corner",
        "rotate the view 45 degrees",
        " swap places",
        " blue",
        "zoom into the image",
        "ở góc dưới bên phải",
        "xoay goc nhin 45 do",
    ];
    for case in suite.cases.iter().filter(|case| case.phrasing == Phrasing::Proposal) {
        for words in quoted {
            *of.entry(words).or_default() += usize::from(case.instruction.contains(words));
        }
    }
    for words in quoted {
        assert!(of.get(words).is_some_and(|count| *count >= 3), "{words:?}: {of:?}");
    }
}
