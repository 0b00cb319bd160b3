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

const INVALID: &str = "row_export_invalid";
const IMPORT: &str = "sampler_import";
const NOTE: &str = "retouch.row";

/// A good export of PNDM, whose history is the largest, and the engine that it came from.
struct Export {
    engine: Engine,
    request: RowRequest,
    good: Vec<u8>,
}

impl Export {
    fn new() -> Self {
        let scratch = Scratch::new("ip2p", "pndm");
        let model = Rc::new(Model::load(&scratch.folder, &options()).expect("loads"));
        let (mut engine, request) = (engine(&model), request());
        let row = admit(&mut engine, request.clone());
        engine.encode(&[row]).expect("encodes");
        (0..3).for_each(|_| engine.step(&[row]).expect("steps"));
        let good = engine.export(row).expect("exports");
        engine.cancel(row).expect("canceled");
        let mut export = Self { engine, request, good };
        export.resume(export.good.clone()).expect("is good");
        export
    }

    fn resume(&mut self, data: Vec<u8>) -> Result<(), EngineError> {
        let rows = vec![AdmittedRow { request: self.request.clone(), resume: Some(data) }];
        let ids = self.engine.admit(Gang { rows, control: GangControl::Independent })?;
        let status = self.engine.rows().into_iter().find(|r| r.id == ids[0]).expect("admitted");
        assert!(status.forward <= status.forwards);
        self.engine.cancel(ids[0]).map(drop)
    }

    #[track_caller]
    fn refuse(&mut self, what: &str, data: Vec<u8>, code: &str, named: &str) {
        let error = self.resume(data).expect_err(what);
        assert_eq!((error.kind, error.code), (EngineErrorKind::Invalid, code), "{what}: {error}");
        assert!(error.message.contains(named), "{what}: {error}");
        assert_eq!(self.engine.capacity().used, 0);
    }

    fn changed(&self, change: impl Fn(&mut File)) -> Vec<u8> {
        let mut file = File::parse(&self.good);
        change(&mut file);
        file.bytes(0)
    }

    fn noted(&self, change: impl Fn(&mut Value)) -> Vec<u8> {
        self.changed(|file| {
            let note = &mut file.header["__metadata__"][NOTE];
            let mut fields = serde_json::from_str(note.as_str().expect("a note")).expect("JSON");
            change(&mut fields);
            *note = json!(fields.to_string());
        })
    }
}

#[test]
fn an_export_with_another_note_is_refused() {
    let mut export = Export::new();
    type Change = fn(&mut Value);
    let cases: [(&str, Change, &str, &str); 11] = [
        ("another forward", |n| n["forward"] = json!(1), INVALID, "forwards"),
        (
            "beyond the end",
            |n| (n["forward"], n["sampler"]["forward"]) = (json!(99), json!(99)),
            IMPORT,
            "99",
        ),
        ("too far", |n| (n["forward"], n["sampler"]["forward"]) = (json!(4), json!(4)), IMPORT, "output"),
        ("a late start", |n| n["sampler"]["first"] = json!(3), INVALID, "forwards"),
        ("negative", |n| n["forward"] = json!(-1), INVALID, "-1"),
        ("other draws", |n| n["draws"] = json!(u64::MAX), INVALID, "noise"),
        ("other steps", |n| n["sampler"]["steps"] = json!(5), IMPORT, "5"),
        ("another sampler", |n| n["sampler"]["sampler"] = json!("ddim"), IMPORT, "ddim"),
        ("no such sampler", |n| n["sampler"]["sampler"] = json!("x"), INVALID, "x"),
        ("an unknown field", |n| n["secret"] = json!(1), INVALID, "secret"),
        ("another request", |n| n["request"] = json!(""), INVALID, "another request"),
    ];
    for (what, change, code, named) in cases {
        export.refuse(what, export.noted(change), code, named);
    }
    let none = export.changed(|f| drop(f.header.remove("__metadata__")));
    export.refuse("no note", none, INVALID, "no note");
    let deep = "[".repeat(100_000);
    let deep = export.changed(|f| f.header["__metadata__"][NOTE] = json!(deep));
    export.refuse("deep", deep, INVALID, "recursion");
    export.refuse("huge", vec![0; (1 << 30) + 1], INVALID, "too many");
    export.refuse("empty", Vec::new(), INVALID, "");
}

#[test]
fn an_export_with_other_tensors_is_refused() {
    let mut export = Export::new();
    for name in ["latents", "image_latents", "sampler.output.0"] {
        let nan = export.changed(|f| {
            let at = f.header[name]["data_offsets"][0].as_u64().expect("a place") as usize;
            f.data[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
        });
        export.refuse("NaN", nan, INVALID, &format!("`{name}` is not finite"));
        let renamed = export.changed(|f| {
            let tensor = f.header.remove(name).expect("a tensor");
            f.header.insert("sampler.extra".into(), tensor);
        });
        export.refuse("renamed", renamed, if name.starts_with("sampler") { IMPORT } else { INVALID }, "");
        let turned = export.changed(|f| f.header[name]["shape"] = json!([1, 4, 24, 16]));
        export.refuse("turned", turned, INVALID, name);
        let whole = export.changed(|f| f.header[name]["dtype"] = json!("I32"));
        export.refuse("whole numbers", whole, INVALID, name);
    }
}

#[test]
fn a_flipped_bit_of_an_export_never_panics() {
    let mut export = Export::new();
    let header = 8 + u64::from_le_bytes(export.good[..8].try_into().expect("8 bytes")) as usize;
    for i in 0..400 {
        let mut bytes = export.good.clone();
        let at = i * 7919 % if i < 300 { header } else { bytes.len() };
        bytes[at] ^= 1 << (i % 8);
        if let Err(error) = export.resume(bytes) {
            assert_eq!(error.kind, EngineErrorKind::Invalid, "{error}");
        }
    }
    assert_eq!(export.engine.capacity().used, 0);
}
