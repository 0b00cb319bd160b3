//! UNet and VAE alone, against diffusers.

use tch::{Device, Kind, Tensor};

use retouch_diffusion::models::unet::{AttentionMap, UNet};
use retouch_diffusion::models::vae::Vae;

use crate::fixture::{assert_close, diffusers_model, golden, noise};

/// One forward pass in float32 on the CPU.
const TOLERANCE: f64 = 1e-4;

fn check_unet(case: &str, rows: i64, height: i64, width: i64, tokens: i64) {
    let (_dir, folder) = diffusers_model(case);
    let (unet, report) = UNet::load(&folder, None, Device::Cpu, Kind::Float).expect("loads");
    assert_eq!(report.unused, Vec::<String>::new());
    let golden = golden(case);
    let config = unet.config();
    let sample = noise("sample", &[rows, config.in_channels, height, width]);
    let text = noise("text", &[rows, tokens, config.cross_attention_dim[0]]);
    let _guard = tch::no_grad_guard();
    let kv = unet.text_kv(&text);
    let result = unet.forward(&sample, &golden["timesteps"], &kv, None);
    assert_close(case, &result, &golden["result"], TOLERANCE);
    if let Some(copied) = golden.get("copied") {
        let map = AttentionMap::new(&[0, 0, 2], Device::Cpu);
        let result = unet.forward(&sample, &golden["timesteps"], &kv, Some(&map));
        assert_close("self-attention of row 0 in row 1", &result, copied, TOLERANCE);
    }
    for row in 0..rows {
        let one = |t: &Tensor| t.narrow(0, row, 1);
        let alone = unet.forward(&one(&sample), &one(&golden["timesteps"]), &unet.text_kv(&one(&text)), None);
        assert_close("a row alone", &alone, &one(&result), TOLERANCE);
    }
}

#[test]
fn unet_instruct_pix2pix() {
    check_unet("unet_ip2p", 3, 32, 32, 77);
}

#[test]
fn unet_sd1_not_square() {
    check_unet("unet_sd1", 2, 16, 24, 7);
}

#[test]
fn unet_sd2() {
    check_unet("unet_sd2", 2, 32, 24, 13);
}

#[test]
fn unet_with_every_unusual_field_and_odd_sizes() {
    check_unet("unet_odd", 2, 18, 22, 5);
}

#[test]
fn unet_four_levels() {
    check_unet("unet_four_levels", 1, 40, 32, 77);
}

fn check_vae(case: &str, rows: i64, height: i64, width: i64) -> Vae {
    let (_dir, folder) = diffusers_model(case);
    let (vae, report) = Vae::load(&folder, None, Device::Cpu, Kind::Float).expect("loads");
    assert_eq!(report.unused, Vec::<String>::new());
    let golden = golden(case);
    let _guard = tch::no_grad_guard();
    let posterior = vae.encode(&noise("image", &[rows, 3, height, width]).clamp(-1.0, 1.0));
    assert_close("mean", &posterior.mode(), &golden["mean"], TOLERANCE);
    assert_close("log variance", &posterior.log_variance, &golden["logvar"], TOLERANCE);
    let latents = noise("latents", &posterior.mean.size());
    assert_close("sample", &posterior.sample(&latents), &golden["sample"], TOLERANCE);
    assert_close("decoded", &vae.decode(&latents), &golden["decoded"], TOLERANCE);
    vae
}

#[test]
fn vae_instruct_pix2pix() {
    assert_eq!(check_vae("vae_ip2p", 1, 32, 32).config().factor(), 2);
}

#[test]
fn vae_not_square_and_tiled() {
    let vae = check_vae("vae_small", 2, 32, 48);
    let golden = golden("vae_small");
    let _guard = tch::no_grad_guard();
    let wide = noise("wide", &[1, 3, 56, 72]).clamp(-1.0, 1.0);
    assert_close("tiled encode", &vae.encode_tiled(&wide).mode(), &golden["tiled_mean"], TOLERANCE);
    let decoded = vae.decode_tiled(&noise("wide_latents", &[1, 3, 14, 18]));
    assert_close("tiled decode", &decoded, &golden["tiled_decoded"], TOLERANCE);
}

#[test]
fn vae_without_optional_parts() {
    check_vae("vae_bare", 1, 16, 16);
}

#[test]
fn vae_with_the_old_attention_names() {
    let (_dir, folder) = diffusers_model("vae_ip2p");
    let names = [("to_q", "query"), ("to_k", "key"), ("to_v", "value"), ("to_out.0", "proj_attn")];
    let old: std::collections::BTreeMap<_, _> = crate::fixture::tensors("vae_ip2p")
        .into_iter()
        .map(|(name, tensor)| (names.iter().fold(name, |n, (new, old)| n.replace(new, old)), tensor))
        .collect();
    crate::fixture::write_safetensors(&folder.join("diffusion_pytorch_model.safetensors"), &old);
    let (vae, report) = Vae::load(&folder, None, Device::Cpu, Kind::Float).expect("loads");
    assert_eq!(report.unused, Vec::<String>::new());
    let latents = noise("latents", &[1, 4, 16, 16]);
    let decoded = tch::no_grad(|| vae.decode(&latents));
    assert_close("decoded", &decoded, &golden("vae_ip2p")["decoded"], TOLERANCE);
}
