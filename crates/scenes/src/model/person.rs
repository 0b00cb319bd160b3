//! People, whose attributes are planted.

use super::solid::Solid;
use super::{Paint, Part, ellipsoid, frustum};
use crate::colour::Rgb;
use crate::scene::{Gender, Hair, Person, Profession, Skin};

const SHOE: Paint = Paint::Fixed(Rgb([40, 34, 34]));
const TROUSERS: Paint = Paint::Fixed(Rgb([62, 66, 84]));
const WHITE: Paint = Paint::Fixed(Rgb([246, 246, 246]));
const RED: Paint = Paint::Fixed(Rgb([206, 30, 38]));
const STEEL: Paint = Paint::Fixed(Rgb([70, 76, 88]));
const WOOD: Paint = Paint::Fixed(Rgb([140, 96, 54]));

pub(super) fn add(person: &Person, parts: &mut Vec<Part>) {
    let skin = Paint::Fixed(skin(person.skin));
    let clothes = clothes(person.profession);
    add_body(person.gender, skin, clothes, parts);
    add_hair(person.gender, Paint::Fixed(hair(person.hair)), parts);
    add_profession(person.profession, parts);
}

fn skin(skin: Skin) -> Rgb {
    Rgb(match skin {
        Skin::Light => [248, 214, 186],
        Skin::Tan => [222, 172, 128],
        Skin::Brown => [160, 106, 70],
        Skin::Dark => [96, 62, 44],
    })
}

fn hair(hair: Hair) -> Rgb {
    Rgb(match hair {
        Hair::Black => [30, 26, 26],
        Hair::Brown => [98, 60, 34],
        Hair::Blond => [236, 202, 112],
        Hair::Red => [184, 78, 30],
        Hair::Grey => [168, 168, 172],
    })
}

/// What the upper body wears: a uniform where the profession has one, else the object's own colour.
fn clothes(profession: Profession) -> Paint {
    match profession {
        Profession::Doctor => WHITE,
        Profession::Firefighter => Paint::Fixed(Rgb([48, 50, 58])),
        _ => Paint::Own,
    }
}

fn add_body(gender: Gender, skin: Paint, clothes: Paint, parts: &mut Vec<Part>) {
    let sides = [-1.0f32, 1.0];
    let (leg, lower) = match gender {
        Gender::Woman => (skin, frustum(0.2, 0.1, 0.36, [0.0, 0.0, 0.2], Paint::Own)),
        Gender::Man => (TROUSERS, frustum(0.125, 0.13, 0.12, [0.0, 0.0, 0.4], TROUSERS)),
    };
    for side in sides {
        parts.extend([
            ellipsoid([0.06, 0.09, 0.04], [side * 0.075, -0.03, 0.03], SHOE),
            frustum(0.055, 0.065, 0.42, [side * 0.07, 0.0, 0.03], leg),
            // Arms hang away from the body, so that they show against it.
            frustum(0.04, 0.05, 0.32, [side * 0.23, -0.02, 0.41], clothes).leant(side * -17.0),
            ellipsoid([0.045, 0.045, 0.05], [side * 0.235, -0.02, 0.39], skin),
        ]);
    }
    let waist = if gender == Gender::Woman { 0.1 } else { 0.125 };
    parts.extend([
        lower,
        frustum(waist, 0.15, 0.26, [0.0, 0.0, 0.49], clothes),
        ellipsoid([0.15, 0.12, 0.05], [0.0, 0.0, 0.745], clothes),
        frustum(0.05, 0.05, 0.08, [0.0, 0.0, 0.75], skin),
        ellipsoid([0.105, 0.105, 0.12], [0.0, 0.0, 0.87], skin),
        ellipsoid([0.018, 0.018, 0.018], [-0.04, -0.1, 0.88], SHOE),
        ellipsoid([0.018, 0.018, 0.018], [0.04, -0.1, 0.88], SHOE),
    ]);
}

fn add_hair(gender: Gender, paint: Paint, parts: &mut Vec<Part>) {
    parts.push(ellipsoid([0.115, 0.11, 0.1], [0.0, 0.025, 0.905], paint));
    if gender == Gender::Woman {
        for side in [-1.0, 1.0] {
            parts.push(ellipsoid([0.045, 0.07, 0.15], [side * 0.1, 0.03, 0.8], paint));
        }
        parts.push(ellipsoid([0.11, 0.05, 0.17], [0.0, 0.09, 0.79], paint));
    }
}

fn add_profession(profession: Profession, parts: &mut Vec<Part>) {
    match profession {
        Profession::None => {}
        Profession::Doctor => {
            // The coat reaches over the legs, open at the front; the stethoscope hangs on it.
            parts.push(frustum(0.17, 0.13, 0.24, [0.0, 0.015, 0.28], WHITE));
            for side in [-1.0, 1.0] {
                parts
                    .push(frustum(0.014, 0.014, 0.18, [side * 0.02, -0.145, 0.58], STEEL).leant(side * 20.0));
            }
            parts.push(ellipsoid([0.03, 0.02, 0.03], [0.0, -0.15, 0.57], STEEL));
        }
        Profession::Nurse => {
            parts.push(frustum(0.09, 0.11, 0.07, [0.0, 0.0, 0.95], WHITE));
            add_cross([0.0, -0.105, 0.985], 0.03, parts);
            parts.push(Part::new(Solid::standing_box(0.1, 0.02, 0.3), [0.0, -0.15, 0.38], WHITE));
            add_cross([0.0, -0.175, 0.6], 0.05, parts);
        }
        Profession::Chef => {
            parts.push(frustum(0.09, 0.09, 0.1, [0.0, 0.0, 0.93], WHITE));
            parts.push(ellipsoid([0.15, 0.15, 0.09], [0.0, 0.0, 1.06], WHITE));
            parts.push(Part::new(Solid::standing_box(0.11, 0.02, 0.4), [0.0, -0.15, 0.3], WHITE));
        }
        Profession::Builder => {
            let helmet = Paint::Fixed(Rgb([252, 206, 20]));
            let vest = Paint::Fixed(Rgb([250, 120, 20]));
            parts.push(ellipsoid([0.125, 0.125, 0.1], [0.0, 0.0, 0.95], helmet));
            parts.push(frustum(0.155, 0.145, 0.02, [0.0, -0.02, 0.93], helmet));
            parts.push(frustum(0.135, 0.16, 0.24, [0.0, 0.0, 0.5], vest));
            parts.push(frustum(0.153, 0.155, 0.04, [0.0, 0.0, 0.6], Paint::Fixed(Rgb([250, 246, 170]))));
        }
        Profession::Firefighter => {
            let band = Paint::Fixed(Rgb([240, 236, 90]));
            parts.push(ellipsoid([0.125, 0.13, 0.1], [0.0, 0.0, 0.95], RED));
            parts.push(frustum(0.17, 0.15, 0.02, [0.0, 0.02, 0.93], RED));
            parts.push(frustum(0.152, 0.158, 0.035, [0.0, 0.0, 0.66], band));
            parts.push(frustum(0.138, 0.142, 0.035, [0.0, 0.0, 0.54], band));
        }
        Profession::Farmer => {
            let straw = Paint::Fixed(Rgb([230, 196, 110]));
            parts.push(frustum(0.22, 0.2, 0.025, [0.0, 0.0, 0.94], straw));
            parts.push(frustum(0.12, 0.09, 0.1, [0.0, 0.0, 0.96], straw));
            parts.push(frustum(0.016, 0.016, 0.8, [0.3, -0.06, 0.0], WOOD));
            for x in [-0.05, 0.0, 0.05] {
                parts.push(frustum(0.011, 0.011, 0.14, [0.3 + x, -0.06, 0.8], STEEL));
            }
            parts.push(Part::new(Solid::standing_box(0.062, 0.012, 0.025), [0.3, -0.06, 0.79], STEEL));
        }
    }
}

/// A red cross in front.
fn add_cross([x, y, z]: [f32; 3], arm: f32, parts: &mut Vec<Part>) {
    let bar = |half_width: f32, height: f32| {
        Part::new(Solid::standing_box(half_width, 0.008, height), [x, y, z - height / 2.0], RED)
    };
    parts.extend([bar(arm, arm * 0.7), bar(arm * 0.35, arm * 2.0)]);
}
