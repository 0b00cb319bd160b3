//! Rows: weights and inputs that are not finite, requests that need too much memory, hostile exports.

use std::rc::Rc;

use retouch_diffusion::{Engine, Model};
use retouch_ports::step_engine::{
    AdmittedRow, EngineError, EngineErrorKind, Gang, GangControl, GivenNoise, RowId, RowRequest, Stage,
    StepEngine, Task,
};
use serde_json::{Value, json};

use super::{File, Scratch, options, tensors};
use crate::pipelines::{alone, edit, engine, generation};

fn request() -> RowRequest {
    RowRequest { steps: 4, ..edit() }
}

/// The model of `scratch` with one value of a tensor replaced.
fn poisoned(scratch: &Scratch, component: &str, tensor: &str, value: f32) -> Rc<Model> {
    let mut tensors = tensors(&format!("ip2p/{component}"));
    tensors.get_mut(tensor).expect("a tensor").2[8..12].copy_from_slice(&value.to_le_bytes());
    let stem = if component == "text_encoder" { "model" } else { "diffusion_pytorch_model" };
    let file = format!("{component}/{stem}.safetensors");
    Rc::new(scratch.load_with(&file, Some(&File::new(&tensors).bytes(0))).expect("NaN is a float"))
}

/// Fails unless `error` blames `row` and names everything in `named`.
#[track_caller]
fn non_finite(error: &EngineError, row: RowId, named: &[&str]) {
    assert_eq!((error.kind, error.code), (EngineErrorKind::NonFinite, "row_non_finite"), "{error}");
    assert_eq!(error.rows, [row]);
    for name in named {
        assert!(error.message.contains(name), "{name:?} is not named in {:?}", error.message);
    }
}

fn admit(engine: &mut Engine, request: RowRequest) -> RowId {
    engine.admit(Gang::single(request)).expect("admitted")[0]
}

#[test]
fn weights_that_are_not_finite_are_named_where_they_show() {
    let scratch = Scratch::new("ip2p", "ddim");
    let unet = "mid_block.resnets.0.conv1.weight";
    let text = "text_model.embeddings.position_embedding.weight";
    for (component, tensor) in [("unet", unet), ("text_encoder", text)] {
        let mut engine = engine(&poisoned(&scratch, component, tensor, f32::NAN));
        let row = admit(&mut engine, request());
        engine.encode(&[row]).expect("encodes");
        let (status, state) = (engine.rows(), engine.export(row).expect("exports"));
        for _ in 0..2 {
            let error = engine.step(&[row]).expect_err("NaN");
            non_finite(&error, row, &["row 0", "forward 0", component, tensor]);
        }
        assert_eq!((engine.rows(), engine.export(row).expect("exports")), (status, state));
        engine.cancel(row).expect("canceled");
        assert_eq!(engine.capacity().used, 0);
    }
    let tensor = "encoder.conv_in.weight";
    let mut encoding = engine(&poisoned(&scratch, "vae", tensor, f32::INFINITY));
    let row = admit(&mut encoding, request());
    non_finite(&encoding.encode(&[row]).expect_err("infinite"), row, &["vae", tensor]);
    assert_eq!(encoding.rows()[0].stage, Stage::Admitted);

    let tensor = "decoder.conv_out.bias";
    let mut decoding = engine(&poisoned(&scratch, "vae", tensor, f32::INFINITY));
    let row = admit(&mut decoding, request());
    decoding.encode(&[row]).expect("encodes");
    while decoding.rows()[0].stage == Stage::Denoising {
        decoding.step(&[row]).expect("steps");
    }
    non_finite(&decoding.decode(&[row]).expect_err("infinite"), row, &["vae", tensor]);
    assert_eq!(decoding.rows()[0].stage, Stage::Denoised);
}

#[test]
fn a_row_that_overflows_leaves_the_others_as_they_are() {
    let scratch = Scratch::new("ip2p", "ddim");
    let model = Rc::new(Model::load(&scratch.folder, &options()).expect("loads"));
    let expected = alone(&model, request());
    let mut engine = engine(&model);
    let noise = GivenNoise { latents: vec![3e38; 4 * 16 * 24], steps: Vec::new() };
    let bad = admit(&mut engine, RowRequest { noise: Some(noise), ..request() });
    let good = admit(&mut engine, request());
    let bright =
        admit(&mut engine, RowRequest { task: Task::Edit { image: vec![3e38; 3 * 32 * 48] }, ..request() });
    non_finite(&engine.encode(&[bright]).expect_err("overflows"), bright, &["the VAE overflowed", "float32"]);
    engine.encode(&[bad, good]).expect("encodes");
    let state = engine.export(good).expect("exports");
    non_finite(&engine.step(&[bad, good]).expect_err("overflows"), bad, &["forward 0"]);
    assert!(engine.export(good).expect("exports") == state, "the good row moved");
    engine.cancel(bad).expect("canceled");
    while engine.rows().iter().any(|r| r.id == good && r.stage == Stage::Denoising) {
        engine.step(&[good]).expect("steps");
    }
    engine.decode(&[good]).expect("decodes");
    assert!(engine.take(good).expect("taken").latents == expected.latents);
}

#[test]
fn inputs_that_are_not_finite_or_too_large_are_refused() {
    let scratch = Scratch::new("sd1", "ddim");
    let ip2p = Scratch::new("ip2p", "ddim");
    let [generating, editing] =
        [&scratch, &ip2p].map(|s| Rc::new(Model::load(&s.folder, &options()).expect("loads")));
    let noise = |value: f32| Some(GivenNoise { latents: vec![value; 4 * 16 * 24], steps: Vec::new() });
    let mut image = vec![0.0; 3 * 32 * 48];
    image[5] = f32::NAN;
    let large = |width, steps, sampler: &str| RowRequest {
        width,
        height: width,
        steps,
        sampler: Some(sampler.into()),
        ..generation("")
    };
    let cases = [
        (&editing, RowRequest { task: Task::Edit { image }, ..edit() }, "image", "position 5"),
        (&editing, RowRequest { noise: noise(f32::NEG_INFINITY), ..edit() }, "noise.latents", "-inf"),
        (&generating, large(8192, 10, "euler-a"), "steps", "smaller image"),
        (&generating, large(4096, 100, "ddpm"), "steps", "another sampler"),
    ];
    for (model, request, name, named) in cases {
        let error = engine(model).admit(Gang::single(request)).expect_err(name);
        assert_eq!((error.kind, error.code), (EngineErrorKind::Invalid, "parameter_invalid"));
        assert!(error.message.contains(name) && error.message.contains(named), "{error}");
    }
}

#[test]
fn a_bad_scheduler_value_is_named_when_its_sampler_is_wanted() {
    let scratch = Scratch::new("ip2p", "ddim");
    let file = "scheduler/scheduler_config.json";
    for (field, value, code) in [
        ("beta_schedule", json!("exponential"), "sampler_config_unsupported_value"),
        ("num_train_timesteps", json!(1_000_000_000), "sampler_config_unsupported_value"),
        ("beta_end", json!(2.0), "sampler_config_unsupported_value"),
        ("trained_betas", json!([0.1]), "sampler_config_unsupported_value"),
        ("_class_name", json!("LMSDiscreteScheduler"), "sampler_unknown"),
    ] {
        let mut fields = scratch.json(file);
        fields.insert(field.into(), value.clone());
        let bytes = serde_json::to_vec(&fields).expect("JSON");
        let model = Rc::new(scratch.load_with(file, Some(&bytes)).expect("other samplers may do"));
        let error = engine(&model).admit(Gang::single(request())).expect_err(field);
        assert_eq!((error.kind, error.code), (EngineErrorKind::Invalid, code), "{error}");
        let named = if field == "_class_name" { "LMSDiscreteScheduler" } else { field };
        assert!(error.message.contains(named), "{error}");
    }
}

/// Admits `request` with the exported `data`.
fn resume(engine: &mut Engine, request: &RowRequest, data: Vec<u8>) -> Result<(), EngineError> {
    let rows = vec![AdmittedRow { request: request.clone(), resume: Some(data) }];
    let ids = engine.admit(Gang { rows, control: GangControl::Independent })?;
    let status = engine.rows().into_iter().find(|r| r.id == ids[0]).expect("admitted");
    assert!(status.forward <= status.forwards);
    engine.cancel(ids[0]).map(drop)
}

#[test]
fn hostile_exports_are_refused() {
    let scratch = Scratch::new("ip2p", "pndm");
    let model = Rc::new(Model::load(&scratch.folder, &options()).expect("loads"));
    let (mut engine, request) = (engine(&model), request());
    let row = admit(&mut engine, request.clone());
    engine.encode(&[row]).expect("encodes");
    (0..3).for_each(|_| engine.step(&[row]).expect("steps"));
    let good = engine.export(row).expect("exports");
    engine.cancel(row).expect("canceled");
    resume(&mut engine, &request, good.clone()).expect("is good");

    let mut refuse = |what: &str, data: Vec<u8>, code: &str, named: &str| {
        let error = resume(&mut engine, &request, data).expect_err(what);
        assert_eq!((error.kind, error.code), (EngineErrorKind::Invalid, code), "{what}: {error}");
        assert!(error.message.contains(named), "{what}: {error}");
    };
    let invalid = "row_export_invalid";
    let note = |change: &dyn Fn(&mut Value)| {
        let mut file = File::parse(&good);
        let text = file.header["__metadata__"]["retouch.row"].as_str().expect("a note").to_owned();
        let mut note = serde_json::from_str(&text).expect("JSON");
        change(&mut note);
        file.header["__metadata__"]["retouch.row"] = json!(note.to_string());
        file.bytes(0)
    };
    refuse("another forward", note(&|n| n["forward"] = json!(1)), invalid, "forwards");
    refuse(
        "beyond the end",
        note(&|n| (n["forward"], n["sampler"]["forward"]) = (json!(99), json!(99))),
        "sampler_import",
        "99",
    );
    refuse(
        "too far",
        note(&|n| (n["forward"], n["sampler"]["forward"]) = (json!(4), json!(4))),
        "sampler_import",
        "output",
    );
    refuse("a late start", note(&|n| n["sampler"]["first"] = json!(3)), invalid, "forwards");
    refuse("negative", note(&|n| n["forward"] = json!(-1)), invalid, "-1");
    refuse("other draws", note(&|n| n["draws"] = json!(u64::MAX)), invalid, "noise");
    refuse("other steps", note(&|n| n["sampler"]["steps"] = json!(5)), "sampler_import", "5");
    refuse("another sampler", note(&|n| n["sampler"]["sampler"] = json!("ddim")), "sampler_import", "ddim");
    refuse("no such sampler", note(&|n| n["sampler"]["sampler"] = json!("x")), invalid, "x");
    refuse("an unknown field", note(&|n| n["secret"] = json!(1)), invalid, "secret");
    refuse("another request", note(&|n| n["request"] = json!("")), invalid, "another request");
    let header = |change: &dyn Fn(&mut File)| {
        let mut file = File::parse(&good);
        change(&mut file);
        file.bytes(0)
    };
    let place =
        |name: &str| File::parse(&good).header[name]["data_offsets"][0].as_u64().expect("a place") as usize;
    for name in ["latents", "image_latents", "sampler.output.0"] {
        let at = place(name);
        let nan = header(&|f| f.data[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes()));
        refuse("NaN", nan, invalid, &format!("`{name}` is not finite"));
        let renamed = header(&|f| {
            let tensor = f.header.remove(name).expect("a tensor");
            f.header.insert("sampler.extra".into(), tensor);
        });
        refuse("renamed", renamed, if name.starts_with("sampler") { "sampler_import" } else { invalid }, "");
        let turned = header(&|f| f.header[name]["shape"] = json!([1, 4, 24, 16]));
        refuse("turned", turned, invalid, name);
        let whole = header(&|f| f.header[name]["dtype"] = json!("I32"));
        refuse("whole numbers", whole, invalid, name);
    }
    refuse("no note", header(&|f| drop(f.header.remove("__metadata__"))), invalid, "no note");
    let deep = "[".repeat(100_000);
    refuse("deep", header(&|f| f.header["__metadata__"]["retouch.row"] = json!(deep)), invalid, "recursion");
    refuse("huge", vec![0; (1 << 30) + 1], invalid, "too many");
    refuse("empty", Vec::new(), invalid, "");

    let header_length = 8 + u64::from_le_bytes(good[..8].try_into().expect("8 bytes")) as usize;
    for i in 0..400 {
        let mut bytes = good.clone();
        let at = if i < 300 { i * 7919 % header_length } else { i * 7919 % good.len() };
        bytes[at] ^= 1 << (i % 8);
        if let Err(error) = resume(&mut engine, &request, bytes) {
            assert_eq!(error.kind, EngineErrorKind::Invalid, "{error}");
        }
    }
    assert_eq!(engine.capacity().used, 0);
}
