//! How far 16-bit forward passes are from the float32 reference. `cargo test -p retouch-diffusion precision -- --nocapture`
//! prints the tables of docs/precision.md.

use retouch_diffusion::models::unet::UNet;
use retouch_diffusion::{Device, Kind};
use tch::Tensor;

use crate::fixture::{diffusers_model, golden, noise};
use crate::pipelines::{SAMPLERS, alone, edit, latents, load_as};

/// The median, the 90th and 99th percentile and the maximum of |Δ| / max(1, max|reference|).
fn distribution(result: &Tensor, reference: &Tensor) -> [f64; 4] {
    let scale = reference.abs().max().double_value(&[]).max(1.0);
    let result = result.to_kind(Kind::Double);
    let apart = (result - reference.to_kind(Kind::Double)).abs().reshape([-1]) / scale;
    [0.5, 0.9, 0.99, 1.0].map(|q| apart.quantile_scalar(q, 0, false, "linear").double_value(&[]))
}

fn print(what: &str, kind: Kind, [median, p90, p99, max]: [f64; 4]) {
    println!("| {what} | {kind:?} | {median:.1e} | {p90:.1e} | {p99:.1e} | {max:.1e} |");
}

#[test]
fn precision_of_one_forward() {
    let (_dir, folder) = diffusers_model("unet_ip2p");
    let golden = golden("unet_ip2p");
    let _guard = tch::no_grad_guard();
    for (kind, bound) in [(Kind::Float, 1e-4), (Kind::BFloat16, 5e-2), (Kind::Half, 1e-2)] {
        let (unet, _) = UNet::load(&folder, None, Device::Cpu, kind).expect("loads");
        let kv = unet.text_kv(&noise("text", &[3, 77, 32]));
        let result = unet.forward(&noise("sample", &[3, 8, 32, 32]), &golden["timesteps"], &kv, None);
        let distribution = distribution(&result, &golden["result"]);
        print("one forward", kind, distribution);
        assert!(distribution[3] <= bound, "{kind:?}: {distribution:?}");
    }
}

#[test]
fn precision_of_whole_loops() {
    let golden = golden("ip2p");
    for (kind, bound) in [(Kind::Float, 1e-3), (Kind::BFloat16, 0.2), (Kind::Half, 5e-2)] {
        for sampler in SAMPLERS {
            let output = alone(&load_as("ip2p", sampler, kind), edit());
            let distribution = distribution(&latents(&output), &golden[&format!("{sampler}.latents")]);
            print(&format!("20 steps, {sampler}"), kind, distribution);
            // The 90th percentile: guidance of 7.5 on random weights magnifies single values at will.
            assert!(distribution[1] <= bound, "{sampler} {kind:?}: {distribution:?}");
        }
    }
}
