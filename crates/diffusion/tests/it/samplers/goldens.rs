//! Trajectories and schedules against `goldens/make_samplers.py`: diffusers 0.42.1, and k-diffusion's
//! formulas.

use std::collections::HashMap;

use retouch_diffusion::SeededNoise;
use retouch_diffusion::samplers::{
    NoiseTable, Sampler, SamplerConfig, SamplerError, SamplerKind, SamplerOptions, SigmaInterp,
};
use serde::Deserialize;
use tch::{Device, Kind, Tensor};

use super::{difference, model, sampler, take, usual};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens");

#[derive(Deserialize)]
struct About {
    cases: Vec<Case>,
    schedules: Vec<Named>,
    sweeps: Vec<Named>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    kind: SamplerKind,
    config: String,
    steps: usize,
    eta: f64,
    first: usize,
    interp: SigmaInterp,
    karras: Option<bool>,
    init: f64,
}

#[derive(Deserialize)]
struct Named {
    name: String,
    config: String,
}

struct Goldens {
    about: About,
    tensors: HashMap<String, Tensor>,
}

impl Goldens {
    fn load() -> Self {
        let about = std::fs::read_to_string(format!("{FOLDER}/samplers.json")).unwrap();
        let tensors = Tensor::read_safetensors(format!("{FOLDER}/samplers.safetensors")).unwrap();
        Self { about: serde_json::from_str(&about).unwrap(), tensors: tensors.into_iter().collect() }
    }

    fn numbers(&self, name: &str) -> Vec<f64> {
        Vec::try_from(self.tensors[name].to_kind(Kind::Double)).unwrap()
    }
}

impl Case {
    fn sampler(&self) -> Sampler {
        let config = SamplerConfig::from_json(&self.config).unwrap();
        let options = SamplerOptions {
            kind: Some(self.kind),
            sigma_interp: self.interp,
            karras: self.karras,
            eta: self.eta,
        };
        Sampler::new(&config, &options, self.steps).unwrap_or_else(|e| panic!("{}: {e}", self.name))
    }

    /// The latents after each forward, with the goldens' noise: initial latents, then one draw per noisy
    /// forward.
    fn run(&self, sampler: &Sampler, noise: &Tensor) -> Vec<Tensor> {
        let mut latents = noise.get(0) * sampler.init_noise_sigma();
        let mut drawn = 1;
        if self.first > 0 {
            let t = sampler.timestep(self.first).unwrap();
            latents = sampler.add_noise(&noise.get(0), &noise.get(1), t).unwrap();
            drawn = 2;
        }
        let mut state = sampler.start_at(self.first).unwrap();
        let skipped = sampler.noise_index(self.first).unwrap_or(0);
        let forwards = self.first..sampler.evaluations();
        forwards
            .map(|forward| {
                let input = sampler.scale_model_input(&latents, forward).unwrap();
                let output = model(&input, sampler.timestep(forward).unwrap());
                let draw = sampler.noise_index(forward).map(|i| noise.get((drawn + i - skipped) as i64));
                latents = sampler.step(&mut state, &output, &latents, draw.as_ref()).unwrap();
                latents.copy()
            })
            .collect()
    }
}

/// How far the worst of some numbers is from its reference, relative to the largest.
fn apart(got: &[f64], reference: &[f64], name: &str) -> f64 {
    assert_eq!(got.len(), reference.len(), "{name}");
    difference(&Tensor::from_slice(got), &Tensor::from_slice(reference))
}

#[test]
fn trajectories_equal_the_reference() {
    let goldens = Goldens::load();
    let noise = &goldens.tensors["noise"];
    let mut worst = (0.0, String::new());
    for case in &goldens.about.cases {
        let sampler = case.sampler();
        let path = Tensor::stack(&case.run(&sampler, noise), 0);
        let reference = &goldens.tensors[&format!("{}/trajectory", case.name)];
        let apart = difference(&path, reference);
        let tolerance = if case.config.contains("\"rescale_betas_zero_snr\":true") { 1e-4 } else { 1e-5 };
        assert!(apart <= tolerance, "{}: {apart}", case.name);
        if apart > worst.0 {
            worst = (apart, case.name.clone());
        }
    }
    assert!(goldens.about.cases.len() > 200);
    println!("largest difference {:e} in {}", worst.0, worst.1);
}

#[test]
fn timesteps_and_sigmas_equal_the_reference() {
    let goldens = Goldens::load();
    for case in &goldens.about.cases {
        let (sampler, name) = (case.sampler(), &case.name);
        // The logarithms behind fractional timesteps differ in their last bit between the libraries.
        let timesteps = goldens.numbers(&format!("{name}/timesteps"));
        let tolerance = if timesteps.iter().all(|t| t.fract() == 0.0) { 0.0 } else { 1e-6 };
        assert!(apart(sampler.timesteps(), &timesteps, name) <= tolerance, "{name}");
        let sigmas = sampler.sigmas().map(|s| s.iter().map(|&s| f64::from(s)).collect::<Vec<_>>());
        assert_eq!(sigmas.is_some(), goldens.tensors.contains_key(&format!("{name}/sigmas")), "{name}");
        if let Some(sigmas) = sigmas {
            assert!(apart(&sigmas, &goldens.numbers(&format!("{name}/sigmas")), name) <= 1e-6, "{name}");
        }
        assert!((sampler.init_noise_sigma() - case.init).abs() <= 1e-6 * case.init, "{name}");
    }
}

#[test]
fn cumulative_products_equal_the_reference() {
    let goldens = Goldens::load();
    for schedule in &goldens.about.schedules {
        let config = SamplerConfig::from_json(&schedule.config).unwrap();
        let got = sampler(&config, 10).alphas_cumprod().to_vec();
        let reference = Vec::<f32>::try_from(&goldens.tensors[&schedule.name]).unwrap();
        assert_eq!(got.len(), reference.len());
        // Rescaling magnifies the last bit of torch's square root, which is not the same on every processor.
        let tolerance = if schedule.name.contains("zero") { 1e-7 } else { 0.0 };
        let worst = got.iter().zip(&reference).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst <= tolerance, "{}: {worst}", schedule.name);
    }
    assert_eq!(goldens.about.schedules.len(), 9);
}

#[test]
fn whole_timesteps_are_equal_for_every_number_of_steps() {
    let goldens = Goldens::load();
    for sweep in &goldens.about.sweeps {
        let config = SamplerConfig::from_json(&sweep.config).unwrap();
        for (i, expected) in goldens.numbers(&sweep.name).into_iter().enumerate() {
            let steps = i + 1;
            match Sampler::new(&config, &SamplerOptions::default(), steps) {
                Ok(sampler) => {
                    assert_eq!(sampler.evaluations(), steps, "{}", sweep.name);
                    let sum: f64 = sampler.timesteps().iter().zip(1..).map(|(t, n)| t * f64::from(n)).sum();
                    assert_eq!(sum, expected, "{} with {steps} steps", sweep.name);
                }
                // Equal neighbours in the table: diffusers divides by zero there.
                Err(SamplerError::DegenerateStep { .. }) if steps == 1000 => {}
                Err(other) => panic!("{} with {steps} steps: {other}", sweep.name),
            }
        }
    }
    assert_eq!(goldens.about.sweeps.len(), 8);
}

#[test]
fn libtorch_draws_the_same_noise_as_python() {
    let goldens = Goldens::load();
    let reference = &goldens.tensors["noise"];
    let shape = reference.size();
    let draws = take(&mut SeededNoise::new(0), shape[0] as usize, &shape[1..]);
    assert_eq!(Tensor::stack(&draws, 0), *reference);
}

#[test]
fn noising_for_training_equals_the_sampler_row_by_row() {
    let config = usual(SamplerKind::Ddpm);
    let table = NoiseTable::new(&config, Device::Cpu).unwrap();
    let sampler = sampler(&config, 1000);
    let draws = take(&mut SeededNoise::new(1), 2, &[3, 4, 5, 5]);
    let (x0, noise) = (&draws[0], &draws[1]);
    let t = [0_i64, 420, 999];
    let noisy = table.add_noise(x0, noise, &Tensor::from_slice(&t)).unwrap();
    let velocity = table.velocity(x0, noise, &Tensor::from_slice(&t)).unwrap();
    for (row, &t) in t.iter().enumerate() {
        let row = row as i64;
        let (x0, noise) = (x0.get(row), noise.get(row));
        assert_eq!(noisy.get(row), sampler.add_noise(&x0, &noise, t as f64).unwrap());
        assert_eq!(velocity.get(row), sampler.velocity(&x0, &noise, t as f64).unwrap());
    }
    let wrong = table.add_noise(x0, noise, &Tensor::from_slice(&[0_i64, 1000, 1]));
    assert_eq!(wrong.unwrap_err().code(), "sampler_tensor");
}
