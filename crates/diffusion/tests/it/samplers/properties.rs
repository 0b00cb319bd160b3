//! Properties over many configs: schedules go one way, outputs are finite, nothing panics.

use proptest::prelude::*;
use proptest::sample::select;
use retouch_diffusion::SeededNoise;
use retouch_diffusion::samplers::{Sampler, SamplerConfig, SamplerKind, SamplerOptions, SigmaInterp};
use serde_json::{Map, Value, json};

use super::{model, usual};

fn kinds() -> impl Strategy<Value = SamplerKind> {
    select(SamplerKind::ALL.to_vec())
}

prop_compose! {
    /// Configs that a person could write, also for classes that lack some of the fields.
    fn sensible()(
        train in 2_usize..1200,
        start in 1e-5_f64..5e-3,
        width in 1e-3_f64..0.05,
        schedule in select(vec!["linear", "scaled_linear", "squaredcos_cap_v2"]),
        prediction in select(vec!["epsilon", "v_prediction"]),
        spacing in select(vec!["leading", "trailing"]),
        offset in 0_usize..2,
        (clip, one, karras) in any::<(bool, bool, bool)>(),
        last in select(vec!["zero", "sigma_min"]),
    ) -> SamplerConfig {
        let fields = json!({
            "num_train_timesteps": train, "beta_start": start, "beta_end": start + width, "beta_schedule": schedule,
            "prediction_type": prediction, "timestep_spacing": spacing, "steps_offset": offset, "clip_sample": clip,
            "set_alpha_to_one": one, "use_karras_sigmas": karras, "final_sigmas_type": last, "skip_prk_steps": true,
        });
        serde_json::from_value(fields).unwrap()
    }
}

fn hostile_value() -> impl Strategy<Value = Value> {
    select(vec![
        json!(null),
        json!(true),
        json!(-1),
        json!(0),
        json!(1),
        json!(3),
        json!(1e308),
        json!(1e-308),
        json!(u64::MAX),
        json!("NaN"),
        json!("-Infinity"),
        json!("trailing"),
        json!("sample"),
        json!([]),
        json!([0.5, 0.5, 1.0]),
        json!({"a": 1}),
    ])
}

const FIELDS: [&str; 21] = [
    "num_train_timesteps",
    "beta_start",
    "beta_end",
    "beta_schedule",
    "trained_betas",
    "prediction_type",
    "timestep_spacing",
    "steps_offset",
    "set_alpha_to_one",
    "clip_sample",
    "clip_sample_range",
    "thresholding",
    "dynamic_thresholding_ratio",
    "sample_max_value",
    "rescale_betas_zero_snr",
    "use_karras_sigmas",
    "sigma_min",
    "sigma_max",
    "final_sigmas_type",
    "lambda_min_clipped",
    "skip_prk_steps",
];

/// Runs a sampler to its end and says whether all latents were finite.
fn stays_finite(sampler: &Sampler) -> bool {
    let mut draws = SeededNoise::new(0);
    let mut state = sampler.start();
    let mut latents = draws.next(&[2, 2, 2]) * sampler.init_noise_sigma();
    (0..sampler.evaluations()).all(|i| {
        let input = sampler.scale_model_input(&latents, i).unwrap();
        let output = model(&input, sampler.timestep(i).unwrap());
        let noise = sampler.noise_index(i).map(|_| draws.next(&[2, 2, 2]));
        latents = sampler.step(&mut state, &output, &latents, noise.as_ref()).unwrap();
        latents.isfinite().all().double_value(&[]) == 1.0
    })
}

fn one_way(values: &[f64], down: bool) -> bool {
    values.windows(2).all(|pair| if down { pair[0] >= pair[1] } else { pair[0] <= pair[1] })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn schedules_go_one_way_and_outputs_are_finite(
        config in sensible(),
        kind in kinds(),
        log in any::<bool>(),
        steps in 1_usize..25,
    ) {
        let in_sigmas =
            [SamplerKind::Euler, SamplerKind::EulerAncestral, SamplerKind::DpmSolverMultistep].contains(&kind);
        let sigma_interp = if log && in_sigmas { SigmaInterp::Log } else { SigmaInterp::Linear };
        let options = SamplerOptions { kind: Some(kind), sigma_interp, ..SamplerOptions::default() };
        let sampler = match Sampler::new(&config, &options, steps) {
            Ok(sampler) => sampler,
            // Few training timesteps, and steps that do not fit into them.
            Err(error) => {
                let named = ["sampler_steps", "sampler_timestep_out_of_range", "sampler_degenerate_step"];
                prop_assert!(named.contains(&error.code()), "{error}");
                return Ok(());
            }
        };
        let alphas: Vec<f64> = sampler.alphas_cumprod().iter().map(|&a| f64::from(a)).collect();
        prop_assert!(one_way(&alphas, true));
        prop_assert!(one_way(sampler.timesteps(), kind != SamplerKind::DdimInverse));
        if let Some(sigmas) = sampler.sigmas() {
            let sigmas: Vec<f64> = sigmas.iter().map(|&s| f64::from(s)).collect();
            // The last one may be the table's lowest, to rounding.
            prop_assert!(one_way(&sigmas[..sigmas.len() - 1], true));
            prop_assert!(sigmas[sigmas.len() - 1] <= sigmas[sigmas.len() - 2] * 1.000_001);
        }
        prop_assert!(stays_finite(&sampler));
    }

    #[test]
    fn no_config_makes_it_panic(
        fields in proptest::collection::vec((select(FIELDS.to_vec()), hostile_value()), 0..6),
        kind in kinds(),
        log in any::<bool>(),
        steps in select(vec![0_usize, 1, 2, 3, 7]),
        eta in select(vec![0.0, 1.0, f64::NAN]),
    ) {
        let map: Map<String, Value> = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let config = SamplerConfig::try_from(map).unwrap();
        let sigma_interp = if log { SigmaInterp::Log } else { SigmaInterp::Linear };
        let options = SamplerOptions { kind: Some(kind), sigma_interp, karras: None, eta };
        match Sampler::new(&config, &options, steps) {
            Ok(sampler) => prop_assert!(sampler.evaluations() >= 1),
            Err(error) => prop_assert!(error.code().starts_with("sampler_")),
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[\\\\\"{}:,a-zé \\-InfityNaN0-9]{0,40}") {
        if let Err(error) = SamplerConfig::from_json(&text) {
            prop_assert!(error.code().starts_with("sampler_"));
        }
    }
}

#[test]
fn usual_step_counts_work() {
    for kind in SamplerKind::ALL {
        for steps in [1, 2, 3, 50, 1000] {
            // DPM-Solver++ visits one timestep more than its steps; 1,000 even ones are not there to be had.
            let spread = kind == SamplerKind::DpmSolverMultistep && steps == 1000;
            let config = usual(kind).with("use_karras_sigmas", spread).unwrap();
            let sampler = super::sampler(&config, steps);
            let second_start = kind == SamplerKind::Pndm && steps > 1;
            assert_eq!(sampler.evaluations(), steps + usize::from(second_start), "{kind}");
            assert!(stays_finite(&sampler), "{kind} {steps}");
        }
    }
}
