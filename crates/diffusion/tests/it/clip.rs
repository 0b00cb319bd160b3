//! CLIP against transformers' outputs on random weights, and against files and inputs that do not fit.

use std::collections::HashMap;
use std::path::Path;

use retouch_diffusion::models::clip::{ClipConfig, ClipModel, ClipText, ClipTextConfig, cosine, normalize};
use retouch_diffusion::{Error, Result};
use tch::{Device, Kind, Tensor};

use crate::fixture::{self, golden, goldens};

/// Of max|Δ| / max(1, max|reference|), in float32.
const TOLERANCE: f64 = 1e-4;

fn expected() -> HashMap<String, Tensor> {
    golden("clip")
}

#[track_caller]
fn assert_close(what: &str, result: &Tensor, reference: &Tensor) {
    fixture::assert_close(what, result, reference, TOLERANCE);
}

fn text(folder: &Path) -> Result<ClipText> {
    let (text, report) = ClipText::load(folder, None, Device::Cpu, Kind::Float)?;
    assert_eq!(report.unused, Vec::<String>::new());
    Ok(text)
}

fn dual(folder: &Path) -> Result<ClipModel> {
    let (clip, report) = ClipModel::load(folder, None, Device::Cpu, Kind::Float)?;
    assert_eq!(report.unused, Vec::<String>::new());
    Ok(clip)
}

#[test]
fn stable_diffusion_1_text() {
    let g = expected();
    let text = text(&goldens().join("clip_text_sd1")).unwrap();
    let ids = &g["sd1.ids"];
    assert_close("hidden", &text.forward(ids, None).unwrap(), &g["sd1.hidden"]);
    assert_close("pooled", &text.pooled(ids).unwrap(), &g["sd1.pooled"]);
    for skip in [1, 2, 5] {
        let skipped = text.forward(ids, Some(skip)).unwrap();
        assert_close(&format!("skip {skip}"), &skipped, &g[&format!("sd1.skip{skip}")]);
    }
    assert_eq!(text.forward(ids, Some(0)).unwrap(), text.forward(ids, None).unwrap());
}

#[test]
fn a_sequence_shorter_than_the_longest() {
    let g = expected();
    let text = text(&goldens().join("clip_text_sd1")).unwrap();
    let ids = &g["sd1_short.ids"];
    assert!(ids.size()[1] < text.config().max_position_embeddings);
    assert_close("hidden", &text.forward(ids, None).unwrap(), &g["sd1_short.hidden"]);
    assert_close("pooled", &text.pooled(ids).unwrap(), &g["sd1_short.pooled"]);
}

#[test]
fn stable_diffusion_2_text_stored_in_float16() {
    let g = expected();
    let text = text(&goldens().join("clip_text_sd2")).unwrap();
    assert_eq!(text.checkpoint().kinds(), [Kind::Half]);
    let ids = &g["sd2.ids"];
    assert_close("hidden", &text.forward(ids, None).unwrap(), &g["sd2.hidden"]);
    assert_close("pooled", &text.pooled(ids).unwrap(), &g["sd2.pooled"]);
    assert_close("skip 1", &text.forward(ids, Some(1)).unwrap(), &g["sd2.skip1"]);
}

#[test]
fn a_text_encoder_with_a_projection() {
    let g = expected();
    let projected = text(&goldens().join("clip_text_projection")).unwrap();
    let embeds = projected.text_embeds(&g["projection.ids"]).unwrap();
    assert_close("text_embeds", &embeds, &g["projection.text_embeds"]);
    let plain = text(&goldens().join("clip_text_sd1")).unwrap();
    let error = plain.text_embeds(&g["sd1.ids"]).unwrap_err().to_string();
    assert!(error.contains("text_projection.weight"), "{error}");
}

#[test]
fn dual_encoder() {
    let g = expected();
    let clip = dual(&goldens().join("clip_dual")).unwrap();
    let images = clip.image_features(&g["dual.pixels"]).unwrap();
    let texts = clip.text_features(&g["dual.ids"]).unwrap();
    assert_close("image features", &images, &g["dual.image_features"]);
    assert_close("text features", &texts, &g["dual.text_features"]);
    let cosines = cosine(&images, &texts);
    assert_close("cosine", &cosines, &g["dual.cosine"]);
    assert_close("logits", &(cosines * clip.logit_scale()), &g["dual.logits_per_image"]);
}

#[test]
fn sixteen_bits_are_close() {
    let g = expected();
    let load = |name: &str| ClipText::load(&goldens().join(name), None, Device::Cpu, Kind::BFloat16);
    let (text, _) = load("clip_text_sd1").unwrap();
    let hidden = text.forward(&g["sd1.ids"], None).unwrap();
    assert_eq!(hidden.kind(), Kind::BFloat16);
    let relative = |a: &Tensor, b: &Tensor| ((a - b).norm() / b.norm()).double_value(&[]);
    assert!(relative(&hidden.to_kind(Kind::Float), &g["sd1.hidden"]) < 0.03);
    let folder = goldens().join("clip_dual");
    let (clip, _) = ClipModel::load(&folder, None, Device::Cpu, Kind::BFloat16).unwrap();
    let images = clip.image_features(&g["dual.pixels"]).unwrap();
    assert_eq!(images.kind(), Kind::BFloat16);
    assert!(relative(&images.to_kind(Kind::Float), &g["dual.image_features"]) < 0.03);
}

#[test]
fn a_batch_gives_what_its_rows_give() {
    let g = expected();
    let clip = dual(&goldens().join("clip_dual")).unwrap();
    let (ids, pixels) = (&g["dual.ids"], &g["dual.pixels"]);
    let one = clip.text_features(&ids.narrow(0, 1, 1)).unwrap();
    assert_close("text", &one, &g["dual.text_features"].narrow(0, 1, 1));
    let one = clip.image_features(&pixels.narrow(0, 1, 1)).unwrap();
    assert_close("image", &one, &g["dual.image_features"].narrow(0, 1, 1));
}

#[test]
fn zero_features_have_no_direction() {
    let zero = Tensor::zeros([1, 4], (Kind::Float, Device::Cpu));
    assert_eq!(normalize(&zero), zero);
    let x = Tensor::from_slice(&[3.0f32, 4.0]).unsqueeze(0);
    assert_close("unit", &normalize(&x), &Tensor::from_slice(&[0.6f32, 0.8]).unsqueeze(0));
    assert_close("itself", &cosine(&x, &(&x * 7)), &Tensor::ones([1, 1], (Kind::Float, Device::Cpu)));
}

#[track_caller]
fn assert_parameter(name: &str, result: Result<Tensor>) {
    match result {
        Err(Error::Parameter { name: actual, .. }) => assert_eq!(actual, name),
        other => panic!("expected parameter `{name}` to be refused, got {other:?}"),
    }
}

#[test]
fn inputs_that_do_not_fit_are_named() {
    let text = text(&goldens().join("clip_text_sd1")).unwrap();
    let ids = |ids: &[i64]| Tensor::from_slice(ids).unsqueeze(0);
    for bad in [ids(&[0, 1000]), ids(&[0, -1]), ids(&[i64::MAX]), ids(&[i64::MIN]), ids(&[])] {
        assert_parameter("ids", text.forward(&bad, None));
        assert_parameter("ids", text.pooled(&bad));
    }
    assert_parameter("ids", text.forward(&ids(&[1; 78]), None));
    assert_parameter("ids", text.forward(&Tensor::from_slice(&[1i64]), None));
    assert_parameter("ids", text.forward(&ids(&[1]).to_kind(Kind::Int), None));
    assert_parameter("ids", text.forward(&ids(&[1]).narrow(0, 0, 0), None));
    for skip in [-1, 6, i64::MAX, i64::MIN] {
        assert_parameter("clip_skip", text.forward(&ids(&[1]), Some(skip)));
    }
    let clip = dual(&goldens().join("clip_dual")).unwrap();
    for shape in [[1, 3, 30, 31], [1, 1, 30, 30], [1, 3, 8, 8], [0, 3, 30, 30]] {
        let pixels = Tensor::zeros(shape, (Kind::Float, Device::Cpu));
        assert_parameter("pixels", clip.image_features(&pixels));
    }
}

/// A copy of a fixture with `edit`ed configuration.
fn edited(name: &str, edit: impl Fn(&mut serde_json::Value)) -> tempfile::TempDir {
    let copy = fixture::copy(name);
    let path = copy.path().join("config.json");
    let text = std::fs::read(&path).expect("a fixture has a configuration");
    let mut config = serde_json::from_slice(&text).expect("a fixture's configuration is JSON");
    edit(&mut config);
    std::fs::write(&path, config.to_string()).expect("the copy is writable");
    copy
}

#[test]
fn weights_that_do_not_fit_are_named() {
    for (field, value, tensor) in [
        ("vocab_size", 999, "text_model.embeddings.token_embedding.weight"),
        ("max_position_embeddings", 78, "text_model.embeddings.position_embedding.weight"),
        ("hidden_size", 64, "text_model.encoder.layers.0.layer_norm1.weight"),
        // Fused layers of this size would need terabytes.
        ("hidden_size", 1 << 20, "text_model.encoder.layers.0.layer_norm1.weight"),
        ("intermediate_size", 38, "text_model.encoder.layers.0.mlp.fc1.weight"),
        ("num_hidden_layers", 6, "text_model.encoder.layers.5.layer_norm1.weight"),
    ] {
        let folder = edited("clip_text_sd1", |config| config[field] = value.into());
        match text(folder.path()).map(|_| "loaded") {
            Err(Error::Tensors { problems, .. }) => {
                let named = problems.iter().any(|p| p.contains(tensor));
                assert!(named, "{field}: {problems:?}");
            }
            other => panic!("{field}: expected named tensors, got {other:?}"),
        }
    }
}

#[test]
fn fewer_layers_leave_tensors_unused() {
    let folder = edited("clip_text_sd1", |config| config["num_hidden_layers"] = 4.into());
    let (_, report) = ClipText::load(folder.path(), None, Device::Cpu, Kind::Float).unwrap();
    assert_eq!(report.unused.len(), 16);
    assert!(report.unused.iter().all(|name| name.starts_with("text_model.encoder.layers.4.")));
}

#[test]
fn unsupported_configurations_are_named() {
    for (field, value) in [
        ("hidden_act", r#""gelu_new""#),
        ("model_type", r#""clip""#),
        ("pruned_heads", r#"{"0": [1]}"#),
        ("use_attention_mask", "true"),
        ("num_attention_heads", "5"),
        ("num_hidden_layers", "100000"),
        ("hidden_size", "0"),
        ("eos_token_id", "[2, 3]"),
        ("layer_norm_eps", r#""small""#),
        ("quantization_config", r#"{"load_in_8bit": true}"#),
        ("no_such_field", "1"),
    ] {
        let value: serde_json::Value = serde_json::from_str(value).unwrap();
        let folder = edited("clip_text_sd1", |config| config[field] = value.clone());
        let error = text(folder.path()).map(|_| "loaded").unwrap_err();
        assert_eq!(error.code(), "model_config_unsupported", "{field}: {error}");
        // A number of heads is refused by what it does not divide.
        let named = if field == "num_attention_heads" { "hidden_size" } else { field };
        assert!(error.to_string().contains(&format!("`{named}`")), "{field}: {error}");
    }
    for (part, field) in [("vision_config", "patch_size"), ("text_config", "vocab_size")] {
        let folder = edited("clip_dual", |config| config[part][field] = 0.into());
        let error = dual(folder.path()).map(|_| "loaded").unwrap_err().to_string();
        assert!(error.contains(&format!("`{part}.{field}`")), "{error}");
    }
    let folder = edited("clip_dual", |config| config["text_config"] = 3.into());
    let error = dual(folder.path()).map(|_| "loaded").unwrap_err().to_string();
    assert!(error.contains("`text_config` has the value 3"), "{error}");
}

/// The fields that early versions of the reference wrote into each part of `openai/clip-vit-large-patch14`.
const EARLY: &str = r#""_name_or_path": "", "add_cross_attention": false, "architectures": null,
    "attention_dropout": 0.0, "bad_words_ids": null, "bos_token_id": 0, "chunk_size_feed_forward": 0,
    "cross_attention_hidden_size": null, "decoder_start_token_id": null, "diversity_penalty": 0.0, "do_sample": false,
    "dropout": 0.0, "early_stopping": false, "encoder_no_repeat_ngram_size": 0, "eos_token_id": 2,
    "finetuning_task": null, "forced_bos_token_id": null, "forced_eos_token_id": null,
    "id2label": {"0": "LABEL_0", "1": "LABEL_1"}, "initializer_factor": 1.0, "initializer_range": 0.02,
    "is_decoder": false, "is_encoder_decoder": false, "label2id": {"LABEL_0": 0, "LABEL_1": 1},
    "layer_norm_eps": 1e-05, "length_penalty": 1.0, "max_length": 20, "min_length": 0, "no_repeat_ngram_size": 0,
    "num_beam_groups": 1, "num_beams": 1, "num_return_sequences": 1, "output_attentions": false,
    "output_hidden_states": false, "output_scores": false, "pad_token_id": 1, "prefix": null, "problem_type": null,
    "pruned_heads": {}, "remove_invalid_values": false, "repetition_penalty": 1.0, "return_dict": true,
    "return_dict_in_generate": false, "sep_token_id": null, "task_specific_params": null, "temperature": 1.0,
    "tie_encoder_decoder": false, "tie_word_embeddings": true, "tokenizer_class": null, "top_k": 50, "top_p": 1.0,
    "torch_dtype": null, "torchscript": false, "transformers_version": "4.16.0.dev0", "use_bfloat16": false,
    "hidden_act": "quick_gelu", "projection_dim": 768"#;

fn write(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("there is room for a file");
    std::fs::write(file.path(), text).expect("a new file is writable");
    file
}

#[test]
fn configurations_of_published_models_are_read() {
    let vision = EARLY.replace(r#""eos_token_id": 2,"#, "");
    let file = write(&format!(
        r#"{{"_name_or_path": "clip-vit-large-patch14/", "architectures": ["CLIPModel"], "initializer_factor": 1.0,
        "logit_scale_init_value": 2.6592, "model_type": "clip", "projection_dim": 768, "torch_dtype": "float32",
        "transformers_version": null,
        "text_config": {{{EARLY}, "hidden_size": 1, "max_position_embeddings": 5, "model_type": "clip_text_model"}},
        "text_config_dict": {{"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12,
            "num_hidden_layers": 12, "projection_dim": 768}},
        "vision_config": {{{vision}, "hidden_size": 1024, "image_size": 224, "intermediate_size": 4096,
            "model_type": "clip_vision_model", "num_attention_heads": 16, "num_hidden_layers": 24, "patch_size": 14}}
        }}"#
    ));
    let config = ClipConfig::from_file(file.path()).unwrap();
    assert_eq!((config.projection_dim, config.vision.grid()), (768, 16));
    // `text_config_dict` decides alone, its absent fields by their defaults.
    let text = config.text;
    assert_eq!((text.hidden_size, text.max_position_embeddings, text.eos_token_id), (768, 77, 49407));

    let file =
        write(&format!(r#"{{{EARLY}, "hidden_size": 768, "num_attention_heads": 12, "vocab_size": 49408}}"#));
    let text = ClipTextConfig::from_file(file.path()).unwrap();
    assert_eq!((text.hidden_size, text.vocab_size, text.eos_token_id), (768, 49408, 2));
}

#[test]
fn missing_files_are_named() {
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(text(empty.path()), Err(Error::ModelFile { .. })));
    std::fs::copy(goldens().join("clip_text_sd1/config.json"), empty.path().join("config.json")).unwrap();
    let error = text(empty.path()).map(|_| "loaded").unwrap_err();
    assert!(error.to_string().contains("model.safetensors"), "{error}");
}
