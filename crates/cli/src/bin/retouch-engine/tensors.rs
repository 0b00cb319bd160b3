//! `--noise` and `--dump`: safetensors files.

use std::path::Path;

use retouch_ports::step_engine::{GivenNoise, Output};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::create::write_atomically;
use crate::failure::{Blame, Failure};

/// Largest noise file that is read.
const MAX_NOISE_BYTES: u64 = 2 << 30;

/// Reads `latents` [1, C, h, w] and, if there, `steps` [n, 1, C, h, w], both float32.
pub(crate) fn read_noise(path: &Path) -> Result<GivenNoise, Failure> {
    let length = std::fs::metadata(path).map_err(|e| Failure::file("read", path, &e))?.len();
    let bad = |reason: String| {
        Failure::new(
            Blame::File,
            "noise_invalid",
            format!("{} holds no usable noise: {reason}", path.display()),
        )
    };
    if length > MAX_NOISE_BYTES {
        return Err(bad(format!("{length} bytes are more than {MAX_NOISE_BYTES}")));
    }
    let bytes = std::fs::read(path).map_err(|e| Failure::file("read", path, &e))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|e| bad(e.to_string()))?;
    let read = |name: &str, dimensions: usize| -> Result<Vec<f32>, Failure> {
        let view = file.tensor(name).map_err(|e| bad(e.to_string()))?;
        let shape = view.shape();
        if view.dtype() != Dtype::F32 || shape.len() != dimensions || shape[dimensions - 4] != 1 {
            let want = if dimensions == 4 { "[1,C,h,w]" } else { "[n,1,C,h,w]" };
            return Err(bad(format!("`{name}` is {:?} {shape:?} instead of float32 {want}", view.dtype())));
        }
        Ok(view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
    };
    let steps = if file.names().contains(&"steps") { read("steps", 5)? } else { Vec::new() };
    Ok(GivenNoise { latents: read("latents", 4)?, steps })
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
