//! Whole pipelines against diffusers, and rows against each other.

use std::rc::Rc;

use retouch_diffusion::{Device, Engine, EngineOptions, Kind, LoadOptions, Model, run};
use retouch_ports::step_engine::{
    AdmittedRow, EngineErrorKind, Gang, GangControl, Guidance, Output, RowId, RowRequest, Stage, StepEngine,
    Task,
};
use tch::Tensor;

use crate::fixture::{assert_close, difference, golden, model_folder, noise};

/// A loop of 20 steps in float32 on the CPU.
pub const LOOP: f64 = 1e-3;
/// Rows in a batch against rows alone, per step.
pub const STEP: f64 = 1e-4;

/// Every sampler with a golden, by the name of its scheduler configuration.
pub const SAMPLERS: [&str; 6] = ["ddim", "pndm", "euler", "euler-a", "dpmpp-2m", "dpmpp-2m-karras"];

pub fn load(family: &str, scheduler: &str) -> Rc<Model> {
    load_as(family, scheduler, Kind::Float)
}

pub fn load_as(family: &str, scheduler: &str, kind: Kind) -> Rc<Model> {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let options = LoadOptions { device: Device::Cpu, kind, variant: None };
    let model = Model::load(&model_folder(family, scheduler, dir.path()), &options).expect("loads");
    // Fingerprints read the configuration files again, so the folder has to stay.
    let _kept = dir.keep();
    Rc::new(model)
}

pub fn floats(t: &Tensor) -> Vec<f32> {
    Vec::try_from(t.contiguous().view([-1])).expect("float32")
}

/// The edit of `make_pipelines.py`.
pub fn edit() -> RowRequest {
    let image = noise("image", &[1, 3, 32, 48]).clamp(-1.0, 1.0);
    // The reference maps to 0..1 and back.
    let image = (image / 2.0 + 0.5) * 2.0 - 1.0;
    RowRequest { task: Task::Edit { image: floats(&image) }, guidance_image: 1.5, ..generation("") }
}

pub fn generation(negative: &str) -> RowRequest {
    RowRequest {
        task: Task::Generate,
        prompt: "make the tie blue".into(),
        negative: negative.into(),
        width: 48,
        height: 32,
        steps: 20,
        sampler: None,
        sigma_interp: None,
        karras: None,
        guidance_text: 7.5,
        guidance_image: 1.5,
        guidance: Guidance::Fixed,
        intents: None,
        spatial: true,
        source_box: None,
        clip_skip: None,
        seed: 7,
        noise: None,
    }
}

pub fn engine(model: &Rc<Model>) -> Engine {
    Engine::new(model.clone(), EngineOptions::default())
}

pub fn alone(model: &Rc<Model>, request: RowRequest) -> Output {
    run(&mut engine(model), request, &mut |_| ()).expect("runs")
}

pub fn latents(output: &Output) -> Tensor {
    let [c, h, w] = output.latent_shape.map(|d| d as i64);
    Tensor::from_slice(&output.latents).view([1, c, h, w])
}

#[test]
fn edits_equal_diffusers_with_every_sampler() {
    let golden = golden("ip2p");
    for sampler in SAMPLERS {
        let output = alone(&load("ip2p", sampler), edit());
        assert_close(sampler, &latents(&output), &golden[&format!("{sampler}.latents")], LOOP);
        if let Some(image) = golden.get(&format!("{sampler}.image")) {
            let result = Tensor::from_slice(&output.image).view([1, 3, 32, 48]);
            assert_close("image", &result, image, LOOP);
        }
    }
}

#[test]
fn edits_equal_diffusers_where_guidance_changes() {
    let golden = golden("ip2p");
    let ddim = load("ip2p", "ddim");
    let cases: [(&str, RowRequest, usize); 4] = [
        ("off", RowRequest { guidance_text: 1.0, ..edit() }, 1),
        ("no-image", RowRequest { guidance_image: 1.0, ..edit() }, 2),
        ("equal", RowRequest { guidance_text: 1.5, ..edit() }, 2),
        ("negative", RowRequest { negative: "blurry".into(), ..edit() }, 3),
    ];
    for (name, request, branches) in cases {
        let output = alone(&ddim, request);
        assert_eq!(output.evaluations, 20 * branches, "{name}");
        assert_close(name, &latents(&output), &golden[&format!("{name}.latents")], LOOP);
    }
    let output = alone(&load("ip2p", "ddim-v_prediction"), edit());
    assert_close("v-prediction", &latents(&output), &golden["v.latents"], LOOP);
}

#[test]
fn generations_equal_diffusers() {
    let golden = golden("generate");
    for (family, scheduler) in [("sd1", "pndm"), ("sd2", "euler-v_prediction")] {
        let model = load(family, scheduler);
        let cases = [
            ("", generation("blurry")),
            (".clip_skip", RowRequest { clip_skip: Some(1), ..generation("blurry") }),
            (".off", RowRequest { guidance_text: 1.0, ..generation("blurry") }),
        ];
        for (suffix, request) in cases {
            let name = format!("{family}{suffix}");
            assert_close(&name, &latents(&alone(&model, request)), &golden[&name], LOOP);
        }
    }
}

/// A row's latents as its export has them.
pub fn state(engine: &Engine, row: RowId) -> Tensor {
    let bytes = engine.export(row).expect("exported");
    let file = safetensors::SafeTensors::deserialize(&bytes).expect("valid");
    let view = file.tensor("latents").expect("latents");
    Tensor::from_data_size(view.data(), &[1, 4, 16, 24], Kind::Float)
}

/// Rows that differ in everything a row may differ in.
fn mixed() -> Vec<RowRequest> {
    let base = || RowRequest { steps: 6, ..edit() };
    vec![
        base(),
        RowRequest { sampler: Some("euler-a".into()), seed: 11, steps: 9, guidance_text: 3.0, ..base() },
        RowRequest {
            sampler: Some("dpmpp-2m".into()),
            prompt: "a".into(),
            steps: 4,
            guidance_image: 1.0,
            ..base()
        },
        RowRequest { sampler: Some("pndm".into()), negative: "blurry".into(), seed: 3, ..base() },
        RowRequest { sampler: Some("euler".into()), guidance_text: 1.0, steps: 12, ..base() },
        RowRequest { sampler: Some("euler".into()), sigma_interp: Some("log".into()), steps: 5, ..base() },
    ]
}

/// Advances all rows that can be; whether any could.
pub fn step_all(engine: &mut Engine) -> bool {
    let rows: Vec<RowId> =
        engine.rows().iter().filter(|r| r.stage == Stage::Denoising).map(|r| r.id).collect();
    if !rows.is_empty() {
        engine.step(&rows).expect("steps");
    }
    !rows.is_empty()
}

pub fn finish(engine: &mut Engine, row: RowId) -> Output {
    engine.decode(&[row]).expect("decodes");
    engine.take(row).expect("finished")
}

#[test]
fn rows_do_not_feel_what_shares_their_batch() {
    let model = load("ip2p", "ddim");
    let expected: Vec<Output> = mixed().into_iter().map(|request| alone(&model, request)).collect();
    // Rows join one step after the other, so that timesteps differ even between equal samplers.
    let mut engine = engine(&model);
    let mut rows = Vec::new();
    for request in mixed() {
        rows.extend(engine.admit(Gang::single(request)).expect("admitted"));
        engine.encode(&rows[rows.len() - 1..]).expect("encoded");
        step_all(&mut engine);
    }
    while step_all(&mut engine) {}
    for (row, expected) in rows.into_iter().zip(&expected) {
        let output = finish(&mut engine, row);
        assert_close("latents", &latents(&output), &latents(expected), LOOP);
        assert_eq!(output.image_latents, expected.image_latents);
        assert_eq!(output.text_embeds, expected.text_embeds);
    }
    assert_eq!(engine.capacity().used, 0);
}

#[test]
fn one_step_of_a_mixed_batch_equals_the_rows_alone() {
    let model = load("ip2p", "ddim");
    let mut together = engine(&model);
    let mut rows = Vec::new();
    for request in mixed() {
        rows.extend(together.admit(Gang::single(request)).expect("admitted"));
    }
    together.encode(&rows).expect("encoded");
    let mut singles: Vec<(Engine, RowId)> = mixed()
        .into_iter()
        .map(|request| {
            let mut single = engine(&model);
            let row = single.admit(Gang::single(request)).expect("admitted")[0];
            single.encode(&[row]).expect("encoded");
            (single, row)
        })
        .collect();
    for (row, (single, alone)) in rows.iter().zip(&singles) {
        // The noise, bit for bit.
        assert_eq!(state(&together, *row), state(single, *alone));
    }
    for _ in 0..4 {
        together.step(&rows).expect("steps");
        for (row, (single, alone)) in rows.iter().zip(&mut singles) {
            single.step(&[*alone]).expect("steps");
            assert_close("one step", &state(&together, *row), &state(single, *alone), STEP);
        }
    }
}

#[test]
fn a_row_goes_on_bit_equal_after_export_at_every_forward() {
    for scheduler in SAMPLERS {
        let model = load("ip2p", scheduler);
        let request = RowRequest { steps: 5, ..edit() };
        let expected = alone(&model, request.clone());
        let mut source = engine(&model);
        let row = source.admit(Gang::single(request.clone())).expect("admitted")[0];
        source.encode(&[row]).expect("encoded");
        loop {
            let exported = source.export(row).expect("exported");
            let mut target = engine(&model);
            let resume = AdmittedRow { request: request.clone(), resume: Some(exported) };
            let resumed = target
                .admit(Gang { rows: vec![resume], control: GangControl::Independent })
                .expect("admitted again")[0];
            assert_eq!(target.rows()[0].forward, source.rows()[0].forward);
            while step_all(&mut target) {}
            assert!(finish(&mut target, resumed).latents == expected.latents, "{scheduler}");
            if !step_all(&mut source) {
                break;
            }
        }
    }
}

#[test]
fn an_export_of_another_model_restarts_and_of_another_request_is_refused() {
    let model = load("ip2p", "ddim");
    let request = RowRequest { steps: 3, ..edit() };
    let mut source = engine(&model);
    let row = source.admit(Gang::single(request.clone())).expect("admitted")[0];
    assert_eq!(source.export(row).expect_err("not encoded").code, "row_export_invalid");
    source.encode(&[row]).expect("encoded");
    source.step(&[row]).expect("steps");
    let exported = source.export(row).expect("exported");
    let gang = |request: RowRequest, data: &[u8]| Gang {
        rows: vec![AdmittedRow { request, resume: Some(data.to_vec()) }],
        control: GangControl::Independent,
    };
    let mut other = engine(&load("ip2p", "euler"));
    other.admit(gang(request.clone(), &exported)).expect("restarts");
    assert_eq!((other.rows()[0].forward, other.rows()[0].stage), (0, Stage::Admitted));
    let refused = source.admit(gang(RowRequest { seed: 8, ..request.clone() }, &exported));
    assert_eq!(refused.expect_err("another request").code, "row_export_invalid");
    for cut in (0..exported.len()).step_by(97) {
        let refused = source.admit(gang(request.clone(), &exported[..cut])).expect_err("truncated");
        assert_eq!(refused.kind, EngineErrorKind::Invalid);
    }
    assert_eq!(source.capacity().used, 1);
}

#[test]
fn pruned_guidance_equals_full_guidance() {
    let model = load("ip2p", "ddim");
    // A coefficient that is almost 0 keeps its branch.
    for (exact, near) in [((7.5, 1.0), (7.5, 1.0 + 1e-9)), ((1.5, 1.5), (1.5 + 1e-9, 1.5))] {
        let request = |(text, image)| RowRequest { guidance_text: text, guidance_image: image, ..edit() };
        let pruned = alone(&model, request(exact));
        let full = alone(&model, request(near));
        assert!(pruned.evaluations < full.evaluations);
        let delta = difference(&latents(&pruned), &latents(&full));
        assert!(delta <= 1e-5, "{exact:?}: {delta:.2e}");
    }
}

#[test]
fn canceling_and_refusing_leave_no_trace() {
    let model = load("ip2p", "ddim");
    let mut small = Engine::new(model.clone(), EngineOptions { rows: 2, ..EngineOptions::default() });
    let gang = |n: usize| Gang {
        rows: vec![AdmittedRow { request: edit(), resume: None }; n],
        control: GangControl::Independent,
    };
    assert_eq!(small.admit(gang(3)).expect_err("too many").code, "engine_full");
    let rows = small.admit(gang(2)).expect("fits");
    assert_eq!(small.cancel(rows[0]).expect("canceled"), rows);
    assert_eq!(small.capacity().used, 0);
    assert_eq!(small.cancel(rows[0]).expect_err("gone").code, "row_unknown");
    let bad = [
        RowRequest { steps: 0, ..edit() },
        RowRequest { steps: 1001, ..edit() },
        RowRequest { width: 33, ..edit() },
        RowRequest { height: 0, ..edit() },
        RowRequest { guidance_text: f64::NAN, ..edit() },
        RowRequest { sampler: Some("heun".into()), ..edit() },
        RowRequest { sigma_interp: Some("cubic".into()), ..edit() },
        RowRequest { task: Task::Generate, ..edit() },
        RowRequest { task: Task::Edit { image: vec![0.0; 3] }, ..edit() },
    ];
    for request in bad {
        let text = format!("{:?} {}x{}", request.sampler, request.width, request.height);
        let error = small.admit(Gang::single(request)).expect_err(&text);
        assert_eq!(error.kind, EngineErrorKind::Invalid, "{error}");
    }
    assert_eq!(small.capacity().used, 0);
}

#[test]
fn an_exclusive_unit_has_the_device_between_steps() {
    use retouch_ports::step_engine::UnitProgress;
    let model = load("ip2p", "ddim");
    let mut engine = engine(&model);
    let mut slices = 0;
    let slice = std::time::Duration::from_secs(5);
    let mut unit = |limit: std::time::Duration| {
        assert!(limit.as_secs() <= 2);
        slices += 1;
        if slices < 3 { UnitProgress::More } else { UnitProgress::Done }
    };
    while engine.exclusive(&mut unit, slice).expect("runs") == UnitProgress::More {}
    assert_eq!(slices, 3);
    let error = engine.exclusive(&mut |_| panic!("a unit fails"), slice).expect_err("contained");
    assert_eq!((error.kind, error.code), (EngineErrorKind::Internal, "engine_panic"));
}
