//! Panics inside the engine: tch panics where LibTorch throws.

use retouch_ports::step_engine::{Gang, Guidance, Output, RowRequest};
use retouch_testkit::models::model_folder;
use tch::{Device, Kind};

use super::*;
use crate::LoadOptions;

fn request() -> RowRequest {
    RowRequest {
        task: Task::Edit { image: vec![0.5; 3 * 32 * 48] },
        prompt: "make the tie blue".into(),
        negative: String::new(),
        width: 48,
        height: 32,
        steps: 2,
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

/// Runs `call` with a row that `spoil` has made impossible, as nothing outside can; then puts the row right again.
fn fails<T>(
    engine: &mut Engine,
    id: RowId,
    spoil: impl Fn(&mut Row),
    call: impl Fn(&mut Engine) -> Result<T, EngineError>,
) {
    let row = engine.rows.get_mut(&id).expect("a row");
    let (task, latents) = (row.request.task.clone(), row.latents.shallow_clone());
    spoil(row);
    let before = engine.rows();
    for _ in 0..2 {
        let Err(error) = call(engine) else { panic!("the impossible was done") };
        // LibTorch's refusal, or a shape that the engine itself relies on.
        let named = match error.code {
            "engine_failure" => error.message.contains("failed in LibTorch: "),
            "engine_panic" => error.message.contains("by construction"),
            _ => false,
        };
        assert!(named && error.kind == EngineErrorKind::Internal && error.message.len() < 300, "{error}");
        assert_eq!(engine.rows(), before);
    }
    let row = engine.rows.get_mut(&id).expect("a row");
    (row.request.task, row.latents) = (task, latents);
}

fn finish(engine: &mut Engine, id: RowId) -> Output {
    engine.decode(&[id]).expect("decodes");
    engine.take(id).expect("is taken")
}

#[test]
fn a_panic_in_any_call_is_an_error_and_the_engine_goes_on() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let folder = model_folder("ip2p", "ddim", dir.path());
    let options = LoadOptions { device: Device::Cpu, kind: Kind::Float, variant: None };
    let mut engine =
        Engine::new(Rc::new(Model::load(&folder, &options).expect("loads")), EngineOptions::default());
    let expected = crate::run(&mut engine, request(), &mut |_| ()).expect("runs");

    let ids: Vec<RowId> =
        (0..2).flat_map(|_| engine.admit(Gang::single(request())).expect("admitted")).collect();
    let [id, other] = ids[..] else { panic!("two rows") };
    let wrong = |row: &mut Row| row.latents = Tensor::zeros([1, 3, 5, 7], (Kind::Float, Device::Cpu));
    let cut = |row: &mut Row| row.request.task = Task::Edit { image: vec![0.0; 7] };
    fails(&mut engine, id, cut, |e| e.encode(&[id]));
    engine.encode(&ids).expect("encodes");
    for _ in 0..2 {
        fails(&mut engine, id, wrong, |e| e.step(&[other, id]));
        engine.step(&ids).expect("steps");
    }
    fails(&mut engine, id, wrong, |e| e.decode(&[id]));
    engine.decode(&ids[..1]).expect("decodes");
    let flat = |row: &mut Row| row.latents = Tensor::zeros([3], (Kind::Float, Device::Cpu));
    fails(&mut engine, id, flat, |e| e.take(id));
    let first = engine.take(id).expect("is taken");
    let second = finish(&mut engine, other);
    for output in [first, second] {
        let delta = Tensor::from_slice(&output.latents) - Tensor::from_slice(&expected.latents);
        assert!(delta.abs().max().double_value(&[]) < 1e-2, "the same latents as alone");
    }
    assert_eq!(engine.capacity().used, 0);
}
