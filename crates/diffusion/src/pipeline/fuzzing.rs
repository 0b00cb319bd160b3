//! Exported rows from arbitrary bytes, without a model.

use std::rc::Rc;

use retouch_ports::step_engine::{Guidance, RowRequest, Task};
use tch::{Device, Kind, Tensor};

use super::export;
use super::guidance::RowGuidance;
use super::prompt::Prompt;
use super::row::{Encoded, Row};
use crate::error::{Error, Result};
use crate::models::unet::TextKv;
use crate::noise::SeededNoise;
use crate::samplers::{Sampler, SamplerConfig, SamplerKind, SamplerOptions};

/// Stands for a model's fingerprint.
const MODEL: &str = "fuzz";
/// `[1, C, h, w]`
const SHAPE: [i64; 4] = [1, 4, 2, 3];

/// The rows that exports are tried on: samplers with and without a history, an edit and a generation.
const ROWS: [(SamplerKind, bool); 4] = [
    (SamplerKind::Ddim, true),
    (SamplerKind::Pndm, true),
    (SamplerKind::EulerAncestral, false),
    (SamplerKind::DpmSolverMultistep, false),
];

fn row((kind, editing): (SamplerKind, bool)) -> Result<Row> {
    let task = if editing { Task::Edit { image: vec![0.0; 3] } } else { Task::Generate };
    let request = RowRequest {
        task,
        prompt: "a".into(),
        negative: String::new(),
        width: 6,
        height: 4,
        steps: 5,
        sampler: Some(kind.name().into()),
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
    };
    let sampler = Sampler::new(&SamplerConfig::new(kind), &SamplerOptions::default(), request.steps)?;
    let mut noise = SeededNoise::new(request.seed);
    let guidance = RowGuidance::new(&request, 0.0, &sampler)?;
    Ok(Row {
        request,
        gang: 0,
        state: sampler.start(),
        feedback: guidance.start(),
        guidance,
        plan: None,
        latents: noise.next(&SHAPE),
        noise: (0..sampler.noise_draws()).map(|_| noise.next(&SHAPE)).collect(),
        sampler,
        encoded: None,
        image: None,
        forward: 0,
        evaluations: 0,
    })
}

/// Continues rows from `bytes`; whether any row took them for its export.
///
/// # Panics
/// If a row comes out that is not consistent, or that a refusal has changed.
pub fn exported_row(bytes: &[u8]) -> bool {
    crate::error::quiet_panics();
    let mut taken = false;
    for which in ROWS {
        let mut row = row(which).expect("a row of a plain request");
        let result = export::resume(bytes, &mut row, MODEL);
        assert!(row.latents.size() == SHAPE && row.latents.isfinite().all().int64_value(&[]) != 0);
        assert!(row.forward == row.state.forward() && row.forward <= row.sampler.evaluations());
        match result {
            Ok(Some(image)) => {
                assert_eq!(image.is_some(), which.1);
                taken = true;
                if row.forward < row.sampler.evaluations() {
                    advance(&mut row).expect("a row that was taken goes on");
                }
            }
            Ok(None) => assert_eq!(row.forward, 0),
            Err(error) => {
                assert!(matches!(error, Error::Export(_) | Error::Sampler(_)), "{error}");
                assert!(row.forward == 0 && error.to_string().len() < 1000, "{error}");
            }
        }
    }
    taken
}

fn advance(row: &mut Row) -> Result<()> {
    let noise = row.sampler.noise_index(row.forward).and_then(|i| row.noise.get(i));
    row.latents = row.sampler.step(&mut row.state, &(&row.latents * 0.25), &row.latents, noise)?;
    row.forward += 1;
    Ok(())
}

/// Good exports by name, after two forwards each: the beginning of the corpus.
///
/// # Errors
/// A failed sampler or export.
pub fn exported_row_seeds() -> Result<Vec<(String, Vec<u8>)>> {
    let export = |which: (SamplerKind, bool)| {
        let mut row = row(which)?;
        for _ in 0..2 {
            advance(&mut row)?;
        }
        let prompt = Rc::new(Prompt {
            id: 0,
            embeds: Tensor::zeros([1, 1, 1], (Kind::Float, Device::Cpu)),
            kv: TextKv::gather(&[]),
            truncated: None,
        });
        let image_latents = which.1.then(|| row.latents.shallow_clone());
        row.encoded = Some(Encoded {
            prompt: prompt.clone(),
            without: prompt,
            negative: None,
            spatial: None,
            image_latents,
        });
        Ok((which.0.name().to_owned(), export::write(&row, MODEL)?))
    };
    ROWS.into_iter().map(export).collect()
}
