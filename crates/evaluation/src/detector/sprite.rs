//! Where in a picture a thing stands whose looks are known.

use super::field::{Field, squared};

/// The best place of a thing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    /// In pixels from where it was drawn: right, down.
    pub(super) offset: [i32; 2],
    /// By how much the squared differences shrink if the thing is there.
    pub(super) gain: f32,
    /// By which share of them.
    explained: f32,
    /// The gain over what it would be if every pixel was exactly the thing's, and no less than half of it was in the frame.
    strength: f32,
}

impl Found {
    /// How surely it is there, 1 at the most: its pixels are explained, and they are more than a remainder of others.
    pub(super) fn evidence(&self) -> f32 {
        self.explained.min(self.strength)
    }
}

/// A thing as the pixels in which a picture with it differs from one without.
pub(super) struct Sprite<'a> {
    with: &'a Field,
    /// What the output would show without it.
    rest: &'a Field,
    /// Column, row.
    pixels: Vec<[i32; 2]>,
    bounds: [i32; 4],
    /// The squared differences that the thing makes where it was drawn.
    whole: f32,
}

impl<'a> Sprite<'a> {
    /// Of the two pictures `with` and `without`, to be looked for before `rest`; `None` if the two look the same.
    pub(super) fn new(with: &'a Field, without: &Field, rest: &'a Field) -> Option<Self> {
        let side = with.side as i32;
        let at = |place: usize| [place as i32 % side, place as i32 / side];
        let places = with.changed(without);
        let whole = with.distance(without, &places);
        let pixels: Vec<[i32; 2]> = places.into_iter().map(at).collect();
        let first = *pixels.first()?;
        let bounds = pixels.iter().fold([first[0], first[1], first[0], first[1]], |b, [x, y]| {
            [b[0].min(*x), b[1].min(*y), b[2].max(*x), b[3].max(*y)]
        });
        Some(Self { with, rest, pixels, bounds, whole })
    }

    /// The best place in the whole picture, searched among those up to `reach` pixels from `around`.
    pub(super) fn search(&self, output: &Field, around: [i32; 2], reach: i32) -> Found {
        let side = output.side as i32;
        let bound = Sums::new(output, self.rest);
        let mut best = Found { offset: around, gain: f32::NEG_INFINITY, explained: 0.0, strength: 0.0 };
        let mut offsets: Vec<[i32; 2]> = (-reach..=reach)
            .flat_map(|y| (-reach..=reach).map(move |x| [x, y]))
            .map(|[x, y]| [around[0] + x, around[1] + y])
            .filter(|[x, y]| x.abs() < side && y.abs() < side)
            .collect();
        // Where much differs first: the others then need no look.
        let most = |[x, y]: [i32; 2]| {
            let [left, top, right, bottom] = self.bounds;
            bound.within([left + x, top + y, right + x, bottom + y])
        };
        offsets.sort_by(|a, b| most(*b).total_cmp(&most(*a)));
        for offset in offsets {
            if most(offset) <= best.gain {
                break;
            }
            let found = self.at(output, offset);
            if found.gain > best.gain {
                best = found;
            }
        }
        best
    }

    /// How well it fits at a place.
    pub(super) fn at(&self, output: &Field, offset: [i32; 2]) -> Found {
        let side = output.side as i32;
        let (mut absent, mut present, mut whole) = (0.0, 0.0, 0.0);
        for [x, y] in &self.pixels {
            let (to_x, to_y) = (x + offset[0], y + offset[1]);
            if (0..side).contains(&to_x) && (0..side).contains(&to_y) {
                let (to, from) = ((to_y * side + to_x) as usize, (y * side + x) as usize);
                absent += squared(output.rgb[to], self.rest.rgb[to]);
                present += squared(output.rgb[to], self.with.rgb[from]);
                whole += squared(self.with.rgb[from], self.rest.rgb[to]);
            }
        }
        let gain = absent - present;
        let of = |whole: f32| if whole > 0.0 { gain / whole } else { 0.0 };
        Found { offset, gain, explained: of(absent), strength: of(whole.max(self.whole / 2.0)) }
    }
}

/// Sums of squared differences over rectangles.
struct Sums {
    side: i32,
    sums: Vec<f64>,
}

impl Sums {
    fn new(a: &Field, b: &Field) -> Self {
        let side = a.side;
        let mut sums = vec![0.0; (side + 1) * (side + 1)];
        for y in 0..side {
            let mut row = 0.0;
            for x in 0..side {
                row += f64::from(squared(a.rgb[y * side + x], b.rgb[y * side + x]));
                sums[(y + 1) * (side + 1) + x + 1] = sums[y * (side + 1) + x + 1] + row;
            }
        }
        Self { side: side as i32, sums }
    }

    /// Left, top, right and bottom inclusive.
    fn within(&self, [left, top, right, bottom]: [i32; 4]) -> f32 {
        let clamp = |value: i32| value.clamp(0, self.side);
        let (left, top, right, bottom) = (clamp(left), clamp(top), clamp(right + 1), clamp(bottom + 1));
        let at = |x: i32, y: i32| self.sums[(y * (self.side + 1) + x) as usize];
        (at(right, bottom) - at(left, bottom) - at(right, top) + at(left, top)) as f32
    }
}
