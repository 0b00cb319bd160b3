//! Whether two goldens are the same: tensors by number, all else byte for byte.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use half::{bf16, f16};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

/// Machines round differently; what a port must reach is checked elsewhere, against the committed file.
const TOLERANCE: f64 = 1e-5;

/// How a file that was made differs from the committed one.
#[derive(Debug, PartialEq)]
pub(super) enum Difference {
    None,
    /// The tensors differ by at most this, relative to max(1, max|ref|).
    Within(f64),
    Beyond(String),
}

/// Compares a committed file with the one just made.
pub(super) fn files(committed: &Path, made: &Path) -> Result<Difference> {
    let reference = fs::read(committed).with_context(|| format!("reading {}", committed.display()))?;
    let candidate = fs::read(made).with_context(|| format!("reading {}", made.display()))?;
    if reference == candidate {
        return Ok(Difference::None);
    }
    if committed.extension().is_none_or(|extension| extension != "safetensors") {
        return Ok(Difference::Beyond(format!("{} bytes, {} committed", candidate.len(), reference.len())));
    }
    let parse = |bytes, path: &Path| {
        SafeTensors::deserialize(bytes).with_context(|| format!("reading {} as safetensors", path.display()))
    };
    tensors(&parse(&reference, committed)?, &parse(&candidate, made)?)
}

fn tensors(reference: &SafeTensors<'_>, candidate: &SafeTensors<'_>) -> Result<Difference> {
    if let Some(name) = candidate.names().into_iter().find(|name| reference.tensor(name).is_err()) {
        return Ok(Difference::Beyond(format!("tensor {name} is new")));
    }
    let mut names = reference.names();
    names.sort_unstable();
    let mut largest = 0.0_f64;
    for name in names {
        let Ok(made) = candidate.tensor(name) else {
            return Ok(Difference::Beyond(format!("tensor {name} is gone")));
        };
        match tensor(&reference.tensor(name)?, &made) {
            Ok(difference) => largest = largest.max(difference),
            Err(reason) => return Ok(Difference::Beyond(format!("tensor {name}: {reason}"))),
        }
    }
    Ok(Difference::Within(largest))
}

/// max|Δ| / max(1, max|ref|) of two tensors, or why they cannot count as the same.
fn tensor(reference: &TensorView<'_>, made: &TensorView<'_>) -> Result<f64, String> {
    if (reference.dtype(), reference.shape()) != (made.dtype(), made.shape()) {
        let (was, is) = (reference, made);
        return Err(format!(
            "{:?} {:?}, {:?} {:?} committed",
            is.dtype(),
            is.shape(),
            was.dtype(),
            was.shape()
        ));
    }
    let (Some(expected), Some(actual)) = (floats(reference), floats(made)) else {
        return if reference.data() == made.data() { Ok(0.0) } else { Err("its integers differ".to_owned()) };
    };
    let scale =
        expected.iter().filter(|value| value.is_finite()).fold(1.0, |max: f64, value| max.max(value.abs()));
    let mut largest = 0.0_f64;
    for (expected, actual) in expected.iter().zip(&actual) {
        if expected == actual || expected.is_nan() && actual.is_nan() {
            continue;
        }
        let difference = (expected - actual).abs() / scale;
        if !difference.is_finite() {
            return Err(format!("{actual} where {expected} is committed"));
        }
        largest = largest.max(difference);
    }
    if largest > TOLERANCE {
        return Err(format!("max|Δ|/max(1, max|ref|) = {largest:.1e}, {TOLERANCE:.0e} allowed"));
    }
    Ok(largest)
}

/// The values of a floating-point tensor; `None` for any other type.
fn floats(tensor: &TensorView<'_>) -> Option<Vec<f64>> {
    let data = tensor.data();
    Some(match tensor.dtype() {
        Dtype::F64 => data.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect(),
        Dtype::F32 => data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes).into()).collect(),
        Dtype::F16 => data.as_chunks().0.iter().map(|bytes| f16::from_le_bytes(*bytes).into()).collect(),
        Dtype::BF16 => data.as_chunks().0.iter().map(|bytes| bf16::from_le_bytes(*bytes).into()).collect(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view<'a>(dtype: Dtype, shape: &[usize], data: &'a [u8]) -> TensorView<'a> {
        TensorView::new(dtype, shape.to_vec(), data).unwrap()
    }

    fn f32s(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    fn compare_f32(reference: &[f32], made: &[f32]) -> Result<f64, String> {
        let (a, b) = (f32s(reference), f32s(made));
        tensor(&view(Dtype::F32, &[reference.len()], &a), &view(Dtype::F32, &[made.len()], &b))
    }

    #[test]
    fn floats_may_differ_relative_to_the_largest_reference() {
        assert!(compare_f32(&[0.5, 0.0], &[0.5, 9e-6]).unwrap() > 8e-6);
        compare_f32(&[0.5, 0.0], &[0.5, 2e-5]).unwrap_err();
        compare_f32(&[100.0, 0.0], &[100.0, 9e-4]).unwrap();
        compare_f32(&[100.0, 0.0], &[100.0, 2e-3]).unwrap_err();
    }

    #[test]
    fn what_is_not_finite_must_be_equal() {
        assert_eq!(compare_f32(&[f32::NAN, f32::INFINITY], &[f32::NAN, f32::INFINITY]), Ok(0.0));
        compare_f32(&[0.0], &[f32::NAN]).unwrap_err();
        compare_f32(&[f32::INFINITY], &[f32::NEG_INFINITY]).unwrap_err();
        compare_f32(&[f32::INFINITY, 0.0], &[f32::INFINITY, 1.0]).unwrap_err();
    }

    #[test]
    fn half_precision_is_read_as_numbers() {
        let halves = |value: f32| f16::from_f32(value).to_le_bytes();
        let (a, b) = (halves(1.0), halves(1.5));
        let reason = tensor(&view(Dtype::F16, &[1], &a), &view(Dtype::F16, &[1], &b)).unwrap_err();
        assert!(reason.contains("5.0e-1"), "{reason}");
        let (a, b) = (bf16::from_f32(2.0).to_le_bytes(), bf16::from_f32(2.0).to_le_bytes());
        assert_eq!(tensor(&view(Dtype::BF16, &[1], &a), &view(Dtype::BF16, &[1], &b)), Ok(0.0));
    }

    #[test]
    fn integers_types_and_shapes_must_be_equal() {
        let (a, b) = (7_i64.to_le_bytes(), 8_i64.to_le_bytes());
        assert_eq!(tensor(&view(Dtype::I64, &[1], &a), &view(Dtype::I64, &[1], &a)), Ok(0.0));
        tensor(&view(Dtype::I64, &[1], &a), &view(Dtype::I64, &[1], &b)).unwrap_err();
        tensor(&view(Dtype::I64, &[1], &a), &view(Dtype::F64, &[1], &a)).unwrap_err();
        let data = f32s(&[1.0, 2.0]);
        let reason = tensor(&view(Dtype::F32, &[2], &data), &view(Dtype::F32, &[1, 2], &data)).unwrap_err();
        assert_eq!(reason, "F32 [1, 2], F32 [2] committed");
    }

    #[test]
    fn files_need_the_same_tensors_and_others_the_same_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, tensors: &[(&str, &[f32])]| {
            let data: Vec<_> = tensors.iter().map(|(name, values)| (*name, f32s(values))).collect();
            let views = data.iter().map(|(name, data)| (*name, view(Dtype::F32, &[data.len() / 4], data)));
            let path = dir.path().join(name);
            fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
            path
        };
        let reference = write("a.safetensors", &[("x", &[1.0]), ("y", &[2.0])]);
        let close = write("b.safetensors", &[("x", &[1.000_001]), ("y", &[2.0])]);
        let fewer = write("c.safetensors", &[("x", &[1.0])]);
        assert_eq!(files(&reference, &reference).unwrap(), Difference::None);
        assert!(matches!(files(&reference, &close).unwrap(), Difference::Within(d) if d > 0.0));
        assert_eq!(files(&reference, &fewer).unwrap(), Difference::Beyond("tensor y is gone".to_owned()));
        assert_eq!(files(&fewer, &reference).unwrap(), Difference::Beyond("tensor y is new".to_owned()));
        let (text, other) = (dir.path().join("a.json"), dir.path().join("b.json"));
        fs::write(&text, "{}").unwrap();
        fs::write(&other, "{} ").unwrap();
        assert_eq!(files(&text, &other).unwrap(), Difference::Beyond("3 bytes, 2 committed".to_owned()));
    }
}
