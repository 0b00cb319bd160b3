//! Sampled pairs.

use std::collections::HashSet;

use proptest::prelude::*;
use retouch_instruction::{Destination, Intent, Language, PhraseSet, Place};
use retouch_scenes::{
    CAPTIONS, Colour, Edit, Kind, Level, ObjectId, ObjectTruth, Operation, Pair, PairOptions, Renderer,
    Scene, Shape, Split, Truth, caption, ground,
};

use crate::fixture::scene;

const SIZE: u32 = 128;

fn options(split: Split) -> PairOptions {
    PairOptions { split, ..PairOptions::default() }
}

fn truth(scene: &Scene) -> Truth {
    Renderer::new().measure(scene, SIZE, SIZE).expect("valid").1
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn training_never_sees_what_is_held_out_and_evaluation_nothing_else(seed: u64) {
        for split in [Split::Train, Split::HeldOut] {
            let pair = Pair::sample(seed, &options(split)).expect("there are such pairs");
            prop_assert!(!pair.combinations.is_empty());
            for combination in &pair.combinations {
                prop_assert_eq!(Split::of(*combination), split, "{:?}", combination);
            }
            prop_assert!(pair.combinations.iter().all(|combination| stands_in(combination.colour, combination.shape, &pair)));
        }
    }

    #[test]
    fn a_pair_is_what_its_intents_ask_for(seed: u64, held_out: bool) {
        let split = if held_out { Split::HeldOut } else { Split::Train };
        let pair = Pair::sample(seed, &options(split)).expect("there are such pairs");
        prop_assert!(pair.before.validate().is_ok() && pair.after.validate().is_ok());
        prop_assert!(pair.before != pair.after);
        let (before, after) = (truth(&pair.before), truth(&pair.after));
        let mut touched = HashSet::new();
        for intent in &pair.intents {
            let edit = ground(intent, &pair.before, (SIZE, SIZE)).expect("its words are clear");
            satisfied(&edit, intent, &pair, &before, &after)?;
            touched.extend(named(&edit));
        }
        if pair.before.camera == pair.after.camera {
            for object in before.objects.iter().filter(|object| !touched.contains(&object.id)) {
                let now = after.object(object.id).expect("untouched objects stay");
                prop_assert_eq!(now.extent, object.extent);
                prop_assert_eq!(pair.before.object(object.id), pair.after.object(object.id));
            }
        }
        prop_assert!(before.objects.iter().all(|object| object.visible >= 0.6 && !object.cut_off));
    }

    #[test]
    fn a_seed_means_one_pair(seed: u64) {
        let pair = Pair::sample(seed, &PairOptions::default()).expect("there are such pairs");
        prop_assert_eq!(&Pair::sample(seed, &PairOptions::default()).expect("again"), &pair);
        let json = serde_json::to_string(&pair).expect("finite");
        prop_assert_eq!(serde_json::from_str::<Pair>(&json).expect("its own"), pair);
    }
}

fn stands_in(colour: Colour, shape: Shape, pair: &Pair) -> bool {
    let is = |object: &retouch_scenes::Object| object.colour == colour && object.shape == shape;
    pair.before.objects.iter().chain(&pair.after.objects).any(is)
}

fn named(edit: &Edit) -> Vec<ObjectId> {
    match edit {
        Edit::MoveBy { objects, .. }
        | Edit::MoveTo { objects, .. }
        | Edit::Remove { objects }
        | Edit::Recolour { objects, .. }
        | Edit::Resize { objects, .. }
        | Edit::Restyle { objects, .. }
        | Edit::Shadow { objects, .. } => objects.clone(),
        Edit::Swap { first, second } => vec![*first, *second],
        _ => Vec::new(),
    }
}

/// Measured in pixels' truth, not in the scene's numbers, wherever the edit shows there.
fn satisfied(
    edit: &Edit,
    intent: &Intent,
    pair: &Pair,
    before: &Truth,
    after: &Truth,
) -> Result<(), TestCaseError> {
    let half_pixel = 0.5 / SIZE as f32;
    let both = |id: ObjectId| -> (&ObjectTruth, &ObjectTruth) {
        (before.object(id).expect("there before"), after.object(id).expect("there after"))
    };
    match edit {
        Edit::MoveBy { objects, du, dv } => {
            for (was, is) in objects.iter().map(|id| both(*id)) {
                let moved = [is.centre[0] - was.centre[0], is.centre[1] - was.centre[1]];
                prop_assert!((moved[0] - du).abs() < half_pixel && (moved[1] - dv).abs() < half_pixel);
                // Thin parts are caught by a pixel's middle or not.
                if was.visible == 1.0 && is.visible == 1.0 {
                    let (was, is) = (was.centroid.expect("seen"), is.centroid.expect("seen"));
                    prop_assert!((is[0] - was[0] - du).abs() < 2.0 * half_pixel, "{:?} {:?} {}", was, is, du);
                    prop_assert!((is[1] - was[1] - dv).abs() < 2.0 * half_pixel, "{:?} {:?} {}", was, is, dv);
                }
            }
        }
        Edit::MoveTo { objects, .. } => {
            if let Intent::Move { to: Destination::Region(region), .. } = intent {
                let bounds = region.bounds();
                let [u, v] = both(objects[0]).1.centre.map(f64::from);
                prop_assert!((bounds.left..=bounds.right).contains(&u));
                prop_assert!((bounds.top..=bounds.bottom).contains(&v));
            }
        }
        Edit::Add { count, .. } => {
            let added: Vec<&ObjectTruth> =
                after.objects.iter().filter(|object| before.object(object.id).is_none()).collect();
            prop_assert_eq!(added.len(), *count as usize);
            prop_assert!(added.iter().all(|object| object.visible >= 0.6 && !object.cut_off));
            if let Intent::Add { place: Some(Place::Region(region)), .. } = intent {
                let bounds = region.bounds();
                let middle =
                    added.iter().map(|object| f64::from(object.centre[0])).sum::<f64>() / added.len() as f64;
                prop_assert!(
                    (bounds.left - 0.01..=bounds.right + 0.01).contains(&middle),
                    "{} {:?}",
                    middle,
                    region
                );
            }
        }
        Edit::Remove { objects } => {
            prop_assert!(objects.iter().all(|id| after.object(*id).is_none()));
        }
        Edit::Recolour { objects, colour } => {
            let now = |id: &ObjectId| pair.after.object(*id).map(|object| object.colour);
            prop_assert!(objects.iter().all(|id| now(id) == Some(*colour)));
        }
        Edit::Resize { objects, factor } => {
            for (was, is) in objects.iter().map(|id| both(*id)) {
                let height = |truth: &ObjectTruth| truth.extent[3] - truth.extent[1];
                prop_assert!((height(is) / height(was) / factor - 1.0).abs() < 1e-3);
            }
        }
        Edit::Swap { first, second } => {
            let place = |scene: &Scene, id: ObjectId| scene.object(id).map(|object| object.position);
            prop_assert_eq!(place(&pair.after, *first), place(&pair.before, *second));
            prop_assert_eq!(place(&pair.after, *second), place(&pair.before, *first));
        }
        Edit::RotateView { degrees } => prop_assert_eq!(pair.after.camera.yaw, *degrees),
        Edit::Zoom { factor, .. } => prop_assert_eq!(pair.after.camera.zoom, *factor),
        Edit::ChangeBackground { background } => prop_assert_eq!(pair.after.background, *background),
        Edit::Shadow { objects, .. } => {
            let shadow = |scene: &Scene, id: &ObjectId| scene.object(*id).map(|object| object.shadow);
            prop_assert!(objects.iter().all(|id| shadow(&pair.before, id) == Some(false)));
            prop_assert!(objects.iter().all(|id| shadow(&pair.after, id) == Some(true)));
        }
        Edit::Restyle { .. } => {}
    }
    Ok(())
}

#[test]
fn one_in_seven_combinations_is_held_out_and_every_two_of_its_parts_are_trained_on() {
    let operations = [Operation::MoveLeft, Operation::Remove, Operation::Swap, Operation::AddAt(6)];
    let mut held_out = 0;
    for operation in operations {
        for colour in Colour::ALL {
            let sides: HashSet<Split> = Shape::ALL
                .iter()
                .map(|shape| Split::of(retouch_scenes::Combination { operation, colour, shape: *shape }))
                .collect();
            assert_eq!(sides.len(), 2, "{operation:?} {colour:?}");
            for shape in Shape::ALL {
                let combination = retouch_scenes::Combination { operation, colour, shape };
                held_out += usize::from(Split::of(combination) == Split::HeldOut);
            }
        }
    }
    let all = operations.len() * Colour::ALL.len() * Shape::ALL.len();
    assert!((all / 7 - 3..=all / 7 + 3).contains(&held_out), "{held_out} of {all}");
}

#[test]
fn every_kind_is_sampled_at_every_level_on_both_sides() {
    for (index, kind) in Kind::ALL.iter().enumerate() {
        let mut weights = [0.0; 12];
        weights[index] = 1.0;
        for level in Level::ALL {
            for split in [Split::Train, Split::HeldOut] {
                let options = PairOptions { split, level: Some(level), weights, ..PairOptions::default() };
                for seed in 0..3 {
                    let pair = Pair::sample(seed, &options);
                    let pair = pair.unwrap_or_else(|error| panic!("{kind:?} {level:?} {split:?}: {error}"));
                    assert_eq!((pair.kind, pair.level), (*kind, level));
                    let most = if level == Level::Hard { 4 } else { 3 };
                    assert!(pair.before.objects.len() <= most, "{} objects", pair.before.objects.len());
                }
            }
        }
    }
}

#[test]
fn the_pair_of_a_seed_stays_what_it_is() {
    let of = |seed| {
        let options = PairOptions { level: Some(Level::Middle), ..PairOptions::default() };
        let pair = Pair::sample(seed, &options).expect("there are such pairs");
        let intents = serde_json::to_string(&pair.intents).expect("finite");
        format!("{intents}\n{}\n{}\n", pair.captions.before, pair.captions.after_vietnamese)
    };
    insta::assert_snapshot!(of(1), @r#"
    [{"op":"remove","target":{"noun":"cube","colour":"purple"}}]
    at sunset: a black cube on the right and a purple cube at the bottom right
    lúc hoàng hôn: một hình hộp màu đen ở bên phải
    "#);
    insta::assert_snapshot!(of(2), @r#"
    [{"op":"move","target":{"noun":"cube","quantity":"both"},"to":{"by":{"dx":-0.3,"dy":0.0,"said":true}}}]
    on a meadow: a purple tree at the bottom, a red cube at the top and a red cube on the right
    trên đồng cỏ: một hình hộp màu đỏ ở góc trên bên trái, một hình hộp màu đỏ ở giữa và một cây màu tím ở phía dưới
    "#);
}

#[test]
fn instructions_are_written_in_the_language_and_phrases_asked_for() {
    let of = |languages, phrases| {
        let options = PairOptions { languages, phrases, ..PairOptions::default() };
        let pair = Pair::sample(5, &options).expect("there are such pairs");
        assert!(!pair.instruction.is_empty());
        (pair.language, pair.instruction)
    };
    let (language, english) = of([1.0, 0.0, 0.0], PhraseSet::Training);
    assert_eq!((language, english.is_ascii()), (Language::English, true));
    let (language, bare) = of([0.0, 0.0, 1.0], PhraseSet::Training);
    assert_eq!((language, bare.is_ascii()), (Language::VietnameseUnaccented, true));
    let (language, accented) = of([0.0, 1.0, 0.0], PhraseSet::Training);
    assert_eq!((language, accented.is_ascii()), (Language::Vietnamese, false));
    assert_ne!(of([1.0, 0.0, 0.0], PhraseSet::Suite).1, english);
}

/// Writer, parser, referents and edits together. Of the training phrases alone: the suite is not to be fitted.
#[test]
fn what_is_written_reads_as_the_same_edits() {
    let options = PairOptions { languages: [1.0, 1.0, 0.0], ..PairOptions::default() };
    let mut lost = Vec::new();
    for seed in 0..200 {
        let pair = Pair::sample(seed, &options).expect("there are such pairs");
        let edits = |intents: &[Intent]| -> Vec<_> {
            intents.iter().map(|intent| ground(intent, &pair.before, (SIZE, SIZE))).collect()
        };
        let read = retouch_instruction::parse(&pair.instruction);
        if edits(&read.intents) != edits(&pair.intents) {
            lost.push(pair.instruction);
        }
    }
    assert!(lost.len() <= 4, "{} of 200 are read otherwise: {lost:#?}", lost.len());
}

#[test]
fn captions_tell_the_scene_in_many_phrasings() {
    let texts: HashSet<String> =
        (0..CAPTIONS).map(|variant| caption(&scene(), Language::English, variant)).collect();
    assert_eq!(texts.len(), CAPTIONS);
    insta::assert_snapshot!(caption(&scene(), Language::English, 0), @r#"a red ball on the left, a green tree at the top and a blue cube on the right on a meadow"#);
    insta::assert_snapshot!(caption(&scene(), Language::Vietnamese, 3), @r#"bức ảnh một quả bóng màu đỏ, một cây màu xanh lá cây và một khối lập phương màu xanh dương trên đồng cỏ"#);
    insta::assert_snapshot!(caption(&scene(), Language::VietnameseUnaccented, 4), @r#"mot khung canh co mot trai bong mau do o ben trai, mot cai cay mau xanh la cay o phia tren va mot khoi hop mau xanh duong o ben phai tren dong co"#);
}
