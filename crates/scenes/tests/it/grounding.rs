//! From intents to edits.

use retouch_instruction::{
    Destination, Displacement, Intent, Ordinal, Quantity, Referent, Region, Relation, Relative, Side, Size,
    Unit,
};
use retouch_scenes::{Colour, Edit, ObjectId, Scene, Shape, find, ground};

use crate::fixture::{BALL, CUBE, TREE, object, scene, view, with};

fn found(referent: &Referent, scene: &Scene) -> Result<Vec<ObjectId>, &'static str> {
    find(referent, scene, &view(scene)).map_err(|error| error.code())
}

/// Three balls from left to right, of growing size; the outer ones are red, the middle one is blue.
fn balls() -> Scene {
    with(vec![
        object(ObjectId(1), Shape::Sphere, Colour::Red, 0.12, [-0.3, -0.2]),
        object(ObjectId(2), Shape::Ball, Colour::Blue, 0.2, [0.0, -0.3]),
        object(ObjectId(3), Shape::Sphere, Colour::Red, 0.26, [0.3, 0.0]),
    ])
}

#[test]
fn referents_find_what_they_say() {
    let ball = Referent::named("ball");
    let red = Referent { colour: Some("red".into()), ..ball.clone() };
    let all = |quantity| Referent { quantity, ..ball.clone() };
    let scene = balls();
    let ids = |ids: &[u32]| Ok(ids.iter().copied().map(ObjectId).collect::<Vec<_>>());
    assert_eq!(found(&ball, &scene), Err("referent_ambiguous"));
    assert_eq!(found(&red, &scene), Err("referent_ambiguous"));
    assert_eq!(found(&Referent { colour: Some("blue".into()), ..ball.clone() }, &scene), ids(&[2]));
    assert_eq!(found(&Referent { size: Some(Size::Small), ..red.clone() }, &scene), ids(&[1]));
    assert_eq!(found(&Referent { size: Some(Size::Large), ..ball.clone() }, &scene), ids(&[3]));
    assert_eq!(found(&Referent { material: Some("striped".into()), ..ball.clone() }, &scene), ids(&[2]));
    assert_eq!(found(&all(Quantity::All), &scene), ids(&[1, 2, 3]));
    assert_eq!(found(&all(Quantity::Exactly(3)), &scene), ids(&[1, 2, 3]));
    assert_eq!(found(&all(Quantity::Both), &scene), Err("referent_count_mismatch"));
    let second_from_right = Some(Ordinal { index: 2, from: Side::Right });
    assert_eq!(found(&Referent { ordinal: second_from_right, ..ball.clone() }, &scene), ids(&[2]));
    let fourth = Some(Ordinal { index: 4, from: Side::Left });
    assert_eq!(found(&Referent { ordinal: fourth, ..ball.clone() }, &scene), Err("referent_not_found"));
    assert_eq!(found(&Referent { location: Some(Region::Left), ..ball.clone() }, &scene), ids(&[1]));
    let striped = Referent { material: Some("striped".into()), ..ball.clone() };
    let right_of = Relative { relation: Relation::RightOf, anchor: Box::new(striped), other: None };
    assert_eq!(found(&Referent { relative: Some(right_of), ..ball }, &scene), ids(&[3]));
    assert_eq!(found(&Referent::named("zebra"), &scene), Err("referent_not_found"));
}

#[test]
fn intents_become_edits() {
    let of = |intent: &Intent| ground(intent, &scene(), (200, 200)).map_err(|error| error.code());
    let ball = Referent::named("ball");
    let by = Displacement { dx: 20.0, dy: 0.0, unit: Unit::Pixels, said: true };
    let moved = Intent::Move { target: ball.clone(), to: Destination::By(by) };
    assert_eq!(of(&moved), Ok(Edit::MoveBy { objects: vec![BALL], du: 0.1, dv: 0.0 }));
    let swap = Intent::Swap { first: Referent::named("cube"), second: Some(Referent::named("tree")) };
    assert_eq!(of(&swap), Ok(Edit::Swap { first: CUBE, second: TREE }));
    let pair = Referent { quantity: Quantity::All, ..Referent::named("object") };
    assert_eq!(of(&Intent::Swap { first: pair, second: None }), Err("referent_count_mismatch"));
    let mauve = Intent::Recolour { target: ball, colour: "mauve".into() };
    assert_eq!(of(&mauve), Err("term_unknown"));
    assert_eq!(of(&Intent::Free { text: "make it art".to_owned() }), Err("intent_unsupported"));
    let dragon = Intent::Add { count: 1, object: Referent::named("dragon"), place: None };
    assert_eq!(of(&dragon), Err("term_unknown"));
    let shadow = Intent::AddEffect { effect: "shadow".into(), place: None };
    assert_eq!(of(&shadow), Ok(Edit::Shadow { objects: vec![BALL, CUBE, TREE], on: true }));
}
