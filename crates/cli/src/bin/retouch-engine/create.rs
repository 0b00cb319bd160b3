//! `retouch engine edit` and `generate`.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use retouch_diffusion::{Engine, EngineOptions, LoadOptions, Model};
use retouch_imaging::{
    EncodeOptions, Filter, Limits, OutputFormat, RgbImage, SizeRule, decode, encode, from_unit_range, resize,
    to_model_input,
};
use retouch_ports::step_engine::{RowRequest, Task};
use serde_json::{Value, json};

use crate::args::{CommonArgs, EditArgs, Fit, GenerateArgs, Switch};
use crate::failure::{Blame, Failure};
use crate::report::{Timings, finish, parameters, progress_bar};
use crate::tensors::{NoiseFile, write_dump};
use crate::write::{check_writable, write_atomically};

/// What is checked and read before the model is loaded, so that a wrong file fails in milliseconds.
struct Files {
    format: OutputFormat,
    noise: Option<NoiseFile>,
}

/// A request and all that is needed to carry it out.
struct Job<'a> {
    task: &'static str,
    args: &'a CommonArgs,
    format: OutputFormat,
    model: Rc<Model>,
    load: Duration,
    request: RowRequest,
    /// Parameters that only this task has.
    own: Value,
    /// Size of the result where it is not the size it is made in.
    result_size: Option<(u32, u32)>,
}

/// `retouch engine edit`.
pub(crate) fn edit(args: &EditArgs) -> Result<(), Failure> {
    let source = read_image(args)?;
    let files = prepare(&args.common)?;
    let (model, load) = load(&args.common)?;
    let (rule, fit, resolution) = match (args.common.size, args.fit) {
        (Some((width, height)), _) => (SizeRule::Exact { width, height }, None, None),
        (None, Fit::Diffusers) => (SizeRule::Diffusers, Some("diffusers"), None),
        (None, Fit::Original) => {
            let resolution = args.resolution;
            (SizeRule::Original { resolution }, Some("original"), Some(resolution))
        }
    };
    let factor = model.vae().config().factor() as u32;
    let input = rule.apply(&source, factor).map_err(|e| Failure::image(&args.image, &e))?;
    let task = Task::Edit { image: to_model_input(&input) };
    let request = request(&args.common, &args.instruction, task, input.dimensions(), files.noise, &model)?;
    let uses_layer = model.spatial().is_some() && args.spatial == Switch::On;
    let spatial = if uses_layer { "on" } else { "off" };
    Job {
        task: "edit",
        args: &args.common,
        format: files.format,
        load,
        request: RowRequest {
            guidance_image: args.guidance_image,
            spatial: args.spatial == Switch::On,
            source_box: args.source_box,
            ..request
        },
        own: json!({
            "spatial": spatial, "source_box": args.source_box.map(|edges| edges.map(|e| e.to_string()).join(",")),
            "guidance_image": args.guidance_image,
            "fit": fit, "resolution": resolution, "input_size": args.input_size,
        }),
        result_size: args.input_size.then(|| source.dimensions()),
        model,
    }
    .run()
}

/// `retouch engine generate`.
pub(crate) fn generate(args: &GenerateArgs) -> Result<(), Failure> {
    let files = prepare(&args.common)?;
    let (model, load) = load(&args.common)?;
    let (width, height) = model.native_size();
    let size = args.common.size.unwrap_or((width as u32, height as u32));
    let request = request(&args.common, &args.prompt, Task::Generate, size, files.noise, &model)?;
    let (format, own) = (files.format, json!({}));
    Job { task: "generate", args: &args.common, format, model, load, request, own, result_size: None }.run()
}

fn read_image(args: &EditArgs) -> Result<RgbImage, Failure> {
    let path = &args.image;
    let limits = Limits::default();
    let bytes = read_at_most(path, limits.bytes as u64)?.ok_or_else(|| {
        let message = format!("{} has more than {} bytes: send a smaller file", path.display(), limits.bytes);
        Failure::new(Blame::File, "image_too_large", message)
    })?;
    Ok(decode(&bytes, &limits).map_err(|e| Failure::image(path, &e))?.pixels)
}

/// The bytes of a file, device or pipe; `None` if there are more than `limit`.
pub(crate) fn read_at_most(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, Failure> {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().map_err(|e| Failure::file("read", path, &e))?;
    Ok((bytes.len() as u64 <= limit).then_some(bytes))
}

fn prepare(args: &CommonArgs) -> Result<Files, Failure> {
    let format = OutputFormat::from_path(&args.output).map_err(|e| Failure::image(&args.output, &e))?;
    check_writable(&args.output)?;
    if let Some(dump) = &args.dump {
        check_writable(dump)?;
    }
    Ok(Files { format, noise: args.noise.as_deref().map(NoiseFile::read).transpose()? })
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
    noise: Option<NoiseFile>,
    model: &Model,
) -> Result<RowRequest, Failure> {
    let vae = model.vae().config();
    let factor = vae.factor() as usize;
    let latents = [vae.latent_channels as usize, height as usize / factor, width as usize / factor];
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
        guidance: args.guidance.guidance(),
        intents: args.intents.clone(),
        spatial: true,
        source_box: None,
        clip_skip: args.clip_skip,
        seed: args.seed.unwrap_or_else(|| u64::from(rand::random::<u32>())),
        noise: noise.map(|noise| noise.of_shape(latents)).transpose()?,
    })
}

impl Job<'_> {
    /// Makes the image and writes everything that was asked for.
    fn run(self) -> Result<(), Failure> {
        let start = Instant::now();
        let Self { args, request, .. } = self;
        let parameters = parameters(self.task, &self.own, &self.model, &request, args)?;
        let mut engine =
            Engine::new(self.model.clone(), EngineOptions { low_memory: true, ..EngineOptions::default() });
        let steps = request.steps;
        let bar = progress_bar(args.json, steps);
        let output = retouch_diffusion::run(&mut engine, request, &mut |status| {
            // A step may take more than one forward.
            bar.set_position((status.forward * steps / status.forwards.max(1)) as u64);
        });
        bar.finish_and_clear();
        let output = output?;
        let failed = |e| Failure::image(&args.output, &e);
        let mut image = from_unit_range(&output.image, output.width, output.height).map_err(failed)?;
        if let Some((width, height)) = self.result_size {
            image = resize(&image, width, height, Filter::Lanczos).map_err(failed)?;
        }
        let options = EncodeOptions { quality: args.quality, ..EncodeOptions::new(self.format) };
        let file = encode(&image, &options, Some(&parameters.to_string())).map_err(failed)?;
        if let Some(dump) = &args.dump {
            write_dump(dump, &output)?;
        }
        write_atomically(&args.output, &file)?;
        let timings = Timings { load: self.load, create: start.elapsed() };
        finish(args, &parameters, &output, self.model.device(), image.dimensions(), &timings)
    }
}
