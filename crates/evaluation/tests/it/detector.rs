//! The detector on results whose verdict is known: one case of each kind, all plants.

use retouch_evaluation::{Audit, Detector, Plant, Suite};
use retouch_scenes::{Kind, Level, Renderer};

fn audited(kind: impl Fn(Kind) -> bool) -> Audit {
    let suite = Suite::spatial().expect("the frozen suite");
    let (mut detector, mut renderer, mut audit) = (Detector::new(&suite), Renderer::new(), Audit::default());
    // Of the hard ones.
    for wanted in Kind::ALL.into_iter().filter(|of| kind(*of)) {
        let case = suite.cases.iter().find(|case| case.kind == wanted && case.level == Level::Hard);
        let case = case.expect("every kind is in the suite");
        audit.case(case, suite.size, &mut detector, &mut renderer).expect("scenes render");
    }
    audit
}

fn check(audit: &Audit) {
    for plant in Plant::ALL {
        let tally = audit.of_plant(plant);
        assert_eq!(tally.hits, tally.total, "{plant:?}: {tally:?}");
    }
    assert!(audit.of(true, None).total >= 6 && audit.of(false, None).total >= 14);
}

#[test]
fn moves_are_told_from_what_is_wrong_with_them() {
    check(&audited(|kind| matches!(kind, Kind::MoveBy | Kind::MoveTo | Kind::MoveBeside | Kind::Swap)));
}

#[test]
fn additions_and_removals_are_told_from_what_is_wrong_with_them() {
    check(&audited(|kind| matches!(kind, Kind::Add | Kind::Remove)));
}

#[test]
fn looks_are_told_from_what_is_wrong_with_them() {
    check(&audited(|kind| matches!(kind, Kind::Recolour | Kind::Resize | Kind::Shadow)));
}

#[test]
fn views_and_backgrounds_are_told_from_what_is_wrong_with_them() {
    check(&audited(|kind| matches!(kind, Kind::RotateView | Kind::Zoom | Kind::Background)));
}

#[test]
fn results_of_another_size_are_refused() {
    let suite = Suite::spatial().expect("the frozen suite");
    let image = retouch_imaging::RgbImage::new(64, 128);
    let error = Detector::new(&suite).judge(&suite.cases[0], &image, None).expect_err("not 128x128");
    assert_eq!(error.code(), "result_size_invalid");
    assert!(error.to_string().contains("64x128"), "{error}");
}

/// What the VAE does to everything is no harm of the edit; what it does not do is.
#[test]
fn the_round_trip_is_forgiven_where_it_happened() {
    let suite = Suite::spatial().expect("the frozen suite");
    let (mut detector, mut renderer) = (Detector::new(&suite), Renderer::new());
    let case = suite.cases.iter().find(|case| case.kind == Kind::Remove).expect("there are some");
    let mut render = |scene| renderer.render(scene, suite.size, suite.size).expect("valid").image;
    let (mut input, mut truth) = (render(&case.before), render(&case.after));
    // A tint over the left half, as a bad VAE might have it.
    for image in [&mut input, &mut truth] {
        for (x, _, pixel) in image.enumerate_pixels_mut() {
            if x < suite.size / 2 {
                pixel.0[0] = pixel.0[0].saturating_sub(60);
            }
        }
    }
    assert!(!detector.judge(case, &truth, None).expect("judged").done);
    assert!(detector.judge(case, &truth, Some(&input)).expect("judged").done);
    assert!(!detector.judge(case, &input, Some(&input)).expect("judged").done);
}
