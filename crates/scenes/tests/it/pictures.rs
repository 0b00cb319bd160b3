//! Rendering and its truth.

use proptest::prelude::*;
use retouch_scenes::{Colour, ObjectId, Renderer, SceneError, Shape, Texture};

use crate::fixture::{BALL, CUBE, TREE, any_scene, object, scene, with};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_truth_is_that_of_the_mask(scene in any_scene(), width in 8u32..80, height in 8u32..80) {
        let (mask, truth) = Renderer::new().measure(&scene, width, height).expect("valid");
        prop_assert_eq!(mask.dimensions(), (width, height));
        let mut ranks: Vec<usize> = truth.objects.iter().map(|object| object.depth_rank).collect();
        ranks.sort_unstable();
        prop_assert_eq!(ranks, (0..scene.objects.len()).collect::<Vec<_>>());
        for (index, object) in truth.objects.iter().enumerate() {
            let shown: Vec<(u32, u32)> = (0..height)
                .flat_map(|row| (0..width).map(move |column| (column, row)))
                .filter(|(column, row)| mask.object_at(*column, *row) == Some(index))
                .collect();
            prop_assert_eq!(object.area as usize, shown.len());
            prop_assert!(object.area <= object.full_area);
            let Some([left, top, right, bottom]) = object.pixels else {
                prop_assert!(shown.is_empty());
                continue;
            };
            prop_assert!(right <= width && bottom <= height);
            prop_assert!(shown.iter().all(|(c, r)| (left..right).contains(c) && (top..bottom).contains(r)));
            // Pixels' middles lie within the exact extent.
            let [exact_left, exact_top, exact_right, exact_bottom] = object.extent;
            let slack = 1e-4;
            prop_assert!(exact_left <= (left as f32 + 0.5) / width as f32 + slack);
            prop_assert!(exact_right >= (right as f32 - 0.5) / width as f32 - slack);
            prop_assert!(exact_top <= (top as f32 + 0.5) / height as f32 + slack);
            prop_assert!(exact_bottom >= (bottom as f32 - 0.5) / height as f32 - slack);
        }
    }

    #[test]
    fn the_same_scene_gives_the_same_bits_whatever_was_rendered_before(a in any_scene(), b in any_scene()) {
        let mut used = Renderer::new();
        used.render(&b, 48, 32).expect("valid");
        let again = used.render(&a, 40, 40).expect("valid");
        prop_assert_eq!(Renderer::new().render(&a, 40, 40).expect("valid"), again);
    }
}

#[test]
fn a_picture_is_the_same_on_every_platform() {
    let mut scene = scene();
    scene.objects[0].material = retouch_scenes::Material::Metal;
    scene.objects[1].material = retouch_scenes::Material::Shiny;
    scene.background.ground.texture = Texture::Wood;
    let rendered = Renderer::new().render(&scene, 64, 64).expect("valid");
    // FNV-1a; a change of the renderer changes it, a change of platform must not.
    let hash = rendered.image.as_raw().iter().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    insta::assert_snapshot!(format!("{hash:016x}"), @"1ce0177e737a57de");
}

#[test]
fn an_object_in_front_hides_one_behind() {
    let scene = with(vec![
        object(BALL, Shape::Sphere, Colour::Red, 0.2, [0.15, 0.12]),
        object(CUBE, Shape::Cube, Colour::Blue, 0.3, [0.0, -0.15]),
    ]);
    let (_, truth) = Renderer::new().measure(&scene, 128, 128).expect("valid");
    let [ball, cube] = &truth.objects[..] else { panic!("two objects") };
    assert_eq!((cube.depth_rank, cube.visible), (0, 1.0));
    assert_eq!(ball.depth_rank, 1);
    assert!(ball.visible > 0.05 && ball.visible < 0.8, "{}", ball.visible);
}

#[test]
fn pixels_have_the_colour_of_what_they_show_and_shadows_fall_where_they_are_cast() {
    let mut scene = scene();
    scene.background.ground.texture = Texture::Plain;
    let mut renderer = Renderer::new();
    let lit = renderer.render(&scene, 128, 128).expect("valid");
    let centre = lit.truth.object(BALL).expect("there").centroid.expect("visible");
    let [red, green, blue] = lit.image.get_pixel((centre[0] * 128.0) as u32, (centre[1] * 128.0) as u32).0;
    assert!(red > 130 && green < 80 && blue < 80, "{red} {green} {blue}");

    for object in &mut scene.objects {
        object.shadow = false;
    }
    let bare = renderer.render(&scene, 128, 128).expect("valid");
    assert_eq!(bare.mask, lit.mask);
    let darker = |column: u32, row: u32| {
        let sum = |image: &retouch_imaging::RgbImage| {
            image.get_pixel(column, row).0.map(u32::from).iter().sum::<u32>()
        };
        sum(&lit.image) + 60 < sum(&bare.image)
    };
    let pixels = || (0..128).flat_map(|row| (0..128).map(move |column| (column, row)));
    let on_ground = pixels().filter(|(c, r)| lit.mask.object_at(*c, *r).is_none() && darker(*c, *r)).count();
    assert!((200..3000).contains(&on_ground), "{on_ground} pixels in shadow");
    // The light is behind on the left: shadows fall to the right and towards the viewer.
    let tree = lit.truth.object(TREE).expect("there");
    let beside = |side: f32| {
        let column = ((tree.centre[0] + side * 0.1) * 128.0) as u32;
        darker(column, (tree.extent[3] * 128.0) as u32 - 2)
    };
    assert!(beside(1.0) && !beside(-1.0));
}

#[test]
fn sizes_that_cannot_be_rendered_are_named_errors() {
    for (width, height) in [(0, 64), (7, 64), (64, 4097), (u32::MAX, 1)] {
        let error = Renderer::new().render(&scene(), width, height).expect_err("no such size");
        assert!(matches!(error, SceneError::SizeInvalid { .. }), "{error}");
    }
}

#[test]
fn an_object_beyond_the_frame_is_said_to_be_cut_off() {
    let scene = with(vec![
        object(BALL, Shape::Sphere, Colour::Red, 0.2, [0.48, 0.0]),
        object(ObjectId(9), Shape::Sphere, Colour::Red, 0.2, [5.0, 0.0]),
    ]);
    let (_, truth) = Renderer::new().measure(&scene, 64, 64).expect("valid");
    assert!(truth.objects[0].cut_off && truth.objects[0].area > 0);
    let gone = &truth.objects[1];
    assert!(gone.cut_off && gone.area == 0 && gone.pixels.is_none() && gone.centroid.is_none());
    assert_eq!(gone.visible, 0.0);
}
