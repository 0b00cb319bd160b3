//! Dynamic guidance in whole pipelines.

use retouch_diffusion::Model;
use retouch_ports::step_engine::{
    AdmittedRow, DynamicGuidance, Gang, GangControl, Guidance, Output, RowRequest, StepEngine,
};

use crate::fixture::{assert_close, difference};
use crate::pipelines::{LOOP, SAMPLERS, alone, edit, engine, finish, generation, latents, load, step_all};

/// An edit that follows its text and avoids a negative prompt, at every noise level.
fn dynamic() -> RowRequest {
    let guidance = DynamicGuidance { interval: (0.0, f64::INFINITY), ..DynamicGuidance::default() };
    RowRequest { guidance: Guidance::Dynamic(guidance), negative: "blurry".into(), steps: 5, ..edit() }
}

#[test]
fn exports_after_every_forward_resume_to_the_same_bits() {
    for scheduler in SAMPLERS {
        let model = load("ip2p", scheduler);
        let expected = alone(&model, dynamic());
        let fixed = alone(&model, RowRequest { guidance: Guidance::Fixed, ..dynamic() });
        assert!(difference(&latents(&expected), &latents(&fixed)) > 1e-3, "{scheduler}: it does something");
        let mut source = engine(&model);
        let row = source.admit(Gang::single(dynamic())).expect("admitted")[0];
        source.encode(&[row]).expect("encoded");
        while step_all(&mut source) {
            let resume = Some(source.export(row).expect("exported"));
            let rows = vec![AdmittedRow { request: dynamic(), resume }];
            let mut target = engine(&model);
            let gang = Gang { rows, control: GangControl::Independent };
            let resumed = target.admit(gang).expect("resumed")[0];
            while step_all(&mut target) {}
            assert!(finish(&mut target, resumed).latents == expected.latents, "{scheduler}");
        }
    }
}

#[test]
fn rows_of_both_kinds_share_a_batch() {
    let model = load("ip2p", "euler");
    let plain = RowRequest { steps: 5, ..edit() };
    let narrow = DynamicGuidance { interval: (0.5, 5.0), ..DynamicGuidance::default() };
    let narrow = RowRequest { guidance: Guidance::Dynamic(narrow), ..plain.clone() };
    let requests = [dynamic(), plain, narrow];
    let expected: Vec<Output> = requests.iter().map(|request| alone(&model, request.clone())).collect();
    let mut engine = engine(&model);
    let ids: Vec<_> = requests
        .into_iter()
        .map(|request| engine.admit(Gang::single(request)).expect("admitted")[0])
        .collect();
    engine.encode(&ids).expect("encoded");
    while step_all(&mut engine) {}
    for (id, expected) in ids.into_iter().zip(expected) {
        let output = finish(&mut engine, id);
        assert_close("latents", &latents(&output), &latents(&expected), LOOP);
        assert_eq!(output.evaluations, expected.evaluations);
    }
}

/// Evaluations of the UNet for `request` with guidance between two noise levels.
fn evaluations(model: &std::rc::Rc<Model>, request: &RowRequest, interval: (f64, f64)) -> Output {
    let guidance = Guidance::Dynamic(DynamicGuidance { interval, ..DynamicGuidance::default() });
    alone(model, RowRequest { guidance, ..request.clone() })
}

#[test]
fn an_interval_saves_the_branches_outside_of_it() {
    let model = load("ip2p", "ddim");
    let request = RowRequest { steps: 10, ..edit() };
    let nowhere = evaluations(&model, &request, (1e6, 1e7));
    let off = alone(&model, RowRequest { guidance_text: 1.0, ..request.clone() });
    assert_eq!((nowhere.evaluations, &nowhere.latents), (10, &off.latents));
    assert_eq!(evaluations(&model, &request, (0.0, f64::INFINITY)).evaluations, 30);
    let some = evaluations(&model, &request, (0.28, 5.42)).evaluations;
    assert!(some > 10 && some < 30, "{some}");
    let generate = RowRequest { steps: 4, ..generation("") };
    let model = load("sd1", "pndm");
    let whole = evaluations(&model, &generate, (0.0, f64::INFINITY)).evaluations;
    assert_eq!(whole, alone(&model, generate).evaluations);
}

/// The static part: the more an instruction asks for, the further from no guidance at all.
#[test]
fn a_complex_instruction_is_guided_more() {
    let model = load("ip2p", "ddim");
    let guided = |low: f64, high: f64| {
        let settings = DynamicGuidance {
            interval: (0.0, f64::INFINITY),
            prior: (low, high),
            constant: 1.0,
            max: 1.0,
            ..DynamicGuidance::default()
        };
        let prompt = "move the red ball left by 10 % and add two cats next to the blue vase".to_owned();
        let request = RowRequest { prompt, guidance: Guidance::Dynamic(settings), steps: 3, ..edit() };
        latents(&alone(&model, request))
    };
    let flat = guided(1.0, 1.0);
    assert!(difference(&guided(0.5, 1.5), &flat) > 1e-3, "the prompt is far from the middle of the range");
    assert!(difference(&guided(1.0, 1.0), &flat) == 0.0);
}
