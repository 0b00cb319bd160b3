//! The ray caster: from a scene to pixels and the truth about them.
//!
//! Rays are parallel, so each solid has one viewing direction and one set of light directions in its own axes, made
//! once per image. One sample per pixel finds what is seen; pixels on an edge (of an object, a face, a shadow, the
//! horizon) are sampled 4×4. Textures are filtered instead. Only the four basic operations, square roots and the
//! functions of `libm` are used, none of which depends on the platform: a scene gives the same bits everywhere.

mod shade;
mod stage;
pub(crate) mod texture;
mod tone;

use glam::{Vec2, Vec3};
use retouch_imaging::RgbImage;

pub(crate) use self::shade::{BAND, DIRECT};
pub(crate) use self::stage::{Body, Bounds, light_direction, object_bounds};
pub(crate) use self::tone::linear;
use shade::{Rays, Seen, Shader, look};
use stage::Stage;

use crate::camera::View;
use crate::error::SceneError;
use crate::scene::Scene;
use crate::truth::{Counts, Mask, Truth};

/// The longest side of an image.
pub const MOST_PIXELS_A_SIDE: u32 = 4096;
/// Samples along each side of a pixel on an edge.
const SAMPLES: u32 = 4;

/// Pixels and the truth about them.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendered {
    /// RGB, 8 bits.
    pub image: RgbImage,
    /// Which object each pixel shows.
    pub mask: Mask,
    /// Where the objects are.
    pub truth: Truth,
}

/// Renders scenes; it keeps its buffers from one to the next.
#[derive(Debug, Default)]
pub struct Renderer {
    stage: Stage,
    samples: Vec<Sample>,
    counts: Vec<Counts>,
}

/// What a pixel's middle shows.
#[derive(Clone, Copy, Debug)]
struct Sample {
    seen: Seen,
    depth: f32,
    lit: f32,
    colour: Vec3,
}

impl Renderer {
    /// Without any buffers yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The image and the truth.
    ///
    /// # Errors
    /// [`SceneError::SizeInvalid`] and what [`Scene::validate`] finds.
    pub fn render(&mut self, scene: &Scene, width: u32, height: u32) -> Result<Rendered, SceneError> {
        let grid = self.trace(scene, width, height)?;
        let shader = Shader::new(scene, &grid.view, width);
        for (index, sample) in self.samples.iter_mut().enumerate() {
            let point = grid.middle_of(index as u32 % width, index as u32 / width);
            (sample.colour, sample.lit) =
                shader.colour(&self.stage, point, sample.seen, sample.depth, Rays::All);
        }
        let mut pixels = Vec::with_capacity(self.samples.len() * 3);
        for row in 0..height {
            for column in 0..width {
                let colour = if self.is_edge(&grid, column, row) {
                    self.supersampled(&grid, &shader, column, row)
                } else {
                    self.samples[(row * width + column) as usize].colour
                };
                pixels.extend(tone::srgb(colour));
            }
        }
        let image = RgbImage::from_raw(width, height, pixels).expect("three bytes per pixel");
        let (mask, truth) = self.measured(scene, &grid);
        Ok(Rendered { image, mask, truth })
    }

    /// The truth alone, several times as fast.
    ///
    /// # Errors
    /// As [`Renderer::render`].
    pub fn measure(&mut self, scene: &Scene, width: u32, height: u32) -> Result<(Mask, Truth), SceneError> {
        let grid = self.trace(scene, width, height)?;
        Ok(self.measured(scene, &grid))
    }

    /// Fills `samples` and `counts`, colours apart.
    fn trace(&mut self, scene: &Scene, width: u32, height: u32) -> Result<Grid, SceneError> {
        let sides = 8..=MOST_PIXELS_A_SIDE;
        if !sides.contains(&width) || !sides.contains(&height) {
            return Err(SceneError::SizeInvalid { width, height, limit: MOST_PIXELS_A_SIDE });
        }
        scene.validate()?;
        let view = View::new(&scene.camera, height as f32 / width as f32);
        let grid = Grid { view, width, height };
        self.stage.set(scene, &view);
        self.samples.clear();
        for row in 0..height {
            let seen = if grid.middle_of(0, row).y < view.horizon { Seen::Ground } else { Seen::Sky };
            let sample = Sample { seen, depth: f32::INFINITY, lit: 1.0, colour: Vec3::ZERO };
            self.samples.resize(self.samples.len() + width as usize, sample);
        }
        self.counts.clear();
        for index in 0..self.stage.bodies.len() {
            let counts = self.trace_body(&grid, index);
            self.counts.push(counts);
        }
        Ok(grid)
    }

    /// Enters one body into the samples.
    fn trace_body(&mut self, grid: &Grid, body_index: usize) -> Counts {
        let body = &self.stage.bodies[body_index];
        let mut counts = Counts::default();
        let (columns, rows) = grid.pixels(&body.bounds);
        for row in rows {
            for column in columns.clone() {
                let point = grid.middle_of(column, row);
                let mut nearest: Option<(f32, Seen)> = None;
                for (offset, part) in self.stage.parts_of(body).iter().enumerate() {
                    if let Some((depth, face)) = part.seen(point)
                        && nearest.is_none_or(|(nearest, _)| depth < nearest)
                    {
                        let part = (body.first + offset) as u16;
                        nearest = Some((depth, Seen::Part { body: body_index as u8, part, face }));
                    }
                }
                if let Some((depth, seen)) = nearest {
                    counts.full += 1;
                    let sample = &mut self.samples[(row * grid.width + column) as usize];
                    if depth < sample.depth {
                        (sample.depth, sample.seen) = (depth, seen);
                    }
                }
            }
        }
        counts
    }

    /// Whether a pixel differs from one of its four neighbours in what it shows.
    fn is_edge(&self, grid: &Grid, column: u32, row: u32) -> bool {
        let at = (row * grid.width + column) as usize;
        let own = &self.samples[at];
        let differs = |other: usize| {
            let other = &self.samples[other];
            other.seen != own.seen || (other.lit - own.lit).abs() > 0.2
        };
        let width = grid.width as usize;
        (column > 0 && differs(at - 1))
            || (column + 1 < grid.width && differs(at + 1))
            || (row > 0 && differs(at - width))
            || (row + 1 < grid.height && differs(at + width))
    }

    fn supersampled(&self, grid: &Grid, shader: &Shader, column: u32, row: u32) -> Vec3 {
        let mut sum = Vec3::ZERO;
        for sample in 0..SAMPLES * SAMPLES {
            let inside = Vec2::new((sample % SAMPLES) as f32, (sample / SAMPLES) as f32);
            let offset = (inside + 0.5) / SAMPLES as f32;
            let point = grid.point(Vec2::new(column as f32, row as f32) + offset);
            let (seen, depth) = look(&self.stage, &grid.view, point);
            // A highlight brighter than white must not outshine the rest of the pixel.
            sum += shader.colour(&self.stage, point, seen, depth, Rays::of_sample(sample)).0.min(Vec3::ONE);
        }
        sum / (SAMPLES * SAMPLES) as f32
    }

    fn measured(&mut self, scene: &Scene, grid: &Grid) -> (Mask, Truth) {
        let mut ids = vec![0u8; self.samples.len()];
        for (at, (sample, id)) in self.samples.iter().zip(&mut ids).enumerate() {
            if let Seen::Part { body, .. } = sample.seen {
                let body = usize::from(body);
                *id = self.stage.bodies[body].index as u8 + 1;
                self.counts[body].add(at as u32 % grid.width, at as u32 / grid.width);
            }
        }
        let mask = Mask::new(grid.width, grid.height, ids);
        let truth =
            Truth::new(scene, &grid.view, (grid.width, grid.height), &self.stage.bodies, &self.counts);
        (mask, truth)
    }
}

/// The pixels of an image in view coordinates.
struct Grid {
    view: View,
    width: u32,
    height: u32,
}

impl Grid {
    /// The view coordinates of a point in pixels from the upper left corner.
    #[inline]
    fn point(&self, pixels: Vec2) -> Vec2 {
        let scale = 1.0 / self.width as f32;
        Vec2::new(pixels.x * scale - 0.5, 0.5 * self.view.aspect - pixels.y * scale)
    }

    #[inline]
    fn middle_of(&self, column: u32, row: u32) -> Vec2 {
        self.point(Vec2::new(column as f32 + 0.5, row as f32 + 0.5))
    }

    /// The columns and rows that a rectangle may touch.
    fn pixels(&self, bounds: &Bounds) -> (std::ops::Range<u32>, std::ops::Range<u32>) {
        let side = self.width as f32;
        let clamp = |value: f32, most: u32| value.clamp(0.0, most as f32) as u32;
        let top = 0.5 * self.view.aspect;
        let columns = clamp(((bounds.min.x + 0.5) * side).floor(), self.width)
            ..clamp(((bounds.max.x + 0.5) * side).ceil() + 1.0, self.width);
        let rows = clamp(((top - bounds.max.y) * side).floor(), self.height)
            ..clamp(((top - bounds.min.y) * side).ceil() + 1.0, self.height);
        (columns, rows)
    }
}
