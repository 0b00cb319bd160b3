//! The spatial layer in whole pipelines, with random weights.

use std::path::Path;
use std::rc::Rc;

use retouch_diffusion::models::spatial::SpatialConfig;
use retouch_diffusion::models::unet::UNetConfig;
use retouch_diffusion::{Device, Error, Kind, LoadOptions, Model};
use retouch_ports::step_engine::{AdmittedRow, EngineErrorKind, Gang, GangControl, RowRequest, StepEngine};
use retouch_testkit::models::{Tensors, values, write_safetensors};

use crate::fixture::{assert_close, difference, model_folder};
use crate::pipelines::{LOOP, alone, edit, engine, finish, latents, step_all};

const MOVE: &str = r#"{"version": 1, "intents": [{"op": "move", "target": {"noun": "tie", "location": "left"},
    "to": {"by": {"dx": 0.25, "dy": 0.0, "said": true}}}]}"#;
const REMOVE: &str = r#"{"version": 1, "intents": [{"op": "remove", "target": {"noun": "tie"}}]}"#;

/// The tensors of a layer for `unet`: each transformer block's, then the shared ones.
fn shapes(unet: &UNetConfig) -> Vec<(String, Vec<usize>)> {
    let config = SpatialConfig::default();
    let (token, text) = (config.token_dim as usize, unet.cross_attention_dim[0] as usize);
    let features = 12 + 1 + 10 + 9 * (1 + 2 * config.frequencies as usize);
    let width = unet.block_out_channels[0] as usize;
    let mut shapes: Vec<(String, Vec<usize>)> = vec![
        ("token_embedding.linear_1.weight".into(), vec![token, features + text]),
        ("token_embedding.linear_1.bias".into(), vec![token]),
        ("token_embedding.linear_2.weight".into(), vec![token, token]),
        ("token_embedding.linear_2.bias".into(), vec![token]),
        ("null_token".into(), vec![token]),
        ("maps.weight".into(), vec![width, 5 + unet.out_channels as usize, 3, 3]),
    ];
    for (block, level) in blocks(unet) {
        let (width, heads) = (unet.block_out_channels[level] as usize, unet.heads[level] as usize);
        let own: [(&str, Vec<usize>); 10] = [
            ("norm.weight", vec![width]),
            ("norm.bias", vec![width]),
            ("tokens.weight", vec![width, token]),
            ("tokens.bias", vec![width]),
            ("to_q.weight", vec![width, width]),
            ("to_k.weight", vec![width, width]),
            ("to_v.weight", vec![width, width]),
            ("to_out.0.weight", vec![width, width]),
            ("to_out.0.bias", vec![width]),
            ("focus", vec![heads]),
        ];
        shapes.extend(own.into_iter().map(|(name, shape)| (format!("{block}.{name}"), shape)));
        shapes.push((format!("{block}.gate"), vec![1]));
    }
    shapes
}

/// The transformer blocks of the fixture's UNets: attention on the larger of two levels and in the middle.
fn blocks(unet: &UNetConfig) -> Vec<(String, usize)> {
    let mut blocks = Vec::new();
    let last = unet.block_out_channels.len() - 1;
    for level in (0..=last).filter(|&level| unet.down_attention[level]) {
        for i in 0..unet.layers_per_block[level] {
            blocks.push((format!("down_blocks.{level}.attentions.{i}.transformer_blocks.0"), level));
        }
    }
    blocks.push(("mid_block.attentions.0.transformer_blocks.0".into(), last));
    for index in (0..=last).filter(|&index| unet.up_attention[index]) {
        for i in 0..=unet.layers_per_block[last - index] {
            blocks.push((format!("up_blocks.{index}.attentions.{i}.transformer_blocks.0"), last - index));
        }
    }
    blocks
}

/// Puts a layer into a model folder; its gates and maps are `open` or, as in a new layer, 0.
fn add_layer(model: &Path, open: bool) {
    let unet = UNetConfig::from_file(&model.join("unet/config.json")).expect("valid");
    let folder = model.join("spatial");
    std::fs::create_dir_all(&folder).expect("writable");
    std::fs::write(folder.join("config.json"), SpatialConfig::default().to_json()).expect("writable");
    let tensor = |(name, shape): (String, Vec<usize>)| {
        let gated = name.ends_with("gate") || name == "maps.weight";
        let value = |x: f32| if name.ends_with("gate") { 0.5 } else { x };
        let floats = values(&name, &shape).into_iter().map(|x| if gated && !open { 0.0 } else { value(x) });
        (name.clone(), (shape.clone(), floats.flat_map(f32::to_le_bytes).collect::<Vec<u8>>()))
    };
    let tensors: Tensors = shapes(&unet).into_iter().map(tensor).collect();
    write_safetensors(&folder.join("diffusion_pytorch_model.safetensors"), &tensors);
}

fn options() -> LoadOptions {
    LoadOptions { device: Device::Cpu, kind: Kind::Float, variant: None }
}

/// The model of the goldens with a layer, `open` or new; or without one.
fn model(layer: Option<bool>) -> Rc<Model> {
    let dir = tempfile::tempdir().expect("a temporary folder").keep();
    let folder = model_folder("ip2p", "euler", &dir);
    if let Some(open) = layer {
        add_layer(&folder, open);
    }
    Rc::new(Model::load(&folder, &options()).expect("loads"))
}

fn request(intents: &str) -> RowRequest {
    RowRequest { intents: Some(intents.to_owned()), steps: 3, ..edit() }
}

#[test]
fn a_new_layer_and_one_that_is_off_change_no_bit() {
    let plain = alone(&model(None), request(MOVE));
    assert!(alone(&model(Some(false)), request(MOVE)).latents == plain.latents, "gate 0");
    let open = model(Some(true));
    let off = alone(&open, RowRequest { spatial: false, ..request(MOVE) });
    assert!(off.latents == plain.latents, "off");
    let on = latents(&alone(&open, request(MOVE)));
    assert!(difference(&on, &latents(&plain)) > 1e-2, "on");
    // Read from the prompt, the same is said.
    let said = RowRequest { prompt: "move the tie on the left to the right by 25 %".into(), ..edit() };
    let read = RowRequest { intents: None, steps: 3, ..said.clone() };
    let given = RowRequest { intents: Some(MOVE.to_owned()), steps: 3, ..said.clone() };
    let free = RowRequest { spatial: false, steps: 3, ..said };
    let [read, given, free] = [read, given, free].map(|request| latents(&alone(&open, request)));
    assert!(difference(&read, &free) > 1e-2 && difference(&read, &given) < difference(&read, &free));
    // What the intents say decides, and a mark of the user's.
    let other = latents(&alone(&open, request(REMOVE)));
    assert!(difference(&on, &other) > 1e-3);
    let marked = RowRequest { source_box: Some([0.5, 0.5, 0.9, 0.9]), ..request(REMOVE) };
    assert!(difference(&latents(&alone(&open, marked)), &other) > 1e-3);
}

#[test]
fn rows_with_and_without_the_layer_share_a_batch_and_resume() {
    let model = model(Some(true));
    let off = RowRequest { spatial: false, ..request(MOVE) };
    let requests = [request(MOVE), off, request(REMOVE)];
    let expected: Vec<_> = requests.iter().map(|request| alone(&model, request.clone())).collect();
    let mut together = engine(&model);
    let ids: Vec<_> = requests
        .iter()
        .map(|request| together.admit(Gang::single(request.clone())).expect("admitted")[0])
        .collect();
    together.encode(&ids).expect("encoded");
    together.step(&ids).expect("steps");
    let export = together.export(ids[0]).expect("exported");
    while step_all(&mut together) {}
    for (id, expected) in ids.into_iter().zip(&expected) {
        assert_close("latents", &latents(&finish(&mut together, id)), &latents(expected), LOOP);
    }
    let mut other = engine(&model);
    let rows = vec![AdmittedRow { request: request(MOVE), resume: Some(export) }];
    let row = other.admit(Gang { rows, control: GangControl::Independent }).expect("resumed")[0];
    while step_all(&mut other) {}
    assert_close("resumed", &latents(&finish(&mut other, row)), &latents(&expected[0]), LOOP);
}

#[test]
fn wrong_marks_and_layers_are_named() {
    let model = model(Some(true));
    for source_box in [[0.5, 0.0, 0.4, 1.0], [0.0, 0.0, 1.5, 1.0], [f64::NAN, 0.0, 1.0, 1.0]] {
        let marked = RowRequest { source_box: Some(source_box), ..request(MOVE) };
        let error = engine(&model).admit(Gang::single(marked)).expect_err("refused");
        assert_eq!((error.kind, error.code), (EngineErrorKind::Invalid, "parameter_invalid"), "{error}");
        assert!(error.message.contains("source_box"), "{error}");
    }
    let bad = engine(&model).admit(Gang::single(request("{"))).expect_err("refused");
    assert!(bad.message.contains("intents"), "{bad}");

    let dir = tempfile::tempdir().expect("a temporary folder");
    let folder = model_folder("ip2p", "euler", dir.path());
    add_layer(&folder, true);
    let config = folder.join("spatial/config.json");
    for (text, code, says) in [
        ("{", "model_config_invalid", "config.json"),
        (r#"{"tokens": 4}"#, "model_config_unsupported", "tokens"),
        (r#"{"depth": 4}"#, "model_config_unsupported", "depth"),
        (r#"{"token_dim": 64}"#, "model_tensors_mismatch", "null_token"),
    ] {
        std::fs::write(&config, text).expect("writable");
        let error: Error = Model::load(&folder, &options()).map(drop).expect_err(text);
        assert!(error.code() == code && error.to_string().contains(says), "{text}: {error}");
    }
    let generator = model_folder("sd1", "pndm", dir.path());
    add_layer(&generator, true);
    let error = Model::load(&generator, &options()).map(drop).expect_err("a layer without an image");
    assert!(error.to_string().contains("spatial"), "{error}");
}
