//! Results whose verdict is known: right ones that a detector must accept, and wrong ones that it must refuse.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use retouch_imaging::{EncodeOptions, Filter, Limits, OutputFormat, RgbImage, decode, encode, resize};
use retouch_instruction::{Intent, Place};
use retouch_scenes::{Backdrop, Colour, Extent, Kind, Object, ObjectId, Renderer, Scene, Shape, View};
use serde::Serialize;

use crate::error::SuiteError;
use crate::suite::Case;

/// A result whose verdict is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Plant {
    /// Right: the true result.
    Truth,
    /// Right: the true result at two thirds of its size and back, with noise, as a VAE returns it.
    Soft,
    /// Right: the true result after lossy WebP of quality 40.
    Compressed,
    /// Right: what moves, or is added, is off by 2 % of the width.
    Near,
    /// Wrong: the input.
    Nothing,
    /// Wrong: the input, softened.
    SoftNothing,
    /// Wrong: what moves is off by 12 % of the width, what is added at a place by 30 %; turns and sizes by a third or more.
    Off,
    /// Wrong: what was asked for happened to another object.
    OtherObject,
    /// Wrong: another colour, or background, than the one that was asked for.
    OtherColour,
    /// Wrong: what moved still stands where it stood, too.
    Copied,
    /// Wrong: an object too many.
    Extra,
    /// Wrong: an object that has nothing to do with it is gone.
    Missing,
    /// Wrong: an object that has nothing to do with it moved by a tenth of the width.
    Pushed,
    /// Wrong: a patch of a sixth of the side is smeared over.
    Patched,
    /// Wrong: the right edit before another background.
    Repainted,
    /// Wrong: the right edit under heavy noise.
    Noisy,
}

impl Plant {
    /// Every plant, in a fixed order.
    pub const ALL: [Self; 16] = [
        Self::Truth,
        Self::Soft,
        Self::Compressed,
        Self::Near,
        Self::Nothing,
        Self::SoftNothing,
        Self::Off,
        Self::OtherObject,
        Self::OtherColour,
        Self::Copied,
        Self::Extra,
        Self::Missing,
        Self::Pushed,
        Self::Patched,
        Self::Repainted,
        Self::Noisy,
    ];

    /// Whether the detector must accept it.
    pub fn is_right(self) -> bool {
        matches!(self, Self::Truth | Self::Soft | Self::Compressed | Self::Near)
    }

    /// The planted result of a case; `None` where the case has no such thing.
    ///
    /// # Errors
    /// [`SuiteError::Scene`] for a scene that cannot be rendered.
    pub fn image(
        self,
        case: &Case,
        size: u32,
        renderer: &mut Renderer,
    ) -> Result<Option<RgbImage>, SuiteError> {
        let Some(scene) = self.scene(case) else { return Ok(None) };
        let rendered = renderer.render(&scene, size, size);
        let image = rendered.map_err(|source| SuiteError::Scene { case: case.id, source })?.image;
        let mut rng = ChaCha8Rng::seed_from_u64(case.seed);
        Ok(match self {
            Self::Soft | Self::SoftNothing => softened(&image).map(|image| noised(image, 6.0, &mut rng)),
            Self::Compressed => compressed(&image),
            Self::Patched => patched(image, &mut rng),
            Self::Noisy => Some(noised(image, 160.0, &mut rng)),
            _ => Some(image),
        })
    }

    /// The scene that the planted result shows.
    fn scene(self, case: &Case) -> Option<Scene> {
        let changed = Changed::of(case);
        let mut scene = case.after.clone();
        match self {
            Self::Truth | Self::Soft | Self::Compressed | Self::Patched | Self::Noisy => {}
            Self::Nothing | Self::SoftNothing => return Some(case.before.clone()),
            Self::Near => changed.shift_all(&mut scene, 0.02)?,
            Self::Off => changed.off(case, &mut scene)?,
            Self::OtherObject => changed.to_another(case, &mut scene)?,
            Self::OtherColour => changed.recolour(case, &mut scene)?,
            // What is swapped would be hidden by the other, which stands there now.
            Self::Copied if case.kind == Kind::Swap => return None,
            Self::Copied => {
                let mut old = case.before.object(*changed.moved.first()?)?.clone();
                old.id = scene.next_id();
                scene.objects.push(old);
            }
            Self::Extra => scene.objects.push(surplus(&scene, case.seed)?),
            Self::Missing => {
                let gone = *changed.bystanders.first()?;
                scene.objects.retain(|object| object.id != gone);
            }
            Self::Pushed => push(&mut scene, *changed.bystanders.first()?, 0.1)?,
            Self::Repainted => {
                if case.kind == Kind::Background {
                    return None;
                }
                let other = |backdrop: &&Backdrop| {
                    let [a, b] = [backdrop.background(), scene.background];
                    apart(a.ground.colours[0].0, b.ground.colours[0].0) > 200
                };
                scene.background = Backdrop::NAMED.iter().find(other)?.background();
            }
        }
        Some(scene)
    }
}

/// What an edit did to the objects of a scene.
struct Changed {
    moved: Vec<ObjectId>,
    resized: Vec<ObjectId>,
    added: Vec<ObjectId>,
    bystanders: Vec<ObjectId>,
}

impl Changed {
    fn of(case: &Case) -> Self {
        let after = |id: ObjectId| case.after.object(id);
        let ids = |test: &dyn Fn(&Object) -> bool| {
            case.before.objects.iter().filter(|object| test(object)).map(|object| object.id).collect()
        };
        let new = case.after.objects.iter().filter(|object| case.before.object(object.id).is_none());
        Self {
            moved: ids(&|was| after(was.id).is_some_and(|is| is.position != was.position)),
            resized: ids(&|was| after(was.id).is_some_and(|is| is.size != was.size)),
            added: new.map(|object| object.id).collect(),
            bystanders: ids(&|was| after(was.id) == Some(was)),
        }
    }

    /// Moves all that moved or is new by this much, in the direction in which the first goes to the middle of the image.
    fn shift_all(&self, scene: &mut Scene, by: f32) -> Option<()> {
        let ids: Vec<ObjectId> = self.moved.iter().chain(&self.added).copied().collect();
        let motion = inwards(scene, *ids.first()?, by)?;
        ids.iter().try_for_each(|id| shift(scene, *id, motion))
    }

    /// By too much.
    fn off(&self, case: &Case, scene: &mut Scene) -> Option<()> {
        match case.kind {
            Kind::RotateView => {
                let turn = scene.camera.yaw - case.before.camera.yaw;
                scene.camera.yaw += if turn.abs() > 20.0 { 0.55 * turn } else { -1.5 * turn };
            }
            Kind::Zoom => scene.camera.zoom *= if scene.camera.zoom > 1.0 { 1.3 } else { 0.75 },
            Kind::Resize => {
                let id = *self.resized.first()?;
                let object = scene.objects.iter_mut().find(|object| object.id == id)?;
                let was = case.before.object(id)?.size;
                object.size *= if object.size > was { 1.35 } else { 0.7 };
            }
            Kind::Add => {
                let placed =
                    |intent: &Intent| matches!(intent, Intent::Add { place: Some(Place::Region(_)), .. });
                case.intents.iter().find(|intent| placed(intent))?;
                self.shift_all(scene, 0.3)?;
            }
            _ => push(scene, *self.moved.first()?, 0.12)?,
        }
        Some(())
    }

    /// What happened to one object happened to another.
    fn to_another(&self, case: &Case, scene: &mut Scene) -> Option<()> {
        let other = *self.bystanders.first()?;
        let was = case.before.object(other)?.clone();
        let changed = case.before.objects.iter().find(|was| case.after.object(was.id) != Some(was))?;
        let is = case.after.object(changed.id);
        scene.objects.retain(|object| object.id != other);
        match is {
            None => {}
            Some(is) => scene.objects.push(Object {
                colour: if is.colour == changed.colour { was.colour } else { is.colour },
                size: was.size * is.size / changed.size,
                position: [
                    was.position[0] + is.position[0] - changed.position[0],
                    was.position[1] + is.position[1] - changed.position[1],
                ],
                shadow: is.shadow,
                ..was
            }),
        }
        scene.objects.retain(|object| object.id != changed.id);
        scene.objects.push(changed.clone());
        Some(())
    }

    /// Another colour or background than the one that was asked for.
    fn recolour(&self, case: &Case, scene: &mut Scene) -> Option<()> {
        let far = |from: Colour| {
            let far = |to: &Colour| apart(to.rgb().0, from.rgb().0) > 200;
            Colour::ALL.into_iter().find(far)
        };
        match case.kind {
            Kind::Add | Kind::Recolour => {
                let new = |object: &&mut Object| {
                    object.shape != Shape::Person
                        && case.before.object(object.id).is_none_or(|was| was.colour != object.colour)
                };
                let object = scene.objects.iter_mut().find(new)?;
                object.colour = far(object.colour)?;
            }
            Kind::Background => {
                let colour = scene.background.ground.colours[0];
                let other =
                    |backdrop: &&Backdrop| apart(backdrop.background().ground.colours[0].0, colour.0) > 150;
                scene.background = Backdrop::NAMED.iter().find(other)?.background();
            }
            _ => return None,
        }
        Some(())
    }
}

/// Moves an object towards the middle of the image, or away from it where it is near.
fn push(scene: &mut Scene, id: ObjectId, by: f32) -> Option<()> {
    let motion = inwards(scene, id, by)?;
    shift(scene, id, motion)
}

/// The motion on the ground that takes an object this far along the longer of its two ways to the middle of the image.
fn inwards(scene: &Scene, id: ObjectId, by: f32) -> Option<[f32; 2]> {
    let view = View::new(&scene.camera, 1.0);
    let [u, v] = Extent::of(scene.object(id)?, &view).centre();
    let (x, y) = (0.5 - u, 0.5 - v);
    let (du, dv) = if x.abs() > y.abs() { (x.signum() * by, 0.0) } else { (0.0, y.signum() * by) };
    Some(view.ground_motion(du, dv))
}

fn shift(scene: &mut Scene, id: ObjectId, [dx, dy]: [f32; 2]) -> Option<()> {
    let object = scene.objects.iter_mut().find(|object| object.id == id)?;
    object.position = [object.position[0] + dx, object.position[1] + dy];
    Some(())
}

/// An object that nobody asked for, where there is room for it.
fn surplus(scene: &Scene, seed: u64) -> Option<Object> {
    let view = View::new(&scene.camera, 1.0);
    let ground = scene.background.ground.colours[0].0;
    let colour = Colour::ALL.into_iter().find(|colour| apart(colour.rgb().0, ground) > 200)?;
    let shape = [Shape::Cube, Shape::Sphere, Shape::Cone][(seed % 3) as usize];
    let mut object = Object { id: scene.next_id(), shape, colour, ..scene.objects.first()?.clone() };
    (object.person, object.size, object.position) = (None, 0.16 / scene.camera.zoom, [0.0, 0.0]);
    let origin = Extent::of(&object, &view).centre();
    let places = (2..9).flat_map(|y| (1..10).map(move |x| [x as f32 / 10.0, y as f32 / 10.0]));
    places.into_iter().find_map(|[u, v]| {
        let [x, y] = view.ground_motion(u - origin[0], v - origin[1]);
        let mut placed = object.clone();
        placed.position = [x, y];
        let [left, top, right, bottom] = Extent::of(&placed, &view).0;
        let free = scene.objects.iter().all(|other| {
            let [l, t, r, b] = Extent::of(other, &view).0;
            left > r || right < l || top > b || bottom < t
        });
        let on_ground = view.ground_to_image(placed.position)[1] > view.horizon_v() + 0.02;
        (free && on_ground).then_some(placed)
    })
}

/// How far two colours are from each other: the sum over the channels.
fn apart(a: [u8; 3], b: [u8; 3]) -> u32 {
    a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(b))).sum()
}

fn softened(image: &RgbImage) -> Option<RgbImage> {
    let (width, height) = image.dimensions();
    let small = resize(image, width * 2 / 3, height * 2 / 3, Filter::Lanczos).ok()?;
    resize(&small, width, height, Filter::Lanczos).ok()
}

fn compressed(image: &RgbImage) -> Option<RgbImage> {
    let options = EncodeOptions { quality: 40, ..EncodeOptions::new(OutputFormat::WebP) };
    let bytes = encode(image, &options, None).ok()?;
    decode(&bytes, &Limits::default()).ok().map(|decoded| decoded.pixels)
}

/// Adds noise of an even distribution, of this many levels to each side.
fn noised(mut image: RgbImage, levels: f32, rng: &mut ChaCha8Rng) -> RgbImage {
    for channel in image.iter_mut() {
        let unit = (rng.next_u32() >> 8) as f32 / 16_777_216.0;
        *channel = (f32::from(*channel) + (unit * 2.0 - 1.0) * levels).clamp(0.0, 255.0) as u8;
    }
    image
}

/// Smears a patch over.
fn patched(mut image: RgbImage, rng: &mut ChaCha8Rng) -> Option<RgbImage> {
    let (width, height) = image.dimensions();
    let side = width / 6;
    let (left, top) = (rng.next_u32() % (width - side), rng.next_u32() % (height - side));
    let below = image.get_pixel(left + side / 2, top + side / 2).0;
    // A colour that is not there: each channel on the other side of grey.
    let colour = below.map(|channel| if channel < 128 { channel + 90 } else { channel - 90 });
    for (x, y) in (0..side).flat_map(|y| (0..side).map(move |x| (left + x, top + y))) {
        image.get_pixel_mut(x, y).0 = colour;
    }
    Some(image)
}
