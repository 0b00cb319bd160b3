//! Whether both sides did the same work: how far their results are apart.

use std::fs;
use std::io::BufReader;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// max|Δ| / max(1, max|ref|) of two files of raw float32, or of two PNG files with values in 0..1; infinite if any value
/// is not finite.
pub(super) fn difference(ours: &Path, reference: &Path) -> Result<f64> {
    let (a, b) = (read(ours)?, read(reference)?);
    if a.len() != b.len() || a.is_empty() {
        bail!("{} has {} values, {} has {}", ours.display(), a.len(), reference.display(), b.len());
    }
    if a.iter().chain(&b).any(|x| !x.is_finite()) {
        return Ok(f64::INFINITY);
    }
    let largest = a.iter().zip(&b).map(|(x, y)| f64::from((x - y).abs())).fold(0.0, f64::max);
    Ok(largest / b.iter().map(|x| f64::from(x.abs())).fold(1.0, f64::max))
}

fn read(path: &Path) -> Result<Vec<f32>> {
    if path.extension().is_some_and(|extension| extension == "png") {
        return read_png(path).with_context(|| format!("reading {}", path.display()));
    }
    let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
}

fn read_png(path: &Path) -> Result<Vec<f32>> {
    let mut reader = png::Decoder::new(BufReader::new(fs::File::open(path)?)).read_info()?;
    let mut pixels = vec![0; reader.output_buffer_size().context("its size overflows")?];
    let info = reader.next_frame(&mut pixels)?;
    if (info.color_type, info.bit_depth) != (png::ColorType::Rgb, png::BitDepth::Eight) {
        bail!("it is {:?} of {:?} bits instead of RGB of 8", info.color_type, info.bit_depth);
    }
    Ok(pixels[..info.buffer_size()].iter().map(|&level| f32::from(level) / 255.0).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apart(a: &[f32], b: &[f32]) -> Result<f64> {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, values: &[f32]| {
            let path = folder.path().join(name);
            fs::write(&path, values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>()).unwrap();
            path
        };
        difference(&write("a.f32", a), &write("b.f32", b))
    }

    #[test]
    fn differences_are_relative_to_large_references() {
        assert_eq!(apart(&[0.5, 0.0], &[0.25, 0.0]).unwrap(), 0.25);
        assert_eq!(apart(&[9.0, 0.0], &[10.0, 0.0]).unwrap(), 0.1);
    }

    #[test]
    fn what_is_not_finite_or_not_as_long_is_not_the_same() {
        assert_eq!(apart(&[f32::NAN], &[f32::NAN]).unwrap(), f64::INFINITY);
        assert!(apart(&[1.0], &[1.0, 1.0]).is_err());
        assert!(apart(&[], &[]).is_err());
    }

    #[test]
    fn png_files_are_compared_by_pixel() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, pixels: &[u8]| {
            let path = folder.path().join(name);
            let mut encoder = png::Encoder::new(fs::File::create(&path).unwrap(), 1, 1);
            encoder.set_color(png::ColorType::Rgb);
            encoder.write_header().unwrap().write_image_data(pixels).unwrap();
            path
        };
        let (a, b) = (write("a.png", &[0, 51, 255]), write("b.png", &[0, 0, 255]));
        assert!((difference(&a, &b).unwrap() - 0.2).abs() < 1e-6);
    }
}
