//! Scenes to test on.

use proptest::prelude::*;
use retouch_scenes::{
    Backdrop, Camera, Colour, Light, Material, Object, ObjectId, Scene, Shape, VERSION, View,
};

pub const BALL: ObjectId = ObjectId(1);
pub const CUBE: ObjectId = ObjectId(2);
pub const TREE: ObjectId = ObjectId(3);

pub fn object(id: ObjectId, shape: Shape, colour: Colour, size: f32, position: [f32; 2]) -> Object {
    Object {
        id,
        shape,
        colour,
        material: Material::Matte,
        size,
        position,
        rotation: 20.0,
        shadow: true,
        person: None,
    }
}

pub fn with(objects: Vec<Object>) -> Scene {
    Scene {
        version: VERSION,
        camera: Camera { target: [0.0, 0.0], yaw: 0.0, pitch: 35.0, zoom: 1.0, horizon: 0.55 },
        light: Light { azimuth: 140.0, elevation: 50.0, spread: 5.0, ambient: 0.45 },
        background: Backdrop::Meadow.background(),
        objects,
    }
}

/// A red ball on the left, a blue cube on the right, a green tree behind the middle.
pub fn scene() -> Scene {
    with(vec![
        object(BALL, Shape::Sphere, Colour::Red, 0.2, [-0.25, -0.3]),
        object(CUBE, Shape::Cube, Colour::Blue, 0.18, [0.3, -0.25]),
        object(TREE, Shape::Tree, Colour::Green, 0.28, [0.0, 0.2]),
    ])
}

pub fn view(scene: &Scene) -> View {
    View::new(&scene.camera, 1.0)
}

/// Scenes of up to five objects anywhere on or off the image, under any camera.
pub fn any_scene() -> impl Strategy<Value = Scene> {
    let shapes = prop::sample::select(&Shape::ALL[..9]);
    let object = (shapes, prop::sample::select(&Colour::ALL[..]), 0.05f32..0.5, -0.7f32..0.7, -0.7f32..0.7);
    let camera = (-180.0f32..180.0, 15.0f32..80.0, 0.5f32..2.0);
    (prop::collection::vec(object, 0..5), camera, any::<bool>()).prop_map(
        |(objects, (yaw, pitch, zoom), shadow)| {
            let objects = objects.into_iter().zip(1..).map(|((shape, colour, size, x, y), id)| Object {
                shadow,
                ..self::object(ObjectId(id), shape, colour, size, [x, y])
            });
            let mut scene = with(objects.collect());
            scene.camera = Camera { yaw, pitch, zoom, ..scene.camera };
            scene
        },
    )
}
