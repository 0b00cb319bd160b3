//! Samplers: parity with diffusers and k-diffusion, row state, and what they refuse.

mod configs;
mod goldens;
mod properties;
mod published;
mod rows;

use retouch_diffusion::SeededNoise;
use retouch_diffusion::samplers::{Sampler, SamplerConfig, SamplerKind, SamplerOptions};
use tch::Tensor;

/// The next `count` draws.
fn take(draws: &mut SeededNoise, count: usize, shape: &[i64]) -> Vec<Tensor> {
    (0..count).map(|_| draws.next(shape)).collect()
}

/// The goldens' model: bounded, nonlinear, and different at every timestep.
fn model(x: &Tensor, t: f64) -> Tensor {
    (x * 0.8 + 0.3 * (t / 200.0).cos()).tanh()
}

/// max|Δ| / max(1, max|ref|).
fn difference(got: &Tensor, reference: &Tensor) -> f64 {
    assert_eq!(got.size(), reference.size());
    let apart = f64::try_from((got - reference).abs().max()).unwrap();
    assert!(apart.is_finite(), "the difference is not finite");
    apart / f64::try_from(reference.abs().max()).unwrap().max(1.0)
}

/// Stable Diffusion's betas, no clipping, no Runge-Kutta start.
fn usual(kind: SamplerKind) -> SamplerConfig {
    let fields = [
        ("beta_start", serde_json::json!(0.00085)),
        ("beta_end", serde_json::json!(0.012)),
        ("beta_schedule", serde_json::json!("scaled_linear")),
        ("clip_sample", serde_json::json!(false)),
        ("skip_prk_steps", serde_json::json!(true)),
    ];
    fields
        .into_iter()
        .fold(SamplerConfig::new(kind), |config, (field, value)| config.with(field, value).unwrap())
}

fn sampler(config: &SamplerConfig, steps: usize) -> Sampler {
    Sampler::new(config, &SamplerOptions::default(), steps).unwrap()
}
