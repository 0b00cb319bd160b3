//! The composite objects but for people.

use super::solid::Solid;
use super::{Paint, Part, ellipsoid, frustum};
use crate::colour::Rgb;

const BARK: Paint = Paint::Fixed(Rgb([112, 72, 40]));
const DARK: Paint = Paint::Fixed(Rgb([34, 30, 30]));

pub(super) fn add_vase(parts: &mut Vec<Part>) {
    parts.extend([
        frustum(0.2, 0.15, 0.07, [0.0; 3], Paint::Own),
        ellipsoid([0.32, 0.32, 0.34], [0.0, 0.0, 0.4], Paint::Own),
        frustum(0.17, 0.13, 0.2, [0.0, 0.0, 0.66], Paint::Own),
        frustum(0.13, 0.23, 0.16, [0.0, 0.0, 0.84], Paint::Own),
        // The opening.
        frustum(0.18, 0.18, 0.005, [0.0, 0.0, 0.997], DARK),
    ]);
}

pub(super) fn add_tree(parts: &mut Vec<Part>) {
    parts.extend([
        frustum(0.09, 0.07, 0.4, [0.0; 3], BARK),
        frustum(0.36, 0.1, 0.36, [0.0, 0.0, 0.26], Paint::Own),
        frustum(0.29, 0.07, 0.32, [0.0, 0.0, 0.48], Paint::Own),
        frustum(0.21, 0.0, 0.32, [0.0, 0.0, 0.68], Paint::Own),
    ]);
}

pub(super) fn add_house(parts: &mut Vec<Part>) {
    const ROOF: Paint = Paint::Fixed(Rgb([96, 62, 54]));
    const GLASS: Paint = Paint::Fixed(Rgb([250, 240, 190]));
    let window = |x: f32| Part::new(Solid::standing_box(0.085, 0.012, 0.17), [x, -0.36, 0.27], GLASS);
    parts.extend([
        Part::new(Solid::standing_box(0.44, 0.36, 0.58), [0.0; 3], Paint::Own),
        Part::new(Solid::gable(0.5, 0.43, 0.42), [0.0, 0.0, 0.58], ROOF),
        Part::new(Solid::standing_box(0.085, 0.012, 0.33), [0.0, -0.36, 0.0], DARK),
        window(-0.26),
        window(0.26),
    ]);
}

/// A standing cat that looks to the right and a little at the viewer.
pub(super) fn add_cat(parts: &mut Vec<Part>) {
    const SNOUT: Paint = Paint::Fixed(Rgb([246, 232, 214]));
    const EYE: Paint = Paint::Fixed(Rgb([20, 24, 20]));
    const NOSE: Paint = Paint::Fixed(Rgb([214, 120, 130]));
    let leg = |x: f32, y: f32| frustum(0.06, 0.075, 0.36, [x, y, 0.0], Paint::Own);
    parts.extend([
        ellipsoid([0.42, 0.2, 0.21], [-0.06, 0.0, 0.42], Paint::Own),
        leg(-0.34, -0.1),
        leg(-0.34, 0.1),
        leg(0.22, -0.1),
        leg(0.22, 0.1),
        ellipsoid([0.22, 0.22, 0.2], [0.36, -0.04, 0.68], Paint::Own),
        frustum(0.09, 0.0, 0.2, [0.27, -0.1, 0.8], Paint::Own).leant(-14.0),
        frustum(0.09, 0.0, 0.2, [0.45, 0.04, 0.8], Paint::Own).leant(14.0),
        ellipsoid([0.085, 0.085, 0.065], [0.49, -0.2, 0.62], SNOUT),
        ellipsoid([0.03, 0.03, 0.025], [0.535, -0.27, 0.645], NOSE),
        ellipsoid([0.035, 0.035, 0.045], [0.37, -0.24, 0.73], EYE),
        ellipsoid([0.035, 0.035, 0.045], [0.54, -0.14, 0.73], EYE),
        frustum(0.055, 0.05, 0.28, [-0.42, 0.0, 0.46], Paint::Own).leant(-38.0),
        frustum(0.05, 0.03, 0.3, [-0.58, 0.0, 0.66], Paint::Own).leant(12.0),
    ]);
}
