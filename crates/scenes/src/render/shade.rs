//! Light on surfaces.

use glam::{Vec2, Vec3};

use super::stage::{Body, LIGHTS, Stage};
use super::texture::{GroundPaint, SkyPaint};
use super::tone::linear;
use crate::camera::{View, sin_cos};
use crate::model::Paint;
use crate::scene::{Material, Scene};

/// Strength of the direct light, so that a lit surface shows about its own colour.
const DIRECT: f32 = 1.3;
/// Width of the bands of striped things, per radius.
const BAND: f32 = 0.42;

/// What the line of sight meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Sky,
    Ground,
    /// A face of a part of a body: places in [`Stage::bodies`] and [`Stage::parts`].
    Part {
        body: u8,
        part: u16,
        face: u8,
    },
}

/// What the line of sight through `point` meets, and how deep.
pub(super) fn look(stage: &Stage, view: &View, point: Vec2) -> (Seen, f32) {
    let mut seen = (if point.y < view.horizon { Seen::Ground } else { Seen::Sky }, f32::INFINITY);
    for (body_index, body) in stage.bodies.iter().enumerate() {
        if !body.bounds.hold(point) {
            continue;
        }
        for (offset, part) in stage.parts_of(body).iter().enumerate() {
            if let Some((depth, face)) = part.seen(point)
                && depth < seen.1
            {
                let part = (body.first + offset) as u16;
                seen = (Seen::Part { body: body_index as u8, part, face }, depth);
            }
        }
    }
    seen
}

/// All that is constant over an image.
pub(super) struct Shader {
    view: View,
    /// World's up and the direction to the light, in view coordinates.
    up: Vec3,
    light: Vec3,
    half: Vec3,
    light_tangent: f32,
    ambient: f32,
    ground: GroundPaint,
    ground_mean: Vec3,
    sky: SkyPaint,
    /// The ground point of the image's middle, and what a step to the right and up adds.
    ground_origin: Vec2,
    ground_right: Vec2,
    ground_up: Vec2,
    slope: f32,
    colours: Vec<(Vec3, Material)>,
}

impl Shader {
    pub(super) fn new(scene: &Scene, view: &View, width: u32) -> Self {
        let up = view.rotation * Vec3::Z;
        let light = view.rotation * super::stage::light_direction(&scene.light);
        // Depth of the ground per step up in the image.
        let slope = -up.y / up.z;
        let ground = |point: Vec2| view.to_world(point.extend(point.y * slope)).truncate();
        let origin = ground(Vec2::ZERO);
        let pixel = 1.0 / (width as f32 * view.zoom);
        let colours = scene.objects.iter().map(|object| (linear(object.colour.rgb()), object.material));
        let (sin, cos) = sin_cos(scene.light.spread);
        Self {
            view: *view,
            up,
            light,
            half: (light - Vec3::Z).normalize_or(Vec3::NEG_Z),
            light_tangent: sin / cos,
            ambient: scene.light.ambient,
            ground: GroundPaint::new(&scene.background.ground, pixel / -up.z),
            ground_mean: scene.background.ground.colours.map(linear).iter().sum::<Vec3>() / 2.0,
            sky: SkyPaint::new(&scene.background.sky),
            ground_origin: origin,
            ground_right: ground(Vec2::X) - origin,
            ground_up: ground(Vec2::Y) - origin,
            slope,
            colours: colours.collect(),
        }
    }

    /// Linear light of what is seen at a point, and how much of the direct light reaches it (1 where that is no question).
    pub(super) fn colour(&self, stage: &Stage, point: Vec2, seen: Seen, depth: f32) -> (Vec3, f32) {
        match seen {
            Seen::Sky => {
                let top = self.view.aspect / 2.0;
                let up = (point.y - self.view.horizon) / (top - self.view.horizon).max(1e-3);
                (self.sky.at(up), 1.0)
            }
            Seen::Ground => self.ground_colour(stage, point),
            Seen::Part { body, part, face } => {
                self.part_colour(stage, point.extend(depth), usize::from(body), usize::from(part), face)
            }
        }
    }

    fn ground_colour(&self, stage: &Stage, point: Vec2) -> (Vec3, f32) {
        let on_ground = self.ground_origin + self.ground_right * point.x + self.ground_up * point.y;
        let bottom = -self.view.aspect / 2.0;
        let ahead = (point.y - bottom) / (self.view.horizon - bottom).max(1e-3);
        let colour = self.ground.at(on_ground, ahead);
        let place = point.extend(point.y * self.slope);
        let lit = self.lit(stage, place, usize::MAX);
        let open = self.open(stage, place);
        // A flat ground in full light shows its own colour, whatever the light's angle.
        let light = self.ambient * open + (1.0 - self.ambient) * lit;
        (colour * light, lit)
    }

    fn part_colour(&self, stage: &Stage, place: Vec3, body: usize, part: usize, face: u8) -> (Vec3, f32) {
        let placed = &stage.parts[part];
        let (normal, local) = placed.surface(place, face);
        let (own, material) = self.colours[stage.bodies[body].index];
        let (colour, material) = match placed.paint {
            Paint::Own => (own, material),
            Paint::Striped => (stripes(own, local.z, placed.bounds.max.y - placed.bounds.min.y), material),
            Paint::Fixed(rgb) => (linear(rgb), Material::Matte),
        };
        let facing = normal.dot(self.light);
        let lit = if facing > 0.0 { self.lit(stage, place + normal * 1e-4, part) } else { 0.0 };
        let sky = 0.72 + 0.28 * normal.dot(self.up);
        let diffuse = self.ambient * sky + (1.0 - self.ambient) * DIRECT * facing.max(0.0) * lit;
        let glint = normal.dot(self.half).max(0.0);
        let light = match material {
            Material::Matte => colour * diffuse,
            Material::Shiny => colour * diffuse + Vec3::splat(0.75 * lit * power_of_two(glint, 6)),
            Material::Metal => {
                let mirrored = Vec3::Z - 2.0 * normal.z * normal;
                let around = self.around(mirrored.dot(self.up));
                let tint = colour * 0.85 + Vec3::splat(0.08);
                colour * diffuse * 0.4 + tint * around * 0.85 + Vec3::splat(0.9 * lit * power_of_two(glint, 5))
            }
        };
        (light, if facing > 0.0 { lit } else { 1.0 })
    }

    /// What a mirror shows in a direction that rises this much: ground below, sky above.
    fn around(&self, rise: f32) -> Vec3 {
        let blend = (rise * 4.0 + 0.5).clamp(0.0, 1.0);
        self.ground_mean.lerp(self.sky.at(rise), blend)
    }

    /// The share of the light's disc that is seen from a place on the surface of part `own`.
    fn lit(&self, stage: &Stage, place: Vec3, own: usize) -> f32 {
        let mut blocked = 0u32;
        for body in stage.bodies.iter().filter(|body| body.shadow) {
            if self.may_shade(body, place) {
                blocked |= blocked_lights(stage, body, place, own, blocked);
            }
        }
        1.0 - blocked.count_ones() as f32 / LIGHTS as f32
    }

    /// Whether the cone from a place to the light's disc meets the sphere about a body.
    fn may_shade(&self, body: &Body, place: Vec3) -> bool {
        let to = body.middle - place;
        let along = to.dot(self.light);
        let reach = body.radius + along.max(0.0) * self.light_tangent;
        along > -body.radius && to.length_squared() - along * along < reach * reach
    }

    /// The share of the surrounding light that bodies leave to a place on the ground: spheres half as large stand in
    /// for them (I. Quilez, "sphere ambient occlusion").
    fn open(&self, stage: &Stage, place: Vec3) -> f32 {
        let mut open = 1.0;
        for body in stage.bodies.iter().filter(|body| body.shadow) {
            let to = body.middle - place;
            let squared = to.length_squared();
            let radius = body.radius * 0.7;
            if squared < radius * radius * 16.0 {
                let rise = to.dot(self.up).max(0.0) / squared.sqrt();
                open *= 1.0 - (rise * radius * radius / squared.max(radius * radius)).min(1.0) * 0.8;
            }
        }
        open
    }
}

/// The light's directions that a body blocks from a place, as bits; those of `known` need no test.
fn blocked_lights(stage: &Stage, body: &Body, place: Vec3, own: usize, known: u32) -> u32 {
    let mut blocked = known;
    for (offset, part) in stage.parts_of(body).iter().enumerate() {
        // Convex parts do not shade themselves where they face the light.
        if body.first + offset == own {
            continue;
        }
        for light in 0..LIGHTS {
            if blocked & (1 << light) == 0 && part.shades(place, light) {
                blocked |= 1 << light;
            }
        }
    }
    blocked
}

fn stripes(own: Vec3, height: f32, diameter: f32) -> Vec3 {
    let band = height / (diameter * 0.5 * BAND);
    // Between the bands there is a ramp a twentieth of a band wide.
    let wave = ((band * 0.5 - (band * 0.5).floor()) - 0.5).abs() * 4.0 - 1.0;
    own.lerp(Vec3::splat(0.88), (wave * 6.0 + 0.5).clamp(0.0, 1.0))
}

/// x to the power of 2^n: the same bits everywhere, which `powf` does not promise.
fn power_of_two(x: f32, n: u32) -> f32 {
    (0..n).fold(x, |x, _| x * x)
}
