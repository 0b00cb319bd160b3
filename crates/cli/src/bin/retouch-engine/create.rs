//! `retouch engine edit` and `generate`.

use std::io::Write;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use retouch_diffusion::{Engine, EngineOptions, LoadOptions, Model};
use retouch_imaging::{
    EncodeOptions, Filter, Limits, OutputFormat, SizeRule, decode, encode, from_unit_range, resize,
    to_model_input,
};
use retouch_ports::step_engine::{Output, RowRequest, Task};
use serde_json::{Value, json};

use crate::args::{CommonArgs, EditArgs, Fit, GenerateArgs};
use crate::failure::{Blame, Failure};
use crate::tensors::{read_noise, write_dump};

/// Seconds of each stage.
struct Timings {
    load: Duration,
    create: Duration,
}

/// `retouch engine edit`.
pub(crate) fn edit(args: &EditArgs) -> Result<(), Failure> {
    let format = output_format(&args.common)?;
    let path = &args.image;
    // The header is checked before the model is loaded: a wrong file fails in milliseconds.
    let length = std::fs::metadata(path).map_err(|e| Failure::file("read", path, &e))?.len();
    let limits = Limits::default();
    if length > limits.bytes as u64 {
        let message =
            format!("{} has {length} bytes, more than {}: send a smaller file", path.display(), limits.bytes);
        return Err(Failure::new(Blame::File, "image_too_large", message));
    }
    let bytes = std::fs::read(path).map_err(|e| Failure::file("read", path, &e))?;
    let source = decode(&bytes, &limits).map_err(|e| Failure::image(path, &e))?.pixels;
    let (model, load) = load(&args.common)?;
    let rule = match (args.common.size, args.fit) {
        (Some((width, height)), _) => SizeRule::Exact { width, height },
        (None, Fit::Diffusers) => SizeRule::Diffusers,
        (None, Fit::Original) => SizeRule::Original { resolution: args.resolution },
    };
    let factor = model.vae().config().factor() as u32;
    let input = rule.apply(&source, factor).map_err(|e| Failure::image(path, &e))?;
    let request = RowRequest {
        guidance_image: args.guidance_image,
        ..request(
            &args.common,
            &args.instruction,
            Task::Edit { image: to_model_input(&input) },
            input.dimensions(),
        )?
    };
    let result_size = args.input_size.then(|| source.dimensions());
    create(&args.common, "edit", format, &model, load, request, result_size)
}

/// `retouch engine generate`.
pub(crate) fn generate(args: &GenerateArgs) -> Result<(), Failure> {
    let format = output_format(&args.common)?;
    let (model, load) = load(&args.common)?;
    let (width, height) = model.native_size();
    let size = args.common.size.unwrap_or((width as u32, height as u32));
    let request = request(&args.common, &args.prompt, Task::Generate, size)?;
    create(&args.common, "generate", format, &model, load, request, None)
}

fn output_format(args: &CommonArgs) -> Result<OutputFormat, Failure> {
    let format = OutputFormat::from_path(&args.output).map_err(|e| Failure::image(&args.output, &e))?;
    let folder = parent(&args.output);
    if folder.is_dir() {
        return Ok(format);
    }
    let missing = std::io::Error::new(std::io::ErrorKind::NotFound, "its folder does not exist");
    Err(Failure::file("write", &args.output, &missing))
}

fn load(args: &CommonArgs) -> Result<(Rc<Model>, Duration), Failure> {
    if let Some(threads) = args.threads {
        retouch_diffusion::set_threads(threads);
    }
    let start = Instant::now();
    let options = LoadOptions { device: args.device, kind: args.dtype.kind(), variant: args.variant.clone() };
    let model = Model::load(&args.model, &options)?;
    Ok((Rc::new(model), start.elapsed()))
}

fn request(
    args: &CommonArgs,
    prompt: &str,
    task: Task,
    (width, height): (u32, u32),
) -> Result<RowRequest, Failure> {
    Ok(RowRequest {
        task,
        prompt: prompt.to_owned(),
        negative: args.negative.clone(),
        width,
        height,
        steps: args.steps,
        sampler: args.sampler.clone(),
        sigma_interp: args.sigma_interp.clone(),
        karras: args.karras,
        guidance_text: args.guidance_text,
        guidance_image: 1.5,
        clip_skip: args.clip_skip,
        seed: args.seed.unwrap_or_else(|| u64::from(rand::random::<u32>())),
        noise: args.noise.as_deref().map(read_noise).transpose()?,
    })
}

/// Runs the request and writes everything that was asked for.
fn create(
    args: &CommonArgs,
    task: &str,
    format: OutputFormat,
    model: &Rc<Model>,
    load: Duration,
    request: RowRequest,
    result_size: Option<(u32, u32)>,
) -> Result<(), Failure> {
    let start = Instant::now();
    let parameters = parameters(task, model, &request, args)?;
    let mut engine =
        Engine::new(model.clone(), EngineOptions { low_memory: true, ..EngineOptions::default() });
    let bar = progress_bar(args.json);
    let output = retouch_diffusion::run(&mut engine, request, &mut |status| {
        bar.set_length(status.forwards as u64);
        bar.set_position(status.forward as u64);
    });
    bar.finish_and_clear();
    let output = output?;
    let failed = |e| Failure::image(&args.output, &e);
    let mut image = from_unit_range(&output.image, output.width, output.height).map_err(failed)?;
    if let Some((width, height)) = result_size {
        image = resize(&image, width, height, Filter::Lanczos).map_err(failed)?;
    }
    let options = EncodeOptions { quality: args.quality, ..EncodeOptions::new(format) };
    let file = encode(&image, &options, Some(&parameters.to_string())).map_err(failed)?;
    if let Some(dump) = &args.dump {
        write_dump(dump, &output)?;
    }
    write_atomically(&args.output, &file)?;
    let timings = Timings { load, create: start.elapsed() };
    report(args, &parameters, &output, image.dimensions(), &timings);
    Ok(())
}

/// What is written into the result's metadata.
fn parameters(task: &str, model: &Model, request: &RowRequest, args: &CommonArgs) -> Result<Value, Failure> {
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
        "guidance_text": request.guidance_text,
        "clip_skip": request.clip_skip,
        "seed": request.seed,
        "given_noise": request.noise.is_some(),
        "width": request.width,
        "height": request.height,
        "dtype": args.dtype.name(),
    });
    if task == "edit" {
        parameters["guidance_image"] = json!(request.guidance_image);
    }
    Ok(parameters)
}

fn progress_bar(hidden: bool) -> ProgressBar {
    if hidden {
        return ProgressBar::hidden();
    }
    // Drawn on standard error, and only where that is a terminal.
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} forwards, {per_sec}, {eta} left");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn report(
    args: &CommonArgs,
    parameters: &Value,
    output: &Output,
    (width, height): (u32, u32),
    timings: &Timings,
) {
    if args.json {
        let report = json!({
            "output": args.output, "width": width, "height": height, "parameters": parameters,
            "truncated": output.truncated, "evaluations": output.evaluations,
            "load_seconds": timings.load.as_secs_f64(), "create_seconds": timings.create.as_secs_f64(),
        });
        println!("{report}");
        return;
    }
    if let Some(rest) = &output.truncated {
        eprintln!("warning: the text encoder has no room for the end of the text: {rest:?}");
    }
    println!(
        "{}: {width}x{height}, seed {}, loaded in {:.1} s, made in {:.1} s",
        args.output.display(),
        parameters["seed"],
        timings.load.as_secs_f64(),
        timings.create.as_secs_f64()
    );
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes a file whole or not at all.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let write = || -> std::io::Result<()> {
        let mut file = tempfile::Builder::new().permissions(permissions()).tempfile_in(parent(path))?;
        file.write_all(bytes)?;
        file.persist(path).map_err(|e| e.error)?;
        Ok(())
    };
    write().map_err(|e| Failure::file("write", path, &e))
}

/// Those of an ordinary new file, less what the process masks.
fn permissions() -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o666)
}
