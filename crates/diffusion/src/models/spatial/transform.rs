//! Affine maps of the image plane.
//!
//! Coordinates are those of LibTorch's `grid_sampler`: −1 to 1 from edge to edge, right and down.

/// Where a point of the source goes: `matrix·p + shift`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Affine {
    matrix: [[f64; 2]; 2],
    shift: [f64; 2],
}

/// How much shorter a ground plane's depth looks than its width in a picture of a scene on a table.
const FORESHORTENING: f64 = 0.5;

impl Affine {
    /// Moves by fractions of the image's width and height.
    pub(super) fn translation(dx: f64, dy: f64) -> Self {
        Self { matrix: [[1.0, 0.0], [0.0, 1.0]], shift: [2.0 * dx, 2.0 * dy] }
    }

    /// Scales about a point, given in fractions of the image.
    pub(super) fn scaling(factor: f64, (x, y): (f64, f64)) -> Self {
        let rest = |centre: f64| (1.0 - factor) * (2.0 * centre - 1.0);
        Self { matrix: [[factor, 0.0], [0.0, factor]], shift: [rest(x), rest(y)] }
    }

    /// What a scene on the ground seems to do when the camera goes around its middle to the right: the ground plane
    /// turns the other way. Heights are ignored, so this is where feet of objects go.
    ///
    /// Ground coordinates are (x, z), z away from the camera and y = −z·[`FORESHORTENING`] in the image; the scene turns
    /// by (x cos + z sin, z cos − x sin).
    pub(super) fn turn(degrees: f64) -> Self {
        let (sin, cos) = degrees.to_radians().sin_cos();
        Self { matrix: [[cos, -sin / FORESHORTENING], [sin * FORESHORTENING, cos]], shift: [0.0; 2] }
    }

    /// Where a point of the target comes from; `None` where all comes from a line.
    pub(super) fn inverse(&self) -> Option<Self> {
        let [[a, b], [c, d]] = self.matrix;
        let [x, y] = self.shift;
        let determinant = a * d - b * c;
        if !determinant.is_finite() || determinant.abs() < 1e-6 {
            return None;
        }
        let matrix = [[d / determinant, -b / determinant], [-c / determinant, a / determinant]];
        let back = |row: [f64; 2]| -(row[0] * x + row[1] * y);
        Some(Self { matrix, shift: matrix.map(back) })
    }

    /// Row by row with the shift as third column, as `affine_grid_generator` takes it.
    pub(super) fn rows(&self) -> [f32; 6] {
        let [[a, b], [c, d]] = self.matrix;
        let [x, y] = self.shift;
        [a, b, x, c, d, y].map(|value| value as f32)
    }

    /// Where `p` goes.
    #[cfg(test)]
    pub(super) fn apply(&self, p: [f64; 2]) -> [f64; 2] {
        let row = |i: usize| self.matrix[i][0] * p[0] + self.matrix[i][1] * p[1] + self.shift[i];
        [row(0), row(1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_near(a: [f64; 2], b: [f64; 2]) {
        assert!((a[0] - b[0]).abs() < 1e-12 && (a[1] - b[1]).abs() < 1e-12, "{a:?} {b:?}");
    }

    #[test]
    fn maps_do_what_they_say_and_back() {
        // A tenth of the width is a fifth of the distance from −1 to 1.
        assert_near(Affine::translation(0.1, -0.25).apply([0.0, 0.0]), [0.2, -0.5]);
        let corner = Affine::scaling(2.0, (0.25, 0.75));
        assert_near(corner.apply([-0.5, 0.5]), [-0.5, 0.5]);
        assert_near(corner.apply([0.0, 0.0]), [0.5, -0.5]);
        // Near things, at the bottom, go left when the camera goes right, and things at the right come nearer.
        let quarter = Affine::turn(90.0);
        assert_near(quarter.apply([0.0, 0.5]), [-1.0, 0.0]);
        assert_near(quarter.apply([1.0, 0.0]), [0.0, 0.5]);
        for map in [Affine::translation(0.3, 0.1), corner, Affine::turn(30.0)] {
            let inverse = map.inverse().expect("invertible");
            assert_near(inverse.apply(map.apply([0.3, -0.7])), [0.3, -0.7]);
        }
        assert!(Affine::scaling(0.0, (0.5, 0.5)).inverse().is_none());
        assert!(Affine::scaling(f64::NAN, (0.5, 0.5)).inverse().is_none());
    }
}
