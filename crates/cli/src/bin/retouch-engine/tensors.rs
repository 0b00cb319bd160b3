//! `--noise` and `--dump`: safetensors files.

use std::path::{Path, PathBuf};

use retouch_ports::step_engine::{GivenNoise, Output};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::create::read_at_most;
use crate::failure::{Blame, Failure};
use crate::write::write_atomically;

/// Largest noise file that is read.
const MAX_NOISE_BYTES: u64 = 2 << 30;

/// The tensors of a noise file, float32.
pub(crate) struct NoiseFile {
    path: PathBuf,
    /// `[1, C, h, w]`.
    latents: Values,
    /// `[n, 1, C, h, w]`, if there.
    steps: Option<Values>,
}

struct Values {
    shape: Vec<usize>,
    values: Vec<f32>,
}

impl NoiseFile {
    /// Reads `latents` and, if there, `steps`.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let bytes = read_at_most(path, MAX_NOISE_BYTES)?
            .ok_or_else(|| unusable(path, &format!("it has more than {MAX_NOISE_BYTES} bytes")))?;
        let file = SafeTensors::deserialize(&bytes).map_err(|e| unusable(path, &e.to_string()))?;
        let values = |name: &str| -> Result<Option<Values>, Failure> {
            let Ok(view) = file.tensor(name) else { return Ok(None) };
            if view.dtype() != Dtype::F32 {
                return Err(unusable(path, &format!("`{name}` is {:?} instead of F32", view.dtype())));
            }
            let values = view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
            Ok(Some(Values { shape: view.shape().to_vec(), values: values.collect() }))
        };
        let latents = values("latents")?.ok_or_else(|| unusable(path, "it has no tensor `latents`"))?;
        Ok(Self { path: path.to_owned(), latents, steps: values("steps")? })
    }

    /// The noise, if it is for latents of the shape `[C, h, w]`. How many steps there must be is the sampler's to say.
    pub(crate) fn of_shape(self, [c, h, w]: [usize; 3]) -> Result<GivenNoise, Failure> {
        let check = |name: &str, shape: &[usize], wanted: &[usize], written: &str| {
            if shape == wanted {
                return Ok(());
            }
            Err(unusable(&self.path, &format!("`{name}` is {shape:?} instead of {written}")))
        };
        check("latents", &self.latents.shape, &[1, c, h, w], &format!("[1, {c}, {h}, {w}]"))?;
        if let Some(Values { shape, .. }) = &self.steps {
            let wanted = [shape.first().copied().unwrap_or(0), 1, c, h, w];
            check("steps", shape, &wanted, &format!("[n, 1, {c}, {h}, {w}]"))?;
        }
        let steps = self.steps.map(|steps| steps.values).unwrap_or_default();
        Ok(GivenNoise { latents: self.latents.values, steps })
    }
}

fn unusable(path: &Path, reason: &str) -> Failure {
    let message = format!("{} holds no usable noise: {reason}", path.display());
    Failure::new(Blame::File, "noise_invalid", message)
}

/// Writes what an image was made from and what came out, float32.
pub(crate) fn write_dump(path: &Path, output: &Output) -> Result<(), Failure> {
    let [c, h, w] = output.latent_shape;
    let [n, d] = output.text_shape;
    let image = vec![1, 3, output.height as usize, output.width as usize];
    let mut tensors = vec![
        ("text_embeds", vec![1, n, d], &output.text_embeds),
        ("latents", vec![1, c, h, w], &output.latents),
        ("image", image, &output.image),
    ];
    if !output.image_latents.is_empty() {
        tensors.push(("image_latents", vec![1, c, h, w], &output.image_latents));
    }
    let tensors: Vec<_> = tensors
        .into_iter()
        .map(|(name, shape, values)| {
            (name, shape, values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>())
        })
        .collect();
    let invalid = |e: safetensors::SafeTensorError| {
        Failure::new(Blame::Engine, "engine_failure", format!("the dump is inconsistent: {e}"))
    };
    let views = tensors
        .iter()
        .map(|(name, shape, bytes)| {
            Ok((*name, TensorView::new(Dtype::F32, shape.clone(), bytes).map_err(invalid)?))
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    write_atomically(path, &safetensors::serialize(views, None).map_err(invalid)?)
}
