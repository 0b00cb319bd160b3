//! From what a job names to what the engine takes.

use retouch_domain::{JobId, TenantId};
use retouch_imaging::{Limits, SizeRule, decode, to_model_input};
use retouch_ports::files::tenant_file;
use retouch_ports::jobs::edit::{Edit, GuidanceMode, Source};
use retouch_ports::step_engine::{DynamicGuidance, Guidance, RowRequest, Task};
use retouch_ports::{BlobStore, Fetch};

use super::error::EditError;

/// Pixels to edit at, at most.
const MAX_PIXELS: u64 = 2048 * 2048;

/// The bytes of the input image.
pub(super) async fn bytes(
    source: &Source,
    tenant: TenantId,
    blobs: &dyn BlobStore,
    fetch: &dyn Fetch,
) -> Result<Vec<u8>, EditError> {
    let name = match source {
        Source::Url(url) => return Ok(fetch.image(url).await?.into()),
        Source::File(name) => name,
    };
    let shown = || name.chars().take(100).collect::<String>();
    let key = tenant_file(tenant, name).ok_or_else(|| EditError::FileName { name: shown() })?;
    let blob = blobs.get(&key, None).await.map_err(EditError::Store)?;
    let blob = blob.ok_or_else(|| EditError::FileGone { name: shown() })?;
    let limit = Limits::default().bytes;
    if blob.size > limit as u64 {
        return Err(EditError::FileLarge { name: shown(), bytes: blob.size, limit });
    }
    blob.bytes().await.map_err(EditError::Store)
}

/// The seed of a job that has none: the same in every run, so that a run can be continued.
pub(super) fn seed_of(job: JobId) -> u64 {
    // The end of the id is random; half of it, as seeds go that people write down.
    let bits = job.uuid().as_u128();
    bits as u64 & u64::from(u32::MAX)
}

/// The engine's request for the first image of a job.
pub(super) fn request(edit: &Edit, bytes: &[u8], factor: u32, seed: u64) -> Result<RowRequest, EditError> {
    let source = decode(bytes, &Limits::default()).map_err(EditError::Image)?.pixels;
    let rule = edit.size.map_or(SizeRule::Diffusers, |(width, height)| SizeRule::Exact { width, height });
    let plan = rule.plan(source.width(), source.height(), factor).map_err(EditError::Image)?;
    let (width, height) = (plan.width, plan.height);
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(EditError::Size { width, height, most: MAX_PIXELS });
    }
    let input = rule.apply(&source, factor).map_err(EditError::Image)?;
    Ok(RowRequest {
        task: Task::Edit { image: to_model_input(&input) },
        prompt: edit.instruction.clone(),
        negative: edit.negative.clone(),
        width: input.width(),
        height: input.height(),
        steps: edit.steps as usize,
        sampler: edit.sampler.clone(),
        sigma_interp: None,
        karras: None,
        guidance_text: edit.guidance_text,
        guidance_image: edit.guidance_image,
        guidance: match edit.guidance {
            GuidanceMode::Fixed => Guidance::Fixed,
            GuidanceMode::Dynamic => Guidance::Dynamic(DynamicGuidance::default()),
        },
        intents: edit.intents.as_ref().map(ToString::to_string),
        spatial: edit.spatial,
        source_box: edit.source_box,
        clip_skip: None,
        seed,
        noise: None,
    })
}
