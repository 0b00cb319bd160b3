//! The state of one row: export and import after every forward, and rows that do not touch each other.

use retouch_diffusion::SeededNoise;
use retouch_diffusion::samplers::{
    Sampler, SamplerConfig, SamplerCounters, SamplerKind, SamplerOptions, SamplerState, SigmaInterp,
};
use tch::{Device, Kind, Tensor};

use super::{model, sampler, take, usual};

const SHAPE: [i64; 3] = [4, 4, 4];

/// Every sampler and every way of keeping history.
fn samplers(steps: usize) -> Vec<Sampler> {
    let plain = SamplerKind::ALL.map(|kind| sampler(&usual(kind), steps));
    let runge_kutta = usual(SamplerKind::Pndm).with("skip_prk_steps", false).unwrap();
    let first_order = usual(SamplerKind::DpmSolverMultistep).with("solver_order", 1).unwrap();
    let by_sample = usual(SamplerKind::DpmSolverMultistep).with("prediction_type", "sample").unwrap();
    let others = [runge_kutta, first_order, by_sample].map(|config| sampler(&config, steps));
    let noisy = SamplerOptions { eta: 1.0, ..SamplerOptions::default() };
    let log = SamplerOptions { sigma_interp: SigmaInterp::Log, ..SamplerOptions::default() };
    let with = |kind, options| Sampler::new(&usual(kind), &options, steps).unwrap();
    let rest = [with(SamplerKind::Ddim, noisy), with(SamplerKind::EulerAncestral, log)];
    plain.into_iter().chain(others).chain(rest).collect()
}

/// The initial latents and the step noise of a row.
fn draw(sampler: &Sampler) -> (Tensor, Vec<Tensor>) {
    let mut draws = SeededNoise::new(7);
    let latents = draws.next(&SHAPE) * sampler.init_noise_sigma();
    (latents, take(&mut draws, sampler.noise_draws(), &SHAPE))
}

fn forward(sampler: &Sampler, state: &mut SamplerState, latents: &Tensor, noise: &[Tensor]) -> Tensor {
    let i = state.forward();
    let input = sampler.scale_model_input(latents, i).unwrap();
    let output = model(&input, sampler.timestep(i).unwrap());
    let noise = sampler.noise_index(i).map(|i| &noise[i]);
    sampler.step(state, &output, latents, noise).unwrap()
}

/// What leaves the process: text and tensors, nothing shared.
fn through_text(state: &SamplerState) -> (SamplerCounters, Vec<(String, Tensor)>) {
    let (counters, tensors) = state.export().unwrap();
    let text = serde_json::to_string(&counters).unwrap();
    let tensors = tensors.into_iter().map(|(name, tensor)| (name, tensor.copy())).collect();
    (serde_json::from_str(&text).unwrap(), tensors)
}

#[test]
fn a_row_goes_on_with_the_same_bits_after_export_at_any_forward() {
    for sampler in samplers(14) {
        let (latents, noise) = draw(&sampler);
        let mut state = sampler.start();
        let mut path = vec![latents];
        while state.forward() < sampler.evaluations() {
            let next = forward(&sampler, &mut state, path.last().unwrap(), &noise);
            path.push(next);
        }
        for pause in 0..=sampler.evaluations() {
            let mut state = sampler.start();
            let mut latents = path[0].copy();
            for _ in 0..pause {
                latents = forward(&sampler, &mut state, &latents, &noise);
            }
            let (counters, tensors) = through_text(&state);
            drop(state);
            let mut state = sampler.import(&counters, tensors).unwrap();
            for expected in &path[pause + 1..] {
                latents = forward(&sampler, &mut state, &latents, &noise);
                assert_eq!(latents, *expected, "{} exported after {pause}", sampler.kind());
            }
        }
    }
}

#[test]
fn a_row_keeps_its_own_memory() {
    for sampler in samplers(6) {
        let (start, noise) = draw(&sampler);
        let run = |spoil: bool| {
            let mut state = sampler.start();
            let mut latents = start.copy();
            while state.forward() < sampler.evaluations() {
                let i = state.forward();
                let input = sampler.scale_model_input(&latents, i).unwrap();
                let mut output = model(&input, sampler.timestep(i).unwrap());
                let noise = sampler.noise_index(i).map(|i| &noise[i]);
                let next = sampler.step(&mut state, &output, &latents, noise).unwrap();
                let kept = next.copy();
                if spoil {
                    // What the caller does to its tensors after a step must not reach the row's history,
                    // nor may a change of an export.
                    let _ = output.fill_(f64::NAN);
                    let _ = latents.fill_(f64::NAN);
                    for (_, tensor) in &mut state.export().unwrap().1 {
                        let _ = tensor.fill_(f64::NAN);
                    }
                }
                latents = kept;
            }
            latents
        };
        assert_eq!(run(false), run(true), "{}", sampler.kind());
    }
}

#[test]
fn a_batch_gives_what_single_rows_give() {
    for sampler in samplers(5) {
        let rows = [2, 4, 4, 4];
        let mut draws = SeededNoise::new(3);
        let batch = draws.next(&rows) * sampler.init_noise_sigma();
        let noise = take(&mut draws, sampler.noise_draws(), &rows);
        drop(draws);
        let run = |latents: Tensor, noise: &[Tensor]| {
            let mut state = sampler.start();
            (0..sampler.evaluations())
                .fold(latents, |latents, _| forward(&sampler, &mut state, &latents, noise))
        };
        let together = run(batch.copy(), &noise);
        for row in 0..2 {
            let noise: Vec<Tensor> = noise.iter().map(|n| n.get(row)).collect();
            assert_eq!(run(batch.get(row), &noise), together.get(row), "{}", sampler.kind());
        }
    }
}

#[test]
fn noise_is_counted_as_diffusers_draws_it() {
    let count = |config: &SamplerConfig, eta| {
        let options = SamplerOptions { eta, ..SamplerOptions::default() };
        let sampler = Sampler::new(config, &options, 10).unwrap();
        let indices: Vec<_> = (0..sampler.evaluations()).filter_map(|i| sampler.noise_index(i)).collect();
        assert_eq!(indices, (0..sampler.noise_draws()).collect::<Vec<_>>());
        sampler.noise_draws()
    };
    assert_eq!(count(&usual(SamplerKind::EulerAncestral), 0.0), 10);
    assert_eq!(count(&usual(SamplerKind::Ddim), 0.0), 0);
    assert_eq!(count(&usual(SamplerKind::Ddim), 0.3), 10);
    assert_eq!(count(&usual(SamplerKind::Euler), 0.3), 0);
    // The last timestep is 0, or 1 with the offset.
    assert_eq!(count(&usual(SamplerKind::Ddpm), 0.0), 9);
    assert_eq!(count(&usual(SamplerKind::Ddpm).with("steps_offset", 1).unwrap(), 0.0), 10);
}

#[test]
fn a_foreign_or_broken_export_is_refused() {
    let dpm = sampler(&usual(SamplerKind::DpmSolverMultistep), 8);
    let pndm = sampler(&usual(SamplerKind::Pndm), 8);
    let (latents, noise) = draw(&dpm);
    let mut state = dpm.start();
    let _ = forward(&dpm, &mut state, &latents, &noise);
    let refuse = |sampler: &Sampler, counters: &SamplerCounters, tensors| {
        let error = sampler.import(counters, tensors).unwrap_err();
        assert_eq!(error.code(), "sampler_import", "{error}");
    };
    let (counters, tensors) = through_text(&state);
    refuse(&pndm, &counters, tensors);
    refuse(&sampler(&usual(SamplerKind::DpmSolverMultistep), 9), &counters, through_text(&state).1);
    refuse(&dpm, &counters, Vec::new());
    refuse(&dpm, &SamplerCounters { forward: 9, ..counters.clone() }, through_text(&state).1);
    refuse(&dpm, &SamplerCounters { first: 2, ..counters.clone() }, through_text(&state).1);
    let mut extra = through_text(&state).1;
    extra.push(("sum".to_owned(), Tensor::ones(SHAPE, (Kind::Float, Device::Cpu))));
    refuse(&dpm, &counters, extra);
    let half =
        vec![("output.0".to_owned(), Tensor::ones(SHAPE, (Kind::Float, Device::Cpu)).to_kind(Kind::Half))];
    refuse(&dpm, &counters, half);
    assert_eq!(pndm.step(&mut state, &latents, &latents, None).unwrap_err().code(), "sampler_import");
}

#[test]
fn a_refused_step_leaves_the_row_as_it_was() {
    let sampler = sampler(&usual(SamplerKind::EulerAncestral), 2);
    let (latents, noise) = draw(&sampler);
    let mut state = sampler.start();
    let mut code = |output: &Tensor, noise: Option<&Tensor>| {
        let error = sampler.step(&mut state, output, &latents, noise).unwrap_err();
        assert_eq!(state.forward(), 0);
        error.code()
    };
    assert_eq!(code(&latents, None), "sampler_missing_noise");
    assert_eq!(code(&latents.to_kind(Kind::Double), noise.first()), "sampler_tensor_mismatch");
    assert_eq!(code(&latents.get(0), noise.first()), "sampler_tensor_mismatch");
    assert_eq!(code(&latents, Some(&latents.flatten(0, -1))), "sampler_tensor_mismatch");
    let mut state = sampler.start();
    for _ in 0..2 {
        let _ = forward(&sampler, &mut state, &latents, &noise);
    }
    let past = sampler.step(&mut state, &latents, &latents, noise.first());
    assert_eq!(past.unwrap_err().code(), "sampler_no_such_forward");
    assert_eq!(sampler.timestep(2).unwrap_err().code(), "sampler_no_such_forward");
    assert_eq!(sampler.start_at(2).unwrap_err().code(), "sampler_no_such_forward");
    assert_eq!(sampler.scale_model_input(&latents, 2).unwrap_err().code(), "sampler_no_such_forward");
    let elsewhere = sampler.add_noise(&latents, &latents, 3.5);
    assert_eq!(elsewhere.unwrap_err().code(), "sampler_no_such_timestep");
}

#[test]
fn a_schedule_goes_to_any_thread() {
    fn shared<T: Clone + Send + Sync + 'static>(_: &T) {}
    fn moved<T: Send + 'static>(_: &T) {}
    let sampler = sampler(&usual(SamplerKind::Pndm), 4);
    shared(&sampler);
    moved(&sampler.start());
}
