//! `scheduler_config.json`: what is read, what is carried to another class, and what is refused by name.

use retouch_diffusion::samplers::{
    Sampler, SamplerConfig, SamplerError, SamplerKind, SamplerOptions, SigmaInterp,
};
use serde_json::{Value, json};

use super::{sampler, usual};

fn read(text: &str) -> SamplerConfig {
    SamplerConfig::from_json(text).unwrap()
}

fn build(config: &SamplerConfig, kind: SamplerKind, steps: usize) -> Result<Sampler, SamplerError> {
    Sampler::new(config, &SamplerOptions { kind: Some(kind), ..SamplerOptions::default() }, steps)
}

#[test]
fn names_go_both_ways() {
    for kind in SamplerKind::ALL {
        assert_eq!(kind.name().parse::<SamplerKind>().unwrap(), kind);
        assert_eq!(serde_json::to_value(kind).unwrap(), json!(kind.name()));
        assert_eq!(SamplerKind::of_class(kind.class_name()), Some(kind));
    }
    let error = "heun".parse::<SamplerKind>().unwrap_err();
    assert_eq!(error.code(), "sampler_unknown");
    let expected =
        "there is no sampler `heun`; choose one of ddim, pndm, euler, euler-a, dpmpp-2m, ddpm, ddim-inverse";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_config_survives_serde() {
    let text = r#"{"_class_name":"DDIMScheduler","_diffusers_version":"0.42.1","beta_end":0.012,"trained_betas":null}"#;
    let config = read(text);
    assert_eq!(config.kind().unwrap(), SamplerKind::Ddim);
    let again: SamplerConfig = serde_json::from_str(&serde_json::to_string(&config).unwrap()).unwrap();
    assert_eq!(again, config);
    assert_eq!(serde_json::from_str::<SamplerConfig>(text).unwrap(), config);
}

#[test]
fn python_tokens_are_read_and_strings_left_alone() {
    let text = r#"{"_class_name":"DPMSolverMultistepScheduler","_note":"a \"NaN\" and -Infinity é","lambda_min_clipped":-Infinity}"#;
    sampler(&read(text), 10);
    let nan = r#"{"_class_name":"DDIMScheduler","beta_start":NaN}"#;
    let error = Sampler::new(&read(nan), &SamplerOptions::default(), 10).unwrap_err();
    let expected = r#"scheduler config field `beta_start` is "NaN"; ddim supports a number from 0 to 1"#;
    assert_eq!(error.to_string(), expected);
}

#[test]
fn text_that_is_no_config_is_refused() {
    for text in ["", "[]", "3", "{\"beta_start\":", "{\"a\": \"\\", "Infinity"] {
        assert_eq!(SamplerConfig::from_json(text).unwrap_err().code(), "sampler_config_json", "{text}");
    }
    let unknown = SamplerConfig::from_json(r#"{"beta_strat": 0.1}"#).unwrap_err();
    assert_eq!(unknown.code(), "sampler_config_unknown_field");
    assert!(unknown.to_string().contains("`beta_strat`"));
    assert_eq!(usual(SamplerKind::Ddim).with("stepz", 1).unwrap_err().code(), "sampler_config_unknown_field");
    let no_class = Sampler::new(&read("{}"), &SamplerOptions::default(), 10);
    assert_eq!(no_class.unwrap_err().code(), "sampler_config_no_class");
    let other = read(r#"{"_class_name":"HeunDiscreteScheduler"}"#);
    assert_eq!(other.kind().unwrap_err().code(), "sampler_unknown");
    assert!(build(&other, SamplerKind::Euler, 10).is_ok());
    assert_eq!(SamplerConfig::from_json(r#"{"_class_name":7}"#).unwrap_err().code(), "sampler_unknown");
}

/// A value, its sampler, and the part of the message that says what would do.
#[test]
fn values_that_are_not_supported_are_named() {
    use SamplerKind::{Ddim, DdimInverse, Ddpm, DpmSolverMultistep as Dpm, Euler, EulerAncestral, Pndm};
    let cases: Vec<(SamplerKind, &str, Value, &str)> = vec![
        (Ddim, "beta_schedule", json!("sigmoid"), "linear, scaled_linear, squaredcos_cap_v2"),
        (Ddim, "beta_end", json!(1.5), "a number from 0 to 1"),
        (Ddim, "beta_end", json!(-0.1), "a number from 0 to 1"),
        (Ddim, "beta_start", json!("0.1"), "a number from 0 to 1"),
        (Ddim, "prediction_type", json!("flow_prediction"), "epsilon, v_prediction, sample"),
        (Ddim, "timestep_spacing", json!("even"), "leading, trailing, linspace"),
        (Ddim, "clip_sample", json!(1), "true or false"),
        (Ddim, "clip_sample_range", json!(-1), "a finite number from 0"),
        (Ddim, "num_train_timesteps", json!(0), "a whole number from 1 to 100000"),
        (Ddim, "num_train_timesteps", json!(100_001), "a whole number from 1 to 100000"),
        (Ddim, "num_train_timesteps", json!(u64::MAX), "a whole number from 1 to 100000"),
        (Ddim, "num_train_timesteps", json!(10.5), "a whole number from 1 to 100000"),
        (Ddim, "steps_offset", json!(-1), "a whole number from 0 to 1000"),
        (Ddim, "trained_betas", json!([0.1, 0.2]), "`num_train_timesteps` = 1000 numbers from 0 to 1"),
        (Ddim, "trained_betas", json!(vec![2.0; 1000]), "numbers from 0 to 1"),
        (DdimInverse, "timestep_spacing", json!("linspace"), "leading, trailing"),
        (Pndm, "prediction_type", json!("sample"), "epsilon, v_prediction"),
        (EulerAncestral, "prediction_type", json!("sample"), "epsilon, v_prediction"),
        (Euler, "use_beta_sigmas", json!(true), "false only"),
        (Euler, "use_exponential_sigmas", json!(true), "false only"),
        (Euler, "timestep_type", json!("continuous"), "discrete"),
        (Euler, "interpolation_type", json!("cubic"), "linear, log_linear"),
        (Euler, "final_sigmas_type", json!("one"), "zero, sigma_min"),
        (Euler, "sigma_max", json!(-1), "a finite number from 0"),
        (Dpm, "solver_order", json!(3), "a whole number from 1 to 2"),
        (Dpm, "algorithm_type", json!("sde-dpmsolver++"), "dpmsolver++"),
        (Dpm, "solver_type", json!("rk4"), "midpoint, heun"),
        (Dpm, "use_lu_lambdas", json!(true), "false only"),
        (Dpm, "use_flow_sigmas", json!(true), "false only"),
        (Dpm, "variance_type", json!("learned_range"), "fixed variances only"),
        (Dpm, "lambda_min_clipped", json!("low"), "a number or -Infinity"),
        (Ddpm, "variance_type", json!("fixed_large_log"), "fixed_small, fixed_small_log, fixed_large"),
        (Ddpm, "variance_type", json!("learned"), "fixed_small, fixed_small_log, fixed_large"),
    ];
    for (kind, field, value, supported) in cases {
        let clips = field == "clip_sample_range";
        let config = usual(kind).with("clip_sample", clips).unwrap().with(field, value.clone()).unwrap();
        let error = build(&config, kind, 10).unwrap_err();
        assert_eq!(error.code(), "sampler_config_unsupported_value", "{field} {value}: {error}");
        let text = error.to_string();
        assert!(text.contains(&format!("`{field}`")) && text.contains(supported), "{text}");
        assert!(text.len() < 300, "{text}");
    }
}

#[test]
fn another_class_reads_only_what_it_has() {
    // Euler has no thresholding, no clipping and no variance; DPM-Solver++ takes other fixed variances as its
    // own.
    let config = [
        ("thresholding", json!(true)),
        ("clip_sample", json!("nonsense")),
        ("variance_type", json!("fixed_small")),
        ("solver_type", json!("bh2")),
    ]
    .into_iter()
    .fold(usual(SamplerKind::Ddpm), |config, (field, value)| config.with(field, value).unwrap());
    assert!(build(&config, SamplerKind::Euler, 10).is_ok());
    assert!(build(&config, SamplerKind::DpmSolverMultistep, 10).is_ok());
    // A name that nobody set does not follow into the other class.
    let memory = r#"{"_class_name":"DDIMScheduler","timestep_spacing":"leading","_use_default_values":["timestep_spacing"]}"#;
    let euler = build(&read(memory), SamplerKind::Euler, 2).unwrap();
    assert_eq!(euler.timesteps(), [999.0, 0.0]);
    let disk = r#"{"_class_name":"DDIMScheduler","timestep_spacing":"leading"}"#;
    assert_eq!(build(&read(disk), SamplerKind::Euler, 2).unwrap().timesteps(), [500.0, 0.0]);
}

#[test]
fn options_that_a_sampler_lacks_are_refused() {
    let code = |kind, options| Sampler::new(&usual(kind), &options, 10).unwrap_err().code();
    let default = SamplerOptions::default();
    let log = SamplerOptions { sigma_interp: SigmaInterp::Log, ..default };
    let karras = SamplerOptions { karras: Some(true), ..default };
    for kind in [SamplerKind::Ddim, SamplerKind::Pndm, SamplerKind::Ddpm, SamplerKind::DdimInverse] {
        assert_eq!(code(kind, log), "sampler_unsupported_option");
        assert_eq!(code(kind, karras), "sampler_unsupported_option");
    }
    assert_eq!(code(SamplerKind::EulerAncestral, karras), "sampler_unsupported_option");
    assert!(
        Sampler::new(&usual(SamplerKind::EulerAncestral), &SamplerOptions { karras: Some(true), ..log }, 10)
            .is_ok()
    );
    for eta in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        assert_eq!(code(SamplerKind::Ddim, SamplerOptions { eta, ..default }), "sampler_unsupported_option");
    }
    let text = r#"{"kind":"euler-a","sigma_interp":"log","karras":true}"#;
    let options: SamplerOptions = serde_json::from_str(text).unwrap();
    assert_eq!(
        options,
        SamplerOptions { kind: Some(SamplerKind::EulerAncestral), karras: Some(true), ..log }
    );
    let config = usual(SamplerKind::Euler).with("use_karras_sigmas", true).unwrap();
    let off = SamplerOptions { karras: Some(false), ..default };
    let (with, without) = (sampler(&config, 5), Sampler::new(&config, &off, 5).unwrap());
    assert_ne!(with.sigmas(), without.sigmas());
    assert_eq!(without.sigmas(), sampler(&usual(SamplerKind::Euler), 5).sigmas());
}

#[test]
fn impossible_step_counts_are_refused() {
    for kind in SamplerKind::ALL {
        for steps in [0, 1001, usize::MAX] {
            let error = build(&usual(kind), kind, steps).unwrap_err();
            assert_eq!(error.code(), "sampler_steps", "{kind} {steps}");
            assert!(error.to_string().ends_with("choose 1 to 1000"), "{error}");
        }
    }
    let runge_kutta = usual(SamplerKind::Pndm).with("skip_prk_steps", false).unwrap();
    let error = build(&runge_kutta, SamplerKind::Pndm, 3).unwrap_err();
    assert_eq!(error.to_string(), "3 inference steps are not possible with pndm; choose 4 to 1000");
}

#[test]
fn schedules_that_diffusers_breaks_on_are_refused() {
    let code = |config: SamplerConfig, steps| {
        Sampler::new(&config, &SamplerOptions::default(), steps).unwrap_err().code()
    };
    // 1,000 leading timesteps with an offset end one past the table.
    let offset = usual(SamplerKind::Ddim).with("steps_offset", 1).unwrap();
    assert_eq!(code(offset, 1000), "sampler_timestep_out_of_range");
    // ε at a zero terminal SNR divides by √0.
    for kind in [SamplerKind::Ddim, SamplerKind::Ddpm] {
        let config = usual(kind).with("rescale_betas_zero_snr", true).unwrap();
        assert_eq!(
            code(config.clone().with("timestep_spacing", "trailing").unwrap(), 10),
            "sampler_degenerate_step"
        );
        assert!(Sampler::new(&config, &SamplerOptions::default(), 10).is_ok());
    }
    for kind in SamplerKind::ALL {
        let flat = |beta: f64| usual(kind).with("beta_start", beta).unwrap().with("beta_end", beta).unwrap();
        let all = code(flat(1.0), 10);
        assert!(["sampler_degenerate_step", "sampler_degenerate_schedule"].contains(&all), "{kind}: {all}");
        if matches!(kind, SamplerKind::Ddim | SamplerKind::DdimInverse) {
            continue; // without noise they stand still, which is right
        }
        let none = code(flat(0.0).with("prediction_type", "v_prediction").unwrap(), 10);
        assert!(["sampler_degenerate_step", "sampler_degenerate_schedule"].contains(&none), "{kind}: {none}");
    }
    let zeros = usual(SamplerKind::Euler).with("beta_start", 0).unwrap().with("beta_end", 0).unwrap();
    let zeros = zeros.with("rescale_betas_zero_snr", true).unwrap();
    assert_eq!(code(zeros, 10), "sampler_degenerate_schedule");
    // More points than timesteps make two equal ones.
    assert_eq!(code(usual(SamplerKind::DpmSolverMultistep), 1000), "sampler_degenerate_step");
    let high = usual(SamplerKind::DpmSolverMultistep).with("lambda_min_clipped", 50).unwrap();
    assert_eq!(code(high, 10), "sampler_degenerate_schedule");
    let one = usual(SamplerKind::Euler).with("num_train_timesteps", 1).unwrap();
    assert!(Sampler::new(&one, &SamplerOptions::default(), 1).is_ok());
    assert_eq!(code(one.with("use_karras_sigmas", true).unwrap(), 1), "sampler_degenerate_schedule");
    let noised = sampler(&usual(SamplerKind::Pndm), 10).start_at(3);
    assert_eq!(noised.unwrap_err().code(), "sampler_unsupported_option");
}
