//! Whole model folders: missing parts, things that are no files, components that do not fit each other.

use serde_json::json;

use super::{Scratch, directory, fifo, options, refused, resized};
use retouch_diffusion::Model;

const UNET: &str = "unet/diffusion_pytorch_model.safetensors";
const VAE: &str = "vae/diffusion_pytorch_model.safetensors";
const TEXT: &str = "text_encoder/model.safetensors";

#[test]
fn every_part_is_needed_and_must_be_a_file() {
    let scratch = Scratch::new("ip2p", "ddim");
    let unreadable = "model_file_unreadable";
    let parts: [(&str, &str, &str); 8] = [
        ("model_index.json", "model_incomplete", "model_incomplete"),
        ("scheduler/scheduler_config.json", unreadable, unreadable),
        ("tokenizer/vocab.json", "model_tokenizer_invalid", "model_tokenizer_invalid"),
        ("unet/config.json", unreadable, unreadable),
        ("vae/config.json", unreadable, unreadable),
        ("text_encoder/config.json", unreadable, unreadable),
        (UNET, "model_incomplete", unreadable),
        (TEXT, "model_incomplete", unreadable),
    ];
    for (file, missing, irregular) in parts {
        let name = file.rsplit('/').next().expect("a name");
        refused(file, scratch.load_with(file, None), missing, &[name]);
        for damage in [directory, fifo] {
            let result = scratch.damaged(file, damage, |folder| Model::load(folder, &options()));
            refused(file, result, irregular, &[name]);
        }
    }
    let nowhere = scratch.folder.join("nowhere");
    refused("no folder", Model::load(&nowhere, &options()), "model_incomplete", &["nowhere"]);
    Model::load(&scratch.folder, &options()).expect("every damage was undone");
}

#[test]
fn only_two_pipelines_are_known() {
    let scratch = Scratch::new("ip2p", "ddim");
    let cases: [(&[u8], &str, &str); 6] = [
        (br#"{"_class_name": "FluxPipeline"}"#, "model_config_unsupported", "FluxPipeline"),
        (br#"{"_class_name": 7}"#, "model_config_unsupported", "_class_name"),
        (b"{}", "model_config_unsupported", "_class_name"),
        (b"[]", "model_config_invalid", "model_index.json"),
        (b"", "model_config_invalid", "model_index.json"),
        // The UNet takes image latents too.
        (br#"{"_class_name": "StableDiffusionPipeline"}"#, "model_config_unsupported", "in_channels"),
    ];
    for (content, code, named) in cases {
        refused(named, scratch.load_with("model_index.json", Some(content)), code, &[named]);
    }
}

#[test]
fn components_of_other_classes_are_named() {
    let scratch = Scratch::new("ip2p", "ddim");
    let index = |component: &str, entry: &str| {
        let text = format!(
            r#"{{"_class_name": "StableDiffusionInstructPix2PixPipeline", "_diffusers_version": "0.42.1",
            "feature_extractor": ["transformers", "CLIPImageProcessor"], "image_encoder": [null, null],
            "requires_safety_checker": true, "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
            "text_encoder": ["transformers", "CLIPTextModel"], "vae": null, "{component}": {entry}}}"#
        );
        scratch.load_with("model_index.json", Some(text.as_bytes()))
    };
    index("unet", r#"["diffusers", "UNet2DConditionModel"]"#).expect("a published file");
    let cases = [
        ("unet", r#"["diffusers", "UNet3DConditionModel"]"#, "UNet3DConditionModel"),
        ("tokenizer", r#"["transformers", "T5Tokenizer"]"#, "T5Tokenizer"),
        ("scheduler", r#"["diffusers", "PNDMScheduler"]"#, "DDIMScheduler"),
        ("unet", r#""UNet2DConditionModel""#, "library and class"),
        ("unet", r#"["diffusers", 7]"#, "library and class"),
        ("safety_checker", "false", "library and class"),
        ("requires_safety_checker", "1", "true or false"),
        ("controlnet", r#"["diffusers", "ControlNetModel"]"#, "not known"),
    ];
    for (component, entry, says) in cases {
        let result = index(component, entry);
        refused(entry, result, "model_config_unsupported", &["model_index.json", component, says]);
    }
}

#[test]
fn a_scheduler_configuration_is_refused_by_its_file() {
    let scratch = Scratch::new("ip2p", "ddim");
    let file = "scheduler/scheduler_config.json";
    let cases: [(&[u8], &str, &str); 6] = [
        (b"{", "sampler_config_json", "EOF"),
        (b"[]", "sampler_config_json", "expected a map"),
        (br#"{"_class_name": "DDIMScheduler", "betas": 1}"#, "sampler_config_unknown_field", "betas"),
        (br#"{"_class_name": []}"#, "sampler_unknown", "sampler"),
        (b"\xff\xfe", "model_file_unreadable", "utf-8"),
        (&vec![b' '; 5 << 20], "model_config_unsupported", "5242880 bytes"),
    ];
    for (content, code, named) in cases {
        refused(named, scratch.load_with(file, Some(content)), code, &["scheduler_config.json", named]);
    }
}

/// The model with the configuration of `component` changed in `field` and its weights replaced by `weights`.
fn swapped(
    scratch: &Scratch,
    weights: (&str, Vec<u8>),
    field: &str,
    value: i64,
) -> Result<Model, retouch_diffusion::Error> {
    let (file, bytes) = weights;
    let config = format!("{}/config.json", file.split('/').next().expect("a component"));
    let mut fields = scratch.json(&config);
    fields.insert(field.into(), json!(value));
    let fields = serde_json::to_vec(&fields).expect("JSON");
    scratch.damaged(
        &config,
        |path| std::fs::write(path, fields).expect("writable"),
        |_| scratch.load_with(file, Some(&bytes)),
    )
}

#[test]
fn components_must_fit_each_other() {
    let scratch = Scratch::new("ip2p", "ddim");
    let unsupported = "model_config_unsupported";
    let wide = resized("ip2p/unet", &[("attn2.to_k.weight", 1, 48), ("attn2.to_v.weight", 1, 48)]);
    let result = swapped(&scratch, (UNET, wide), "cross_attention_dim", 48);
    refused(
        "wide UNet",
        result,
        unsupported,
        &["unet/config.json", "cross_attention_dim", "48", "hidden_size 32"],
    );

    let inputs = resized("ip2p/unet", &[("conv_in.weight", 1, 4)]);
    let result = swapped(&scratch, (UNET, inputs), "in_channels", 4);
    refused("UNet without image", result, unsupported, &["unet/config.json", "in_channels", "8, as the VAE"]);

    let outputs = resized("ip2p/unet", &[("conv_out.weight", 0, 3), ("conv_out.bias", 0, 3)]);
    let result = swapped(&scratch, (UNET, outputs), "out_channels", 3);
    refused("UNet of 3 channels", result, unsupported, &["unet/config.json", "out_channels"]);

    let gray = resized("ip2p/vae", &[("decoder.conv_out.weight", 0, 1), ("decoder.conv_out.bias", 0, 1)]);
    let result = swapped(&scratch, (VAE, gray), "out_channels", 1);
    refused("VAE of gray images", result, unsupported, &["vae/config.json", "out_channels"]);

    let latents = [
        ("encoder.conv_out.weight", 0, 6),
        ("encoder.conv_out.bias", 0, 6),
        ("quant_conv.weight", 0, 6),
        ("quant_conv.weight", 1, 6),
        ("quant_conv.bias", 0, 6),
        ("post_quant_conv.weight", 0, 3),
        ("post_quant_conv.weight", 1, 3),
        ("post_quant_conv.bias", 0, 3),
        ("decoder.conv_in.weight", 1, 3),
    ];
    let result = swapped(&scratch, (VAE, resized("ip2p/vae", &latents)), "latent_channels", 3);
    refused(
        "VAE of 3 latent channels",
        result,
        unsupported,
        &["unet/config.json", "in_channels", "3 latent"],
    );

    for (field, tensor, size) in [
        ("vocab_size", "token_embedding.weight", 100),
        ("max_position_embeddings", "position_embedding.weight", 16),
    ] {
        let small = resized("ip2p/text_encoder", &[(tensor, 0, size)]);
        let result = swapped(&scratch, (TEXT, small), field, size as i64);
        refused(field, result, "model_tokenizer_invalid", &["tokenizer", field]);
    }
}

#[test]
fn a_tokenizer_is_refused_by_its_file() {
    let scratch = Scratch::new("ip2p", "ddim");
    let config = "tokenizer/tokenizer_config.json";
    let nested = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
    let cases: [(&str, &[u8], &str); 13] = [
        ("tokenizer/vocab.json", b"{\"a\": -1}", "vocab.json"),
        ("tokenizer/vocab.json", b"{\"a\": 4294967295}", "out of vocabulary"),
        ("tokenizer/vocab.json", b"[]", "vocab.json"),
        ("tokenizer/vocab.json", &nested, "vocab.json"),
        ("tokenizer/merges.txt", b"a b c\n", "line 1"),
        ("tokenizer/merges.txt", b"zz yy\n", "merges.txt"),
        ("tokenizer/merges.txt", b"\xff", "merges.txt"),
        (config, b"{\"model_max_length\": 1}", "model_max_length"),
        (config, b"{\"added_tokens_decoder\": []}", "added_tokens_decoder"),
        ("tokenizer/special_tokens_map.json", b"{\"bos_token\": 5}", "bos_token"),
        (config, b"{\"padding_side\": \"left\"}", "padding_side"),
        (config, b"{\"tokenizer_class\": \"T5Tokenizer\"}", "T5Tokenizer"),
        (config, &nested, "tokenizer_config.json"),
    ];
    for (file, content, named) in cases {
        refused(
            named,
            scratch.load_with(file, Some(content)),
            "model_tokenizer_invalid",
            &["tokenizer", named],
        );
    }
}
