//! A scene as `render.py` reads it: world coordinates, linear light, nothing left to decide.

use glam::{Mat3, Vec3};
use serde_json::{Value, json};

use crate::camera::View;
use crate::model::solid::Solid;
use crate::model::{Paint, about_vertical, add_parts};
use crate::render::{BAND, DIRECT, light_direction, linear, texture};
use crate::scene::{Object, Scene};

/// How far from its target the camera stands; it is orthographic, so this only has to be far.
const DISTANCE: f32 = 30.0;

/// The job for one scene.
pub(super) fn of(scene: &Scene, width: u32, height: u32) -> Value {
    let aspect = height as f32 / width as f32;
    let view = View::new(&scene.camera, aspect);
    // Blender's cameras look along their -z.
    let [right, up, away] = [0, 1, 2].map(|axis| view.rotation.row(axis));
    let axes = Mat3::from_cols(right, up, -away);
    let [x, y] = scene.camera.target;
    let target = Vec3::new(x, y, 0.0);
    let light = &scene.light;
    json!({
        "camera": {
            "matrix": matrix(axes, target - away * DISTANCE),
            // Of the longer side.
            "scale": aspect.max(1.0) / scene.camera.zoom,
        },
        "light": {
            "direction": light_direction(light).to_array(),
            "spread": light.spread,
            "direct": (1.0 - light.ambient) * DIRECT,
            "ambient": light.ambient,
        },
        "sky": {
            "top": linear(scene.background.sky.top).to_array(),
            "bottom": linear(scene.background.sky.bottom).to_array(),
            // From the lower edge, as Blender counts.
            "horizon": 1.0 - view.horizon_v(),
        },
        "ground": {
            "texture": scene.background.ground.texture,
            "colours": scene.background.ground.colours.map(|colour| linear(colour).to_array()),
            "target": scene.camera.target,
            "yaw": scene.camera.yaw,
            "horizon": scene.camera.horizon,
            "near": -0.5 * aspect / (scene.camera.zoom * -view.rotation.row(2).z),
            "square": texture::SQUARE,
            "plank": texture::PLANK,
        },
        "parts": scene.objects.iter().enumerate().flat_map(|(at, object)| parts(at, object)).collect::<Vec<_>>(),
    })
}

fn parts(at: usize, object: &Object) -> Vec<Value> {
    let mut parts = Vec::new();
    add_parts(object, &mut parts);
    let turn = about_vertical(object.rotation);
    let stands = Vec3::new(object.position[0], object.position[1], 0.0);
    let part = |part: &crate::model::Part| {
        let (colour, material) = match part.paint {
            Paint::Own | Paint::Striped => (object.colour.rgb(), json!(object.material)),
            Paint::Fixed(rgb) => (rgb, json!("matte")),
        };
        let solid = part.solid.scaled(object.size);
        let band = (part.paint == Paint::Striped).then(|| solid.reach(Vec3::Z) * BAND);
        json!({
            "object": at + 1,
            "solid": shape(&solid),
            "matrix": matrix(turn * part.turn, stands + turn * part.at * object.size),
            "colour": linear(colour).to_array(),
            "material": material,
            "band": band,
            "shadow": object.shadow,
        })
    };
    parts.iter().map(part).collect()
}

fn shape(solid: &Solid) -> Value {
    match solid {
        Solid::Ellipsoid { radii } => json!({ "ellipsoid": radii.to_array() }),
        Solid::Frustum { bottom, top, height } => json!({ "frustum": [bottom, top, height] }),
        Solid::Convex(body) => {
            json!({ "hull": body.corners().iter().map(|corner| corner.to_array()).collect::<Vec<_>>() })
        }
    }
}

/// Rows of a 4×4 matrix.
fn matrix(axes: Mat3, at: Vec3) -> [[f32; 4]; 4] {
    let row = |index: usize| {
        let row = axes.row(index);
        [row.x, row.y, row.z, at[index]]
    };
    [row(0), row(1), row(2), [0.0, 0.0, 0.0, 1.0]]
}
