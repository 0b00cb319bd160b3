//! What is exactly known about a rendered image.

use serde::{Deserialize, Serialize};

use crate::camera::View;
use crate::render::{Body, Bounds, object_bounds};
use crate::scene::{Object, ObjectId, Scene};

/// Which object each pixel's middle shows: the masks of all objects in one, disjoint by construction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    width: u32,
    height: u32,
    ids: Vec<u8>,
}

impl Mask {
    pub(crate) fn new(width: u32, height: u32, ids: Vec<u8>) -> Self {
        Self { width, height, ids }
    }

    /// Width and height.
    pub fn dimensions(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// Row by row, 0 for the background and 1 + its place in [`Scene::objects`] for an object.
    pub fn as_raw(&self) -> &[u8] {
        &self.ids
    }

    /// The place in [`Scene::objects`] of what a pixel shows.
    pub fn object_at(&self, column: u32, row: u32) -> Option<usize> {
        let inside = column < self.width && row < self.height;
        let id = inside.then(|| self.ids[(row * self.width + column) as usize])?;
        usize::from(id).checked_sub(1)
    }
}

/// Where the objects of an image are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    /// Width of the image in pixels.
    pub width: u32,
    /// Height of the image in pixels.
    pub height: u32,
    /// In the order of [`Scene::objects`].
    pub objects: Vec<ObjectTruth>,
}

/// Where one object is. Coordinates are fractions of width and height from the upper left corner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObjectTruth {
    /// The object.
    pub id: ObjectId,
    /// The middle of `extent`, which edits move.
    pub centre: [f32; 2],
    /// Left, top, right and bottom of the whole object, hidden parts and parts beyond the frame included; exact, not
    /// counted in pixels.
    pub extent: [f32; 4],
    /// Pixels that show it.
    pub area: u32,
    /// Pixels within the frame that would show it if nothing stood before it.
    pub full_area: u32,
    /// `area / full_area`; 0 where it is not in the frame.
    pub visible: f32,
    /// Whether it reaches beyond the frame.
    pub cut_off: bool,
    /// Left, top, right and bottom of the pixels that show it; right and bottom are exclusive.
    pub pixels: Option<[u32; 4]>,
    /// The mean of the pixels that show it.
    pub centroid: Option<[f32; 2]>,
    /// Its place in the order from near to far, by where objects stand; 0 is the nearest.
    pub depth_rank: usize,
}

impl Truth {
    pub(crate) fn new(
        scene: &Scene,
        view: &View,
        (width, height): (u32, u32),
        bodies: &[Body],
        counts: &[Counts],
    ) -> Self {
        let feet: Vec<f32> =
            scene.objects.iter().map(|object| view.ground_to_image(object.position)[1]).collect();
        let rank = |at: usize| {
            let nearer = |other: usize| feet[other] > feet[at] || (feet[other] == feet[at] && other < at);
            (0..feet.len()).filter(|&other| nearer(other)).count()
        };
        let objects = bodies.iter().zip(counts).enumerate().map(|(at, (body, counts))| {
            let extent = Extent::of_bounds(view, &body.bounds);
            ObjectTruth {
                id: scene.objects[at].id,
                centre: extent.centre(),
                extent: extent.0,
                area: counts.area,
                full_area: counts.full,
                visible: if counts.full == 0 { 0.0 } else { counts.area as f32 / counts.full as f32 },
                cut_off: !extent.within_frame(0.0),
                pixels: (counts.area > 0).then_some(counts.pixels),
                centroid: counts.centroid(width, height),
                depth_rank: rank(at),
            }
        });
        Self { width, height, objects: objects.collect() }
    }

    /// The truth about the object with this id.
    pub fn object(&self, id: ObjectId) -> Option<&ObjectTruth> {
        self.objects.iter().find(|object| object.id == id)
    }
}

/// Left, top, right and bottom of a whole object, as fractions of width and height from the upper left corner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Extent(pub [f32; 4]);

impl Extent {
    /// Of an object in a view; exact.
    pub fn of(object: &Object, view: &View) -> Self {
        Self::of_bounds(view, &object_bounds(object, view))
    }

    fn of_bounds(view: &View, bounds: &Bounds) -> Self {
        let [left, bottom] = view.to_image(bounds.min);
        let [right, top] = view.to_image(bounds.max);
        Self([left, top, right, bottom])
    }

    /// The middle.
    pub fn centre(&self) -> [f32; 2] {
        let [left, top, right, bottom] = self.0;
        [(left + right) / 2.0, (top + bottom) / 2.0]
    }

    /// Width and height.
    pub fn size(&self) -> [f32; 2] {
        let [left, top, right, bottom] = self.0;
        [right - left, bottom - top]
    }

    /// Whether it stays this far from the edges of the frame.
    pub fn within_frame(&self, margin: f32) -> bool {
        let [left, top, right, bottom] = self.0;
        left >= margin && top >= margin && right <= 1.0 - margin && bottom <= 1.0 - margin
    }
}

/// What is counted per object.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) full: u32,
    area: u32,
    pixels: [u32; 4],
    sums: [u64; 2],
}

impl Counts {
    pub(crate) fn add(&mut self, column: u32, row: u32) {
        if self.area == 0 {
            self.pixels = [column, row, column + 1, row + 1];
        }
        let [left, top, right, bottom] = &mut self.pixels;
        *left = column.min(*left);
        *top = row.min(*top);
        *right = (column + 1).max(*right);
        *bottom = (row + 1).max(*bottom);
        self.area += 1;
        self.sums[0] += u64::from(column);
        self.sums[1] += u64::from(row);
    }

    fn centroid(&self, width: u32, height: u32) -> Option<[f32; 2]> {
        let mean = |sum: u64, side: u32| ((sum as f64 / f64::from(self.area) + 0.5) / f64::from(side)) as f32;
        (self.area > 0).then(|| [mean(self.sums[0], width), mean(self.sums[1], height)])
    }
}
