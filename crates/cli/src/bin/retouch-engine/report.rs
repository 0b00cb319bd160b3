//! What is said about a result: its parameters, progress and the closing report.

use std::io::Write;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use retouch_diffusion::{Device, Model};
use retouch_ports::step_engine::{Guidance, Output, RowRequest};
use serde_json::{Value, json};

use crate::args::CommonArgs;
use crate::failure::Failure;

/// Seconds of each stage.
pub(crate) struct Timings {
    pub(crate) load: Duration,
    pub(crate) create: Duration,
}

/// What is written into the result's metadata: `own`, which only the task has, and what all tasks have.
pub(crate) fn parameters(
    task: &str,
    own: &Value,
    model: &Model,
    request: &RowRequest,
    args: &CommonArgs,
) -> Result<Value, Failure> {
    let mut parameters = json!({
        "software": concat!("retouch ", env!("CARGO_PKG_VERSION")),
        "task": task,
        "prompt": request.prompt,
        "negative": request.negative,
        "model": model.fingerprint()?,
        "sampler": request.sampler.clone().map_or_else(|| model.sampler_name(), Ok)?,
        "sigma_interp": request.sigma_interp,
        "karras": request.karras,
        "steps": request.steps,
        "guidance": match request.guidance {
            Guidance::Fixed => "fixed",
            Guidance::Dynamic(_) => "dynamic",
        },
        "guidance_text": request.guidance_text,
        "intents": request.intents,
        "clip_skip": request.clip_skip,
        "seed": request.seed,
        "given_noise": request.noise.is_some(),
        "width": request.width,
        "height": request.height,
        "dtype": args.dtype.name(),
    });
    for (name, value) in own.as_object().into_iter().flatten() {
        parameters[name] = value.clone();
    }
    Ok(parameters)
}

/// A bar on standard error, and only where that is a terminal.
pub(crate) fn progress_bar(hidden: bool, steps: usize) -> ProgressBar {
    if hidden {
        return ProgressBar::hidden();
    }
    let rate = |state: &ProgressState, text: &mut dyn std::fmt::Write| {
        // A bar that cannot be drawn is no reason to stop.
        let _ = write!(text, "{:.2} steps/s", state.per_sec());
    };
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} steps, {rate}, {eta} left")
        .expect("the template is constant")
        .with_key("rate", rate);
    ProgressBar::new(steps as u64).with_style(style)
}

/// Says what was made, to standard output.
pub(crate) fn finish(
    args: &CommonArgs,
    parameters: &Value,
    output: &Output,
    device: Device,
    (width, height): (u32, u32),
    timings: &Timings,
) -> Result<(), Failure> {
    if args.json {
        return print(&json!({
            "output": args.output, "width": width, "height": height, "parameters": parameters,
            "truncated": output.truncated, "evaluations": output.evaluations, "device": device_name(device),
            "load_seconds": timings.load.as_secs_f64(), "create_seconds": timings.create.as_secs_f64(),
        }));
    }
    if let Some(rest) = &output.truncated {
        say(&format_args!("warning: the text encoder has no room for the end of the text: {rest:?}"));
    }
    let noise = match parameters["given_noise"] {
        Value::Bool(true) => "given noise".to_owned(),
        _ => format!("seed {}", parameters["seed"]),
    };
    print(&format_args!(
        "{}: {width}x{height}, {noise}, loaded in {:.1} s, made in {:.1} s",
        args.output.display(),
        timings.load.as_secs_f64(),
        timings.create.as_secs_f64()
    ))
}

fn device_name(device: Device) -> String {
    match device {
        Device::Cpu => "cpu".to_owned(),
        Device::Cuda(index) => format!("cuda:{index}"),
        other => format!("{other:?}").to_ascii_lowercase(),
    }
}

/// One line to standard error. Where nobody reads it any more, the work goes on.
pub(crate) fn say(text: &dyn std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// One line or more to standard output, whose reader may have gone.
pub(crate) fn print(text: &dyn std::fmt::Display) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{text}")
        .and_then(|()| stdout.flush())
        .map_err(|e| Failure::file("write", std::path::Path::new("standard output"), &e))
}
