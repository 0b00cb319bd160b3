//! Scenes without objects, and objects to put in them.

use super::draw::Draw;
use super::options::Level;
use crate::backdrop::Backdrop;
use crate::camera::sin_cos;
use crate::colour::{Colour, Rgb};
use crate::scene::{
    Background, Camera, Gender, Hair, Light, Material, Object, ObjectId, Person, Profession, Scene, Shape,
    Skin, VERSION,
};

/// How far, in 8-bit RGB, an object's colour must be from those of the ground to be seen on it.
const CONTRAST: f32 = 75.0;
/// How far a sampled background may differ from the named one, per channel.
const JITTER: f32 = 10.0;

/// An empty scene, seen from the front.
pub(super) fn empty(draw: &mut Draw) -> Scene {
    let pitch = draw.between(30.0, 42.0);
    let horizon_v = draw.between(0.1, 0.22);
    let from_left = draw.chance(0.5);
    let azimuth = draw.between(115.0, 235.0);
    Scene {
        version: VERSION,
        camera: Camera {
            target: [0.0, 0.0],
            yaw: 0.0,
            pitch,
            zoom: 1.0,
            horizon: (0.5 - horizon_v) / sin_cos(pitch).0,
        },
        light: Light {
            azimuth: if from_left { azimuth } else { 180.0 - azimuth },
            elevation: draw.between(42.0, 64.0),
            spread: draw.between(3.0, 7.0),
            ambient: draw.between(0.4, 0.55),
        },
        background: jittered(backdrop(draw).background(), draw),
        objects: Vec::new(),
    }
}

/// Any backdrop.
pub(super) fn backdrop(draw: &mut Draw) -> Backdrop {
    if draw.chance(0.35) { Backdrop::Plain(draw.pick(&Colour::ALL)) } else { draw.pick(&Backdrop::NAMED) }
}

fn jittered(background: Background, draw: &mut Draw) -> Background {
    let mut jitter = |Rgb(colour): Rgb| {
        let by = draw.between(-JITTER, JITTER);
        Rgb(colour.map(|channel| (f32::from(channel) + by).clamp(0.0, 255.0) as u8))
    };
    let mut background = background;
    background.sky.top = jitter(background.sky.top);
    background.sky.bottom = jitter(background.sky.bottom);
    background.ground.colours = background.ground.colours.map(jitter);
    background
}

/// Whether an object of this colour can be told from the ground.
pub(super) fn shows_on(colour: Colour, background: &Background) -> bool {
    let Rgb(own) = colour.rgb();
    background.ground.colours.iter().all(|Rgb(other)| {
        let squared = own.iter().zip(other).map(|(a, b)| (f32::from(*a) - f32::from(*b)).powi(2));
        squared.sum::<f32>().sqrt() > CONTRAST
    })
}

/// Whether a shadow can be told from the ground.
pub(super) fn shows_shadows(background: &Background) -> bool {
    background
        .ground
        .colours
        .iter()
        .all(|Rgb(colour)| colour.iter().map(|c| u32::from(*c)).sum::<u32>() > 240)
}

/// An object of a usual size, at the origin.
pub(super) fn object(shape: Shape, colour: Colour, level: Level, draw: &mut Draw) -> Object {
    let (low, high) = match shape {
        Shape::Sphere | Shape::Ball => (0.14, 0.22),
        Shape::Cube => (0.13, 0.19),
        Shape::Cylinder => (0.16, 0.23),
        Shape::Cone => (0.18, 0.26),
        Shape::Vase => (0.2, 0.28),
        Shape::Tree => (0.24, 0.33),
        Shape::House => (0.19, 0.26),
        Shape::Cat => (0.17, 0.23),
        Shape::Person => (0.28, 0.36),
    };
    let scale = match level {
        Level::Easy => 1.15,
        Level::Middle => 1.0,
        Level::Hard => 0.85,
    };
    Object {
        id: ObjectId(0),
        shape,
        colour,
        material: [Material::Matte, Material::Shiny, Material::Metal]
            [draw.weighted([2.0, 1.0, 0.6].into_iter())],
        size: draw.between(low, high) * scale,
        position: [0.0, 0.0],
        rotation: draw.between(-35.0, 35.0),
        shadow: true,
        person: (shape == Shape::Person).then(|| person(draw)),
    }
}

fn person(draw: &mut Draw) -> Person {
    Person {
        gender: draw.pick(&[Gender::Woman, Gender::Man]),
        profession: draw.pick(&Profession::ALL),
        skin: draw.pick(&[Skin::Light, Skin::Tan, Skin::Brown, Skin::Dark]),
        hair: draw.pick(&[Hair::Black, Hair::Brown, Hair::Blond, Hair::Red, Hair::Grey]),
    }
}

/// A shape: people as often as asked, the others alike.
pub(super) fn shape(people: f32, draw: &mut Draw) -> Shape {
    if draw.chance(people) { Shape::Person } else { draw.pick(&Shape::ALL[..Shape::ALL.len() - 1]) }
}
