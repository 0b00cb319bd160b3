//! The JSON form and its bounds.

use retouch_scenes::{Colour, ObjectId, Scene, SceneError, Shape};

use crate::fixture::{BALL, object, scene, with};

#[test]
fn the_json_form_is_stable() {
    let scene = with(vec![object(BALL, Shape::Ball, Colour::Red, 0.2, [-0.25, -0.3])]);
    let json = scene.to_json().expect("finite");
    insta::assert_snapshot!(json, @r##"{"version":1,"camera":{"target":[0.0,0.0],"yaw":0.0,"pitch":35.0,"zoom":1.0,"horizon":0.55},"light":{"azimuth":140.0,"elevation":50.0,"spread":5.0,"ambient":0.45},"background":{"sky":{"top":"#60a0e8","bottom":"#d6eafa"},"ground":{"texture":"grass","colours":["#427a2c","#7aac4a"]}},"objects":[{"id":1,"shape":"ball","colour":"red","material":"matte","size":0.2,"position":[-0.25,-0.3],"rotation":20.0,"shadow":true}]}"##);
    assert_eq!(Scene::from_json(&json).expect("its own"), scene);
}

#[track_caller]
fn refused(change: impl FnOnce(&mut Scene), code: &str) {
    let mut scene = scene();
    change(&mut scene);
    let error = scene.validate().expect_err("out of bounds");
    assert_eq!(error.code(), code, "{error}");
}

#[test]
fn bad_scenes_are_named_errors() {
    refused(|scene| scene.version = 2, "scene_version_unsupported");
    refused(|scene| scene.camera.zoom = 0.0, "scene_value_out_of_range");
    refused(|scene| scene.camera.pitch = f32::NAN, "scene_value_out_of_range");
    refused(|scene| scene.objects[0].size = f32::INFINITY, "scene_value_out_of_range");
    refused(|scene| scene.objects[1].id = BALL, "scene_duplicate_id");
    refused(|scene| scene.objects[1].shape = Shape::Person, "scene_person_mismatch");
    let many = |scene: &mut Scene| {
        let template = scene.objects[0].clone();
        scene.objects =
            (0..65).map(|id| retouch_scenes::Object { id: ObjectId(id), ..template.clone() }).collect();
    };
    refused(many, "scene_too_many_objects");
}

#[test]
fn texts_that_are_no_scene_are_refused_with_the_reason() {
    for text in ["", "[]", "{}", r#"{"version":1,"extra":0}"#] {
        let error = Scene::from_json(text).expect_err("no scene");
        assert!(matches!(error, SceneError::Json { .. }), "{text:?}: {error}");
    }
    let text = scene().to_json().expect("finite").replace("#60a0e8", "blue");
    let error = Scene::from_json(&text).expect_err("no colour");
    let source = std::error::Error::source(&error).expect("kept").to_string();
    assert!(source.starts_with("the colour \"blue\" is not of the form #rrggbb"), "{source}");
}
