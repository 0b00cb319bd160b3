//! Configuration files of the networks: unknown fields, wrong types, impossible and absurd values.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::{Scratch, refused};
use retouch_diffusion::models::clip::{ClipConfig, ClipModel, ClipText, ClipTextConfig};
use retouch_diffusion::models::unet::{UNet, UNetConfig};
use retouch_diffusion::models::vae::{Vae, VaeConfig};
use retouch_diffusion::{Device, Error, Kind};

const UNET: &str = "unet/config.json";
const VAE: &str = "vae/config.json";
const TEXT: &str = "text_encoder/config.json";
const DUAL: &str = "clip_dual/config.json";

fn read(path: &Path) -> Result<(), Error> {
    let within = |part: &str| path.parent().is_some_and(|folder| folder.ends_with(part));
    match path {
        _ if within("unet") => UNetConfig::from_file(path).map(drop),
        _ if within("vae") => VaeConfig::from_file(path).map(drop),
        _ if within("clip_dual") => ClipConfig::from_file(path).map(drop),
        _ => ClipTextConfig::from_file(path).map(drop),
    }
}

/// What comes of `fields` in place of `file`.
fn with_fields(scratch: &Scratch, file: &str, fields: &Map<String, Value>) -> Result<(), Error> {
    let path = scratch.folder.join(file);
    std::fs::write(&path, serde_json::to_vec(fields).expect("JSON")).expect("writable");
    read(&path)
}

#[test]
fn a_file_that_is_no_object_is_refused() {
    let scratch = Scratch::new("ip2p", "ddim");
    let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
    let deep_field = [b"{\"_note\":", deep.as_slice(), b"}"].concat();
    let long = [br#"{"x": ""#.as_slice(), &vec![b'y'; 3 << 20], br#""}"#].concat();
    let long_name = [br#"{""#.as_slice(), &vec![b'y'; 3 << 20], br#"": 1}"#].concat();
    let large = vec![b' '; 5 << 20];
    let (invalid, unsupported) = ("model_config_invalid", "model_config_unsupported");
    let cases: [(&[u8], &str, &str); 12] = [
        (b"", invalid, "EOF"),
        (b"{", invalid, "EOF"),
        (b"null", invalid, "null"),
        (b"[1, 2]", invalid, "expected a map"),
        (b"\x00\xff\xfe", invalid, "line 1"),
        (b"{\"x\": \"\xff\"}", invalid, "unicode"),
        (b"{\"norm_eps\": NaN}", invalid, "line 1"),
        (&deep, invalid, "config.json"),
        (&deep_field, invalid, "recursion limit"),
        (&large, unsupported, "at most 4194304 bytes"),
        (&long, unsupported, "`x`"),
        (&long_name, unsupported, "yyy…"),
    ];
    for file in [UNET, VAE, TEXT] {
        let path = scratch.folder.join(file);
        for (content, code, named) in cases {
            std::fs::write(&path, content).expect("writable");
            refused(named, read(&path), code, &[file, named]);
        }
    }
}

#[test]
fn a_value_that_cannot_be_honoured_is_refused_by_its_field() {
    let scratch = with_dual();
    let cases = [
        (DUAL, "vision_config", json!({"patch_size": 225}), "vision_config.patch_size"),
        (DUAL, "vision_config", json!({"image_size": 4096, "patch_size": 1025}), "vision_config.patch_size"),
        (DUAL, "text_config", json!([]), "text_config"),
        (DUAL, "vision_config", json!({"an_unknown_field": 0}), "vision_config.an_unknown_field"),
        (UNET, "an_unknown_field", json!(1), "an_unknown_field"),
        (UNET, "_class_name", json!("FluxTransformer2DModel"), "_class_name"),
        (UNET, "act_fn", json!("tanh"), "act_fn"),
        (UNET, "block_out_channels", json!([]), "block_out_channels"),
        (UNET, "block_out_channels", json!(vec![32; 17]), "block_out_channels"),
        (UNET, "block_out_channels", json!([32, -64]), "block_out_channels"),
        (UNET, "block_out_channels", json!([33, 64]), "norm_num_groups = 32"),
        (UNET, "norm_num_groups", json!(24), "norm_num_groups = 24"),
        (UNET, "attention_head_dim", json!(7), "attention_head_dim"),
        (UNET, "attention_head_dim", json!([8]), "attention_head_dim"),
        (UNET, "cross_attention_dim", json!([32, 32, 32]), "cross_attention_dim"),
        (UNET, "layers_per_block", json!(17), "layers_per_block"),
        (UNET, "layers_per_block", json!([2, 1 << 20]), "layers_per_block"),
        (UNET, "transformer_layers_per_block", json!(1 << 20), "transformer_layers_per_block"),
        (UNET, "in_channels", json!(0), "in_channels"),
        (UNET, "in_channels", json!(8.0), "in_channels"),
        (UNET, "in_channels", json!(-8), "in_channels"),
        (UNET, "in_channels", json!("8"), "in_channels"),
        (UNET, "in_channels", json!((1 << 20) + 1), "in_channels"),
        (UNET, "in_channels", json!(u64::MAX), "in_channels"),
        (UNET, "conv_in_kernel", json!(4), "conv_in_kernel"),
        (UNET, "downsample_padding", json!(-1), "downsample_padding"),
        (UNET, "down_block_types", json!(["DownBlock2D"]), "down_block_types"),
        (UNET, "up_block_types", json!(["AttnUpBlock2D", "UpBlock2D"]), "up_block_types"),
        (UNET, "mid_block_type", json!("UNetMidBlock2D"), "mid_block_type"),
        (UNET, "norm_eps", json!(-1e-5), "norm_eps"),
        (UNET, "freq_shift", json!(16), "freq_shift"),
        (UNET, "flip_sin_to_cos", json!(1), "flip_sin_to_cos"),
        (UNET, "num_attention_heads", json!(8), "num_attention_heads"),
        (UNET, "time_embedding_type", json!("fourier"), "time_embedding_type"),
        (VAE, "an_unknown_field", json!([]), "an_unknown_field"),
        (VAE, "_class_name", json!("AutoencoderTiny"), "_class_name"),
        (VAE, "down_block_types", json!(["DownEncoderBlock2D"]), "down_block_types"),
        (VAE, "latents_mean", json!([0.0]), "latents_mean"),
        (VAE, "layers_per_block", json!(1 << 20), "layers_per_block"),
        (VAE, "layers_per_block", json!([1]), "layers_per_block"),
        (VAE, "norm_num_groups", json!(24), "norm_num_groups = 24"),
        (VAE, "scaling_factor", json!(0), "scaling_factor"),
        (VAE, "force_upcast", json!("yes"), "force_upcast"),
        (TEXT, "an_unknown_field", json!({}), "an_unknown_field"),
        (TEXT, "model_type", json!("t5"), "model_type"),
        (TEXT, "hidden_act", json!("gelu_new"), "hidden_act"),
        (TEXT, "num_attention_heads", json!(5), "num_attention_heads = 5"),
        (TEXT, "num_hidden_layers", json!(257), "num_hidden_layers"),
        (TEXT, "layer_norm_eps", json!(-1.0), "layer_norm_eps"),
        (TEXT, "eos_token_id", json!(-2), "eos_token_id"),
        (TEXT, "vocab_size", json!(0), "vocab_size"),
        (TEXT, "pruned_heads", json!({"0": [1]}), "pruned_heads"),
    ];
    for (file, field, value, named) in cases {
        let good = scratch.json(file);
        let mut fields = good.clone();
        fields.insert(field.into(), value.clone());
        let what = format!("{field} = {value}");
        let result = with_fields(&scratch, file, &fields);
        refused(&what, result, "model_config_unsupported", &[file, named]);
        with_fields(&scratch, file, &good).expect("is good again");
    }
}

/// Values of every type and of every unreasonable size.
fn absurd() -> Vec<Value> {
    let mut nested = json!(1);
    for _ in 0..60 {
        nested = json!([nested]);
    }
    vec![
        json!(null),
        json!(true),
        json!(false),
        json!(""),
        json!("x"),
        json!([]),
        json!({}),
        json!([0]),
        json!([null]),
        json!(["x", "x"]),
        json!([1, 1]),
        json!([1 << 20, 1 << 20]),
        json!({"x": 1}),
        nested,
        json!(-1),
        json!(0),
        json!(1),
        json!(2),
        json!(16),
        json!(1 << 20),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(0.5),
        json!(1e-320),
        json!(1e308),
        json!(-1e308),
        json!("a".repeat(1 << 16)),
    ]
}

/// A model folder with CLIP's dual encoder in it.
fn with_dual() -> Scratch {
    let scratch = Scratch::new("ip2p", "ddim");
    let dual = scratch.folder.join("clip_dual");
    std::fs::create_dir(&dual).expect("writable");
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(crate::fixture::goldens().join("clip_dual").join(file), dual.join(file))
            .expect("committed");
    }
    scratch
}

/// Every field of every kind of configuration with every absurd value: an error that names the file, or a network that
/// loads without its weights in bounded memory, to name what is missing.
#[test]
fn any_value_in_any_field_is_taken_or_refused_in_bounded_memory() {
    let scratch = with_dual();
    let before = peak_memory();
    let mut refusals = 0;
    for file in [UNET, VAE, TEXT, DUAL] {
        let good = scratch.json(file);
        for field in good.keys() {
            for value in absurd() {
                let mut fields = good.clone();
                fields.insert(field.clone(), value);
                match with_fields(&scratch, file, &fields) {
                    Ok(()) => weightless(&scratch, file),
                    Err(error) => {
                        refused(field, Err::<(), _>(error), "model_config_unsupported", &[file]);
                        refusals += 1;
                    }
                }
            }
        }
    }
    assert!(refusals > 1000, "only {refusals} were refused");
    let grown = peak_memory() - before;
    assert!(grown < 1 << 30, "{grown} bytes were needed");
}

/// Loads the network of `file` from its good, small checkpoint.
fn weightless(scratch: &Scratch, file: &str) {
    let folder = scratch.folder.join(file).parent().expect("a component").to_owned();
    let (device, kind) = (Device::Cpu, Kind::Float);
    let result = match file {
        UNET => UNet::load(&folder, None, device, kind).map(drop),
        VAE => Vae::load(&folder, None, device, kind).map(drop),
        TEXT => ClipText::load(&folder, None, device, kind).map(drop),
        _ => ClipModel::load(&folder, None, device, kind).map(drop),
    };
    if let Err(error) = result {
        refused("weights", Err::<(), _>(error), "model_tensors_mismatch", &["tensor `"]);
    }
}

/// Most bytes that this process ever had in memory.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    let kib: u64 = line.trim().trim_end_matches(" kB").trim().parse().expect("a number");
    kib << 10
}

#[test]
fn absurd_networks_need_no_memory_before_they_are_refused() {
    let scratch = with_dual();
    let before = peak_memory();
    let set = |file: &str, changes: Value| {
        let mut fields = scratch.json(file);
        fields.extend(changes.as_object().expect("an object").clone());
        with_fields(&scratch, file, &fields).expect("in range");
    };
    let most = 1 << 20;
    set(
        UNET,
        json!({
            "block_out_channels": vec![most; 16], "layers_per_block": 16, "transformer_layers_per_block": 16,
            "down_block_types": vec!["CrossAttnDownBlock2D"; 16], "up_block_types": vec!["CrossAttnUpBlock2D"; 16],
            "in_channels": most, "out_channels": most, "cross_attention_dim": most, "time_embedding_dim": most,
        }),
    );
    set(
        VAE,
        json!({
            "block_out_channels": vec![most; 16], "layers_per_block": 16, "latent_channels": most,
            "down_block_types": vec!["DownEncoderBlock2D"; 16], "up_block_types": vec!["UpDecoderBlock2D"; 16],
        }),
    );
    set(
        TEXT,
        json!({
            "hidden_size": most, "intermediate_size": most, "num_hidden_layers": 256, "vocab_size": most,
            "max_position_embeddings": most,
        }),
    );
    set(
        DUAL,
        json!({
            "projection_dim": most,
            "text_config": {"hidden_size": most, "num_hidden_layers": 256, "vocab_size": most},
            "vision_config": {
                "num_attention_heads": 16,
                "hidden_size": most, "num_hidden_layers": 256, "num_channels": most, "image_size": most,
                "patch_size": 1024,
            },
        }),
    );
    for file in [UNET, VAE, TEXT, DUAL] {
        weightless(&scratch, file);
    }
    let grown = peak_memory() - before;
    assert!(grown < 1 << 30, "{grown} bytes were needed");
}
