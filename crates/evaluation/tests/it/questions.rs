//! What a model learns of a case, and what is told about its answers.

use retouch_evaluation::{Case, Check, Phrasing, Question, Row, Scores, Suite, Verdict, table};
use retouch_scenes::{Kind, Renderer};

fn suite() -> Suite {
    Suite::spatial().expect("the frozen suite")
}

/// The same image and words give the same question, whatever the truth is: there is no other way to the scene.
#[test]
fn a_model_is_told_nothing_but_image_and_instruction() {
    let (suite, mut renderer) = (suite(), Renderer::new());
    for case in suite.some(None, Some(6)) {
        let other = &suite.cases[(case.id as usize + 500) % suite.cases.len()];
        let disguised = Case {
            after: other.after.clone(),
            intents: other.intents.clone(),
            seed: 0,
            id: 0,
            ..case.clone()
        };
        for row in Row::ALL.into_iter().filter(|row| *row != Row::Marked) {
            let question = suite.question(case, row, &mut renderer).expect("renders");
            assert_eq!(question, suite.question(&disguised, row, &mut renderer).expect("renders"));
            let Question { image, instruction, source_box } = question;
            assert_eq!(image, renderer.render(&case.before, suite.size, suite.size).expect("renders").image);
            assert_eq!((instruction.as_str(), source_box), (case.instruction.as_str(), None));
        }
    }
}

#[test]
fn a_marked_question_has_the_box_of_what_is_there() {
    let (suite, mut renderer) = (suite(), Renderer::new());
    let of = |kind| suite.cases.iter().find(|case| case.kind == kind).expect("every kind is there");
    let removed = of(Kind::Remove);
    let [left, top, right, bottom] =
        suite.question(removed, Row::Marked, &mut renderer).expect("renders").source_box.expect("marked");
    let gone = removed.before.objects.iter().find(|object| removed.after.object(object.id).is_none());
    let truth = renderer.measure(&removed.before, suite.size, suite.size).expect("renders").1;
    let extent = truth.object(gone.expect("removed").id).expect("there").extent.map(f64::from);
    assert_eq!([left, top, right, bottom], extent);
    let added = suite.question(of(Kind::RotateView), Row::Marked, &mut renderer).expect("renders");
    assert_eq!(added.source_box, None);
}

#[test]
fn subsets_are_spread_over_the_suite() {
    let suite = suite();
    let some = suite.some(None, Some(60));
    assert_eq!(some.len(), 60);
    assert!(some.iter().zip(0..).all(|(case, part)| case.id / 20 == part));
    for phrasing in [Phrasing::Seen, Phrasing::Unseen] {
        let count = some.iter().filter(|case| case.phrasing == phrasing).count();
        assert!((18..=36).contains(&count), "{phrasing:?}: {count}");
    }
    assert_eq!(suite.some(None, Some(5000)).len(), suite.cases.len());
    assert_eq!(suite.some(None, Some(0)).len(), 0);
}

#[test]
fn scores_are_told_with_their_intervals() {
    let suite = suite();
    let mut scores = Scores::new(Row::Plain);
    for (at, case) in suite.some(None, Some(100)).into_iter().enumerate() {
        let check = Check { what: "place", passed: at % 4 != 0, measured: 0.0, limit: 0.05 };
        scores.count(case, &Verdict { done: check.passed, checks: vec![check] });
    }
    assert_eq!((scores.overall.hits, scores.failed_checks["place"]), (75, 25));
    let json = serde_json::to_value(&scores).expect("JSON");
    assert_eq!(json["overall"]["share"], 0.75);
    assert!(json["overall"]["interval"][0].as_f64().is_some_and(|low| low > 0.65 && low < 0.75));
    assert!(json["kinds"]["move_by"]["total"].as_u64().is_some_and(|total| total >= 10));
    let table = table(&[scores]);
    assert!(table.contains("75.0 (66-82)") && table.contains("words: unseen"), "{table}");
}
