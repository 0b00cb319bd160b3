//! Branches, and dynamic guidance against its sources' own forms.

use retouch_testkit::models::uniform;
use serde_json::{Value, json};
use tch::Kind;

use super::*;
use crate::samplers::{SamplerConfig, SamplerOptions};

#[test]
fn zero_coefficients_are_pruned_and_guidance_switches_off() {
    let names = |b: Branches| b.into_iter().map(|(b, _)| b).collect::<Vec<_>>();
    assert_eq!(names(edit(7.5, 1.5)), [Branch::Full, Branch::Image, Branch::None]);
    assert_eq!(names(edit(7.5, 1.0)), [Branch::Full, Branch::Image]);
    assert_eq!(names(edit(1.5, 1.5)), [Branch::Full, Branch::None]);
    assert_eq!(edit(1.0, 1.5), [(Branch::Full, 1.0)]);
    assert_eq!(edit(7.5, 0.9), [(Branch::Full, 1.0)]);
    assert_eq!(names(generate(7.5)), [Branch::Full, Branch::None]);
    assert_eq!(generate(1.0), [(Branch::Full, 1.0)]);
}

#[test]
fn coefficients_add_up_to_one() {
    for (text, image) in [(7.5, 1.5), (2.0, 2.0), (3.0, 1.0), (0.5, 0.5)] {
        let sum: f64 = edit(text, image).iter().map(|(_, c)| c).sum();
        assert!((sum - 1.0).abs() < 1e-12);
    }
}

/// A golden field of `make_guidance.py`: `[1, 4, 6, 8]` float64 of unit variance.
fn field(name: &str) -> Tensor {
    let scale = 3f64.sqrt() as f32;
    let values: Vec<f32> = uniform(name, 4 * 6 * 8).into_iter().map(|x| x * scale).collect();
    Tensor::from_slice(&values).view([1, 4, 6, 8]).to_kind(Kind::Double)
}

fn goldens() -> Value {
    let path = retouch_testkit::models::goldens().join("guidance.json");
    serde_json::from_slice(&std::fs::read(path).expect("committed")).expect("JSON")
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

fn list(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(number).collect()
}

#[track_caller]
fn assert_near(what: &str, ours: f64, golden: f64, tolerance: f64) {
    assert!(
        (ours - golden).abs() <= tolerance * golden.abs().max(1e-3),
        "{what}: {ours} instead of {golden}"
    );
}

/// Everywhere, with FBG_using_edm2's own parameters and a text scale that makes `constant` and `max` its.
fn everywhere(golden: &Value) -> (DynamicGuidance, Scales) {
    let (constant, biggest) = (number(&golden["constant"]), number(&golden["biggest"]));
    let settings = DynamicGuidance {
        interval: (0.0, f64::INFINITY),
        constant: (constant - 1.0) / (biggest - 1.0),
        max: 1.0,
        pi: number(&golden["pi"]),
        t0: number(&golden["t0"]),
        t1: number(&golden["t1"]),
        ..DynamicGuidance::default()
    };
    (settings, Scales { text: biggest, image: None, has_negative: false })
}

#[test]
fn feedback_guidance_is_its_source_in_edm_form() {
    for golden in goldens()["feedback"].as_array().expect("a list") {
        let sigmas = list(&golden["sigmas"]);
        let (settings, scales) = everywhere(golden);
        let dynamic = Dynamic::new(settings, &scales, sigmas.clone());
        let mut feedback = dynamic.start();
        for (i, expected) in golden["steps"].as_array().expect("a list").iter().enumerate() {
            let (cur, next) = (sigmas[i], sigmas[i + 1]);
            assert_near("L", feedback.log_ratio, number(&expected["log_ratio"]), 1e-9);
            let scale = dynamic.branches(i, &feedback)[0].1;
            assert_near("w", scale, number(&expected["scale"]), 1e-9);
            let (from, without) = (field(&format!("x{i}")) * cur, field(&format!("without{i}")));
            let text = &without + field(&format!("difference{i}")) * 0.3;
            let guided = &without + (&text - &without) * scale;
            let to =
                &from + (&from - &guided) / cur * (next - cur) + field(&format!("fresh{i}")) * (0.2 * next);
            let (sigma, next) = dynamic.transition(i).expect("guidance is on");
            let step = Move { from: &from, to: &to, sigma, next };
            feedback = dynamic.update(feedback, &step, (&text, &without, None));
        }
        assert_near("the last L", feedback.log_ratio, number(&golden["final"]), 1e-9);
        assert!(dynamic.transition(sigmas.len() - 1).is_none());
    }
}

/// Through a sampler: float32 latents of a variance-preserving process, ε and v.
#[test]
fn dynamic_negative_guidance_is_its_source_in_discrete_form() {
    for golden in goldens()["negative"].as_array().expect("a list") {
        for prediction in ["epsilon", "v_prediction"] {
            follow_negative(golden, prediction);
        }
    }
}

fn follow_negative(golden: &Value, prediction: &str) {
    let betas = list(&golden["betas"]);
    let config = json!({
        "_class_name": "DDPMScheduler", "num_train_timesteps": betas.len(), "trained_betas": betas,
        "prediction_type": prediction, "clip_sample": false,
    });
    let config = SamplerConfig::from_json(&config.to_string()).expect("valid");
    let sampler = Sampler::new(&config, &SamplerOptions::default(), betas.len()).expect("valid");
    let negative = NegativeGuidance {
        scale: number(&golden["scale"]),
        prior: number(&golden["prior"]),
        temperature: number(&golden["temperature"]),
        offset: number(&golden["offset"]),
        max: number(&golden["biggest"]),
    };
    let settings = DynamicGuidance { interval: (0.0, f64::INFINITY), negative, ..DynamicGuidance::default() };
    let guidance = RowGuidance::new(&generation(Guidance::Dynamic(settings)), 0.5, &sampler).expect("valid");
    let mut feedback = guidance.start();
    let mut x = field("z");
    let bars: Vec<f64> = betas
        .iter()
        .scan(1.0, |bar, beta| {
            *bar *= 1.0 - beta;
            Some(*bar)
        })
        .collect();
    for (i, expected) in golden["steps"].as_array().expect("a list").iter().enumerate() {
        let t = number(&expected["t"]) as usize;
        let (beta, bar) = (betas[t], bars[t]);
        assert_near("p", feedback.negative, number(&expected["posterior"]), 2e-3);
        let branches = guidance.branches(i, &feedback);
        let weight = -branches.iter().find(|(b, _)| *b == Branch::Negative).expect("a branch").1;
        assert_near("λ·p/(1−p)", weight, number(&expected["weight"]), 1e-2);
        let without = field(&format!("noise{t}"));
        let bad = &without + field(&format!("bad{t}")) * 0.5;
        let guided = &without - (&bad - &without) * number(&expected["weight"]);
        let pull = if t > betas.len() / 2 { 1.0 } else { -1.0 };
        let new = (&x - guided * (beta / (1.0 - bar).sqrt())) / (1.0 - beta).sqrt()
            - field(&format!("bad{t}")) * (pull * 0.4 * beta)
            + field(&format!("step{t}")) * (beta.sqrt() * 0.3);
        let output = |noise: &Tensor| match prediction {
            "epsilon" => noise.shallow_clone(),
            _ => {
                let x0 = (&x - noise * (1.0 - bar).sqrt()) / bar.sqrt();
                noise * bar.sqrt() - x0 * (1.0 - bar).sqrt()
            }
        };
        // In the order of the branches: with text, which does not matter here, without, and negative.
        let parts = Tensor::cat(&[&without, &without, &bad].map(output), 0).to_kind(Kind::Float);
        let (from, to) = (x.to_kind(Kind::Float), new.to_kind(Kind::Float));
        let seen = Observed { from: &from, to: &to, parts: &parts, branches: &branches };
        feedback = guidance.observe(feedback, &sampler, i, &seen).expect("observed");
        x = new;
    }
    assert_near("the last p", feedback.negative, number(&golden["final"]), 2e-3);
}

fn generation(guidance: Guidance) -> RowRequest {
    RowRequest {
        task: Task::Generate,
        prompt: "a".into(),
        negative: "blurry".into(),
        width: 8,
        height: 8,
        steps: 1,
        sampler: None,
        sigma_interp: None,
        karras: None,
        guidance_text: 7.5,
        guidance_image: 1.5,
        guidance,
        intents: None,
        spatial: true,
        source_box: None,
        clip_skip: None,
        seed: 7,
        noise: None,
    }
}

#[test]
fn outside_of_the_interval_only_the_full_condition_is_evaluated() {
    let scales = Scales { text: 7.5, image: Some(1.5), has_negative: true };
    let settings = DynamicGuidance { interval: (0.5, 5.0), ..DynamicGuidance::default() };
    let dynamic = Dynamic::new(settings, &scales, vec![14.0, 5.0, 1.0, 0.5, 0.1]);
    let feedback = dynamic.start();
    let names = |i: usize| dynamic.branches(i, &feedback).into_iter().map(|(b, _)| b).collect::<Vec<_>>();
    let all = [Branch::Full, Branch::Image, Branch::None, Branch::Negative];
    assert_eq!([names(0), names(3), names(4)], [[Branch::Full]; 3]);
    assert_eq!([names(1), names(2)], [all; 2]);
    for i in 0..5 {
        let sum: f64 = dynamic.branches(i, &feedback).iter().map(|(_, c)| c).sum();
        assert!((sum - 1.0).abs() < 1e-12);
    }
    let learns: Vec<bool> = (0..5).map(|i| dynamic.transition(i).is_some()).collect();
    assert_eq!(learns, [false, true, true, false, false]);
}

#[test]
fn settings_that_the_formulas_do_not_hold_for_are_named() {
    let default = DynamicGuidance::default();
    let negative = |negative| DynamicGuidance { negative, ..default };
    let cases = [
        ("guidance.interval", DynamicGuidance { interval: (2.0, 1.0), ..default }),
        ("guidance.interval", DynamicGuidance { interval: (f64::NAN, 1.0), ..default }),
        ("guidance.prior", DynamicGuidance { prior: (1.0, -1.0), ..default }),
        ("guidance.constant", DynamicGuidance { constant: 1.5, ..default }),
        ("guidance.max", DynamicGuidance { max: 0.4, ..default }),
        ("guidance.pi", DynamicGuidance { pi: 1.0, ..default }),
        ("guidance.t0", DynamicGuidance { t0: 1.0, ..default }),
        ("guidance.t1", DynamicGuidance { t1: f64::INFINITY, ..default }),
        ("guidance.negative.max", negative(NegativeGuidance { max: 1.0, ..default.negative })),
        ("guidance.negative.prior", negative(NegativeGuidance { prior: 0.9, ..default.negative })),
    ];
    check(&default).expect("the defaults hold");
    for (expected, settings) in cases {
        let error = check(&settings).expect_err(expected);
        assert!(matches!(error, Error::Parameter { name, .. } if name == expected), "{error}");
    }
}
