//! The figures that diffusers' own tests publish, with its weight-free model x·t/(t+1).
//!
//! diffusers v0.42.1 `tests/schedulers/test_scheduler_*.py`; the sample, the noise and the model are
//! `tests/schedulers/test_schedulers.py`, `dummy_sample_deter`, `dummy_noise_deter` and `dummy_model`.

use retouch_diffusion::SeededNoise;
use retouch_diffusion::samplers::{Sampler, SamplerConfig, SamplerKind};
use serde_json::{Value, json};
use tch::{Kind, Tensor};

use super::sampler;

/// One published figure: file and test, sampler, what the test changes in the file's config, steps, the
/// forward from which the test denoises a noised sample, and of the last latents Σ|x| (where published) and
/// mean |x|.
type Figure = (&'static str, SamplerKind, Value, usize, usize, Option<f64>, f64);

/// The tolerances of those tests.
const SUM_TOLERANCE: f64 = 1e-2;
const MEAN_TOLERANCE: f64 = 1e-3;

fn figures() -> [Figure; 28] {
    use SamplerKind::{Ddim, DdimInverse, Ddpm, DpmSolverMultistep as Dpm, Euler, EulerAncestral, Pndm};
    let v = || json!({"prediction_type": "v_prediction"});
    let alpha = |one: bool| json!({"set_alpha_to_one": one, "beta_start": 0.01});
    let thresholds =
        json!({"thresholding": true, "dynamic_thresholding_ratio": 0.87, "sample_max_value": 0.5});
    let karras_v = json!({"prediction_type": "v_prediction", "use_karras_sigmas": true});
    [
        ("ddim.py no_noise", Ddim, json!({}), 10, 0, Some(172.0067), 0.223_967),
        ("ddim.py v_prediction", Ddim, v(), 10, 0, Some(52.5302), 0.0684),
        ("ddim.py set_alpha_to_one", Ddim, alpha(true), 10, 0, Some(149.8295), 0.1951),
        ("ddim.py no_set_alpha_to_one", Ddim, alpha(false), 10, 0, Some(149.0784), 0.1941),
        ("ddim.py with_noise", Ddim, json!({}), 10, 8, Some(354.5418), 0.4616),
        ("ddim_inverse.py no_noise", DdimInverse, json!({}), 10, 0, Some(671.6816), 0.8746),
        ("ddim_inverse.py v_prediction", DdimInverse, v(), 10, 0, Some(1394.2185), 1.8154),
        ("ddim_inverse.py set_alpha_to_one", DdimInverse, alpha(true), 10, 0, Some(539.9622), 0.7031),
        ("ddim_inverse.py no_set_alpha_to_one", DdimInverse, alpha(false), 10, 0, Some(542.6722), 0.7066),
        ("pndm.py no_noise", Pndm, json!({}), 10, 0, Some(198.1318), 0.2580),
        ("pndm.py v_prediction", Pndm, v(), 10, 0, Some(67.3986), 0.0878),
        ("pndm.py set_alpha_to_one", Pndm, alpha(true), 10, 0, Some(230.0399), 0.2995),
        ("pndm.py no_set_alpha_to_one", Pndm, alpha(false), 10, 0, Some(186.9482), 0.2434),
        ("euler.py no_noise", Euler, json!({}), 10, 0, Some(10.0807), 0.0131),
        ("euler.py v_prediction", Euler, v(), 10, 0, Some(0.0002), 2.2676e-06),
        ("euler.py karras", Euler, json!({"use_karras_sigmas": true}), 10, 0, Some(124.522_995), 0.162_139),
        ("euler.py with_noise", Euler, json!({}), 10, 8, Some(57062.9297), 74.3007),
        ("euler_ancestral.py no_noise", EulerAncestral, json!({}), 10, 0, Some(152.3192), 0.1983),
        ("euler_ancestral.py v_prediction", EulerAncestral, v(), 10, 0, Some(108.4439), 0.1412),
        ("euler_ancestral.py with_noise", EulerAncestral, json!({}), 10, 8, Some(56163.0508), 73.1290),
        ("dpm_multi.py no_noise", Dpm, json!({}), 10, 0, None, 0.3301),
        ("dpm_multi.py with_noise", Dpm, json!({}), 10, 5, Some(318.4111), 0.4146),
        ("dpm_multi.py thres", Dpm, thresholds, 10, 0, None, 1.1364),
        ("dpm_multi.py v_prediction", Dpm, v(), 10, 0, None, 0.2251),
        ("dpm_multi.py karras_and_v_prediction", Dpm, karras_v, 10, 0, None, 0.2096),
        ("ddpm.py no_noise", Ddpm, json!({}), 1000, 0, Some(258.9606), 0.3372),
        ("ddpm.py v_prediction", Ddpm, v(), 1000, 0, Some(202.0296), 0.2631),
        ("ddpm.py with_noise", Ddpm, json!({}), 1000, 998, Some(387.9466), 0.5051),
    ]
}

/// `get_scheduler_config` of the test files, with the test's own changes.
fn config(kind: SamplerKind, changes: &Value) -> SamplerConfig {
    let mut fields = match kind {
        SamplerKind::Euler | SamplerKind::EulerAncestral => json!({"num_train_timesteps": 1100}),
        SamplerKind::DpmSolverMultistep => {
            json!({"lower_order_final": false, "final_sigmas_type": "sigma_min", "solver_order": 2})
        }
        _ => json!({}),
    };
    fields["_class_name"] = json!(kind.class_name());
    fields.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    SamplerConfig::from_json(&fields.to_string()).unwrap()
}

/// `dummy_sample_deter` and `dummy_noise_deter`: [4, 3, 8, 8], strided as there so that sums add up in the
/// same order.
fn ramp(reversed: bool) -> Tensor {
    let elements = 4 * 3 * 8 * 8;
    let ramp = Tensor::arange(elements, (Kind::Float, tch::Device::Cpu));
    let ramp = if reversed { ramp.flip([0]) } else { ramp };
    (ramp.reshape([3, 8, 8, 4]) / elements as f64).permute([3, 0, 1, 2])
}

fn run(sampler: &Sampler, start: usize) -> Tensor {
    // Those tests hand the scaled sample to `step` too.
    let scales = matches!(sampler.kind(), SamplerKind::Euler | SamplerKind::EulerAncestral);
    let mut draws = SeededNoise::new(0);
    let mut sample = ramp(false) * sampler.init_noise_sigma();
    if start > 0 {
        sample = sampler.add_noise(&sample, &ramp(true), sampler.timestep(start).unwrap()).unwrap();
    }
    let mut state = sampler.start_at(start).unwrap();
    for forward in start..sampler.evaluations() {
        let t = sampler.timestep(forward).unwrap();
        if scales {
            sample = sampler.scale_model_input(&sample, forward).unwrap();
        }
        let output = &sample * t / (t + 1.0);
        let noise = sampler.noise_index(forward).map(|_| draws.next(&[4, 3, 8, 8]));
        sample = sampler.step(&mut state, &output, &sample, noise.as_ref()).unwrap();
    }
    sample
}

#[test]
fn the_published_figures_hold() {
    for (source, kind, changes, steps, start, sum, mean) in figures() {
        let last = run(&sampler(&config(kind, &changes), steps), start).abs();
        let got_sum = f64::try_from(last.sum(Kind::Float)).unwrap();
        let got_mean = f64::try_from(last.mean(Kind::Float)).unwrap();
        assert!((got_mean - mean).abs() < MEAN_TOLERANCE, "{source}: mean {got_mean}, not {mean}");
        if let Some(sum) = sum {
            assert!((got_sum - sum).abs() < SUM_TOLERANCE, "{source}: sum {got_sum}, not {sum}");
        }
    }
}

#[test]
fn the_published_timesteps_hold() {
    let with_offset = |kind| config(kind, &json!({"steps_offset": 1}));
    let ddim = sampler(&with_offset(SamplerKind::Ddim), 5);
    assert_eq!(ddim.timesteps(), [801.0, 601.0, 401.0, 201.0, 1.0]);
    let inverse = sampler(&with_offset(SamplerKind::DdimInverse), 5);
    assert_eq!(inverse.timesteps(), [1.0, 201.0, 401.0, 601.0, 801.0]);
    let pndm = sampler(&with_offset(SamplerKind::Pndm), 10);
    let expected =
        [901, 851, 851, 801, 801, 751, 751, 701, 701, 651, 651, 601, 601, 501, 401, 301, 201, 101, 1];
    assert_eq!(pndm.timesteps(), expected.map(f64::from));
}
