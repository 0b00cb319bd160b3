//! Optimizer steps against PyTorch's; `tests/goldens/make_training.py` makes the reference.

use std::collections::HashMap;

use retouch_testkit::models::{self, goldens, uniform};
use tch::{Device, Kind, Tensor};

use super::adamw::{AdamW, Optimization};
use super::flat::Flat;
use super::objective::{AutoencoderLoss, Denoised, DenoiserLoss, Target, autoencoder, denoiser};
use super::parameters::Parameters;
use super::run::Losses;
use crate::models::clip::{ClipText, ClipTextConfig};
use crate::models::unet::{UNet, UNetConfig};
use crate::models::vae::{Vae, VaeConfig};
use crate::samplers::{NoiseTable, SamplerConfig};

/// Three optimizer steps in float32.
const TOLERANCE: f64 = 1e-5;

fn golden() -> HashMap<String, Tensor> {
    let path = goldens().join("training.safetensors");
    Tensor::read_safetensors(path).expect("committed").into_iter().collect()
}

fn noise(name: &str, shape: &[i64]) -> Tensor {
    let values = uniform(name, shape.iter().product::<i64>() as usize);
    Tensor::from_slice(&values).view(shape) * 3f64.sqrt()
}

/// The fixture's values of a network of the golden model `ip2p`.
fn parameters(part: &str) -> Parameters {
    let parameters = Parameters::new(0, Device::Cpu, true);
    for (name, (shape, bytes)) in models::tensors(&format!("ip2p/{part}")) {
        let shape: Vec<i64> = shape.iter().map(|&d| d as i64).collect();
        parameters.insert(&name, &Tensor::from_data_size(&bytes, &shape, Kind::Float));
    }
    parameters
}

fn config(part: &str) -> std::path::PathBuf {
    goldens().join("ip2p").join(part).join("config.json")
}

/// Three steps of `loss`, compared with the golden `case`.
fn check(case: &str, networks: &[(&str, &Parameters)], mut loss: impl FnMut(usize) -> Losses) {
    let golden = golden();
    let mut flat = Flat::new(networks, Device::Cpu);
    let settings = Optimization { warmup: 0, final_rate: 1.0, epsilon: 1e-5, ..Optimization::default() };
    let mut adamw = AdamW::new(settings, &flat);
    let close = |what: &str, result: &Tensor, reference: &Tensor| {
        assert_eq!(result.size(), reference.size(), "{case}.{what}");
        let scale = reference.abs().max().double_value(&[]).max(1.0);
        let delta = (result - reference).abs().max().double_value(&[]) / scale;
        assert!(delta <= TOLERANCE, "{case}.{what} differs by {delta:.2e}");
    };
    let (losses, norms): (Vec<f64>, Vec<f64>) = (0..3)
        .map(|step| {
            let losses = loss(step);
            losses.total.backward();
            let stepped = adamw.step(&mut flat, step as u64, 3);
            assert!(!stepped.skipped);
            (losses.total.double_value(&[]), stepped.gradient_norm)
        })
        .unzip();
    let row = |values: &[f64]| Tensor::from_slice(values).to_kind(Kind::Float);
    close("losses", &row(&losses), &golden[&format!("{case}.losses")]);
    close("norms", &row(&norms), &golden[&format!("{case}.norms")]);
    let mut compared = 0;
    for (network, parameters) in networks {
        for (name, leaf) in parameters.leaves() {
            if let Some(reference) = golden.get(&format!("{case}.{network}.{name}")) {
                close(&format!("{network}.{name}"), &leaf.detach(), reference);
                compared += 1;
            }
        }
    }
    let kept = golden.keys().filter(|name| name.starts_with(&format!("{case}."))).count();
    assert_eq!(compared, kept - 2, "every kept tensor of {case} has a leaf");
}

fn check_denoiser(case: &str, target: Target) {
    let unet = UNetConfig::from_file(&config("unet")).expect("committed");
    let text = ClipTextConfig::from_file(&config("text_encoder")).expect("committed");
    let unet = UNet::in_training(unet, parameters("unet"), Kind::Float).expect("its own tensors");
    let text = ClipText::in_training(text, parameters("text_encoder"), Kind::Float).expect("its own tensors");
    let sampler = std::fs::read_to_string(goldens().join("schedulers/ddim.json")).expect("committed");
    let table = NoiseTable::new(&SamplerConfig::from_json(&sampler).expect("committed"), Device::Cpu);
    let table = table.expect("a usable schedule");
    let ids = Tensor::from_slice(&[0i64, 17, 400, 2, 1, 1, 0, 2, 1, 1, 1, 1]).view([2, 6]);
    let timesteps = Tensor::from_slice(&[20i64, 700]);
    let shape = [2, 4, 16, 24];
    let (latents, image) = (noise("latents", &shape), noise("image_latents", &shape));
    drop(image.get(1).zero_());
    let networks = [
        ("unet", unet.checkpoint().trained().expect("in training")),
        ("text_encoder", text.checkpoint().trained().expect("in training")),
    ];
    check(case, &networks, |step| {
        let text = unet.text_kv(&text.forward(&ids, None).expect("ids in range"));
        let batch = Denoised {
            latents: &latents,
            image: Some(&image),
            unchanged: None,
            text: &text,
            spatial: None,
            timesteps: &timesteps,
            noise: &noise(&format!("noise{step}"), &shape),
        };
        denoiser(&unet, &table, target, &batch, &DenoiserLoss::default()).expect("shapes that fit")
    });
}

#[test]
fn three_steps_of_a_denoiser_that_predicts_noise() {
    check_denoiser("epsilon", Target::Epsilon);
}

#[test]
fn three_steps_of_a_denoiser_that_predicts_velocity() {
    check_denoiser("velocity", Target::Velocity);
}

#[test]
fn three_steps_of_an_autoencoder() {
    let vae = VaeConfig::from_file(&config("vae")).expect("committed");
    let vae = Vae::in_training(vae, parameters("vae"), Kind::Float).expect("its own tensors");
    let images = noise("images", &[2, 3, 32, 48]).clamp(-1.0, 1.0);
    let networks = [("vae", vae.checkpoint().trained().expect("in training"))];
    let weights = AutoencoderLoss { edges: 0.5, divergence: 1e-3 };
    check("autoencoder", &networks, |step| {
        let drawn = noise(&format!("noise{step}"), &[2, 4, 16, 24]);
        autoencoder(&vae, &images, &drawn, &weights)
    });
}

#[test]
fn half_precision_passes_gradients_to_float32_weights() {
    let vae = VaeConfig::from_file(&config("vae")).expect("committed");
    let vae = Vae::in_training(vae, parameters("vae"), Kind::BFloat16).expect("its own tensors");
    let images = noise("images", &[1, 3, 32, 32]).clamp(-1.0, 1.0);
    let drawn = noise("noise0", &[1, 4, 16, 16]);
    let losses = autoencoder(&vae, &images, &drawn, &AutoencoderLoss::default());
    assert_eq!(losses.total.kind(), Kind::Float);
    losses.total.backward();
    for (name, leaf) in vae.checkpoint().trained().expect("in training").leaves() {
        let gradient = leaf.grad();
        assert_eq!((gradient.kind(), leaf.kind()), (Kind::Float, Kind::Float), "{name}");
        assert!(gradient.abs().sum(Kind::Float).double_value(&[]) > 0.0, "{name} has no gradient");
    }
}
