//! Pairs from their seeds.

use retouch_imaging::{EncodeOptions, OutputFormat, RgbImage, encode};
use retouch_ports::BlobStore;
use retouch_ports::blob::{PutOptions, bytes_stream};
use retouch_ports::jobs::pairs::{MAX_RENDERED, MAX_SIZE, MIN_SIZE, Render, RenderedPairs};
use retouch_ports::store::Claimed;
use retouch_scenes::{Pair, PairOptions, Renderer};
use serde_json::{Value, json};

use super::{PARTS, PairError, check, key, payload, report};
use crate::run::RunHandle;

pub(super) async fn run(
    blobs: &dyn BlobStore,
    job: &Claimed,
    handle: &RunHandle,
) -> Result<Value, PairError> {
    let render: Render = payload(job)?;
    check(render.first, render.count, MAX_RENDERED)?;
    if !(MIN_SIZE..=MAX_SIZE).contains(&render.size) {
        return Err(PairError::Payload { reason: format!("size: from {MIN_SIZE} to {MAX_SIZE}") });
    }
    let mut done = RenderedPairs::default();
    for number in render.first..render.first + render.count {
        if let Some(stop) = handle.stop() {
            return Err(PairError::Stopped(stop));
        }
        let key = |part| key(job.tenant, job.batch, &render.set, number, part);
        if blobs.size(&key(PARTS[2])?).await?.is_some() {
            done.kept += 1;
        } else {
            let (seed, size) = (render.seed.wrapping_add(number), render.size);
            // It does not end before its time but by a panic.
            let files = tokio::task::spawn_blocking(move || make(seed, size)).await;
            let files = files.unwrap_or_else(|panic| Err(panic.to_string()));
            match files.map_err(|reason| PairError::Pair { number, reason })? {
                None => done.skipped += 1,
                Some(files) => {
                    for (part, bytes) in PARTS.into_iter().zip(files) {
                        blobs.put(&key(part)?, bytes_stream(bytes), &PutOptions::default()).await?;
                    }
                    done.made += 1;
                }
            }
        }
        report(handle, number + 1 - render.first, render.count);
    }
    Ok(json!(done))
}

/// The files of a pair in the order of [`PARTS`]; `None` for a seed that gives none.
fn make(seed: u64, size: u32) -> Result<Option<[Vec<u8>; 3]>, String> {
    let mut renderer = Renderer::new();
    let Ok(pair) = Pair::sample_with(seed, &PairOptions::default(), &mut renderer) else { return Ok(None) };
    let mut render = |scene| renderer.render(scene, size, size).map_err(|error| error.to_string());
    let (before, after) = (render(&pair.before)?, render(&pair.after)?);
    let png = |image: &RgbImage| {
        encode(image, &EncodeOptions::new(OutputFormat::Png), None).map_err(|error| error.to_string())
    };
    let record = json!({
        "seed": pair.seed,
        "edit_prompt": pair.instruction,
        "original_prompt": pair.captions.before,
        "edited_prompt": pair.captions.after,
        "language": pair.language,
        "intents": pair.intents,
        "level": pair.level,
        "kind": pair.kind,
        "combinations": pair.combinations,
        "scenes": {"original": pair.before, "edited": pair.after},
        "truth": {"original": before.truth, "edited": after.truth},
    });
    Ok(Some([png(&before.image)?, png(&after.image)?, record.to_string().into_bytes()]))
}
