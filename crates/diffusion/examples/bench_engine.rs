//! Our side of `cargo xtask bench engine`; `bench/engine_peer.py` is the other side.
//!
//! Called with the number of threads and the device, it answers one JSON command a line on standard input with one JSON
//! line on standard output: the seconds of each repetition. A command's result goes to its `out`, as raw float32.

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use retouch_diffusion::{Device, Engine, EngineOptions, Kind, LoadOptions, Model, SeededNoise, parse_device};
use retouch_ports::step_engine::{
    AdmittedRow, Gang, GangControl, Guidance, RowId, RowRequest, StepEngine, Task,
};
use serde::Deserialize;
use tch::Tensor;

const PROMPT: &str = "make the tie blue";
const SEED: u64 = 7;

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
enum Command {
    /// Loads a model in place of the one that is loaded.
    Load { model: PathBuf, dtype: Dtype },
    /// Forgets the model.
    Release,
    /// Encodes the prompt, tokens and all: `[1, n, d]`.
    Text { repeat: usize, out: PathBuf },
    /// The image's latents `[1, C, h, w]`.
    VaeEncode { image: PathBuf, size: u32, repeat: usize, out: PathBuf },
    /// An image `[1, 3, H, W]` from noise.
    VaeDecode { size: u32, repeat: usize, out: PathBuf },
    /// Denoises `rows` rows together; the first step is not timed. The latents `[rows, C, h, w]`.
    Step { image: PathBuf, size: u32, rows: usize, steps: usize, out: PathBuf },
    /// Edits one image: `[1, 3, H, W]` in 0..1.
    Edit { image: PathBuf, size: u32, steps: usize, out: PathBuf },
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Dtype {
    F32,
    Bf16,
}

/// Holds at most one model and times calls into it.
struct Worker {
    device: Device,
    model: Option<Rc<Model>>,
}

impl Worker {
    fn answer(&mut self, command: Command) -> Result<Vec<f64>> {
        match command {
            Command::Load { model, dtype } => self.load(&model, dtype),
            Command::Release => {
                self.model = None;
                Ok(Vec::new())
            }
            Command::Text { repeat, out } => self.text(repeat, &out),
            Command::VaeEncode { image, size, repeat, out } => {
                let image = Tensor::from_slice(&read_floats(&image)?).view([1, 3, size.into(), size.into()]);
                let vae = self.model()?.vae();
                let (seconds, latents) = self.timed(repeat, || Ok(vae.encode(&image).mode()))?;
                write_floats(&out, &floats(&latents))?;
                Ok(seconds)
            }
            Command::VaeDecode { size, repeat, out } => {
                let vae = self.model()?.vae();
                let side = i64::from(size) / vae.config().factor();
                let latents = SeededNoise::new(SEED).next(&[1, vae.config().latent_channels, side, side]);
                let (seconds, image) = self.timed(repeat, || Ok(floats(&vae.decode(&latents))))?;
                write_floats(&out, &image)?;
                Ok(seconds)
            }
            Command::Step { image, size, rows, steps, out } => {
                let (seconds, latents) = self.step(&read_floats(&image)?, size, rows, steps)?;
                write_floats(&out, &latents)?;
                Ok(seconds)
            }
            Command::Edit { image, size, steps, out } => {
                let request = request(&read_floats(&image)?, size, steps, SEED);
                let (seconds, output) = self.timed(1, || {
                    // A new engine has no prompts in its cache, as the other side has none.
                    let mut engine = self.engine()?;
                    Ok(retouch_diffusion::run(&mut engine, request.clone(), &mut |_| ())?)
                })?;
                write_floats(&out, &output.image)?;
                Ok(seconds)
            }
        }
    }

    fn model(&self) -> Result<&Rc<Model>> {
        self.model.as_ref().context("no model is loaded")
    }

    fn engine(&self) -> Result<Engine> {
        Ok(Engine::new(self.model()?.clone(), EngineOptions::default()))
    }

    fn load(&mut self, folder: &Path, dtype: Dtype) -> Result<Vec<f64>> {
        self.model = None;
        let kind = match dtype {
            Dtype::F32 => Kind::Float,
            Dtype::Bf16 => Kind::BFloat16,
        };
        let options = LoadOptions { device: self.device, kind, variant: None };
        let (seconds, model) = self.timed(1, || Ok(Model::load(folder, &options)?))?;
        self.model = Some(Rc::new(model));
        Ok(seconds)
    }

    fn text(&self, repeat: usize, out: &Path) -> Result<Vec<f64>> {
        let model = self.model()?;
        let (seconds, embeds) = self.timed(repeat, || {
            let encoded = model.tokenizer().encode(PROMPT)?;
            let ids = Tensor::from_slice(&encoded.ids).unsqueeze(0);
            Ok(model.text_encoder().forward(&ids, None)?)
        })?;
        write_floats(out, &floats(&embeds))?;
        Ok(seconds)
    }

    fn step(&self, image: &[f32], size: u32, rows: usize, steps: usize) -> Result<(Vec<f64>, Vec<f32>)> {
        let mut engine = self.engine()?;
        let mut ids: Vec<RowId> = Vec::new();
        for row in 0..rows {
            let admitted =
                AdmittedRow { request: request(image, size, steps, SEED + row as u64), resume: None };
            ids.extend(engine.admit(Gang { rows: vec![admitted], control: GangControl::Independent })?);
        }
        engine.encode(&ids)?;
        engine.step(&ids)?;
        let (seconds, ()) = self.timed(steps - 1, || Ok(engine.step(&ids)?))?;
        let mut latents = Vec::new();
        for &id in &ids {
            let export = engine.export(id)?;
            let file = safetensors::SafeTensors::deserialize(&export)?;
            latents.extend(from_bytes(file.tensor("latents")?.data()));
        }
        Ok((seconds, latents))
    }

    /// Seconds of each of `repeat` calls, and the last one's result.
    fn timed<T>(&self, repeat: usize, mut call: impl FnMut() -> Result<T>) -> Result<(Vec<f64>, T)> {
        let _no_grad = tch::no_grad_guard();
        let mut seconds = Vec::with_capacity(repeat);
        let mut last = None;
        for _ in 0..repeat {
            self.wait();
            let start = Instant::now();
            let result = call()?;
            self.wait();
            seconds.push(start.elapsed().as_secs_f64());
            last = Some(result);
        }
        Ok((seconds, last.context("nothing to repeat")?))
    }

    /// Until the device has done everything that it was asked for.
    fn wait(&self) {
        if let Device::Cuda(index) = self.device {
            tch::Cuda::synchronize(index as i64);
        }
    }
}

fn request(image: &[f32], size: u32, steps: usize, seed: u64) -> RowRequest {
    RowRequest {
        task: Task::Edit { image: image.to_vec() },
        prompt: PROMPT.to_owned(),
        negative: String::new(),
        width: size,
        height: size,
        steps,
        sampler: None,
        sigma_interp: None,
        karras: None,
        guidance_text: 7.5,
        guidance_image: 1.5,
        guidance: Guidance::Fixed,
        intents: None,
        spatial: true,
        source_box: None,
        clip_skip: None,
        seed,
        noise: None,
    }
}

fn floats(tensor: &Tensor) -> Vec<f32> {
    let flat = tensor.to_device(Device::Cpu).to_kind(Kind::Float).contiguous().view([-1]);
    let mut values = vec![0f32; flat.numel()];
    let count = values.len();
    flat.copy_data(&mut values, count);
    values
}

fn from_bytes(bytes: &[u8]) -> impl Iterator<Item = f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
}

fn read_floats(path: &Path) -> Result<Vec<f32>> {
    let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(from_bytes(&bytes).collect())
}

fn write_floats(path: &Path, values: &[f32]) -> Result<()> {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    std::fs::write(path, bytes).with_context(|| format!("writing {}", path.display()))
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [threads, device] = arguments.as_slice() else {
        bail!("usage: bench_engine THREADS DEVICE; `cargo xtask bench engine` calls it")
    };
    let threads: u16 = threads.parse().with_context(|| format!("{threads} is no number of threads"))?;
    retouch_diffusion::set_threads(threads);
    let device = parse_device(device).map_err(anyhow::Error::msg)?;
    let mut answers = std::io::stdout().lock();
    // The bindings build against no other version.
    let ready = serde_json::json!({ "libraries": { "torch": "2.11.0" }, "threads": tch::get_num_threads() });
    writeln!(answers, "{ready}")?;
    let mut worker = Worker { device, model: None };
    for line in std::io::stdin().lock().lines() {
        let command = serde_json::from_str(&line?).context("reading a command")?;
        let seconds = worker.answer(command)?;
        writeln!(answers, "{}", serde_json::json!({ "seconds": seconds }))?;
    }
    Ok(())
}
