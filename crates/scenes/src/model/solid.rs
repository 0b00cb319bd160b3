//! Convex solids: where a ray enters and leaves them, and how far they reach.

use glam::Vec3;

/// A solid about its own origin.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Solid {
    /// An ellipsoid along the axes.
    Ellipsoid {
        radii: Vec3,
    },
    /// From a disc of radius `bottom` at z = 0 to one of radius `top` at z = `height`: cylinder, cone and between.
    Frustum {
        bottom: f32,
        top: f32,
        height: f32,
    },
    Convex(Polyhedron),
}

/// Few planes and few corners.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Polyhedron {
    planes: [(Vec3, f32); 6],
    plane_count: usize,
    corners: [Vec3; 8],
    corner_count: usize,
}

/// Where a ray is inside of a solid.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crossing {
    pub(crate) enter: f32,
    pub(crate) leave: f32,
    /// The face that it enters by, for [`Solid::normal`].
    pub(crate) face: u8,
}

impl Solid {
    /// A box of these half sides, standing on z = 0.
    pub(crate) fn standing_box(x: f32, y: f32, height: f32) -> Self {
        let corner = |i: usize| {
            let sign = |bit: usize| if i & bit == 0 { -1.0 } else { 1.0 };
            Vec3::new(x * sign(1), y * sign(2), if i & 4 == 0 { 0.0 } else { height })
        };
        Self::Convex(Polyhedron {
            planes: [
                (Vec3::X, x),
                (Vec3::NEG_X, x),
                (Vec3::Y, y),
                (Vec3::NEG_Y, y),
                (Vec3::Z, height),
                (Vec3::NEG_Z, 0.0),
            ],
            plane_count: 6,
            corners: std::array::from_fn(corner),
            corner_count: 8,
        })
    }

    /// A gable roof on a rectangle of these half sides; the ridge runs along x.
    pub(crate) fn gable(x: f32, y: f32, height: f32) -> Self {
        let slope = Vec3::new(0.0, height, y).normalize();
        let eaves = slope.y * y;
        let mut corners = [Vec3::ZERO; 8];
        let outline =
            [(-x, -y, 0.0), (x, -y, 0.0), (-x, y, 0.0), (x, y, 0.0), (-x, 0.0, height), (x, 0.0, height)];
        for (corner, (x, y, z)) in corners.iter_mut().zip(outline) {
            *corner = Vec3::new(x, y, z);
        }
        Self::Convex(Polyhedron {
            planes: [
                (slope, eaves),
                (Vec3::new(0.0, -slope.y, slope.z), eaves),
                (Vec3::X, x),
                (Vec3::NEG_X, x),
                (Vec3::NEG_Z, 0.0),
                (Vec3::NEG_Z, 0.0),
            ],
            plane_count: 5,
            corners,
            corner_count: 6,
        })
    }

    /// The solid `factor` times as large.
    pub(crate) fn scaled(mut self, factor: f32) -> Self {
        match &mut self {
            Self::Ellipsoid { radii } => *radii *= factor,
            Self::Frustum { bottom, top, height } => {
                *bottom *= factor;
                *top *= factor;
                *height *= factor;
            }
            Self::Convex(body) => {
                for (_, offset) in &mut body.planes {
                    *offset *= factor;
                }
                for corner in &mut body.corners {
                    *corner *= factor;
                }
            }
        }
        self
    }

    /// How far the solid reaches from its origin along a unit vector.
    pub(crate) fn reach(&self, along: Vec3) -> f32 {
        match self {
            Self::Ellipsoid { radii } => (*radii * along).length(),
            Self::Frustum { bottom, top, height } => {
                let flat = (along.x * along.x + along.y * along.y).sqrt();
                (flat * bottom).max(flat * top + along.z * height)
            }
            Self::Convex(body) => body.corners[..body.corner_count]
                .iter()
                .fold(f32::NEG_INFINITY, |most, corner| most.max(corner.dot(along))),
        }
    }

    /// A sphere that holds the solid: centre and radius.
    pub(crate) fn ball(&self) -> (Vec3, f32) {
        match self {
            Self::Ellipsoid { radii } => (Vec3::ZERO, radii.max_element()),
            Self::Frustum { bottom, top, height } => {
                (Vec3::Z * (height / 2.0), Vec3::new(bottom.max(*top), 0.0, height / 2.0).length())
            }
            Self::Convex(body) => {
                let corners = &body.corners[..body.corner_count];
                let top = corners.iter().fold(0.0f32, |top, corner| top.max(corner.z));
                let centre = Vec3::Z * (top / 2.0);
                let squared = corners.iter().fold(0.0f32, |r, c| r.max(c.distance_squared(centre)));
                (centre, squared.sqrt())
            }
        }
    }

    /// Where the line `origin + t · along` is inside.
    #[inline]
    pub(crate) fn cross(&self, origin: Vec3, along: Vec3) -> Option<Crossing> {
        match self {
            Self::Ellipsoid { radii } => cross_ellipsoid(*radii, origin, along),
            Self::Frustum { bottom, top, height } => cross_frustum(*bottom, *top, *height, origin, along),
            Self::Convex(body) => body.cross(origin, along),
        }
    }

    /// The outward normal at a point of a face.
    pub(crate) fn normal(&self, point: Vec3, face: u8) -> Vec3 {
        match self {
            Self::Ellipsoid { radii } => (point / (*radii * *radii)).normalize_or(Vec3::Z),
            Self::Frustum { .. } if face == BOTTOM => Vec3::NEG_Z,
            Self::Frustum { .. } if face == TOP => Vec3::Z,
            Self::Frustum { bottom, top, height } => {
                let flat = Vec3::new(point.x, point.y, 0.0).normalize_or(Vec3::X);
                Vec3::new(flat.x, flat.y, (bottom - top) / height).normalize()
            }
            Self::Convex(body) => body.planes[usize::from(face)].0,
        }
    }
}

const SIDE: u8 = 0;
const BOTTOM: u8 = 1;
const TOP: u8 = 2;

fn cross_ellipsoid(radii: Vec3, origin: Vec3, along: Vec3) -> Option<Crossing> {
    let (origin, along) = (origin / radii, along / radii);
    let a = along.length_squared();
    let b = origin.dot(along);
    let discriminant = b * b - a * (origin.length_squared() - 1.0);
    if discriminant <= 0.0 {
        return None;
    }
    let root = discriminant.sqrt();
    Some(Crossing { enter: (-b - root) / a, leave: (-b + root) / a, face: SIDE })
}

fn cross_frustum(bottom: f32, top: f32, height: f32, origin: Vec3, along: Vec3) -> Option<Crossing> {
    let mut crossing = cross_slab(height, origin, along)?;
    let slope = (top - bottom) / height;
    let radius = bottom + slope * origin.z;
    let a = along.x * along.x + along.y * along.y - slope * slope * along.z * along.z;
    let b = origin.x * along.x + origin.y * along.y - slope * along.z * radius;
    let c = origin.x * origin.x + origin.y * origin.y - radius * radius;
    let discriminant = b * b - a * c;
    // Inside of the double cone is a t² + 2 b t + c ≤ 0; the slab leaves out the other cone.
    if a.abs() < 1e-7 {
        let t = -c / (2.0 * b);
        if b > 0.0 {
            crossing.leave = crossing.leave.min(t);
        } else if t > crossing.enter {
            (crossing.enter, crossing.face) = (t, SIDE);
        }
    } else if discriminant < 0.0 {
        if a > 0.0 {
            return None;
        }
    } else {
        let root = discriminant.sqrt();
        let (first, second) = ((-b - root) / a, (-b + root) / a);
        if a > 0.0 {
            crossing.leave = crossing.leave.min(second);
            if first > crossing.enter {
                (crossing.enter, crossing.face) = (first, SIDE);
            }
        // For a < 0 the roots are in falling order, and inside is before the smaller and after the larger.
        } else if crossing.enter < second {
            crossing.leave = crossing.leave.min(second);
        } else if first > crossing.enter {
            (crossing.enter, crossing.face) = (first, SIDE);
        }
    }
    (crossing.enter < crossing.leave).then_some(crossing)
}

/// Between z = 0 and z = `height`.
fn cross_slab(height: f32, origin: Vec3, along: Vec3) -> Option<Crossing> {
    if along.z.abs() < 1e-9 {
        let inside = (0.0..=height).contains(&origin.z);
        return inside.then_some(Crossing { enter: f32::NEG_INFINITY, leave: f32::INFINITY, face: SIDE });
    }
    let (at_bottom, at_top) = (-origin.z / along.z, (height - origin.z) / along.z);
    Some(if along.z > 0.0 {
        Crossing { enter: at_bottom, leave: at_top, face: BOTTOM }
    } else {
        Crossing { enter: at_top, leave: at_bottom, face: TOP }
    })
}

impl Polyhedron {
    /// What it is the hull of.
    pub(crate) fn corners(&self) -> &[Vec3] {
        &self.corners[..self.corner_count]
    }

    fn cross(&self, origin: Vec3, along: Vec3) -> Option<Crossing> {
        let mut crossing = Crossing { enter: f32::NEG_INFINITY, leave: f32::INFINITY, face: 0 };
        for (index, (normal, offset)) in self.planes[..self.plane_count].iter().enumerate() {
            let speed = normal.dot(along);
            let distance = offset - normal.dot(origin);
            if speed.abs() < 1e-9 {
                if distance < 0.0 {
                    return None;
                }
            } else if speed > 0.0 {
                crossing.leave = crossing.leave.min(distance / speed);
            } else if distance / speed > crossing.enter {
                (crossing.enter, crossing.face) = (distance / speed, index as u8);
            }
        }
        (crossing.enter < crossing.leave).then_some(crossing)
    }
}
