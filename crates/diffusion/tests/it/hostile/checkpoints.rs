//! Safetensors files, shards and variants.

use std::path::Path;

use serde_json::{Value, json};
use tch::{Kind, Tensor};

use super::{File, Scratch, Tensors, chain, options, refused, tensors, text_encoder};
use retouch_diffusion::models::clip::ClipText;
use retouch_diffusion::{Device, Error, LoadReport, Model};

const TEXT: &str = "text_encoder/model.safetensors";
const CORRUPT: &str = "model_checkpoint_corrupt";
const MISMATCH: &str = "model_tensors_mismatch";
/// A tensor of the text encoder.
const NORM: &str = "text_model.final_layer_norm.weight";

/// The text encoder from a checkpoint of these bytes.
fn load(scratch: &Scratch, bytes: &[u8]) -> Result<(ClipText, LoadReport), Error> {
    scratch.damaged(TEXT, |path| std::fs::write(path, bytes).expect("writable"), text_encoder)
}

/// What the text encoder gives for a few tokens.
fn result(text: &ClipText) -> Tensor {
    tch::no_grad(|| text.forward(&Tensor::from_slice(&[1i64, 2, 3]).unsqueeze(0), None)).expect("runs")
}

#[test]
fn a_truncated_file_is_corrupt_in_every_component() {
    let scratch = Scratch::new("ip2p", "ddim");
    for file in [TEXT, "vae/diffusion_pytorch_model.safetensors", "unet/diffusion_pytorch_model.safetensors"]
    {
        let good = std::fs::read(scratch.folder.join(file)).expect("readable");
        let header = 8 + u64::from_le_bytes(good[..8].try_into().expect("8 bytes")) as usize;
        let early = (0..24).chain((24..header).step_by(header / 20));
        let late = [header, header + 1, good.len() / 2, good.len() - 4, good.len() - 1];
        for cut in early.chain(late) {
            if file == TEXT {
                refused(&format!("{cut} bytes"), load(&scratch, &good[..cut]), CORRUPT, &[TEXT]);
            } else if late.contains(&cut) {
                refused(
                    &format!("{cut} bytes"),
                    scratch.load_with(file, Some(&good[..cut])),
                    CORRUPT,
                    &[file],
                );
            }
        }
        let longer = [good.as_slice(), b"x"].concat();
        refused("a byte more", scratch.load_with(file, Some(&longer)), CORRUPT, &[file]);
    }
}

#[test]
fn a_header_that_lies_is_corrupt() {
    let scratch = Scratch::new("ip2p", "ddim");
    let good = File::new(&tensors("ip2p/text_encoder"));
    let with_length = |length: u64| {
        let mut bytes = good.bytes(0);
        bytes[..8].copy_from_slice(&length.to_le_bytes());
        bytes
    };
    for length in [0, 1, 7, 100, 99_999_999, 100_000_001, 1 << 31, 1 << 63, u64::MAX] {
        refused(&format!("length {length}"), load(&scratch, &with_length(length)), CORRUPT, &[TEXT]);
    }
    let raw = |header: &[u8]| [&(header.len() as u64).to_le_bytes(), header, &good.data].concat();
    let deep = [vec![b'['; 50_000], vec![b']'; 50_000]].concat();
    let headers: [&[u8]; 6] = [b"", b"{}", b"[]", b"{\"a\": 1}", b"\xff\xfe\xfd\xfc", &deep];
    for header in headers {
        refused("header", load(&scratch, &raw(header)), CORRUPT, &[TEXT]);
    }
    let offsets = |start: &Value, end: &Value| {
        let mut file = File { header: good.header.clone(), data: good.data.clone() };
        file.header[NORM]["data_offsets"] = json!([start, end]);
        file.bytes(0)
    };
    let [start, end] = [0, 1].map(|i| good.header[NORM]["data_offsets"][i].as_u64().expect("a number"));
    let cases = [
        ("overlap", json!(start - 4), json!(end - 4)),
        ("longer than its shape", json!(start), json!(end + 4)),
        ("backwards", json!(end), json!(start)),
        ("beyond the file", json!(1_u64 << 40), json!((1_u64 << 40) + 128)),
        ("beyond everything", json!(u64::MAX - 127), json!(u64::MAX)),
        ("negative", json!(-4), json!(124)),
        ("fraction", json!(0.5), json!(128)),
    ];
    for (what, start, end) in cases {
        refused(what, load(&scratch, &offsets(&start, &end)), CORRUPT, &[TEXT]);
    }
    let mut shape = File { header: good.header.clone(), data: good.data.clone() };
    for sizes in
        [json!([u64::MAX, u64::MAX]), json!([1_u64 << 62, 4]), json!([-32]), json!([31]), json!("32")]
    {
        shape.header[NORM]["shape"] = sizes.clone();
        refused(&sizes.to_string(), load(&scratch, &shape.bytes(0)), CORRUPT, &[TEXT]);
    }
    shape.header[NORM]["shape"] = json!([32]);
    shape.header[NORM]["dtype"] = json!("F33");
    refused("an unknown type", load(&scratch, &shape.bytes(0)), CORRUPT, &[TEXT]);
}

#[test]
fn a_tensor_that_does_not_fit_is_named() {
    let scratch = Scratch::new("ip2p", "ddim");
    let with = |dtype: &'static str, shape: Vec<usize>, bytes: usize| {
        let mut tensors = tensors("ip2p/text_encoder");
        tensors.insert(NORM.into(), (dtype, shape, vec![0; bytes]));
        load(&scratch, &File::new(&tensors).bytes(0))
    };
    let cases = [
        ("I64", vec![32], 256, "has the type I64 instead of"),
        ("I32", vec![32], 128, "has the type I32 instead of"),
        ("U8", vec![32], 32, "has the type U8 instead of"),
        ("F8_E4M3", vec![32], 32, "has the type F8_E4M3 instead of"),
        ("BOOL", vec![32], 32, "has the type BOOL instead of"),
        ("F32", vec![33], 132, "has the shape [33] instead of [32]"),
        ("F32", vec![1, 32], 128, "has the shape [1, 32] instead of [32]"),
        ("F32", vec![0], 0, "has the shape [0] instead of [32]"),
        ("F32", vec![], 4, "has the shape [] instead of [32]"),
        ("F32", vec![1 << 40, 1 << 20, 0, 8], 0, "instead of [32]"),
        ("F32", [vec![1; 9999], vec![32]].concat(), 128, "…"),
    ];
    for (dtype, shape, bytes, named) in cases {
        refused(named, with(dtype, shape, bytes), MISMATCH, &["text_encoder", NORM, named]);
    }
    let mut tensors = tensors("ip2p/text_encoder");
    tensors.remove(NORM);
    refused("missing", load(&scratch, &File::new(&tensors).bytes(0)), MISMATCH, &[NORM, "is missing"]);
    tensors.clear();
    let nothing = load(&scratch, &File::new(&tensors).bytes(0));
    refused("all missing", nothing, MISMATCH, &["token_embedding", "and more"]);
}

#[test]
fn extra_tensors_of_any_type_are_reported_and_odd_files_load() {
    let scratch = Scratch::new("ip2p", "ddim");
    let (good, report) = text_encoder(&scratch.folder).expect("loads");
    assert_eq!(report.unused, Vec::<String>::new());
    let mut tensors = tensors("ip2p/text_encoder");
    tensors.insert("extra.f8".into(), ("F8_E4M3", vec![3], vec![0; 3]));
    tensors.insert("extra.ids".into(), ("I64", vec![2], vec![0; 16]));
    tensors.insert("extra.empty".into(), ("F32", vec![1 << 40, 1 << 23, 0], vec![]));
    tensors.insert("extra.nan".into(), ("F32", vec![1], vec![0xff; 4]));
    let file = File::new(&tensors);
    for pad in 0..9 {
        let (text, report) = load(&scratch, &file.bytes(pad)).expect("loads");
        assert_eq!(report.unused, ["extra.empty", "extra.f8", "extra.ids", "extra.nan"], "{pad}");
        assert!(result(&text).equal(&result(&good)), "a header padded by {pad}");
        assert_eq!(text.checkpoint().parameters(), good.checkpoint().parameters() + 1);
        assert_eq!(text.checkpoint().kinds(), [Kind::Float]);
        assert_eq!(text.checkpoint().first_non_finite().as_deref(), Some("extra.nan"));
    }
}

/// The tensors as `kind` stores them, and what that makes of them in float32.
fn stored(dtype: &'static str, kind: Kind) -> (Tensors, Tensors) {
    let convert = |bytes: &[u8]| {
        let values: Vec<f32> =
            bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().expect("4 bytes"))).collect();
        let narrow = Tensor::from_slice(&values).to_kind(kind);
        let mut raw = vec![0u8; values.len() * kind.elt_size_in_bytes()];
        narrow.view_dtype(Kind::Uint8).copy_data(&mut raw, values.len() * kind.elt_size_in_bytes());
        let wide = Vec::<f32>::try_from(&narrow.to_kind(Kind::Float)).expect("float32");
        (raw, wide.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>())
    };
    let mut both = (Tensors::new(), Tensors::new());
    for (name, (_, shape, bytes)) in tensors("ip2p/text_encoder") {
        let (raw, wide) = convert(&bytes);
        both.0.insert(name.clone(), (dtype, shape.clone(), raw));
        both.1.insert(name, ("F32", shape, wide));
    }
    both
}

#[test]
fn every_float_type_loads_into_float32_with_its_values() {
    let scratch = Scratch::new("ip2p", "ddim");
    for (dtype, kind) in [("F16", Kind::Half), ("BF16", Kind::BFloat16), ("F64", Kind::Double)] {
        let (narrow, wide) = stored(dtype, kind);
        for pad in [0, 3] {
            let (narrow, _) = load(&scratch, &File::new(&narrow).bytes(pad)).expect("loads");
            let (wide, _) = load(&scratch, &File::new(&wide).bytes(0)).expect("loads");
            assert!(result(&narrow).equal(&result(&wide)), "{dtype}");
            assert_eq!(narrow.checkpoint().kinds(), [kind]);
        }
    }
}

/// Replaces the single file of the text encoder by `files`.
fn with_files(
    scratch: &Scratch,
    files: &[(&str, Vec<u8>)],
    variant: Option<&str>,
) -> Result<ClipText, Error> {
    let folder = scratch.folder.join("text_encoder");
    let write = |_: &Path| {
        for (name, bytes) in files {
            std::fs::write(folder.join(name), bytes).expect("writable");
        }
    };
    let load = |_: &Path| ClipText::load(&folder, variant, Device::Cpu, Kind::Float).map(|(text, _)| text);
    let result = scratch.damaged(TEXT, write, load);
    for (name, _) in files {
        // A file by the name of the good one has been put back by now.
        if *name != "model.safetensors" {
            std::fs::remove_file(folder.join(name)).expect("removable");
        }
    }
    result
}

fn index(map: &Value) -> (&'static str, Vec<u8>) {
    ("model.safetensors.index.json", json!({"metadata": {}, "weight_map": map}).to_string().into_bytes())
}

#[test]
fn shards_load_as_one_and_bad_indices_are_named() {
    let scratch = Scratch::new("ip2p", "ddim");
    let all = tensors("ip2p/text_encoder");
    let half = |odd: usize| -> Tensors {
        all.iter()
            .enumerate()
            .filter(|(i, _)| i % 2 == odd)
            .map(|(_, (n, t))| (n.clone(), t.clone()))
            .collect()
    };
    let names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    let shard = |odd: usize| (names[odd], File::new(&half(odd)).bytes(0));
    let map: serde_json::Map<String, Value> =
        (0..2).flat_map(|odd| half(odd).into_keys().map(move |n| (n, json!(names[odd])))).collect();
    let good = index(&Value::Object(map));
    let sharded = with_files(&scratch, &[shard(0), shard(1), good.clone()], None).expect("loads");
    assert!(result(&sharded).equal(&result(&text_encoder(&scratch.folder).expect("loads").0)));

    let missing = with_files(&scratch, &[shard(0), good.clone()], None);
    refused("a missing shard", missing, "model_file_unreadable", &[names[1]]);
    let twice = with_files(&scratch, &[shard(0), (names[1], File::new(&all).bytes(0)), good], None);
    refused("a tensor twice", twice, CORRUPT, &["in more than one shard"]);
    let half_map = with_files(&scratch, &[shard(0), index(&json!({"x": names[0]}))], None);
    refused("half of the tensors", half_map, MISMATCH, &["is missing"]);
    for (file, named) in [
        (json!("../escape.safetensors"), "escape"),
        (json!("/etc/passwd"), "passwd"),
        (json!("a/b.safetensors"), "a/b"),
        (json!(".."), ".."),
        (json!(""), "plain file name"),
        (json!(7), "7"),
        (json!(null), "null"),
        (json!("x".repeat(1 << 20) + "/"), "xxx…"),
    ] {
        let refusal = with_files(&scratch, &[index(&json!({"weight": file}))], None);
        refused(named, refusal, CORRUPT, &["model.safetensors.index.json", "`weight`", named]);
    }
    for map in [json!({}), json!([]), json!(null)] {
        refused("an empty map", with_files(&scratch, &[index(&map)], None), CORRUPT, &["weight_map"]);
    }
    let raw = |bytes: &[u8]| with_files(&scratch, &[("model.safetensors.index.json", bytes.to_vec())], None);
    refused("no JSON", raw(b"{"), "model_config_invalid", &["index.json"]);
    refused("5 MiB", raw(&vec![b' '; 5 << 20]), "model_config_unsupported", &["index.json", "5242880"]);
}

#[test]
fn variants_are_found_or_named() {
    let scratch = Scratch::new("ip2p", "ddim");
    let (fp16, as_fp32) = stored("F16", Kind::Half);
    let fp16 = File::new(&fp16).bytes(0);
    let expected = result(&load(&scratch, &File::new(&as_fp32).bytes(0)).expect("loads").0);
    for variant in [None, Some("fp16")] {
        let only = with_files(&scratch, &[("model.fp16.safetensors", fp16.clone())], variant).expect("loads");
        assert!(result(&only).equal(&expected), "{variant:?}");
    }
    let two = [("model.fp16.safetensors", fp16.clone()), ("model.ema.safetensors", fp16.clone())];
    refused(
        "two variants",
        with_files(&scratch, &two, None),
        "model_incomplete",
        &["text_encoder", "ema, fp16"],
    );
    let absent = with_files(&scratch, &two[..1], Some("bf16"));
    refused("another variant", absent, "model_incomplete", &["model.bf16.safetensors", "fp16"]);
    let named = with_files(&scratch, &[("model.ema.safetensors.index.json", b"{}".to_vec())], None);
    refused("a stray file", named, "model_incomplete", &["model.safetensors"]);
    for pickled in ["pytorch_model.bin", "model.ckpt", "model.pt"] {
        let only = with_files(&scratch, &[(pickled, b"\x80\x02".to_vec())], None);
        refused(pickled, only, "model_incomplete", &["pickled", "safe_serialization=True"]);
    }
}

#[test]
fn random_damage_never_panics() {
    let scratch = Scratch::new("ip2p", "ddim");
    let good = File::new(&tensors("ip2p/text_encoder")).bytes(0);
    let header = 8 + u64::from_le_bytes(good[..8].try_into().expect("8 bytes")) as usize;
    for i in 0..300 {
        let mut bytes = good.clone();
        bytes[i * 7919 % header] ^= 1 << (i % 8);
        if let Err(error) = load(&scratch, &bytes) {
            assert!([CORRUPT, MISMATCH].contains(&error.code()), "{}", chain(&error));
        }
    }
    Model::load(&scratch.folder, &options()).expect("every damage was undone");
}
