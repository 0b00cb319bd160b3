//! Light on surfaces.

use glam::{Vec2, Vec3};

use super::stage::{LIGHTS, Stage};
use super::texture::{GroundPaint, SkyPaint};
use super::tone::linear;
use crate::camera::{View, sin_cos};
use crate::model::Paint;
use crate::scene::{Material, Scene};

/// Strength of the direct light, so that a lit surface shows about its own colour.
pub(crate) const DIRECT: f32 = 1.3;
/// Width of the bands of striped things, per radius.
pub(crate) const BAND: f32 = 0.42;

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

/// All directions to the light, and four that are spread round its rim, as bits.
const ALL: u32 = (1 << LIGHTS) - 1;
const OUTER: u32 = 0b1111 << (LIGHTS - 4);

/// How many of the directions to the light a sample looks in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rays {
    /// As many as are needed to tell all of them.
    All,
    /// Those of these bits.
    Some(u32),
}

impl Rays {
    /// A quarter of the directions, another one for each of the samples of one pixel in turn.
    pub(super) fn of_sample(sample: u32) -> Self {
        Self::Some(0b1_0001_0001 << (sample % 4))
    }
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
    ground_brightness: f32,
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
            ground_brightness: scene
                .background
                .ground
                .colours
                .map(|colour| linear(colour).element_sum())
                .iter()
                .sum::<f32>()
                / 6.0,
            sky: SkyPaint::new(&scene.background.sky),
            ground_origin: origin,
            ground_right: ground(Vec2::X) - origin,
            ground_up: ground(Vec2::Y) - origin,
            slope,
            colours: colours.collect(),
        }
    }

    /// Linear light of what is seen at a point, and how much of the direct light reaches it (1 where that is no question).
    pub(super) fn colour(
        &self,
        stage: &Stage,
        point: Vec2,
        seen: Seen,
        depth: f32,
        rays: Rays,
    ) -> (Vec3, f32) {
        match seen {
            Seen::Sky => {
                let top = self.view.aspect / 2.0;
                let up = (point.y - self.view.horizon) / (top - self.view.horizon).max(1e-3);
                (self.sky.at(up), 1.0)
            }
            Seen::Ground => self.ground_colour(stage, point, rays),
            Seen::Part { body, part, face } => {
                self.part_colour(stage, point.extend(depth), (body, part, face), rays)
            }
        }
    }

    fn ground_colour(&self, stage: &Stage, point: Vec2, rays: Rays) -> (Vec3, f32) {
        let on_ground = self.ground_origin + self.ground_right * point.x + self.ground_up * point.y;
        let bottom = -self.view.aspect / 2.0;
        let ahead = (point.y - bottom) / (self.view.horizon - bottom).max(1e-3);
        let colour = self.ground.at(on_ground, ahead);
        let place = point.extend(point.y * self.slope);
        let lit = self.lit(stage, place, usize::MAX, rays);
        let open = self.open(stage, place);
        // A flat ground in full light shows its own colour, whatever the light's angle.
        let light = self.ambient * open + (1.0 - self.ambient) * lit;
        (colour * light, lit)
    }

    fn part_colour(
        &self,
        stage: &Stage,
        place: Vec3,
        (body, part, face): (u8, u16, u8),
        rays: Rays,
    ) -> (Vec3, f32) {
        let (body, part) = (usize::from(body), usize::from(part));
        let placed = &stage.parts[part];
        let (normal, local) = placed.surface(place, face);
        let (own, material) = self.colours[stage.bodies[body].index];
        let (colour, material) = match placed.paint {
            Paint::Own => (own, material),
            Paint::Striped => (stripes(own, local.z, placed.bounds.max.y - placed.bounds.min.y), material),
            Paint::Fixed(rgb) => (linear(rgb), Material::Matte),
        };
        let facing = normal.dot(self.light);
        let lit = if facing > 0.0 { self.lit(stage, place + normal * 1e-4, part, rays) } else { 0.0 };
        let sky = 0.72 + 0.28 * normal.dot(self.up);
        let diffuse = self.ambient * sky + (1.0 - self.ambient) * DIRECT * facing.max(0.0) * lit;
        let glint = normal.dot(self.half).max(0.0);
        let light = match material {
            Material::Matte => colour * diffuse,
            Material::Shiny => colour * diffuse + Vec3::splat(0.75 * lit * power_of_two(glint, 6)),
            Material::Metal => {
                let mirrored = Vec3::Z - 2.0 * normal.z * normal;
                let around = self.around(mirrored.dot(self.up));
                let tint = colour * 0.92 + Vec3::splat(0.03);
                colour * diffuse * 0.4
                    + tint * (0.15 + around * 0.85)
                    + Vec3::splat(0.9 * lit * power_of_two(glint, 5))
            }
        };
        (light, if facing > 0.0 { lit } else { 1.0 })
    }

    /// How bright a mirror's picture is in a direction that rises this much: ground below, sky above. Without its
    /// colours, so that metal keeps the colour that it is named by.
    fn around(&self, rise: f32) -> f32 {
        let blend = (rise * 4.0 + 0.5).clamp(0.0, 1.0);
        let sky = self.sky.at(rise).element_sum() / 3.0;
        self.ground_brightness + (sky - self.ground_brightness) * blend
    }

    /// The share of the light's disc that is seen from a place on the surface of part `own`.
    fn lit(&self, stage: &Stage, place: Vec3, own: usize, rays: Rays) -> f32 {
        let asked = match rays {
            Rays::All => OUTER,
            Rays::Some(asked) => asked,
        };
        let mut blocked = self.blocked(stage, place, own, asked);
        let mut cast = asked;
        // Where the rim of the disc is seen in part, the whole disc is looked at.
        if rays == Rays::All && blocked != 0 && blocked != asked {
            blocked |= self.blocked(stage, place, own, ALL & !asked);
            cast = ALL;
        }
        1.0 - blocked.count_ones() as f32 / cast.count_ones() as f32
    }

    /// Those of the asked directions to the light, as bits, that are blocked from a place.
    fn blocked(&self, stage: &Stage, place: Vec3, own: usize, asked: u32) -> u32 {
        let mut open = asked;
        for body in stage.bodies.iter().filter(|body| body.shadow) {
            if !body.ball.may_shade(place, self.light, self.light_tangent) {
                continue;
            }
            for (offset, part) in stage.parts_of(body).iter().enumerate() {
                // Convex parts do not shade themselves where they face the light.
                if body.first + offset == own || !part.ball.may_shade(place, self.light, self.light_tangent) {
                    continue;
                }
                let origin = part.local(place);
                let mut left = open;
                while left != 0 {
                    let light = left.trailing_zeros();
                    left &= left - 1;
                    if part.shades(origin, light as usize) {
                        open &= !(1 << light);
                    }
                }
                if open == 0 {
                    return asked;
                }
            }
        }
        asked & !open
    }

    /// The share of the surrounding light that bodies leave to a place on the ground: spheres half as large stand in
    /// for them (I. Quilez, "sphere ambient occlusion").
    fn open(&self, stage: &Stage, place: Vec3) -> f32 {
        let mut open = 1.0;
        for body in stage.bodies.iter().filter(|body| body.shadow) {
            let to = body.ball.middle - place;
            let squared = to.length_squared();
            let radius = body.ball.radius * 0.7;
            if squared < radius * radius * 16.0 {
                let rise = to.dot(self.up).max(0.0) / squared.sqrt();
                open *= 1.0 - (rise * radius * radius / squared.max(radius * radius)).min(1.0) * 0.8;
            }
        }
        open
    }
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
