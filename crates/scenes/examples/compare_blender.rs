//! Compares Blender's outlines with the ray caster's: `cargo xtask blender`, or with arguments: folder, scenes, program.
//!
//! Fails unless both agree: objects' centres within half a pixel, masks within a tenth of their union.

use std::path::PathBuf;
use std::process::ExitCode;

use retouch_imaging::RgbImage;
use retouch_scenes::{Blender, Level, Mask, Pair, PairOptions, Renderer, Scene};

const SIZE: u32 = 128;
/// Objects of fewer pixels are not compared: their outline is most of them.
const LEAST_AREA: u32 = 60;
const CENTRE_LIMIT: f64 = 0.5;
const OVERLAP_LIMIT: f64 = 0.9;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().map_or_else(|| std::env::temp_dir().join("retouch-blender"), PathBuf::from);
    let count = arguments.next().and_then(|count| count.parse().ok()).unwrap_or(10);
    let program = arguments.next().map_or_else(|| PathBuf::from("blender"), PathBuf::from);
    let outcome = compare(&folder, count, Blender { program, samples: 32 });
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!(
                "the outlines differ by more than {CENTRE_LIMIT} pixels or overlap by less than {OVERLAP_LIMIT}"
            );
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compare(
    folder: &std::path::Path,
    count: u64,
    blender: Blender,
) -> Result<bool, Box<dyn std::error::Error>> {
    std::fs::create_dir_all(folder)?;
    let options = PairOptions { level: Some(Level::Middle), people: 0.3, ..PairOptions::default() };
    let scenes: Vec<Scene> = (0..count)
        .map(|seed| Pair::sample(seed, &options).map(|pair| pair.after))
        .collect::<Result<_, _>>()?;
    let pictures = blender.render(&scenes.iter().collect::<Vec<_>>(), (SIZE, SIZE), folder)?;
    let mut renderer = Renderer::new();
    let (mut worst, mut sum, mut compared, mut least_overlap) = (0.0f64, 0.0, 0u32, 1.0f64);
    for (scene, picture) in scenes.iter().zip(&pictures) {
        let rendered = renderer.render(scene, SIZE, SIZE)?;
        for (index, object) in rendered.truth.objects.iter().enumerate() {
            if object.area < LEAST_AREA {
                continue;
            }
            let Difference { centre, overlap } = difference(&rendered.mask, &picture.mask, index);
            worst = worst.max(centre);
            least_overlap = least_overlap.min(overlap);
            sum += centre;
            compared += 1;
        }
    }
    println!(
        "{compared} objects in {count} scenes of {SIZE}x{SIZE}: centres differ by {:.3} pixels on average, {worst:.3} at most; \
         masks overlap by {least_overlap:.3} of their union at least",
        sum / f64::from(compared.max(1))
    );
    Ok(compared > 0 && worst <= CENTRE_LIMIT && least_overlap >= OVERLAP_LIMIT)
}

struct Difference {
    centre: f64,
    overlap: f64,
}

fn difference(ours: &Mask, theirs: &RgbImage, index: usize) -> Difference {
    let (mut both, mut either) = (0u32, 0u32);
    let mut sums = [[0.0f64; 3]; 2];
    for (column, row, pixel) in theirs.enumerate_pixels() {
        let shown = [ours.object_at(column, row) == Some(index), usize::from(pixel.0[0]) == index + 1];
        both += u32::from(shown == [true; 2]);
        either += u32::from(shown != [false; 2]);
        for (sum, _) in sums.iter_mut().zip(shown).filter(|(_, shown)| *shown) {
            *sum = [sum[0] + 1.0, sum[1] + f64::from(column), sum[2] + f64::from(row)];
        }
    }
    let mean = |[count, x, y]: [f64; 3]| [x / count, y / count];
    let ([x, y], [u, v]) = (mean(sums[0]), mean(sums[1]));
    let centre = (x - u).hypot(y - v);
    // An object that Blender does not show has no centre there.
    Difference {
        centre: if centre.is_nan() { f64::INFINITY } else { centre },
        overlap: f64::from(both) / f64::from(either.max(1)),
    }
}
