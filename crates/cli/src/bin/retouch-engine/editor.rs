//! What runs the edits of a worker: the step batcher on the engine.

use std::sync::Arc;
use std::time::Duration;

use retouch_bootstrap::Settings;
use retouch_bootstrap::backends::web;
use retouch_cli::failure::{Blame, Failure};
use retouch_cli::services::wrong;
use retouch_diffusion::{Kind, ModelFolder, parse_device};
use retouch_ports::Ports;
use retouch_worker::Executor;
use retouch_worker::batcher::{Batcher, Options, monotonic};
use retouch_worker::edit::Editor;

/// An editor as `[worker]` and `[fetch]` describe it. Models are loaded when the first edit asks for them.
pub(crate) fn make(settings: &Settings, ports: &Ports) -> Result<Arc<dyn Executor>, Failure> {
    let worker = &settings.worker;
    let device = parse_device(&worker.device).map_err(|error| wrong("[worker] device", &error))?;
    let kind = match worker.dtype.as_str() {
        "float32" => Kind::Float,
        "bfloat16" => Kind::BFloat16,
        "float16" => Kind::Half,
        other => {
            let problem = format!("{other:?} is none of float32, bfloat16 and float16");
            return Err(wrong("[worker] dtype", &problem));
        }
    };
    let fetch = web(&settings.fetch);
    let options = Options {
        max_step: Duration::from_millis(worker.max_step_ms.get().into()),
        model_bytes: match worker.model_mib {
            0 => u64::MAX,
            mebibytes => u64::from(mebibytes) << 20,
        },
        ..Options::default()
    };
    let (root, now) = (worker.models.clone().into(), monotonic());
    let source = move || Box::new(ModelFolder::new(root, device, kind)) as Box<_>;
    let (batcher, _) = Batcher::start(options, now.clone(), source)
        .map_err(|error| Failure::new(Blame::Program, "runtime_unavailable", error.to_string()))?;
    let stall = Duration::from_secs(worker.stall_seconds.get().into());
    Ok(Arc::new(Editor::new(batcher, now, stall, ports.blobs.clone(), fetch)))
}
