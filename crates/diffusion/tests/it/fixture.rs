//! Fixture models ready to load, inputs that Python and Rust both compute, and comparison.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use retouch_testkit::models::{self, uniform};
pub use retouch_testkit::models::{goldens, tensors, write_safetensors};
use tch::{Device, Kind, Tensor};

/// The tensors of a golden file, by name.
pub fn golden(name: &str) -> HashMap<String, Tensor> {
    let path = goldens().join(format!("{name}.safetensors"));
    Tensor::read_safetensors(&path)
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()))
        .into_iter()
        .collect()
}

/// Inputs of unit variance.
pub fn noise(name: &str, shape: &[i64]) -> Tensor {
    let u = uniform(name, shape.iter().product::<i64>() as usize);
    let scale = 3f64.sqrt() as f32;
    Tensor::from_slice(&u.into_iter().map(|x| x * scale).collect::<Vec<_>>()).view(shape)
}

/// One thread per test: these models are too small to share, and tests run side by side.
fn single_thread() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| tch::set_num_threads(1));
}

/// [`models::component`], for a test that loads it.
pub fn component(case: &str, stem: &str, parent: &Path, name: &str) -> PathBuf {
    single_thread();
    models::component(case, stem, parent, name)
}

/// [`models::model_folder`], for a test that loads it.
pub fn model_folder(family: &str, scheduler: &str, parent: &Path) -> PathBuf {
    single_thread();
    models::model_folder(family, scheduler, parent)
}

/// The golden model `case` of diffusers in a temporary folder.
pub fn diffusers_model(case: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let folder = component(case, "diffusion_pytorch_model", dir.path(), case);
    (dir, folder)
}

/// A copy of the golden folder `name` that a test may break.
pub fn copy(name: &str) -> tempfile::TempDir {
    let copy = tempfile::tempdir().expect("a temporary folder");
    for entry in std::fs::read_dir(goldens().join(name)).expect("committed") {
        let entry = entry.expect("committed");
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).expect("writable");
    }
    copy
}

/// max|Δ| / max(1, max|reference|), infinite where shapes differ or something is not finite.
pub fn difference(result: &Tensor, reference: &Tensor) -> f64 {
    if result.size() != reference.size() {
        return f64::INFINITY;
    }
    let wide = |t: &Tensor| t.to_device(Device::Cpu).to_kind(Kind::Double);
    let (result, reference) = (wide(result), wide(reference));
    let delta = (&result - &reference).abs().max().double_value(&[]);
    let delta = delta / reference.abs().max().double_value(&[]).max(1.0);
    if delta.is_nan() { f64::INFINITY } else { delta }
}

/// Fails unless [`difference`] is at most `tolerance`.
#[track_caller]
pub fn assert_close(what: &str, result: &Tensor, reference: &Tensor, tolerance: f64) {
    let delta = difference(result, reference);
    assert!(
        delta <= tolerance,
        "{what}: differs by {delta:.3e}, more than {tolerance:.0e}; shapes {:?} and {:?}",
        result.size(),
        reference.size()
    );
}
