//! Edits and what they refuse.

use proptest::prelude::*;
use retouch_instruction::{FractionBox, Region, Relation};
use retouch_scenes::{
    Backdrop, Colour, Edit, EditError, Extent, Focus, Limits, ObjectId, Renderer, Scene, Shape, Spot,
};

use crate::fixture::{BALL, CUBE, TREE, any_scene, object, scene, view, with};

const FREE: Limits = Limits { aspect: 1.0, margin: None, visible: 0.0 };

#[track_caller]
fn applied(edit: &Edit, scene: &Scene) -> Scene {
    edit.apply(scene, &Limits::default()).unwrap_or_else(|error| panic!("{edit:?}: {error}"))
}

fn centre(scene: &Scene, id: ObjectId) -> [f32; 2] {
    Extent::of(scene.object(id).expect("there"), &view(scene)).centre()
}

#[track_caller]
fn assert_near(a: [f32; 2], b: [f32; 2], tolerance: f32) {
    assert!((a[0] - b[0]).abs() <= tolerance && (a[1] - b[1]).abs() <= tolerance, "{a:?} is not {b:?}");
}

fn near(a: &Scene, b: &Scene) -> bool {
    let close = |x: f32, y: f32| (x - y).abs() < 1e-4;
    let objects = a.objects.iter().zip(&b.objects).all(|(a, b)| {
        (a.id, a.shape, a.colour, a.material, a.shadow) == (b.id, b.shape, b.colour, b.material, b.shadow)
            && close(a.size, b.size)
            && close(a.position[0], b.position[0])
            && close(a.position[1], b.position[1])
    });
    objects
        && a.objects.len() == b.objects.len()
        && close(a.camera.yaw, b.camera.yaw)
        && close(a.camera.zoom, b.camera.zoom)
        && a.background == b.background
}

fn any_edit() -> impl Strategy<Value = Edit> {
    let ids = || prop::collection::vec((1u32..5).prop_map(ObjectId), 1..3);
    let id = || (1u32..5).prop_map(ObjectId);
    prop_oneof![
        (ids(), -0.5f32..0.5, -0.5f32..0.5).prop_map(|(objects, du, dv)| Edit::MoveBy { objects, du, dv }),
        (ids(), prop::sample::select(&Colour::ALL[..]))
            .prop_map(|(objects, colour)| Edit::Recolour { objects, colour }),
        (ids(), 0.5f32..2.0).prop_map(|(objects, factor)| Edit::Resize { objects, factor }),
        (id(), id()).prop_map(|(first, second)| Edit::Swap { first, second }),
        (-90.0f32..90.0).prop_map(|degrees| Edit::RotateView { degrees }),
        (0.5f32..2.0).prop_map(|factor| Edit::Zoom { factor, focus: None }),
        Just(Edit::ChangeBackground { background: Backdrop::Night.background() }),
        (ids(), any::<bool>()).prop_map(|(objects, on)| Edit::Shadow { objects, on }),
        (1u32..4).prop_map(|count| Edit::Add {
            object: Box::new(object(ObjectId(0), Shape::Vase, Colour::Cyan, 0.15, [0.0, 0.0])),
            count,
            spot: Spot::Region(Region::Bottom),
        }),
        ids().prop_map(|objects| Edit::Remove { objects }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_inverse_restores_the_scene(scene in any_scene(), edit in any_edit()) {
        let Ok(after) = edit.apply(&scene, &FREE) else { return Ok(()) };
        let Some(inverse) = edit.inverse(&scene) else { return Ok(()) };
        let restored = inverse.apply(&after, &FREE);
        // Of a scene whose objects stood in each other, or beyond the horizon, it is refused.
        let bad = matches!(restored, Err(EditError::WouldOverlap { .. } | EditError::BeyondHorizon { .. }));
        prop_assert!(bad || restored.as_ref().is_ok_and(|restored| near(restored, &scene)), "{:?}", restored);
    }

    #[test]
    fn whatever_is_asked_ends_in_a_valid_scene_or_a_named_error(scene in any_scene(), edit in any_edit()) {
        match edit.apply(&scene, &Limits::default()) {
            Ok(after) => {
                prop_assert!(after.validate().is_ok());
                prop_assert!(after != scene);
            }
            Err(error) => prop_assert!(error.code().starts_with("edit_") || error.code().starts_with("scene_")),
        }
    }

    #[test]
    fn a_move_moves_the_picture_by_what_it_says(
        shape in prop::sample::select(&Shape::ALL[..9]),
        yaw in -180.0f32..180.0,
        pitch in 20.0f32..60.0,
        zoom in 0.7f32..1.5,
        du in -0.2f32..0.2,
        dv in -0.2f32..0.2,
    ) {
        prop_assume!(du != 0.0 || dv != 0.0);
        let mut scene = with(vec![object(BALL, shape, Colour::Red, 0.2, [0.0, 0.0])]);
        scene.camera = retouch_scenes::Camera { yaw, pitch, zoom, horizon: 5.0, ..scene.camera };
        let after = Edit::MoveBy { objects: vec![BALL], du, dv }.apply(&scene, &FREE).expect("possible");
        let seen = |scene: &Scene| {
            let (_, truth) = Renderer::new().measure(scene, 128, 128).expect("valid");
            (truth.objects[0].centre, truth.objects[0].centroid.expect("visible"))
        };
        let (before, after) = (seen(&scene), seen(&after));
        // The mean of pixels is as exact as pixels are: a pixel's middle is on a thin part or not.
        for (before, after, tolerance) in [(before.0, after.0, 1e-5), (before.1, after.1, 1.0 / 128.0)] {
            prop_assert!((after[0] - before[0] - du).abs() < tolerance, "{} {}", after[0] - before[0], du);
            prop_assert!((after[1] - before[1] - dv).abs() < tolerance, "{} {}", after[1] - before[1], dv);
        }
    }
}

#[test]
fn a_place_puts_the_object_there() {
    for (place, region) in Region::PLACES.iter().enumerate() {
        let scene = with(vec![object(BALL, Shape::Sphere, Colour::Red, 0.2, [0.11, 0.07])]);
        let edit = Edit::MoveTo { objects: vec![BALL], spot: Spot::Region(*region) };
        let after = applied(&edit, &scene);
        let bounds = region.bounds();
        let [u, v] = centre(&after, BALL).map(f64::from);
        assert!((bounds.left..=bounds.right).contains(&u), "{region:?} {u}");
        assert!((bounds.top..=bounds.bottom).contains(&v), "{region:?} {v}");
        if place >= 3 {
            // Below the sky it is exact.
            let (x, y) = region.centre();
            assert_near(centre(&after, BALL), [x as f32, y as f32], 1e-5);
        }
    }
}

#[test]
fn sides_are_those_of_the_image() {
    let scene = scene();
    let put = |relation, anchor| {
        let spot = Spot::beside(relation, anchor);
        centre(&applied(&Edit::MoveTo { objects: vec![BALL], spot }, &scene), BALL)
    };
    let cube = centre(&scene, CUBE);
    let tree = centre(&scene, TREE);
    let [left, right] = [put(Relation::LeftOf, CUBE), put(Relation::RightOf, TREE)];
    assert!(left[0] < cube[0] - 0.1 && (left[1] - cube[1]).abs() < 0.05, "{left:?} {cube:?}");
    assert!(right[0] > tree[0] + 0.1, "{right:?}");
    let [behind, before] = [put(Relation::Behind, CUBE), put(Relation::InFrontOf, TREE)];
    assert!(behind[1] < cube[1] - 0.1 && (behind[0] - cube[0]).abs() < 1e-4, "{behind:?}");
    assert!(before[1] > tree[1] + 0.1 && (before[0] - tree[0]).abs() < 1e-4, "{before:?}");
}

#[test]
fn what_is_added_stands_in_a_row_with_new_ids() {
    let vase = Box::new(object(ObjectId(0), Shape::Vase, Colour::Cyan, 0.16, [0.0, 0.0]));
    let spot = Spot::Region(Region::Bottom);
    let after = applied(&Edit::Add { object: vase, count: 2, spot }, &scene());
    let ids: Vec<u32> = after.objects.iter().map(|object| object.id.0).collect();
    assert_eq!(ids, [1, 2, 3, 4, 5]);
    let [first, second] = [centre(&after, ObjectId(4)), centre(&after, ObjectId(5))];
    assert!((first[0] + second[0] - 1.0).abs() < 1e-4 && first[0] < second[0] - 0.08, "{first:?} {second:?}");
    assert!((first[1] - second[1]).abs() < 1e-5);
}

#[test]
fn the_view_turns_about_its_target_and_zooms_on_its_focus() {
    let scene = scene();
    let turned = applied(&Edit::RotateView { degrees: 45.0 }, &scene);
    assert_eq!(turned.camera.yaw, 45.0);
    // The camera goes to its right: what is in front moves to the left.
    assert!(centre(&turned, CUBE)[0] < centre(&scene, CUBE)[0]);

    let zoomed = applied(&Edit::Zoom { factor: 0.5, focus: None }, &scene);
    for id in [BALL, CUBE, TREE] {
        let [u, v] = centre(&scene, id);
        assert_near(centre(&zoomed, id), [0.5 + (u - 0.5) / 2.0, 0.5 + (v - 0.5) / 2.0], 1e-5);
    }
    assert!((view(&zoomed).horizon_v() - 0.5 - (view(&scene).horizon_v() - 0.5) / 2.0).abs() < 1e-5);

    let close = Edit::Zoom { factor: 2.0, focus: Some(Focus::Object(CUBE)) };
    let close = close.apply(&scene, &FREE).expect("possible");
    assert_near(centre(&close, CUBE), [0.5, 0.5], 1e-5);
}

#[track_caller]
fn refused(edit: &Edit, code: &str) {
    let error = edit.apply(&scene(), &Limits::default()).expect_err("impossible");
    assert_eq!(error.code(), code, "{error}");
}

#[test]
fn impossible_edits_are_named_errors() {
    let by = |objects: Vec<ObjectId>, du: f32, dv: f32| Edit::MoveBy { objects, du, dv };
    refused(&by(vec![BALL], -0.4, 0.0), "edit_out_of_frame");
    refused(&by(vec![TREE], 0.0, -0.2), "edit_out_of_frame");
    refused(&by(vec![BALL], 0.1, -0.55), "edit_beyond_horizon");
    refused(&by(vec![BALL], 0.45, 0.0), "edit_would_overlap");
    refused(&by(vec![ObjectId(77)], 0.1, 0.0), "edit_no_such_object");
    refused(&by(vec![], 0.1, 0.0), "edit_nothing_named");
    refused(&by(vec![BALL], 0.0, 0.0), "edit_no_change");
    refused(&by(vec![BALL], f32::NAN, 0.0), "edit_value_invalid");
    refused(&by(vec![BALL], f32::MAX, 0.0), "scene_value_out_of_range");
    refused(&Edit::Resize { objects: vec![BALL], factor: -1.0 }, "edit_value_invalid");
    refused(&Edit::Resize { objects: vec![BALL], factor: 1e-9 }, "scene_value_out_of_range");
    refused(&Edit::Swap { first: BALL, second: BALL }, "edit_no_change");
    refused(&Edit::Recolour { objects: vec![BALL], colour: Colour::Red }, "edit_no_change");
    refused(&Edit::Zoom { factor: 3.0, focus: None }, "edit_out_of_frame");
    refused(&Edit::Zoom { factor: 2.0, focus: Some(Focus::Object(ObjectId(9))) }, "edit_no_such_object");
    let beside =
        |relation, anchors| Edit::MoveTo { objects: vec![BALL], spot: Spot::Beside { relation, anchors } };
    refused(&beside(Relation::On, vec![CUBE]), "edit_relation_unsupported");
    refused(&beside(Relation::Between, vec![CUBE]), "edit_no_room");
    refused(&beside(Relation::LeftOf, vec![ObjectId(8)]), "edit_no_such_object");
    let tiny = Region::Box(FractionBox { left: 0.0, top: 0.0, right: 0.02, bottom: 0.02 });
    refused(&Edit::MoveTo { objects: vec![BALL], spot: Spot::Region(tiny) }, "edit_no_room");
    let tree = Box::new(scene().objects[2].clone());
    refused(&Edit::Add { object: tree.clone(), count: 0, spot: Spot::Anywhere }, "edit_no_room");
    refused(&Edit::Add { object: tree.clone(), count: u32::MAX, spot: Spot::Anywhere }, "edit_no_room");
    refused(&Edit::Add { object: tree, count: 9, spot: Spot::Region(Region::Centre) }, "edit_out_of_frame");
}

#[test]
fn what_would_be_hidden_is_a_named_error() {
    let scene = with(vec![
        object(BALL, Shape::Sphere, Colour::Red, 0.1, [0.0, 0.1]),
        object(CUBE, Shape::House, Colour::Blue, 0.3, [-0.3, -0.12]),
    ]);
    let edit = Edit::MoveBy { objects: vec![CUBE], du: 0.3, dv: 0.0 };
    let error = edit.apply(&scene, &Limits::default()).expect_err("hides the ball");
    assert!(matches!(error, EditError::WouldHide { id: BALL, .. }), "{error}");
}
