//! Gangs: rows that share every forward, and one of them its attention.

use retouch_diffusion::Engine;
use retouch_ports::step_engine::{AdmittedRow, EngineErrorKind, Gang, GangControl, RowRequest, StepEngine};
use tch::Tensor;

use crate::fixture::{assert_close, difference};
use crate::pipelines::{LOOP, STEP, alone, edit, engine, finish, latents, load, state, step_all};

/// Two rows that differ in their prompt.
fn pair() -> Vec<AdmittedRow> {
    ["a", "make the tie blue"]
        .map(|prompt| RowRequest { prompt: prompt.into(), steps: 4, ..edit() })
        .map(|request| AdmittedRow { request, resume: None })
        .into()
}

#[test]
fn a_gang_copies_self_attention_and_stays_together() {
    let model = load("ip2p", "ddim");
    let run_gang = |threshold: f64, rows: Vec<AdmittedRow>| -> Vec<Tensor> {
        let mut engine = engine(&model);
        let control = GangControl::SelfAttentionCopy { threshold };
        let ids = engine.admit(Gang { rows, control }).expect("admitted");
        engine.encode(&ids).expect("encoded");
        assert_eq!(engine.step(&ids[1..]).expect_err("half a gang").kind, EngineErrorKind::Invalid);
        while step_all(&mut engine) {}
        ids.into_iter().map(|id| latents(&finish(&mut engine, id))).collect()
    };
    let independent: Vec<Tensor> =
        pair().into_iter().map(|row| latents(&alone(&model, row.request))).collect();
    let never = run_gang(0.0, pair());
    let always = run_gang(1.1, pair());
    for i in 0..2 {
        assert_close("threshold 0", &never[i], &independent[i], LOOP);
    }
    assert_close("the leader", &always[0], &independent[0], LOOP);
    assert!(difference(&always[1], &independent[1]) > 1e-2, "the follower's attention is the leader's");
}

#[test]
fn a_gang_leads_by_its_first_row_and_evaluates_what_any_row_needs() {
    let model = load("ip2p", "ddim");
    let first_step = |image_guidance: f64, reverse: bool| -> (Tensor, usize) {
        let mut engine = engine(&model);
        let mut rows = pair();
        rows[0].request.guidance_image = image_guidance;
        let control = GangControl::SelfAttentionCopy { threshold: 1.1 };
        let mut ids = engine.admit(Gang { rows, control }).expect("admitted");
        let follower = ids[1];
        let branches = |engine: &Engine| engine.rows().iter().map(|row| row.branches).collect::<Vec<_>>();
        assert_eq!(branches(&engine), [3, 3], "each row counts what the other takes from it");
        engine.encode(&ids).expect("encoded");
        if reverse {
            ids.reverse();
        }
        engine.step(&ids).expect("steps");
        let latents = state(&engine, follower);
        while step_all(&mut engine) {}
        let evaluations = ids.iter().map(|&id| finish(&mut engine, id).evaluations).sum();
        (latents, evaluations)
    };
    let (expected, evaluations) = first_step(1.5, false);
    assert_eq!(evaluations, 2 * 4 * 3);
    // The leader's own guidance needs two branches; the follower takes its attention from all three.
    for (image_guidance, reverse) in [(1.0, false), (1.5, true)] {
        let (latents, evaluations) = first_step(image_guidance, reverse);
        assert_close("the follower's first step", &latents, &expected, STEP);
        assert_eq!(evaluations, 2 * 4 * 3);
    }
    let mut uneven = pair();
    uneven[1].request.steps = 5;
    let control = GangControl::SelfAttentionCopy { threshold: 1.1 };
    let refused = engine(&model).admit(Gang { rows: uneven, control }).expect_err("of different lengths");
    assert_eq!(refused.kind, EngineErrorKind::Invalid);
}
